"""A network operator's starts and stops against households that say no at the same moment, in threads.

Which came first is not guessed from timings. A start that holds the tables still, and a no that is written
down, exclude each other, so the database's clock, read inside each transaction once it has got in, orders
them as they took effect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet, Sum
from django.http import HttpResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets import limiting
from assets.models import Asset
from campaigns import approving, opting, ramping
from campaigns.life import CampaignEnded
from campaigns.models import Campaign, Participation, ServicingContract, ServicingSignal
from campaigns.opting import CannotOptBackIn, ParticipationClosed
from campaigns.servicing import receiving, sending_at_once
from campaigns.servicing.port import Ask
from members import consenting, moving, opting_out
from members.models import Consent, Occupancy, Purpose, StandingOptOut
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import DeliveryState, OutboxDelivery
from tests.campaigns.servicing.operating import Operator, make_habits, make_operator, told
from tests.campaigns.staging import (
    NOON,
    PaperVtn,
    make_dispatched,
    make_planned,
    make_ready_home,
    make_rules,
)
from tests.campaigns.test_approving import in_threads
from tests.factories import HubKit, Resident
from vtn.models import Event

Home = tuple[Resident, HubKit]
Place = dict[str, Any]
ItIs = Callable[[datetime], None]
MINUTE = timedelta(minutes=1)
INTERLEAVINGS, HOMES, SPEAKERS = 1_000, 32, 4
FOR_ALL = 20_000_000
"""More than the homes have, in W: a start asks every one that may be asked."""


def database_clock() -> datetime:
    """Now, by the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    return now


def say_no(home: Home, way: str, *, at: datetime) -> datetime:
    """The home is out from now on, by a standing opt-out or by taking its consent back; when that got in."""
    resident, _ = home
    with transaction.atomic():
        if way == "standing":
            opting_out.start_standing_opt_out(occupancy=resident.occupancy, at=at, starts_at=at)
        else:
            consent = Consent.objects.get(
                occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY, ends_at=None
            )
            consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=at)
        return database_clock()


def press(home: Home, opt: str, *, at: datetime) -> bool:
    """The home's own press on the page, for each campaign it sees there; whether it was in time."""
    occupancy_id = home[0].occupancy.pk
    seen = Participation.objects.filter(occupancy=occupancy_id, ends_at__gt=at).exclude(state="cancelled")
    act = opting.skip_home if opt == "out" else opting.opt_home_back_in
    was_in_time = False
    for campaign_id in set(seen.values_list("campaign_id", flat=True)):
        with suppress(CampaignEnded, ParticipationClosed, CannotOptBackIn):
            was_in_time |= bool(act(campaign_id=campaign_id, occupancy_id=occupancy_id, at=at, by=None))
    return was_in_time


def take_back(*, at: datetime) -> None:
    """Everybody is willing again: standing opt-outs are off, consents given anew."""
    StandingOptOut.objects.all().delete()
    ended = Consent.objects.filter(purpose=Purpose.FLEXIBILITY).exclude(ends_at=None)
    latest = ended.order_by("occupancy", "-ends_at").distinct("occupancy")
    open_now = Consent.objects.filter(purpose=Purpose.FLEXIBILITY, ends_at=None)
    wanted = latest.exclude(occupancy__in=open_now.values("occupancy"))
    Consent.objects.bulk_create(
        Consent(
            occupancy=each.occupancy,
            member=each.member,
            text=each.text,
            purpose=each.purpose,
            granularity=each.granularity,
            channel=each.channel,
            starts_at=at,
        )
        for each in wanted.select_related("occupancy", "member", "text")
    )


def settle() -> None:
    outbox.drain()
    assert not OutboxDelivery.objects.exclude(state=DeliveryState.DONE).filter(attempts__gt=0).exists()


