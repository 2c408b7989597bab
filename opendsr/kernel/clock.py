"""The two clocks. Edges read `now()` once and pass it down as `at`; services and calculations never call it.

World time drives the domain (campaigns, readings, settlement, hubs) and may be anchored and sped up by
`WORLD_CLOCK_ANCHOR="<world ISO 8601 UTC>/<wall ISO 8601 UTC>"` and `WORLD_CLOCK_SPEED` (default 1). Wall time
is for certificates, sessions, leases, signatures and Celery. Every process with the same two variables
agrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ImproperlyConfigured

from opendsr.kernel.env import env_float, env_str

ANCHOR_VARIABLE = "WORLD_CLOCK_ANCHOR"
SPEED_VARIABLE = "WORLD_CLOCK_SPEED"
ANCHOR_EXAMPLE = "2026-03-04T12:00:00Z/2026-11-23T09:00:00Z"
ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class WorldClock:
    """World time is anchor_world at the wall instant anchor_wall and runs at `speed`; 0 freezes."""

    anchor_world: datetime
    anchor_wall: datetime
    speed: float

    def world_at(self, wall: datetime) -> datetime:
        return self.anchor_world + (wall - self.anchor_wall) * self.speed

    def wall_at(self, world: datetime) -> datetime:
        return self.anchor_wall + (world - self.anchor_world) / self.speed


_clock: WorldClock | None = None
_is_read = False


def now() -> datetime:
    """World time, aware, UTC."""
    clock = _current()
    return wall_now() if clock is None else clock.world_at(wall_now())


def wall_now() -> datetime:
    """Wall time, aware, UTC."""
    return datetime.now(UTC)


def wall_seconds_until(world: datetime) -> float:
    """Real seconds until world time reaches `world`; 0.0 when past, infinite when the clock is frozen."""
    clock = _current()
    ahead_seconds = (world - now()).total_seconds()
    if ahead_seconds <= 0:
        return 0.0
    if clock is None:
        return ahead_seconds
    return ahead_seconds / clock.speed if clock.speed else math.inf


def configure(anchor_world: datetime, anchor_wall: datetime | None = None, speed: float = 1.0) -> None:
    """Set this process's world clock, over the environment.

    `anchor_wall` defaults to this moment; speed 0 freezes the clock.
    """
    global _clock, _is_read
    wall = anchor_wall if anchor_wall is not None else wall_now()
    for name, value in (("anchor_world", anchor_world), ("anchor_wall", wall)):
        if value.utcoffset() != ZERO:
            raise ValueError(f"{name} must be an aware UTC datetime, not {value!r}")
    if not (math.isfinite(speed) and speed >= 0):
        raise ValueError(f"speed must be zero or more, not {speed!r}")
    _clock = WorldClock(anchor_world.astimezone(UTC), wall.astimezone(UTC), float(speed))
    _is_read = True


def reset() -> None:
    """Forget `configure` and what was read; the next call reads the environment again."""
    global _clock, _is_read
    _clock = None
    _is_read = False


def environment() -> dict[str, str]:
    """The variables that give a child process this process's world clock; empty when it is the wall clock."""
    clock = _current()
    if clock is None:
        return {}
    return {
        ANCHOR_VARIABLE: f"{_written(clock.anchor_world)}/{_written(clock.anchor_wall)}",
        SPEED_VARIABLE: repr(clock.speed),
    }


def _current() -> WorldClock | None:
    global _clock, _is_read
    if not _is_read:
        _clock = _from_environment()
        _is_read = True
    return _clock


def _from_environment() -> WorldClock | None:
    text = env_str(ANCHOR_VARIABLE, None)
    speed = env_float(SPEED_VARIABLE, 1.0)
    if speed < 0:
        raise ImproperlyConfigured(
            f"{SPEED_VARIABLE}={speed!r} runs backwards: set it to 1 or more, or unset it."
        )
    if text is None:
        if speed != 1.0:
            raise ImproperlyConfigured(
                f"{SPEED_VARIABLE}={speed!r} needs a starting point: unset it, or "
                f"set {ANCHOR_VARIABLE} to <world>/<wall> UTC times, such as {ANCHOR_EXAMPLE}."
            )
        return None
    parts = text.split("/")
    if len(parts) != 2:
        raise _bad_anchor(text)
    return WorldClock(_instant(parts[0], text), _instant(parts[1], text), speed)


def _instant(part: str, text: str) -> datetime:
    try:
        value = datetime.fromisoformat(part.strip())
    except ValueError as error:
        raise _bad_anchor(text) from error
    if value.utcoffset() != ZERO:
        raise _bad_anchor(text)
    return value.astimezone(UTC)


def _bad_anchor(text: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{ANCHOR_VARIABLE}={text!r} is not understood: "
        f"set it to <world>/<wall>, both ISO 8601 in UTC, such as {ANCHOR_EXAMPLE}."
    )


def _written(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
