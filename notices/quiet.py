"""Quiet hours, London time, 21:00 to 08:00 unless the co-op sets others: what falls in is held, not lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from opendsr.kernel import house
from opendsr.kernel.periods import LONDON, civil_date, day_interval


@dataclass(frozen=True, slots=True)
class Hours:
    """From `starts` in the evening to `ends` in the morning, by the clocks in London."""

    starts: time = time(21)
    ends: time = time(8)


USUAL: Final = Hours()


def in_force() -> Hours:
    """The hours that the co-op set."""
    return Hours(time(house.number("quiet_from_hour")), time(house.number("quiet_to_hour")))


def is_quiet(at: datetime, hours: Hours = USUAL) -> bool:
    """True from the evening's hour on and before the morning's."""
    local = at.astimezone(LONDON).time()
    return local >= hours.starts or local < hours.ends


def may_leave_at(at: datetime, hours: Hours = USUAL) -> datetime:
    """The first instant from `at` on outside the quiet hours, in UTC."""
    if not is_quiet(at, hours):
        return at
    local = at.astimezone(LONDON)
    day = local.date() + timedelta(days=1) if local.time() >= hours.starts else local.date()
    return datetime.combine(day, hours.ends, LONDON).astimezone(UTC)


def next_morning(at: datetime, hours: Hours = USUAL) -> datetime:
    """The morning of the day after the civil day of `at`, in UTC: when a day's fill begins anew."""
    tomorrow = civil_date(day_interval(civil_date(at)).ends_at)
    return datetime.combine(tomorrow, hours.ends, LONDON).astimezone(UTC)