@pytest.fixture
def held_still(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When each start got hold of the tables, by the database's clock."""
    moments: list[datetime] = []
    hold_still = sending_at_once._hold_still

    def hold_still_and_look() -> None:
        hold_still()
        moments.append(database_clock())

    monkeypatch.setattr(sending_at_once, "_hold_still", hold_still_and_look)
    return moments


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_thousand_noes_against_starts_and_stops(it_is: ItIs, held_still: list[datetime]) -> None:
    it_is(NOON)
    dice = Random(20_260_115)
    homes = [make_ready_home(cmz="Calder", through_vtn=True) for _ in range(HOMES)]
    make_habits(*(resident for resident, _ in homes))
    make_rules(most_asks=200)
    operator = make_operator(max_w=FOR_ALL, approved_w=FOR_ALL)
    orders = {"before": 0, "after": 0, "pressed": 0}
    rounds = 0
    while sum(orders.values()) < INTERLEAVINGS:
        at = NOON + rounds * 5 * MINUTE
        it_is(at)
        said_no, answer = race_a_start(operator, homes, dice, at=at)
        campaign = Campaign.objects.get(signals=answer["signal_id"])
        for ven_id, no_at in said_no.items():
            orders["before" if no_at < held_still[-1] else "after"] += 1
            if no_at < held_still[-1]:
                assert not events_of(campaign, ven_id).exists(), "sent to who had said no"
                assert not campaign.participations.filter(ven_id=ven_id).exists()
        settle()
        silent = {kit.ven_id for _, kit in homes} - said_no.keys()
        live = list(events_of(campaign).filter(cancelled_at=None).values_list("ven__ven_id", flat=True))
        assert sorted(live) == sorted(silent), "all of the others, once each, and nobody else"
        it_is(at + MINUTE)
        others = [home for home in homes if home[1].ven_id in silent]
        orders["pressed"] += race_a_stop(operator, others, answer, dice, at=at + MINUTE, is_all=rounds % 2)
        settle()
        assert not Event.objects.filter(cancelled_at=None).exists()
        for ven_id in said_no:
            assert events_of(campaign, ven_id).count() <= 1, "asked again after its no"
        take_back(at=at + 2 * MINUTE)
        rounds += 1
    assert min(orders.values()) >= INTERLEAVINGS / 20, f"the order was always the same: {orders}"


def events_of(campaign: Campaign, ven_id: str = "") -> QuerySet[Event]:
    found = Event.objects.filter(key__startswith=f"campaign:{campaign.pk}:")
    return found.filter(ven__ven_id=ven_id) if ven_id else found


def race_a_start(
    operator: Operator, homes: list[Home], dice: Random, *, at: datetime
) -> tuple[dict[str, datetime], Place]:
    """A start, and noes from half of the homes within the time that it takes; by VEN, when each got in."""
    said_no: dict[str, datetime] = {}
    shuffled = dice.sample(homes, HOMES // 2)
    plans = [
        [(home, dice.choice(("standing", "consent")), dice.uniform(0, 0.03)) for home in group]
        for group in (shuffled[number::SPEAKERS] for number in range(SPEAKERS))
    ]

    def speaker(plan: list[tuple[Home, str, float]]) -> Callable[[], None]:
        def speak() -> None:
            for home, way, pause in plan:
                threading.Event().wait(pause)
                said_no[home[1].ven_id] = say_no(home, way, at=at)

        return speak

    results = in_threads(
        lambda: operator.start(size_w=FOR_ALL // 2, minutes=60), *(speaker(plan) for plan in plans)
    )
    assert not [each for each in results if isinstance(each, Exception)], results
    answer = results[0]
    assert isinstance(answer, dict)
    assert answer["state"] == "dispatched", answer
    return said_no, answer


def race_a_stop(
    operator: Operator, homes: list[Home], answer: Place, dice: Random, *, at: datetime, is_all: bool | int
) -> int:
    """The stop or emergency stop, while homes press no and yes; how many presses were in time."""
    body = {"signal": "emergency_stop"} if is_all else {"signal": "stop", "of": answer["signal_id"]}
    counts: list[int] = []

    def speaker(group: list[Home]) -> Callable[[], None]:
        presses = [(home, opt) for home in group for opt in ("out", "in", "out")[: dice.randint(1, 3)]]

        def speak() -> None:
            counts.append(sum(press(home, opt, at=at) for home, opt in presses))

        return speak

    results = in_threads(
        lambda: told(operator.send("/signals/", body)),
        *(speaker(homes[n::SPEAKERS]) for n in range(SPEAKERS)),
    )
    assert not [each for each in results if isinstance(each, Exception)], results
    assert isinstance(results[0], dict)
    assert (results[0]["state"], results[0]["campaigns"]) == ("stopped", 1), results[0]
    return sum(counts)


@pytest.fixture
def street(it_is: ItIs) -> tuple[Operator, list[Home]]:
    """Three homes in the zone of an operator that may ask them all."""
    it_is(NOON)
    homes = [make_ready_home(cmz="Calder") for _ in range(3)]
    make_habits(*(resident for resident, _ in homes))
    return make_operator(max_w=FOR_ALL, approved_w=FOR_ALL), homes


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(("start", "stop", "emergency_stop", "standing", "consent", "out", "in")),
            st.integers(0, 2),
        ),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.django_db
def test_whatever_comes_in_whatever_order_no_home_that_said_no_is_sent_to(
    street: tuple[Operator, list[Home]], paper_vtn: PaperVtn, it_is: ItIs, steps: list[tuple[str, int]]
) -> None:
    paper_vtn.events.clear()
    with transaction.atomic():
        play(*street, steps, paper_vtn, it_is)
        transaction.set_rollback(True)


def play(
    operator: Operator, homes: list[Home], steps: list[tuple[str, int]], paper_vtn: PaperVtn, it_is: ItIs
) -> None:
    """One step a minute; after each, what hubs hold is held against who has said no and what was stopped."""
    for_good: set[str] = set()
    out: set[str] = set()
    started: list[Place] = []
    for minute, (step, number) in enumerate(steps):
        at = NOON + minute * MINUTE
        it_is(at)
        home, ven_id = homes[number], homes[number][1].ven_id
        if step == "start":
            known = set(paper_vtn.events)
            started.append(operator.start(size_w=FOR_ALL // 100, minutes=120))
            sent_to = {str(paper_vtn.events[each].notice.ven_id) for each in set(paper_vtn.events) - known}
            assert not sent_to & for_good
            if started[-1]["state"] == "dispatched":
                out -= sent_to  # a no on a page was to the campaign before
        elif step == "stop" and started:
            told(operator.send("/signals/", {"signal": "stop", "of": started[-1]["signal_id"]}))
        elif step == "emergency_stop":
            told(operator.send("/signals/", {"signal": "emergency_stop"}))
            assert paper_vtn.live() == []
        elif step in ("standing", "consent") and ven_id not in for_good:
            say_no(home, step, at=at)
            settle()
            for_good.add(ven_id)
        elif step in ("out", "in") and press(home, step, at=at):
            out = out - {ven_id} if step == "in" else out | {ven_id}
        live = {str(event.notice.ven_id) for event in paper_vtn.live()}
        assert not live & (for_good | out), steps[: minute + 1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["a no to what the market asked", "a limit of the asset", "a move out"])
def test_whoever_holds_a_row_that_a_start_needs_goes_first(
    it_is: ItIs, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A start comes between the locking and the writing: both get through, neither is a deadlock's victim."""
    it_is(NOON)
    resident, kit = make_ready_home(cmz="Calder", through_vtn=True)
    other, _ = make_ready_home(cmz="Calder", through_vtn=True)
    make_habits(resident, other)
    operator = make_operator()
    market = make_dispatched(kit.assets, starts_at=NOON + 30 * MINUTE, ends_at=NOON + 90 * MINUTE)
    part, asset = market.participations.get(), kit.assets[0]
    has_locked, is_near = threading.Event(), threading.Event()
    hold_still = sending_at_once._hold_still
    monkeypatch.setattr(sending_at_once, "_hold_still", lambda: (is_near.set(), hold_still()))

    def dwell(place: object, name: str) -> None:
        go_on = getattr(place, name)

        def wait_first(*args: object, **kwargs: object) -> object:
            has_locked.set()
            is_near.wait(10)
            threading.Event().wait(0.2)
            return go_on(*args, **kwargs)

        monkeypatch.setattr(place, name, wait_first)

    def change() -> object:
        if what.startswith("a no"):
            dwell(opting, "_ensure_open")
            return opting.skip(participation=part, at=NOON, by=None)
        if what.startswith("a limit"):
            dwell(Asset, "save")
            return limiting.set_limit(
                asset_id=asset.pk, field="flexible_w", watts=asset.flexible_w - 100, at=NOON, by="test"
            )
        dwell(Occupancy, "save")
        return moving.move_out(occupancy=resident.occupancy, at=NOON)

    def start() -> Place:
        has_locked.wait(10)
        return operator.start(size_w=5_000, minutes=60)

    changed, answer = in_threads(change, start)

    assert not isinstance(changed, Exception), changed
    assert isinstance(answer, dict), answer
    assert answer["state"] == "dispatched", answer


def lock(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_a_start_that_is_a_deadlocks_victim_is_tried_again(
    it_is: ItIs, monkeypatch: pytest.MonkeyPatch
) -> None:
    it_is(NOON)
    resident, _ = make_ready_home(cmz="Calder", through_vtn=True)
    make_habits(resident)
    operator = make_operator()
    has_tables, has_campaigns = threading.Event(), threading.Event()
    hold_still, tries = sending_at_once._hold_still, []

    def hold_and_wait() -> None:
        hold_still()
        tries.append(1)
        has_tables.set()
        has_campaigns.wait(10)

    monkeypatch.setattr(sending_at_once, "_hold_still", hold_and_wait)

    def stand_in_the_way() -> None:
        has_tables.wait(10)
        with transaction.atomic():
            lock("SET LOCAL deadlock_timeout = '20s'", "LOCK TABLE campaigns_campaign IN SHARE MODE")
            has_campaigns.set()
            lock("LOCK TABLE campaigns_participation IN SHARE MODE")

    stood, answer = in_threads(stand_in_the_way, lambda: operator.start(size_w=500, minutes=30))

    assert stood is None, stood
    assert isinstance(answer, dict), answer
    assert (answer["http"], answer["state"], answer["events"]) == (201, "dispatched", 1)
    assert len(tries) == 2
    assert Participation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("zone", ["Calder", ""])
def test_an_emergency_stop_ends_a_start_that_is_being_planned(
    it_is: ItIs, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    it_is(NOON)
    resident, _ = make_ready_home(cmz="Calder", through_vtn=True)
    make_habits(resident)
    operator = make_operator()
    hold_still, is_planning = sending_at_once._hold_still, threading.Event()

    def plan_slowly() -> None:
        hold_still()
        is_planning.set()
        threading.Event().wait(0.5)

    monkeypatch.setattr(sending_at_once, "_hold_still", plan_slowly)

    def stop() -> Place:
        is_planning.wait(10)
        asked = {"signal": "emergency_stop"} | ({"zone": zone} if zone else {})
        return told(operator.send("/signals/", asked))

    started, stopped = in_threads(lambda: operator.start(size_w=500, minutes=30), stop)

    assert isinstance(started, dict), started
    assert isinstance(stopped, dict), stopped
    assert (started["http"], stopped["http"], stopped["campaigns"]) == (201, 201, 1)
    assert (
        Campaign.objects.get().state in ("cancelled", "completed") or Campaign.objects.get().ends_at <= NOON
    )
    settle()
    assert not Event.objects.filter(cancelled_at=None).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["emergency_stop", "stop"])
def test_a_start_that_waits_to_be_decided_is_not_sent_after_its_stop(it_is: ItIs, how: str) -> None:
    it_is(NOON)
    resident, _ = make_ready_home(cmz="Calder", through_vtn=True)
    make_habits(resident)
    operator = make_operator()
    waits = ServicingSignal.objects.create(
        client=operator.client,
        idempotency_key="left behind",
        key_id=operator.key_id,
        digest="0" * 64,
        kind="start",
        asked=Ask(
            ServicingSignal.Kind.START, zone="Calder", direction="turn_down", size_w=500, minutes=30
        ).shown(),
        received_at=NOON,
        received_wall_at=clock.wall_now(),
    )
    wanted = {"signal": how} | ({"of": str(waits.pk)} if how == "stop" else {})
    assert told(operator.send("/signals/", wanted))["http"] == 201

    decided = receiving.decide(signal_id=waits.pk, at=NOON)

    assert (decided.state, decided.reason) == ("refused", "stopped_meanwhile")
    assert not Campaign.objects.exists()
    assert operator.start(size_w=500)["state"] == "dispatched"


@pytest.mark.django_db(transaction=True)
def test_two_starts_at_once_ask_no_more_than_the_contract(
    it_is: ItIs, monkeypatch: pytest.MonkeyPatch
) -> None:
    it_is(NOON)
    homes = [make_ready_home(cmz="Calder", through_vtn=True)[0] for _ in range(8)]
    make_habits(*homes)
    operator = make_operator()
    size_w = 2_000
    ServicingContract.objects.update(max_w=3_000, approved_w=3_000)
    hold_still = sending_at_once._hold_still
    monkeypatch.setattr(sending_at_once, "_hold_still", lambda: (threading.Event().wait(0.3), hold_still()))

    answers = in_threads(*[lambda: operator.start(size_w=size_w, minutes=30)] * 2)

    assert all(isinstance(each, dict) for each in answers), answers
    states = sorted((each["http"], each.get("reason", "")) for each in answers if isinstance(each, dict))
    assert states[0][0] in (201, 202)
    assert states[1] == (422, "over_contract")


@pytest.mark.django_db(transaction=True)
def test_a_start_counts_what_is_being_approved_for_the_substation(
    it_is: ItIs, monkeypatch: pytest.MonkeyPatch
) -> None:
    it_is(NOON)
    place = {"cmz": "Calder", "primary_substation": "Mill Lane", "through_vtn": True}
    homes = [make_ready_home(**place) for _ in range(4)]  # type: ignore[arg-type]
    make_habits(*(resident for resident, _ in homes), usual_w=900)
    make_rules(substation_w_per_minute=3_000)
    operator = make_operator()
    # 10 kW over 300 s: 2 kW a minute.
    market = make_planned(
        {homes[0][1].assets[0]: 10_000}, starts_at=NOON, ends_at=NOON + 60 * MINUTE, at=NOON - 60 * MINUTE
    )
    used_beside = ramping.used_beside
    is_judged, is_looked_at = threading.Event(), threading.Event()

    def look_slowly(campaign: Campaign, *beside: Any) -> object:
        used = used_beside(campaign, *beside)
        if campaign.pk == market.pk:
            is_judged.set()
            is_looked_at.wait(1.5)  # where starts do not wait for approvals
        else:
            is_looked_at.set()
        return used

    monkeypatch.setattr(ramping, "used_beside", look_slowly)

    def start() -> Place:
        is_judged.wait(10)
        return operator.start(size_w=3_000, minutes=30)

    approved, started = in_threads(
        lambda: approving.approve_campaign(campaign_id=market.pk, at=NOON, by=None), start
    )

    assert isinstance(approved, list), approved
    assert isinstance(started, dict), started
    parts = Participation.objects.exclude(campaign=market).exclude(state="cancelled")
    asked_w = parts.aggregate(watts=Sum("expected_w"))["watts"] or 0
    assert 0 < asked_w <= 1_000, started


@pytest.mark.django_db(transaction=True)
def test_a_start_that_gets_no_lock_is_told_to_come_again_and_stands(
    it_is: ItIs, monkeypatch: pytest.MonkeyPatch
) -> None:
    it_is(NOON)
    resident, _ = make_ready_home(cmz="Calder", through_vtn=True)
    make_habits(resident)
    operator = make_operator()
    hold_still = sending_at_once._hold_still
    is_held, is_answered = threading.Event(), threading.Event()

    def hold_shortly() -> None:
        lock("SET LOCAL lock_timeout = '50ms'")
        hold_still()

    monkeypatch.setattr(sending_at_once, "_hold_still", hold_shortly)
    wanted = {"signal": "start", "zone": "Calder", "size_w": 500, "minutes": 30}

    def hold_on() -> None:
        with transaction.atomic():
            lock("LOCK TABLE campaigns_participation IN SHARE MODE")
            is_held.set()
            is_answered.wait(10)

    def start() -> HttpResponse:
        is_held.wait(10)
        try:
            return operator.send("/signals/", wanted, idempotency_key="once")
        finally:
            is_answered.set()

    _, answer = in_threads(hold_on, start)

    assert isinstance(answer, HttpResponse), answer
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert told(answer)["code"] == "delayed"
    assert not Participation.objects.exists()

    again = told(operator.send("/signals/", wanted, idempotency_key="once"))

    assert (again["http"], again["state"], again["events"]) == (201, "dispatched", 1)
