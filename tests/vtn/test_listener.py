"""The listener as it runs: gunicorn, mutual TLS, real sockets, another process's database connections."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from oadr import codec
from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs, listening, looping
from tests.vtn.hubs import AT, notice_to, only_event
from tests.vtn.listening import Listener, exchange, post
from vtn import enrolling, serve
from vtn.models import Event, EventOpt, VenCertificate, WireLog
from vtn.pki import Authority
from vtn.port import START, EventNotice, Vtn
from vtn.services import telling
from vtn.transports import listener as transport

pytestmark = pytest.mark.django_db(transaction=True)


def future_notice(hub: hubs.TestHub) -> EventNotice:
    """An event ahead of the listener's own clock, which is the wall clock here."""
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    return notice_to(hub.ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))


@pytest.fixture(scope="module")
def listener(django_db_setup: None, django_db_blocker: object, pki_folder: Path) -> Iterator[Listener]:
    with django_db_blocker.unblock(), listening.listening(pki_folder) as running:  # type: ignore[attr-defined]
        yield running


@pytest.fixture
def hub(transactional_db: None) -> hubs.TestHub:
    return hubs.new_hub("hub")


def test_register_poll_answer_override(
    listener: Listener, hub: hubs.TestHub, vtn: Vtn, tmp_path: Path
) -> None:
    client = listener.connect(listener.context_of(hub, tmp_path))
    created = exchange(client, "EiRegisterParty", m.CreatePartyRegistration("R1"))
    assert isinstance(created, m.CreatedPartyRegistration)
    assert created.ven_id == hub.ven_id
    event_id = vtn.publish(future_notice(hub), key="k", at=AT)

    event = only_event(exchange(client, "OadrPoll", m.Poll(hub.ven_id)))
    exchange(client, "EiEvent", hub.answer_to(event))
    opt = m.CreateOpt(
        "R3", "O1", "optOut", "overrideStatus", hub.ven_id, AT, event=m.QualifiedEventId(event.event_id, 0)
    )
    exchange(client, "EiOpt", opt)

    opts, _ = vtn.opts_since(START)
    assert [(opt.event_id, opt.opt) for opt in opts] == [(event_id, "in"), (event_id, "out")]
    assert isinstance(exchange(client, "OadrPoll", m.Poll(hub.ven_id)), m.Response)


def test_without_a_certificate_the_handshake_fails(
    listener: Listener, hub: hubs.TestHub, tmp_path: Path
) -> None:
    client = listener.connect(listener.context_of(None, tmp_path))

    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        post(client, "OadrPoll", codec.serialise(m.Poll(hub.ven_id)))
    assert not WireLog.objects.exists()


