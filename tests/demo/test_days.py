"""The demo's calendar: which day it plays, and how far real readings are moved."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendsr.demo import days
from opendsr.kernel.periods import is_working_day

DAYS = st.dates(date(2016, 1, 4), date(2035, 12, 28))


@given(today=DAYS)
def test_the_event_day_is_a_working_day_with_none_between_it_and_today(today: date) -> None:
    day = days.event_date("", today)

    assert is_working_day(day)
    assert not any(is_working_day(day + timedelta(days=n)) for n in range(1, (today - day).days))


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 11, 24), date(2026, 11, 23)),
        (date(2026, 11, 23), date(2026, 11, 20)),
        (date(2026, 12, 29), date(2026, 12, 24)),
        (date(2027, 3, 30), date(2027, 3, 25)),
    ],
)
def test_weekends_and_bank_holidays_are_passed_over(today: date, expected: date) -> None:
    assert days.event_date("", today) == expected


@pytest.mark.parametrize(
    "pinned", ["yesterday", "2026-13-01", "23/11/2026", "2026-11-24", "2031-01-01", "1999-01-04"]
)
def test_a_date_that_cannot_be_played_is_refused_with_the_fix(pinned: str) -> None:
    with pytest.raises(days.DemoDateRefused) as refused:
        days.event_date(pinned, date(2026, 11, 24))

    assert refused.value.data["value"] == pinned
    assert refused.value.data["fix"]


def test_the_history_is_the_ten_weeks_before() -> None:
    history = days.history_days(date(2026, 11, 23))

    assert (history[0], history[-1], len(history)) == (date(2026, 9, 14), date(2026, 11, 22), 70)


@given(first=DAYS, length=st.integers(1, 900), event_day=DAYS)
def test_readings_move_by_whole_weeks_and_the_event_day_is_filled_when_it_can_be(
    first: date, length: int, event_day: date
) -> None:
    have = [first + timedelta(days=n) for n in range(length)]

    moved = days.redating(have, event_day)

    assert moved.days % 7 == 0
    if length >= 7:
        assert event_day - moved in have
    if length >= days.HISTORY_DAYS + 7:
        assert all(day - moved in have for day in days.history_days(event_day))


def test_winter_stays_winter_when_the_file_is_long_enough() -> None:
    have = [date(2012, 10, 12) + timedelta(days=n) for n in range(505)]

    moved = days.redating(have, date(2026, 11, 23))

    assert (date(2026, 11, 23) - moved).month in (11, 12)


def test_nothing_to_move_is_refused() -> None:
    with pytest.raises(days.TooLittleHistory):
        days.redating([], date(2026, 11, 23))
