"""A listener takes up a renewed server certificate while it serves: real sockets, real handshakes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from opendsr.kernel import clock
from vtn import serve
from vtn.pki import LEAF_DAYS, Authority, ServerFiles

HOST = "localhost"


class Door:
    """A port that shakes hands with whoever comes, and the certificate it gives."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(peer, server_side=True) as talk:
                    talk.recv(1)
            except OSError:
                peer.close()

    def certificate(self) -> bytes:
        """What a newcomer is shown."""
        asking = ssl.create_default_context()
        asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        with plain, asking.wrap_socket(plain) as talk:
            shown = talk.getpeercert(binary_form=True)
        assert shown is not None
        return shown

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    made = serve.tls_context(authority.server_files(host=HOST, at=clock.wall_now()))
    made.verify_mode = ssl.CERT_NONE  # who comes is not asked here
    return made


@pytest.fixture
def door(context: ssl.SSLContext) -> Iterator[Door]:
    door = Door(context)
    yield door
    door.close()


class Days:
    """The listener's files as they would be some days later."""

    def __init__(self, authority: Authority) -> None:
        self.authority, self.later = authority, timedelta(0)

    def __call__(self, at: datetime) -> list[ServerFiles]:
        return [self.authority.server_files(host=HOST, at=at + self.later)]


def test_near_its_end_it_is_renewed_and_newcomers_get_the_new_one(
    authority: Authority, context: ssl.SSLContext, door: Door
) -> None:
    days = Days(authority)
    renewing = serve.Renewing(context, days)
    renewing.look()
    first = door.certificate()
    renewing.look()
    assert door.certificate() == first

    days.later = timedelta(days=LEAF_DAYS - 59)
    renewing.look()

    assert door.certificate() != first


def test_what_cannot_be_loaded_leaves_the_one_in_use_and_is_tried_again(
    authority: Authority, context: ssl.SSLContext, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    days = Days(authority)
    renewing = serve.Renewing(context, days)
    renewing.look()
    first = door.certificate()
    files = days(clock.wall_now())[0]
    kept = files.certificate.read_bytes()
    other = Authority(authority.folder.parent / "other").server_files(host=HOST, at=clock.wall_now())
    files.certificate.write_bytes(other.certificate.read_bytes())  # its key is another

    renewing = serve.Renewing(context, lambda at: [files])
    renewing.look()
    assert door.certificate() == first
    assert "the one in use stays" in caplog.text

    files.certificate.write_bytes(kept)
    days.later = timedelta(days=LEAF_DAYS - 59)
    days(clock.wall_now())
    renewing.look()
    assert door.certificate() != first


def test_it_looks_by_itself(authority: Authority, context: ssl.SSLContext, door: Door) -> None:
    days = Days(authority)
    looked = threading.Event()

    def files_at(at: datetime) -> list[ServerFiles]:
        found = days(at)
        if days.later:
            looked.set()
        return found

    first = door.certificate()
    renewing = serve.Renewing(context, files_at, every_seconds=0.05)
    renewing.start()
    days.later = timedelta(days=LEAF_DAYS - 59)

    assert looked.wait(60)
    for _ in range(600):
        if door.certificate() != first:
            break
        looked.clear()
        assert looked.wait(60)
    assert door.certificate() != first
