"""Civil days of Europe/London and which half-hour of one is the same time on the clock as one of another.

A day has 48 half-hours, 46 when the clocks go forward and 50 when they go back. Cube slots count them from
local midnight, so on those days 17:00 is slot 32 or 36 instead of 34. Likeness of use follows the clock on
the wall: baselines compare by local time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

LONDON: Final = ZoneInfo("Europe/London")
HALF_HOUR: Final = timedelta(minutes=30)
ONE_DAY: Final = timedelta(days=1)
MAX_PERIODS: Final = 50
HALF_HOURS_A_DAY: Final = 48


class LocalHalfHour(NamedTuple):
    """Half-hours since local midnight by the wall clock, 0..47; `fold` 1 is the second 01:00 hour of
    October.
    """

    ordinal: int
    fold: int

    def __str__(self) -> str:
        return f"{self.ordinal // 2:02d}:{self.ordinal % 2 * 30:02d}"


@lru_cache(maxsize=8192)
def midnight(day: date) -> datetime:
    """UTC instant at which the civil day begins."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


@lru_cache(maxsize=8192)
def period_count(day: date) -> int:
    """46 on the day the clocks go forward, 50 on the day they go back, else 48."""
    return (midnight(day + ONE_DAY) - midnight(day)) // HALF_HOUR


def half_hours_of(day: date) -> list[datetime]:
    """UTC starts of all half-hours of the civil day, in order."""
    return [midnight(day) + HALF_HOUR * slot for slot in range(period_count(day))]


def local_half_hour(at: datetime) -> tuple[date, LocalHalfHour]:
    """The civil date and wall-clock half-hour of an aware instant on the half-hour grid."""
    day = at.astimezone(LONDON).date()
    slot = (at - midnight(day)) // HALF_HOUR
    count = period_count(day)
    if count == 46 and slot >= 2:
        return day, LocalHalfHour(slot + 2, 0)
    if count == 50 and slot >= 4:
        return day, LocalHalfHour(slot - 2, int(slot < 6))
    return day, LocalHalfHour(slot, 0)


def slot_of(half_hour: LocalHalfHour, day: date) -> int | None:
    """The day's cube slot at that wall-clock time; None for the hour that spring leaves out.

    A time that autumn has twice is its first pass, unless the half-hour asked for is itself a second pass.
    """
    count = period_count(day)
    if count == 46:
        if half_hour.ordinal in (2, 3):
            return None
        return half_hour.ordinal if half_hour.ordinal < 2 else half_hour.ordinal - 2
    if count == 50:
        if half_hour.ordinal < 2 or (half_hour.ordinal in (2, 3) and not half_hour.fold):
            return half_hour.ordinal
        return half_hour.ordinal + 2
    return half_hour.ordinal
