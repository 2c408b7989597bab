"""The table of reply codes, 450 to 469, at the door: which this VTN sends and when, and which it only takes.

450 to 459 say that the message is at fault, 460 to 469 that it cannot be carried out here. The table leaves
455 to 458 and 464 to 468 unassigned ("other"): a VTN that sent one would tell a VEN nothing, so this one
says 459 or a code with a meaning, and 460 and 469 are a VEN's to send. What a VTN must do with every one
of them is take it from a VEN as the refusal that it is: the message is not sent again as though unheard,
what was asked is not counted as done, and staff read the code.

A fault of this VTN's own is no reply code: 503 with Retry-After has a VEN send the message again, where it
would put away for good what a 469 refuses. Each message here, either way, holds against the 2.0b schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from oadr import codec, schema
from oadr import messages as m
from opendsr.kernel import clock
from tests.oadr import samples
from tests.vtn import hubs, test_reports, test_wsgi
from tests.vtn.hubs import AT, notice_to, only_event
from tests.vtn.test_reports import USAGE, tells
from vtn import registering, reporting, wsgi
from vtn.models import MessageLog, QueuedMessage, ReportOffer, ReportRequest, Ven
from vtn.port import START, Vtn
from vtn.services import answering

pytestmark = pytest.mark.django_db

STAFF = "staff:1"
UNASSIGNED = (*range(455, 459), *range(464, 469))
NEVER_SENT = {*UNASSIGNED, m.SIGNAL_NOT_SUPPORTED, m.DEPLOYMENT_ERROR}
SENT = {
    m.OUT_OF_SEQUENCE,
    m.NOT_ALLOWED,
    m.INVALID_ID,
    m.NOT_RECOGNIZED,
    m.INVALID_DATA,
    m.COMPLIANCE_ERROR,
    m.REPORT_NOT_SUPPORTED,
    m.TARGET_MISMATCH,
    m.NOT_REGISTERED,
}


@pytest.fixture(autouse=True)
def _keep_the_tests_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)
    clock.configure(AT, speed=0)


def at_the_door(hub: hubs.TestHub, service: str, message: m.Message) -> m.Message:
    """Post the message as the hub; the reply, both held against the schema."""
    body = codec.serialise(message)
    schema.require_valid(etree.fromstring(body))
    replied = test_wsgi.post(hub, body, path=f"/OpenADR2/Simple/2.0b/{service}")
    assert replied.status == 200
    schema.require_valid(etree.fromstring(replied.body))
    return replied.message


def told(reply: m.Message) -> tuple[str, int]:
    response = getattr(reply, "response", None)
    assert isinstance(response, m.EiResponse)
    return codec.message_name(reply), response.code


def event_for(vtn: Vtn, hub: hubs.TestHub, **changes: object) -> m.Event:
    vtn.publish(notice_to(hub.ven_id, **changes), key="k", at=AT)
    return only_event(at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id)))


# ---- what this VTN says: one situation a code and reply type

Situation = Callable[[Vtn, hubs.TestHub], tuple[str, m.Message]]


def stale_answer(vtn: Vtn, hub: hubs.TestHub) -> tuple[str, m.Message]:
    return "EiEvent", hub.answer_to(replace(event_for(vtn, hub), modification_number=7))


def stale_opt(vtn: Vtn, hub: hubs.TestHub) -> tuple[str, m.Message]:
    event = m.QualifiedEventId(event_for(vtn, hub).event_id, 7)
    return "EiOpt", m.CreateOpt("R", "O", "optOut", "economic", hub.ven_id, AT, event=event)


def opt_for_other_resource(vtn: Vtn, hub: hubs.TestHub) -> tuple[str, m.Message]:
    event = m.QualifiedEventId(event_for(vtn, hub, resource_ids=("boiler",)).event_id, 0)
    target = m.Target(resource_ids=("charger",))
    return "EiOpt", m.CreateOpt("R", "O", "optOut", "economic", hub.ven_id, AT, event=event, target=target)


def opt_for_other_ven(vtn: Vtn, hub: hubs.TestHub) -> tuple[str, m.Message]:
    periods = (m.AvailablePeriod(AT, 3600),)
    target = m.Target(ven_ids=("VEN-other",))
    opt = m.CreateOpt("R", "O", "optOut", "economic", hub.ven_id, AT, availability=periods, target=target)
    return "EiOpt", opt


def opt_for_everything(vtn: Vtn, hub: hubs.TestHub) -> tuple[str, m.Message]:
    periods = tuple(m.AvailablePeriod(AT + n * timedelta(days=1), 3600) for n in range(400))
    return "EiOpt", m.CreateOpt("R", "O", "optOut", "economic", hub.ven_id, AT, availability=periods)


def report_with_a_number_for_a_status(vtn: Vtn, hub: hubs.TestHub) -> tuple[str, m.Message]:
    registered = at_the_door(hub, "EiReport", m.RegisterReport("R", (test_reports.STATUS,), hub.ven_id))
    assert isinstance(registered, m.RegisteredReport)
    (request,) = registered.report_requests
    report = tells(request.report_request_id, (0, 1.0), r_id="charger", name="TELEMETRY_STATUS")
    return "EiReport", m.UpdateReport("R", (report,), hub.ven_id)


def of(service: str, build: Callable[[hubs.TestHub], m.Message]) -> Situation:
    return lambda vtn, hub: (service, build(hub))


SITUATIONS: list[tuple[int, str, Situation]] = [
    (450, "oadrResponse", stale_answer),
    (450, "oadrCreatedOpt", stale_opt),
    (451, "oadrCreatedPartyRegistration", of("EiRegisterParty", lambda hub: m.CreatePartyRegistration(
        "R", hub.ven.registration_id, hub.ven_id, profile_name="2.0a"))),
    (451, "oadrCreatedPartyRegistration", of("EiRegisterParty", lambda hub: m.CreatePartyRegistration(
        "R", hub.ven.registration_id, hub.ven_id, transport_name="xmpp", transport_address="a@b"))),
    (451, "oadrCreatedPartyRegistration", of("EiRegisterParty", lambda hub: m.CreatePartyRegistration(
        "R", hub.ven.registration_id, hub.ven_id, is_http_pull=False))),
    (452, "oadrCreatedPartyRegistration", of("EiRegisterParty", lambda hub: m.CreatePartyRegistration(
        "R", "REG-x", hub.ven_id))),
    (452, "oadrCanceledPartyRegistration", of("EiRegisterParty", lambda hub: m.CancelPartyRegistration(
        "R", "REG-x", hub.ven_id))),
    (452, "oadrResponse", of("EiEvent", lambda hub: m.CreatedEvent(m.EiResponse(request_id="R"), hub.ven_id, (
        m.EventResponse(m.QualifiedEventId("EV-x", 0), "optIn", "R"),)))),
    (452, "oadrCreatedOpt", of("EiOpt", lambda hub: m.CreateOpt(
        "R", "O", "optIn", "economic", hub.ven_id, AT, event=m.QualifiedEventId("EV-x", 0)))),
    (452, "oadrCanceledOpt", of("EiOpt", lambda hub: m.CancelOpt("R", "O-x", hub.ven_id))),
    (452, "oadrRegisteredReport", of("EiReport", lambda hub: m.RegisterReport(
        "R", (replace(USAGE, report_specifier_id="s" * 101),), hub.ven_id))),
    (452, "oadrUpdatedReport", of("EiReport", lambda hub: m.UpdateReport(
        "R", (tells("RR-x", (0, 1.0)),), hub.ven_id))),
    (452, "oadrCanceledReport", of("EiReport", lambda hub: m.CancelReport(
        "R", ("RR-x",), False, hub.ven_id))),
    (453, "oadrResponse", of("EiEvent", lambda hub: m.Poll(hub.ven_id))),
    (453, "oadrCreatedOpt", of("EiEvent", lambda hub: m.CreateOpt(
        "R", "O", "optIn", "economic", hub.ven_id, AT, availability=(m.AvailablePeriod(AT, 1),)))),
    (454, "oadrCreatedOpt", opt_for_everything),
    (454, "oadrRegisteredReport", of("EiReport", lambda hub: m.RegisterReport(
        "R", (replace(USAGE, descriptions=USAGE.descriptions[:1] * 2),), hub.ven_id))),
    (454, "oadrUpdatedReport", report_with_a_number_for_a_status),
    (461, "oadrRegisteredReport", of("EiReport", lambda hub: m.RegisterReport(
        "R", (replace(USAGE, report_name="TELEMETRY_USAGE"),), hub.ven_id))),
    (461, "oadrCreatedReport", of("EiReport", lambda hub: m.CreateReport("R", (
        m.ReportRequest("RR", "power", 0, 0, (m.SpecifierPayload("r", "Direct Read"),)),), hub.ven_id))),
    (462, "oadrCreatedOpt", opt_for_other_resource),
    (462, "oadrCreatedOpt", opt_for_other_ven),
    (463, "oadrResponse", of("OadrPoll", lambda hub: m.Poll("VEN-other"))),
    (463, "oadrDistributeEvent", of("EiEvent", lambda hub: m.RequestEvent("R", "VEN-other"))),
    (463, "oadrResponse", of("EiEvent", lambda hub: m.CreatedEvent(
        m.EiResponse(request_id="R"), "VEN-other"))),
    (463, "oadrCanceledOpt", of("EiOpt", lambda hub: m.CancelOpt("R", "O", "VEN-other"))),
    (463, "oadrRegisteredReport", of("EiReport", lambda hub: m.RegisterReport("R", (), "VEN-other"))),
    (463, "oadrUpdatedReport", of("EiReport", lambda hub: m.UpdateReport("R", (), "VEN-other"))),
    (463, "oadrCreatedPartyRegistration", of("EiRegisterParty", lambda hub: m.CreatePartyRegistration(
        "R", "REG-x", "VEN-other"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "reply", "situation"),
    SITUATIONS,
    ids=[f"{n}-{code}-{reply}" for n, (code, reply, _) in enumerate(SITUATIONS)],
)
def test_code_is_told_in_the_services_own_reply_with_a_reason(
    code: int, reply: str, situation: Situation, vtn: Vtn, hub: hubs.TestHub
) -> None:
    service, message = situation(vtn, hub)

    answered = at_the_door(hub, service, message)

    assert told(answered) == (reply, code)
    response: m.EiResponse = answered.response  # type: ignore[union-attr,assignment]
    assert response.description
    assert response.request_id == answering.request_id_of(message)
    assert MessageLog.objects.order_by("-pk")[0].code == str(code)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<x/>", "no message of the profile"),
        (b"<oadrPoll", "not well formed"),
        (codec.serialise(m.Poll("V")).replace(b"venID", b"venName"), "well formed, against the schema"),
        (codec.serialise(m.Poll("V")).replace(b"2.0b", b"2.0c"), "another version"),
    ],
)
def test_code_459_is_told_with_http_400_for_a_body_that_breaks_the_profile(
    body: bytes, why: str, hub: hubs.TestHub
) -> None:
    replied = test_wsgi.post(hub, body)

    assert replied.status == 400, why
    assert told(replied.message) == ("oadrResponse", m.COMPLIANCE_ERROR)


def test_every_code_that_is_sent_has_a_situation() -> None:
    assert {code for code, _, _ in SITUATIONS} | {m.COMPLIANCE_ERROR} == SENT
    assert not SENT & NEVER_SENT
    assert set(range(450, 470)) == SENT | NEVER_SENT


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=samples.messages, service=st.sampled_from(sorted(answering.SERVICES)), is_own=st.booleans())
def test_codes_455_to_458_460_464_to_468_and_469_are_never_sent(
    message: m.Message, service: str, is_own: bool, hub: hubs.TestHub
) -> None:
    if is_own and hasattr(message, "ven_id"):
        message = replace(message, ven_id=hub.ven_id)  # type: ignore[arg-type]

    replied = test_wsgi.post(hub, codec.serialise(message), path=f"/OpenADR2/Simple/2.0b/{service}")

    response = getattr(replied.message, "response", None)
    code = response.code if response is not None else m.OK
    assert code not in NEVER_SENT
    assert code in SENT | {m.OK}


# ---- what a VEN says: a refusal of what this VTN began


@pytest.mark.parametrize("code", range(450, 470))
def test_code_from_a_ven_about_an_event_is_an_opt_out_with_its_reason(
    code: int, vtn: Vtn, hub: hubs.TestHub
) -> None:
    event = event_for(vtn, hub)
    answer = hub.answer_to(event, "optIn", code=code)  # a refusal counts, whatever stands beside it

    assert told(at_the_door(hub, "EiEvent", answer)) == ("oadrResponse", m.OK)

    (opt,) = vtn.opts_since(START)[0]
    assert (opt.opt, opt.reason) == ("out", str(code))
    assert told(at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id))) == ("oadrResponse", m.OK)


@pytest.mark.parametrize("code", UNASSIGNED)
def test_code_from_a_ven_about_a_whole_payload_leaves_its_events_unanswered(
    code: int, vtn: Vtn, hub: hubs.TestHub
) -> None:
    event = event_for(vtn, hub)
    failed = m.CreatedEvent(m.EiResponse(code, "not now", "R"), hub.ven_id)

    assert told(at_the_door(hub, "EiEvent", failed)) == ("oadrResponse", m.OK)

    assert vtn.opts_since(START)[0] == []
    again = at_the_door(hub, "EiEvent", m.RequestEvent("R", hub.ven_id))
    assert only_event(again).event_id == event.event_id


@pytest.mark.parametrize("is_plain", [False, True], ids=["oadrCreatedReport", "oadrResponse"])
@pytest.mark.parametrize("code", UNASSIGNED)
def test_code_from_a_ven_about_a_report_request_refuses_the_request(
    code: int, is_plain: bool, hub: hubs.TestHub
) -> None:
    at_the_door(hub, "EiReport", m.RegisterReport("R", (test_reports.HISTORY,), hub.ven_id))
    request = reporting.ask_for_report(ven_id=hub.ven_id, specifier_id="history-1", at=AT, by=STAFF)
    asked = at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id))
    assert isinstance(asked, m.CreateReport)
    response = m.EiResponse(code, "no meter", asked.request_id)
    refusal = m.Response(response, hub.ven_id) if is_plain else m.CreatedReport(response, (), hub.ven_id)

    assert told(at_the_door(hub, "EiReport", refusal)) == ("oadrResponse", m.OK)

    request.refresh_from_db()
    assert (request.state, request.note) == ("refused", f"{code} no meter")
    assert QueuedMessage.objects.get().state == "answered"


@pytest.mark.parametrize("is_plain", [False, True], ids=["oadrCanceledReport", "oadrResponse"])
@pytest.mark.parametrize("code", UNASSIGNED)
def test_code_from_a_ven_about_a_cancelled_report_has_it_run_on(
    code: int, is_plain: bool, hub: hubs.TestHub
) -> None:
    registered = at_the_door(hub, "EiReport", m.RegisterReport("R", (USAGE,), hub.ven_id))
    assert isinstance(registered, m.RegisteredReport)
    report_request_id = registered.report_requests[0].report_request_id
    reporting.cancel_reports(ven_id=hub.ven_id, report_request_ids=[report_request_id], at=AT, by=STAFF)
    asked = at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id))
    assert isinstance(asked, m.CancelReport)
    response = m.EiResponse(code, "cannot", asked.request_id)
    pending = (report_request_id,)
    refusal = (
        m.Response(response, hub.ven_id) if is_plain else m.CanceledReport(response, pending, hub.ven_id)
    )

    assert told(at_the_door(hub, "EiReport", refusal)) == ("oadrResponse", m.OK)

    request = ReportRequest.objects.get()
    assert (request.state, request.note) == ("running", f"not cancelled: {code} cannot")
    update = m.UpdateReport("R", (tells(report_request_id, (0, 1.0)),), hub.ven_id)
    assert told(at_the_door(hub, "EiReport", update)) == ("oadrUpdatedReport", m.OK)
    reporting.cancel_reports(ven_id=hub.ven_id, report_request_ids=[report_request_id], at=AT, by=STAFF)
    assert isinstance(at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id)), m.CancelReport)  # staff may try again


@pytest.mark.parametrize("code", UNASSIGNED)
def test_code_from_a_ven_about_its_registration_leaves_it_registered(code: int, hub: hubs.TestHub) -> None:
    registering.cancel_registration(ven_id=hub.ven_id, at=AT, by=STAFF)
    asked = at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id))
    assert isinstance(asked, m.CancelPartyRegistration)
    refusal = m.CanceledPartyRegistration(
        m.EiResponse(code, "busy", asked.request_id), asked.registration_id, hub.ven_id
    )

    assert told(at_the_door(hub, "EiRegisterParty", refusal)) == ("oadrResponse", m.OK)

    assert Ven.objects.get().is_registered
    assert QueuedMessage.objects.values_list("state", "answer_code", "note").get() == (
        "answered",
        code,
        "busy",
    )


@pytest.mark.parametrize("code", UNASSIGNED)
def test_code_from_a_ven_about_registering_again_is_kept_for_staff(code: int, hub: hubs.TestHub) -> None:
    registering.request_reregistration(ven_id=hub.ven_id, at=AT, by=STAFF)
    assert isinstance(at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id)), m.RequestReregistration)
    refusal = m.Response(m.EiResponse(code, "busy", ""), hub.ven_id)

    assert told(at_the_door(hub, "EiRegisterParty", refusal)) == ("oadrResponse", m.OK)

    assert QueuedMessage.objects.values_list("state", "answer_code").get() == ("answered", code)
    assert told(at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id))) == ("oadrResponse", m.OK)


@pytest.mark.parametrize("code", UNASSIGNED)
def test_code_from_a_ven_about_our_own_reports_changes_nothing_it_offers(
    code: int, hub: hubs.TestHub
) -> None:
    at_the_door(hub, "EiReport", m.RegisterReport("R", (USAGE,), hub.ven_id))
    reporting.offer_own_reports(ven_id=hub.ven_id, at=AT, by=STAFF)
    asked = at_the_door(hub, "OadrPoll", m.Poll(hub.ven_id))
    assert isinstance(asked, m.RegisterReport)
    refusal = m.RegisteredReport(m.EiResponse(code, "no use for it", asked.request_id), (), hub.ven_id)

    assert told(at_the_door(hub, "EiReport", refusal)) == ("oadrResponse", m.OK)

    assert ReportOffer.objects.get().withdrawn_at is None
    assert QueuedMessage.objects.values_list("state", "answer_code").get() == ("answered", code)
