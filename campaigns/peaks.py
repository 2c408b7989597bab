"""A home under a demand charge: its peak of the month, and its assets planned beside what else it draws.

The charge is a month's, on the highest half-hour. A night pays in full for what goes above the month's peak
so far, as if no later night would use it: so no plan raises a peak that its own cheaper energy does not pay.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db.models import Max

import members.queries
from campaigns.least_cost import capped, stepped, tank
from campaigns.least_cost.stepped import Bools, Ints, SteppedLoads
from campaigns.models import HomeHabit, HomePlan
from campaigns.needs import Night
from members.models import Purpose
from metering import asset_shapes, purposes
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import civil_date, is_working_day

LOOK_BACK: Final = timedelta(days=28)
A_DAY: Final = timedelta(days=1)
WATTS: Final = stepped.HALF_HOURS_AN_HOUR
"""W over half an hour a Wh."""


@dataclass(frozen=True, slots=True)
class Homes:
    """Homes under a charge: Wh drawn besides the planned assets [home, half-hour], and the highest half-hour
    so far of the month that each half-hour is in [home, half-hour], 0 where meters do not say.
    """

    base_wh: Ints
    so_far_wh: Ints

    @property
    def floor_wh(self) -> Ints:
        """The half-hour that each home pays for already, of the month that has the higher one [home]."""
        return np.asarray(self.so_far_wh.max(axis=1, initial=0))

    def shifted(self, used_wh: Ints) -> Ints:
        """What is drawn, as if all half-hours were in the month with the higher peak: what counts is by how
        much a half-hour goes above its own month's.
        """
        return used_wh - self.so_far_wh + self.floor_wh[:, None]

    def above_wh(self, used_wh: Ints) -> Ints:
        """By how much the highest half-hours go above what is paid for already, months added up [home]."""
        above = np.zeros(len(used_wh), np.int64)
        months = np.unique(self.so_far_wh, axis=1, return_inverse=True)[1].ravel()
        for month in np.unique(months):
            over = used_wh[:, months == month] - self.so_far_wh[:, months == month]
            above += np.maximum(0, over.max(axis=1))
        return above


def read(
    occupancy_ids: Sequence[UUID], assets_of: Sequence[Collection[UUID]], over: Night, *, at: datetime
) -> Homes:
    """What each household usually draws in the night without its assets, and its month's peak so far."""
    base_wh = usual_wh(occupancy_ids, assets_of, over, at=at)
    months = sorted({(each.year, each.month) for each in over.local})
    so_far = np.zeros_like(base_wh)
    for year, month in months:
        is_month = np.array([(each.year, each.month) == (year, month) for each in over.local])
        so_far[:, is_month] = _peaks_wh(occupancy_ids, date(year, month, 1), at=at)[:, None]
    return Homes(base_wh, so_far)


