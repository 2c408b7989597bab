"""The figures of a month: what is summed, what is left out and said, whose group is too small to tell."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from members import supplying
from metering.models import HalfHourlyRate
from opendsr.kernel.interval import HALF_HOUR
from settlement.kpi_models import EventAfter, MonthFigures
from settlement.kpis import monthly
from settlement.kpis.calculations import (
    LEAST_HOMES,
    Counts,
    counted,
    grams,
    overlap_seconds,
    own_use_wh,
    shifted,
    told_groups,
)
from tests.factories import make_resident
from tests.settlement.staging import EVENT, USUAL_WH, make_measured, settle, store

START = datetime(2026, 11, 1, tzinfo=UTC)
MONTH = date(2026, 11, 1)
LATER = datetime(2026, 12, 3, 9, tzinfo=UTC)
minutes = st.integers(0, 5_000)
spans = st.tuples(minutes, st.integers(0, 600)).map(
    lambda each: (START + timedelta(minutes=each[0]), START + timedelta(minutes=each[0] + each[1]))
)


def apart(edges: list[int]) -> list[tuple[datetime, datetime]]:
    """Stretches that do not overlap, between every other pair of different minutes."""
    points = [START + timedelta(minutes=each) for each in sorted(set(edges))]
    return list(zip(points[::2], points[1::2], strict=False))


@given(st.lists(spans, max_size=8), st.lists(minutes, max_size=9))
def test_the_overlap_is_what_counting_minutes_finds(some, edges):
    within = apart(edges)
    by_hand = sum(
        max((min(end, until) - max(start, since)).total_seconds(), 0)
        for start, end in some
        for since, until in within
    )

    assert overlap_seconds(some, within) == pytest.approx(by_hand, abs=1e-3)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 40)))
def test_no_group_can_be_had_from_the_sum_and_the_others(homes):
    told = told_groups({group: Counts(count, 0, 0, 0) for group, count in homes.items()})

    hidden = [homes[group] for group, each in told.items() if each is None]
    shown = [homes[group] for group, each in told.items() if each is not None]
    assert all(count == 0 or count >= LEAST_HOMES for count in shown)
    assert not hidden or sum(hidden) >= LEAST_HOMES or not any(shown)


@given(
    st.dictionaries(st.integers(0, 50), st.sampled_from("xyz")),
    st.dictionaries(st.integers(0, 50), st.integers(0, 9)),
    st.dictionaries(st.integers(0, 50), st.integers(0, 10**9)),
)
def test_groups_together_are_everybody(sorts, asks, earned_mp):
    groups = counted(sorts, asks, earned_mp).values()

    assert sum(each.homes for each in groups) == len(sorts)
    assert sum(each.asks for each in groups) == sum(asks.get(home, 0) for home in sorts)
    assert sum(each.asked for each in groups) == sum(asks.get(home, 0) > 0 for home in sorts)
    assert sum(each.earned_mp for each in groups) == sum(earned_mp.get(home, 0) for home in sorts)


rows = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9_000), st.integers(0, 9_000)), max_size=20)


@given(rows, st.dictionaries(st.integers(0, 40), st.integers(0, 500), max_size=41))
def test_what_moves_to_a_half_hour_of_the_same_carbon_saves_none(moved, intensity):
    told = [(START + number * HALF_HOUR, usual, used) for number, usual, used in moved]
    back = [(start, used, usual) for start, usual, used in told]
    grid = {START + number * HALF_HOUR: Decimal(value) for number, value in intensity.items()}

    there = shifted(told, grid)
    assert there.wh == -shifted(back, grid).wh
    assert there.carbon.amount == -shifted(back, grid).carbon.amount
    assert there.carbon.left_out == sum(start not in grid for start, _, _ in told)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 5_000_000), min_size=1, max_size=50))
def test_an_even_use_emits_between_the_least_and_the_most(wh, intensities):
    emitted = grams(wh, intensities, scale=10_000)

    assert emitted is not None
    assert wh * min(intensities) / 10**7 - 1 <= emitted <= wh * max(intensities) / 10**7 + 1


def test_a_hub_a_charger_and_a_storage_control_draw_35_w():
    day = 86_400.0

    assert own_use_wh(day, {"ev_charger": day, "storage_heater": day}) == 35 * 24
    assert own_use_wh(0, {}) == 0


@pytest.fixture
def november(db):
    """Three homes that gave 600, 300 and 100 Wh at 17:00 and took 400 Wh more together at 19:00."""
    stage = make_measured(600, 300, 100)
    after = [EVENT[-1] + HALF_HOUR * number for number in range(1, 9)]
    for resident, more in zip(stage.residents, (400, 0, 0), strict=True):
        store(resident, {start: USUAL_WH + (more if start == after[0] else 0) for start in after})
    carbon(EVENT[0], 300)
    carbon(after[0], 100)
    settle(stage)
    return stage


def carbon(start, value):
    HalfHourlyRate.objects.create(
        kind=HalfHourlyRate.Kind.CARBON, starts_at=start, value=value, source="test", known_at=START
    )


def test_carbon_is_of_the_time_it_was_moved_from_and_to(november):
    assert monthly.tell(MONTH, at=LATER)

    told = MonthFigures.objects.get(pk=MONTH).figures["environmental"]
    assert (told["event_wh"], told["after_wh"]) == (1_000, -400)
    assert (told["event_g"], told["after_g"]) == (300, -40)
    assert told["event_without_carbon"] == len(EVENT) - 1
    assert told["runs_without_after"] == 0
    # Three hubs and chargers commissioned before November, at the mean of the two half-hours known.
    assert told["own_use_wh"] == 3 * (10 + 20) * 30 * 24
    assert told["own_use_g"] == told["own_use_wh"] * 200 // 1000


def test_money_and_groups_are_of_the_run_that_stands(november):
    monthly.tell(MONTH, at=LATER)

    told = MonthFigures.objects.get(pk=MONTH).figures
    run = november.campaign.settlement_runs.get()
    assert told["economic"]["revenue_mp"] == run.revenue_mp
    assert (told["economic"]["campaigns"], told["economic"]["settled"], told["economic"]["final"]) == (
        1,
        1,
        0,
    )
    assert told["social"]["homes"] == told["social"]["asked"] == 3
    assert told["social"]["tenure"] == {"": None}, "three homes are too few to tell of"
    assert told["social"]["payment"] == {"": None}
    assert told["technical"]["asked_wh"] == 10_000
    assert told["technical"]["delivered_wh"] == run.delivered_wh
    assert told["technical"]["assets_responding"] == told["technical"]["assets_asked"] == 3


def test_homes_are_told_apart_by_how_they_pay_on_the_last_day(november):
    """16 on prepayment, three only since the 30th; 17 on credit; 15 and the stage's three not known."""
    earlier, latest, after = date(2026, 11, 2), date(2026, 11, 30), date(2026, 12, 1)
    at = datetime(2026, 12, 2, 9, tzinfo=UTC)
    told = [
        *13 * [[("prepayment", earlier)]],
        *3 * [[("direct_debit", earlier), ("prepayment", latest), ("standard_credit", after)]],
        *10 * [[("direct_debit", earlier)]],
        *7 * [[("standard_credit", latest)]],
        *2 * [[("prepayment", earlier), ("not_said", latest)]],
        *2 * [[("prepayment", after)]],
        *11 * [[]],
    ]
    for each in told:
        stay = make_resident(at=datetime(2026, 11, 1, tzinfo=UTC), consents=()).occupancy
        for payment_method, day in each:
            supplying.note_supply(
                occupancy=stay, payment_method=payment_method, starts_on=day, at=at, by="test"
            )

    monthly.tell(MONTH, at=LATER)

    groups = MonthFigures.objects.get(pk=MONTH).figures["social"]["payment"]
    assert {group: each["homes"] for group, each in groups.items()} == {
        "": 18,
        "credit": 17,
        "prepayment": 16,
    }
    assert groups["prepayment"]["asks"] == 0


def test_a_month_is_worked_out_again_only_when_its_ground_changes(november, django_assert_max_num_queries):
    monthly.tell(MONTH, at=LATER)
    long_after = LATER + timedelta(days=90)

    with django_assert_max_num_queries(12):
        assert not monthly.tell(MONTH, at=long_after)
    carbon(EVENT[1], 250)
    assert monthly.tell(MONTH, at=long_after)
    assert EventAfter.objects.count() == 1
    carbon(EVENT[2], 250)
    assert not monthly.tell(MONTH, at=LATER + timedelta(days=400)), "after a year it stands"


def test_months_run_from_the_first_hub_to_now(november):
    assert monthly.months(LATER)[-2:] == [MONTH, date(2026, 12, 1)]
    assert monthly.next_month(date(2026, 12, 1)) == date(2027, 1, 1)
