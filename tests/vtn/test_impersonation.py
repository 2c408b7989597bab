"""The impersonation suite: every message of every service, said by somebody who is not its VEN.

Made from the services' own table: a service or message added there is attacked too. Each
attack must leave every row of the VTN as it was and be logged once. The same rows go
through the application and through a listener as it runs, whose shortcuts are other code.
"""

from __future__ import annotations

import dataclasses
import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
from django.apps import apps

from oadr import codec, signing
from oadr import messages as m
from oadr.signing import ReplayProtect
from opendsr.kernel import clock, ids
from opendsr.kernel.interval import Interval
from tests.oadr import samples
from tests.oadr.signatures import wrapped
from tests.vtn import hubs, listening
from tests.vtn.test_identity import requests_as
from tests.vtn.test_wsgi import _keep_the_tests_connection as _keep_the_tests_connection
from tests.vtn.test_wsgi import post
from vtn import enrolling
from vtn.models import SeenNonce, Ven, WireLog
from vtn.port import Vtn
from vtn.service import EmbeddedVtn
from vtn.services.answering import SERVICES

pytestmark = pytest.mark.django_db

ROWS: Final = [(service, kind) for service, kinds in SERVICES.items() for kind in kinds]
NAMES: Final = [f"{service}-{kind.__name__}" for service, kind in ROWS]
LOGS: Final = {"WireLog", "MessageLog", "SeenNonce", "VenWatch"}
"""What an attack may leave behind: that it was made. Some are written a moment later, by a thread."""
CLOCK_FIELDS: Final = {"last_seen_wall_at", "first_used_wall_at"}

Ask = Callable[[hubs.TestHub | None, str, bytes], int]
"""Post a body to a service as a hub (None: no certificate); the HTTP status, 0 for a failed handshake."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A home with an event, an opt and a schedule; and the neighbour who would speak for it."""

    victim: hubs.TestHub
    attacker: hubs.TestHub
    event: m.Event

    def says(self, kind: type) -> m.Message:
        """The message as the victim would say it, with ids that work if anybody believes it."""
        ven_id, registration_id = str(self.victim.ven_id), self.victim.ven.registration_id
        ok = m.EiResponse(request_id="R")
        about = m.QualifiedEventId(self.event.event_id, self.event.modification_number)
        known: dict[type, m.Message] = {
            m.CreatePartyRegistration: m.CreatePartyRegistration("R", registration_id, ven_id, "2.0b"),
            m.CancelPartyRegistration: m.CancelPartyRegistration("R", registration_id, ven_id),
            m.CanceledPartyRegistration: m.CanceledPartyRegistration(ok, registration_id, ven_id),
            m.Poll: m.Poll(ven_id),
            m.RequestEvent: m.RequestEvent("R", ven_id),
            m.CreatedEvent: m.CreatedEvent(ok, ven_id, (m.EventResponse(about, "optOut", "R"),)),
            m.CreateOpt: m.CreateOpt(
                "R", "O-victim", "optOut", "overrideStatus", ven_id, hubs.AT, event=about
            ),
            m.CancelOpt: m.CancelOpt("R", "S-victim", ven_id),
            m.QueryRegistration: m.QueryRegistration("R"),
        }
        known = {type(each): each for _, each, _ in requests_as(ven_id)} | known
        message = known.get(kind) or _smallest(kind)
        if has_ven_id(message):
            message = dataclasses.replace(message, ven_id=ven_id)  # type: ignore[type-var]
        return message

    def signed(self, message: m.Message, *, by: hubs.TestHub, at: datetime) -> bytes:
        theirs = signing.load_identity(
            key_pem=by.key_pem.encode(), certificate_pem=by.certificate_pem.encode()
        )
        protect = ReplayProtect(at, ids.random_token())
        return signing.sign(codec.serialise(message), identity=theirs, replay_protect=protect)


@cache
def _smallest(kind: type) -> m.Message:
    """The simplest message of a kind that the wire's own strategies know."""
    quick = hypothesis.settings(max_examples=2_000, derandomize=True, database=None, deadline=None)
    return hypothesis.find(samples.messages, lambda message: type(message) is kind, settings=quick)


