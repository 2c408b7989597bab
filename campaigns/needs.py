"""What the assets of homes need in a night, from what their households ask and what their kinds usually take.

A night runs from noon to noon in London. Pure: what is not said falls back on the figures named here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import numpy as np

from assets.asking import CAR_KINDS, Comfort, charge_wh, comfort, hot_by
from campaigns.least_cost import stepped, storing, tank
from campaigns.least_cost.stepped import Bools, Ints, SteppedLoads
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import LONDON

NOON: Final = time(12)
PLUGGED_IN_FROM: Final = time(18)
READY_BY: Final = time(7)
TANK_LITRES: Final = 180
TANK_LOSS_W_PER_KELVIN: Final = 1.8
CUPBOARD_C: Final = 18
FULL_C, STERILE_C, HOT_C, MORNING_C = 65, 60, 48, 40
DRAWS: Final = ((time(6, 30), 0.4), (time(12, 30), 0.1), (time(19), 0.5))
"""When hot water is drawn, and what share of the day's."""
USUALLY_HOT_BY: Final = tuple(when for when, share in DRAWS if share > 0.2)
CORE_HOURS: Final = 7
"""A core stores what its heater takes in so many hours, as hubs suppose of one that says nothing."""
OUTDOOR_C: Final = 6
"""Of the heating months in Great Britain, day and night."""
GAINS_PCT: Final = 20
"""Of what a home loses on a usual day, people, cooking and the sun give back so much."""
CHARGE_FROM, CHARGE_TO = time(20), time(8)
HEATING_MONTHS: Final = (10, 11, 12, 1, 2, 3, 4)
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
THREE_PHASES: Final = "ev_charger_3ph"
PLANNED_KINDS: Final = (*CAR_KINDS, "immersion_heater", "storage_heater")


@dataclass(frozen=True, slots=True)
class Night:
    """The half-hours of a night, and their London times."""

    date: date
    starts: tuple[datetime, ...]
    local: tuple[datetime, ...]

    @property
    def interval(self) -> Interval:
        """From noon to noon."""
        return Interval(self.starts[0], self.starts[-1] + HALF_HOUR)

    def between(self, from_time: time, to_time: time) -> Bools:
        """Half-hours from the first such time of the night to the next such time."""
        begin = self._first(from_time)
        end = next(
            (n for n in range(begin + 1, len(self.local)) if self.local[n].time() == to_time), len(self.local)
        )
        place = np.arange(len(self.local))
        return np.asarray((place >= begin) & (place < end))

    def at(self, when: time) -> int:
        """The half-hour in which the London time falls."""
        return self._first(when.replace(minute=30 if when.minute >= 30 else 0, second=0, microsecond=0))

    def _first(self, when: time) -> int:
        # 01:00 does not exist the night the clocks go forward: the next half-hour that does.
        later = [n for n, each in enumerate(self.local) if each.time() == when]
        return later[0] if later else self.at(time((when.hour + 1) % 24, when.minute))


@dataclass(frozen=True, slots=True)
class Thing:
    """One asset as planning sees it."""

    kind: str
    rated_w: int
    daily_wh: int
    needs: Mapping[str, Any]


def night_of(day: date) -> Night:
    """The night that begins at noon of the London date: 46, 48 or 50 half-hours."""
    begins = datetime.combine(day, NOON, LONDON)
    ends = datetime.combine(day + timedelta(days=1), NOON, LONDON)
    starts = tuple(Interval(begins.astimezone(UTC), ends.astimezone(UTC)).half_hours())
    return Night(day, starts, tuple(start.astimezone(LONDON) for start in starts))


