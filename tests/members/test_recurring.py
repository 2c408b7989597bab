"""Times that come again, against a hand-written minute by minute oracle."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from members.recurring import Recurrence, read, season_day, written

LONDON = ZoneInfo("Europe/London")
MINUTE = timedelta(minutes=1)
TIMES = st.sampled_from([None, time(0, 0), time(1, 30), time(7), time(17), time(19), time(23, 45)])
DAYS = st.sampled_from(["", "01-05", "03-29", "06-15", "12-20", "12-31"])


def rules() -> st.SearchStrategy[Recurrence]:
    def made(weekdays, hours, season):
        opens, closes = hours
        if opens is None or closes is None or opens == closes:
            opens = closes = None
        first, last = season if all(season) else ("", "")
        return Recurrence(weekdays, opens, closes, first, last)

    return st.builds(made, st.integers(1, 127), st.tuples(TIMES, TIMES), st.tuples(DAYS, DAYS))


def is_in(rule: Recurrence, at: datetime) -> bool:
    """Whether one minute is one of its times, read as a person would."""
    local = at.astimezone(LONDON)
    for day in (local.date(), local.date() - timedelta(days=1)):
        if not rule.weekdays & 1 << day.weekday():
            continue
        mark = f"{day:%m-%d}"
        if rule.season_from:
            first, last = rule.season_from, rule.season_to
            in_season = first <= mark <= last if first <= last else mark >= first or mark <= last
            if not in_season:
                continue
        if rule.from_time is None:
            if day == local.date():
                return True
        else:
            opens = datetime.combine(day, rule.from_time, LONDON)
            after = timedelta(days=rule.to_time <= rule.from_time)
            closes = datetime.combine(day + after, rule.to_time, LONDON)
            if opens.astimezone(UTC) <= at < closes.astimezone(UTC):
                return True
    return False


@given(
    rule=rules(),
    day=st.dates(date(2026, 3, 20), date(2027, 4, 5)),
    minute=st.integers(0, 95),
    minutes=st.integers(1, 16),
)
def test_touching_is_one_minute_in_common(rule, day, minute, minutes):
    starts_at = datetime.combine(day, time(), UTC) + 15 * minute * MINUTE
    ends_at = starts_at + 15 * minutes * MINUTE
    at, found = starts_at, False
    while at < ends_at and not found:
        found = is_in(rule, at)
        at += MINUTE
    assert rule.touches(starts_at, ends_at) is found


@given(rule=rules())
def test_a_fact_carries_it(rule):
    assert read(written(rule)) == rule
    assert read({}) == Recurrence()


def test_supper_time_on_weekdays():
    rule = Recurrence(0b001_1111, time(17), time(19))
    friday = datetime(2026, 11, 27, tzinfo=UTC)
    assert rule.touches(friday.replace(hour=18), friday.replace(hour=20))
    assert not rule.touches(friday.replace(hour=19), friday.replace(hour=21))
    assert not rule.touches(
        friday.replace(hour=18) + timedelta(days=1), friday.replace(hour=20) + timedelta(days=1)
    )


def test_clock_changes():
    """17:00 to 19:00 in London is 16:00 to 18:00 UTC the day after the clocks went forward."""
    rule = Recurrence(from_time=time(17), to_time=time(19))
    assert not rule.touches(datetime(2027, 3, 27, 16, tzinfo=UTC), datetime(2027, 3, 27, 17, tzinfo=UTC))
    assert rule.touches(datetime(2027, 3, 28, 16, tzinfo=UTC), datetime(2027, 3, 28, 17, tzinfo=UTC))


@pytest.mark.parametrize(
    ("from_time", "to_time", "opens", "closes"),
    [
        (time(22), time(1, 30), "2026-10-24T21:00Z", "2026-10-25T01:30Z"),
        (time(1), time(1, 30), "2026-10-25T00:00Z", "2026-10-25T01:30Z"),
        (time(1, 30), time(6), "2026-10-25T00:30Z", "2026-10-25T06:00Z"),
        (time(22), time(1, 30), "2027-03-27T22:00Z", "2027-03-28T01:00Z"),
        (time(1, 30), time(6), "2027-03-28T01:00Z", "2027-03-28T05:00Z"),
    ],
)
def test_hours_hold_while_the_clock_shows_them(from_time, to_time, opens, closes):
    """In October both half past ones; in March none, so that the hours begin or end as the clocks change."""
    rule = Recurrence(from_time=from_time, to_time=to_time)
    begin, end = datetime.fromisoformat(opens), datetime.fromisoformat(closes)
    half = timedelta(minutes=30)
    at = begin - 3 * half
    while at < end + 3 * half:
        assert rule.touches(at, at + half) == (begin <= at < end), at
        at += half


def test_hours_that_the_clocks_leave_out_are_none_that_day():
    rule = Recurrence(from_time=time(1, 15), to_time=time(1, 45))
    night = datetime(2027, 3, 28, tzinfo=UTC)
    assert not rule.touches(night, night + timedelta(hours=4))
    assert rule.touches(night - timedelta(days=1), night - timedelta(hours=20))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12-24", "12-24"),
        ("--02-29", "02-29"),
        ("02-30", None),
        ("04-31", None),
        ("13-01", None),
        ("1-5", None),
        ("", None),
        ("12-24-", None),
    ],
)
def test_days_of_the_year(text, found):
    assert season_day(text) == found