def usual_wh(
    occupancy_ids: Sequence[UUID], assets_of: Sequence[Collection[UUID]], over: Night, *, at: datetime
) -> Ints:
    """Wh that each household usually draws in the night without its assets [home, half-hour].

    `assets_of` are the planned assets of each home: what their devices usually draw is taken off. Where no
    device tells, the home's usual use stands with its assets in it, on the safe side; a home whose use is
    not known draws nothing.
    """
    slot = np.array([2 * each.hour + each.minute // 30 for each in over.local])
    is_working = np.array([is_working_day(each.date()) for each in over.local], np.int64)
    place = {occupancy_id: number for number, occupancy_id in enumerate(occupancy_ids)}
    usual_w = np.zeros((len(place), len(slot)), np.int64)
    rows = HomeHabit.objects.filter(occupancy__in=list(place))
    for stay, working_w, other_w in rows.values_list("occupancy_id", "working_day_w", "other_day_w"):
        by_day = np.array([other_w, working_w])
        usual_w[place[stay]] = np.maximum(0, by_day[is_working, slot])
    own = [(number, asset_id) for number, ids in enumerate(assets_of) for asset_id in sorted(ids)]
    shapes = asset_shapes.shapes([asset_id for _, asset_id in own], Interval(at - LOOK_BACK, at))
    drawn_w = shapes.drawn_w * shapes.drew / np.maximum(shapes.seen, 1)
    for row, (number, _asset_id) in enumerate(own):
        usual_w[number] -= drawn_w[row, slot].astype(np.int64)
    return np.maximum(0, usual_w) // WATTS


def without_plans(homes: Homes, occupancy_ids: Sequence[UUID], over: Night) -> Homes:
    """The same homes, had nothing been planned this month: what a night without a plan would have set as the
    peak is paid for already, so that no saving is counted twice.
    """
    so_far = homes.so_far_wh.copy()
    place = {occupancy_id: number for number, occupancy_id in enumerate(occupancy_ids)}
    first = over.date.replace(day=1)
    earlier = HomePlan.objects.filter(occupancy__in=list(place), night__gte=first, night__lt=over.date)
    told = (
        earlier.exclude(unplanned_peak_w=None).values_list("occupancy_id").annotate(Max("unplanned_peak_w"))
    )
    is_month = np.array([each.month == over.date.month for each in over.local])
    for occupancy_id, peak_w in told:
        row = so_far[place[occupancy_id]]
        row[is_month] = np.maximum(row[is_month], peak_w // WATTS)
    return replace(homes, so_far_wh=so_far)


def plan_steps(
    price: Ints, loads: SteppedLoads, homes: Homes, used_wh: Ints, *, pence_per_kw: int
) -> stepped.SteppedPlans:
    """The cheapest steps of one load a home beside what it draws already, its peak counted; exact."""
    return capped.least_cost_with_demand_charge(
        price,
        loads,
        base_wh=homes.shifted(used_wh),
        peak_so_far_wh=homes.floor_wh,
        demand_price=capped.demand_price(pence_per_kw),
    ).plans


def plan_heat(
    price: Ints, tanks: tank.Tanks, homes: Homes, used_wh: Ints, *, pence_per_kw: int
) -> tank.TankPlans:
    """The cheaper of two plans of each tank: as if there were no charge, and never above the peak.

    Heat comes first: the second only where it leaves no more missing and misses no 60 °C.
    """
    free = tank.least_cost_heat(price, tanks)
    shifted = homes.shifted(used_wh)
    peak_wh = np.maximum(homes.floor_wh, shifted.max(axis=1))
    has_room: Bools = shifted + (tanks.heater_w // WATTS)[:, None] <= peak_wh[:, None]
    kept = tank.least_cost_heat(price, replace(tanks, may_heat=tanks.may_heat & has_room))
    charge = capped.demand_price(pence_per_kw)
    higher_wh = np.maximum(0, (shifted + free.taken_wh).max(axis=1) - peak_wh)
    is_warm = (kept.missing_wh <= free.missing_wh) & (kept.is_sterile | ~free.is_sterile)
    is_kept = is_warm & (kept.cost < free.cost + higher_wh * charge)
    rows = is_kept[:, None]
    return tank.TankPlans(
        is_on=np.where(rows, kept.is_on, free.is_on),
        taken_wh=np.where(rows, kept.taken_wh, free.taken_wh),
        stored_wh=np.where(rows, kept.stored_wh, free.stored_wh),
        missing_wh=np.where(is_kept, kept.missing_wh, free.missing_wh),
        is_sterile=np.where(is_kept, kept.is_sterile, free.is_sterile),
        cost=np.where(is_kept, kept.cost, free.cost),
    )


def charge_mp(above_wh: int, pence_per_kw: int) -> int:
    """What so many Wh more in the highest half-hour add to the month's charge."""
    return above_wh * WATTS * pence_per_kw


def _peaks_wh(occupancy_ids: Sequence[UUID], first: date, *, at: datetime) -> Ints:
    """The highest half-hour that each home's meter told of the month from `first` on, so far."""
    found = np.zeros(len(occupancy_ids), np.int64)
    days = [first + number * A_DAY for number in range((civil_date(at) - first).days + 1)]
    stream_of = members.queries.streams_of(occupancy_ids, at)
    known = [number for number, each in enumerate(occupancy_ids) if each in stream_of]
    if not days or not known:
        return found
    cube = purposes.day_cube(
        Purpose.SETTLEMENT,
        [stream_of[occupancy_ids[number]] for number in known],
        days,
        reader="campaigns.peaks",
        known_at=at,
    )
    used_wh = np.where(cube.present, cube.net_wh, 0)
    found[known] = np.maximum(0, used_wh.max(axis=(1, 2)))
    return found
