"""Invented English weather, for fleets and tests: one temperature for all homes of a seed, by the hour.

Documented ranges, held by tests: over five years 9 to 12 C, in January 2 to 8 C, in July 14 to 20 C; mild and
cold spells of some days, nights colder than afternoons; never below -12 or above 38 C.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from functools import lru_cache
from random import Random

from hems.instants import DAY, LONDON

YEARLY_MEAN_C, SEASONAL_SWING_C, DAILY_SWING_C = 10.5, 6.3, 3.0
COLDEST_DAY, WARMEST_HOUR = 22, 15
SPELL_DAYS = 6
SPELL_C = 2.2
LEAST_C, MOST_C = -12.0, 38.0


def outdoor_c(at: datetime, *, seed: str = "") -> float:
    """Return the temperature outside at an instant."""
    local = at.astimezone(LONDON)
    hour = local.hour + local.minute / 60
    swing_c = DAILY_SWING_C * math.cos(2 * math.pi * (hour - WARMEST_HOUR) / 24)
    return _bounded(day_mean_c(local.date(), seed=seed) + swing_c)


@lru_cache(maxsize=1024)
def day_mean_c(day: date, *, seed: str = "") -> float:
    """Return a day's mean: the season's, moved by the spell of weather it lies in."""
    angle = 2 * math.pi * (day.timetuple().tm_yday - COLDEST_DAY) / 365.25
    spell_c = sum(_dice(day - number * DAY, seed).gauss(0, SPELL_C) for number in range(SPELL_DAYS))
    return _bounded(YEARLY_MEAN_C - SEASONAL_SWING_C * math.cos(angle) + spell_c / math.sqrt(SPELL_DAYS))


def _dice(day: date, seed: str) -> Random:
    return Random(f"{seed}|weather|{day.isoformat()}")  # noqa: S311 - invents, hides nothing


def _bounded(temperature_c: float) -> float:
    return min(max(temperature_c, LEAST_C), MOST_C)
