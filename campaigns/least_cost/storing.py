"""Storage heaters and batteries: what is put in when it is cheap for when it is wanted.

A storage heater is a stepped load of one step, on or off within its charge window. A battery is weighed level
by level (dynamic programming on a grid of its power step), which is exact there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from campaigns.least_cost.stepped import HALF_HOURS_AN_HOUR, Bools, Ints, SteppedLoads

PER_CENT = 100


def storage_need_wh(
    *, loss_w_per_kelvin: Ints, kelvin_hours: Ints, gains_wh: Ints, stored_wh: Ints, core_wh: Ints
) -> Ints:
    """Wh that the core lacks for the day ahead: what the room loses, less what it gains and the core holds.

    Never more than the core takes. `kelvin_hours` are hours times kelvin below the wanted temperature.
    """
    wanted = np.clip(loss_w_per_kelvin * kelvin_hours - gains_wh, 0, core_wh)
    return np.maximum(0, wanted - stored_wh)


def storage_heaters(
    *, heater_w: Ints, need_wh: Ints, core_wh: Ints, stored_wh: Ints, is_window: Bools
) -> SteppedLoads:
    """Storage heaters as stepped loads: half-hours on within the charge window [heater, slot].

    Below zero the price fills what room the core has.
    """
    one = np.ones_like(heater_w)
    return SteppedLoads(
        step_wh=heater_w // HALF_HOURS_AN_HOUR,
        least=one,
        most=one,
        need_wh=need_wh,
        room_wh=np.maximum(0, core_wh - stored_wh),
        is_available=is_window,
    )


@dataclass(frozen=True, slots=True)
class Batteries:
    """One entry a battery; in a half-hour it takes or gives up to `most` steps of `step_wh` (stored Wh).

    `size` and `stored` are steps too, `end` what must be left after the last slot. Of 100 Wh bought
    `in_pct` are stored, of 100 stored `out_pct` come out.
    """

    step_wh: Ints
    most: Ints
    size: Ints
    stored: Ints
    end: Ints
    in_pct: Ints
    out_pct: Ints


@dataclass(frozen=True, slots=True)
class BatteryPlans:
    """Steps put in (+) or taken out (-) in each half-hour; `cost` is price times Wh, negative when earned."""

    steps: Ints
    cost: Ints


def least_cost_battery(import_price: Ints, export_price: Ints, batteries: Batteries) -> BatteryPlans:
    """The steps with which buying costs least beyond what giving back earns; prices [slot].

    A battery that cannot be as full as `end` asks comes as near as it can, whatever that costs.
    """
    count, slots = len(batteries.step_wh), len(import_price)
    steps, cost = np.zeros((count, slots), np.int64), np.zeros(count, np.int64)
    for number in range(count):
        one = Batteries(*(getattr(batteries, each.name)[number : number + 1] for each in fields(Batteries)))
        steps[number], cost[number] = _one_battery(import_price, export_price, one)
    return BatteryPlans(steps, cost)


def _one_battery(import_price: Ints, export_price: Ints, one: Batteries) -> tuple[Ints, int]:
    step_wh, most, size, stored, end = (
        int(each[0]) for each in (one.step_wh, one.most, one.size, one.stored, one.end)
    )
    moves = np.arange(-most, most + 1)
    # Not whole Wh: rounded, a step would seem cheaper than it is, and small steps cheaper than large ones.
    bought_wh = np.maximum(0, moves) * step_wh * PER_CENT / int(one.in_pct[0])
    given_wh = np.maximum(0, -moves) * step_wh * int(one.out_pct[0]) / PER_CENT
    levels = np.arange(size + 1)
    after = levels[:, None] + moves
    can_be = (after >= 0) & (after <= size)
    after = np.clip(after, 0, size)
    too_little = 1e13
    ahead = too_little * np.maximum(0, end - levels)
    chosen = np.zeros((len(import_price), size + 1), np.int64)
    for slot in range(len(import_price) - 1, -1, -1):
        spend = import_price[slot] * bought_wh - export_price[slot] * given_wh
        worth = np.where(can_be, spend + ahead[after], np.inf)
        chosen[slot] = worth.argmin(axis=1)
        ahead = worth.min(axis=1)
    steps, cost, level = np.zeros(len(import_price), np.int64), 0.0, stored
    for slot in range(len(import_price)):
        move = int(chosen[slot, level])
        steps[slot] = moves[move]
        cost += float(import_price[slot] * bought_wh[move] - export_price[slot] * given_wh[move])
        level += int(moves[move])
    return steps, round(cost)
