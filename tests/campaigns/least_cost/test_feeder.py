"""A fleet under a feeder's cap: never above it, needs met, and never far from the bound below."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.least_cost import exchanging, feeder, stepped
from campaigns.least_cost.stepped import Ints, SteppedLoads


def fleet(count: int, slots: int, seed: int) -> tuple[Ints, SteppedLoads]:
    random = np.random.default_rng(seed)
    need_wh = random.integers(3_000, 33_000, count)
    price = np.rint(random.normal(150_000, 90_000, slots)).astype(np.int64)
    return price, stepped.chargers(
        phases=np.where(random.random(count) < 0.1, 3, 1),
        most_amps=np.full(count, 32),
        need_wh=need_wh,
        room_wh=need_wh,
        arrives=random.integers(0, 16, count),
        leaves=random.integers(slots - 20, slots, count),
        slots=slots,
    )


def load_wh(plans: stepped.SteppedPlans, loads: SteppedLoads) -> Ints:
    total: Ints = (plans.steps * loads.step_wh[:, None]).sum(axis=0)
    return total


@pytest.mark.parametrize(("slots", "share"), [(46, 0.6), (48, 0.35), (50, 0.6)])
def test_a_thousand_cars_keep_under_the_cap_and_near_the_bound(slots: int, share: float) -> None:
    price, cars = fleet(1_000, slots, seed=slots)
    free = stepped.least_cost(price, cars)
    cap_wh = np.full(slots, int(share * load_wh(free, cars).max()))

    found = feeder.least_cost_under_cap(price, cars, cap_wh)

    assert found.is_binding
    assert (load_wh(found.plans, cars) <= cap_wh).all()
    assert not found.plans.shortfall_wh.any()
    assert found.bound <= found.plans.cost.sum()
    assert found.plans.cost.sum() >= free.cost.sum()
    assert found.gap < 0.01
    again = feeder.least_cost_under_cap(price, cars, cap_wh)
    assert (again.plans.steps == found.plans.steps).all()


def test_a_cap_in_nobodys_way_leaves_the_exact_plans() -> None:
    price, cars = fleet(50, 48, seed=1)
    free = stepped.least_cost(price, cars)

    found = feeder.least_cost_under_cap(price, cars, load_wh(free, cars))

    assert not found.is_binding
    assert (found.plans.steps == free.steps).all()


def test_a_cap_too_low_is_kept_and_what_is_missing_is_said() -> None:
    price, cars = fleet(30, 48, seed=2)

    found = feeder.least_cost_under_cap(price, cars, np.full(48, 4_000))

    assert (load_wh(found.plans, cars) <= 4_000).all()
    assert found.plans.shortfall_wh.sum() > 0


@settings(max_examples=25)
@given(st.data())
def test_the_bound_is_below_the_best_there_is(data: st.DataObject) -> None:
    slots, count, most = 3, 2, 3
    price = (
        np.array(data.draw(st.lists(st.integers(-50, 90), min_size=slots, max_size=slots)), np.int64) * 1_000
    )
    need = np.array(data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)), np.int64)
    cap = np.array(data.draw(st.lists(st.integers(2, 6), min_size=slots, max_size=slots)), np.int64)
    loads = SteppedLoads(
        step_wh=np.full(count, 100),
        least=np.ones(count, np.int64),
        most=np.full(count, most),
        need_wh=need * 100,
        room_wh=need * 100,
        is_available=np.ones((count, slots), np.bool_),
    )

    found = feeder.least_cost_under_cap(price, loads, cap * 100)

    each = list(product(range(most + 1), repeat=slots))
    told = [
        int((np.array(one) + np.array(other)) @ price) * 100
        for one, other in product(each, each)
        if sum(one) == need[0] and sum(other) == need[1] and (np.array(one) + np.array(other) <= cap).all()
    ]
    assert (load_wh(found.plans, loads) <= cap * 100).all()
    if told:
        assert found.bound <= min(told) + 1e-6
        assert found.plans.shortfall_wh.any() or found.plans.cost.sum() >= min(told)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lower", [0, 150_000])
def test_a_hundred_cars_come_near_the_bound_too(seed: int, lower: int) -> None:
    price, cars = fleet(100, 48, seed=seed)
    price = price - lower
    cap_wh = np.full(48, int(0.4 * load_wh(stepped.least_cost(price, cars), cars).max()))

    found = feeder.least_cost_under_cap(price, cars, cap_wh)

    turnover = (found.plans.steps * np.abs(price)).sum(axis=1) @ cars.step_wh
    assert (load_wh(found.plans, cars) <= cap_wh).all()
    assert not found.plans.shortfall_wh.any()
    assert found.plans.cost.sum() - found.bound < 0.005 * turnover


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_cap_and_no_loads_own_limits_are_ever_passed(data: st.DataObject) -> None:
    count, slots = data.draw(st.integers(1, 12)), data.draw(st.sampled_from([6, 10]))
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    price = np.rint(random.normal(20_000, 90_000, (count, slots))).astype(np.int64)
    if data.draw(st.booleans()):
        price[:] = price[0]
    need_wh = random.integers(0, 30_000, count)
    cars = stepped.chargers(
        phases=random.choice([1, 3], count),
        most_amps=random.integers(6, 33, count),
        need_wh=need_wh,
        room_wh=need_wh + random.integers(0, 2, count) * 8_000,
        arrives=random.integers(0, 3, count),
        leaves=random.integers(slots - 3, slots + 1, count),
        slots=slots,
    )
    cap_wh = random.integers(0, data.draw(st.sampled_from([4_000, 12_000, 60_000])), slots)
    alone = stepped.least_cost(price, cars)

    found = feeder.least_cost_under_cap(price, cars, cap_wh)

    plans = found.plans
    steps = plans.steps
    assert (load_wh(plans, cars) <= cap_wh).all()
    assert (steps[~cars.is_available] == 0).all()
    assert ((steps == 0) | ((steps >= cars.least[:, None]) & (steps <= cars.most[:, None]))).all()
    need, room = stepped.wanted_steps(cars)
    assert (steps.sum(axis=1) <= room).all()
    assert (plans.shortfall_wh >= alone.shortfall_wh).all()
    assert (plans.cost == (steps * price).sum(axis=1) * cars.step_wh).all()
    if (load_wh(alone, cars) <= cap_wh).all():
        assert (steps == alone.steps).all()

    again = exchanging.exchanged(price, cars, cap_wh, steps)

    assert (load_wh(stepped.SteppedPlans(again, *[plans.cost] * 3), cars) <= cap_wh).all()
    assert (np.minimum(again.sum(axis=1), need) >= np.minimum(steps.sum(axis=1), need)).all()
    is_met = (steps.sum(axis=1) >= need).all()
    assert not is_met or ((again * price).sum(axis=1) * cars.step_wh).sum() <= plans.cost.sum()
