"""Quiet hours, 21:00 to 08:00 in Europe/London: what falls into them is held, not dropped."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from opendsr.kernel.periods import LONDON, civil_date, day_interval

QUIET_FROM: Final = time(21)
QUIET_TO: Final = time(8)


def is_quiet(at: datetime) -> bool:
    """True from 21:00 on and before 08:00, by the clocks in London."""
    local = at.astimezone(LONDON).time()
    return local >= QUIET_FROM or local < QUIET_TO


def may_leave_at(at: datetime) -> datetime:
    """The first instant from `at` on outside the quiet hours, in UTC."""
    if not is_quiet(at):
        return at
    local = at.astimezone(LONDON)
    day = local.date() + timedelta(days=1) if local.time() >= QUIET_FROM else local.date()
    return datetime.combine(day, QUIET_TO, LONDON).astimezone(UTC)


def next_morning(at: datetime) -> datetime:
    """08:00 of the day after the civil day of `at`, in UTC: when a day's fill begins anew."""
    tomorrow = civil_date(day_interval(civil_date(at)).ends_at)
    return datetime.combine(tomorrow, QUIET_TO, LONDON).astimezone(UTC)
