"""What a home is expected to move: like days, time of day, mean use, and the split among assets."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import expecting
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import is_working_day, period_of

EVENING = Interval(datetime(2026, 1, 14, 16, tzinfo=UTC), datetime(2026, 1, 14, 18, tzinfo=UTC))


@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.integers(1, 30))
def test_like_days_are_alike_earlier_and_newest_first(day: date, count: int) -> None:
    days = expecting.like_days(day, before=day, count=count)

    assert days == sorted(set(days), reverse=True)
    assert all(each < day and (day - each).days <= 60 for each in days)
    assert {is_working_day(each) for each in days} <= {is_working_day(day)}


def test_like_days_of_a_working_day_pass_over_bank_holidays() -> None:
    days = expecting.like_days(date(2026, 1, 5), before=date(2026, 1, 5), count=6)

    assert days == [
        date(2026, 1, 2),
        *(date(2025, 12, day) for day in (31, 30, 29, 24, 23)),
    ]


@pytest.mark.parametrize(
    ("day", "slot"),
    [
        (date(2026, 1, 13), 32),  # 16:00 GMT, period 33
        (date(2025, 7, 2), 32),  # 16:00 BST
        (date(2026, 3, 29), 30),  # an hour short since 01:00
        (date(2025, 10, 26), 34),  # an hour more since 02:00
    ],
)
def test_slots_follow_the_local_clock(day: date, slot: int) -> None:
    slots = expecting.day_slots(EVENING, [day])

    assert slots.tolist() == [[slot, slot + 1, slot + 2, slot + 3]]


def test_a_time_the_clocks_skip_has_no_slot() -> None:
    night = Interval(datetime(2026, 1, 14, 1, tzinfo=UTC), datetime(2026, 1, 14, 2, tzinfo=UTC))

    assert expecting.day_slots(night, [date(2026, 3, 29)]).tolist() == [[expecting.NO_SLOT] * 2]
    assert expecting.day_slots(night, [date(2026, 3, 28)]).tolist() == [[2, 3]]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)))
def test_an_interval_finds_itself_on_its_own_day(at: datetime) -> None:
    start = at.replace(minute=0, second=0, microsecond=0)
    interval = Interval(start, start.replace(minute=30))
    day, period = period_of(start)

    found = int(expecting.day_slots(interval, [day])[0, 0]) + 1

    # The hour that comes twice is matched to the first of the two.
    assert found in (period, period - 2)


def cube(days: int, wh: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    net_wh = np.full((1, days, 50), wh, dtype=np.int64)
    return net_wh, np.ones_like(net_wh, dtype=bool), np.zeros((1, days), dtype=bool)


def slots_of(days: int) -> np.ndarray:
    return np.tile(np.arange(32, 36), (days, 1))


def test_mean_use_is_twice_the_half_hourly_energy() -> None:
    net_wh, present, events = cube(10, 400)

    usual_w, has_enough = expecting.usual_use_w(net_wh, present, slots_of(10), events)

    assert usual_w.tolist() == [800]
    assert has_enough.tolist() == [True]


def test_only_the_ten_newest_good_days_count() -> None:
    net_wh, present, events = cube(15, 100)
    net_wh[0, 12:] = 99_999
    events[0, 0] = True
    net_wh[0, 0] = 50_000
    present[0, 1, 32:34] = False
    net_wh[0, 1] = 50_000

    usual_w, has_enough = expecting.usual_use_w(net_wh, present, slots_of(15), events)

    assert usual_w.tolist() == [200]
    assert has_enough.tolist() == [True]


@pytest.mark.parametrize(("good_days", "is_enough"), [(3, False), (4, True)])
def test_fewer_than_four_like_days_are_not_enough(good_days: int, is_enough: bool) -> None:
    net_wh, present, events = cube(8, 100)
    present[0, good_days:] = False

    _, has_enough = expecting.usual_use_w(net_wh, present, slots_of(8), events)

    assert has_enough.tolist() == [is_enough]


def test_a_missing_half_hour_is_left_out_of_the_mean_not_counted_as_zero() -> None:
    net_wh, present, events = cube(5, 300)
    present[0, :, 33] = False
    net_wh[0, :, 33] = 0

    usual_w, has_enough = expecting.usual_use_w(net_wh, present, slots_of(5), events)

    assert usual_w.tolist() == [600]
    assert has_enough.tolist() == [True]


def test_a_home_that_exports_has_nothing_to_turn_down() -> None:
    net_wh, present, events = cube(5, -300)

    usual_w, _ = expecting.usual_use_w(net_wh, present, slots_of(5), events)

    assert usual_w.tolist() == [0]


@given(
    st.lists(st.integers(0, 7_360), min_size=1, max_size=5),
    st.integers(0, 20_000),
)
def test_shares_stay_within_the_home_and_within_each_asset(flexible_w: list[int], limit_w: int) -> None:
    shares = expecting.share_limit_w(flexible_w, limit_w)

    assert sum(shares) == min(limit_w, sum(flexible_w))
    assert all(0 <= share <= flexible for share, flexible in zip(shares, flexible_w, strict=True))


@given(st.integers(0, 20_000), st.integers(0, 20_000), st.booleans())
def test_a_promise_elsewhere_comes_off_the_limit(usual_w: int, committed_w: int, is_turn_down: bool) -> None:
    free_w = expecting.home_limit_w(usual_w=usual_w, is_turn_down=is_turn_down)
    left_w = expecting.home_limit_w(usual_w=usual_w, is_turn_down=is_turn_down, committed_w=committed_w)

    assert 0 <= left_w <= free_w
    assert left_w == max(0, free_w - committed_w)
