"""The simulated home: `home.json` and orders in, exact power, meter readings and what was held back out.

Power is piecewise constant between whole world seconds and follows from the home and the orders alone, never
from when the hub happened to look: the same event gives the same readings at any speed, poll interval or
restart. Energy is integer joules inside; half-hours are whole Wh, the odd joules carried forward as a meter's
register does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from hems import household
from hems.devices import DeviceState, Order, Segment, hold_at, holds_of
from hems.ev_charger import EvCharger, Span, Stay
from hems.home import CAR_KINDS, EV_CHARGER_3PH, STORAGE_HEATER, Asset, Home
from hems.instants import (
    DAY,
    HALF_HOUR_SECONDS,
    day_bounds,
    half_hours,
    instant_of,
    local_instant,
    second_of,
    seconds_of,
)
from hems.thermal_store import ThermalStore

JOULES_PER_WH = 3600
RUN_IN_DAYS = 3
"""A heat store is started full this long before the first day; by then every start would have met."""

CYCLE_BOOST_WH = 900
"""150 litres from 55 to 60 C."""

HEATING_MONTHS = (11, 12, 1, 2)
"""120 days a year."""

STORAGE_OUTPUT_W = 480
METER_COLUMNS = "meter,starts_at,import_wh,export_wh"

Reading = tuple[datetime, int, int]


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One asset over one half-hour: load without any event, with what happened, and the difference (never
    rounded apart: without_wh - with_wh == curtailed_wh).
    """

    starts_at: datetime
    without_wh: int
    curtailed_wh: int

    @property
    def with_wh(self) -> int:
        return self.without_wh - self.curtailed_wh


def asset_load_wh(asset: Asset, day: date, seed: str | None = None) -> tuple[int, ...]:
    """The asset's load without any event, Wh in each of the 46, 48 or 50 half-hours of a London day.

    Pure: what is laid over history days, and what the event day would have been. `seed` takes the asset's
    place.
    """
    segments = asset_segments(asset, day, day, (), seed)
    return register_wh(joules_of(segments, half_hours(day)))


def asset_segments(
    asset: Asset, first: date, last: date, orders: Sequence[Order], seed: str | None = None
) -> list[Segment]:
    """The asset's power over London days first..last (both included), end to end, under the orders given to
    it.
    """
    holds = holds_of(orders, asset.resource_id)
    habits = asset.seed if seed is None else seed
    starts_s, ends_s = seconds_of(day_bounds(first)[0]), seconds_of(day_bounds(last)[1])
    if asset.kind in CAR_KINDS:
        charger = (
            EvCharger(asset.rated_w, 4140, 690) if asset.kind == EV_CHARGER_3PH else EvCharger(asset.rated_w)
        )
        days = _days(first - DAY, last)
        hours = _spans(asset, first - DAY, last + DAY) or [(starts_s - 2 * 86_400, ends_s + 2 * 86_400)]
        stays = [stay for day in days for stay in _stays(asset, day, habits)]
        parts = [segment for stay in stays for segment in charger.charge(stay, hours, holds)]
    else:
        days = _days(first - RUN_IN_DAYS * DAY, last)
        parts = _store(asset).heat(
            seconds_of(day_bounds(days[0])[0]),
            ends_s,
            hours=_spans(asset, days[0], last),
            draws=[(seconds_of(at), wh) for day in days for at, wh in _draws(asset, day, habits)],
            cycles=[(seconds_of(at), CYCLE_BOOST_WH) for day in days if (at := _cycle(asset, day, habits))],
            holds=holds,
        )
    return _filled(parts, starts_s, ends_s)


def joules_of(segments: Sequence[Segment], starts: Sequence[datetime]) -> list[int]:
    """Energy in each half-hour, exact; `segments` in time order."""
    totals, index = [], 0
    for start in starts:
        since, until = seconds_of(start), seconds_of(start) + HALF_HOUR_SECONDS
        while index < len(segments) and segments[index].ends_s <= since:
            index += 1
        total, at = 0, index
        while at < len(segments) and segments[at].starts_s < until:
            segment = segments[at]
            total += segment.power_w * (min(segment.ends_s, until) - max(segment.starts_s, since))
            at += 1
        totals.append(total)
    return totals


def register_wh(joules: Sequence[int]) -> tuple[int, ...]:
    """Whole Wh as a register shows them: their sum is the whole Wh of the sum."""
    whole, carry_j = [], 0
    for energy_j in joules:
        wh, carry_j = divmod(carry_j + energy_j, JOULES_PER_WH)
        whole.append(wh)
    return tuple(whole)


