"""A real listener for tests: `manage.py vtn` as its own process, on the test database, over mutual TLS."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.db import connection

from oadr import codec
from oadr import messages as m
from tests.vtn.hubs import TestHub

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Listener:
    host: str
    port: int
    ca_path: Path
    log_path: Path
    pid: int = 0

    def workers(self) -> list[int]:
        """The process ids of those that answer, not of the one that watches over them."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def context_of(self, hub: TestHub | None, folder: Path) -> ssl.SSLContext:
        """Return the TLS settings of a hub, or of a stranger without certificate."""
        context = ssl.create_default_context(cafile=str(self.ca_path))
        if hub is not None:
            certificate, key = folder / f"{hub.ven_id}.pem", folder / f"{hub.ven_id}.key"
            certificate.write_text(hub.certificate_pem)
            key.write_text(hub.key_pem)
            context.load_cert_chain(certificate, key)
        return context

    def connect(self, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, context=context, timeout=60)


def exchange(client: http.client.HTTPSConnection, service: str, message: m.Message) -> m.Message:
    """Post a message on a connection that stays open; return the reply."""
    status, body = post(client, service, codec.serialise(message))
    assert status == 200, body
    return codec.parse(body)


def post(client: http.client.HTTPSConnection, service: str, body: bytes) -> tuple[int, bytes]:
    client.request(
        "POST", f"/OpenADR2/Simple/2.0b/{service}", body=body, headers={"Content-Type": "application/xml"}
    )
    response = client.getresponse()
    return response.status, response.read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(pki_folder: Path) -> dict[str, str]:
    """Return this process's environment with the test database and the test CA in it."""
    name = connection.settings_dict["NAME"]
    return os.environ | {
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl(),
        "OPENDSR_PKI_DIR": str(pki_folder),
    }


def command(port: int) -> list[str]:
    return [sys.executable, "manage.py", "vtn", "--host", "localhost", "--port", str(port), "--workers", "2"]


@contextmanager
def listening(pki_folder: Path, *words: str) -> Iterator[Listener]:
    """Run a listener for the block; its last words are shown when it does not start."""
    port = free_port()
    log_path = pki_folder / "listener.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*command(port), *words],
            cwd=ROOT,
            env=environment(pki_folder),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_open(process, port, log_path)
        yield Listener("localhost", port, pki_folder / "ca.pem", log_path, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_open(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("localhost", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the listener did not start:\n{log_path.read_text()[-3000:]}")