def set_scene(vtn: Vtn) -> Scene:
    victim, attacker = hubs.registered_hub("victim"), hubs.registered_hub("attacker")
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    notice = hubs.notice_to(victim.ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))
    vtn.publish(notice, key="k", at=clock.now())
    said = victim.says("EiEvent", m.RequestEvent("R", victim.ven_id), at=clock.now())
    event = hubs.only_event(said)
    victim.answers(event, "optIn", at=clock.now())
    victim.says(
        "EiOpt",
        m.CreateOpt("R", "S-victim", "optOut", "notParticipating", victim.ven_id, hubs.AT, availability=()),
    )
    victim.ven.refresh_from_db()
    attacker.ven.refresh_from_db()
    return Scene(victim, attacker, event)


def everything(*, without: Ven | None = None) -> dict[str, list[dict[str, Any]]]:
    """Every row of the VTN but its logs; `without` leaves out one VEN and what is its own."""
    found = {}
    for model in apps.get_app_config("vtn").get_models():
        if model.__name__ in LOGS:
            continue
        rows = [
            {name: value for name, value in row.items() if name not in CLOCK_FIELDS}
            for row in model._default_manager.order_by("pk").values()
        ]
        if without is not None:
            rows = [
                row for row in rows if row.get("ven_id") not in (without.pk, getattr(without, "ven_id", ""))
            ]
        found[model.__name__] = rows
    return found


@dataclass(frozen=True, slots=True)
class Attack:
    """What it is called, whose certificate ends the handshake, and the body posted."""

    name: str
    by: hubs.TestHub | None
    body: bytes
    is_claim: bool = False
    """Well formed and fresh: refused inside the protocol, with 463 in the service's own reply."""


def attacks_on(scene: Scene, message: m.Message, *, is_wrapped: bool = True) -> Iterator[Attack]:
    """Every column of the suite for one message of the victim's."""
    victim, attacker, now = scene.victim, scene.attacker, datetime.now(UTC)
    plain = codec.serialise(message)
    yield Attack("no certificate", None, plain)
    if has_ven_id(message):
        yield Attack("another VEN's certificate, the victim's venID", attacker, plain, is_claim=True)
    yield Attack(
        "another VEN's certificate, the victim's signature",
        attacker,
        scene.signed(message, by=victim, at=now),
    )
    yield Attack(
        "the victim's connection, another VEN's signature",
        victim,
        scene.signed(message, by=attacker, at=now),
    )
    for name, offset in (("a month ahead", timedelta(days=30)), ("an hour ago", timedelta(hours=-1))):
        yield Attack(f"signed {name}", victim, scene.signed(message, by=victim, at=now + offset))
    if is_wrapped:
        harmless = scene.signed(m.RequestEvent("harmless", victim.ven_id), by=victim, at=now)
        for name, body in wrapped(harmless, plain).items():
            yield Attack(f"wrapped: {name}", victim, body)


def has_ven_id(message: m.Message) -> bool:
    return any(field.name == "ven_id" for field in dataclasses.fields(message))  # type: ignore[arg-type]


def attack(scene: Scene, ask: Ask, service: str, kind: type, *, is_wrapped: bool = True) -> None:
    """Make every attack with one message: each refused and logged once, nothing moved by all of them."""
    before, logged = everything(), WireLog.objects.count()
    heard = 0
    for each in attacks_on(scene, scene.says(kind), is_wrapped=is_wrapped):
        status = ask(each.by, service, each.body)
        about = (each.name, kind.__name__, service, status)
        assert status == 200 if each.is_claim else status in (0, 400, 403), about
        heard += status != 0  # a handshake that fails never reaches the application
        if each.is_claim:
            assert WireLog.objects.order_by("-pk")[0].code == str(m.NOT_REGISTERED), about
    assert WireLog.objects.count() == logged + heard
    assert everything() == before, (kind, service)


