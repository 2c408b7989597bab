"""Debian's nginx for tests, started with the configuration that `vtn_nginx` writes."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from opendsr.kernel import clock
from tests.vtn import listening
from tests.vtn.listening import ROOT, Listener
from vtn.pki import Authority
from vtn.transports import nginx

START_SECONDS = 120


@dataclass(slots=True)
class Proxy:
    """nginx and the listener behind it."""

    listener: Listener
    command: list[str]
    process: subprocess.Popen[bytes]

    def restart(self) -> None:
        """Stop nginx and start it anew: a machine's reboot, as far as VENs can tell."""
        stop(self.process)
        self.process = subprocess.Popen(self.command)
        wait_until_open(("localhost", self.listener.port), self.process)


def program() -> str:
    """Return nginx's path, or skip."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    return found


@contextmanager
def proxied(pki_folder: Path, folder: Path) -> Iterator[Proxy]:
    """Run nginx, and the listener behind it, for the block."""
    program()
    folder.chmod(0o750)
    path = folder / "vtn.sock"
    served = subprocess.Popen(
        [sys.executable, "manage.py", "vtn", "--socket", str(path), "--workers", "1"],
        cwd=ROOT,
        env=listening.environment(pki_folder),
    )
    try:
        wait_until_open(str(path), served)
        with _nginx(pki_folder, folder) as proxy:
            yield proxy
    finally:
        stop(served)


@contextmanager
def fronted(pki_folder: Path, folder: Path) -> Iterator[Listener]:
    """Run nginx alone for the block, before whatever the test has listen at `vtn.sock` in the folder."""
    with _nginx(pki_folder, folder) as proxy:
        yield proxy.listener


@contextmanager
def _nginx(pki_folder: Path, folder: Path) -> Iterator[Proxy]:
    path = program()
    port = listening.free_port()
    site = nginx.Site(
        files=Authority(pki_folder).server_files(host="localhost", at=clock.wall_now()),
        tickets=nginx.ticket_keys(pki_folder),
        socket=folder / "vtn.sock",
        port=port,
        connections=400,
        workers="1",
    )
    config = folder / "nginx.conf"
    # Run by root nginx gives itself away to nobody, who may not enter a test's folder.
    config.write_text("user root root;\n" + nginx.whole_file(site))
    command = [path, "-c", str(config), "-e", "stderr", "-p", str(folder)]
    proxy = Proxy(
        Listener("localhost", port, pki_folder / "ca.pem", folder / "log"), command, subprocess.Popen(command)
    )
    try:
        wait_until_open(("localhost", port), proxy.process)
        yield proxy
    finally:
        stop(proxy.process)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_open(address: tuple[str, int] | str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if isinstance(address, str):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(address)
            else:
                socket.create_connection(address, 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"nothing listens on {address}")
