"""Bank holidays of the nations of the United Kingdom: standing rules computed, one-off proclamations as data.

Sources: Banking and Financial Dealings Act 1971, schedule 1 and royal proclamations under section 1;
St Andrew's Day Bank Holiday (Scotland) Act 2007; gov.uk/bank-holidays. A proclamation later than those listed
is added to NATIONS here, or to one rule as its `extra_holidays` and `not_holidays`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

EARLIEST_YEAR: Final = 2003
GOOD_FRIDAY, EASTER_MONDAY = -2, 1
LATEST: Final = -1


class Calendar(StrEnum):
    """Whose bank holidays count."""

    ENGLAND_WALES = "england_wales"
    SCOTLAND = "scotland"
    NORTHERN_IRELAND = "northern_ireland"
    NONE = "none"


CALENDAR_WORDS: Final[Mapping[Calendar, str]] = {
    Calendar.ENGLAND_WALES: "England and Wales",
    Calendar.SCOTLAND: "Scotland",
    Calendar.NORTHERN_IRELAND: "Northern Ireland",
    Calendar.NONE: "none: bank holidays are days like others",
}


@dataclass(frozen=True, slots=True)
class Nation:
    """Standing bank holidays: days from Easter, Mondays by (month, which), and fixed (month, day, since).

    A fixed day on a weekend, or on a holiday already there, moves to the next free weekday; in this order.
    `moved` and `extra` are royal proclamations in place of and on top of them.
    """

    from_easter: tuple[int, ...]
    mondays: tuple[tuple[int, int], ...]
    fixed: tuple[tuple[int, int, int], ...]
    moved: Mapping[date, date]
    extra: tuple[date, ...]


MOVED: Final = {
    date(2012, 5, 28): date(2012, 6, 4),  # Diamond Jubilee
    date(2020, 5, 4): date(2020, 5, 8),  # 75 years of VE Day
    date(2022, 5, 30): date(2022, 6, 2),  # Platinum Jubilee
}
EXTRA: Final = (
    date(2011, 4, 29),  # royal wedding
    date(2012, 6, 5),  # Diamond Jubilee
    date(2022, 6, 3),  # Platinum Jubilee
    date(2022, 9, 19),  # state funeral of Queen Elizabeth II
    date(2023, 5, 8),  # coronation of King Charles III
)
NATIONS: Final[Mapping[Calendar, Nation]] = {
    Calendar.ENGLAND_WALES: Nation(
        from_easter=(GOOD_FRIDAY, EASTER_MONDAY),
        mondays=((5, 1), (5, LATEST), (8, LATEST)),
        fixed=((1, 1, 0), (12, 25, 0), (12, 26, 0)),
        moved=MOVED,
        extra=EXTRA,
    ),
    Calendar.SCOTLAND: Nation(
        from_easter=(GOOD_FRIDAY,),
        mondays=((5, 1), (5, LATEST), (8, 1)),
        fixed=((1, 1, 0), (1, 2, 0), (11, 30, 2007), (12, 25, 0), (12, 26, 0)),
        moved=MOVED,
        extra=(*EXTRA, date(2026, 6, 15)),  # World Cup, proclaimed for Scotland alone
    ),
    Calendar.NORTHERN_IRELAND: Nation(
        from_easter=(GOOD_FRIDAY, EASTER_MONDAY),
        mondays=((5, 1), (5, LATEST), (8, LATEST)),
        fixed=((1, 1, 0), (3, 17, 0), (7, 12, 0), (12, 25, 0), (12, 26, 0)),
        moved=MOVED,
        extra=EXTRA,
    ),
}


@lru_cache(maxsize=512)
def bank_holidays(calendar: Calendar, year: int) -> frozenset[date]:
    """Bank holidays of the calendar in the year, substitute days included; none for Calendar.NONE.

    Years before 2003 are refused with ValueError: their proclamations are not listed.
    """
    if calendar is Calendar.NONE:
        return frozenset()
    if year < EARLIEST_YEAR:
        raise ValueError(f"bank holidays are known from {EARLIEST_YEAR}, not for {year}")
    nation = NATIONS[calendar]
    easter = easter_sunday(year)
    days = {easter + timedelta(days=offset) for offset in nation.from_easter}
    for month, which in nation.mondays:
        monday = _latest_monday(year, month) if which == LATEST else _monday(year, month, which)
        days.add(nation.moved.get(monday, monday))
    days.update(day for day in nation.extra if day.year == year)
    for month, number, since in nation.fixed:
        if year >= since:
            day = date(year, month, number)
            while day.weekday() >= 5 or day in days:
                day += timedelta(days=1)
            days.add(day)
    return frozenset(days)


def easter_sunday(year: int) -> date:
    """Gregorian Easter by the anonymous (Meeus, Jones, Butcher) algorithm."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    leap = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * leap) // 433
    month = (h + leap - 7 * m + 90) // 25
    return date(year, month, (h + leap - 7 * m + 33 * month + 19) % 32)


def _monday(year: int, month: int, which: int) -> date:
    earliest = date(year, month, 1)
    return earliest + timedelta(days=-earliest.weekday() % 7 + 7 * (which - 1))


def _latest_monday(year: int, month: int) -> date:
    latest = date(year, month, 31)
    return latest - timedelta(days=latest.weekday())
