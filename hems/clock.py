"""World time: what the home lives in. Wall time is for TLS, timeouts and quiet times only.

`WORLD_CLOCK_ANCHOR="<world ISO 8601 UTC>/<wall ISO 8601 UTC>"` and `WORLD_CLOCK_SPEED` (default 1) are the
same two variables the rest of the house reads, so that hubs, meters and site agree on the time. A machine
whose own clock is off leans on the VTN's (`SteadiedClock`), so that an event runs when it should.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Final, Protocol

from hems.errors import BadClock

ANCHOR_VARIABLE = "WORLD_CLOCK_ANCHOR"
SPEED_VARIABLE = "WORLD_CLOCK_SPEED"
ANCHOR_EXAMPLE = "2026-03-04T12:00:00Z/2026-11-23T09:00:00Z"
MOST_SKEW_SECONDS: Final = 5.0
"""A clock that is off by less is left alone: the VTN tells whole seconds, and answers take their time."""
SLOWEST_ANSWER_SECONDS: Final = 2.0
FEWEST_LOOKS, MOST_LOOKS = 3, 5


class Clock(Protocol):
    """World time, and how long it takes to come."""

    @property
    def speed(self) -> float:
        """World seconds a wall second."""

    def now(self) -> datetime:
        """World time, aware UTC."""

    def wall_seconds_until(self, world: datetime) -> float:
        """Real seconds until `world`; 0.0 when past, infinite when the clock is frozen."""


@dataclass(frozen=True, slots=True)
class WorldClock:
    """World time is `anchor_world` at the wall instant `anchor_wall` and runs at `speed`; 0 freezes it."""

    anchor_world: datetime
    anchor_wall: datetime
    speed: float = 1.0

    def now(self) -> datetime:
        return self.anchor_world + (datetime.now(UTC) - self.anchor_wall) * self.speed

    def wall_seconds_until(self, world: datetime) -> float:
        ahead_seconds = (world - self.now()).total_seconds()
        if ahead_seconds <= 0:
            return 0.0
        return ahead_seconds / self.speed if self.speed else math.inf


class SteadiedClock:
    """A world clock whose machine is told the VTN's time; moved by the difference where that is a fault.

    The median of the newest answers counts, so that one late answer moves nothing, and a clock put right
    meanwhile (NTP) is believed again after a few.
    """

    def __init__(self, world: Clock) -> None:
        self._world = world
        self._looks: deque[float] = deque(maxlen=MOST_LOOKS)
        self._ahead_seconds = 0.0

    @property
    def speed(self) -> float:
        return self._world.speed

    @property
    def ahead_seconds(self) -> float:
        """How far the machine's clock is ahead of the VTN's; 0.0 while that is too little to say."""
        return self._ahead_seconds

    def look(self, date: str | None, *, asked_at: float, heard_at: float) -> None:
        """Take the time an answer was stamped with (RFC 9110 Date), and this machine's before and after."""
        skew = skew_seconds(date, asked_at=asked_at, heard_at=heard_at)
        if skew is None or heard_at - asked_at > SLOWEST_ANSWER_SECONDS:
            return
        self._looks.append(skew)
        middle = median(self._looks)
        is_off = len(self._looks) >= FEWEST_LOOKS and abs(middle) > MOST_SKEW_SECONDS
        self._ahead_seconds = middle if is_off else 0.0

    def now(self) -> datetime:
        return self._world.now() - self._lead()

    def wall_seconds_until(self, world: datetime) -> float:
        return self._world.wall_seconds_until(world + self._lead())

    def _lead(self) -> timedelta:
        return timedelta(seconds=self._ahead_seconds * self.speed)


def skew_seconds(date: str | None, *, asked_at: float, heard_at: float) -> float | None:
    """Return how far this machine is ahead of who stamped an answer; None where no time can be read."""
    try:
        stamped_at = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return (asked_at + heard_at) / 2 - stamped_at - 0.5  # a Date has whole seconds


def from_environment(environment: Mapping[str, str] = os.environ) -> WorldClock:
    """Return the clock the two variables describe; without them, world time is wall time."""
    anchor = environment.get(ANCHOR_VARIABLE, "").strip()
    speed = _speed(environment.get(SPEED_VARIABLE, "").strip())
    if not anchor:
        if speed != 1.0:
            raise BadClock(
                f"{SPEED_VARIABLE}={speed} needs a starting point: set {ANCHOR_VARIABLE} to "
                f"<world>/<wall> UTC times such as {ANCHOR_EXAMPLE}, or unset it."
            )
        at = datetime.now(UTC)
        return WorldClock(at, at)
    parts = anchor.split("/")
    if len(parts) != 2:
        raise _bad_anchor(anchor)
    return WorldClock(_instant(parts[0], anchor), _instant(parts[1], anchor), speed)


def _speed(text: str) -> float:
    if not text:
        return 1.0
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not (math.isfinite(speed) and speed >= 0):
        raise BadClock(
            f"{SPEED_VARIABLE}={text!r} is not understood: set it to a number from 0, or unset it."
        )
    return speed


def _instant(part: str, anchor: str) -> datetime:
    try:
        at = datetime.fromisoformat(part.strip())
    except ValueError as error:
        raise _bad_anchor(anchor) from error
    if at.utcoffset() != timedelta(0):
        raise _bad_anchor(anchor)
    return at.astimezone(UTC)


def _bad_anchor(anchor: str) -> BadClock:
    return BadClock(
        f"{ANCHOR_VARIABLE}={anchor!r} is not understood: set it to <world>/<wall>, both ISO 8601 in UTC, "
        f"such as {ANCHOR_EXAMPLE}."
    )
