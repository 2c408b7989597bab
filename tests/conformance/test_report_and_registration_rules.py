"""The rules of the 2.0b profile for EiReport and EiRegisterParty, named by number; and the response codes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from oadr import codec
from oadr import messages as m
from tests.vtn import hubs, test_reports, test_wsgi
from tests.vtn.hubs import AT, notice_to, only_event
from tests.vtn.test_reports import STATUS, USAGE, register, tells, update
from vtn import reporting, wsgi
from vtn.models import OfferedPoint, ReportRequest
from vtn.port import Vtn

pytestmark = pytest.mark.django_db

STAFF = "staff:1"


def test_rule_053_requests_say_their_type_and_length(
    hub: hubs.TestHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)
    body = codec.serialise(m.Poll(hub.ven_id))

    replied = test_wsgi.post(hub, body)

    assert replied.headers["Content-Type"] == "application/xml"
    assert replied.headers["Content-Length"] == str(len(replied.body))
    assert test_wsgi.post(hub, body, environ={"CONTENT_LENGTH": ""}).status == 411


@pytest.mark.parametrize("number", ["301", "327"])
def test_rules_301_and_327_metadata_is_asked_for_by_that_specifier(hub: hubs.TestHub, number: str) -> None:
    reporting.ask_for_metadata(ven_id=hub.ven_id, at=AT, by=STAFF)

    asked = hub.polls()

    assert isinstance(asked, m.CreateReport)
    assert [request.report_specifier_id for request in asked.report_requests] == ["METADATA"]
    created = m.CreatedReport(m.EiResponse(request_id=asked.request_id), (), hub.ven_id)
    assert isinstance(hub.says("EiReport", created), m.Response)
    assert register(hub, USAGE).response.code == m.OK


def test_rule_305_usage_is_asked_in_power_or_energy(hub: hubs.TestHub) -> None:
    volts = m.ReportDescription("volts", "reading", "Direct Read", unit=m.Unit("voltage", "Voltage", "V"))
    nothing = m.ReportDescription("bare", "usage", "Direct Read")
    offered = replace(USAGE, descriptions=(*USAGE.descriptions[:1], volts, nothing))

    (request,) = register(hub, offered).report_requests

    assert [payload.r_id for payload in request.payloads] == ["house"]
    assert OfferedPoint.objects.count() == 3  # kept all the same, to be asked for by hand


def test_rule_311_the_metadata_report_has_request_id_nought(hub: hubs.TestHub) -> None:
    assert register(hub, replace(USAGE, report_request_id="0")).response.code == m.OK
    # Some clients send none, or another: nothing depends on it.
    assert register(hub, replace(USAGE, report_request_id="7")).response.code == m.OK


def test_rule_324_a_report_back_duration_of_nought_asks_once(hub: hubs.TestHub) -> None:
    register(hub, test_reports.HISTORY)
    request = reporting.ask_for_report(ven_id=hub.ven_id, specifier_id="history-1", at=AT, by=STAFF)
    asked = hub.polls()
    assert isinstance(asked, m.CreateReport)
    assert asked.report_requests[0].report_back_seconds == 0

    update(hub, tells(request.report_request_id, (0, 1.0), r_id="past"))

    request.refresh_from_db()
    assert request.state == "done"


def test_rule_329_the_pending_list_of_created_report_starts_what_is_in_it(hub: hubs.TestHub) -> None:
    (usage, status) = register(hub, USAGE, STATUS).report_requests
    pending = (usage.report_request_id, "RR-of-another-vtn")

    hub.says("EiReport", m.CreatedReport(m.EiResponse(request_id="R5"), pending, hub.ven_id))

    states = dict(ReportRequest.objects.values_list("report_request_id", "state"))
    assert states == {usage.report_request_id: "running", status.report_request_id: "asked"}


@pytest.mark.parametrize("number", ["331", "510"])
def test_rules_331_and_510_telemetry_status_carries_resource_status(hub: hubs.TestHub, number: str) -> None:
    (request,) = register(hub, STATUS).report_requests
    told = m.Report(
        request.report_request_id,
        "status-1",
        AT,
        "TELEMETRY_STATUS",
        intervals=(
            m.ReportInterval((m.ReportValue("charger", m.ResourceStatus(True, True)),), AT, 0),
            m.ReportInterval((m.ReportValue("charger", 1.0),), AT + timedelta(minutes=1), 0),
        ),
    )

    reply = update(hub, told)

    assert reply.response.code == m.INVALID_DATA  # for the number; the status is kept
    assert OfferedPoint.objects.get().values.get().status == {
        "is_online": True,
        "is_manual_override": True,
    }


def test_rule_404_the_first_registration_carries_no_ids_and_is_given_them() -> None:
    hub = hubs.new_hub()

    reply = hub.says("EiRegisterParty", m.CreatePartyRegistration("R1"))

    assert isinstance(reply, m.CreatedPartyRegistration)
    assert reply.ven_id == hub.ven_id
    assert reply.registration_id


def test_rule_404_a_later_one_carries_them_and_keeps_them(hub: hubs.TestHub) -> None:
    again = m.CreatePartyRegistration(
        "R1", registration_id=hub.ven.registration_id, ven_id=hub.ven_id, transport_address="None"
    )

    reply = hub.says("EiRegisterParty", again)

    assert isinstance(reply, m.CreatedPartyRegistration)
    assert (reply.ven_id, reply.registration_id) == (hub.ven_id, hub.ven.registration_id)


def test_a_poll_is_answered_until_nothing_is_left(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    reporting.ask_for_metadata(ven_id=hub.ven_id, at=AT, by=STAFF)
    reporting.offer_own_reports(ven_id=hub.ven_id, at=AT, by=STAFF)

    said = [codec.message_name(hub.polls()) for _ in range(4)]

    assert said == ["oadrDistributeEvent", "oadrCreateReport", "oadrRegisterReport", "oadrResponse"]


# ---- the response codes, each in the reply its service has for it


def code_of(reply: m.Message) -> tuple[str, int]:
    response = getattr(reply, "response", None)
    assert isinstance(response, m.EiResponse)
    return codec.message_name(reply), response.code


def test_code_450_out_of_sequence(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    stale = replace(only_event(hub.polls()), modification_number=7)

    assert code_of(hub.answers(stale)) == ("oadrResponse", 450)
    assert code_of(hub.opts(stale)) == ("oadrCreatedOpt", 450)


@pytest.mark.parametrize(
    "message",
    [
        m.CreatePartyRegistration("R1", profile_name="2.0a"),
        m.CreatePartyRegistration("R1", transport_name="xmpp"),
    ],
)
def test_code_451_not_allowed(hub: hubs.TestHub, message: m.CreatePartyRegistration) -> None:
    assert code_of(hub.says("EiRegisterParty", message)) == ("oadrCreatedPartyRegistration", 451)


def test_code_452_invalid_id(hub: hubs.TestHub) -> None:
    told = tells("RR-made-up", (0, 1.0))
    for service, message, reply in (
        ("EiRegisterParty", m.CreatePartyRegistration("R", "REG-x"), "oadrCreatedPartyRegistration"),
        ("EiRegisterParty", m.CancelPartyRegistration("R", "REG-x"), "oadrCanceledPartyRegistration"),
        ("EiOpt", m.CancelOpt("R", "O-x", hub.ven_id), "oadrCanceledOpt"),
        ("EiReport", m.UpdateReport("R", (told,), hub.ven_id), "oadrUpdatedReport"),
        ("EiReport", m.CancelReport("R", ("RR-x",), False, hub.ven_id), "oadrCanceledReport"),
    ):
        assert code_of(hub.says(service, message)) == (reply, 452)


@pytest.mark.parametrize("service", ["EiEvent", "EiOpt", "EiReport", "EiRegisterParty"])
def test_code_453_not_recognised(hub: hubs.TestHub, service: str) -> None:
    assert code_of(hub.says(service, m.Poll(hub.ven_id))) == ("oadrResponse", 453)


def test_code_454_invalid_data(hub: hubs.TestHub) -> None:
    neither = m.CreateOpt("R", "O", "optIn", "economic", hub.ven_id, AT)

    assert code_of(hub.says("EiOpt", neither)) == ("oadrCreatedOpt", 454)


def test_code_459_compliance_error_for_a_body_that_is_no_message(
    hub: hubs.TestHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)

    replied = test_wsgi.post(hub, b"<x/>")

    assert replied.status == 400
    assert code_of(replied.message) == ("oadrResponse", 459)


def test_code_460_from_a_ven_is_kept_as_its_reason(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)

    hub.answers(only_event(hub.polls()), "optOut", code=m.SIGNAL_NOT_SUPPORTED)

    assert vtn.acknowledgement(event_id, at=AT).opt == "out"


def test_code_461_report_not_supported(hub: hubs.TestHub) -> None:
    wanted = m.ReportRequest("RR", "power", 0, 0, (m.SpecifierPayload("r", "Direct Read"),))
    named = replace(USAGE, report_name="TELEMETRY_USAGE")

    assert code_of(hub.says("EiReport", m.CreateReport("R", (wanted,)))) == ("oadrCreatedReport", 461)
    assert code_of(register(hub, named)) == ("oadrRegisteredReport", 461)


def test_code_462_target_mismatch(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id, resource_ids=("boiler",)), key="k", at=AT)
    event = only_event(hub.polls())
    opt = m.CreateOpt(
        "R",
        "O",
        "optOut",
        "economic",
        hub.ven_id,
        AT,
        event=m.QualifiedEventId(event.event_id, 0),
        target=m.Target(resource_ids=("charger",)),
    )

    assert code_of(hub.says("EiOpt", opt)) == ("oadrCreatedOpt", 462)


def test_code_463_not_registered(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    newcomer = hubs.new_hub("newcomer")
    for service, message, reply in (
        ("OadrPoll", m.Poll(newcomer.ven_id), "oadrResponse"),
        ("EiEvent", m.RequestEvent("R", newcomer.ven_id), "oadrDistributeEvent"),
        ("EiOpt", m.CancelOpt("R", "O", newcomer.ven_id), "oadrCanceledOpt"),
        ("EiReport", m.RegisterReport("R"), "oadrRegisteredReport"),
    ):
        assert code_of(newcomer.says(service, message)) == (reply, 463)
    assert code_of(hub.says("OadrPoll", m.Poll(stranger.ven_id))) == ("oadrResponse", 463)


def test_code_469_is_taken_from_a_ven_as_any_refusal(hub: hubs.TestHub) -> None:
    register(hub, test_reports.HISTORY)
    request = reporting.ask_for_report(ven_id=hub.ven_id, specifier_id="history-1", at=AT, by=STAFF)
    asked = hub.polls()
    assert isinstance(asked, m.CreateReport)

    hub.says("EiReport", m.CreatedReport(m.EiResponse(469, "broken", asked.request_id), (), hub.ven_id))

    request.refresh_from_db()
    assert (request.state, request.note) == ("refused", "469 broken")
