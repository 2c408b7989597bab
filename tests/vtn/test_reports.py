"""EiReport: offered, asked for by rule or by staff, told, corrected, called off."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisCase

from oadr import messages as m
from tests.vtn import hubs
from tests.vtn.hubs import AT
from vtn import reporting, retaining
from vtn.models import ReceivedReport, ReportConfiguration, ReportedValue, ReportOffer, ReportRequest
from vtn.port import START, ReportPoint, Vtn
from vtn.service import EmbeddedVtn

pytestmark = pytest.mark.django_db

STAFF = "staff:1"
MINUTES = timedelta(minutes=5)
POWER = m.Unit("powerReal", "RealPower", "W", "k", hertz="50", voltage="230", is_ac=True)
USAGE = m.Report(
    "0",
    "usage-1",
    AT,
    "METADATA_TELEMETRY_USAGE",
    descriptions=(
        m.ReportDescription(
            "house",
            "usage",
            "Direct Read",
            unit=POWER,
            subject=m.Target(resource_ids=("home",)),
            sampling_rate=m.SamplingRate(60, 600),
        ),
        m.ReportDescription("volts", "reading", "Direct Read", unit=m.Unit("voltage", "Voltage", "V")),
    ),
)
STATUS = m.Report(
    "0",
    "status-1",
    AT,
    "METADATA_TELEMETRY_STATUS",
    descriptions=(m.ReportDescription("charger", "x-resourceStatus", "x-notApplicable"),),
)
HISTORY = m.Report(
    "0",
    "history-1",
    AT,
    "METADATA_HISTORY_USAGE",
    duration_seconds=86_400,
    descriptions=(
        m.ReportDescription("past", "usage", "Direct Read", unit=m.Unit("energyReal", "RealEnergy", "Wh")),
    ),
)


def register(hub: hubs.TestHub, *reports: m.Report) -> m.RegisteredReport:
    reply = hub.says("EiReport", m.RegisterReport("R5", reports, hub.ven_id))
    assert isinstance(reply, m.RegisteredReport)
    return reply


def tells(
    request_id: str,
    *values: tuple[int, float],
    r_id: str = "house",
    at: datetime = AT,
    name: str = "TELEMETRY_USAGE",
) -> m.Report:
    """A report of five-minute values, each by the number of its interval."""
    return m.Report(
        request_id,
        "usage-1",
        at,
        name,
        intervals=tuple(
            m.ReportInterval((m.ReportValue(r_id, value),), AT + index * MINUTES, 300)
            for index, value in values
        ),
    )


def update(hub: hubs.TestHub, *reports: m.Report) -> m.UpdatedReport:
    reply = hub.says("EiReport", m.UpdateReport("R6", reports, hub.ven_id))
    assert isinstance(reply, m.UpdatedReport)
    return reply


def asked(hub: hubs.TestHub) -> str:
    (request,) = register(hub, USAGE).report_requests
    return request.report_request_id


def points(vtn: Vtn) -> list[ReportPoint]:
    return [point for report in vtn.reports_since(START)[0] for point in report.points]


# ---- offers, and what is asked by rule


def test_an_offer_is_kept_with_its_points(hub: hubs.TestHub) -> None:
    register(hub, USAGE)

    offer = ReportOffer.objects.get()
    assert (offer.specifier_id, offer.name, offer.withdrawn_at) == ("usage-1", "TELEMETRY_USAGE", None)
    house = offer.points.get(r_id="house")
    assert (house.item, house.unit, house.exponent, house.resource_ids) == ("powerReal", "W", 3, ["home"])
    assert (house.min_seconds, house.max_seconds) == (60, 600)


def test_standard_rules_ask_for_usage_and_status_and_not_for_history(hub: hubs.TestHub) -> None:
    reply = register(hub, USAGE, STATUS, HISTORY)

    usage, status = reply.report_requests
    assert reply.response == m.EiResponse(200, "OK", "R5")
    assert (usage.report_specifier_id, usage.granularity_seconds, usage.report_back_seconds) == (
        "usage-1",
        300,
        900,
    )
    assert [payload.r_id for payload in usage.payloads] == ["house"]
    assert usage.interval == m.ActivePeriod(AT, 0)
    assert status.report_specifier_id == "status-1"


def test_power_that_openleadr_names_in_a_custom_unit_is_power(hub: hubs.TestHub) -> None:
    named = replace(USAGE.descriptions[0], unit=m.Unit("customUnit", "RealPower", "None", "none"))

    (request,) = register(hub, replace(USAGE, descriptions=(named,))).report_requests

    assert [payload.r_id for payload in request.payloads] == ["house"]
    point = ReportOffer.objects.get().points.get()
    assert (point.item, point.unit) == ("powerReal", "W")


def test_rules_of_ones_own_replace_the_standard_ones(hub: hubs.TestHub) -> None:
    ReportConfiguration.objects.create(
        name="volts",
        report_name="TELEMETRY_USAGE",
        item="voltage",
        granularity_seconds=10,
        report_back_seconds=60,
    )

    (request,) = register(hub, USAGE).report_requests

    assert [payload.r_id for payload in request.payloads] == ["volts"]


def test_a_rule_switched_off_asks_nothing(hub: hubs.TestHub) -> None:
    ReportConfiguration.objects.create(
        name="none", report_name="X", granularity_seconds=0, report_back_seconds=60, is_active=False
    )

    assert register(hub, USAGE).report_requests == ()


@pytest.mark.parametrize(("wanted", "possible"), [(10, 60), (300, 300), (3600, 600)])
def test_the_granularity_is_brought_within_what_the_point_can_do(
    hub: hubs.TestHub, wanted: int, possible: int
) -> None:
    ReportConfiguration.objects.create(
        name="usage",
        report_name="TELEMETRY_USAGE",
        item="powerReal",
        granularity_seconds=wanted,
        report_back_seconds=wanted,
    )

    (request,) = register(hub, USAGE).report_requests

    assert (request.granularity_seconds, request.report_back_seconds) == (possible, max(wanted, possible))


def test_registering_the_same_again_repeats_the_request_under_its_id(hub: hubs.TestHub) -> None:
    first = register(hub, USAGE).report_requests

    assert register(hub, USAGE).report_requests == first
    assert ReportRequest.objects.count() == 1


def test_a_changed_offer_is_asked_anew(hub: hubs.TestHub) -> None:
    (first,) = register(hub, USAGE).report_requests
    described = replace(USAGE.descriptions[0], r_id="whole house")

    (second,) = register(hub, replace(USAGE, descriptions=(described,))).report_requests

    assert second.report_request_id != first.report_request_id
    assert ReportRequest.objects.get(report_request_id=first.report_request_id).state == "withdrawn"


def test_what_is_left_out_is_withdrawn(hub: hubs.TestHub) -> None:
    request_id = asked(hub)

    assert register(hub, STATUS).report_requests[0].report_specifier_id == "status-1"
    assert ReportOffer.objects.get(specifier_id="usage-1").withdrawn_at == AT
    assert update(hub, tells(request_id, (0, 1.0))).response.code == m.INVALID_ID


def test_nothing_offered_is_answered_in_order(hub: hubs.TestHub) -> None:
    assert register(hub) == m.RegisteredReport(m.EiResponse(200, "OK", "R5"), (), hub.ven_id)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (replace(USAGE, report_name="TELEMETRY_USAGE"), m.REPORT_NOT_SUPPORTED),
        (replace(USAGE, report_specifier_id="s" * 101), m.INVALID_ID),
        (replace(USAGE, descriptions=USAGE.descriptions[:1] * 2), m.INVALID_DATA),
        (replace(USAGE, descriptions=(replace(USAGE.descriptions[0], r_id="r" * 101),)), m.INVALID_ID),
    ],
)
def test_a_bad_offer_is_named_and_the_good_one_kept(hub: hubs.TestHub, report: m.Report, code: int) -> None:
    reply = register(hub, report, STATUS)

    assert reply.response.code == code
    assert [offer.specifier_id for offer in ReportOffer.objects.all()] == ["status-1"]
    assert len(reply.report_requests) == 1


def test_when_no_offer_can_be_kept_nothing_changes(hub: hubs.TestHub) -> None:
    request_id = asked(hub)

    reply = register(hub, replace(STATUS, report_name="TELEMETRY_STATUS"))

    assert (reply.response.code, reply.report_requests) == (m.REPORT_NOT_SUPPORTED, ())
    assert ReportOffer.objects.get().withdrawn_at is None
    assert update(hub, tells(request_id, (0, 1.0))).response.code == m.OK


# ---- what is reported


@pytest.mark.parametrize("year", [1, 1999, 2101, 9999])
def test_a_value_of_no_time_on_a_calendar_is_named_and_left_out(
    vtn: Vtn, hub: hubs.TestHub, year: int
) -> None:
    request_id = asked(hub)
    value = (m.ReportValue("house", 1.0),)
    odd = m.ReportInterval(value, AT.replace(year=year), 300)
    backwards = m.ReportInterval(value, AT, -300)

    for interval in (odd, backwards):
        report = replace(tells(request_id, (1, 2.0)), intervals=(interval, m.ReportInterval(value, AT, 300)))
        assert update(hub, report).response.code == m.INVALID_DATA

    assert [point.starts_at for point in points(vtn)] == [AT]


def test_a_report_of_a_clock_that_runs_ahead_has_not_the_last_word(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    update(hub, tells(request_id, (0, 99.0), at=AT.replace(year=2099)))

    later = AT + timedelta(days=2)
    mended = m.UpdateReport("R7", (tells(request_id, (0, 42.0), at=later),), hub.ven_id)

    hub.says("EiReport", mended, at=later)

    assert points(vtn)[-1].value == 42_000.0


def test_values_reach_the_rooms_above_in_plain_units(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)

    reply = update(hub, tells(request_id, (0, 1.38), (1, -0.5)))

    assert reply == m.UpdatedReport(m.EiResponse(200, "OK", "R6"), None, hub.ven_id)
    (report,), cursor = vtn.reports_since(START)
    assert (report.ven_id, report.name, report.received_at) == (hub.ven_id, "TELEMETRY_USAGE", AT)
    assert report.points == (
        ReportPoint("house", AT, 300, 1380.0),
        ReportPoint("house", AT + MINUTES, 300, -500.0),
    )
    assert vtn.reports_since(cursor) == ([], cursor)
    assert ReportRequest.objects.get().state == "running"


def test_the_same_report_again_says_nothing_new(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    for _ in range(2):
        assert update(hub, tells(request_id, (0, 1.0))).response.code == m.OK

    assert ReceivedReport.objects.count() == 1
    assert len(points(vtn)) == 1


def test_a_correction_holds_and_comes_with_the_report_that_made_it(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    update(hub, tells(request_id, (0, 1.0), (1, 2.0)))
    _, cursor = vtn.reports_since(START)

    update(hub, tells(request_id, (1, 3.0), at=AT + MINUTES))

    (report,), _ = vtn.reports_since(cursor)
    assert report.points == (ReportPoint("house", AT + MINUTES, 300, 3000.0),)


def test_an_older_report_that_comes_late_fills_gaps_and_corrects_nothing(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    update(hub, tells(request_id, (1, 3.0), at=AT + MINUTES))
    update(hub, tells(request_id, (0, 1.0), (1, 2.0), at=AT))

    held = {value.starts_at: value.value for value in ReportedValue.objects.all()}
    assert held == {AT: 1000.0, AT + MINUTES: 3000.0}


def test_intervals_without_a_start_follow_one_another(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    told = tells(request_id, (0, 1.0), (1, 2.0))
    bare = tuple(replace(interval, starts_at=None) for interval in told.intervals)

    update(hub, replace(told, starts_at=AT + timedelta(hours=1), intervals=bare))

    hour = AT + timedelta(hours=1)
    assert [point.starts_at for point in points(vtn)] == [hour, hour + MINUTES]


def test_a_status_is_kept_and_told_as_numbers(vtn: Vtn, hub: hubs.TestHub) -> None:
    (request,) = register(hub, STATUS).report_requests
    status = m.ResourceStatus(
        is_online=True, is_manual_override=False, capacity=m.LoadControlState(7.4, 1.4, 7.4, float("nan"))
    )
    value = m.ReportValue("charger", status, "Quality Good - Non Specific")
    told = m.Report(
        request.report_request_id,
        "status-1",
        AT,
        "TELEMETRY_STATUS",
        intervals=(m.ReportInterval((value,), AT, 0),),
    )

    assert update(hub, told).response.code == m.OK

    assert {point.r_id: point.value for point in points(vtn)} == {
        "charger/online": 1.0,
        "charger/manual_override": 0.0,
        "charger/capacity.current": 7.4,
        "charger/capacity.minimum": 1.4,
        "charger/capacity.maximum": 7.4,
    }
    assert {point.quality for point in points(vtn)} == {"Quality Good - Non Specific"}


def test_a_report_nobody_asked_for_is_452_and_the_others_are_kept(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)

    reply = update(hub, tells("RR-made-up", (0, 1.0)), tells(request_id, (0, 1.0)))

    assert reply.response.code == m.INVALID_ID
    assert len(points(vtn)) == 1


def test_a_neighbours_report_is_unknown(vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    request_id = asked(hub)

    assert update(stranger, tells(request_id, (0, 1.0))).response.code == m.INVALID_ID
    assert points(vtn) == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (m.ReportValue("volts", 230.0), m.INVALID_ID),  # offered, not asked for
        (m.ReportValue("house", float("nan")), m.INVALID_DATA),
        (m.ReportValue("house", float("inf")), m.INVALID_DATA),
        (m.ReportValue("house", m.ResourceStatus(True, False)), m.INVALID_DATA),
    ],
)
def test_a_bad_value_is_named_and_the_good_one_kept(
    vtn: Vtn, hub: hubs.TestHub, value: m.ReportValue, code: int
) -> None:
    told = tells(asked(hub), (0, 1.0))
    bad = m.ReportInterval((value,), AT + MINUTES, 300)

    reply = update(hub, replace(told, intervals=(*told.intervals, bad)))

    assert reply.response.code == code
    assert [point.value for point in points(vtn)] == [1000.0]


class TestConvergence(HypothesisCase):
    """Whatever the order, however often repeated: the report dated latest has the last word."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(
            st.tuples(st.integers(0, 50), st.dictionaries(st.integers(0, 4), st.integers(-9, 9), min_size=1)),
            min_size=1,
            max_size=5,
            unique_by=lambda report: report[0],
        ).flatmap(lambda reports: st.tuples(st.just(reports), st.permutations(reports + reports[:2])))
    )
    def test_reports_converge(
        self,
        told: tuple[list[tuple[int, dict[int, int]]], list[tuple[int, dict[int, int]]]],
    ) -> None:
        reports, arrivals = told
        hub = hubs.registered_hub()
        request_id = asked(hub)
        for minute, values in arrivals:
            at = AT + timedelta(minutes=minute)
            update(hub, tells(request_id, *((key, float(value)) for key, value in values.items()), at=at))

        truth: dict[int, float] = {}
        for _, values in sorted(reports, key=lambda report: report[0]):
            truth.update({key: value * 1000.0 for key, value in values.items()})
        read = {(point.starts_at - AT) // MINUTES: point.value for point in points(EmbeddedVtn())}
        assert read == truth


# ---- asked by staff, and called off


def ask(hub: hubs.TestHub, **changes: object) -> ReportRequest:
    settings: dict[str, object] = {"specifier_id": "history-1", "duration_seconds": 3600, "by": STAFF}
    return reporting.ask_for_report(ven_id=hub.ven_id, at=AT, **(settings | changes))  # type: ignore[arg-type]


def test_history_is_asked_once_told_and_done(vtn: Vtn, hub: hubs.TestHub) -> None:
    register(hub, HISTORY)
    request = ask(hub)

    message = hub.polls()
    assert isinstance(message, m.CreateReport)
    (wire,) = message.report_requests
    assert (wire.report_back_seconds, wire.interval) == (0, m.ActivePeriod(AT, 3600))
    created = m.CreatedReport(
        m.EiResponse(request_id=message.request_id), (request.report_request_id,), hub.ven_id
    )
    assert isinstance(hub.says("EiReport", created), m.Response)
    request.refresh_from_db()
    assert request.state == "running"

    told = tells(request.report_request_id, (0, 400.0), r_id="past", name="HISTORY_USAGE")
    assert update(hub, told).response.code == m.OK
    request.refresh_from_db()
    assert request.state == "done"
    assert update(hub, told).response.code == m.OK  # its reply may have been lost
    assert [point.value for point in points(vtn)] == [400.0]


def test_a_refused_request_is_closed_with_the_vens_words(hub: hubs.TestHub) -> None:
    register(hub, HISTORY)
    request = ask(hub)
    message = hub.polls()
    assert isinstance(message, m.CreateReport)

    hub.says("EiReport", m.CreatedReport(m.EiResponse(461, "not today", message.request_id), (), hub.ven_id))

    request.refresh_from_db()
    assert (request.state, request.note) == ("refused", "461 not today")


def test_only_what_is_offered_can_be_asked(hub: hubs.TestHub) -> None:
    register(hub, HISTORY)
    with pytest.raises(reporting.UnknownOffer):
        ask(hub, specifier_id="usage-1")
    with pytest.raises(reporting.ReportUnavailable, match="r_ids"):
        ask(hub, r_ids=("past", "future"))
    with pytest.raises(reporting.ReportUnavailable, match="report_back_seconds"):
        ask(hub, report_back_seconds=-1)


def cancelled(hub: hubs.TestHub, request_id: str, *, is_report_to_follow: bool = False) -> m.CancelReport:
    reporting.cancel_reports(
        ven_id=hub.ven_id,
        report_request_ids=[request_id],
        at=AT,
        by=STAFF,
        is_report_to_follow=is_report_to_follow,
    )
    message = hub.polls()
    assert isinstance(message, m.CancelReport)
    confirmed = m.CanceledReport(m.EiResponse(request_id=message.request_id), (), hub.ven_id)
    assert isinstance(hub.says("EiReport", confirmed), m.Response)
    return message


def test_a_cancelled_report_takes_no_more(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)

    message = cancelled(hub, request_id)

    assert (message.report_request_ids, message.is_report_to_follow) == ((request_id,), False)
    assert ReportRequest.objects.get().state == "cancelled"
    assert update(hub, tells(request_id, (0, 1.0))).response.code == m.INVALID_ID


def test_with_a_report_to_follow_one_more_is_taken(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)

    cancelled(hub, request_id, is_report_to_follow=True)

    assert update(hub, tells(request_id, (0, 1.0))).response.code == m.OK
    assert update(hub, tells(request_id, (1, 1.0))).response.code == m.INVALID_ID
    assert len(points(vtn)) == 1


def test_an_update_is_answered_with_the_cancellation_that_waits(hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    queued = reporting.cancel_reports(ven_id=hub.ven_id, report_request_ids=[request_id], at=AT, by=STAFF)

    reply = update(hub, tells(request_id, (0, 1.0)))

    assert reply.cancel_report == m.CancelReport(queued.request_id, (request_id,), False, hub.ven_id)
    assert isinstance(hub.polls(), m.Response)


def test_an_unknown_report_cannot_be_cancelled(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    request_id = asked(hub)
    with pytest.raises(reporting.UnknownReportRequest):
        reporting.cancel_reports(ven_id=stranger.ven_id, report_request_ids=[request_id], at=AT, by=STAFF)


def test_the_end_of_the_registration_ends_its_reports(hub: hubs.TestHub) -> None:
    request_id = asked(hub)

    hub.says("EiRegisterParty", m.CancelPartyRegistration("C1", hub.ven.registration_id, hub.ven_id))
    hub.registers()

    assert ReportRequest.objects.get().state == "withdrawn"
    assert update(hub, tells(request_id, (0, 1.0))).response.code == m.INVALID_ID


# ---- METADATA, from either side; and this VTN's own


def test_staff_ask_for_the_metadata_again(hub: hubs.TestHub) -> None:
    reporting.ask_for_metadata(ven_id=hub.ven_id, at=AT, by=STAFF)
    message = hub.polls()
    assert isinstance(message, m.CreateReport)
    (request,) = message.report_requests
    assert request.report_specifier_id == "METADATA"

    hub.says("EiReport", m.CreatedReport(m.EiResponse(request_id=message.request_id), (), hub.ven_id))

    assert isinstance(hub.polls(), m.Response)


def test_asked_for_metadata_this_vtn_offers_an_empty_list(hub: hubs.TestHub) -> None:
    payload = (m.SpecifierPayload("r", "x-notApplicable"),)
    wanted = m.CreateReport("R8", (m.ReportRequest("RR", "METADATA", 0, 0, payload),), hub.ven_id)
    assert hub.says("EiReport", wanted) == m.CreatedReport(m.EiResponse(200, "OK", "R8"), (), hub.ven_id)

    offered = hub.polls()

    assert isinstance(offered, m.RegisterReport)
    assert offered.reports == ()
    answer = m.RegisteredReport(m.EiResponse(request_id=offered.request_id), (), hub.ven_id)
    assert isinstance(hub.says("EiReport", answer), m.Response)
    assert isinstance(hub.polls(), m.Response)


def test_a_request_for_what_this_vtn_does_not_offer_is_461(hub: hubs.TestHub) -> None:
    queued = reporting.offer_own_reports(ven_id=hub.ven_id, at=AT, by=STAFF)
    hub.polls()
    payload = (m.SpecifierPayload("r", "x-notApplicable"),)
    answer = m.RegisteredReport(
        m.EiResponse(request_id=queued.request_id), (m.ReportRequest("RR", "x", 0, 0, payload),), hub.ven_id
    )

    reply = hub.says("EiReport", answer)

    assert isinstance(reply, m.CreatedReport)
    assert reply.response.code == m.REPORT_NOT_SUPPORTED


@override_settings(VTN_REPORT_DAYS=30)
def test_reports_go_after_their_days_and_never_before_they_are_handed_on(vtn: Vtn, hub: hubs.TestHub) -> None:
    request_id = asked(hub)
    update(hub, tells(request_id, (0, 1.0)))
    later = AT + timedelta(days=40)

    assert retaining.prune_reports(at=later) == 0, "nobody has read it"
    assert vtn.reports_since(START)[0]
    update(hub, tells(request_id, (1, 2.0), at=AT + MINUTES))
    ReceivedReport.objects.filter(feed_position=None).update(received_at=later)
    _, cursor = vtn.reports_since(START)

    assert retaining.prune_reports(at=later, is_dry_run=True) == 1
    assert retaining.prune_reports(at=later) == 1
    assert retaining.prune_reports(at=later) == 0
    assert [value.value for value in ReportedValue.objects.all()] == [2_000.0]
    update(hub, tells(request_id, (2, 3.0), at=AT + 2 * MINUTES))
    assert len(vtn.reports_since(cursor)[0]) == 1
