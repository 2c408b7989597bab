"""Stepped loads beside what else a home draws: a cap on each half-hour, and a charge on the home's peak.

A load that its cheapest plan keeps under the cap needs nothing more; for the others all sums of steps are
weighed (dynamic programming over steps taken so far), which is exact and takes milliseconds. Under a charge
on the peak, bounds leave few peaks to be weighed, and in each few half-hours: under a millisecond a home.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from campaigns.least_cost.stepped import (
    AWAY,
    HALF_HOURS_AN_HOUR,
    PENCE,
    Bools,
    Ints,
    SteppedLoads,
    SteppedPlans,
    least_cost,
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
    need, room = wanted_steps(loads)
    steps, cost = plans.steps.copy(), plans.cost.copy()
    for load in too_much:
        order = _open_by_price(price[load], loads.is_available[load])
        least = int(loads.least[load])
        left = steps_left[load, order]
        left[left < least] = 0
        needs, rooms = _reached(left[None], least=least, need=int(need[load]), room=int(room[load]))
        within = _cheapest(price[load, order], left, least=least, need=int(needs[0]), room=int(rooms[0]))
        steps[load] = 0
        steps[load, order] = 0 if within is None else within
        cost[load] = (steps[load] * price[load]).sum() * loads.step_wh[load]
    planned_wh = steps.sum(axis=1) * loads.step_wh
    return SteppedPlans(steps, planned_wh, np.maximum(0, loads.need_wh - planned_wh), cost)


def least_cost_with_demand_charge(
    price: Ints, loads: SteppedLoads, *, base_wh: Ints, peak_so_far_wh: Ints, demand_price: int
) -> DemandPlans:
    """The cheapest of energy and peak together; exact, one load a home.

    `base_wh` [load, slot] is what the home draws besides, `peak_so_far_wh` the half-hour that it pays for
    already. Every peak that steps can make is a candidate. Needs come before the charge.
    """
    free = least_cost(price, loads)
    price = np.broadcast_to(price, loads.is_available.shape)
    floor_wh = np.maximum(peak_so_far_wh, base_wh.max(axis=1))
    free_peak_wh = (base_wh + free.steps * loads.step_wh[:, None]).max(axis=1)
    need, room = wanted_steps(loads)
    steps, cost = free.steps.copy(), free.cost.copy()
    for load in np.nonzero((free_peak_wh > floor_wh) & (demand_price > 0))[0]:
        order = _open_by_price(price[load], loads.is_available[load])
        one = _Charged(
            price=price[load, order],
            base_wh=base_wh[load, order],
            floor_wh=int(floor_wh[load]),
            free_peak_wh=int(free_peak_wh[load]),
            demand_price=demand_price,
            step_wh=int(loads.step_wh[load]),
            least=int(loads.least[load]),
            most=int(loads.most[load]),
            need=int(need[load]),
            room=int(room[load]),
        )
        steps[load, order] = _under_best_peak(one, free.steps[load, order])
        cost[load] = (steps[load] * price[load]).sum() * one.step_wh
    planned_wh = steps.sum(axis=1) * loads.step_wh
    plans = SteppedPlans(steps, planned_wh, np.maximum(0, loads.need_wh - planned_wh), cost)
    peaks_wh = np.maximum(floor_wh, (base_wh + steps * loads.step_wh[:, None]).max(axis=1))
    return DemandPlans(plans, peaks_wh, (peaks_wh - floor_wh) * demand_price)


@dataclass(frozen=True, slots=True)
class _Charged:
    """One load under a demand charge; its open half-hours from cheap to dear, `need` and `room` in steps."""

    price: Ints
    base_wh: Ints
    floor_wh: int
    free_peak_wh: int
    demand_price: int
    step_wh: int
    least: int
    most: int
    need: int
    room: int

    def peaks_wh(self) -> Ints:
        """Every peak that steps can make, from the floor to the free plan's, ascending."""
        may_be = (self.base_wh[:, None] + self.step_wh * np.arange(self.least, self.most + 1)).ravel()
        between = may_be[(may_be > self.floor_wh) & (may_be < self.free_peak_wh)]
        return np.concatenate(([self.floor_wh], np.unique(between), [self.free_peak_wh]))

    def steps_left(self, peaks_wh: Ints) -> Ints:
        """The most steps in each half-hour under each peak [peak, slot]; none where the least has no room."""
        left = np.minimum((peaks_wh[:, None] - self.base_wh) // self.step_wh, self.most)
        return np.where(left < self.least, 0, left)


def _under_best_peak(one: _Charged, free_steps: Ints) -> Ints:
    """The steps under the peak, from the floor to the free plan's, with which all costs least.

    The bound of a peak's energy is never less under a lower one. So a stretch of peaks is passed over when
    the bound of the peak above it and the charge on its own lowest do not win against a plan already found.
    Peaks that are left are weighed from the least bound on, until none can win.
    """
    peaks = one.peaks_wh()
    charge = (peaks - one.floor_wh) * one.demand_price
    posts = np.unique(np.append(np.arange(0, len(peaks), math.isqrt(len(peaks))), len(peaks) - 1))
    found = _bounds(one, one.steps_left(peaks[posts]), charge[posts])
    best = int((free_steps * one.price).sum()) * one.step_wh + int(charge[-1])
    can_win = found.least[1:] - charge[posts[1:]] < best - charge[posts[:-1] + 1]
    if one.room < one.need + one.least - 1:
        # Lower peaks may leave only sums beyond the room: not fewer choices, but others.
        can_win |= (found.room[:-1] > one.room) & (found.least[1:] < AWAY)
    between = [np.arange(posts[n] + 1, posts[n + 1]) for n in np.nonzero(can_win)[0]]
    places = np.concatenate((posts, *between))
    found = _bounds(one, one.steps_left(peaks[places]), charge[places])
    steps, first = free_steps, int(found.most.argmin())
    if found.most[first] < best:
        best, steps = int(found.most[first]), found.plans[first]
    for row in found.least.argsort(kind="stable"):
        if found.least[row] >= best:
            break
        price, charged = one.price, int(charge[places[row]])
        cheaper = _cheapest(
            price,
            one.steps_left(peaks[places[row], None])[0],
            least=one.least,
            need=int(found.need[row]),
            room=int(found.room[row]),
            below=-(-(best - charged) // one.step_wh),
        )
        if cheaper is not None:
            best, steps = int((cheaper * price).sum()) * one.step_wh + charged, cheaper
    return steps


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What all costs at least and at most under each peak (`AWAY`: no plan is known, or can be), plans that
    cost the most [peak, slot], and the fewest and most steps they may come to.
    """

    least: Ints
    most: Ints
    plans: Ints
    need: Ints
    room: Ints


def _bounds(one: _Charged, left: Ints, charge: Ints) -> _Bounds:
    """At least: the cheapest half-hours filled, as if any step were possible. At most: the same half-hours at
    the least power or more, which is a plan of that very cost wherever the first already is one.
    """
    need, room = _reached(left, least=one.least, need=one.need, room=one.room)
    total = np.clip((left * (one.price < 0)).sum(axis=1), need, room)
    taken = np.clip(total[:, None] - left.cumsum(axis=1) + left, 0, left)
    at_least = (taken > 0) * one.least
    beyond = np.where(taken > 0, left - one.least, 0)
    least_sum = at_least.sum(axis=1)
    total = np.minimum(np.maximum(total, least_sum), room)
    plans = at_least + np.clip((total - least_sum)[:, None] - beyond.cumsum(axis=1) + beyond, 0, beyond)
    least, most = ((each * one.price).sum(axis=1) * one.step_wh + charge for each in (taken, plans))
    most[least_sum > room] = AWAY
    is_short = need < one.need
    least[is_short] = most[is_short] = AWAY
    return _Bounds(least, most, plans, need, room)


def _open_by_price(price: Ints, is_available: Bools) -> Ints:
    """The half-hours of one load that are available, from cheap to dear, the earliest of equals first."""
    is_open = np.nonzero(is_available)[0]
    return is_open[price[is_open].argsort(kind="stable")]


def _reached(left: Ints, *, least: int, need: int, room: int) -> tuple[Ints, Ints]:
    """The fewest and most steps that plans come to where a half-hour takes 0 or `least`..`left` [row, slot].

    n half-hours come to every sum from n times the least to what is left in the n roomiest. The least sum
    that meets the need counts even beyond the room, when steps leave no other; a need too large is met as far
    as all half-hours go.
    """
    most = np.zeros((len(left), left.shape[1] + 1), np.int64)
    np.cumsum(-np.sort(-left, axis=1), axis=1, out=most[:, 1:])
    is_within = most[:, min(room // least, left.shape[1])] >= need
    beyond = np.where(is_within, need, (most >= need).argmax(axis=1) * least)
    needs = np.where(most[:, -1] < need, most[:, -1], beyond)
    return needs, np.where(is_within, room, needs)


def _cheapest(
    price: Ints, left: Ints, *, least: int, need: int, room: int, below: int = int(UNREACHED)
) -> Ints | None:
    """The cheapest `need`..`room` steps of one load, `left` at most in half-hours from cheap to dear, if they
    cost less than `below` (price times steps); else None.

    With a price on each step of the sum, every step away from the cheapest filled first adds its difference
    to the cost. What would reach `below` is left out, and few half-hours have a choice.
    """
    below_zero = int(left[price < 0].sum())
    total = min(max(below_zero, need), room)
    worth = 0 if total == below_zero else int(price[left.cumsum().searchsorted(total)])
    apart = price - worth
    spare = below - 1 - worth * total - int((np.minimum(apart, 0) * left).sum())
    if spare < 0:
        return None
    away = spare // np.maximum(np.abs(apart), 1)
    low = np.where(apart < 0, np.maximum(left - away, least), least)
    high = np.where(apart > 0, np.minimum(left, away), left)
    may_be_off = (apart >= 0) | (left <= away)
    fewest = need if worth >= 0 else max(need, total - spare // -worth)
    most = room if worth <= 0 else min(room, total + spare // worth)
    is_kept = ~may_be_off & (low == high)
    choices = np.nonzero(~is_kept & (high >= low))[0]
    steps = np.where(is_kept, left, 0)
    kept, spent = int(steps.sum()), int((steps * price).sum())
    cost, taken = _sums(
        price[choices], low[choices], high[choices], may_be_off[choices], most_sum=most - kept
    )
    fewest = max(0, fewest - kept)
    if len(cost) <= fewest:
        return None
    best = fewest + int(cost[fewest:].argmin())
    if spent + cost[best] >= below:
        return None
    steps[choices] = _traced(taken, best)
    return steps


def _sums(price: Ints, low: Ints, high: Ints, may_be_off: Bools, *, most_sum: int) -> tuple[Ints, Ints]:
    """What every sum of steps from 0 to `most_sum` costs at least (`UNREACHED`: none comes to it), and the
    steps it takes [slot, sum]: `low`..`high` in each half-hour, or none where it may be off.
    """
    most_sum = max(-1, min(int(high.sum()), most_sum))
    sums = np.arange(most_sum + 1)
    cost = np.full(most_sum + 1, UNREACHED)
    cost[:1] = 0
    taken = np.zeros((len(price), most_sum + 1), np.int64)
    for slot, each in enumerate(price):
        least, most = int(low[slot]), min(int(high[slot]), most_sum)
        unspent = cost if may_be_off[slot] else np.full_like(cost, UNREACHED)
        if most < least:
            cost = unspent
            continue
        # What a sum costs before the half-hour, less its steps at the half-hour's price: then every number of
        # steps costs alike, and the least of a window of sums is the best of all of them, fewest first.
        freed = np.full(most_sum + 1 + most, UNREACHED)
        np.subtract(cost, each * sums, out=freed[most:], where=cost < UNREACHED)
        window = sliding_window_view(freed[: most_sum + 1 + most - least], most - least + 1)[:, ::-1]
        fewest = window.argmin(axis=1)
        best = window[sums, fewest]
        told = best + each * sums
        is_less = (best < UNREACHED) & (told < unspent)
        cost = np.where(is_less, told, unspent)
        taken[slot, is_less] = fewest[is_less] + least
    return cost, taken


def _traced(taken: Ints, total: int) -> Ints:
    """The steps that come to `total`, from the last half-hour back."""
    steps = np.zeros(len(taken), np.int64)
    for slot in range(len(taken) - 1, -1, -1):
        steps[slot] = taken[slot, total]
        total -= int(steps[slot])
    return steps
