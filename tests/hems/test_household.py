"""The generated household: documented ranges, determinism, clock-change days."""

from __future__ import annotations

from datetime import UTC, date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hems.household import YEARLY_KWH, base_load_wh, ev_stay, hot_water_draws, household, weekly_cycle
from hems.instants import civil_date, half_hours

SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
days = st.dates(date(2015, 1, 1), date(2035, 12, 31))
seeds = st.integers(0, 10**6)


@pytest.mark.parametrize(("day", "count"), [(SPRING, 46), (date(2026, 6, 1), 48), (AUTUMN, 50)])
def test_a_day_has_as_many_half_hours_as_its_clock(day, count):
    assert len(half_hours(day)) == count
    assert len(base_load_wh(day, seed=1)) == count
    assert all(civil_date(start) == day for start in half_hours(day))


@given(days, seeds)
def test_base_load_is_whole_positive_and_in_range(day, seed):
    load = base_load_wh(day, seed=seed)

    assert all(type(wh) is int and 25 <= wh <= 3_000 for wh in load)
    assert 2_000 <= sum(load) <= 22_000


@given(days, seeds)
def test_the_same_seed_and_day_always_give_the_same(day, seed):
    first = base_load_wh(day, seed=seed), ev_stay(day, seed=seed), hot_water_draws(day, seed=seed)
    household.cache_clear()
    base_load_wh(day + timedelta(days=1), seed=seed)

    assert first == (base_load_wh(day, seed=seed), ev_stay(day, seed=seed), hot_water_draws(day, seed=seed))


def test_figures_do_not_change_from_one_version_to_the_next():
    assert base_load_wh(date(2026, 11, 20), seed="home-1")[:6] == (78, 79, 86, 97, 67, 83)
    assert ev_stay(date(2026, 11, 21), seed="home-1") is not None


def test_a_year_is_what_a_british_home_uses():
    year = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    totals = sorted(sum(sum(base_load_wh(day, seed=seed)) for day in year) / 1000 for seed in range(15))

    assert YEARLY_KWH[0] <= totals[0]
    assert totals[-1] <= YEARLY_KWH[1] * 1.05
    assert 2_300 <= totals[7] <= 3_100


def test_evenings_peak_weekends_fill_noon_and_winter_is_dearer():
    def means(month, is_weekend):
        """Mean Wh at night, about noon, in the evening, and over the day."""
        picked = [date(2026, month, number) for number in range(1, 29)]
        picked = [day for day in picked if (day.weekday() >= 5) == is_weekend]
        loads = [base_load_wh(day, seed=seed) for seed in range(12) for day in picked]
        slots = (range(4, 10), range(22, 28), range(35, 40), range(48))
        return [sum(load[slot] for load in loads for slot in part) / len(loads) / len(part) for part in slots]

    night, noon, evening, winter = means(1, is_weekend=False)
    _, weekend_noon, _, _ = means(1, is_weekend=True)
    *_, summer = means(6, is_weekend=False)

    assert evening > 1.7 * noon > 2 * night
    assert weekend_noon > 1.2 * noon
    assert winter > 1.3 * summer


@given(days, seeds)
def test_a_stay_begins_on_its_day_and_leaves_time_to_charge(day, seed):
    stay = ev_stay(day, seed=seed)

    if stay is not None:
        assert civil_date(stay.arrives_at) == day
        assert civil_date(stay.departs_at) == day + timedelta(days=1)
        assert stay.arrives_at.tzinfo is UTC
        assert 6_000 <= stay.energy_wh <= 14_000
        assert (stay.departs_at - stay.arrives_at).total_seconds() / 3600 * 7_360 > 3 * stay.energy_wh


def test_a_car_takes_about_ten_kwh_on_most_days():
    stays = [ev_stay(date(2026, 1, 1) + timedelta(days=n), seed=s) for s in range(15) for n in range(364)]
    taken = [stay.energy_wh for stay in stays if stay]

    assert 5.2 <= len(taken) / 15 / 52 <= 6.2
    assert 9_500 <= sum(taken) / len(taken) <= 10_500


@given(days, seeds)
@settings(max_examples=50)
def test_water_is_drawn_in_order_on_its_own_day(day, seed):
    taken = hot_water_draws(day, seed=seed)

    assert [at for at, _ in taken] == sorted(at for at, _ in taken)
    assert all(civil_date(at) == day for at, _ in taken)
    assert 500 <= sum(wh for _, wh in taken) <= 9_500


@given(days, seeds)
@settings(max_examples=50)
def test_the_60_degree_cycle_comes_once_a_week(day, seed):
    assert sum(weekly_cycle(day + timedelta(days=number), seed=seed) is not None for number in range(7)) == 1