def speak_without_ven_id(scene: Scene, ask: Ask, service: str, kind: type) -> None:
    """Whatever comes of it, it is the speaker's own: nothing of the victim's moves."""
    before = everything(without=scene.attacker.ven)

    named = b"<ei:venID>" + str(scene.victim.ven_id).encode() + b"</ei:venID>"
    ask(scene.attacker, service, codec.serialise(scene.says(kind)).replace(named, b""))

    about = f"no venID: {kind.__name__} at {service}"
    assert everything(without=scene.attacker.ven) == before, about


def replay(scene: Scene, ask: Ask, service: str, kind: type) -> None:
    body = scene.signed(scene.says(kind), by=scene.victim, at=datetime.now(UTC))
    assert ask(scene.victim, service, body) == 200, kind
    before, logged = everything(), WireLog.objects.count()

    assert ask(scene.victim, service, body) == 403, f"replayed: {kind.__name__} at {service}"

    assert everything() == before
    assert WireLog.objects.count() == logged + 1
    assert WireLog.objects.order_by("-pk")[0].code == "replayed"


def through_application(hub: hubs.TestHub | None, service: str, body: bytes) -> int:
    return post(hub, body, path=f"/OpenADR2/Simple/2.0b/{service}").status


@pytest.mark.parametrize(("service", "kind"), ROWS, ids=NAMES)
def test_nobody_speaks_for_another(db: None, vtn: Vtn, service: str, kind: type) -> None:
    scene = set_scene(vtn)
    attack(scene, through_application, service, kind)
    speak_without_ven_id(scene, through_application, service, kind)


@pytest.mark.parametrize(("service", "kind"), ROWS, ids=NAMES)
def test_nothing_is_said_twice(db: None, vtn: Vtn, service: str, kind: type) -> None:
    replay(set_scene(vtn), through_application, service, kind)


def test_the_attacks_would_work_for_the_victim_itself(db: None, vtn: Vtn) -> None:
    """The suite attacks with messages that are acted on when their own VEN says them."""
    scene = set_scene(vtn)
    for service, kind in (
        ("EiEvent", m.CreatedEvent),
        ("EiOpt", m.CreateOpt),
        ("EiOpt", m.CancelOpt),
        ("EiRegisterParty", m.CancelPartyRegistration),
    ):
        before = everything()
        assert through_application(scene.victim, service, codec.serialise(scene.says(kind))) == 200
        assert everything() != before, kind
    assert not WireLog.objects.exists()


# ---- through a listener as it runs


@pytest.fixture(scope="module")
def listener(django_db_setup: None, django_db_blocker: Any, pki_folder: Path) -> Iterator[listening.Listener]:
    with django_db_blocker.unblock(), listening.listening(pki_folder) as running:
        yield running


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_nobody_speaks_for_another_to_a_listener_as_it_runs(
    listener: listening.Listener, tmp_path: Path
) -> None:
    scene = set_scene(EmbeddedVtn())
    clients: dict[str, http.client.HTTPSConnection] = {}

    def ask(hub: hubs.TestHub | None, service: str, body: bytes) -> int:
        name = hub.ven_id if hub else ""
        client = clients.get(name) or listener.connect(listener.context_of(hub, tmp_path))
        try:
            status = listening.post(client, service, body)[0]
        except (OSError, http.client.HTTPException):
            return 0
        clients[name] = client
        return status

    # The listener remembers both as quiet, so that its shortcuts are what is attacked.
    for hub in (scene.victim, scene.attacker):
        for _ in range(2):
            assert ask(hub, "OadrPoll", codec.serialise(m.Poll(hub.ven_id))) == 200
    for service, kind in ROWS:
        attack(scene, ask, service, kind, is_wrapped=False)
        speak_without_ven_id(scene, ask, service, kind)
    replay(scene, ask, "OadrPoll", m.Poll)
    assert SeenNonce.objects.count() == 1
    enrolling.revoke_certificate(ven_id=scene.attacker.ven_id, reason="caught", at=hubs.AT)
    assert ask(scene.attacker, "OadrPoll", codec.serialise(m.Poll(scene.attacker.ven_id))) == 403
