"""The listener's loop on real sockets, with an application that only echoes: framing, patience, limits."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.vtn import looping
from vtn.transports import listener
from vtn.transports.calling import certificate_handed_on


@pytest.fixture(autouse=True)
def _without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests need no memory of VENs, and no database."""
    monkeypatch.setattr(listener.Loop, "connect", lambda self: None)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with looping.loop() as address, socket.create_connection(address, 60) as connected:
        yield connected


def said(peer: socket.socket, *, ends: bytes) -> bytes:
    data = b""
    while not data.endswith(ends):
        more = peer.recv(65536)
        assert more, data
        data += more
    return data


def test_requests_follow_each_other_also_when_sent_at_once(peer: socket.socket) -> None:
    one = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\none"
    peer.sendall(one + one.replace(b"one", b"two") + b"POST /a HTTP/1.1\r\nContent-Le")
    answers = said(peer, ends=b"POST /a two")
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b"POST /a one" in answers
    peer.sendall(b"ngth: 5\r\n\r\nth")
    peer.sendall(b"ree")
    assert b"HTTP/1.1 200 OK" in said(peer, ends=b"POST /a three")


def test_a_body_of_no_known_length_ends_the_connection(peer: socket.socket) -> None:
    peer.sendall(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n")

    assert b"Connection: close" in said(peer, ends=b"POST /a ")
    assert peer.recv(1) == b""


def test_a_bad_head_is_answered_and_ends_the_connection(peer: socket.socket) -> None:
    peer.sendall(b"POST /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")

    assert said(peer, ends=b"\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request")
    assert peer.recv(1) == b""


def test_a_head_without_end_is_431(peer: socket.socket) -> None:
    peer.sendall(b"POST /a HTTP/1.1\r\nX: " + b"x" * 20_000)

    assert said(peer, ends=b"\r\n\r\n").startswith(b"HTTP/1.1 431")


def test_who_expects_100_is_told_to_go_on(peer: socket.socket) -> None:
    peer.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert said(peer, ends=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.sendall(b"one")
    assert said(peer, ends=b"POST /a one")


def test_a_silent_peer_is_let_go_and_a_half_body_reaches_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "PATIENCE_SECONDS", 1.0)
    with looping.loop() as address:
        with socket.create_connection(address, 60) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(address, 60) as slow:
            slow.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 30\r\n\r\nhalf")
            assert b"Connection: close" in said(slow, ends=b"POST /a half")
            assert slow.recv(1) == b""


def test_one_connection_too_many_is_closed_and_the_others_are_served() -> None:
    request = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\none"
    with looping.loop(most_connections=1) as address, socket.create_connection(address, 60) as first:
        first.sendall(request)
        said(first, ends=b"POST /a one")
        with socket.create_connection(address, 60) as second:
            assert second.recv(1) == b""
        first.sendall(request)
        assert said(first, ends=b"POST /a one")


def test_one_request_too_many_is_503_with_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MOST_WAITING", 0)
    with looping.loop() as address, socket.create_connection(address, 60) as peer:
        peer.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        answer = said(peer, ends=b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: " in answer


def test_an_application_that_fails_is_503_never_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken(environ: object, start_response: object) -> list[bytes]:
        raise RuntimeError("broken")

    with looping.loop(application=broken) as address, socket.create_connection(address, 60) as peer:
        peer.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert said(peer, ends=b"\r\n\r\n").startswith(b"HTTP/1.1 503")
    assert "could not be served" in caplog.text


@pytest.mark.parametrize("escaped", ["", "%", "abc", "%FF%FE", "-----BEGIN%20CERTIFICATE-----"])
def test_what_is_no_certificate_is_none(escaped: str) -> None:
    fields = {"x-client-verified": "SUCCESS", "x-client-certificate": escaped}
    assert certificate_handed_on(fields) is None
