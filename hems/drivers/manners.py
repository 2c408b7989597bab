"""What an appliance may be asked at a moment. Pure: an order and what is seen in, a wish out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from hems.devices import Hold
from hems.ev_charger import BATTERY_LOW, LEAST_CHARGE_PCT, NEEDED_BY_DEPARTURE
from hems.instants import DAY, civil_date, local_instant, seconds_of
from hems.thermal_store import HOT_WATER_MINIMUM, WEEKLY_60C_CYCLE

MEMBERS_OVERRIDE: Final = "member's override"
HOT_ENOUGH: Final = "hot enough"
LEAST_ON_TIME: Final = "has to run on for a while"
LEAST_OFF_TIME: Final = "has to rest for a while"
GUARD_BAND_C: Final = 3.0
"""A store let go of because it grew cold is held again only this much warmer."""


@dataclass(frozen=True, slots=True)
class WeeklyCycle:
    """The weekly hour at 60 C against legionella: London weekday (0 Monday) and wall time."""

    weekday: int
    at: time
    minutes: int = 60


@dataclass(frozen=True, slots=True)
class Manners:
    """What one appliance needs, from the config. Nothing given, only a car's 30 % is guarded."""

    least_on_seconds: int = 0
    least_off_seconds: int = 0
    ready_by: time | None = None
    charge_wh: int = 0
    minimum_c: float | None = None
    maximum_c: float | None = None
    weekly_cycle: WeeklyCycle | None = None
    solar_from_w: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of it now; None where nobody tells."""

    charge_pct: float | None = None
    charged_wh: int = 0
    temperature_c: float | None = None
    is_on: bool | None = None
    switched_s: int | None = None
    is_overridden: bool = False
    was_guarded: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """No more than `limit_w` (raised: no less, exact: just so); None: as its owner has it. `interlock`: what
    overruled.
    """

    limit_w: int | None = None
    is_raised: bool = False
    interlock: str = ""
    is_exact: bool = False

    def is_off(self, rated_w: int) -> bool:
        """True when an on/off device has to be off for it: by halves it cannot run."""
        return self.limit_w is not None and not self.is_raised and self.limit_w < rated_w


def wish(hold: Hold | None, *, at_s: int, rated_w: int, manners: Manners, seen: Seen) -> Wish:
    """Return what to ask of the appliance at a second, under the order in force.

    The member's own hand comes first, then what the household needs, then the order.
    """
    if hold is None:
        return _rested(Wish(), at_s, rated_w, manners, seen)
    if seen.is_overridden:
        return Wish(interlock=MEMBERS_OVERRIDE)
    if hold.direction != "down":
        if (
            seen.temperature_c is not None
            and manners.maximum_c is not None
            and seen.temperature_c >= manners.maximum_c
        ):
            return Wish(interlock=HOT_ENOUGH)
        is_exact = hold.direction == "at"
        asked = Wish(hold.limit_w, is_raised=True, is_exact=is_exact) if hold.limit_w > 0 else Wish()
        return _rested(asked, at_s, rated_w, manners, seen)
    interlock = _need(at_s, rated_w, manners, seen)
    return _rested(
        Wish(interlock=interlock) if interlock else Wish(hold.limit_w), at_s, rated_w, manners, seen
    )


def _need(at_s: int, rated_w: int, manners: Manners, seen: Seen) -> str:
    """Why the household cannot spare it now, "" when it can."""
    if seen.charge_pct is not None and seen.charge_pct < LEAST_CHARGE_PCT:
        return BATTERY_LOW
    if manners.ready_by is not None and manners.charge_wh > seen.charged_wh:
        left_s = -(-(manners.charge_wh - seen.charged_wh) * 3600 // max(rated_w, 1))
        if at_s >= next_at(manners.ready_by, at_s) - left_s:
            return NEEDED_BY_DEPARTURE
    if manners.weekly_cycle is not None and is_in_cycle(manners.weekly_cycle, at_s):
        return WEEKLY_60C_CYCLE
    if seen.temperature_c is not None and manners.minimum_c is not None:
        least_c = manners.minimum_c + (GUARD_BAND_C if seen.was_guarded else 0.0)
        if seen.temperature_c < least_c:
            return HOT_WATER_MINIMUM
    return ""


def _rested(asked: Wish, at_s: int, rated_w: int, manners: Manners, seen: Seen) -> Wish:
    """Keep a compressor's least times: it is neither stopped nor started right after the last time."""
    if seen.is_on is None or seen.switched_s is None:
        return asked
    lasting_s = at_s - seen.switched_s
    if seen.is_on and asked.is_off(rated_w) and lasting_s < manners.least_on_seconds:
        return Wish(interlock=LEAST_ON_TIME)
    if not seen.is_on and not asked.is_off(rated_w) and lasting_s < manners.least_off_seconds:
        return Wish(0, interlock=LEAST_OFF_TIME)
    return asked


def next_at(wall: time, at_s: int) -> int:
    """Return the first second at or after `at_s` when London clocks show `wall`."""
    today = civil_date(datetime.fromtimestamp(at_s, UTC))
    days: Sequence[datetime] = [local_instant(today + number * DAY, wall) for number in (0, 1, 2)]
    return next(second for day in days if (second := seconds_of(day)) >= at_s)


def is_in_cycle(cycle: WeeklyCycle, at_s: int) -> bool:
    """True while the weekly cycle of this or the day before runs."""
    today = civil_date(datetime.fromtimestamp(at_s, UTC))
    for day in (today - DAY, today):
        starts_s = seconds_of(local_instant(day, cycle.at))
        if day.weekday() == cycle.weekday and starts_s <= at_s < starts_s + cycle.minutes * 60:
            return True
    return False


LONGEST_DEAD_MAN: Final = timedelta(minutes=15)
"""What a hub that died leaves switched off comes back within this time, where the device can do so itself."""
