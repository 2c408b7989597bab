"""Half-open UTC intervals, the only shape of a span of time in the house."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

ZERO: Final = timedelta(0)
HALF_HOUR: Final = timedelta(minutes=30)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Interval:
    """Half-open UTC interval [starts_at, ends_at); never empty, never backwards."""

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.starts_at.utcoffset() != ZERO or self.ends_at.utcoffset() != ZERO:
            raise ValueError(f"interval bounds must be UTC: {self.starts_at!r}, {self.ends_at!r}")
        # Europe/London in winter has offset zero too, but its arithmetic follows the local clock.
        object.__setattr__(self, "starts_at", self.starts_at.astimezone(UTC))
        object.__setattr__(self, "ends_at", self.ends_at.astimezone(UTC))
        if self.ends_at <= self.starts_at:
            raise ValueError(f"interval must run forward: {self.starts_at!r}, {self.ends_at!r}")

    @property
    def duration(self) -> timedelta:
        return self.ends_at - self.starts_at

    def overlaps(self, other: Interval) -> bool:
        """True when the two share an instant; touching ends do not."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    def contains(self, at: datetime) -> bool:
        """True when starts_at <= at < ends_at."""
        return self.starts_at <= at < self.ends_at

    def intersection(self, other: Interval) -> Interval | None:
        """What the two share, or None."""
        if not self.overlaps(other):
            return None
        return Interval(max(self.starts_at, other.starts_at), min(self.ends_at, other.ends_at))

    def half_hours(self) -> Iterator[datetime]:
        """Yield the start of every half-hour that begins inside the interval."""
        at = self._earliest_half_hour()
        while at < self.ends_at:
            yield at
            at += HALF_HOUR

    @property
    def half_hour_count(self) -> int:
        """How many half-hours begin inside the interval."""
        return max(0, -((self._earliest_half_hour() - self.ends_at) // HALF_HOUR))

    def _earliest_half_hour(self) -> datetime:
        past = (self.starts_at - EPOCH) % HALF_HOUR
        return self.starts_at if past == ZERO else self.starts_at + (HALF_HOUR - past)

    def __str__(self) -> str:
        return f"[{self.starts_at:%Y-%m-%dT%H:%M:%SZ}, {self.ends_at:%Y-%m-%dT%H:%M:%SZ})"
