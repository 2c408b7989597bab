"""Europe/London days as UTC half-hours, and instants as whole seconds and as text.

The simulated home counts in whole epoch seconds, so that energy is an exact integer number of joules.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
HALF_HOUR = timedelta(minutes=30)
HALF_HOUR_SECONDS = 1800
DAY = timedelta(days=1)


def local_instant(day: date, at: time) -> datetime:
    """UTC instant of a London wall time; the earlier one of the hour that comes twice."""
    return datetime.combine(day, at, LONDON).astimezone(UTC)


def civil_date(at: datetime) -> date:
    """The London date on which the instant falls."""
    return at.astimezone(LONDON).date()


@lru_cache(maxsize=4096)
def half_hours(day: date) -> tuple[datetime, ...]:
    """UTC starts of the 46, 48 or 50 half-hours of a London day."""
    starts_at, ends_at = local_instant(day, time()), local_instant(day + DAY, time())
    count = (ends_at - starts_at) // HALF_HOUR
    return tuple(starts_at + number * HALF_HOUR for number in range(count))


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The London day as a half-open UTC interval of 23, 24 or 25 hours."""
    return local_instant(day, time()), local_instant(day + DAY, time())


def seconds_of(at: datetime) -> int:
    """Whole epoch seconds, rounded up: nothing takes effect before it was said."""
    return -int(-at.timestamp() // 1)


def second_of(at: datetime) -> int:
    """The epoch second that an instant falls in."""
    return int(at.timestamp() // 1)


def instant_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def whole_second(at: datetime) -> datetime:
    """The instant, or the next whole second after it."""
    return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)


def written(at: datetime) -> str:
    """ISO 8601 in UTC with a Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_instant(text: str) -> datetime:
    """Return an ISO 8601 instant as aware UTC; ValueError when it has no offset."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return at.astimezone(UTC)


def read_local_time(text: str) -> time:
    """Return `HH:MM`, a London wall time."""
    at = time.fromisoformat(text)
    if at.tzinfo is not None:
        raise ValueError(f"{text!r} is a wall time and takes no offset")
    return at
