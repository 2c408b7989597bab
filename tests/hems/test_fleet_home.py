"""The homes of a fleet: cars, tanks, people who are away, weather; and what an event does to them."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.fleet_home import FleetHome
from hems.weather import day_mean_c, outdoor_c
from tests.hems.conftest import make_event

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIX = NOON + 6 * HOUR


def homes(count: int = 120) -> list[FleetHome]:
    return [FleetHome(f"home-{number}") for number in range(count)]


def draw_w(fleet: list[FleetHome], at: datetime) -> float:
    return mean(home.power_w(at) for home in fleet)


def used_wh(home: FleetHome, first: datetime, half_hours: int) -> float:
    return sum(home.power_w(first + number * HOUR / 2) for number in range(half_hours)) / 2


def test_weather_is_english() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(5 * 365)]
    means = {day: day_mean_c(day) for day in days}
    assert 9 <= mean(means.values()) <= 12
    assert 2 <= mean(means[day] for day in days if day.month == 1) <= 8
    assert 14 <= mean(means[day] for day in days if day.month == 7) <= 20
    steps = [abs(means[after] - means[before]) for before, after in pairwise(days)]
    assert 0.3 < mean(steps) < 2.5, "spells, not noise"
    assert outdoor_c(NOON.replace(hour=5)) < outdoor_c(NOON.replace(hour=15))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)), st.text(max_size=8))
def test_weather_is_the_same_for_all_and_within_bounds(at: datetime, seed: str) -> None:
    assert outdoor_c(at, seed=seed) == outdoor_c(at, seed=seed)
    assert -12 <= outdoor_c(at, seed=seed) <= 38


def test_a_fleet_peaks_in_the_evening_and_takes_more_when_it_is_cold() -> None:
    fleet = homes()
    assert draw_w(fleet, SIX) > 2 * draw_w(fleet, NOON - 2 * HOUR)
    heated = [home for home in homes(400) if "storage_heater" in home.kinds]
    assert 20 <= len(heated) <= 80
    winter, summer = datetime(2026, 1, 20, tzinfo=UTC), datetime(2026, 7, 14, tzinfo=UTC)
    assert mean(used_wh(home, winter, 48) for home in heated) > 1.5 * mean(
        used_wh(home, summer, 48) for home in heated
    )


def test_who_is_away_uses_little_and_charges_nothing() -> None:
    home = next(each for each in homes() if "ev_charger" in each.kinds)
    weeks = [NOON.replace(hour=0) + timedelta(weeks=number) for number in range(60)]
    away = [week for week in weeks if home.is_empty(week.date())]
    there = [week for week in weeks if not home.is_empty(week.date())]
    assert 1 <= len(away) <= 12
    # the second day: what was plugged in before has been charged by then
    assert all(used_wh(home, week + 2 * timedelta(days=1), 48) < 7_000 for week in away)
    assert mean(used_wh(home, week + 2 * timedelta(days=1), 48) for week in there) > 10_000


def test_an_event_is_carried_out_and_made_up_afterwards() -> None:
    fleet, free = homes(), homes()
    event = make_event(starts_at=SIX, minutes=90)
    for home in fleet:
        home.ask(event)
    assert draw_w(fleet, SIX - HOUR) == draw_w(free, SIX - HOUR), "nothing before it"
    assert draw_w(fleet, SIX + HOUR / 2) < 0.6 * draw_w(free, SIX + HOUR / 2)
    assert draw_w(fleet, SIX + 2 * HOUR) > draw_w(free, SIX + 2 * HOUR)
    total = [mean(used_wh(home, SIX - 6 * HOUR, 48) for home in each) for each in (fleet, free)]
    assert total[0] == pytest.approx(total[1], rel=0.04), "put off, not saved"


def test_a_member_who_has_enough_and_a_cancelled_event_let_go() -> None:
    pressed, cancelled, free = FleetHome("home-1"), FleetHome("home-1"), FleetHome("home-1")
    event = make_event("E1", starts_at=SIX, minutes=120)
    for home in (pressed, cancelled):
        home.ask(event)
    cancelled.ask(make_event("E1", starts_at=SIX, minutes=120, number=1, status="cancelled"))
    pressed.let_go("E1", SIX - HOUR)
    at = [SIX + number * HOUR / 2 for number in range(8)]
    assert [home.power_w(each) for home in (pressed, cancelled) for each in at] == [
        *(free.power_w(each) for each in at),
        *(free.power_w(each) for each in at),
    ]


@given(
    st.integers(0, 50),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 30), timezones=st.just(UTC)),
)
def test_power_is_never_negative_and_the_same_in_any_order_of_asking(number: int, at: datetime) -> None:
    one, other = FleetHome(f"h{number}"), FleetHome(f"h{number}")
    other.power_w(at + timedelta(days=3))
    assert 0 <= one.power_w(at) == other.power_w(at) < 30_000


def test_a_home_is_small() -> None:
    home = homes(1)[0]
    home.ask(make_event(starts_at=SIX))
    home.power_w(SIX)
    parts = [home, home._power_w, home._orders, *home._orders, home.seed, home.kinds]
    assert sum(map(sys.getsizeof, parts)) < 2_000
