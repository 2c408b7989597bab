"""Settling again: corrections, replays and races move exactly the difference, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest
from django.db import connection, transaction

from settlement import settling
from settlement.computing import LOCK
from settlement.models import Account, Entry, SettlementRun, Statement
from tests.racing import at_once
from tests.settlement.staging import (
    AFTER,
    EVENT,
    State,
    assert_everything_sums,
    balance_of,
    make_measured,
    make_stage,
    make_terms,
    settle,
    store,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db
LATER = AFTER + timedelta(days=1)


def test_a_late_reading_after_a_forced_run_is_a_second_run():
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 500, 500, event=EVENT[:2])
    settle(stage, is_forced=True)
    store_event(stage.residents[0], 0, 0, event=EVENT[2:], at=LATER)

    again = settle(stage, at=LATER)

    assert (again.run.sequence, again.run.missing_half_hours, again.run.paid_wh) == (2, 0, 3_000)
    assert_everything_sums()


def test_settling_again_changes_nothing():
    stage = make_measured(700, 300)
    first = settle(stage)

    again = settle(stage, at=LATER)

    assert again.run == first.run
    assert (again.posted, again.is_new) == (False, False)
    assert Entry.objects.count() == 1
    assert Statement.objects.count() == 2


def test_a_correction_posts_the_difference_and_says_so():
    stage = make_measured(700, 300)
    settle(stage)
    store_event(stage.residents[0], 500, 1_000, 1_000, 1_000, at=LATER)

    again = settle(stage, at=LATER)

    assert (again.run.sequence, again.posted, again.run.paid_wh) == (2, True, 800)
    statement = Statement.objects.get(round=again.run.round, member=stage.residents[0].member)
    assert (statement.earned_mp, statement.previous_mp, statement.posted_mp) == (97_500, 136_500, -39_000)
    assert statement.balance_mp == balance_of(stage.residents[0]) == 97_500
    assert Statement.objects.get(round=again.run.round, member=stage.residents[1].member).posted_mp == 0
    assert_everything_sums()


def test_a_reading_corrected_there_and_back_again_brings_the_money_back():
    stage = make_measured(700, 300)
    first = settle(stage)
    store_event(stage.residents[0], 500, 1_000, 1_000, 1_000, at=LATER)
    settle(stage, at=LATER)
    store_event(stage.residents[0], 300, 1_000, 1_000, 1_000, at=LATER + timedelta(hours=1))

    third = settle(stage, at=LATER + timedelta(hours=1))

    assert third.run.sequence == 3
    assert third.run.input_sha256 == first.run.input_sha256
    assert balance_of(stage.residents[0]) == 136_500
    assert_everything_sums()


def test_the_postings_of_a_sequence_of_corrections():
    # 412, 397, 397 and 430 pence for one participant post 412, -15, nothing and 33.
    stage = make_measured(412, published=make_terms(pence_per_kwh="1000", coop_share_pct="0"))
    postings = [settle(stage).entry]
    for hours, delivered_wh in enumerate((397, 397, 430), start=1):
        at = AFTER + timedelta(hours=hours)
        store_event(stage.residents[0], 1_000 - delivered_wh, 1_000, 1_000, 1_000, at=at)
        postings.append(settle(stage, at=at).entry)

    account = Account.objects.get(occupancy=stage.residents[0].occupancy)
    amounts = [entry and entry.postings.get(account=account).amount_mp for entry in postings]
    assert amounts == [412_000, -15_000, None, 33_000]


def test_a_reading_no_baseline_looks_at_changes_nothing():
    stage = make_measured(700)
    first = settle(stage)
    store(stage.residents[0], {datetime(2026, 11, 23, 3, tzinfo=UTC): 9_999}, at=LATER)

    assert settle(stage, at=LATER).run == first.run


def test_a_run_never_knows_less_than_the_one_before():
    stage = make_measured(700)
    settle(stage, at=LATER)

    with pytest.raises(settling.KnowledgeRunsBackwards):
        settle(stage, at=LATER, as_known_at=AFTER)


def test_only_what_was_known_then_is_used():
    stage = make_measured(700)
    store_event(stage.residents[0], 0, 0, 0, 0, at=LATER)

    assert settle(stage, at=LATER, as_known_at=AFTER).run.paid_wh == 700


def test_new_terms_never_reach_back():
    before = make_terms(pence_per_kwh="300", at=EVENT[0] - timedelta(days=1))
    stage = make_measured(700, published=before)
    programme = stage.campaign.programme
    programme.settlement_terms_id = make_terms(pence_per_kwh="1", at=EVENT[0] + timedelta(hours=1)).pk
    programme.save()

    assert settle(stage).run.terms == before
    programme.settlement_terms_id = make_terms(pence_per_kwh="2", at=LATER).pk
    programme.save()
    store_event(stage.residents[0], 0, 1_000, 1_000, 1_000, at=LATER)
    assert settle(stage, at=LATER).run.terms == before


def test_a_campaign_somebody_else_is_settling_is_busy():
    stage = make_measured(700)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(
            "SELECT pg_advisory_lock(hashtext(%s), hashtext(%s))", [LOCK, stage.campaign.programme_id]
        )
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '50ms'")

        with pytest.raises(settling.SettlementBusy), transaction.atomic():
            settle(stage)
    assert not SettlementRun.objects.exists()


def test_a_household_that_vanished_stops_before_any_posting():
    stage = make_measured(700, 300)
    settle(stage)
    stage.parts[0].state = State.CANCELLED
    stage.parts[0].save()

    with pytest.raises(settling.HouseholdsVanished):
        settle(stage, at=LATER)
    assert SettlementRun.objects.count() == 1


def test_two_campaigns_run_one_balance():
    first = make_measured(700)
    settle(first)
    second = make_stage(State.OPTED_IN, residents=first.residents, starts_at=EVENT[0] + timedelta(days=1))
    store_event(
        first.residents[0], 500, 1_000, 1_000, 1_000,
        event=[start + timedelta(days=1) for start in EVENT], at=LATER,
    )  # fmt: skip

    settled = settle(second, at=LATER + timedelta(days=1))

    statement = Statement.objects.get(round=settled.run.round)
    assert statement.balance_mp == balance_of(first.residents[0]) == 136_500 + statement.earned_mp
    assert_everything_sums()


@pytest.mark.django_db(transaction=True)
def test_settling_at_the_same_moment_posts_once():
    stage = make_measured(700, 300)

    first, second = at_once(lambda: settle(stage), lambda: settle(stage))

    assert first.run == second.run
    assert sorted([first.posted, second.posted]) == [False, True]
    assert Entry.objects.count() == 1
    assert_everything_sums()


@pytest.mark.django_db(transaction=True)
def test_campaigns_that_share_homes_settle_at_the_same_moment():
    first = make_measured(700, 300)
    second = make_stage(
        State.OPTED_IN,
        State.OPTED_IN,
        residents=first.residents[::-1],
        starts_at=EVENT[0] + timedelta(days=1),
    )
    for resident in first.residents:
        store_event(
            resident, 900, 900, 900, 900, event=[start + timedelta(days=1) for start in EVENT], at=LATER
        )
    at = LATER + timedelta(days=1)

    results = at_once(lambda: settle(first, at=at), lambda: settle(second, at=at))

    assert [result.posted for result in results] == [True, True]
    for resident in first.residents:
        balances = Statement.objects.filter(member=resident.member).values_list("balance_mp", flat=True)
        assert max(balances) == balance_of(resident)
    assert_everything_sums()


def test_corrections_in_any_order_never_make_or_lose_a_millipenny():
    random = Random(20261125)
    stage = make_measured(
        700, 300, 150, -80, published=make_terms(pence_per_kwh="17.31", coop_share_pct="33.3")
    )
    settle(stage)
    for hour in range(1, 13):
        at = AFTER + timedelta(hours=hour)
        for resident in random.sample(stage.residents, random.randint(0, 3)):
            start = random.choice([*EVENT, *(start - timedelta(days=1) for start in EVENT)])
            store(resident, {start: random.randint(-200, 2_500)}, at=at)
        settle(stage, at=at)
        assert_everything_sums()
