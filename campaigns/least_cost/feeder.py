"""A fleet under one feeder: least cost for all while no half-hour takes more than the feeder has left.

Loads choose by `stepped.least_cost` at their own price plus a price on each half-hour that is wanted too
much. That price follows how full the half-hour is as loads are placed, a batch at a time, and what one pass
learns the next begins with: passes over a sample find the prices, passes over all of them the plans. What the
prices are worth at best (the dual of the problem without steps) is a bound below every plan, so `gap` is
known without a solver. In a small fleet a half-hour's last few amps are a share of all: loads then change
places as long as that saves anything (`exchanging.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from campaigns.least_cost.capped import least_cost_within
from campaigns.least_cost.exchanging import exchanged
from campaigns.least_cost.stepped import (
    Bools,
    Ints,
    SteppedLoads,
    SteppedPlans,
    least_cost,
    part_of,
    wanted_steps,
)

Floats = NDArray[np.float64]

BATCHES: Final = 200
"""A pass places a fleet in so many turns, each after looking at how full the half-hours are."""
SAMPLE: Final = 2_000
SAMPLE_PASSES: Final = (8.0, 4.0, 2.0, 1.0)
PASSES: Final = (4.0, 4.0)
SMALL_FLEET_PASSES: Final = (8.0, 4.0, 2.0, 1.0, 4.0, 4.0, 0.5, 0.5)
"""How far a half-hour that is wholly too full is priced up in each pass, in standard deviations of prices."""
SETTLED: Final = 0.15
"""Share of a pass after which its prices count towards what the next begins with."""
GOOD_ENOUGH: Final = 0.0005


@dataclass(frozen=True, slots=True)
class FeederPlans:
    """The plans, the price of each half-hour (ten-thousandths of p/kWh), and how far from best they can be.

    `bound` is below the cost of any plans under the cap, in price times Wh; `gap` is the share of it that
    the plans may cost too much. `is_binding` is False when the cap stands in nobody's way: then the plans
    are exact.
    """

    plans: SteppedPlans
    feeder_price: Ints
    bound: float
    gap: float
    is_binding: bool


@dataclass(frozen=True, slots=True)
class _Pass:
    steps: Ints
    cost: int
    missing_wh: int
    is_short: Bools
    feeder_price: Floats


def least_cost_under_cap(price: Ints, loads: SteppedLoads, cap_wh: Ints) -> FeederPlans:
    """Plans of which no half-hour takes more Wh than `cap_wh` [slot], the needs met as far as that allows.

    `price` is [slot] or [load, slot]. Deterministic. A load that does not fit into what is left of a
    half-hour keeps out of it, unless its need is not met otherwise or an exchange fits it in.
    """
    free = least_cost(price, loads)
    if ((free.steps * loads.step_wh[:, None]).sum(axis=0) <= cap_wh).all():
        return FeederPlans(free, np.zeros_like(cap_wh), float(free.cost.sum()), 0.0, is_binding=False)
    count, slots = loads.is_available.shape
    price = np.broadcast_to(price, (count, slots))
    needs = wanted_steps(loads)[0] * loads.step_wh
    random = np.random.default_rng(count)
    feeder_price = np.zeros(slots)
    if count > 2 * SAMPLE:
        some = random.permutation(count)[:SAMPLE]
        sample, share = part_of(loads, some), needs[some].sum() / max(1, needs.sum())
        for eagerness in SAMPLE_PASSES:
            feeder_price = _pass(
                price[some], sample, cap_wh * share, feeder_price, random, eagerness
            ).feeder_price
    best: _Pass | None = None
    bound, first = -np.inf, np.zeros(count, np.bool_)
    for eagerness in PASSES if count > 2 * SAMPLE else SMALL_FLEET_PASSES:
        done = _pass(price, loads, cap_wh.astype(np.float64), feeder_price, random, eagerness, first)
        if best is None or (done.missing_wh, done.cost) < (best.missing_wh, best.cost):
            best = done
        feeder_price, first = done.feeder_price, first | done.is_short
        bound = max(bound, _bound(price, loads, cap_wh, np.rint(feeder_price)))
        if not best.missing_wh and best.cost - bound <= GOOD_ENOUGH * abs(bound):
            break
    if best is None:
        raise AssertionError("there is at least one pass")
    steps = _met_further(price, loads, cap_wh, best.steps)
    if count <= 2 * SAMPLE and (best.missing_wh or best.cost - bound > GOOD_ENOUGH * abs(bound)):
        steps = exchanged(price, loads, cap_wh, steps)
    planned_wh = steps.sum(axis=1) * loads.step_wh
    cost = (steps * price).sum(axis=1) * loads.step_wh
    plans = SteppedPlans(steps, planned_wh, np.maximum(0, loads.need_wh - planned_wh), cost)
    gap = (int(cost.sum()) - bound) / abs(bound) if bound else 0.0
    return FeederPlans(plans, np.rint(best.feeder_price).astype(np.int64), bound, float(gap), is_binding=True)


def _pass(
    price: Ints,
    loads: SteppedLoads,
    cap_wh: Floats,
    feeder_price: Floats,
    random: np.random.Generator,
    eagerness: float,
    first: Bools | None = None,
) -> _Pass:
    """Place every load once, those in `first` before the others, within what is left of each half-hour."""
    count, slots = price.shape
    order = random.permutation(count)
    if first is not None:
        order = order[np.argsort(~first[order], kind="stable")]
    needs = wanted_steps(loads)[0] * loads.step_wh
    total = max(1, int(needs.sum()))
    slope = eagerness * max(float(price.std()), 1.0) / np.maximum(cap_wh, 1)
    steps = np.zeros((count, slots), np.int64)
    taken_wh = np.zeros(slots)
    learnt, turns, placed = np.zeros(slots), 0, 0
    size = max(1, count // BATCHES)
    for start in range(0, count, size):
        batch = order[start : start + size]
        steered = np.maximum(0, feeder_price + slope * (taken_wh - placed / total * cap_wh))
        if placed >= SETTLED * total or start + size >= count:
            learnt, turns = learnt + steered, turns + 1
        own = price[batch] + np.rint(steered).astype(np.int64)
        steps[batch] = _place(own, part_of(loads, batch), cap_wh - taken_wh)
        taken_wh += (steps[batch] * loads.step_wh[batch, None]).sum(axis=0)
        placed += int(needs[batch].sum())
    missing_wh = np.maximum(0, needs - steps.sum(axis=1) * loads.step_wh)
    return _Pass(
        steps=steps,
        cost=int(((steps * price).sum(axis=1) * loads.step_wh).sum()),
        missing_wh=int(missing_wh.sum()),
        is_short=missing_wh > 0,
        feeder_price=learnt / turns,
    )


def _place(price: Ints, loads: SteppedLoads, left_wh: Floats) -> Ints:
    """The cheapest steps of each load in turn, in half-hours that still have room for them."""
    count, slots = price.shape
    steps = np.zeros((count, slots), np.int64)
    least_wh = loads.step_wh * loads.least
    is_open = loads.is_available & (left_wh >= least_wh[:, None])
    todo = np.arange(count)
    while len(todo):
        asked = part_of(loads, todo)
        found = least_cost(
            price[todo],
            SteppedLoads(asked.step_wh, asked.least, asked.most, asked.need_wh, asked.room_wh, is_open[todo]),
        ).steps
        asked_wh = found * asked.step_wh[:, None]
        does_fit = (asked_wh.cumsum(axis=0) <= left_wh).all(axis=1)
        fit = len(todo) if does_fit.all() else int(does_fit.argmin())
        steps[todo[:fit]] = found[:fit]
        left_wh = left_wh - asked_wh[:fit].sum(axis=0)
        todo = todo[fit:]
        if len(todo):
            is_open[todo] &= asked_wh[fit] <= left_wh
    return steps


def _met_further(price: Ints, loads: SteppedLoads, cap_wh: Ints, steps: Ints) -> Ints:
    """Steps with which loads that came too late for all they need take what is left, at any power."""
    steps = steps.copy()
    left_wh = cap_wh - (steps * loads.step_wh[:, None]).sum(axis=0)
    wanted = wanted_steps(loads)[0]
    for load in np.nonzero(steps.sum(axis=1) < wanted)[0]:
        step_wh = int(loads.step_wh[load])
        may = loads.is_available[load] & (left_wh >= step_wh) & (steps[load] < loads.most[load])
        if not may.any():
            continue
        one = np.array([load])
        room_wh = left_wh + steps[load] * step_wh
        found = least_cost_within(price[one], part_of(loads, one), room_wh[None]).steps[0]
        if found.sum() > steps[load].sum():
            left_wh = room_wh - found * step_wh
            steps[load] = found
    return steps


def _bound(price: Ints, loads: SteppedLoads, cap_wh: Ints, feeder_price: Floats) -> float:
    """What all loads cost at least under the cap: power in any amount, the cap paid for instead of kept."""
    at_price = np.where(loads.is_available, price + feeder_price, np.inf)
    ascending = np.sort(at_price, axis=1)
    on = loads.is_available.sum(axis=1)
    most_wh = (loads.step_wh * loads.most)[:, None]
    need, room = (each * loads.step_wh for each in wanted_steps(loads))
    up_to = np.arange(price.shape[1]) * most_wh
    filled = np.clip(need[:, None] - up_to, 0, most_wh)
    paid = np.clip(room[:, None] - up_to, 0, most_wh)
    wh = np.where(ascending < 0, np.maximum(filled, paid), filled)
    wh = np.where(np.arange(price.shape[1]) < on[:, None], wh, 0)
    spent = np.where(wh > 0, wh * np.where(np.isfinite(ascending), ascending, 0), 0).sum()
    return float(spent - (feeder_price * cap_wh).sum())
