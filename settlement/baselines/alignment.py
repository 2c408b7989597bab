"""Which cube slot of one civil day is the same time on the clock as a half-hour of another.

Cube slots are settlement periods less one, counted from local midnight, so on the two clock-change days
17:00 is slot 32 or 36 instead of 34. Likeness of use follows the clock on the wall: baselines compare by
local time.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

from opendsr.kernel.periods import period_count, period_of


class LocalHalfHour(NamedTuple):
    """Half-hours since local midnight by the wall clock, 0..47; `fold` 1 is the second 01:00 hour of
    October.
    """

    ordinal: int
    fold: int

    def __str__(self) -> str:
        return f"{self.ordinal // 2:02d}:{self.ordinal % 2 * 30:02d}"


def local_half_hour(at: datetime) -> tuple[date, LocalHalfHour]:
    """The civil date and wall-clock half-hour of an instant on the half-hour grid."""
    day, period = period_of(at)
    slot = period - 1
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
