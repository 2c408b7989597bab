"""Shelly relays: Gen1 over HTTP, Gen2 and later over MQTT (JSON-RPC). Every switch-off flips back by itself.

Gen1 counts energy in watt-minutes and forgets it when it restarts; its `timestamp` is local. Gen2 counts Wh.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, Final

from hems.devices import DeviceState
from hems.drivers.bus import Bus, LocalBroker
from hems.drivers.calling import Caller
from hems.drivers.real_device import AssetSettings, SwitchedDevice, object_of
from hems.drivers.relay import Command
from hems.instants import second_of

LOOK_SECONDS: Final = 10
WATT_MINUTES_PER_WH: Final = 60
STALE_SECONDS: Final = 60


class ShellyGen1(SwitchedDevice):
    """`options`: `url`, http://HOST; `channel` (0 on); `username` and `password` where the device asks."""

    def __init__(self, settings: AssetSettings, *, password: str = "") -> None:
        super().__init__(settings, self._say_so)
        self._url = str(settings.options["url"]).rstrip("/")
        self._channel = int(settings.options.get("channel", 0))
        self._caller = Caller()
        self._headers: dict[str, str] = {}
        if password:
            pair = f"{settings.options.get('username', 'admin')}:{password}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._asked_s = self._heard_s = -STALE_SECONDS
        self._power_w: float | None = None
        self._energy_wh: float | None = None

    @property
    def available(self) -> bool:
        return not self._caller.failure and self.at_s - self._heard_s < STALE_SECONDS

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._caller.take()
        self.settle(at)
        if not 0 <= self.at_s - self._asked_s < LOOK_SECONDS and self._caller.ask(
            f"{self._url}/status", self._shown, headers=self._headers
        ):
            self._asked_s = self.at_s

    def telemetry(self, at: datetime) -> DeviceState:
        return self.state(
            at,
            power_w=self._power_w,
            energy_wh=self._energy_wh,
            detail=self._caller.failure,
            is_available=self.available,
        )

    def close(self) -> None:
        self._caller.close(self.safe_state)

    def _say_so(self, command: Command) -> bool:
        turn = "on" if command.is_on else "off"
        timer = f"&timer={command.flips_after_seconds}" if command.flips_after_seconds else ""
        url = f"{self._url}/relay/{self._channel}?turn={turn}{timer}"
        return self._caller.ask(url, self._switched, headers=self._headers)

    def _switched(self, answer: Any) -> None:
        self._heard_s = self.at_s
        self.relay.hear(bool(answer["ison"]), self.at_s)

    def _shown(self, answer: Any) -> None:
        self._heard_s = self.at_s
        self.relay.hear(bool(answer["relays"][self._channel]["ison"]), self.at_s)
        meters = answer.get("meters", [])
        if self._channel < len(meters) and meters[self._channel].get("is_valid", True):
            self._power_w = float(meters[self._channel]["power"])
            self._energy_wh = float(meters[self._channel]["total"]) / WATT_MINUTES_PER_WH


class ShellyGen2(SwitchedDevice):
    """`options`: `prefix`, the device's MQTT prefix; `channel` (0 on)."""

    def __init__(self, settings: AssetSettings, broker: LocalBroker, *, hub: str) -> None:
        super().__init__(settings, self._say_so)
        self._prefix = str(settings.options["prefix"])
        self._channel = int(settings.options.get("channel", 0))
        self._me = f"opendsr/{hub}/{self.resource_id}"
        self._bus = Bus(broker, name=f"{hub}-{self.resource_id}"[:60])
        self._bus.listen(f"{self._prefix}/online", self._lives)
        self._bus.listen(f"{self._prefix}/status/switch:{self._channel}", self._status)
        self._bus.listen(f"{self._prefix}/events/rpc", self._notified)
        self._bus.listen(f"{self._me}/rpc", self._answered)
        self._bus.greet(self._ask)
        self._number = 0
        self._is_online: bool | None = None
        self._power_w: float | None = None
        self._energy_wh: float | None = None
        self._bus.start()

    @property
    def available(self) -> bool:
        return self._bus.is_connected and bool(self._is_online)

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._bus.take()
        self.settle(at)

    def telemetry(self, at: datetime) -> DeviceState:
        return self.state(at, power_w=self._power_w, energy_wh=self._energy_wh, is_available=self.available)

    def close(self) -> None:
        self.safe_state()
        self._bus.close()

    def _call(self, method: str, **parameters: Any) -> bool:
        self._number += 1
        frame = {"id": self._number, "src": self._me, "method": method, "params": parameters}
        return self._bus.say(f"{self._prefix}/rpc", json.dumps(frame))

    def _ask(self) -> None:
        self._call("Switch.GetStatus", id=self._channel)

    def _say_so(self, command: Command) -> bool:
        timer = {"toggle_after": command.flips_after_seconds} if command.flips_after_seconds else {}
        is_said = self._call("Switch.Set", id=self._channel, on=command.is_on, **timer)
        self._ask()
        return is_said

    def _lives(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        self._is_online = payload == b"true"
        if self._is_online:
            self._ask()

    def _status(self, _topic: str, payload: bytes, is_retained: bool) -> None:
        if not is_retained:
            self._take_status(object_of(payload))

    def _notified(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        status = object_of(payload).get("params", {}).get(f"switch:{self._channel}")
        if isinstance(status, dict):
            self._take_status(status)

    def _answered(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        result = object_of(payload).get("result")
        if isinstance(result, dict) and "output" in result:
            self._take_status(result)

    def _take_status(self, status: dict[str, Any]) -> None:
        self._is_online = self._is_online is not False  # its own word, or last will, counts
        if isinstance(status.get("output"), bool):
            self.relay.hear(status["output"], self.at_s)
        if isinstance(status.get("apower"), int | float):
            self._power_w = float(status["apower"])
        total = status.get("aenergy", {}).get("total")
        if isinstance(total, int | float):
            self._energy_wh = float(total)
