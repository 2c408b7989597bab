"""The co-op as a VEN of an operator's VTN, over mutual TLS: taken once, answered, let go, reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from campaigns import approving, freezing, stopping, tasks
from campaigns.models import (
    Campaign,
    OperatorEvent,
    OperatorMessage,
    OperatorReport,
    OperatorVtn,
    Participation,
    ServicingRefusal,
    ServicingSignal,
)
from campaigns.servicing import receiving, telling
from campaigns.servicing_models import Scope
from campaigns.ven import arranging, contacting
from members.models import Role
from oadr.messages import (
    CancelPartyRegistration,
    CreatedEvent,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    DistributeEvent,
    EiResponse,
    QualifiedEventId,
    RegisterReport,
    ReportRequest,
    RequestEvent,
    SpecifierPayload,
    Target,
    UpdatedReport,
    UpdateReport,
)
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.campaigns.servicing.operating import make_habits, make_operator
from tests.campaigns.staging import NOON, PaperVtn, make_ready_home
from tests.campaigns.ven.neighbour import CONTEXT, VEN_NAME, Neighbour, connect, event, levels
from tests.factories import HubKit, Resident, make_staff
from tests.hems.small_vtn import Authority, SmallVtn

pytestmark = pytest.mark.django_db
ItIs = Callable[[datetime], None]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def street(paper_vtn: PaperVtn, it_is: ItIs) -> list[tuple[Resident, HubKit]]:
    """Four homes in the zone with a charger each, whose habits are known; it is noon."""
    it_is(NOON)
    homes = [make_ready_home(cmz="Calder") for _ in range(4)]
    make_habits(*(resident for resident, _ in homes))
    return homes


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Northern Networks CA")


@pytest.fixture
def small(authority: Authority, tmp_path: Path, settings: Settings) -> Iterator[SmallVtn]:
    with SmallVtn(authority, tmp_path) as vtn:
        settings.OPERATOR_VTN_NETWORKS = ["127.0.0.0/8", "::1/128"]
        settings.OPERATOR_VTN_PORTS = [vtn.port]
        yield vtn


@pytest.fixture
def dno(street: list[tuple[Resident, HubKit]], small: SmallVtn, authority: Authority) -> Neighbour:
    operator = make_operator()
    return Neighbour(operator, small, connect(operator, small.url, authority))


def test_an_event_is_dispatched_to_homes_answered_with_opt_in_and_let_go_when_it_is_cancelled(
    dno: Neighbour, paper_vtn: PaperVtn, it_is: ItIs
) -> None:
    row = dno.says(event())

    campaign = Campaign.objects.get()
    assert (row.state, row.opt) == ("taken", "optIn")
    assert (campaign.state, campaign.size_w, campaign.zone) == ("dispatched", 2_000, "Calder")
    assert (campaign.starts_at, campaign.ends_at) == (NOON, NOON + 30 * MINUTE)
    assert len(paper_vtn.live()) == Participation.objects.count() > 0
    assert set(dno.answers()) == {("E-1", 0, "optIn", 200)}
    assert dno.vtn.registered_wall_at is not None
    assert dno.vtn.problem == ""
    it_is(NOON + 10 * MINUTE)

    row = dno.says(event(modification_number=1, status="cancelled"))

    campaign.refresh_from_db()
    assert row.state == "cancelled"
    assert campaign.ends_at == NOON + 10 * MINUTE
    assert paper_vtn.live() == []
    assert dno.answers()[-1] == ("E-1", 1, "optIn", 200)


def test_lost_answers_duplicates_and_restarts_dispatch_nothing_twice(dno: Neighbour) -> None:
    dno.put(event())
    dno.small.break_next = CreatedEvent

    assert not dno.round()
    assert dno.vtn.failures == 1
    assert dno.vtn.problem
    assert dno.vtn.due_wall_at > clock.wall_now()
    assert dno.round(), dno.vtn.problem
    dno.put(event())
    assert dno.round()
    OperatorVtn.objects.update(is_settled=False, whole_set_wall_at=None)
    assert dno.round()

    assert set(dno.answers()) == {("E-1", 0, "optIn", 200)}
    assert Campaign.objects.count() == ServicingSignal.objects.count() == 1


def test_what_others_hold_up_is_not_refused_but_taken_at_the_next_contact(
    dno: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    dno.put(event())

    def held_up(*, signal_id: Any, at: datetime) -> ServicingSignal:
        raise receiving.Delayed(signal_id=str(signal_id), retry_after_seconds=5)

    with monkeypatch.context() as patched:
        patched.setattr(receiving, "decide", held_up)
        assert not dno.round()
    assert dno.vtn.problem == "the database was busy: tried again"
    assert dno.answers() == []
    assert not ServicingSignal.objects.exists()
    assert not OperatorEvent.objects.exists()

    assert dno.round()

    assert dno.answers()[0] == ("E-1", 0, "optIn", 200)
    assert Campaign.objects.count() == 1


def test_a_round_that_died_is_taken_up_after_its_lease_and_never_by_two(dno: Neighbour) -> None:
    wall = clock.wall_now()
    OperatorVtn.objects.update(claimed_until_wall_at=wall + timedelta(seconds=60), due_wall_at=wall)
    dno.put(event())

    assert not contacting.contact(vtn_id=dno.vtn.pk, wall=wall)
    assert contacting.due(wall=wall) == []
    assert contacting.due(wall=wall + timedelta(seconds=61)) == [dno.vtn.pk]
    assert contacting.contact(vtn_id=dno.vtn.pk, wall=wall + timedelta(seconds=61))
    assert Campaign.objects.count() == 1


def test_a_modified_event_takes_the_place_of_what_it_was(dno: Neighbour, paper_vtn: PaperVtn) -> None:
    dno.says(event(starts_at=NOON + 60 * MINUTE))

    row = dno.says(event(modification_number=1, watts=-1_000, starts_at=NOON + 90 * MINUTE))

    old, new = Campaign.objects.order_by("created_at", "starts_at")
    assert (row.state, row.modification_number) == ("taken", 1)
    assert old.state == "cancelled"
    assert (new.state, new.size_w, new.starts_at) == ("dispatched", 1_000, NOON + 90 * MINUTE)
    assert {each.starts_at for each in Participation.objects.filter(dropped_at=None)} == {new.starts_at}
    assert set(dno.answers()) == {("E-1", 0, "optIn", 200), ("E-1", 1, "optIn", 200)}
    dno.says(replace(event(), modification_number=0))
    assert dno.answers()[-1] == ("E-1", 0, "optIn", 450)


def test_an_event_left_out_of_the_set_is_let_go(dno: Neighbour, paper_vtn: PaperVtn) -> None:
    dno.says(event())
    dno.small.drop(VEN_NAME, "E-1")

    assert dno.round()

    assert dno.row().state == "cancelled"
    assert paper_vtn.live() == []
    assert dno.says(event()).state == "taken"


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"watts": -12_000}, 200, "over contract, field size_w, asked 12000, limit 9500"),
    ({"minutes": 180}, 200, "over contract, field minutes, asked 180, limit 120"),
    ({"target": Target(group_ids=("Elsewhere",))}, 462, "unknown zone: Elsewhere"),
    ({"target": Target()}, 462, f"unknown zone: {CONTEXT}"),
    ({"target": Target(ven_ids=("VEN-SOMEBODY",))}, 462, "it is for another VEN"),
    ({"signal": replace(levels((30, 1)), name="x-other")}, 460, "not supported: x-other/level"),
    ({"signal": replace(levels((30, 1)), name="LOAD_DISPATCH", type="setpoint")}, 460, "not supported"),
    ({"signal": levels((30, 7))}, 454, "SIMPLE has the levels 0 to 3, not 7"),
]


def test_what_cannot_be_taken_is_an_opt_out_with_its_reason_and_sends_nothing(dno: Neighbour) -> None:
    bad = [event(f"E-{number}", **change) for number, (change, _, _) in enumerate(REFUSALS, start=1)]

    dno.says(event("E-0", watts=-500, priority=1), *bad)

    assert Campaign.objects.get().size_w == 500
    answers = set(dno.answers())
    assert ("E-0", 0, "optIn", 200) in answers
    for number, (_, code, reason) in enumerate(REFUSALS, start=1):
        row = dno.row(f"E-{number}")
        assert (row.state, row.opt, row.code) == ("refused", "optOut", code)
        assert row.reason.startswith(reason)
        assert (row.event_id, 0, "optOut", code) in answers
        entry = AuditEntry.objects.get(target=f"operator_event:{row.pk}")
        assert (entry.verb, entry.detail["reason"]) == ("campaigns.servicing.event_refused", row.reason)


def test_several_intervals_are_all_taken_or_none(dno: Neighbour) -> None:
    staff = make_staff("ada@example.org", Role.ADMINISTRATOR)
    arranging.add_place(
        client_id=dno.operator.client.pk,
        name="Calder",
        zone="Calder",
        moderate_pct=10,
        high_pct=20,
        special_pct=100,
        at=NOON,
        by=staff,
    )

    row = dno.says(event(minutes=60, signal=levels((15, 1), (15, 0), (15, 2), (15, 2))))

    assert row.state == "taken"
    campaigns = Campaign.objects.order_by("starts_at")
    assert [(each.starts_at, each.ends_at, each.size_w) for each in campaigns] == [
        (NOON, NOON + 15 * MINUTE, 1_000),
        (NOON + 30 * MINUTE, NOON + 60 * MINUTE, 2_000),
    ]
    assert dno.says(event(modification_number=1, status="cancelled")).state == "cancelled"

    row = dno.says(event("E-3", minutes=200, signal=levels((15, 1), (185, 2))))

    assert (row.state, row.signals) == ("refused", [])
    assert not Campaign.objects.exclude(state="cancelled").exists()


def test_names_of_the_vtn_are_mapped_to_zones_with_levels_of_their_own(dno: Neighbour) -> None:
    staff = make_staff("ada@example.org", Role.ADMINISTRATOR)
    where: dict[str, Any] = {"client_id": dno.operator.client.pk, "zone": "Calder", "at": NOON, "by": staff}
    arranging.add_place(name=CONTEXT, moderate_pct=5, high_pct=10, special_pct=20, **where)
    arranging.add_place(name="GSP-7", moderate_pct=10, high_pct=20, special_pct=30, **where)

    dno.says(event(target=Target(), signal=levels((30, 2))))
    dno.says(event("E-2", target=Target(resource_ids=("GSP-7", "Calder")), signal=levels((30, 3))))

    assert sorted(Campaign.objects.values_list("size_w", flat=True)) == [1_000, 3_000]
    place = dno.vtn.places.get(name="GSP-7")
    arranging.end_place(client_id=dno.operator.client.pk, place_id=place.pk, at=NOON, by=staff)
    assert dno.says(event("E-3", target=Target(resource_ids=("GSP-7",)))).reason == "unknown zone: GSP-7"


def test_a_test_event_is_planned_and_sends_nothing(dno: Neighbour, paper_vtn: PaperVtn) -> None:
    row = dno.says(event(test_event="true"))

    assert (row.state, row.is_test, row.opt) == ("rehearsed", True, "optIn")
    assert paper_vtn.events == {} or not paper_vtn.live()
    assert not Campaign.objects.exists()


def test_who_is_not_asked_to_answer_does_not(dno: Neighbour) -> None:
    assert dno.says(event(is_response_required=False)).state == "taken"
    assert dno.answers() == []


def test_a_more_urgent_event_takes_the_room_of_a_less_urgent_one(dno: Neighbour) -> None:
    less = dno.says(event("E-less", watts=-5_000, priority=5))
    more = dno.says(event("E-more", watts=-6_000, priority=1))
    less.refresh_from_db()

    assert (more.state, less.state, less.reason) == ("waiting", "released", "gave way to E-more")
    assert ("E-less", 0, "optOut", 200) in dno.answers()
    assert dno.says(event("E-least", watts=-6_000)).reason.startswith("over contract")
    assert dno.row("E-more").state == "waiting"


def test_what_waits_for_approval_is_out_until_it_is_approved(dno: Neighbour) -> None:
    row = dno.says(event(watts=-8_000, starts_at=NOON + 60 * MINUTE))
    assert (row.state, row.opt) == ("waiting", "optOut")
    campaign = Campaign.objects.get()
    approving.approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)

    assert dno.round()

    (opt,) = dno.small.heard_of(VEN_NAME, CreateOpt)
    assert (opt.event, opt.opt_type) == (QualifiedEventId("E-1", 0), "optIn")
    assert dno.row().state == "taken"
    assert dno.round()
    assert len(dno.small.heard_of(VEN_NAME, CreateOpt)) == 1


def test_what_staff_stop_or_freeze_is_told_as_opt_out(dno: Neighbour) -> None:
    dno.says(event())
    stopping.stop_campaign(campaign_id=Campaign.objects.get().pk, at=NOON, by=None, reason="a fire")
    freezing.freeze(at=NOON, by=None, reason="a test")

    row = dno.says(event("E-2"))

    assert (row.state, row.reason.partition(",")[0]) == ("refused", "frozen")
    assert dno.row().reason == "stopped here"
    (opt,) = dno.small.heard_of(VEN_NAME, CreateOpt)
    assert (opt.event, opt.opt_type) == (QualifiedEventId("E-1", 0), "optOut")


def test_a_client_without_the_scope_is_refused(dno: Neighbour) -> None:
    dno.operator.client.scopes = [Scope.READ.value]
    dno.operator.client.save()

    row = dno.says(event())

    assert (row.state, row.code) == ("refused", 451)
    assert ServicingRefusal.objects.get().reason == "scope_missing"


def test_a_cancelled_registration_lets_go_of_everything_and_is_made_anew(
    dno: Neighbour, paper_vtn: PaperVtn
) -> None:
    dno.says(event())
    cancel = CancelPartyRegistration("c1", f"REG-{VEN_NAME}", f"VEN-{VEN_NAME}")
    dno.small.queues[VEN_NAME].append(cancel)

    assert not dno.round()
    dno.small.registrations.clear()

    assert paper_vtn.live() == []
    assert dno.row().state == "released"
    assert (dno.vtn.registration_id, dno.vtn.is_settled) == ("", False)
    assert dno.round()
    assert len(dno.small.heard_of(VEN_NAME, CreatePartyRegistration)) == 2


def test_a_vtn_of_another_name_or_that_says_nonsense_changes_nothing(dno: Neighbour) -> None:
    assert dno.round()
    strange = DistributeEvent("q9", "ANOTHER-VTN", (event(),))
    dno.small.queues[VEN_NAME].append(strange)
    assert not dno.round()
    assert "ANOTHER-VTN" in dno.vtn.problem
    dno.small.reply[RequestEvent] = lambda *_: b"<nonsense/>"
    assert not dno.round()
    assert "cannot be read" in dno.vtn.problem
    dno.small.reply[RequestEvent] = lambda *_: 503
    assert not dno.round()
    assert (dno.vtn.problem, dno.vtn.failures) == ("the VTN answered HTTP 503", 3)
    assert not OperatorEvent.objects.exists()
    dno.small.reply.clear()
    assert dno.round()
    assert (dno.vtn.problem, dno.vtn.failures) == ("", 0)


def test_a_vtn_with_a_certificate_of_another_authority_is_told_nothing(
    dno: Neighbour, authority: Authority
) -> None:
    OperatorVtn.objects.update(authority_pem=Authority("Somebody").pem.decode())

    assert not dno.round()

    assert "certificate verify failed" in dno.vtn.problem.lower()
    assert dno.small.heard == {}


def test_it_is_polled_as_often_as_it_asks_and_left_alone_longer_after_each_failure(dno: Neighbour) -> None:
    dno.small.poll_seconds = 60
    assert dno.round()
    waits = (dno.vtn.due_wall_at - clock.wall_now()).total_seconds()
    assert 50 < waits <= 66
    OperatorVtn.objects.update(failures=20)
    dno.small.reply[RequestEvent] = lambda *_: 500
    assert not dno.round()
    assert 140 < (dno.vtn.due_wall_at - clock.wall_now()).total_seconds() <= 300


def test_the_zones_metering_is_offered_asked_for_and_told_by_the_minute(
    dno: Neighbour, it_is: ItIs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def metering(contract: Any, *, interval: Any, at: datetime) -> list[dict[str, Any]]:
        """Odd minutes are told by too few."""
        asked.append(interval)
        return [
            {"mean_w": None if number % 2 else 1_000 + number}
            for number in range(interval.duration // MINUTE)
        ]

    monkeypatch.setattr(telling, "metering", metering)
    dno.small.reply[UpdateReport] = lambda _, told: UpdatedReport(EiResponse(request_id=told.request_id))
    assert dno.round()
    (offer,) = dno.small.heard_of(VEN_NAME, RegisterReport)
    (description,) = offer.reports[0].descriptions
    assert (description.r_id, description.data_source) == (
        str(dno.operator.contract.pk),
        Target(resource_ids=("Calder",)),
    )
    payload = (SpecifierPayload(description.r_id, "Mean"),)
    request = ReportRequest("RR-1", offer.reports[0].report_specifier_id, 60, 60, payload)
    strange = ReportRequest("RR-2", "nothing-of-ours", 60, 60, payload)
    dno.small.queues[VEN_NAME].append(CreateReport("c1", (request, strange)))
    assert dno.round()
    assert OperatorReport.objects.get().request_id == "RR-1"

    it_is(NOON + 4 * MINUTE)
    assert dno.round()
    assert dno.round()

    (update,) = dno.small.heard_of(VEN_NAME, UpdateReport)
    (report,) = update.reports
    told = [(each.starts_at, each.values[0].value) for each in report.intervals]
    assert told == [(NOON, 1_000), (NOON + 2 * MINUTE, 1_002)]
    assert (report.starts_at, report.duration_seconds) == (NOON, 180)
    assert OperatorReport.objects.get().told_until == NOON + 3 * MINUTE
    dno.operator.client.scopes = [Scope.SIGNAL.value]
    dno.operator.client.save()
    assert dno.round()
    assert dno.small.heard_of(VEN_NAME, RegisterReport)[-1].reports == ()
    it_is(NOON + 9 * MINUTE)
    assert dno.round()
    assert len(dno.small.heard_of(VEN_NAME, UpdateReport)) == 1


def test_what_was_said_is_kept_and_empty_polls_are_not(dno: Neighbour) -> None:
    dno.says(event())
    before = OperatorMessage.objects.count()
    assert dno.round()
    assert dno.round()

    assert OperatorMessage.objects.count() == before
    kept = OperatorMessage.objects.filter(kind="oadrCreatedEvent").first()
    assert kept is not None
    assert kept.is_ours
    assert "optIn" in kept.words
    assert "E-1" in kept.xml
    assert "PRIVATE KEY" not in "".join(OperatorMessage.objects.values_list("xml", flat=True))


def test_switched_off_or_closed_it_is_not_spoken_with(dno: Neighbour) -> None:
    wall = clock.wall_now() + timedelta(hours=1)
    OperatorVtn.objects.update(due_wall_at=clock.wall_now())
    assert contacting.due(wall=wall) == [dno.vtn.pk]
    OperatorVtn.objects.update(is_on=False)
    assert contacting.due(wall=wall) == []
    assert not dno.round()
    OperatorVtn.objects.update(is_on=True)
    dno.operator.client.closed_at = NOON
    dno.operator.client.save()
    assert contacting.due(wall=wall) == []
    assert not dno.round()
    assert dno.small.heard == {}


def test_the_beat_has_each_vtn_that_is_due_spoken_with(
    dno: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []
    monkeypatch.setattr(
        tasks.contact_operator_vtn, "apply_async", lambda *, kwargs, **_: given.append(kwargs)
    )
    dno.put(event())
    tasks.contact_operator_vtns()
    assert given == [{"vtn_id": str(dno.vtn.pk)}]

    tasks.contact_operator_vtn(**given[0])
    tasks.contact_operator_vtn(**given[0])

    assert dno.row().state == "taken"
    assert len(dno.small.heard_of(VEN_NAME, CreatePartyRegistration)) == 1
    tasks.contact_operator_vtns()
    assert len(given) == 1
