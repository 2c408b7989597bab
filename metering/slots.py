"""Half-hours as whole numbers, the axis of every array in the room: slot = half-hours since 1970-01-01 UTC.

Pure arithmetic; a slot is named by the start of its half-hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from opendsr.kernel.interval import EPOCH, HALF_HOUR, Interval
from opendsr.kernel.periods import MAX_PERIODS, day_interval

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MINUTES: Final = 30
MICROSECONDS: Final = 1_800_000_000
POSTGRES_EPOCH_SLOT: Final = (datetime(2000, 1, 1, tzinfo=UTC) - EPOCH) // HALF_HOUR
POSTGRES_EPOCH: Final = POSTGRES_EPOCH_SLOT * MICROSECONDS


def slot_of(at: datetime) -> int:
    """The slot that contains the instant."""
    return (at - EPOCH) // HALF_HOUR


def start_of(slot: int) -> datetime:
    """When the slot begins, UTC."""
    return EPOCH + int(slot) * HALF_HOUR


def slots_within(interval: Interval) -> tuple[int, int]:
    """First slot and one past the last of the half-hours that begin inside the interval."""
    return -((EPOCH - interval.starts_at) // HALF_HOUR), -((EPOCH - interval.ends_at) // HALF_HOUR)


def whole_slots(starts_at: datetime, ends_at: datetime | None) -> tuple[int, int]:
    """First slot and one past the last of the half-hours that lie wholly inside [starts_at, ends_at)."""
    first = -((EPOCH - starts_at) // HALF_HOUR)
    return first, np.iinfo(np.int64).max if ends_at is None else slot_of(ends_at)


def timestamp(at: datetime) -> int:
    """PostgreSQL's binary timestamptz of an instant, to the microsecond."""
    return _microseconds(at) - POSTGRES_EPOCH


def instant_of(microseconds: int) -> datetime:
    """The instant, UTC, of PostgreSQL's binary timestamptz."""
    return EPOCH + timedelta(microseconds=int(microseconds) + POSTGRES_EPOCH)


def timestamps(slots: Ints) -> Ints:
    """PostgreSQL's binary timestamptz: microseconds since 2000-01-01 UTC."""
    return (slots - POSTGRES_EPOCH_SLOT) * MICROSECONDS


def slots_of_timestamps(microseconds: Ints) -> Ints:
    """Slots of PostgreSQL's binary timestamptz values on the half-hour grid."""
    return microseconds // MICROSECONDS + POSTGRES_EPOCH_SLOT


def from_times(times: Sequence[datetime] | NDArray[np.datetime64]) -> tuple[Ints, Bools]:
    """Slots of aware datetimes, or of a numpy datetime64 array in UTC, and whether each is on the grid."""
    instants = micros(times)
    return instants // MICROSECONDS, instants % MICROSECONDS == 0


def micros(times: Sequence[datetime] | NDArray[np.datetime64]) -> Ints:
    """Microseconds since 1970 UTC of aware datetimes, or of a numpy datetime64 array in UTC."""
    if isinstance(times, np.ndarray) and times.dtype.kind == "M":
        found: Ints = times.astype("datetime64[us]").astype(np.int64)
    else:
        found = np.fromiter((_microseconds(at) for at in times), dtype=np.int64, count=len(times))
    return found


def civil_day_slots(days: Sequence[date]) -> tuple[Ints, Ints]:
    """First slot and number of settlement periods (46, 48, 50) of each Europe/London day."""
    intervals = [day_interval(day) for day in days]
    first = np.array([slot_of(interval.starts_at) for interval in intervals], dtype=np.int64)
    count = np.array([interval.half_hour_count for interval in intervals], dtype=np.int64)
    return first, count


def period_mask(days: Sequence[date]) -> Bools:
    """Which of the 50 places of each day are settlement periods of that day."""
    _, count = civil_day_slots(days)
    mask: Bools = np.arange(MAX_PERIODS)[None, :] < count[:, None]
    return mask


def _microseconds(at: datetime) -> int:
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
