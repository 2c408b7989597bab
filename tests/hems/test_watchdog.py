"""What systemd is told: ready, alive, stopping; and nothing where it is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hems import watchdog


def test_words_reach_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(5)
        monkeypatch.setenv(watchdog.VARIABLE, str(path))
        assert watchdog.tell("WATCHDOG=1")
        assert sock.recv(100) == b"WATCHDOG=1"


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0opendsr-watchdog-test")
        sock.settimeout(5)
        monkeypatch.setenv(watchdog.VARIABLE, "@opendsr-watchdog-test")
        assert watchdog.tell("READY=1")
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_where_nobody_listens_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(watchdog.VARIABLE, address)
    assert not watchdog.tell("WATCHDOG=1")


def test_an_agent_that_goes_round_is_heard(start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(5)
        monkeypatch.setenv(watchdog.VARIABLE, str(path))
        agent = start()
        agent.until = agent.clock.now()
        agent.run()
        assert [sock.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
