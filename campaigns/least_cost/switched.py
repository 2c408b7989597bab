"""On/off loads whose relay wears: the cheapest half-hours, every switching on counted at a price.

The cheapest half-hours of a night lie scattered, and a relay lasts some thousand cycles. All numbers of
half-hours on so far, on or off in the one before, are weighed (dynamic programming), which is exact.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from campaigns.least_cost.stepped import Ints, SteppedLoads, SteppedPlans, part_of, wanted_steps

CHUNK: Final = 512
FAR: Final = 2**60
"""More than any sum costs, and far enough from the end of the integers to add prices to."""
OFF, ON = 0, 1


def least_cost_switched(price: Ints, loads: SteppedLoads, switch_cost: Ints) -> SteppedPlans:
    """The steps (0 or 1) with which energy and switching on together cost least; `price` [slot] or
    [load, slot], `switch_cost` [load] in price times Wh.

    `cost` of the plans is the energy's alone. Loads of one step only (`least` and `most` are 1).
    """
    count, slots = loads.is_available.shape
    price = np.broadcast_to(price, (count, slots))
    steps = np.zeros((count, slots), np.int64)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        steps[part] = _least_cost(price[part], part_of(loads, part), switch_cost[part])
    planned_wh = steps.sum(axis=1) * loads.step_wh
    cost = (steps * price).sum(axis=1) * loads.step_wh
    return SteppedPlans(steps, planned_wh, np.maximum(0, loads.need_wh - planned_wh), cost)


def _least_cost(price: Ints, loads: SteppedLoads, switch_cost: Ints) -> Ints:
    count, slots = price.shape
    need, room = wanted_steps(loads)
    room = np.minimum(room, loads.is_available.sum(axis=1))
    most = int(room.max(initial=0))
    energy = price * loads.step_wh[:, None]
    # What the slots from here on cost at least [load, on so far, OFF or ON before].
    reached = np.arange(most + 1)
    is_enough = (reached >= need[:, None]) & (reached <= room[:, None])
    ahead = np.repeat(np.where(is_enough, 0, FAR)[:, :, None], 2, axis=2)
    chosen = np.zeros((slots, count, most + 1, 2), np.bool_)
    start = np.stack((switch_cost, np.zeros_like(switch_cost)), axis=1)
    for slot in range(slots - 1, -1, -1):
        one_more = np.full((count, most + 1), FAR)
        one_more[:, :-1] = ahead[:, 1:, ON]
        on = np.minimum(one_more[:, :, None] + energy[:, slot, None, None] + start[:, None, :], FAR)
        on[~loads.is_available[:, slot]] = FAR
        off = ahead[:, :, OFF][:, :, None]
        chosen[slot] = (on < off) & (one_more < FAR)[:, :, None]
        ahead = np.where(chosen[slot], on, off)
    every = np.arange(count)
    so_far, before = np.zeros(count, np.int64), np.zeros(count, np.int64)
    steps = np.zeros((count, slots), np.int64)
    for slot in range(slots):
        before = chosen[slot, every, so_far, before].astype(np.int64)
        steps[:, slot] = before
        so_far = so_far + before
    return steps
