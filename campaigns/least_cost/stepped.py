"""Stepped loads: off, or any whole step from a least to a most, in chosen half-hours; exact least cost.

An EV charger draws 0 or 6..32 A, a storage heater or relay 0 or 1. Called by `plans.py` for one home or
thousands; `feeder.py` uses the same fill under a shared cap.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

VOLTS: Final = 230
HALF_HOURS_AN_HOUR: Final = 2
LEAST_AMPS, MOST_AMPS = 6, 32
WH_PER_MILE: Final = 250
"""25 kWh to 100 miles."""
SLOT_BITS: Final = 9
"""A day has 50 half-hours at most, a week 338."""
CHUNK: Final = 256
"""Loads worked on at once: what they need stays in the processor's cache."""
AWAY: Final = np.iinfo(np.int64).max
PENCE: Final = 10_000 * 1_000
"""Price in ten-thousandths of p/kWh times Wh, in a penny."""


@dataclass(frozen=True, slots=True)
class SteppedLoads:
    """What is asked of each load; every array has one entry a load, `is_available` [load, slot].

    A load takes 0, or `least`..`most` steps of `step_wh`, in a half-hour that is available. `need_wh` must
    be reached, `room_wh` is what fits in at most (at least the need, rounded up to a step).
    """

    step_wh: Ints
    least: Ints
    most: Ints
    need_wh: Ints
    room_wh: Ints
    is_available: Bools


@dataclass(frozen=True, slots=True)
class SteppedPlans:
    """Steps in each half-hour [load, slot], what they come to, and what of the need they cannot reach.

    `cost` is price times Wh: divide by `PENCE`.
    """

    steps: Ints
    planned_wh: Ints
    shortfall_wh: Ints
    cost: Ints


def chargers(
    *,
    phases: Ints,
    most_amps: Ints,
    need_wh: Ints,
    room_wh: Ints,
    arrives: Ints,
    leaves: Ints,
    slots: int,
) -> SteppedLoads:
    """EV chargers of one or three phases, plugged in over slots [arrives, leaves), in steps of an amp."""
    axis = np.arange(slots)
    return SteppedLoads(
        step_wh=phases * VOLTS // HALF_HOURS_AN_HOUR,
        least=np.full_like(phases, LEAST_AMPS),
        most=np.minimum(most_amps, MOST_AMPS),
        need_wh=need_wh,
        room_wh=room_wh,
        is_available=(axis >= arrives[:, None]) & (axis < leaves[:, None]),
    )


def charge_need_wh(*, battery_wh: Ints, charged_pct: Ints, target_pct: Ints, charged_wh: Ints) -> Ints:
    """Wh from the charge when plugged in to the target, less what the stay has charged already."""
    return np.maximum(0, battery_wh * (target_pct - charged_pct) // 100 - charged_wh)


def miles_need_wh(*, miles: Ints, charged_wh: Ints) -> Ints:
    """Wh for the miles asked for, less what the stay has charged already."""
    return np.maximum(0, miles * WH_PER_MILE - charged_wh)


def least_cost(price: Ints, loads: SteppedLoads) -> SteppedPlans:
    """The cheapest steps that reach each need; exact, whatever the sign of the prices.

    `price` is [slot], or [load, slot] when loads have prices of their own. With n half-hours on, they are
    the n cheapest: a dearer one for a cheaper one never costs more. What is beyond the least then fills the
    cheapest first, up to the need, and on while prices are below zero and there is room. The best n is
    taken, the fewest of equals, and the earliest half-hours of one price. A need that the stay cannot hold
    is met as far as it goes; `shortfall_wh` says what is missing.
    """
    count, slots = loads.is_available.shape
    steps = np.empty((count, slots), np.int64)
    cost = np.empty(count, np.int64)
    price = np.broadcast_to(price, (count, slots))
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        steps[part], cost[part] = _least_cost(price[part], part_of(loads, part))
    planned_wh = steps.sum(axis=1) * loads.step_wh
    return SteppedPlans(steps, planned_wh, np.maximum(0, loads.need_wh - planned_wh), cost * loads.step_wh)


def part_of(loads: SteppedLoads, which: slice | Ints | Bools) -> SteppedLoads:
    """The loads of a slice, of indices or of a mask."""
    return SteppedLoads(*(getattr(loads, field.name)[which] for field in fields(loads)))


def wanted_steps(loads: SteppedLoads) -> tuple[Ints, Ints]:
    """Least and most steps of each plan: the need rounded up to what steps can be, and the room.

    Who needs less than the least power gives in a half-hour gets that: the car stops by itself when full.
    """
    on = loads.is_available.sum(axis=1)
    need = np.minimum(-(-loads.need_wh // loads.step_wh), on * loads.most)
    fewest = -(-need // loads.most)
    reached = np.maximum(need, fewest * loads.least)
    return reached, np.maximum(loads.room_wh // loads.step_wh, reached)


def _least_cost(price: Ints, loads: SteppedLoads) -> tuple[Ints, Ints]:
    count, slots = price.shape
    axis = np.arange(slots)
    # Price and slot in one number: a plain sort of it is a stable sort by price.
    keys = np.where(loads.is_available, (price << SLOT_BITS) + axis, AWAY)
    keys.sort(axis=1)
    order = keys & ((1 << SLOT_BITS) - 1)
    is_on = keys != AWAY
    ascending = np.where(is_on, keys >> SLOT_BITS, 0)
    first = np.zeros((count, slots + 1), np.int64)
    np.cumsum(ascending, axis=1, out=first[:, 1:])
    need, room = (each[:, None] for each in wanted_steps(loads))
    least = loads.least[:, None]
    beyond = loads.most[:, None] - least
    n = np.arange(slots + 1)
    at_least = n * least
    low = np.maximum(0, need - at_least)
    high = np.minimum(room - at_least, n * beyond)
    below_zero = (ascending < 0).sum(axis=1)[:, None]
    extra = np.minimum(np.maximum(np.minimum(below_zero, n) * beyond, low), high)
    extra = np.clip(extra, 0, n * beyond)
    full = extra // np.maximum(beyond, 1)
    rest = extra - full * beyond
    next_price = np.take_along_axis(ascending, np.minimum(full, slots - 1), axis=1)
    cost = least * first + beyond * np.take_along_axis(first, full, axis=1) + rest * next_price
    cost = np.where((n <= is_on.sum(axis=1)[:, None]) & (low <= high), cost, AWAY)
    best = cost.argmin(axis=1)[:, None]
    full, rest = (np.take_along_axis(each, best, axis=1) for each in (full, rest))
    steps_ascending = np.where(axis < best, least, 0) + np.where(axis < full, beyond, 0)
    steps_ascending += np.where(axis == full, rest, 0)
    steps = np.zeros((count, slots), np.int64)
    # Away slots were keyed with no slot of their own: put theirs, all zero, nowhere.
    rows, places = np.nonzero(is_on)
    steps[rows, order[rows, places]] = steps_ascending[rows, places]
    return steps, np.take_along_axis(cost, best, axis=1)[:, 0]
