from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel import periods

days = st.dates(min_value=date(2020, 1, 1), max_value=date(2035, 12, 31))
moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2036, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("day", "count"),
    [
        (date(2026, 3, 29), 46),
        (date(2026, 10, 25), 50),
        (date(2027, 3, 28), 46),
        (date(2027, 10, 31), 50),
        (date(2026, 6, 1), 48),
        (date(2026, 12, 1), 48),
    ],
)
def test_clock_change_days_have_46_and_50_periods(day, count):
    assert periods.period_count(day) == count
    assert len(periods.period_starts(day)) == count


def test_every_day_of_sixteen_years_adds_up():
    day, last, total = date(2020, 1, 1), date(2035, 12, 31), 0
    counts = {46: 0, 48: 0, 50: 0}
    while day <= last:
        starts = periods.period_starts(day)
        counts[len(starts)] += 1
        total += len(starts)
        assert starts[-1] + timedelta(minutes=30) == periods.day_interval(day + timedelta(days=1)).starts_at
        day += timedelta(days=1)

    assert total == (datetime(2036, 1, 1) - datetime(2020, 1, 1)) // timedelta(minutes=30)
    assert (counts[46], counts[50]) == (16, 16)


def test_the_short_day_skips_and_the_long_day_repeats_the_local_hour():
    london = ZoneInfo("Europe/London")

    assert periods.period_start(date(2027, 3, 28), 3).astimezone(london).hour == 2
    long_day = [
        periods.period_start(date(2026, 10, 25), period).astimezone(london) for period in (3, 4, 5, 6)
    ]
    assert [f"{at:%H:%M}" for at in long_day] == ["01:00", "01:30", "01:00", "01:30"]
    assert periods.period_start(date(2026, 10, 25), 50) == datetime(2026, 10, 25, 23, 30, tzinfo=UTC)


def test_a_summer_day_starts_the_evening_before_in_utc():
    assert periods.day_interval(date(2026, 7, 1)).starts_at == datetime(2026, 6, 30, 23, 0, tzinfo=UTC)
    assert periods.period_of(datetime(2026, 6, 30, 23, 29, tzinfo=UTC)) == (date(2026, 7, 1), 1)


@given(moments)
def test_an_instant_lies_in_its_own_period(at):
    day, period = periods.period_of(at)
    start = periods.period_start(day, period)

    assert start <= at < start + timedelta(minutes=30)
    assert periods.civil_date(at) == day
    assert periods.is_half_hour(start)
    assert periods.is_half_hour(at) == (at == start)


@given(days, st.integers(1, 50))
def test_a_period_round_trips(day, period):
    if period > periods.period_count(day):
        with pytest.raises(ValueError, match=f"not {period}"):
            periods.period_start(day, period)
    else:
        assert periods.period_of(periods.period_start(day, period)) == (day, period)


@pytest.mark.parametrize("period", [0, -1, 51])
def test_a_period_outside_the_day_is_refused(period):
    with pytest.raises(ValueError, match="settlement periods 1 to 48"):
        periods.period_start(date(2026, 6, 1), period)


def test_a_naive_instant_is_refused():
    for read in (periods.civil_date, periods.period_of, periods.is_half_hour):
        with pytest.raises(ValueError, match="must be aware"):
            read(datetime(2026, 6, 1))


@pytest.mark.parametrize(
    ("year", "holidays"),
    [
        (2020, ["01-01", "04-10", "04-13", "05-08", "05-25", "08-31", "12-25", "12-28"]),
        (2021, ["01-01", "04-02", "04-05", "05-03", "05-31", "08-30", "12-27", "12-28"]),
        (2022, ["01-03", "04-15", "04-18", "05-02", "06-02", "06-03", "08-29", "09-19", "12-26", "12-27"]),
        (2023, ["01-02", "04-07", "04-10", "05-01", "05-08", "05-29", "08-28", "12-25", "12-26"]),
        (2024, ["01-01", "03-29", "04-01", "05-06", "05-27", "08-26", "12-25", "12-26"]),
        (2025, ["01-01", "04-18", "04-21", "05-05", "05-26", "08-25", "12-25", "12-26"]),
        (2026, ["01-01", "04-03", "04-06", "05-04", "05-25", "08-31", "12-25", "12-28"]),
        (2027, ["01-01", "03-26", "03-29", "05-03", "05-31", "08-30", "12-27", "12-28"]),
    ],
)
def test_bank_holidays_of_england_and_wales(year, holidays):
    assert [f"{day:%m-%d}" for day in sorted(periods.bank_holidays_england_wales(year))] == holidays


@given(st.integers(2024, 2100))
def test_a_year_has_eight_bank_holidays_all_on_weekdays(year):
    holidays = periods.bank_holidays_england_wales(year)

    assert len(holidays) == 8
    assert all(day.weekday() < 5 and not periods.is_working_day(day) for day in holidays)


def test_working_days_leave_out_weekends_and_bank_holidays():
    assert periods.is_working_day(date(2026, 12, 24))
    assert not any(periods.is_working_day(date(2026, 12, day)) for day in (25, 26, 27, 28))


def test_years_before_the_rules_are_refused():
    with pytest.raises(ValueError, match="known from 2003"):
        periods.bank_holidays_england_wales(1999)
