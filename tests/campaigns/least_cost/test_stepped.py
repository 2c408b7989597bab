"""Stepped loads cost exactly what the long way finds: random prices of either sign, every length of day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.least_cost import capped, stepped
from campaigns.least_cost.stepped import PENCE, SteppedLoads
from tests.campaigns.least_cost.oracles import cheapest_steps


def ints(*values: int) -> stepped.Ints:
    return np.array(values, np.int64)


@st.composite
def loads(draw: st.DrawFn) -> tuple[stepped.Ints, SteppedLoads]:
    """One to three loads over a few half-hours, few prices so that equal ones are common."""
    slots, count = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    prices = st.sampled_from([-80_000, -1, 0, 1, 50_000, 50_001, 120_000]) | st.integers(-200_000, 900_000)
    price = np.array(draw(st.lists(prices, min_size=count * slots, max_size=count * slots)), np.int64)
    least = draw(st.lists(st.integers(1, 6), min_size=count, max_size=count))
    most = [low + draw(st.integers(0, 9)) for low in least]
    step_wh = ints(*(draw(st.sampled_from([115, 345, 1_250])) for _ in least))
    need = [draw(st.integers(0, 70)) * int(wh) - draw(st.integers(0, 114)) for wh in step_wh]
    spare = [draw(st.integers(0, 20)) * int(wh) for wh in step_wh]
    available = draw(st.lists(st.booleans(), min_size=count * slots, max_size=count * slots))
    return price.reshape(count, slots), SteppedLoads(
        step_wh=step_wh,
        least=ints(*least),
        most=ints(*most),
        need_wh=np.maximum(0, ints(*need)),
        room_wh=np.maximum(0, ints(*need)) + ints(*spare),
        is_available=np.array(available).reshape(count, slots),
    )


def long_way(price: stepped.Ints, one: SteppedLoads, number: int, most: stepped.Ints) -> tuple[int, int]:
    """Missing steps and cost of one load, `most` steps in each slot."""
    wh = int(one.step_wh[number])
    missing, cost = cheapest_steps(
        price[number].tolist(),
        need=-(-int(one.need_wh[number]) // wh),
        room=int(one.room_wh[number]) // wh,
        least=int(one.least[number]),
        most=np.where(one.is_available[number], most, 0).tolist(),
    )
    return missing, cost * wh


@settings(max_examples=150)
@given(loads())
def test_the_cheapest_steps_are_the_cheapest_of_all(case: tuple[stepped.Ints, SteppedLoads]) -> None:
    price, each = case
    plans = stepped.least_cost(price, each)

    for number in range(len(each.step_wh)):
        missing, cost = long_way(price, each, number, np.full(price.shape[1], each.most[number]))
        assert plans.cost[number] == cost
        assert (plans.shortfall_wh[number] > 0) == (missing > 0)
    on = plans.steps[plans.steps != 0]
    assert (plans.steps[~each.is_available] == 0).all()
    assert (on >= np.broadcast_to(each.least[:, None], plans.steps.shape)[plans.steps != 0]).all()
    assert (plans.steps <= each.most[:, None]).all()
    assert (plans.cost == (plans.steps * price).sum(axis=1) * each.step_wh).all()


@settings(max_examples=100)
@given(loads(), st.data())
def test_with_less_room_in_some_half_hours_too(
    case: tuple[stepped.Ints, SteppedLoads], data: st.DataObject
) -> None:
    price, each = case
    left = [data.draw(st.integers(-2, 16)) for _ in range(price.size)]
    left_wh = np.array(left, np.int64).reshape(price.shape) * each.step_wh[:, None] + 7

    plans = capped.least_cost_within(price, each, left_wh)

    assert (plans.steps * each.step_wh[:, None] <= np.maximum(0, left_wh)).all()
    for number in range(len(each.step_wh)):
        most = np.clip(left_wh[number] // each.step_wh[number], 0, each.most[number])
        missing, cost = long_way(price, each, number, most)
        assert (plans.shortfall_wh[number] > 0) == (missing > 0)
        assert plans.cost[number] == cost


@pytest.mark.parametrize("slots", [46, 48, 50])
def test_a_whole_day_of_any_length_with_prices_below_zero(slots: int) -> None:
    random = np.random.default_rng(slots)
    count = 12
    price = np.rint(random.normal(80_000, 120_000, (count, slots))).astype(np.int64)
    need_wh = random.integers(0, 40_000, count)
    cars = stepped.chargers(
        phases=random.choice([1, 3], count),
        most_amps=random.choice([10, 16, 32], count),
        need_wh=need_wh,
        room_wh=need_wh + random.integers(0, 20_000, count),
        arrives=random.integers(0, 20, count),
        leaves=random.integers(20, slots + 1, count),
        slots=slots,
    )

    plans = stepped.least_cost(price, cars)

    for number in range(count):
        missing, cost = long_way(price, cars, number, np.full(slots, cars.most[number]))
        assert (missing, cost) == (0 if not plans.shortfall_wh[number] else missing, plans.cost[number])
    assert (price < 0).any()


def car(**changes: int) -> SteppedLoads:
    told = {
        "phases": 1,
        "most_amps": 32,
        "need_wh": 7_360,
        "room_wh": 7_360,
        "arrives": 0,
        "leaves": 6,
    } | changes
    return stepped.chargers(slots=6, **{name: ints(value) for name, value in told.items()})


def test_a_car_takes_the_two_cheapest_half_hours_of_its_stay() -> None:
    price = ints(50, 10, 40, 20, 30, 5) * 10_000

    plans = stepped.least_cost(price, car(leaves=5))

    assert plans.steps.tolist() == [[0, 32, 0, 32, 0, 0]]
    assert plans.cost[0] / PENCE == pytest.approx(3.68 * (10 + 20))


def test_three_phases_take_three_times_as_much() -> None:
    plans = stepped.least_cost(ints(1, 2, 3, 4, 5, 6), car(phases=3, need_wh=11_040))

    assert plans.steps.tolist() == [[32, 0, 0, 0, 0, 0]]


def test_a_price_below_zero_fills_the_battery_and_no_more() -> None:
    price = ints(-10, 5, 5, 5, 5, -1) * 10_000

    plans = stepped.least_cost(price, car(need_wh=1_000, room_wh=4_600))

    assert plans.steps.tolist() == [[32, 0, 0, 0, 0, 8]]


def test_of_equal_prices_the_earliest_and_what_is_charged_is_not_charged_again() -> None:
    need_wh = stepped.charge_need_wh(
        battery_wh=ints(40_000), charged_pct=ints(60), target_pct=ints(80), charged_wh=ints(4_320)
    )

    plans = stepped.least_cost(ints(3, 3, 3, 3, 3, 3), car(need_wh=int(need_wh[0]), room_wh=int(need_wh[0])))

    assert need_wh.tolist() == [3_680]
    assert plans.steps.tolist() == [[32, 0, 0, 0, 0, 0]]
    assert stepped.miles_need_wh(miles=ints(40), charged_wh=ints(1_000)).tolist() == [9_000]


def test_a_stay_too_short_is_used_whole_and_said() -> None:
    plans = stepped.least_cost(ints(1, 2, 3, 4, 5, 6), car(need_wh=30_000, room_wh=30_000, leaves=2))

    assert plans.steps.tolist() == [[32, 32, 0, 0, 0, 0]]
    assert plans.shortfall_wh.tolist() == [30_000 - 7_360]


def test_a_demand_charge_spreads_what_is_cheap_over_more_half_hours() -> None:
    price = ints(10, 11, 12, 13, 40, 40) * 10_000
    base = np.full((1, 6), 100, np.int64)

    free = capped.least_cost_with_demand_charge(
        price, car(), base_wh=base, peak_so_far_wh=ints(0), demand_price=0
    )
    charged = capped.least_cost_with_demand_charge(
        price, car(), base_wh=base, peak_so_far_wh=ints(1_020), demand_price=capped.demand_price(500)
    )

    assert free.plans.steps.tolist() == [[32, 32, 0, 0, 0, 0]]
    assert charged.plans.steps.tolist() == [[11, 11, 11, 11, 11, 9]]
    assert charged.peak_wh.tolist() == [100 + 11 * 115]
    assert charged.demand_cost.tolist() == [(100 + 11 * 115 - 1_020) * capped.demand_price(500)]
    assert charged.plans.shortfall_wh.tolist() == [0]


@settings(max_examples=60)
@given(loads(), st.data())
def test_the_peak_chosen_is_the_best_of_all_peaks(
    case: tuple[stepped.Ints, SteppedLoads], data: st.DataObject
) -> None:
    price, each = case
    shape = price.shape
    base = np.array([data.draw(st.integers(0, 900)) for _ in range(price.size)], np.int64).reshape(shape)
    so_far = np.array([data.draw(st.integers(0, 2_000)) for _ in range(shape[0])], np.int64)
    charge = data.draw(st.sampled_from([0, 10_000, 200_000, 3_000_000]))

    found = capped.least_cost_with_demand_charge(
        price, each, base_wh=base, peak_so_far_wh=so_far, demand_price=charge
    )

    for number in range(shape[0]):
        best = best_of_all_peaks(price, each, number, base[number], int(so_far[number]), charge)
        assert found.plans.cost[number] + found.demand_cost[number] == best


def best_of_all_peaks(
    price: stepped.Ints, each: SteppedLoads, number: int, base: stepped.Ints, so_far: int, charge: int
) -> int:
    """Energy and peak of one load together, every peak tried the long way, needs first."""
    wh, floor = int(each.step_wh[number]), max(so_far, int(base.max()))
    levels = range(int(each.most[number]) + 1)
    peaks = {floor} | {int(b) + wh * s for b in base for s in levels if int(b) + wh * s > floor}
    told = []
    for peak in peaks:
        most = np.clip((peak - base) // wh, 0, each.most[number])
        missing, cost = long_way(price, each, number, most)
        told.append((missing, cost + (peak - floor) * charge))
    return min(told)[1]


NIGHTS = {
    "of either sign": lambda random, slots: random.integers(-60_000, 400_000, slots),
    "below zero": lambda random, slots: random.integers(-90_000, 5_000, slots),
    "of two bands": lambda random, slots: random.choice([90_000, 285_000], slots),
    "few, often equal": lambda random, slots: random.choice([-50_000, 0, 1, 70_000], slots),
}


@pytest.mark.parametrize("prices", NIGHTS)
@pytest.mark.parametrize(("slots", "charge"), [(46, 20), (48, 150), (50, 650)])
def test_of_a_whole_night_too(prices: str, slots: int, charge: int) -> None:
    random = np.random.default_rng(slots)
    price = NIGHTS[prices](random, slots).astype(np.int64)
    need_wh = random.integers(500, 12_000, 2)
    cars = stepped.chargers(
        phases=ints(1, 1),
        most_amps=random.integers(8, 13, 2),
        need_wh=need_wh,
        room_wh=need_wh + ints(0, 3_000),
        arrives=random.integers(8, 16, 2),
        leaves=random.integers(26, 36, 2),
        slots=slots,
    )
    base = random.integers(50, 1_200, (2, slots))
    so_far = random.integers(0, 1_500, 2)

    found = capped.least_cost_with_demand_charge(
        price, cars, base_wh=base, peak_so_far_wh=so_far, demand_price=capped.demand_price(charge)
    )

    every = np.broadcast_to(price, base.shape)
    for number in range(2):
        best = best_of_all_peaks(
            every, cars, number, base[number], int(so_far[number]), capped.demand_price(charge)
        )
        assert found.plans.cost[number] + found.demand_cost[number] == best
    assert (found.plans.shortfall_wh == 0).all()
