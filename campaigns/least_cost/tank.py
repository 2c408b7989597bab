"""Immersion heaters: when to heat a tank so that the water is hot when it is wanted, at least cost.

The tank is one well-mixed store on a grid of `GRAIN_WH`; it loses heat in proportion to how warm it is, gives
what is drawn, and its thermostat cuts off when it is full. On or off is weighed for every level of every
half-hour (dynamic programming), which is exact on that grid, whatever the sign of the prices.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from campaigns.least_cost.stepped import HALF_HOURS_AN_HOUR, Bools, Ints

GRAIN_WH: Final = 20
WH_PER_LITRE_KELVIN: Final = 1.163
MAINS_C: Final = 10
STERILE_C: Final = 60
NOT_DUE: Final = -1
CHUNK: Final = 64
UNMET: Final = 10**13
"""Price times Wh of a grain of heat that is missing: beyond any bill of a day."""
NOT_STERILE: Final = 10**18


@dataclass(frozen=True, slots=True)
class Tanks:
    """One entry a tank; heat is Wh above water as it comes in, of whole grains.

    `ready_wh` [tank, slot] must be in the tank in the half-hour, `draw_wh` [tank, slot] is then drawn.
    The heater may be on where `may_heat` [tank, slot].
    `sterile_by` is the slot by whose end the tank must have been at 60 °C, NOT_DUE when that is not now.
    """

    heater_w: Ints
    full_wh: Ints
    sterile_wh: Ints
    loss_w_per_kelvin: np.ndarray
    litres: Ints
    room_c: Ints
    stored_wh: Ints
    ready_wh: Ints
    draw_wh: Ints
    may_heat: Bools
    sterile_by: Ints


@dataclass(frozen=True, slots=True)
class TankPlans:
    """On or off and Wh taken in each half-hour, heat at its end, and the heat that is missing when wanted.

    `cost` is price times Wh taken. `is_sterile` is False where 60 °C was due and cannot be reached in time.
    """

    is_on: Bools
    taken_wh: Ints
    stored_wh: Ints
    missing_wh: Ints
    is_sterile: Bools
    cost: Ints


def heat_wh(litres: Ints, celsius: Ints | int) -> Ints:
    """Wh that lift the tank from mains to the temperature, in whole grains."""
    grains = litres * (celsius - MAINS_C) * WH_PER_LITRE_KELVIN / GRAIN_WH
    return np.rint(grains).astype(np.int64) * GRAIN_WH


def least_cost_heat(price: Ints, tanks: Tanks, switch_cost: Ints | None = None) -> TankPlans:
    """When each tank's heater is on; `price` is [slot] or [tank, slot].

    `switch_cost` [tank] is what switching on wears off the relay, in price times Wh; it decides with the
    energy's cost and is not in `cost`.

    Within a half-hour the heater comes first, then what the tank loses, then what is drawn. Missing heat is
    kept least before cost is looked at, and the 60 °C before both; of equal costs, off.
    """
    count, slots = tanks.ready_wh.shape
    price = np.broadcast_to(price, (count, slots))
    # Those that must reach 60 °C, and only those, are weighed twice.
    order = np.argsort(_is_due(tanks), kind="stable")
    parts = []
    for start in range(0, count, CHUNK):
        some = order[start : start + CHUNK]
        parts.append(
            _least_cost(
                price[some],
                Tanks(*(getattr(tanks, each.name)[some] for each in fields(Tanks))),
                np.zeros(len(some), np.int64) if switch_cost is None else switch_cost[some],
            )
        )
    back = np.argsort(order)
    return TankPlans(
        *(np.concatenate([getattr(part, each.name) for part in parts])[back] for each in fields(TankPlans))
    )


def always_on(price: Ints, tanks: Tanks) -> TankPlans:
    """What the thermostat alone makes of it: full at first, and the heater on whenever it is not.

    So it takes what is drawn and lost, no more: a colder start would be heated up at its cost.
    """
    tanks = replace(tanks, stored_wh=tanks.full_wh)
    count, slots = tanks.ready_wh.shape
    levels = np.arange(int((tanks.full_wh // GRAIN_WH).max()) + 1)
    heat = tanks.heater_w // HALF_HOURS_AN_HOUR // GRAIN_WH
    full = tanks.full_wh // GRAIN_WH
    heated = np.minimum(levels + heat[:, None], np.maximum(full[:, None], levels))
    always = np.broadcast_to(np.True_, (2, 1, slots, count, len(levels)))
    loss = _loss_grains(tanks, levels)
    return _followed(np.broadcast_to(price, (count, slots)), tanks, always, heated, loss, _is_due(tanks))


def _is_due(tanks: Tanks) -> Bools:
    is_due: Bools = (tanks.sterile_by >= 0) & (tanks.sterile_by < tanks.ready_wh.shape[1])
    return is_due


def _least_cost(price: Ints, tanks: Tanks, switch_cost: Ints) -> TankPlans:
    count, slots = price.shape
    full = tanks.full_wh // GRAIN_WH
    heat = tanks.heater_w // HALF_HOURS_AN_HOUR // GRAIN_WH
    sterile = tanks.sterile_wh // GRAIN_WH
    ready, draw = tanks.ready_wh // GRAIN_WH, tanks.draw_wh // GRAIN_WH
    levels = np.arange(int(full.max()) + 1)
    heated = np.minimum(levels + heat[:, None], np.maximum(full[:, None], levels))
    taken = heated - levels
    loss = _loss_grains(tanks, levels)
    is_due = _is_due(tanks)
    layers = 2 if is_due.any() else 1
    # On or off in the half-hour before matters only where switching costs anything.
    before = (0, 1) if switch_cost.any() else (0,)
    rows = np.arange(count)[:, None]
    chosen = np.zeros((2, len(before), slots, count, len(levels)), np.bool_)
    ahead = np.zeros((2, len(before), count, len(levels)), np.int64)
    for slot in range(slots - 1, -1, -1):
        after = np.maximum(levels - _lost(loss, slot) - draw[:, slot, None], 0)
        missing = UNMET * np.maximum(0, ready[:, slot, None] - levels)
        spend = price[:, slot, None] * (taken * GRAIN_WH)
        may = tanks.may_heat[:, slot, None] & (taken > 0)
        is_late = (is_due & (tanks.sterile_by == slot))[:, None]
        worth = np.zeros_like(ahead)
        for was in before:
            done = ahead[0, was][rows, after] + missing
            worth[0, was] = done
            if layers > 1:
                later = np.where(
                    is_late, ahead[0, was][rows, after] + NOT_STERILE, ahead[1, was][rows, after]
                )
                worth[1, was] = np.where(levels >= sterile[:, None], done, later + missing)
        for layer in range(layers):
            off = worth[layer, 0]
            for was in before:
                on = spend + worth[layer, before[-1]][rows, heated]
                if not was:
                    on = on + switch_cost[:, None]
                chosen[layer, was, slot] = (on < off) & may
                ahead[layer, was] = np.where(chosen[layer, was, slot], on, off)
    return _followed(price, tanks, chosen, heated, loss, is_due)


def _loss_grains(tanks: Tanks, levels: Ints) -> np.ndarray:
    """Grains that a tank at each level loses in a half-hour, not rounded."""
    celsius = MAINS_C + levels * GRAIN_WH / (tanks.litres[:, None] * WH_PER_LITRE_KELVIN)
    lost_w = tanks.loss_w_per_kelvin[:, None] * np.maximum(0, celsius - tanks.room_c[:, None])
    grains: np.ndarray = lost_w / HALF_HOURS_AN_HOUR / GRAIN_WH
    return grains


def _lost(loss: np.ndarray, slot: int) -> Ints:
    """Whole grains lost in the slot: rounded so that slot after slot nothing is lost to rounding."""
    lost: Ints = np.floor(loss * (slot + 1) + 0.5).astype(np.int64) - np.floor(loss * slot + 0.5).astype(
        np.int64
    )
    return lost


def _followed(
    price: Ints, tanks: Tanks, chosen: Bools, heated: Ints, loss: np.ndarray, is_due: Bools
) -> TankPlans:
    """What happens when each tank is heated as chosen from the level it has."""
    count, slots = price.shape
    every = np.arange(count)
    level = np.minimum(tanks.stored_wh // GRAIN_WH, heated.shape[1] - 1)
    is_sterile = ~is_due
    is_on, taken = np.zeros((count, slots), np.bool_), np.zeros((count, slots), np.int64)
    stored, missing = np.zeros((count, slots), np.int64), np.zeros(count, np.int64)
    before = np.zeros(count, np.int64)
    for slot in range(slots):
        on = chosen[(~is_sterile).astype(np.int64), before, slot, every, level] & tanks.may_heat[:, slot]
        warm = np.where(on, heated[every, level], level)
        is_on[:, slot], taken[:, slot] = on & (warm > level), warm - level
        before = np.minimum(is_on[:, slot], chosen.shape[1] - 1).astype(np.int64)
        missing += np.maximum(0, tanks.ready_wh[:, slot] // GRAIN_WH - warm)
        is_sterile = is_sterile | ((warm >= tanks.sterile_wh // GRAIN_WH) & (slot <= tanks.sterile_by))
        lost = _lost(loss[every, warm], slot)
        level = np.maximum(0, warm - lost - tanks.draw_wh[:, slot] // GRAIN_WH)
        stored[:, slot] = level
    taken *= GRAIN_WH
    return TankPlans(
        is_on, taken, stored * GRAIN_WH, missing * GRAIN_WH, is_sterile, (taken * price).sum(axis=1)
    )
