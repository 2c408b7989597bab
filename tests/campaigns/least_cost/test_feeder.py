"""A fleet under a feeder's cap: never above it, needs met, and never far from the bound below."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.least_cost import feeder, stepped
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
