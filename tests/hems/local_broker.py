"""The home's own broker in tests: Debian's Mosquitto with a password, and devices that speak as theirs do."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hems.drivers.bus import LocalBroker
from tests.redises import free_port

USER, PASSWORD = "hub", "a-long-local-secret"
PATIENCE_SECONDS = 60.0
"""A wait ends as soon as the thing holds: patience costs a green run nothing."""


def wait_for(what: str, look: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until it is so; fail saying what never was."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited for {what} in vain"
        time.sleep(0.02)


@contextmanager
def mosquitto(folder: Path, *, port: int | None = None, is_open: bool = False) -> Iterator[LocalBroker]:
    """Run a broker for the block, or skip where Mosquitto is not installed."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("no mosquitto on this machine (Debian: apt-get install mosquitto)")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    passwords = folder / "passwords"
    maker = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    subprocess.run([maker, "-b", "-c", str(passwords), USER, PASSWORD], check=True, capture_output=True)
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous {'true' if is_open else 'false'}\n"
        f"password_file {passwords}\nuser root\npersistence false\n"
    )
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
    try:
        wait_for("the broker", lambda: _is_open(port))
        yield LocalBroker("127.0.0.1", port, USER, PASSWORD)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@dataclass
class FakeDevice:
    """Somebody else's MQTT client that answers as a firmware does; `heard` keeps what it was told."""

    broker: LocalBroker
    filters: tuple[str, ...]
    answers: Callable[[FakeDevice, str, str], None]
    will: tuple[str, str] | None = None
    heard: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> FakeDevice:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self.client.username_pw_set(USER, PASSWORD)
        if self.will is not None:
            self.client.will_set(*self.will, qos=1, retain=True)
        ready: list[bool] = []
        self.client.on_connect = lambda client, *_: client.subscribe([(each, 1) for each in self.filters])
        self.client.on_subscribe = lambda *_: ready.append(True)
        self.client.on_message = self._on_message
        self.client.connect(self.broker.host, self.broker.port, 30)
        self.client.loop_start()
        wait_for("the device", lambda: ready)
        return self

    def __exit__(self, *_: object) -> None:
        if self.will is not None:  # the plug is pulled: the broker says so in its place
            self.client.publish(*self.will, qos=1, retain=True).wait_for_publish(PATIENCE_SECONDS)
        self.client.disconnect()
        self.client.loop_stop()

    def says(self, topic: str, payload: object, *, is_retained: bool = False) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self.client.publish(topic, text, qos=1, retain=is_retained)

    def told(self, topic: str) -> list[str]:
        """What was said to it on a topic, oldest first."""
        return [payload for heard, payload in self.heard if heard == topic]

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload).decode()
        self.heard.append((message.topic, payload))
        self.answers(self, message.topic, payload)


