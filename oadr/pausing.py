"""How long to leave the other end alone after failures: doubling, random, bounded."""

from __future__ import annotations

from random import Random


def pause_seconds(failures: int, *, first_seconds: float, most_seconds: float, dice: Random) -> float:
    """Seconds to wait after one more failure than `failures`: half to all of the doubled bound."""
    bound = min(most_seconds, first_seconds * 2.0 ** min(failures, 30))
    return bound * dice.uniform(0.5, 1.0)