def test_a_certificate_of_another_authority_fails_the_handshake(
    listener: Listener, hub: hubs.TestHub, tmp_path: Path, settings: object
) -> None:
    settings.VTN_PKI_DIR = tmp_path / "another"  # type: ignore[attr-defined]
    foreigner = hubs.new_hub("foreigner")
    client = listener.connect(listener.context_of(foreigner, tmp_path))

    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        post(client, "OadrPoll", codec.serialise(m.Poll(hub.ven_id)))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(
    listener: Listener, hub: hubs.TestHub, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = listener.context_of(hub, tmp_path)
    context.minimum_version = context.maximum_version = version

    assert post(listener.connect(context), "OadrPoll", codec.serialise(m.Poll(hub.ven_id)))[0] == 200


def test_older_tls_is_not(listener: Listener, hub: hubs.TestHub, tmp_path: Path) -> None:
    context = listener.context_of(hub, tmp_path)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((ssl.SSLError, ConnectionError)):
        listener.connect(context).connect()


def test_a_resumed_session_still_knows_who_speaks(
    listener: Listener, hub: hubs.TestHub, tmp_path: Path
) -> None:
    context = listener.context_of(hub, tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    resumed = 0
    for _ in range(6):
        raw = socket.create_connection((listener.host, listener.port), 60)
        with context.wrap_socket(raw, server_hostname=listener.host, session=session) as tls:
            body = codec.serialise(m.Poll(hub.ven_id))
            head = (
                f"POST /OpenADR2/Simple/2.0b/OadrPoll HTTP/1.1\r\nHost: {listener.host}\r\n"
                f"Content-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            tls.sendall(head.encode() + body)
            assert tls.recv(100).startswith(b"HTTP/1.1 200")
            session = tls.session
            resumed += bool(tls.session_reused)
    assert resumed == 5
    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=AT)
    raw = socket.create_connection((listener.host, listener.port), 60)
    with context.wrap_socket(raw, server_hostname=listener.host, session=session) as tls:
        assert tls.session_reused
        tls.sendall(head.encode() + body)
        assert tls.recv(100).startswith(b"HTTP/1.1 403")


def test_a_peer_silent_in_the_handshake_is_let_go(
    hub: hubs.TestHub, pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "HANDSHAKE_SECONDS", 1.0)
    files = Authority(pki_folder).server_files(host="localhost", at=clock.wall_now())
    with looping.loop(context=serve.tls_context(files)) as port, socket.create_connection(port, 60) as peer:
        peer.sendall(b"\x16")
        assert peer.recv(1) == b""


def test_a_slow_handshake_is_waited_for(
    hub: hubs.TestHub,
    listener: Listener,
    pki_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When all VENs come back at once, theirs last long on either side."""
    monkeypatch.setattr(transport, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(transport, "TICK_SECONDS", 0.1)
    files = Authority(pki_folder).server_files(host="localhost", at=clock.wall_now())
    context = listener.context_of(hub, tmp_path)
    with looping.loop(context=serve.tls_context(files)) as port, socket.create_connection(port, 60) as raw:
        time.sleep(1.0)
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\none")
            assert tls.recv(100).startswith(b"HTTP/1.1 200")


def test_another_hubs_certificate_is_463(
    listener: Listener, hub: hubs.TestHub, vtn: Vtn, tmp_path: Path
) -> None:
    hub.registers()
    stranger = hubs.registered_hub("stranger")
    vtn.publish(future_notice(hub), key="k", at=AT)
    before = list(Event.objects.values())
    client = listener.connect(listener.context_of(stranger, tmp_path))

    for service, message in (
        ("OadrPoll", m.Poll(hub.ven_id)),
        ("EiEvent", m.RequestEvent("R", hub.ven_id)),
    ):
        reply = exchange(client, service, message)
        assert reply.response.code == m.NOT_REGISTERED  # type: ignore[union-attr]
    assert list(Event.objects.values()) == before
    assert WireLog.objects.filter(ven=stranger.ven, code="463").count() == 2


def test_a_poll_judged_before_says_nothing_about_who_sends_it(
    listener: Listener, hub: hubs.TestHub, stranger: hubs.TestHub, tmp_path: Path
) -> None:
    """The listener remembers a poll's very bytes as sound; of another certificate they stay 463."""
    for each in (hub, stranger):
        each.registers(at=AT)
    poll = codec.serialise(m.Poll(hub.ven_id))
    own, other = (listener.connect(listener.context_of(each, tmp_path)) for each in (hub, stranger))
    for client in (own, own, own, other):  # whom it knows to be quiet it answers from memory
        assert (
            post(client, "OadrPoll", codec.serialise(m.Poll("" if client is other else hub.ven_id)))[0] == 200
        )
    for _ in range(2):
        status, body = post(other, "OadrPoll", poll)
        assert (status, codec.parse(body).response.code) == (200, 463)  # type: ignore[attr-defined]
    assert codec.parse(post(own, "OadrPoll", poll)[1]).response.code == 200  # type: ignore[attr-defined]


def test_a_revoked_certificate_is_403_on_the_same_connection(
    listener: Listener, hub: hubs.TestHub, tmp_path: Path
) -> None:
    client = listener.connect(listener.context_of(hub, tmp_path))
    body = codec.serialise(m.Poll(hub.ven_id))
    assert post(client, "OadrPoll", body)[0] == 200

    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=AT)

    assert post(client, "OadrPoll", body)[0] == 403
    assert WireLog.objects.filter(code="revoked").count() == 1


def test_a_forgotten_certificate_is_403(listener: Listener, hub: hubs.TestHub, tmp_path: Path) -> None:
    VenCertificate.objects.all().delete()
    client = listener.connect(listener.context_of(hub, tmp_path))

    assert post(client, "OadrPoll", codec.serialise(m.Poll(hub.ven_id)))[0] == 403


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (400, "has_doctype", b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>'),
        (400, "not_well_formed", b"<oadr:oadrPoll>"),
        (400, "schema_invalid", codec.serialise(m.Poll("VEN-1")).replace(b"ei:venID", b"ei:vtnID")),
        (413, "too_large", b"<!--" + b"x" * 300 * 1024 + b"-->"),
        (413, "too_large", b"<!--" + b"x" * 3 * 1024 * 1024 + b"-->"),
    ],
)
def test_bad_bodies_are_refused_logged_once_and_the_hub_is_served_on(
    listener: Listener, hub: hubs.TestHub, tmp_path: Path, status: int, code: str, body: bytes
) -> None:
    hub.registers()
    client = listener.connect(listener.context_of(hub, tmp_path))

    assert post(client, "OadrPoll", body)[0] == status

    entry = WireLog.objects.get()
    assert (entry.ven, entry.code, entry.http_status) == (hub.ven, code, status)
    assert not EventOpt.objects.exists()
    assert isinstance(exchange(client, "OadrPoll", m.Poll(hub.ven_id)), m.Response)


def test_a_body_of_unknown_length_is_411(listener: Listener, hub: hubs.TestHub, tmp_path: Path) -> None:
    client = listener.connect(listener.context_of(hub, tmp_path))
    client.request("POST", "/OpenADR2/Simple/2.0b/OadrPoll", body=iter([b"<x/>"]), encode_chunked=True)

    assert client.getresponse().status == 411


def test_a_taken_port_says_so_and_ends(listener: Listener, pki_folder: Path) -> None:
    done = subprocess.run(
        listening.command(listener.port),
        cwd=listening.ROOT,
        env=listening.environment(pki_folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode != 0
    assert f"Port {listener.port}" in done.stderr
    assert "VTN_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@dataclass
class PatientHub:
    """A hub that repeats an answer until it has heard that it counts, whatever happens to the listener."""

    hub: hubs.TestHub
    context: ssl.SSLContext
    unheard: dict[str, m.Event] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)

    def plays(self, where: Callable[[], Listener], *, until: int, patience_seconds: float) -> None:
        deadline = time.monotonic() + patience_seconds
        while len(self.heard) < until and time.monotonic() < deadline:
            client = where().connect(self.context)
            try:
                while len(self.heard) < until:
                    self._exchanges(client)
                    time.sleep(0.01)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            finally:
                client.close()

    def _exchanges(self, client: http.client.HTTPSConnection) -> None:
        reply = exchange(client, "OadrPoll", m.Poll(self.hub.ven_id))
        if isinstance(reply, m.DistributeEvent):
            self.unheard |= {each.event_id: each for each in reply.events if each.event_id not in self.heard}
        for event in list(self.unheard.values()):
            answered = exchange(client, "EiEvent", self.hub.answer_to(event))
            assert isinstance(answered, m.Response)
            assert answered.response.code == m.OK
            self.heard.add(event.event_id)
            del self.unheard[event.event_id]


def told_of(topic: str) -> list[object]:
    """The event ids that facts of the topic speak of, told alone or together."""
    alone = OutboxFact.objects.filter(topic=topic).values_list("payload", flat=True)
    together = OutboxFact.objects.filter(topic=telling.TOGETHER[topic]).values_list("payload", flat=True)
    return [told["event_id"] for told in (*alone, *(part for fact in together for part in fact["parts"]))]


@pytest.mark.slow
def test_killed_while_hubs_fetch_and_answer_nothing_is_lost_or_doubled(
    transactional_db: None, pki_folder: Path, vtn: Vtn, tmp_path: Path
) -> None:
    """Workers, then all of the listener, die by SIGKILL amid hand-overs and answers."""
    homes, rounds = 6, 8
    known = [hubs.registered_hub(f"hub {number}") for number in range(homes)]
    current: list[Listener] = []

    def publish(number: int) -> None:
        notices = {f"{number}:{hub.ven_id}": future_notice(hub) for hub in known}
        vtn.publish_many(notices, at=clock.now())

    with ExitStack() as stack, ThreadPoolExecutor(homes) as pool:
        current.append(stack.enter_context(listening.listening(pki_folder)))
        patient = [PatientHub(hub, current[0].context_of(hub, tmp_path)) for hub in known]
        playing = [
            pool.submit(each.plays, lambda: current[-1], until=rounds, patience_seconds=300)
            for each in patient
        ]
        for number in range(rounds - 1):
            publish(number)
            time.sleep(0.02 * number)
            for worker in current[-1].workers():
                os.kill(worker, signal.SIGKILL)
        publish(rounds - 1)
        workers = current[-1].workers()
        for pid in (current[-1].pid, *workers):
            os.kill(pid, signal.SIGKILL)
        current.append(stack.enter_context(listening.listening(pki_folder)))
        for each in playing:
            each.result()

    assert [len(each.heard) for each in patient] == [rounds] * homes
    events = homes * rounds
    assert Event.objects.filter(acknowledged_modification=0).count() == events
    assert EventOpt.objects.filter(opt="in").count() == events == EventOpt.objects.count()
    assert sorted(told_of(telling.RECEIVED)) == sorted(told_of(telling.DELIVERED))
    assert len(told_of(telling.DELIVERED)) == len(set(told_of(telling.DELIVERED))) == events
