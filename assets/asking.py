"""What a household asks of an asset, read out of the words that the registry keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from math import isfinite
from typing import Any, Final

WH_PER_MILE: Final = 250
"""25 kWh to 100 miles."""
MOST_WH: Final = 200_000
"""More is in no car, and no hub takes it."""
DAY_MINUTES: Final = 24 * 60
CAR_KINDS: Final = ("ev_charger", "ev_charger_3ph")
"""Chargers of cars, of one phase and of three."""
_OF_CARS: Final = frozenset(
    {"ready_by", "charge_wh", "charge_miles", "charge_percent", "battery_kwh", "arrives_percent"}
)
HOUSEHOLDS_WORDS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(CAR_KINDS, _OF_CARS),
    "immersion_heater": frozenset({"hot_by"}),
    "storage_heater": frozenset({"wanted_c", "least_c", "comfort_hours"}),
}
"""Kind -> the words that a household says itself, and that end with its stay; the rest is the fitter's."""


@dataclass(frozen=True, slots=True)
class Comfort:
    """`wanted_c` from `begins` to `ends`, else `least_c`.

    London wall times, past midnight where it ends first. What is not said is as in a hub's own config.
    """

    wanted_c: float = 19.0
    least_c: float = 15.0
    begins: time = time(6, 30)
    ends: time = time(22, 30)

    @property
    def wanted_minutes(self) -> int:
        """Minutes a day, above 0 and at most 1440, in which `wanted_c` is wanted."""
        return (_minutes(self.ends) - _minutes(self.begins)) % DAY_MINUTES or DAY_MINUTES

    def kelvin_minutes(self, outdoor_c: float) -> int:
        """A day's minutes times the kelvin by which it is colder outside than wanted inside, 0 or more."""
        above = max(0.0, self.wanted_c - outdoor_c) * self.wanted_minutes
        return round(above + max(0.0, self.least_c - outdoor_c) * (DAY_MINUTES - self.wanted_minutes))


def charge_wh(needs: Mapping[str, Any], *, daily_wh: int) -> object:
    """What is to be charged by `ready_by`, however it is said; None where it is not.

    A share of the battery counts from what the car usually arrives with; where that is not said, an average
    day's `daily_wh` are gone from what was asked for, at most all of it.
    """
    percent, battery_kwh = _told(needs, "charge_percent"), _told(needs, "battery_kwh")
    if percent is not None and battery_kwh is not None:
        target_wh, arrives = battery_kwh * 10 * percent, _told(needs, "arrives_percent")
        lacking_wh = daily_wh if arrives is None else target_wh - battery_kwh * 10 * arrives
        return round(min(max(0, lacking_wh), target_wh, MOST_WH))
    miles = _told(needs, "charge_miles")
    return needs.get("charge_wh") if miles is None else round(miles * WH_PER_MILE)


def hot_by(needs: Mapping[str, Any]) -> tuple[time, ...]:
    """The UK times of day at which hot water is wanted; none where that is not said, or with a zone."""
    return _times(str(needs.get("hot_by") or "").split())


def comfort_hours(needs: Mapping[str, Any]) -> tuple[time, ...]:
    """When `wanted_c` is wanted: London wall times of its beginning and end, none where that is not said."""
    found = _times(str(needs.get("comfort_hours") or "").split("-"))
    return found if len(found) == 2 and found[0] != found[1] else ()


def comfort(needs: Mapping[str, Any]) -> Comfort:
    """What the household wants to feel; what is not said, or is no number, as usual."""
    usual = Comfort()
    begins, ends = comfort_hours(needs) or (usual.begins, usual.ends)
    wanted_c, least_c = _told(needs, "wanted_c"), _told(needs, "least_c")
    return Comfort(
        wanted_c=usual.wanted_c if wanted_c is None else wanted_c,
        least_c=usual.least_c if least_c is None else least_c,
        begins=begins,
        ends=ends,
    )


def _times(words: list[str]) -> tuple[time, ...]:
    try:
        times = tuple(time.fromisoformat(word.strip()) for word in words)
    except ValueError:
        return ()
    return () if any(each.tzinfo is not None for each in times) else times


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute


def _told(needs: Mapping[str, Any], name: str) -> float | None:
    try:
        found = float(str(needs.get(name)))
    except ValueError:
        return None
    return found if isfinite(found) else None
