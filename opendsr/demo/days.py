"""The demo's days: the event day, its ten weeks of history, and how real readings are moved onto them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import is_working_day

HISTORY_DAYS = 70
YEAR_OF_WEEKS = 364
EARLIEST_EVENT_DATE = date(2016, 1, 1)


class DemoDateRefused(DomainError):
    """`DEMO_DATE` is not a day the demo can play."""

    status = 422


class TooLittleHistory(DomainError):
    """A file holds no complete day for one of its homes."""

    status = 422


def newest_ordinary_weekday(before: date) -> date:
    """Return the last working day (England and Wales) before a civil date."""
    day = before - timedelta(days=1)
    while not is_working_day(day):
        day -= timedelta(days=1)
    return day


def event_date(pinned: str, today: date) -> date:
    """Return the event day: `pinned` (ISO) when given, else the newest ordinary weekday before today."""
    if not pinned:
        return newest_ordinary_weekday(today)
    try:
        day = date.fromisoformat(pinned.strip())
    except ValueError:
        raise DemoDateRefused(value=pinned, fix="write it as YYYY-MM-DD, e.g. DEMO_DATE=2026-11-23") from None
    if not EARLIEST_EVENT_DATE <= day < today:
        raise DemoDateRefused(
            value=pinned, fix=f"choose a day from {EARLIEST_EVENT_DATE} to {today - timedelta(days=1)}"
        )
    return day


def history_days(event_day: date) -> list[date]:
    """Return the ten weeks of days before the event day, oldest first."""
    return [event_day - timedelta(days=back) for back in range(HISTORY_DAYS, 0, -1)]


def redating(source_days: Iterable[date], event_day: date) -> timedelta:
    """Choose how far to move a home's readings: weekdays stay weekdays and most of the window is filled.

    The move is whole weeks. Among moves that fill the window equally well, whole 52-week years come first (so
    that winter stays winter), then the newest source days.
    """
    have = set(source_days)
    if not have:
        raise TooLittleHistory(event_day=event_day.isoformat())
    window = [*history_days(event_day), event_day]
    newest, oldest = max(have), min(have)
    weeks = range((event_day - newest).days // 7 - 1, (event_day - oldest).days // 7 + 2)

    def merit(week: int) -> tuple[int, bool, int]:
        moved = timedelta(weeks=week)
        filled = sum((day - moved) in have for day in window) + HISTORY_DAYS * ((event_day - moved) in have)
        return filled, (week * 7) % YEAR_OF_WEEKS == 0, -abs(week)

    return timedelta(weeks=max(weeks, key=merit))
