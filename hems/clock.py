"""World time: what the home lives in. Wall time is for TLS, timeouts and quiet times only.

`WORLD_CLOCK_ANCHOR="<world ISO 8601 UTC>/<wall ISO 8601 UTC>"` and `WORLD_CLOCK_SPEED` (default 1) are the
same two variables the rest of the house reads, so that hubs, meters and site agree on the time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from hems.errors import BadClock

ANCHOR_VARIABLE = "WORLD_CLOCK_ANCHOR"
SPEED_VARIABLE = "WORLD_CLOCK_SPEED"
ANCHOR_EXAMPLE = "2026-03-04T12:00:00Z/2026-11-23T09:00:00Z"


class Clock(Protocol):
    """World time, and how long it takes to come."""

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