def curtailed_wh(free_j: Sequence[int], held_j: Sequence[int], without_wh: Sequence[int]) -> tuple[int, ...]:
    """The difference in whole Wh, odd joules carried forward; `without_wh` is the register of `free_j`.

    The sign of each half-hour is kept (none saved is 0, never -1 Wh of rounding), none exceeds what was
    there, and an asset that was off all through shows 0 Wh.
    """
    whole, carry_j = [], 0
    for free, held, most_wh in zip(free_j, held_j, without_wh, strict=True):
        energy_j = free - held
        carry_j += energy_j
        if energy_j > 0:
            wh = min(max(carry_j // JOULES_PER_WH, 0), most_wh) if held else most_wh
        elif energy_j < 0:
            wh = min(-(-carry_j // JOULES_PER_WH), 0)
        else:
            wh = 0
        carry_j -= wh * JOULES_PER_WH
        whole.append(wh)
    return tuple(whole)


class SimulatedDriver:
    """One asset of the simulated home, as the hub drives it. Keeps its timetable and its computed power."""

    def __init__(self, asset: Asset, first: date, last: date) -> None:
        self.asset = asset
        self._first, self._last = first, last
        self._orders: tuple[Order, ...] = ()
        self._free = asset_segments(asset, first, last, ())
        self._segments = self._free

    @property
    def resource_id(self) -> str:
        return self.asset.resource_id

    @property
    def kind(self) -> str:
        return self.asset.kind

    @property
    def rated_w(self) -> int:
        return self.asset.rated_w

    @property
    def available(self) -> bool:
        return True

    def apply(self, at: datetime) -> None:
        """It keeps its timetable itself."""

    def safe_state(self) -> None:
        self.plan(())

    def plan(self, orders: Sequence[Order]) -> None:
        mine = tuple(order for order in orders if order.resource_id == self.resource_id)
        if mine != self._orders:
            self._orders = mine
            self._segments = asset_segments(self.asset, self._first, self._last, mine)

    def telemetry(self, at: datetime) -> DeviceState:
        at_s = second_of(at)
        is_ordered = hold_at(holds_of(self._orders, self.resource_id), at_s) is not None
        index = bisect_right(self._segments, at_s, key=lambda segment: segment.starts_s) - 1
        if index < 0 or self._segments[index].ends_s <= at_s:
            return DeviceState(
                self.resource_id, self.kind, 0, is_ordered, detail="outside the simulated days"
            )
        segment = self._segments[index]
        return DeviceState(self.resource_id, self.kind, segment.power_w, is_ordered, segment.interlock)

    def next_change(self, at: datetime) -> datetime | None:
        """The first instant after `at` at which its power changes."""
        at_s = second_of(at)
        index = bisect_right(self._segments, at_s, key=lambda segment: segment.starts_s)
        return instant_of(self._segments[index].starts_s) if index < len(self._segments) else None

    def half_hours(self, days: Sequence[date]) -> dict[date, list[HalfHour]]:
        """Every half-hour of consecutive days, with and without what was ordered."""
        free_j: list[int] = []
        held_j: list[int] = []
        without_wh: list[int] = []
        for day in days:
            days_j = joules_of(self._free, half_hours(day))
            free_j += days_j
            without_wh += register_wh(days_j)
            held_j += joules_of(self._segments, half_hours(day))
        flat = zip(without_wh, curtailed_wh(free_j, held_j, without_wh), strict=True)
        return {day: [HalfHour(start, *next(flat)) for start in half_hours(day)] for day in days}


class SimulatedHome:
    """The home of one `home.json`, over the days its base load is given for."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.days = sorted(home.base_wh)
        self.drivers = [
            SimulatedDriver(asset, self.days[0] - DAY, self.days[-1] + DAY) for asset in home.assets
        ]

    @property
    def ends_at(self) -> datetime:
        """End of the last day that has readings."""
        return day_bounds(self.days[-1])[1]

    def plan(self, orders: Sequence[Order]) -> None:
        """Give every asset its timetable."""
        for driver in self.drivers:
            driver.plan(orders)

    def logged_until(self, at: datetime) -> int:
        """The half-hour before which every reading is there."""
        return min(int(at.timestamp()), int(self.ends_at.timestamp())) // HALF_HOUR_SECONDS

    def apply(self, at: datetime) -> None:
        """Its assets keep their timetables themselves."""

    def words(self) -> Sequence[str]:
        """Nobody lives here."""
        return ()

    def show(self, status: Mapping[str, Any]) -> None:
        """Nobody looks."""

    def adopt(self, needs: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
        """A simulated household lives by its seed."""
        return ()

    def described(self) -> Mapping[str, Any]:
        return {"kind": "simulated", "drivers": {}, "needs": {}}

    def serve_file(self, name: str, body: bytes) -> str:
        """No device fetches anything."""
        return ""

    def close(self) -> None:
        """Nothing is held."""

    def meter_readings(self, day: date) -> list[Reading]:
        """(period start, import Wh, export Wh) of each half-hour of a London day."""
        loads = [driver.half_hours(self.days)[day] for driver in self.drivers]
        export_wh = self.home.export_wh.get(day)
        return [
            (
                start,
                self.home.base_wh[day][slot] + sum(load[slot].with_wh for load in loads),
                export_wh[slot] if export_wh else 0,
            )
            for slot, start in enumerate(half_hours(day))
        ]

    def readings_csv(self, until: datetime) -> str:
        """The CAD's log: half-hours that have ended by `until`, in time order, stamped at their UTC start."""
        rows = [METER_COLUMNS]
        for day in self.days:
            for start, import_wh, export_wh in self.meter_readings(day):
                if seconds_of(start) + HALF_HOUR_SECONDS <= until.timestamp():
                    rows.append(f"{self.home.meter},{start:%Y-%m-%dT%H:%M:%SZ},{import_wh},{export_wh}")
        return "\n".join(rows) + "\n"

    def curtailed_csv(self, until: datetime) -> str:
        """What each asset used, would have used, and the difference, for half-hours that have ended by
        `until`.
        """
        rows = ["resource_id,starts_at,without_wh,with_wh,curtailed_wh"]
        for driver in self.drivers:
            for loads in driver.half_hours(self.days).values():
                for load in loads:
                    if seconds_of(load.starts_at) + HALF_HOUR_SECONDS <= until.timestamp():
                        stamp = f"{load.starts_at:%Y-%m-%dT%H:%M:%SZ}"
                        figures = f"{load.without_wh},{load.with_wh},{load.curtailed_wh}"
                        rows.append(f"{driver.resource_id},{stamp},{figures}")
        return "\n".join(rows) + "\n"


def _stays(asset: Asset, day: date, seed: str) -> Sequence[Stay]:
    if day in asset.stays:
        return asset.stays[day]
    stay = household.ev_stay(day, seed=seed)
    return () if stay is None else (stay,)


def _draws(asset: Asset, day: date, seed: str) -> Sequence[tuple[datetime, int]]:
    if day in asset.draws:
        return asset.draws[day]
    if asset.kind == STORAGE_HEATER:
        # A heater's output is its loss, hour by hour while it is the season.
        if day.month not in HEATING_MONTHS:
            return ()
        return [(start, STORAGE_OUTPUT_W // 2) for start in half_hours(day)]
    return household.hot_water_draws(day, seed=seed)


def _cycle(asset: Asset, day: date, seed: str) -> datetime | None:
    return None if asset.kind == STORAGE_HEATER else household.weekly_cycle(day, seed=seed)


def _store(asset: Asset) -> ThermalStore:
    if asset.kind == STORAGE_HEATER:
        return ThermalStore(
            asset.rated_w, loss_w=0, band_wh=100, minimum_wh=11_000, headroom_wh=1_000, capacity_wh=14_000
        )
    return ThermalStore(asset.rated_w)


def _spans(asset: Asset, first: date, last: date) -> list[Span]:
    """The owner's hours of each day as epoch seconds; hours that end before they begin run past midnight."""
    spans = []
    for day in _days(first - DAY, last):
        for opens, closes in asset.hours:
            ends_on = day if closes > opens else day + DAY
            spans.append((seconds_of(local_instant(day, opens)), seconds_of(local_instant(ends_on, closes))))
    return spans


def _filled(parts: Sequence[Segment], starts_s: int, ends_s: int) -> list[Segment]:
    """Cut to the range, idle where nothing is."""
    segments, at_s = [], starts_s
    for part in sorted(parts, key=lambda part: part.starts_s):
        since, until = max(part.starts_s, at_s), min(part.ends_s, ends_s)
        if since >= until:
            continue
        if since > at_s:
            segments.append(Segment(at_s, since, 0))
        segments.append(Segment(since, until, part.power_w, part.interlock))
        at_s = until
    if at_s < ends_s:
        segments.append(Segment(at_s, ends_s, 0))
    return segments


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
