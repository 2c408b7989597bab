"""Stepped loads beside what else a home draws: a cap on each half-hour, and a charge on the home's peak.

A load that its cheapest plan keeps under the cap needs nothing more; for the others all steps of all
half-hours are weighed (dynamic programming over steps taken so far), which is exact and takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from campaigns.least_cost.stepped import (
    AWAY,
    HALF_HOURS_AN_HOUR,
    PENCE,
    Ints,
    SteppedLoads,
    SteppedPlans,
    least_cost,
    part_of,
    wanted_steps,
)

UNREACHED: Final = np.int64(2**61)
"""More than any sum costs, and far enough from the end of the integers to add prices to."""
WH_A_KW: Final = 1_000 // HALF_HOURS_AN_HOUR
"""A kW of demand, held for a half-hour."""


@dataclass(frozen=True, slots=True)
class DemandPlans:
    """Plans with the peak each home has then, and what that peak adds to the charge (price times Wh)."""

    plans: SteppedPlans
    peak_wh: Ints
    demand_cost: Ints


def demand_price(pence_per_kw: int) -> int:
    """A charge a kW of the month's highest half-hour as price times Wh, for each Wh of that half-hour."""
    return pence_per_kw * PENCE // WH_A_KW


def least_cost_within(price: Ints, loads: SteppedLoads, left_wh: Ints) -> SteppedPlans:
    """The cheapest steps that stay within `left_wh` [load, slot]; exact. A need too large is met as far as
    that allows.
    """
    steps_left = np.clip(left_wh // loads.step_wh[:, None], 0, loads.most[:, None])
    plans = least_cost(price, loads)
    too_much = np.nonzero((plans.steps > steps_left).any(axis=1))[0]
    if not len(too_much):
        return plans
    price = np.broadcast_to(price, loads.is_available.shape)
    steps, cost = plans.steps.copy(), plans.cost.copy()
    for load in too_much:
        steps[load] = _weighed(price[load], part_of(loads, np.array([load])), steps_left[load])
        cost[load] = (steps[load] * price[load]).sum() * loads.step_wh[load]
    planned_wh = steps.sum(axis=1) * loads.step_wh
    return SteppedPlans(steps, planned_wh, np.maximum(0, loads.need_wh - planned_wh), cost)


def least_cost_with_demand_charge(
    price: Ints, loads: SteppedLoads, *, base_wh: Ints, peak_so_far_wh: Ints, demand_price: int
) -> DemandPlans:
    """The cheapest of energy and peak together; exact, one load a home.

    `base_wh` [load, slot] is what the home draws besides, `peak_so_far_wh` the half-hour that it pays for
    already. Every peak that steps can make is a candidate. A plan under a lower one never costs less energy,
    so of the candidates between two tried ones none is better than the energy of the higher with the peak of
    the lowest: a stretch that cannot win is passed over whole. Needs come before the charge.
    """
    free = least_cost(price, loads)
    price = np.broadcast_to(price, loads.is_available.shape)
    floor_wh = np.maximum(peak_so_far_wh, base_wh.max(axis=1))
    steps, cost = free.steps.copy(), free.cost.copy()
    for load in range(len(steps)):
        one = part_of(loads, np.array([load]))
        peak_wh = int((base_wh[load] + free.steps[load] * loads.step_wh[load]).max())
        if peak_wh > floor_wh[load] and demand_price > 0:
            steps[load] = _under_best_peak(
                price[load],
                one,
                base_wh[load],
                int(floor_wh[load]),
                peak_wh,
                demand_price,
                int(free.planned_wh[load]),
            )
            cost[load] = (steps[load] * price[load]).sum() * loads.step_wh[load]
    planned_wh = steps.sum(axis=1) * loads.step_wh
    plans = SteppedPlans(steps, planned_wh, np.maximum(0, loads.need_wh - planned_wh), cost)
    peaks_wh = np.maximum(floor_wh, (base_wh + steps * loads.step_wh[:, None]).max(axis=1))
    return DemandPlans(plans, peaks_wh, (peaks_wh - floor_wh) * demand_price)


def _under_best_peak(
    price: Ints,
    one: SteppedLoads,
    base_wh: Ints,
    floor_wh: int,
    free_peak_wh: int,
    demand_price: int,
    free_wh: int,
) -> Ints:
    """The steps under the peak, from the floor to the free plan's, with which all costs least."""
    step_wh = int(one.step_wh[0])
    is_available = one.is_available[0]
    may_be = base_wh[is_available][:, None] + step_wh * np.arange(one.least[0], one.most[0] + 1)
    peaks = np.unique(
        np.append(may_be[(may_be > floor_wh) & (may_be < free_peak_wh)], (floor_wh, free_peak_wh))
    )
    least_wh = min(free_wh, int(wanted_steps(one)[0][0]) * step_wh)
    tried: dict[int, tuple[int, Ints]] = {}

    def energy_cost(place: int) -> int:
        if place not in tried:
            left = np.clip((peaks[place] - base_wh) // step_wh, 0, one.most[0])
            steps = _weighed(price, one, left)
            is_enough = steps.sum() * step_wh >= least_wh
            tried[place] = (int((steps * price).sum()) * step_wh if is_enough else AWAY, steps)
        return tried[place][0]

    def total(place: int) -> int:
        energy = energy_cost(place)
        return energy + (int(peaks[place]) - floor_wh) * demand_price if energy != AWAY else AWAY

    best = min((len(peaks) - 1, 0), key=total)
    stretches = [(0, len(peaks) - 1)]
    while stretches:
        low, high = stretches.pop()
        if high - low < 2:
            continue
        if energy_cost(high) == AWAY or (
            energy_cost(high) + (int(peaks[low + 1]) - floor_wh) * demand_price >= total(best)
        ):
            continue
        middle = (low + high) // 2
        best = min((best, middle), key=total)
        stretches += [(low, middle), (middle, high)]
    return tried[best][1]


def _weighed(price: Ints, one: SteppedLoads, steps_left: Ints) -> Ints:
    """Steps of one load when half-hours have different room: the cheapest way to every sum, half-hour by
    half-hour. The least sum that meets the need counts even beyond the room, as steps leave no other.
    """
    slots = len(price)
    need, room = (int(each[0]) for each in wanted_steps(one))
    least = int(one.least[0])
    left = np.where(one.is_available[0], steps_left, 0)
    most_sum = min(int(left.sum()), room + least)
    cost = np.full(most_sum + 1, AWAY)
    cost[0] = 0
    sums = np.arange(most_sum + 1)
    taken = np.zeros((slots, most_sum + 1), np.int64)
    for slot in range(slots):
        most = min(int(left[slot]), most_sum)
        if most < least:
            continue
        # What a sum costs before the half-hour, less its steps at the half-hour's price: then every number of
        # steps costs alike, and the least of a window of sums is the best of all of them, fewest first.
        freed = np.append(
            np.full(most, UNREACHED), np.where(cost == AWAY, UNREACHED, cost - price[slot] * sums)
        )
        window = sliding_window_view(freed[: most_sum + 1 + most - least], most - least + 1)[:, ::-1]
        fewest = window.argmin(axis=1)
        best = window[sums, fewest]
        told = best + price[slot] * sums
        is_less = (best < UNREACHED) & (told < cost)
        cost[is_less] = told[is_less]
        taken[slot, is_less] = fewest[is_less] + least
    can_be = np.nonzero(cost != AWAY)[0]
    enough = can_be[(can_be >= need) & (can_be <= room)]
    if len(enough):
        total = int(enough[cost[enough].argmin()])
    elif (can_be >= need).any():
        total = int(can_be[can_be >= need].min())
    else:
        total = int(can_be.max())
    plan = np.zeros(slots, np.int64)
    for slot in range(slots - 1, -1, -1):
        plan[slot] = taken[slot, total]
        total -= int(plan[slot])
    return plan
