"""From stored readings to postings: what is paid, what is not, and what a rerun does."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from campaigns.models import Campaign
from opendsr.kernel.models import AuditEntry, OutboxFact
from opendsr.kernel.money import rate_mp
from settlement import gathering, ledger, queries, settling
from settlement.baselines import window_half_hours
from settlement.baselines.explaining import LeftOut, LeftOutDay
from settlement.baselines.presets import preset
from settlement.delivery import Cap, Floor
from settlement.models import Entry, Posting, SettlementRun, Statement
from tests.cast import bob as make_bob
from tests.factories import make_resident
from tests.settlement.staging import (
    AFTER,
    EVENT,
    HISTORY,
    State,
    assert_everything_sums,
    balance_of,
    delivery_of,
    event_of,
    half_hours_of,
    make_measured,
    make_part,
    make_stage,
    make_terms,
    settle,
    store,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db
LATER = AFTER + timedelta(days=1)


def test_two_households_share_what_the_buyer_pays():
    stage = make_measured(700, 300)

    settled = settle(stage)

    run = settled.run
    assert settled.posted
    assert (run.sequence, run.delivered_wh, run.paid_wh) == (1, 1_000, 1_000)
    assert (run.revenue_mp, run.coop_mp, run.members_mp) == (300_000, 105_000, 195_000)
    assert [delivery_of(run, resident).earned_mp for resident in stage.residents] == [136_500, 58_500]
    assert ledger.trial_balance().balances_mp == {
        "buyer:winter": -300_000,
        "coop": 105_000,
        f"household:{stage.residents[0].occupancy.pk}": 136_500,
        f"household:{stage.residents[1].occupancy.pk}": 58_500,
    }
    assert_everything_sums()


def test_half_hours_are_kept_as_they_were_measured():
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 400, 1_200, -100, 1_000)

    run = settle(stage).run

    delivery = delivery_of(run, stage.residents[0])
    rows = [
        (each.starts_at, each.baseline_wh, each.metered_wh, each.delivered_wh)
        for each in half_hours_of(run, stage.residents[0])
    ]
    assert rows == [
        (EVENT[0], 1_000, 400, 600),
        (EVENT[1], 1_000, 1_200, -200),
        (EVENT[2], 1_000, -100, 1_100),
        (EVENT[3], 1_000, 1_000, 0),
    ]
    assert (delivery.delivered_wh, delivery.paid_wh, delivery.instructed_wh) == (1_500, 1_500, 4_000)


@pytest.mark.parametrize(
    ("state", "standing", "paid_wh"),
    [
        (State.OPTED_IN, "took_part", 500),
        (State.DELIVERED_TO_HUB, "silent", 500),
        (State.OVERRIDDEN, "overridden", 500),
        (State.OPTED_OUT, "opted_out", 0),
        (State.SENT, "not_reached", 0),
    ],
)
def test_standing_decides_who_is_paid(state, standing, paid_wh):
    stage = make_stage(state, State.OPTED_IN)
    for resident in stage.residents:
        store_history(resident)
        store_event(resident, 500, 1_000, 1_000, 1_000)

    run = settle(stage).run

    delivery = delivery_of(run, stage.residents[0])
    assert (delivery.standing, delivery.delivered_wh, delivery.paid_wh) == (standing, 500, paid_wh)
    assert (delivery.earned_mp > 0) is (paid_wh > 0)
    assert run.paid_wh == 500 + paid_wh
    assert_everything_sums()


def test_assets_that_were_called_off_count_for_nothing():
    stage = make_stage(State.CANCELLED, State.OPTED_IN)
    store_history(stage.residents[1])
    store_event(stage.residents[1], 0, 0, 0, 0)

    run = settle(stage).run

    assert [delivery.occupancy_id for delivery in run.deliveries.all()] == [stage.residents[1].occupancy.pk]


def test_one_meter_speaks_for_all_assets_of_a_home():
    stage = make_stage(State.OPTED_OUT, expected_w=7_001)
    make_part(stage.campaign, stage.residents[0], State.OPTED_IN, expected_w=3_001, kind="immersion_heater")
    store_history(stage.residents[0])
    store_event(stage.residents[0], 500, 500, 500, 500)

    delivery = delivery_of(settle(stage).run, stage.residents[0])

    assert (delivery.standing, delivery.instructed_wh, delivery.paid_wh) == ("took_part", 6_000, 2_000)


def test_a_home_that_used_more_earns_nothing_and_owes_nothing():
    stage = make_measured(600, -900)

    run = settle(stage).run

    loser = delivery_of(run, stage.residents[1])
    assert (loser.delivered_wh, loser.paid_wh, loser.earned_mp) == (-900, 0, 0)
    assert (run.delivered_wh, run.paid_wh, run.revenue_mp) == (-300, 600, 180_000)
    assert balance_of(stage.residents[1]) == 0
    assert_everything_sums()


def test_nobody_delivered_and_nothing_moves():
    settled = settle(make_measured(-5, -5))

    assert not settled.posted
    assert settled.run.revenue_mp == 0
    assert not Posting.objects.exists()
    assert Statement.objects.count() == 2


def test_a_campaign_nobody_joined_is_settled_empty():
    settled = settle(make_stage())

    assert (settled.run.revenue_mp, settled.statements, settled.posted) == (0, 0, False)


def test_turning_up_is_the_other_way_round():
    stage = make_stage(State.OPTED_IN, direction="turn_up")
    store_history(stage.residents[0])
    store_event(stage.residents[0], 3_000, 1_000, 1_000, 900)

    delivery = delivery_of(settle(stage).run, stage.residents[0])

    assert (delivery.delivered_wh, delivery.paid_wh) == (1_900, 1_900)


@pytest.mark.parametrize(
    ("floor", "cap", "paid_wh"),
    [
        (Floor.EVENT, Cap.NONE, 1_500),
        (Floor.HALF_HOUR, Cap.NONE, 1_700),
        (Floor.EVENT, Cap.INSTRUCTED, 1_400),
        (Floor.HALF_HOUR, Cap.INSTRUCTED, 1_600),
    ],
)
def test_terms_say_which_part_of_the_energy_is_paid(floor, cap, paid_wh):
    stage = make_stage(State.OPTED_IN, published=make_terms(floor=floor, cap=cap), expected_w=2_000)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 400, 1_200, -100, 1_000)

    assert delivery_of(settle(stage).run, stage.residents[0]).paid_wh == paid_wh


def test_the_event_waits_for_readings_of_paying_homes_only():
    stage = make_stage(State.OPTED_IN, State.OPTED_OUT, State.OPTED_IN)
    for resident in stage.residents:
        store_history(resident)
    store_event(stage.residents[0], 500, 500, event=EVENT[:2])
    store_event(stage.residents[2], 500, 500, 500, 500)

    readiness = settling.ready(stage.campaign.pk, as_known_at=AFTER)

    assert not readiness.complete
    assert readiness.missing == {stage.residents[0].occupancy.pk: tuple(EVENT[2:])}
    with pytest.raises(settling.ReadingsIncomplete) as refused:
        settle(stage)
    assert refused.value.data["half_hours"] == 2
    assert not SettlementRun.objects.exists()
    assert not Entry.objects.exists()


def test_settled_without_waiting_a_missing_half_hour_earns_nothing():
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 500, 500, event=EVENT[:2])

    run = settle(stage, is_forced=True).run

    delivery = delivery_of(run, stage.residents[0])
    assert (run.missing_half_hours, delivery.paid_wh) == (2, 1_000)
    half_hours = half_hours_of(run, stage.residents[0])
    assert [each.delivered_wh for each in half_hours] == [500, 500, None, None]


def test_a_home_with_too_short_a_history_has_no_baseline():
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0], days=HISTORY[-5:])
    store_event(stage.residents[0], 0, 0, 0, 0)

    run = settle(stage).run

    delivery = delivery_of(run, stage.residents[0])
    assert (delivery.paid_wh, delivery.delivered_wh, delivery.outcome) == (0, 0, "not_measured")
    half_hours = half_hours_of(run, stage.residents[0])
    assert {(each.baseline_wh, each.delivered_wh) for each in half_hours} == {(None, None)}


def test_a_home_without_a_meter_stream_is_named():
    stage = make_measured(500)
    stray = make_resident()
    make_part(stage.campaign, stray, State.OPTED_IN)
    stray.occupancy.streams.update(starts_at=LATER)

    readiness = settling.ready(stage.campaign.pk, as_known_at=AFTER)
    run = settle(stage, is_forced=True).run

    assert readiness.without_stream == {stray.occupancy.pk}
    assert delivery_of(run, stray).outcome == "not_measured"
    assert run.paid_wh == 500


def test_event_days_are_left_out_of_the_baseline():
    earlier = make_stage(State.OPTED_IN, starts_at=EVENT[0] - timedelta(days=1))
    resident = earlier.residents[0]
    stage = make_stage(State.OPTED_IN, residents=[resident])
    store_history(resident)
    store(resident, {start - timedelta(days=1): 0 for start in EVENT}, at=LATER)
    store_event(resident, 500, 1_000, 1_000, 1_000)

    run = settle(stage, at=LATER).run

    assert delivery_of(run, resident).paid_wh == 500
    left_out = event_of(run, resident).explanation.left_out
    assert LeftOutDay(date(2026, 11, 23), LeftOut.EVENT_DAY) in left_out


@pytest.mark.parametrize("state", [Campaign.State.DISPATCHED, Campaign.State.CANCELLED])
def test_only_a_completed_campaign_is_settled(state):
    stage = make_measured(700)
    Campaign.objects.filter(pk=stage.campaign.pk).update(state=state)

    with pytest.raises(settling.CampaignNotCompleted):
        settle(stage)


def test_an_unknown_rule_stops_before_any_posting():
    from settlement.rules import UnknownRule

    stage = make_measured(700)
    published = make_terms()
    rows = {"baseline_rule": "gone", "published_at": AFTER, "coop_share_pct": 35, "version": 9}
    gone = type(published).objects.create(name="Old", utilisation_pence_per_kwh=Decimal(1), **rows)
    stage.campaign.programme.settlement_terms_id = gone.pk
    stage.campaign.programme.save()

    with pytest.raises(UnknownRule):
        settle(stage)
    assert not Entry.objects.exists()


def test_every_member_of_a_household_gets_its_statement():
    alice = make_resident("Alice Ash", email="alice@example.org")
    stage = make_stage(State.OPTED_IN, residents=[alice])
    bob = make_bob(alice)
    store_history(alice)
    store_event(alice, 500, 1_000, 1_000, 1_000)

    settled = settle(stage)

    assert settled.statements == 2
    assert {statement.member for statement in Statement.objects.all()} == {alice.member, bob}
    assert {statement.balance_mp for statement in Statement.objects.all()} == {balance_of(alice)}


def test_campaigns_are_told_what_meters_showed():
    stage = make_measured(3_000, 100)

    settle(stage)

    outcomes = []
    for part in stage.parts:
        part.refresh_from_db()
        outcomes.append((part.outcome, part.measured_pct))
    assert outcomes == [("delivered", 75), ("partial", 2)]


def test_the_settlement_is_on_record():
    stage = make_measured(700)

    settled = settle(stage, actor="user:7")

    assert OutboxFact.objects.get(topic=settling.SETTLED).payload["run_id"] == str(settled.run.pk)
    entry = AuditEntry.objects.get(verb="settlement.settled")
    assert (entry.actor, entry.target) == ("user:7", f"campaign:{stage.campaign.pk}")


def test_what_is_ready_is_settled_and_the_rest_left():
    ready, waiting = make_measured(700), make_stage(State.OPTED_IN)

    settled = settling.settle_what_is_ready(at=AFTER)

    assert [each.run.campaign for each in settled] == [ready.campaign]
    assert list(queries.unsettled_campaigns()) == [waiting.campaign]
    assert settling.settle_what_is_ready(at=AFTER) == []


def test_the_number_of_queries_does_not_depend_on_the_number_of_homes():
    counts = []
    for stage in (make_measured(500), make_measured(*range(100, 108))):
        queries_made: list[str] = []

        def count(execute, sql, *rest, made=queries_made):
            made.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(count):
            settle(stage)
        counts.append(len(queries_made))

    # The first opens the buyer's and the co-op's account.
    assert counts[1] <= counts[0] < 79


def test_rate_and_total_agree():
    stage = make_measured(
        333, 333, 334, published=make_terms(pence_per_kwh="0.7531", coop_share_pct="33.333")
    )

    run = settle(stage).run

    assert run.revenue_mp == rate_mp(1_000, Decimal("0.7531")) == 753
    assert (run.coop_mp, run.members_mp) == (250, 503)
    assert_everything_sums()


def test_half_hours_of_another_event_are_busy_for_those_it_asked():
    published = make_terms(baseline_rule="dfs_2022")
    stage = make_stage(State.OPTED_IN, State.OPTED_IN, State.OPTED_IN, published=published)
    window = window_half_hours(preset("dfs_2022"), EVENT)
    make_stage(
        State.OPTED_IN,
        State.OPTED_OUT,
        residents=stage.residents[:2],
        published=published,
        starts_at=window[1],
        half_hour_count=2,
    )

    given = gathering.gather(stage.campaign, published, known_at=AFTER)

    busy = dict(zip((home.occupancy_id for home in given.households), given.busy.tolist(), strict=True))
    asked, opted_out, others = (busy[resident.occupancy.pk] for resident in stage.residents)
    assert asked == [start in window[1:3] for start in window]
    assert not any(opted_out)
    assert not any(others)
