"""Quiet hours by London's clocks, on both days when they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notices import quiet
from opendsr.kernel.periods import LONDON

INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@given(at=INSTANTS)
def test_what_is_held_leaves_at_eight_in_london_within_twelve_hours(at):
    leaves = quiet.may_leave_at(at)

    assert not quiet.is_quiet(leaves)
    assert leaves.utcoffset() == timedelta(0)
    assert at <= leaves <= at + timedelta(hours=12)
    if leaves != at:
        assert leaves.astimezone(LONDON).strftime("%H:%M") == "08:00"
        assert quiet.is_quiet(at)
        assert quiet.is_quiet(leaves - timedelta(microseconds=1))


@given(at=INSTANTS)
def test_the_next_morning_is_of_the_next_day(at):
    morning = quiet.next_morning(at).astimezone(LONDON)

    assert morning.date() == at.astimezone(LONDON).date() + timedelta(days=1)
    assert morning.strftime("%H:%M") == "08:00"


@pytest.mark.parametrize(
    ("at", "leaves"),
    [
        (datetime(2026, 1, 15, 20, 59, 59, tzinfo=UTC), datetime(2026, 1, 15, 20, 59, 59, tzinfo=UTC)),
        (datetime(2026, 1, 15, 21, tzinfo=UTC), datetime(2026, 1, 16, 8, tzinfo=UTC)),
        (datetime(2026, 7, 15, 20, tzinfo=UTC), datetime(2026, 7, 16, 7, tzinfo=UTC)),
        (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 3, 29, 7, tzinfo=UTC)),  # clocks go forward
        (datetime(2026, 10, 24, 21, tzinfo=UTC), datetime(2026, 10, 25, 8, tzinfo=UTC)),  # and back
    ],
)
def test_to_the_second(at, leaves):
    assert quiet.may_leave_at(at) == leaves
