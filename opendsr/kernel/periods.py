"""Settlement periods of Great Britain: half-hours 1..46, 48 or 50 of the Europe/London civil day.

Instants are aware UTC; a `date` here is always a Europe/London civil date. Period 1 starts at local midnight,
so the long and the short day differ in count, never in the length of a period.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from opendsr.kernel.interval import HALF_HOUR, Interval

LONDON: Final = ZoneInfo("Europe/London")
MAX_PERIODS: Final = 50
EARLIEST_HOLIDAY_YEAR: Final = 2003

# Royal proclamations, on top of or in place of the standing rules.
MOVED_HOLIDAYS: Final = {
    date(2012, 5, 28): date(2012, 6, 4),
    date(2020, 5, 4): date(2020, 5, 8),
    date(2022, 5, 30): date(2022, 6, 2),
}
EXTRA_HOLIDAYS: Final = (
    date(2011, 4, 29),
    date(2012, 6, 5),
    date(2022, 6, 3),
    date(2022, 9, 19),
    date(2023, 5, 8),
)


def civil_date(at: datetime) -> date:
    """The Europe/London date on which the instant falls."""
    return _aware(at).astimezone(LONDON).date()


@lru_cache(maxsize=8192)
def day_interval(day: date) -> Interval:
    """The civil day as a UTC interval of 23, 24 or 25 hours."""
    return Interval(_midnight(day), _midnight(day + timedelta(days=1)))


def period_count(day: date) -> int:
    """46 on the day the clocks go forward, 50 on the day they go back, else 48."""
    return day_interval(day).duration // HALF_HOUR


def period_of(at: datetime) -> tuple[date, int]:
    """The civil date and 1-based settlement period that contain the instant."""
    day = civil_date(at)
    return day, (at - day_interval(day).starts_at) // HALF_HOUR + 1


def period_start(day: date, period: int) -> datetime:
    """UTC start of a 1-based settlement period; ValueError when the day has no such period."""
    if not 1 <= period <= period_count(day):
        raise ValueError(f"{day} has settlement periods 1 to {period_count(day)}, not {period}")
    return day_interval(day).starts_at + (period - 1) * HALF_HOUR


def period_starts(day: date) -> list[datetime]:
    """UTC starts of all settlement periods of the day, in order."""
    return list(day_interval(day).half_hours())


def is_half_hour(at: datetime) -> bool:
    """True when the instant is the exact start of a settlement period."""
    moment = _aware(at).astimezone(UTC)
    return moment.minute in (0, 30) and moment.second == 0 and moment.microsecond == 0


def comes_twice(local: datetime) -> bool:
    """True for a UK local time that the clocks show twice: from 1 to 2 in the night that they go back."""
    former, latter = (local.replace(tzinfo=LONDON, fold=fold).utcoffset() for fold in (0, 1))
    return former is not None and latter is not None and former > latter


def is_left_out(local: datetime) -> bool:
    """True for a UK local time that the clocks leave out: from 1 to 2 in the night that they go forward."""
    former, latter = (local.replace(tzinfo=LONDON, fold=fold).utcoffset() for fold in (0, 1))
    return former is not None and latter is not None and former < latter


def clock_time(at: datetime) -> str:
    """UK local time of day; the zone is named only in the hour that happens twice."""
    local = at.astimezone(LONDON)
    return f"{local:%H:%M %Z}" if comes_twice(local) else f"{local:%H:%M}"


@lru_cache(maxsize=128)
def bank_holidays_england_wales(year: int) -> frozenset[date]:
    """Bank holidays of England and Wales, substitute days and royal proclamations up to 2023 included.

    Later proclamations have to be added here; years before 2003 are refused with ValueError.
    """
    if year < EARLIEST_HOLIDAY_YEAR:
        raise ValueError(f"bank holidays are known from {EARLIEST_HOLIDAY_YEAR}, not for {year}")
    easter = _easter_sunday(year)
    mondays = (_first_monday(year, 5), _last_monday(year, 5), _last_monday(year, 8))
    days = {easter - timedelta(days=2), easter + timedelta(days=1)}
    days.update(MOVED_HOLIDAYS.get(day, day) for day in mondays)
    days.update(day for day in EXTRA_HOLIDAYS if day.year == year)
    # Taken in this order, so that Boxing Day steps past the substitute of Christmas Day.
    for fixed in (date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)):
        day = fixed
        while day.weekday() >= 5 or day in days:
            day += timedelta(days=1)
        days.add(day)
    return frozenset(days)


def is_working_day(day: date) -> bool:
    """True on Monday to Friday other than bank holidays of England and Wales."""
    return day.weekday() < 5 and day not in bank_holidays_england_wales(day.year)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


def _aware(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError(f"an instant must be aware: {at!r}")
    return at


def _first_monday(year: int, month: int) -> date:
    earliest = date(year, month, 1)
    return earliest + timedelta(days=-earliest.weekday() % 7)


def _last_monday(year: int, month: int) -> date:
    latest = date(year, month, 31)
    return latest - timedelta(days=latest.weekday())


def _easter_sunday(year: int) -> date:
    """Gregorian Easter by the anonymous (Meeus, Jones, Butcher) algorithm."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    leap = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * leap) // 433
    month = (h + leap - 7 * m + 90) // 25
    day = (h + leap - 7 * m + 33 * month + 19) % 32
    return date(year, month, day)
