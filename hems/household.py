"""How an invented household lives: its base load, its car's stays and its hot water, by seed and day.

Generated, never measured: for demonstrations and tests. The same seed and day always give the same figures,
on any machine and in any order of asking. Documented ranges, held by tests:

    base load     no EV, no electric water heating; 1,700 to 4,300 kWh a year, middle 2,700 (Ofgem's medium
                  typical domestic use), a day 2 to 22 kWh; winter about half as much again as summer; weekday
                  peaks at breakfast and about 18:00, weekends later, fuller at noon; never below the fridge
    EV            about 5.7 stays a week of 6 to 14 kWh, home from about 17:00 to the morning: 10 kWh a stay,
                  3,000 kWh a year
    hot water     4 to 10 kWh drawn and lost a day, mornings and evenings, and a 60 C cycle once a week
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from random import Random

from hems.ev_charger import Stay
from hems.instants import DAY, LONDON, half_hours, local_instant

Seed = str | int

MEDIAN_YEARLY_KWH = 2_700
YEARLY_KWH = (1_700, 4_300)
FLOOR_WH = 25

# Relative use by local hour; each is brought to a mean of 1 below.
_WEEKDAY: tuple[float, ...] = (
    *(0.55, 0.48, 0.45, 0.44, 0.44, 0.5, 0.8, 1.15, 1.1, 0.92, 0.88, 0.88),
    *(0.95, 0.92, 0.88, 0.95, 1.25, 1.65, 1.85, 1.75, 1.6, 1.4, 1.1, 0.78),
)
_WEEKEND: tuple[float, ...] = (
    *(0.6, 0.52, 0.47, 0.45, 0.44, 0.46, 0.55, 0.75, 1.05, 1.25, 1.3, 1.3),
    *(1.35, 1.25, 1.1, 1.1, 1.25, 1.55, 1.7, 1.6, 1.5, 1.35, 1.1, 0.8),
)
_WEEKEND_EXCESS = 1.08
_SEASONAL_SWING = 0.22
_MIDWINTER_DAY = 15


@dataclass(frozen=True, slots=True)
class Appliance:
    """Something run now and then: how often on a weekday and at the weekend, when it may start, how much it
    takes.
    """

    weekday_chance: float
    weekend_chance: float
    hours: tuple[int, int]
    energy_wh: tuple[int, int]
    half_hours: int

    @property
    def mean_daily_wh(self) -> float:
        return (5 * self.weekday_chance + 2 * self.weekend_chance) / 7 * sum(self.energy_wh) / 2


WASHING = Appliance(0.35, 0.6, (8, 19), (400, 900), 3)
DISHES = Appliance(0.4, 0.5, (19, 22), (700, 1_200), 3)
OVEN = Appliance(0.3, 0.5, (17, 19), (500, 1_300), 2)
APPLIANCES = (WASHING, DISHES, OVEN)


@dataclass(frozen=True, slots=True)
class Household:
    """What stays the same about one household from day to day."""

    yearly_kwh: float
    morning_shift_hours: float
    evening_shift_hours: float
    noise: float
    ev_arrival_minute: float
    ev_departure_minute: float
    ev_chance_weekday: float
    hot_water_share: float
    cycle_weekday: int


@lru_cache(maxsize=4096)
def household(seed: Seed) -> Household:
    """Return the household this seed stands for."""
    dice = _dice(seed, "household")
    spread = dice.lognormvariate(0, 0.22)
    return Household(
        yearly_kwh=min(max(MEDIAN_YEARLY_KWH * spread, YEARLY_KWH[0]), YEARLY_KWH[1]),
        morning_shift_hours=dice.uniform(-0.75, 0.75),
        evening_shift_hours=dice.uniform(-0.75, 0.75),
        noise=dice.uniform(0.15, 0.3),
        ev_arrival_minute=min(max(dice.gauss(17 * 60, 30), 15.75 * 60), 18.25 * 60),
        ev_departure_minute=min(max(dice.gauss(7.5 * 60, 30), 6.25 * 60), 9 * 60),
        ev_chance_weekday=dice.uniform(0.78, 0.92),
        hot_water_share=dice.uniform(0.8, 1.2),
        cycle_weekday=dice.randrange(7),
    )


def base_load_wh(day: date, *, seed: Seed) -> tuple[int, ...]:
    """Import of everything but the flexible assets, Wh in each of the 46, 48 or 50 half-hours of a London
    day.
    """
    home, dice, is_weekend = household(seed), _dice(seed, "base", day), day.weekday() >= 5
    appliances_wh = sum(appliance.mean_daily_wh for appliance in APPLIANCES)
    daily_wh = home.yearly_kwh * 1000 / 365.25 - appliances_wh
    daily_wh *= (
        _season(day) * (_WEEKEND_EXCESS if is_weekend else 1) * _clipped(dice.gauss(1, 0.1), 0.7, 1.35)
    )
    starts = half_hours(day)
    use_wh = []
    for start in starts:
        local = start.astimezone(LONDON)
        weight = _weight(local.hour + local.minute / 60 + 0.25, home, is_weekend=is_weekend)
        use_wh.append(daily_wh / 48 * weight * _clipped(dice.gauss(1, home.noise), 0.4, 2.2))
    for appliance in APPLIANCES:
        chance = appliance.weekend_chance if is_weekend else appliance.weekday_chance
        is_run, hour = dice.random() < chance, dice.uniform(*appliance.hours)
        energy_wh = dice.uniform(*appliance.energy_wh)
        if is_run:
            began = local_instant(day, time(int(hour), 30 * (hour % 1 >= 0.5)))
            slot = starts.index(began)
            for part in range(slot, min(slot + appliance.half_hours, len(starts))):
                use_wh[part] += energy_wh / appliance.half_hours
    return tuple(max(FLOOR_WH, round(wh)) for wh in use_wh)


def ev_stay(day: date, *, seed: Seed) -> Stay | None:
    """The stay that begins on a London day, or None when the car is not plugged in that day."""
    home, dice, is_weekend = household(seed), _dice(seed, "ev", day), day.weekday() >= 5
    is_plugged_in = dice.random() < (0.7 if is_weekend else home.ev_chance_weekday)
    arrival = dice.uniform(14.5 * 60, 19 * 60) if is_weekend else home.ev_arrival_minute + dice.gauss(0, 15)
    departure = home.ev_departure_minute + dice.gauss(0, 12) + (90 if (day + DAY).weekday() >= 5 else 0)
    energy_wh = 10 * round(dice.triangular(600, 1_400, 1_000))
    arrives_with_pct = dice.uniform(35, 70)
    if not is_plugged_in:
        return None
    return Stay(
        arrives_at=_at_minute(day, _clipped(arrival, 14 * 60, 20 * 60)),
        departs_at=_at_minute(day + DAY, _clipped(departure, 5.5 * 60, 11 * 60)),
        energy_wh=energy_wh,
        arrives_with_pct=round(arrives_with_pct, 1),
    )


def hot_water_draws(day: date, *, seed: Seed) -> tuple[tuple[datetime, int], ...]:
    """Hot water taken on a London day as (instant, Wh), in time order."""
    home, dice = household(seed), _dice(seed, "water", day)
    late = 60 if day.weekday() >= 5 else 0
    plan = (
        (1.0, 6.25 * 60 + late, 7.25 * 60 + late, 1_100, 2_000),
        (0.8, 7.25 * 60 + late, 8.25 * 60 + late, 800, 1_600),
        (0.7, 11 * 60, 14 * 60, 150, 400),
        (0.95, 16.75 * 60, 18 * 60, 900, 1_800),
        (0.85, 18 * 60, 19.5 * 60, 900, 1_700),
        (0.5, 21 * 60, 22.5 * 60, 200, 400),
    )
    draws = []
    for chance, earliest, latest, least_wh, most_wh in plan:
        is_taken, minute = dice.random() < chance, dice.uniform(earliest, latest)
        energy_wh = round(dice.uniform(least_wh, most_wh) * home.hot_water_share)
        if is_taken:
            draws.append((_at_minute(day, minute), energy_wh))
    return tuple(sorted(draws))


def weekly_cycle(day: date, *, seed: Seed) -> datetime | None:
    """When the weekly 60 C cycle starts on a London day: 03:00 on the household's own weekday, else None."""
    return local_instant(day, time(3)) if day.weekday() == household(seed).cycle_weekday else None


def _dice(seed: Seed, purpose: str, day: date | None = None) -> Random:
    # Text seeds are hashed the same way on every machine; nothing secret hangs on them.
    return Random(f"{seed}|{purpose}|{day.isoformat() if day else ''}")  # noqa: S311


def _season(day: date) -> float:
    angle = 2 * math.pi * (day.timetuple().tm_yday - _MIDWINTER_DAY) / 365.25
    return 1 + _SEASONAL_SWING * math.cos(angle)


def _weight(hour: float, home: Household, *, is_weekend: bool) -> float:
    """Relative use at a local hour, the household's own mornings and evenings taken into account."""
    shift = home.morning_shift_hours if hour < 13 else home.evening_shift_hours
    shape = _WEEKEND if is_weekend else _WEEKDAY
    at = (hour - shift - 0.5) % 24
    before = int(at)
    part = at - before
    value = shape[before] * (1 - part) + shape[(before + 1) % 24] * part
    return value * 24 / sum(shape)


def _at_minute(day: date, minute: float) -> datetime:
    whole = int(minute)
    seconds = int((minute - whole) * 60)
    return local_instant(day, time(whole // 60, whole % 60)) + timedelta(seconds=seconds)


def _clipped(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)
