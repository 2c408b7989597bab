"""Tanks, storage heaters and batteries against every pattern there is, over a few half-hours."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.least_cost import storing, tank
from campaigns.least_cost.stepped import Ints, least_cost
from campaigns.least_cost.switched import least_cost_switched
from campaigns.least_cost.tank import GRAIN_WH, NOT_DUE, Tanks
from tests.campaigns.least_cost.oracles import cheapest_tank


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def tanks(slots: int, **changes: object) -> Tanks:
    """A tank of 180 litres, warm, that nobody draws from."""
    told = {
        "heater_w": ints(3_000),
        "full_wh": tank.heat_wh(ints(180), 65),
        "sterile_wh": tank.heat_wh(ints(180), 60),
        "loss_w_per_kelvin": np.array([1.8]),
        "litres": ints(180),
        "room_c": ints(18),
        "stored_wh": tank.heat_wh(ints(180), 45),
        "ready_wh": np.zeros((1, slots), np.int64),
        "draw_wh": np.zeros((1, slots), np.int64),
        "may_heat": np.ones((1, slots), np.bool_),
        "sterile_by": ints(NOT_DUE),
    }
    return Tanks(**(told | changes))  # type: ignore[arg-type]


@settings(max_examples=60)
@given(st.data())
def test_no_pattern_of_on_and_off_is_cheaper(data: st.DataObject) -> None:
    slots = data.draw(st.integers(1, 7))

    def row(least: int, most: int) -> list[int]:
        return data.draw(st.lists(st.integers(least, most), min_size=slots, max_size=slots))

    price = row(-90_000, 300_000)
    litres, heater_w = data.draw(st.sampled_from([60, 120])), data.draw(st.sampled_from([1_000, 3_000]))
    full_wh, sterile_wh = (int(tank.heat_wh(ints(litres), warm)[0]) for warm in (65, 60))
    stored = data.draw(st.integers(0, full_wh // GRAIN_WH))
    ready, draw = row(0, full_wh // GRAIN_WH), row(0, 60)
    loss_w = data.draw(st.floats(0, 12))
    sterile_by = data.draw(st.sampled_from([NOT_DUE, 0, slots - 1, slots]))
    may_heat = data.draw(st.lists(st.booleans(), min_size=slots, max_size=slots))

    plans = tank.least_cost_heat(
        ints(*price),
        tanks(
            slots,
            heater_w=ints(heater_w),
            full_wh=ints(full_wh),
            sterile_wh=ints(sterile_wh),
            loss_w_per_kelvin=np.array([loss_w]),
            litres=ints(litres),
            stored_wh=ints(stored * GRAIN_WH),
            ready_wh=ints(*ready)[None] * GRAIN_WH,
            draw_wh=ints(*draw)[None] * GRAIN_WH,
            may_heat=np.array([may_heat]),
            sterile_by=ints(sterile_by),
        ),
    )

    warmth = [
        10 + level * GRAIN_WH / (litres * tank.WH_PER_LITRE_KELVIN)
        for level in range(full_wh // GRAIN_WH + 1)
    ]
    is_cold, missing, cost = cheapest_tank(
        price,
        heat=heater_w // 2 // GRAIN_WH,
        full=full_wh // GRAIN_WH,
        sterile=sterile_wh // GRAIN_WH,
        stored=stored,
        ready=ready,
        draw=draw,
        sterile_by=sterile_by,
        may_heat=may_heat,
        loss=[loss_w * max(0, celsius - 18) / 2 / GRAIN_WH for celsius in warmth],
    )
    assert bool(plans.is_sterile[0]) is not is_cold
    assert plans.missing_wh[0] == missing * GRAIN_WH
    assert plans.cost[0] == cost * GRAIN_WH


def test_the_tank_is_heated_in_the_cheap_hours_before_the_bath() -> None:
    price = np.full(48, 300_000)
    price[4:10] = 100_000
    ready, draw = np.zeros((1, 48), np.int64), np.zeros((1, 48), np.int64)
    ready[0, 14], draw[0, 14] = tank.heat_wh(ints(180), 55)[0], 4_000

    plans = tank.least_cost_heat(price, tanks(48, ready_wh=ready, draw_wh=draw))

    assert set(np.nonzero(plans.is_on[0])[0]) <= set(range(4, 10))
    assert plans.is_on.any()
    assert not plans.missing_wh.any()


def test_sixty_degrees_are_reached_when_they_are_due_whatever_it_costs() -> None:
    price = np.full(12, 900_000)

    idle = tank.least_cost_heat(price, tanks(12))
    due = tank.least_cost_heat(price, tanks(12, sterile_by=ints(11)))
    too_soon = tank.least_cost_heat(price, tanks(12, sterile_by=ints(0)))

    assert not idle.is_on.any()
    assert due.is_sterile.all()
    assert due.taken_wh.sum() > 3_000
    assert not too_soon.is_sterile.any()


def test_a_thermostat_alone_takes_what_is_drawn_and_lost_and_stays_full() -> None:
    draw = np.zeros((1, 48), np.int64)
    draw[0, 14] = 4_000
    told = tanks(48, draw_wh=draw, loss_w_per_kelvin=np.array([0.0]))

    alone = tank.always_on(np.full(48, 100_000), told)

    assert alone.taken_wh.sum() == 4_000
    assert alone.stored_wh[0, -1] == told.full_wh[0]
    assert set(np.nonzero(alone.is_on[0])[0]) == {15, 16, 17}


def test_a_storage_heater_charges_in_its_window_for_the_day_ahead() -> None:
    need = storing.storage_need_wh(
        loss_w_per_kelvin=ints(90, 90, 90),
        kelvin_hours=ints(120, 400, 10),
        gains_wh=ints(2_000, 0, 2_000),
        stored_wh=ints(1_800, 0, 0),
        core_wh=ints(18_000, 18_000, 18_000),
    )
    window = np.zeros((3, 48), np.bool_)
    window[:, 1:15] = True
    heaters = storing.storage_heaters(
        heater_w=ints(2_500, 2_500, 2_500),
        need_wh=need,
        core_wh=ints(18_000, 18_000, 18_000),
        stored_wh=ints(1_800, 0, 0),
        is_window=window,
    )

    plans = least_cost(np.arange(48) * 1_000, heaters)

    assert need.tolist() == [7_000, 18_000, 0]
    assert plans.steps.sum(axis=1).tolist() == [6, 14, 0]
    assert plans.shortfall_wh.tolist() == [0, 500, 0]
    assert np.nonzero(plans.steps[0])[0].tolist() == [1, 2, 3, 4, 5, 6]


@settings(max_examples=60)
@given(st.data())
def test_no_moves_of_a_battery_are_cheaper(data: st.DataObject) -> None:
    slots, most, size = (
        data.draw(st.integers(1, 5)),
        data.draw(st.integers(1, 2)),
        data.draw(st.integers(1, 5)),
    )
    prices = st.lists(st.integers(-50_000, 400_000), min_size=slots, max_size=slots)
    buy, sell = data.draw(prices), data.draw(prices)
    stored, end = data.draw(st.integers(0, size)), data.draw(st.integers(0, size))
    told = storing.Batteries(*(ints(each) for each in (500, most, size, stored, end, 95, 90)))

    plans = storing.least_cost_battery(ints(*buy), ints(*sell), told)

    best = (10**9, Fraction(0))
    for moves in product(range(-most, most + 1), repeat=slots):
        levels = stored + np.cumsum(moves)
        if (levels < 0).any() or (levels > size).any():
            continue
        cost = sum(
            Fraction(buy[slot] * max(0, move) * 500 * 100, 95) - sell[slot] * max(0, -move) * 450
            for slot, move in enumerate(moves)
        )
        best = min(best, (max(0, end - int(levels[-1])), cost))
    left = stored + int(plans.steps.sum())
    assert (max(0, end - left), int(plans.cost[0])) == (best[0], round(best[1]))


@settings(max_examples=60, deadline=None)
@given(
    prices=st.lists(st.integers(-30, 90), min_size=6, max_size=6),
    open_to=st.lists(st.booleans(), min_size=6, max_size=6),
    need=st.integers(0, 6),
    more=st.integers(0, 2),
    worn=st.sampled_from([0, 20, 60]),
)
def test_no_other_half_hours_of_a_relay_cost_less_with_its_wear(
    prices: list[int], open_to: list[bool], need: int, more: int, worn: int
) -> None:
    load = storing.storage_heaters(
        heater_w=ints(2_000),
        need_wh=ints(1_000 * need),
        core_wh=ints(1_000 * (need + more)),
        stored_wh=ints(0),
        is_window=np.array([open_to]),
    )
    wear = worn * 1_000

    plans = least_cost_switched(ints(*prices), load, ints(wear))

    def told(steps: Iterable[int]) -> int:
        on = list(steps)
        starts = sum(now and not before for before, now in pairwise([0, *on]))
        return sum(price * 1_000 for price, each in zip(prices, on, strict=True) if each) + starts * wear

    least, most = min(need, sum(open_to)), min(max(need, need + more), sum(open_to))
    allowed = [
        steps
        for steps in product((0, 1), repeat=6)
        if least <= sum(steps) <= most
        and not any(on and not may for on, may in zip(steps, open_to, strict=True))
    ]
    assert tuple(plans.steps[0]) in allowed
    assert told(plans.steps[0].tolist()) == min(map(told, allowed))
    assert plans.cost[0] == told(plans.steps[0].tolist()) - wear * int(
        (np.diff(np.concatenate(([0], plans.steps[0]))) == 1).sum()
    )


def test_a_tank_is_heated_at_one_go_where_switching_costs_more_than_it_saves() -> None:
    price = ints(50_000, 60_000, 50_000, 60_000, 50_000, 60_000)
    ready = np.zeros((1, 6), np.int64)
    ready[0, 5] = 4_400
    told = tanks(6, stored_wh=ints(0), ready_wh=ready)

    free = tank.least_cost_heat(price, told)
    worn = tank.least_cost_heat(price, told, ints(100_000_000))

    assert (np.diff(free.is_on[0].astype(int), prepend=0) == 1).sum() == 3
    assert (np.diff(worn.is_on[0].astype(int), prepend=0) == 1).sum() == 1
    assert not worn.missing_wh.any()
    assert free.cost[0] < worn.cost[0] < free.cost[0] + 200_000_000
