from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel.interval import HALF_HOUR, Interval

moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2036, 1, 1), timezones=st.just(UTC))
lengths = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=3))


@st.composite
def intervals(draw):
    starts_at = draw(moments)
    return Interval(starts_at, starts_at + draw(lengths))


@given(intervals())
def test_half_hours_are_the_grid_points_inside(interval):
    half_hours = list(interval.half_hours())

    assert len(half_hours) == interval.half_hour_count
    assert all(at.minute in (0, 30) and at.second == at.microsecond == 0 for at in half_hours)
    assert all(interval.contains(at) for at in half_hours)
    assert all(later - earlier == HALF_HOUR for earlier, later in itertools.pairwise(half_hours))
    if half_hours:
        assert not interval.contains(half_hours[0] - HALF_HOUR)
        assert not interval.contains(half_hours[-1] + HALF_HOUR)
    else:
        assert interval.duration < HALF_HOUR


@given(intervals(), intervals())
def test_overlap_is_mutual_and_is_what_is_shared(one, other):
    shared = one.intersection(other)

    assert one.overlaps(other) == other.overlaps(one) == (shared is not None)
    if shared is not None:
        assert one.contains(shared.starts_at)
        assert other.contains(shared.starts_at)
        assert shared.duration <= min(one.duration, other.duration)


@given(intervals(), lengths)
def test_touching_intervals_do_not_overlap(one, length):
    after = Interval(one.ends_at, one.ends_at + length)

    assert not one.overlaps(after)
    assert not one.contains(one.ends_at)


@given(moments, lengths)
def test_an_interval_runs_forward(starts_at, length):
    with pytest.raises(ValueError, match="run forward"):
        Interval(starts_at, starts_at)
    with pytest.raises(ValueError, match="run forward"):
        Interval(starts_at, starts_at - length)


@pytest.mark.parametrize("zone", [None, ZoneInfo("Europe/London"), ZoneInfo("Asia/Kolkata")])
def test_bounds_must_be_utc(zone):
    starts_at = datetime(2026, 7, 1, tzinfo=zone)

    with pytest.raises(ValueError, match="must be UTC"):
        Interval(starts_at, starts_at + HALF_HOUR)


def test_a_winter_bound_from_london_becomes_utc():
    starts_at = datetime(2026, 3, 28, tzinfo=ZoneInfo("Europe/London"))
    interval = Interval(starts_at, datetime(2026, 3, 30, tzinfo=UTC))

    assert interval.starts_at.tzinfo is UTC
    assert interval.half_hour_count == 96
