"""The production shape as it runs: Debian's nginx ends mutual TLS, the listener knows who speaks."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from oadr import codec
from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.vtn import hubs, proxying
from tests.vtn.hubs import AT, notice_to, only_event
from tests.vtn.listening import exchange, post
from tests.vtn.proxying import Proxy
from vtn import enrolling, shadows
from vtn.models import WireLog
from vtn.port import START, Vtn
from vtn.transports import nginx

pytestmark = pytest.mark.django_db(transaction=True)

POLL = "POST /OpenADR2/Simple/2.0b/OadrPoll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n"


@pytest.fixture(scope="module")
def proxy(
    django_db_setup: None,
    django_db_blocker: object,
    pki_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    with django_db_blocker.unblock(), proxying.proxied(pki_folder, folder) as running:  # type: ignore[attr-defined]
        yield running


@pytest.fixture
def hub(transactional_db: None) -> hubs.TestHub:
    return hubs.registered_hub("hub")


def test_register_poll_answer(proxy: Proxy, hub: hubs.TestHub, vtn: Vtn, tmp_path: Path) -> None:
    client = proxy.listener.connect(proxy.listener.context_of(hub, tmp_path))
    exchange(client, "EiRegisterParty", m.CreatePartyRegistration("R1"))
    assert isinstance(exchange(client, "OadrPoll", m.Poll(hub.ven_id)), m.Response)
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    notice = notice_to(hub.ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))
    event_id = vtn.publish(notice, key="k", at=AT)

    event = only_event(exchange(client, "OadrPoll", m.Poll(hub.ven_id)))
    exchange(client, "EiEvent", hub.answer_to(event))

    assert [opt.event_id for opt in vtn.opts_since(START)[0]] == [event_id]
    assert isinstance(exchange(client, "OadrPoll", m.Poll(hub.ven_id)), m.Response)


def test_a_revoked_certificate_is_refused_on_the_same_connection(
    proxy: Proxy, hub: hubs.TestHub, tmp_path: Path
) -> None:
    client = proxy.listener.connect(proxy.listener.context_of(hub, tmp_path))
    body = codec.serialise(m.Poll(hub.ven_id))
    assert [post(client, "OadrPoll", body)[0] for _ in range(3)] == [200] * 3

    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=AT)

    assert post(client, "OadrPoll", body)[0] == 403
    assert WireLog.objects.filter(code="revoked").count() == 1


def test_a_certificate_in_a_field_of_ones_own_stays_outside(
    proxy: Proxy, hub: hubs.TestHub, tmp_path: Path
) -> None:
    stranger = hubs.registered_hub("stranger")
    client = proxy.listener.connect(proxy.listener.context_of(stranger, tmp_path))
    forged = {
        "Content-Type": "application/xml",
        "X-Client-Certificate": quote(hub.certificate_pem),
        "X-Client-Verified": "SUCCESS",
        "X_Client_Certificate": quote(hub.certificate_pem),
    }

    client.request("POST", "/OpenADR2/Simple/2.0b/OadrPoll", codec.serialise(m.Poll(hub.ven_id)), forged)

    reply = codec.parse(client.getresponse().read())
    assert isinstance(reply, m.Response)
    assert reply.response.code == m.NOT_REGISTERED


def test_the_shadow_and_its_files_pass_the_proxy(proxy: Proxy, hub: hubs.TestHub, tmp_path: Path) -> None:
    shadows.desire({hub.ven_id: {"assets": ["r1"]}}, at=AT)
    firmware = bytes(range(256)) * 4_000
    name = shadows.keep_file(firmware, at=AT)
    client = proxy.listener.connect(proxy.listener.context_of(hub, tmp_path))

    client.request("POST", shadows.SHADOW_PATH, json.dumps({"version": 0, "reported": {"firmware": "1"}}))
    told = json.loads(client.getresponse().read())
    client.request("GET", shadows.FILES_PREFIX + name)
    fetched = client.getresponse().read()

    assert told == {"version": 1, "desired": {"assets": ["r1"]}}
    assert fetched == firmware


def test_without_a_certificate_the_peer_is_cut_off(proxy: Proxy, hub: hubs.TestHub, tmp_path: Path) -> None:
    client = proxy.listener.connect(proxy.listener.context_of(None, tmp_path))

    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        post(client, "OadrPoll", codec.serialise(m.Poll(hub.ven_id)))


def test_nobody_else_may_open_the_listeners_socket(proxy: Proxy) -> None:
    folder = Path(proxy.command[-1])

    assert folder.stat().st_mode & 0o007 == 0
    assert (folder / "vtn.sock").stat().st_mode & 0o007 == 0


def test_on_the_socket_a_certificate_counts_only_when_it_was_verified(
    proxy: Proxy, hub: hubs.TestHub
) -> None:
    body = codec.serialise(m.Poll(hub.ven_id))
    for verified, expected in (
        ("SUCCESS", b"200"),
        ("NONE", b"403"),
        ("FAILED:expired", b"403"),
        ("", b"403"),
    ):
        head = (
            f"{POLL}Content-Length: {len(body)}\r\nX-Client-Verified: {verified}\r\n"
            f"X-Client-Certificate: {quote(hub.certificate_pem)}\r\nConnection: close\r\n\r\n"
        )
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(Path(proxy.command[-1]) / "vtn.sock"))
            peer.sendall(head.encode() + body)
            assert peer.recv(12)[9:] == expected


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_after_a_restart(
    proxy: Proxy, hub: hubs.TestHub, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = proxy.listener.context_of(hub, tmp_path)
    context.minimum_version = context.maximum_version = version
    body = codec.serialise(m.Poll(hub.ven_id))

    def poll(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
        raw = socket.create_connection(("localhost", proxy.listener.port), 60)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
            tls.sendall(f"{POLL}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert tls.recv(4096).startswith(b"HTTP/1.1 200")
            return tls.session, tls.session_reused or False

    session, _ = poll(None)
    proxy.restart()

    assert poll(session)[1]


@pytest.mark.slow
def test_a_slow_handshake_is_waited_for(proxy: Proxy, hub: hubs.TestHub, tmp_path: Path) -> None:
    """When 10,000 hubs come back at once, a handshake lasts as long as all of them together."""
    context = proxy.listener.context_of(hub, tmp_path)
    body = codec.serialise(m.Poll(hub.ven_id))
    raw = socket.create_connection(("localhost", proxy.listener.port), 60)
    time.sleep(15)

    with context.wrap_socket(raw, server_hostname="localhost") as tls:
        tls.sendall(f"{POLL}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert tls.recv(4096).startswith(b"HTTP/1.1 200")


def test_more_requests_than_the_listener_takes_are_503_with_retry_after(
    pki_folder: Path, tmp_path: Path, hub: hubs.TestHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx lets so many wait and no more: here none of a listener that never answers."""
    monkeypatch.setattr(nginx, "MOST_BEHIND", 1)
    folder = tmp_path / "front"
    folder.mkdir(mode=0o750)
    with socket.socket(socket.AF_UNIX) as mute, proxying.fronted(pki_folder, folder) as front:
        mute.bind(str(folder / "vtn.sock"))
        mute.listen()
        first, second = (front.connect(front.context_of(hub, tmp_path)) for _ in range(2))
        path, kind = "/OpenADR2/Simple/2.0b/OadrPoll", {"Content-Type": "application/xml"}
        first.request("POST", path, b"<x/>", kind)
        taken_up, _ = mute.accept()
        second.request("POST", path, b"<x/>", kind)
        response = second.getresponse()
        assert (response.status, response.headers["Retry-After"]) == (503, "10")
        taken_up.close()


def test_a_listener_that_is_away_is_503_with_retry_after(
    proxy: Proxy, hub: hubs.TestHub, tmp_path: Path
) -> None:
    folder = Path(proxy.command[-1])
    path, aside = folder / "vtn.sock", folder / "aside.sock"
    client = proxy.listener.connect(proxy.listener.context_of(hub, tmp_path))
    path.rename(aside)
    try:
        proxy.restart()  # or it would go on with the connections it has kept
        client.request("POST", "/OpenADR2/Simple/2.0b/OadrPoll", b"<x/>", {"Content-Type": "application/xml"})
        response = client.getresponse()
        assert (response.status, response.headers["Retry-After"]) == (503, "10")
        response.read()
    finally:
        aside.rename(path)
