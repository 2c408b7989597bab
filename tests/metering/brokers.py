"""A real Mosquitto for tests, with the files that the site writes for it, and devices that speak to it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from metering import broker
from tests.vtn.listening import free_port

PASSWORD = "correct-horse"
PATIENCE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Broker:
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """How the intake reaches it."""
        return f"mqtt://intake:{PASSWORD}@127.0.0.1:{self.port}"

    def read_again(self) -> None:
        """Write the files from the database and let the broker take them."""
        broker.write_files(self.folder, url=self.url, user="root")
        self.process.send_signal(signal.SIGHUP)


@contextmanager
def mosquitto(folder: Path) -> Iterator[Broker]:
    """Run a broker for the block; skips where none is installed."""
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        pytest.skip("no mosquitto on this machine (Debian: apt-get install mosquitto)")
    port = free_port()
    url = f"mqtt://intake:{PASSWORD}@127.0.0.1:{port}"
    path = broker.write_files(folder, url=url, user="root")
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([program, "-c", str(path)], stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: is_open(port), log)
        yield Broker(port, folder, process)
    finally:
        process.terminate()
        process.wait(60)


class Device:
    """Something in a home that publishes, with its own user; `refused` once the broker turned it away."""

    def __init__(self, at: Broker, user: str, password: str) -> None:
        self.refused = False
        self._connected = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="")
        self.client.username_pw_set(user, password)
        self.client.on_connect = self._on_connect
        self.client.connect("127.0.0.1", at.port)
        self.client.loop_start()
        assert self._connected.wait(PATIENCE_SECONDS)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.refused = reason.is_failure
        self._connected.set()

    def say(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1 and wait until the broker has it."""
        self.client.publish(topic, payload, qos=1).wait_for_publish(PATIENCE_SECONDS)

    def close(self) -> None:
        """Hang up."""
        self.client.disconnect()
        self.client.loop_stop()


def is_open(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(holds: Any, log: Path | None = None) -> None:
    """Wait until something is true; shows the log when it does not come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(
        log.read_text()[-3000:] if log is not None and log.is_file() else "it never happened"
    )
