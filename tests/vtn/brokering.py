"""Debian's Mosquitto for tests, with the files that `vtn_broker` writes; the bridge; a foreign client."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from oadr import codec, topics
from oadr import messages as m
from opendsr.kernel import clock
from tests.vtn import hubs, listening
from tests.vtn.listening import ROOT
from tests.vtn.proxying import stop, wait_until_open
from vtn.pki import Authority
from vtn.transports import broker
from vtn.transports.mqtt import Bridge

VTN = "COOP-VTN"
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Running:
    """A broker: `port` for VENs, `own_port` for the VTN."""

    authority: Authority
    folder: Path
    port: int
    own_port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"mqtts://localhost:{self.own_port}"


@contextmanager
def running(pki_folder: Path, folder: Path) -> Iterator[Running]:
    """Run Mosquitto for the block, or skip where it is not installed."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    site = broker.Site(
        authority=Authority(pki_folder),
        vtn_id=VTN,
        folder=folder,
        host="localhost",
        port=listening.free_port(),
        own_port=listening.free_port(),
        user="root",  # started by root it would become somebody who may not enter a test's folder
    )
    path = broker.write(site, at=clock.wall_now())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(path)], stdout=log, stderr=log)
    try:
        wait_until_open(("localhost", site.port), process)
        yield Running(site.authority, folder, site.port, site.own_port, process)
    finally:
        stop(process)


@contextmanager
def bridging(running: Running, *, worker: str = "test") -> Iterator[Bridge]:
    """Run the bridge in a thread of the test."""
    reached = broker.reached_at(
        running.url, running.authority, vtn_id=VTN, worker=worker, at=clock.wall_now()
    )
    bridge = Bridge(reached, vtn_id=VTN)
    is_ended, is_ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=bridge.run, kwargs={"is_alive": lambda: not is_ended.is_set(), "ready": is_ready.set}
    )
    thread.start()
    try:
        assert is_ready.wait(PATIENCE_SECONDS), (running.folder / "log").read_text()[-2000:]
        yield bridge
    finally:
        is_ended.set()
        thread.join(PATIENCE_SECONDS)


def bridge_process(running: Running, pki_folder: Path, *, worker: str) -> subprocess.Popen[bytes]:
    """Start `manage.py vtn_mqtt` as it is run; returns when it is ready."""
    log_path = running.folder / f"bridge-{time.monotonic_ns()}.log"
    environment = listening.environment(pki_folder) | {"MQTT_URL": running.url, "VTN_POLL_SECONDS": "1"}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "vtn_mqtt", "--worker", worker],
            cwd=ROOT,
            env=environment,
            stderr=log,
        )
    deadline = time.monotonic() + 90
    while "ready." not in log_path.read_text():
        assert process.poll() is None, log_path.read_text()
        assert time.monotonic() < deadline, "the bridge is not ready"
        time.sleep(0.1)
    return process


@dataclass(slots=True)
class Client:
    """A VEN over somebody else's MQTT library."""

    name: str
    paho: paho.Client
    heard: Queue[paho.MQTTMessage] = field(default_factory=Queue)
    reason: Any = None

    def next(self) -> paho.MQTTMessage:
        try:
            return self.heard.get(timeout=PATIENCE_SECONDS)
        except Empty:
            raise AssertionError(f"{self.name} heard nothing") from None

    def is_left_alone(self, seconds: float = 0.5) -> bool:
        try:
            self.heard.get(timeout=seconds)
        except Empty:
            return True
        return False

    def publish(self, topic: str, body: bytes, *, correlation: bytes = b"c", reply_to: str = "") -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = correlation
        if reply_to:
            properties.ResponseTopic = reply_to
        self.paho.publish(topic, body, qos=1, properties=properties).wait_for_publish(PATIENCE_SECONDS)

    def leaves(self) -> None:
        """Say that it goes, as its last will would."""
        presence = topics.topic(VTN, self.name, "presence")
        self.paho.publish(presence, topics.OFFLINE, qos=1, retain=True).wait_for_publish(PATIENCE_SECONDS)

    def asks(self, service: str, message: m.Message | bytes) -> Any:
        """Ask, and return the reply read; a fault's number when there was one."""
        body = message if isinstance(message, bytes) else codec.serialise(message)
        self.publish(topics.topic(VTN, self.name, "up", service), body, correlation=b"asked")
        reply = self.next()
        assert reply.topic == topics.topic(VTN, self.name, "up-reply")
        assert reply.properties.CorrelationData == b"asked"
        faults = dict(getattr(reply.properties, "UserProperty", []))
        return faults.get("oadr-error") or codec.parse(reply.payload)


@contextmanager
def connected(
    running: Running,
    hub: hubs.TestHub | None,
    folder: Path,
    *,
    presence: bool = True,
    subscriptions: tuple[str, ...] | None = None,
    port: int | None = None,
) -> Iterator[Client]:
    """Connect a VEN with paho; yields once it is subscribed."""
    name = hub.ven_id if hub is not None else "nobody"
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
    ven = Client(name, client)
    certificate = key = None
    if hub is not None:
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_text(hub.certificate_pem)
        key.write_text(hub.key_pem)
    client.tls_set(
        ca_certs=str(running.authority.certificate_path),
        certfile=None if certificate is None else str(certificate),
        keyfile=None if key is None else str(key),
    )
    is_ready = threading.Event()

    def on_connect(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            ven.reason = reason
            return
        wanted = topics.ven_subscriptions(VTN, name) if subscriptions is None else subscriptions
        client.subscribe([(each, paho.SubscribeOptions(qos=1)) for each in wanted])

    def on_subscribe(_c: Any, _u: Any, _m: Any, reasons: Any, _p: Any) -> None:
        ven.reason = reasons
        is_ready.set()

    def on_disconnect(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        ven.reason = reason
        is_ready.set()

    client.on_connect, client.on_subscribe, client.on_disconnect = on_connect, on_subscribe, on_disconnect
    client.on_message = lambda _c, _u, message: ven.heard.put(message)
    client.reconnect_delay_set(60, 120)
    client.connect("localhost", port or running.port, keepalive=30)
    client.loop_start()
    try:
        assert is_ready.wait(PATIENCE_SECONDS), f"{name} hears nothing"
        assert client.is_connected(), f"{name} is not let in: {ven.reason}"
        if presence and hub is not None:
            client.publish(topics.topic(VTN, name, "presence"), b"online", qos=1, retain=True)
        yield ven
    finally:
        client.disconnect()
        client.loop_stop()
