"""What an appliance may be asked: the member first, then what the household needs, then the order."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.devices import Hold
from hems.drivers.manners import (
    HOT_ENOUGH,
    LEAST_OFF_TIME,
    LEAST_ON_TIME,
    MEMBERS_OVERRIDE,
    Manners,
    Seen,
    WeeklyCycle,
    Wish,
    is_in_cycle,
    next_at,
    wish,
)
from hems.ev_charger import BATTERY_LOW, NEEDED_BY_DEPARTURE
from hems.instants import LONDON, seconds_of
from hems.thermal_store import HOT_WATER_MINIMUM, WEEKLY_60C_CYCLE

FIVE = datetime(2026, 11, 20, 17, tzinfo=UTC)
FIVE_S = seconds_of(FIVE)
DOWN = Hold(FIVE_S, FIVE_S + 3600, FIVE_S + 3600, "down", 0, 1)
UP = Hold(FIVE_S, FIVE_S + 3600, FIVE_S + 3600, "up", 3000, 1)


def asked(hold: Hold | None, at_s: int = FIVE_S, *, rated_w: int = 3000, **seen: Any) -> Wish:
    manners = seen.pop("manners", Manners())
    return wish(hold, at_s=at_s, rated_w=rated_w, manners=manners, seen=Seen(**seen))


def test_without_an_order_it_is_its_owners():
    assert asked(None) == Wish()


def test_the_order_is_passed_on():
    assert asked(DOWN) == Wish(0)
    assert asked(UP) == Wish(3000, is_raised=True)


@pytest.mark.parametrize("hold", [DOWN, UP])
def test_the_members_hand_comes_before_everything(hold: Hold):
    assert asked(hold, is_overridden=True, charge_pct=5) == Wish(interlock=MEMBERS_OVERRIDE)


def test_a_car_below_30_percent_is_not_held_back():
    assert asked(DOWN, charge_pct=29.9).interlock == BATTERY_LOW
    assert asked(DOWN, charge_pct=30.0) == Wish(0)


def test_charging_goes_on_once_it_has_to_for_the_departure():
    manners = Manners(ready_by=time(18), charge_wh=7360)
    left = {"rated_w": 7360, "manners": manners}
    assert asked(DOWN, FIVE_S - 1, **left) == Wish(0)
    assert asked(DOWN, FIVE_S, **left) == Wish(interlock=NEEDED_BY_DEPARTURE)
    assert asked(DOWN, FIVE_S + 1799, **left, charged_wh=3680) == Wish(0)
    assert asked(DOWN, FIVE_S + 1800, **left, charged_wh=3680).interlock == NEEDED_BY_DEPARTURE
    assert asked(DOWN, FIVE_S + 3000, **left, charged_wh=7360) == Wish(0)


def test_hot_water_has_a_minimum_with_a_band_and_a_maximum():
    manners = Manners(minimum_c=45, maximum_c=65)
    assert asked(DOWN, manners=manners, temperature_c=44.9).interlock == HOT_WATER_MINIMUM
    assert asked(DOWN, manners=manners, temperature_c=46.0) == Wish(0)
    assert asked(DOWN, manners=manners, temperature_c=46.0, was_guarded=True).interlock == HOT_WATER_MINIMUM
    assert asked(UP, manners=manners, temperature_c=65.0) == Wish(interlock=HOT_ENOUGH)


def test_a_compressor_runs_on_and_rests():
    manners = Manners(least_on_seconds=600, least_off_seconds=300)
    just_started = {"manners": manners, "is_on": True, "switched_s": FIVE_S - 599}
    assert asked(DOWN, **just_started).interlock == LEAST_ON_TIME
    assert asked(DOWN, FIVE_S + 1, **just_started) == Wish(0)
    just_stopped = {"manners": manners, "is_on": False, "switched_s": FIVE_S - 299}
    assert asked(None, **just_stopped) == Wish(0, interlock=LEAST_OFF_TIME)
    assert asked(None, FIVE_S + 1, **just_stopped) == Wish()


def test_the_weekly_cycle_is_never_touched_on_either_clock_change():
    cycle = WeeklyCycle(6, time(3))
    manners = Manners(weekly_cycle=cycle)
    for sunday in (datetime(2026, 3, 29, 3, tzinfo=LONDON), datetime(2026, 10, 25, 3, tzinfo=LONDON)):
        start = seconds_of(sunday.astimezone(UTC))
        assert [is_in_cycle(cycle, start + offset) for offset in (-1, 0, 3599, 3600)] == [
            False,
            True,
            True,
            False,
        ]
        assert asked(DOWN, start, manners=manners).interlock == WEEKLY_60C_CYCLE
    late = WeeklyCycle(6, time(23, 30))
    assert is_in_cycle(late, seconds_of(datetime(2026, 11, 30, 0, 29, tzinfo=UTC)))


@given(
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    wall=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_the_next_time_a_clock_shows_is_within_a_day_and_an_hour(at: datetime, wall: time):
    at_s = seconds_of(at.replace(tzinfo=UTC))
    found = next_at(wall, at_s)
    assert 0 <= found - at_s <= timedelta(hours=25).total_seconds()
    shown = datetime.fromtimestamp(found, UTC).astimezone(LONDON).time()
    is_in_the_gap = shown != wall  # a wall time that does not exist comes an hour later
    assert not is_in_the_gap or wall.hour == 1


@given(
    direction=st.sampled_from(["down", "up"]),
    limit_w=st.integers(0, 3000),
    seen=st.builds(
        Seen,
        charge_pct=st.none() | st.floats(0, 100),
        temperature_c=st.none() | st.floats(0, 95),
        is_on=st.none() | st.booleans(),
        switched_s=st.none() | st.integers(FIVE_S - 1000, FIVE_S),
        is_overridden=st.booleans(),
        was_guarded=st.booleans(),
    ),
    manners=st.builds(
        Manners,
        least_on_seconds=st.integers(0, 900),
        least_off_seconds=st.integers(0, 900),
        minimum_c=st.none() | st.floats(0, 60),
        maximum_c=st.none() | st.floats(50, 95),
    ),
)
def test_a_wish_never_asks_more_than_the_order_and_says_why_it_asks_less(
    direction: Any, limit_w: int, seen: Seen, manners: Manners
):
    hold = Hold(FIVE_S, FIVE_S + 60, FIVE_S + 60, direction, limit_w, 1)
    wanted = wish(hold, at_s=FIVE_S, rated_w=3000, manners=manners, seen=seen)
    if wanted.limit_w is None:
        assert wanted.interlock or (direction == "up" and limit_w == 0)
    elif wanted.interlock:
        assert (wanted.limit_w, wanted.interlock) == (0, LEAST_OFF_TIME)
    else:
        assert (wanted.limit_w, wanted.is_raised) == (limit_w, direction == "up")
    if seen.is_overridden:
        assert wanted == Wish(interlock=MEMBERS_OVERRIDE)