def cars(things: Sequence[Thing], night: Night, is_open: Bools) -> SteppedLoads:
    """EV chargers: plugged in from the evening, ready by the time asked (`ready_by`, and `charge_wh`,
    `charge_miles` or `charge_percent`).
    """
    rated = np.array([thing.rated_w for thing in things], np.int64)
    is_three = np.array([thing.kind == THREE_PHASES for thing in things], np.bool_)
    phases = np.where(is_three | (rated > stepped.MOST_AMPS * stepped.VOLTS), 3, 1)
    asked = [charge_wh(thing.needs, daily_wh=thing.daily_wh) for thing in things]
    need_wh = np.array(
        [_number(wh, thing.daily_wh) for wh, thing in zip(asked, things, strict=True)], np.int64
    )
    stays = [night.between(PLUGGED_IN_FROM, _time(thing.needs.get("ready_by"), READY_BY)) for thing in things]
    return SteppedLoads(
        step_wh=phases * stepped.VOLTS // stepped.HALF_HOURS_AN_HOUR,
        least=np.full_like(phases, stepped.LEAST_AMPS),
        most=np.clip(rated // (phases * stepped.VOLTS), stepped.LEAST_AMPS, stepped.MOST_AMPS),
        need_wh=need_wh,
        room_wh=need_wh,
        is_available=np.array(stays) & is_open,
    )


def heat_wh(thing: Thing) -> int:
    """Wh that a storage heater needs for a day of the comfort asked for: UA x degree-hours less gains, from 0
    to what its core holds.

    UA is not known of a home: it is what makes a day of the usual comfort come to the usual day's heat.
    """
    core_wh = thing.rated_w * CORE_HOURS
    usually_lost_wh = thing.daily_wh * 100 / (100 - GAINS_PCT)
    gains_wh = usually_lost_wh - thing.daily_wh
    asked = comfort(thing.needs).kelvin_minutes(OUTDOOR_C)
    lost_wh = usually_lost_wh * asked / Comfort().kelvin_minutes(OUTDOOR_C)
    return min(max(0, round(lost_wh - gains_wh)), core_wh)


def heaters(things: Sequence[Thing], night: Night, is_open: Bools) -> SteppedLoads:
    """Storage heaters: the heat of a day in the heating months, charged in the night; how much follows
    `wanted_c`, `least_c` and `comfort_hours`.
    """
    wanted = np.array([heat_wh(thing) for thing in things], np.int64)
    need_wh = wanted if night.date.month in HEATING_MONTHS else np.zeros_like(wanted)
    window = np.broadcast_to(night.between(CHARGE_FROM, CHARGE_TO), (len(things), len(night.starts)))
    return storing.storage_heaters(
        heater_w=np.array([thing.rated_w for thing in things], np.int64),
        need_wh=need_wh,
        core_wh=need_wh,
        stored_wh=np.zeros_like(wanted),
        is_window=window & is_open,
    )


def tanks(things: Sequence[Thing], night: Night, is_open: Bools) -> tank.Tanks:
    """Immersion heaters: hot at the times asked (`hot_by`), else in the morning and in the evening; 60 °C in
    the half-hour of `weekly_cycle`.
    """
    count, slots = len(things), len(night.starts)
    litres = np.full(count, TANK_LITRES)
    ready, draw = np.zeros((count, slots), np.int64), np.zeros((count, slots), np.int64)
    hot = tank.heat_wh(litres, HOT_C)
    daily = np.array([thing.daily_wh for thing in things], np.int64)
    for when, share in DRAWS:
        drawn = np.rint(daily * share / tank.GRAIN_WH).astype(np.int64) * tank.GRAIN_WH
        draw[:, night.at(when)] = drawn
        ready[:, night.at(when)] = np.maximum(drawn, hot if when in USUALLY_HOT_BY else drawn)
    for number, thing in enumerate(things):
        if times := hot_by(thing.needs):
            draw[number] = ready[number] = 0
            for when in times:
                slot = night.at(when)
                draw[number, slot] += round(daily[number] / len(times) / tank.GRAIN_WH) * tank.GRAIN_WH
                ready[number, slot] = max(draw[number, slot], hot[number])
    # As warm at the end as at the beginning, so that a night does not live off the next.
    ready[:, -1] = np.maximum(ready[:, -1], tank.heat_wh(litres, MORNING_C))
    return tank.Tanks(
        heater_w=np.array([thing.rated_w for thing in things], np.int64),
        full_wh=tank.heat_wh(litres, FULL_C),
        sterile_wh=tank.heat_wh(litres, STERILE_C),
        loss_w_per_kelvin=np.full(count, TANK_LOSS_W_PER_KELVIN),
        litres=litres,
        room_c=np.full(count, CUPBOARD_C),
        stored_wh=tank.heat_wh(litres, MORNING_C),
        ready_wh=ready,
        draw_wh=draw,
        may_heat=is_open,
        sterile_by=np.array(
            [_sterile_by(thing.needs.get("weekly_cycle"), night) for thing in things], np.int64
        ),
    )


def at_once(loads: SteppedLoads) -> Ints:
    """Steps of loads that nobody plans: full power from the first half-hour on until the need is met."""
    need, _ = stepped.wanted_steps(loads)
    most = np.where(loads.is_available, loads.most[:, None], 0)
    before = most.cumsum(axis=1) - most
    steps = np.clip(need[:, None] - before, 0, most)
    return np.where((steps > 0) & (steps < loads.least[:, None]), loads.least[:, None], steps)


def _sterile_by(cycle: object, night: Night) -> int:
    words = str(cycle or "").lower().split()
    if len(words) != 2 or words[0] not in WEEKDAYS:
        return tank.NOT_DUE
    when = night.at(_time(words[1], time(3)))
    return when if night.local[when].weekday() == WEEKDAYS.index(words[0]) else tank.NOT_DUE


def _time(told: object, otherwise: time) -> time:
    try:
        found = time.fromisoformat(str(told))
    except ValueError:
        return otherwise
    return found.replace(minute=30 if found.minute >= 30 else 0, second=0, microsecond=0, tzinfo=None)


def _number(told: object, otherwise: int) -> int:
    return max(0, int(told)) if isinstance(told, int | float) and not isinstance(told, bool) else otherwise
