"""Who may say what: every service against a claim to be somebody else, or nobody registered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from oadr import codec
from oadr import messages as m
from tests.vtn import hubs
from vtn.models import Ven
from vtn.services.answering import SERVICES, answer

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
OK = m.EiResponse(request_id="R")
OTHER = "VEN-somebody-else"


def requests_as(ven_id: str) -> list[tuple[str, m.Message, type]]:
    """Return one of every message that carries a venID, with the type its refusal must have."""
    payload = (m.SpecifierPayload("r", "x-notApplicable"),)
    return [
        ("EiRegisterParty", m.CreatePartyRegistration("R", ven_id=ven_id), m.CreatedPartyRegistration),
        ("EiRegisterParty", m.CancelPartyRegistration("R", "REG", ven_id), m.CanceledPartyRegistration),
        ("EiRegisterParty", m.CanceledPartyRegistration(OK, "REG", ven_id), m.Response),
        ("EiRegisterParty", m.Response(OK, ven_id), m.Response),
        ("OadrPoll", m.Poll(ven_id), m.Response),
        ("EiEvent", m.RequestEvent("R", ven_id), m.DistributeEvent),
        ("EiEvent", m.CreatedEvent(OK, ven_id), m.Response),
        (
            "EiOpt",
            m.CreateOpt("R", "O", "optIn", "economic", ven_id, AT, availability=()),
            m.CreatedOpt,
        ),
        ("EiOpt", m.CancelOpt("R", "O", ven_id), m.CanceledOpt),
        ("EiReport", m.RegisterReport("R", (), ven_id), m.RegisteredReport),
        ("EiReport", m.UpdateReport("R", (), ven_id), m.UpdatedReport),
        (
            "EiReport",
            m.CreateReport("R", (m.ReportRequest("RR", "METADATA", 0, 0, payload),), ven_id),
            m.CreatedReport,
        ),
        ("EiReport", m.CancelReport("R", ("RR",), False, ven_id), m.CanceledReport),
        ("EiReport", m.RegisteredReport(OK, (), ven_id), m.Response),
        ("EiReport", m.CreatedReport(OK, (), ven_id), m.Response),
        ("EiReport", m.CanceledReport(OK, (), ven_id), m.Response),
    ]


CASES = [pytest.param(*case, id=codec.message_name(case[1])) for case in requests_as(OTHER)]


@pytest.mark.parametrize(("service", "message", "reply_type"), CASES)
def test_rule_463_a_claim_to_be_another_ven_is_refused_in_the_services_own_reply(
    hub: hubs.TestHub, service: str, message: m.Message, reply_type: type
) -> None:
    answered = answer(service=service, ven=hub.ven, message=message, at=AT)

    assert type(answered.message) is reply_type
    assert answered.message.response.code == m.NOT_REGISTERED  # type: ignore[union-attr]
    assert answered.refusal is not None
    codec.serialise(answered.message)


def test_every_service_is_covered() -> None:
    covered = {(service, type(message)) for service, message, _ in requests_as(OTHER)}
    offered = {(service, kind) for service, kinds in SERVICES.items() for kind in kinds}

    assert offered - covered == {
        ("EiRegisterParty", m.QueryRegistration),
        ("EiEvent", m.Response),
        ("EiReport", m.Response),
    }


@pytest.mark.parametrize("number", range(len(CASES)))
def test_before_registration_nothing_but_registering_is_served(db: None, number: int) -> None:
    hub = hubs.new_hub()
    service, message, _ = requests_as(hub.ven_id)[number]

    reply = hub.says(service, message)

    may_speak = isinstance(message, m.CreatePartyRegistration | m.CanceledPartyRegistration | m.Response)
    expected = {m.OK} if may_speak else {m.NOT_REGISTERED, m.INVALID_ID}
    assert reply.response.code in expected  # type: ignore[union-attr]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_an_absent_ven_id_is_filled_from_the_certificate(hub: hubs.TestHub, number: int) -> None:
    service, message, _ = requests_as("")[number]

    reply = hub.says(service, message)

    assert reply.response.code != m.NOT_REGISTERED  # type: ignore[union-attr]
    assert getattr(reply, "ven_id", "") in ("", hub.ven_id)


@pytest.mark.parametrize("service", SERVICES)
def test_a_message_at_the_wrong_service_is_453(hub: hubs.TestHub, service: str) -> None:
    for other, kinds in SERVICES.items():
        for kind in set(kinds) - set(SERVICES[service]):
            message = next((sent for _, sent, _ in requests_as(hub.ven_id) if type(sent) is kind), None)
            if message is not None and other != service:
                reply = hub.says(service, message)
                assert reply.response.code == m.NOT_RECOGNIZED  # type: ignore[union-attr]


def test_what_only_a_vtn_says_is_453(hub: hubs.TestHub) -> None:
    for message in (m.RequestReregistration(hub.ven_id), m.DistributeEvent("R", "VTN")):
        reply = hub.says("EiEvent", message)
        assert isinstance(reply, m.Response)
        assert reply.response.code == m.NOT_RECOGNIZED


def test_a_neighbours_registration_cannot_be_cancelled(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    for ven_id in ("", hub.ven_id, stranger.ven_id):
        stranger.says("EiRegisterParty", m.CancelPartyRegistration("R", hub.ven.registration_id, ven_id))

    assert Ven.objects.get(pk=hub.ven.pk).registration_id == hub.ven.registration_id


def test_blanks_around_a_ven_id_are_no_other_ven(hub: hubs.TestHub) -> None:
    """Some writers put every text on a line of its own."""
    reply = hub.says("EiEvent", m.RequestEvent("R", f"\n    {hub.ven_id}\n"))

    assert isinstance(reply, m.DistributeEvent)
    assert reply.response.code == m.OK