class FakeEvse:
    """OpenEVSE: claims of the API, a manual override above them, retained answers."""

    def __init__(self, broker: LocalBroker, base: str = "openevse-7b2c") -> None:
        self.base = base
        self.claim: dict[str, Any] = {"state": "null"}
        self.device = FakeDevice(broker, (f"{base}/claim/set",), self._answer)

    def __enter__(self) -> FakeEvse:
        self.device.__enter__()
        announced = {"state": "connected", "id": "c44f330dxxad", "name": self.base, "mqtt": self.base}
        self.device.says("openevse/announce/7b2c", announced, is_retained=True)
        self.device.says(f"{self.base}/claim", self.claim, is_retained=True)
        self.device.says(f"{self.base}/override", {"state": "null"}, is_retained=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.device.__exit__()

    def charges(self, *, amperes: float, session_wh: float = 0.0) -> None:
        """Publish as it does while it charges: mA, V, Wh of the session, kWh in all."""
        for name, value in (
            ("state", 3 if amperes else 254),
            ("amp", amperes * 1000),
            ("voltage", 240),
            ("session_energy", session_wh),
            ("total_energy", 998),
        ):
            self.device.says(f"{self.base}/{name}", str(value))

    def is_pressed(self, override: dict[str, Any] | None) -> None:
        """The member's hand at the charger; None takes it back."""
        self.device.says(f"{self.base}/override", override or {"state": "null"}, is_retained=True)

    def _answer(self, device: FakeDevice, _topic: str, payload: str) -> None:
        self.claim = {"state": "null"} if payload == "release" else json.loads(payload)
        device.says(f"{self.base}/claim", self.claim, is_retained=True)


class FakeTasmota:
    """Tasmota: Backlog, Power, rule timers (their run-out is called by the test), Status 8."""

    def __init__(self, broker: LocalBroker, topic: str = "pow1", channels: int = 1) -> None:
        self.topic = topic
        self.is_on = dict.fromkeys(range(1, channels + 1), channels == 1)
        self.timer_seconds = 0
        self.rule = ""
        self._one_at_a_time = RLock()
        self.watts, self.kwh = 2629.0, 6.404
        self.device = FakeDevice(
            broker, (f"cmnd/{topic}/#",), self._answer, will=(f"tele/{topic}/LWT", "Offline")
        )

    def __enter__(self) -> FakeTasmota:
        self.device.__enter__()
        self.device.says(f"tele/{self.topic}/LWT", "Online", is_retained=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.device.__exit__()

    def measures(self, *, watts: float, kwh: float) -> None:
        self.watts, self.kwh = watts, kwh
        energy = {"Total": kwh, "Power": watts, "Voltage": 227, "Current": 11.6, "Period": 217}
        self.device.says(f"tele/{self.topic}/SENSOR", {"Time": "2026-11-20T17:37:10", "ENERGY": energy})

    def is_pressed(self, *, is_on: bool, channel: int = 1) -> None:
        self._switch(channel, is_on)

    def runs_out(self) -> None:
        """The rule timer is over: the rule acts."""
        assert self.timer_seconds
        self.timer_seconds = 0
        action = self.rule.partition(" DO ")[2].removesuffix(" ENDON").removeprefix("Backlog ")
        for part in action.split("; "):
            self._obey(part)

    def _answer(self, _device: FakeDevice, topic: str, payload: str) -> None:
        name = topic.rpartition("/")[2]
        if name == "Backlog":
            # The rule holds semicolons of its own, up to ENDON.
            head, _, rest = (
                payload.partition(" ENDON; ") if payload.startswith("Rule3 ") else ("", "", payload)
            )
            if head:
                self.rule = head.removeprefix("Rule3 ") + " ENDON"
            for part in rest.split("; "):
                self._obey(part)
        elif name.startswith("Power"):
            self._obey(f"{name} {payload}".strip())
        elif name == "Status" and payload == "8":
            energy = {"Total": self.kwh, "Power": self.watts, "Voltage": 226}
            self.device.says(
                f"stat/{self.topic}/STATUS8",
                {"StatusSNS": {"Time": "2026-11-20T08:54:18", "ENERGY": energy}},
            )

    def _obey(self, command: str) -> None:
        name, _, value = command.partition(" ")
        if name == "RuleTimer8":
            self.timer_seconds = int(value)
        elif name.startswith("Power"):
            channel = int(name.removeprefix("Power") or 1)
            with self._one_at_a_time:  # a press between asking and telling would be undone
                self._switch(channel, {"ON": True, "OFF": False}.get(value, self.is_on[channel]))

    def _switch(self, channel: int, is_on: bool) -> None:
        name = "POWER" if len(self.is_on) == 1 else f"POWER{channel}"
        with self._one_at_a_time:
            self.is_on[channel] = is_on
            self.device.says(f"stat/{self.topic}/RESULT", {name: "ON" if is_on else "OFF"})


class FakeShelly:
    """Shelly Gen2: JSON-RPC over MQTT, `toggle_after`, its status told at every change."""

    def __init__(self, broker: LocalBroker, prefix: str = "shellyplus1pm-aabb") -> None:
        self.prefix, self.is_on = prefix, True
        self.toggle_after: int | None = None
        self.device = FakeDevice(broker, (f"{prefix}/rpc",), self._answer, will=(f"{prefix}/online", "false"))

    def __enter__(self) -> FakeShelly:
        self.device.__enter__()
        self.device.says(f"{self.prefix}/online", "true", is_retained=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.device.__exit__()

    @property
    def status(self) -> dict[str, Any]:
        return {
            "id": 0,
            "output": self.is_on,
            "apower": 2950.0 if self.is_on else 0.0,
            "voltage": 232.8,
            "aenergy": {"total": 110.046, "by_minute": [0.0, 0.0, 0.0], "minute_ts": 1707326934},
        }

    def is_pressed(self, *, is_on: bool) -> None:
        self.is_on = is_on
        frame = {"method": "NotifyStatus", "params": {"ts": 1.0, "switch:0": {"id": 0, "output": is_on}}}
        self.device.says(f"{self.prefix}/events/rpc", {"src": self.prefix, **frame})

    def _answer(self, device: FakeDevice, _topic: str, payload: str) -> None:
        frame = json.loads(payload)
        result: dict[str, Any] = self.status
        if frame["method"] == "Switch.Set":
            result = {"was_on": self.is_on}
            self.toggle_after = frame["params"].get("toggle_after")
            self.is_on = frame["params"]["on"]
        answer = {"id": frame["id"], "src": self.prefix, "dst": frame["src"], "result": result}
        device.says(f"{frame['src']}/rpc", answer)
        if frame["method"] == "Switch.Set":
            device.says(f"{self.prefix}/status/switch:0", self.status)


class FakeEmonEsp:
    """EmonESP: modes, and its state when asked."""

    def __init__(self, broker: LocalBroker, name: str = "smartplug1", mode: str = "Timer") -> None:
        self.name, self.mode = name, mode
        self.device = FakeDevice(broker, (f"emon/{name}/in/#",), self._answer)

    def __enter__(self) -> FakeEmonEsp:
        self.device.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.device.__exit__()

    def _answer(self, device: FakeDevice, topic: str, payload: str) -> None:
        if topic.endswith("/ctrlmode"):
            self.mode = payload
        elif topic.endswith("/state"):
            state = {"ip": "192.168.1.71", "time": 0, "ctrlmode": self.mode, "timer": "0600 0800 0000 0000"}
            device.says(f"emon/{self.name}/out/state", {**state, "vout": 0})
