"""Properties of the portfolio choice: delivered as often as wanted, within every limit, and explained."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain, combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.portfolio import (
    NO_FEEDER,
    Candidates,
    Portfolio,
    Terms,
    Why,
    choose_portfolio,
    simulated_delivery,
    words,
)


def homes(count: int, half_hours: int, seed: int) -> Candidates:
    random = np.random.default_rng(seed)
    return Candidates(
        power_w=random.integers(0, 7_360, count),
        chance_out=np.clip(random.beta(2, 18, count), 0.01, 0.6),
        holds=random.choice([2, 4, half_hours, 20], count),
        rebound_pct=random.choice([0, 30, 60], count),
        cost_mp=random.integers(2_000, 40_000, count),
        feeder=random.integers(NO_FEEDER, 8, count),
        asked_lately=random.integers(0, 14, count),
    )


def terms(given_: Candidates, half_hours: int, share: float, feeder_share: float = 1) -> Terms:
    total = float((given_.power_w * (1 - given_.chance_out)).sum())
    shape = 1 + 0.3 * np.sin(np.arange(half_hours))
    return Terms(
        asked_w=np.rint(share * total * shape).astype(np.int64),
        feeder_cap_w=np.full(8, int(feeder_share * total)),
    )


def one(**changes: object) -> Candidates:
    told: dict[str, list[float]] = {
        "power_w": [2_000],
        "chance_out": [0.0],
        "holds": [8],
        "rebound_pct": [0],
        "cost_mp": [10],
        "feeder": [NO_FEEDER],
        "asked_lately": [0],
    }
    told |= changes  # type: ignore[arg-type]
    count = max(len(each) for each in told.values())
    return Candidates(
        **{
            name: np.resize(np.array(each, np.float64 if name == "chance_out" else np.int64), count)
            for name, each in told.items()
        }
    )


def asked(watts: int, half_hours: int = 2, **changes: object) -> Terms:
    return replace(Terms(np.full(half_hours, watts), np.full(8, 10**9)), **changes)  # type: ignore[arg-type]


def reasons(found: Portfolio) -> list[Why]:
    return [Why(int(each)) for each in found.why]


@pytest.mark.parametrize(
    ("count", "half_hours", "seed"), [(3_000, 8, 1), (3_000, 1, 2), (600, 4, 3), (120, 6, 4)]
)
def test_what_is_asked_comes_in_nineteen_of_twenty(count: int, half_hours: int, seed: int) -> None:
    given_ = homes(count, half_hours, seed)

    found = choose_portfolio(given_, terms(given_, half_hours, 0.15))

    assert not found.shortfall_w.any()
    assert simulated_delivery(found, draws=4_000, seed=seed) >= 0.945
    assert found.is_chosen.sum() < 0.6 * count


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 60),
    half_hours=st.integers(1, 6),
    seed=st.integers(0, 10**6),
    share=st.floats(0.02, 1.2),
    feeder_share=st.floats(0.01, 0.5),
    cap_w=st.none() | st.integers(0, 60_000),
)
def test_no_limit_is_crossed_and_everybody_is_told_why(
    count: int, half_hours: int, seed: int, share: float, feeder_share: float, cap_w: int | None
) -> None:
    given_ = homes(count, half_hours, seed)
    told = replace(terms(given_, half_hours, share, feeder_share), portfolio_cap_w=cap_w)
    if not told.asked_w.all():
        return

    found = choose_portfolio(given_, told)

    inside = found.is_chosen
    for number, feeder_w in enumerate(told.feeder_cap_w):
        assert given_.power_w[inside & (given_.feeder == number)].sum() <= feeder_w
    assert cap_w is None or given_.power_w[inside].sum() <= cap_w
    assert (given_.asked_lately[inside] < told.most_asks).all()
    assert (given_.power_w[inside] > 0).all()
    assert ((found.begins >= 0) == inside).all()
    assert sorted(found.place[inside]) == list(range(1, int(inside.sum()) + 1))
    assert (found.sure_w + found.shortfall_w >= told.asked_w - 1e-6).all()
    assert (found.sure_w <= found.expected_w + 1e-6).all()
    assert all(words(found, each).startswith("In, " if inside[each] else "Out: ") for each in range(count))
    again = choose_portfolio(given_, told)
    assert (again.why == found.why).all()
    assert (again.begins == found.begins).all()


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 8), seed=st.integers(0, 10**6), share=st.floats(0.05, 0.8))
def test_of_few_the_cheapest_set_of_all_that_come_with_the_chance_is_asked(
    count: int, seed: int, share: float
) -> None:
    random = np.random.default_rng(seed)
    given_ = one(
        power_w=random.integers(500, 7_400, count).tolist(),
        chance_out=random.uniform(0, 0.4, count).round(2).tolist(),
        cost_mp=random.integers(500, 3_000, count).tolist(),
        asked_lately=random.integers(0, 4, count).tolist(),
        feeder=random.integers(-1, 2, count).tolist(),
    )
    cap_w = int(given_.power_w.sum() * 0.6)
    wanted_w = int((given_.power_w * (1 - given_.chance_out)).sum() * share)
    told = asked(wanted_w, 1, feeder_cap_w=np.array([cap_w, cap_w]))

    found = choose_portfolio(given_, told)

    price = given_.cost_mp * (1 + given_.asked_lately / 10)
    least = min(
        (price[list(some)].sum() for some in sets_of(count) if does_reach(given_, some, wanted_w, cap_w)),
        default=None,
    )
    mine = np.nonzero(found.is_chosen)[0].tolist()
    if least is None:
        assert not does_reach(given_, mine, wanted_w, cap_w)
    else:
        assert does_reach(given_, mine, wanted_w, cap_w)
        assert price[mine].sum() == pytest.approx(least)
        assert not found.shortfall_w.any()


def sets_of(count: int) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(range(count), size) for size in range(count + 1))


def does_reach(given_: Candidates, some: Collection[int], wanted_w: int, cap_w: int) -> bool:
    """By every way in which some come and others do not."""
    who = list(some)
    power_w, come = given_.power_w[who], 1 - given_.chance_out[who]
    if any(power_w[given_.feeder[who] == each].sum() > cap_w for each in (0, 1)):
        return False
    chance = 0.0
    for does in product((0, 1), repeat=len(who)):
        if (power_w * np.array(does, np.int64)).sum() >= wanted_w:
            chance += float(np.where(np.array(does, np.bool_), come, 1 - come).prod())
    return chance >= 0.95 - 1e-9 and float((power_w * come).sum()) >= wanted_w


def test_the_cheapest_for_what_they_give_are_asked_and_no_more() -> None:
    found = choose_portfolio(one(power_w=[2_000, 2_000, 2_000], cost_mp=[30, 10, 20]), asked(4_000))

    assert found.is_chosen.tolist() == [False, True, True]
    assert found.cost_mp == 2 * (10 + 20)
    assert words(found, 0).startswith("Out: others cost less")


def test_whoever_was_asked_often_comes_after_who_was_not_and_is_left_alone_in_the_end() -> None:
    found = choose_portfolio(one(asked_lately=[3, 0, 12], cost_mp=[10, 12, 1]), asked(2_000))

    assert reasons(found) == [Why.DEARER, Why.CHOSEN, Why.ASKED_ENOUGH]
    assert "asked 12 times lately" in words(found, 2)


def test_a_feeder_takes_only_what_it_may_change_at_once() -> None:
    found = choose_portfolio(one(feeder=[0, 0, 1]), asked(4_000, feeder_cap_w=np.array([2_500, 2_500])))

    assert found.is_chosen.sum() == 2
    assert found.is_chosen[2]
    assert Why.FEEDER_FULL in reasons(found) or Why.DEARER in reasons(found)
    short = choose_portfolio(one(feeder=[0, 0]), asked(4_000, feeder_cap_w=np.array([2_500])))
    assert reasons(short) == [Why.CHOSEN, Why.FEEDER_FULL]
    assert short.shortfall_w.tolist() == [2_000, 2_000]
    assert "2.5 kW at once" in words(short, 1)


def test_all_together_change_only_what_they_may_at_once() -> None:
    given_ = one(power_w=[2_000] * 20, feeder=[0, 1] * 10)
    caps = np.array([9_000, 9_000])

    capped = choose_portfolio(given_, asked(40_000, feeder_cap_w=caps, portfolio_cap_w=11_000))
    uncapped = choose_portfolio(given_, asked(40_000, feeder_cap_w=caps))

    assert (capped.is_chosen.sum(), uncapped.is_chosen.sum()) == (5, 8)
    full = int(np.nonzero(capped.why == Why.PORTFOLIO_FULL)[0][0])
    assert "all homes together may change by 11 kW at once" in words(capped, full)
    few = choose_portfolio(one(power_w=[3_000, 2_000], cost_mp=[1, 9]), asked(2_000, portfolio_cap_w=2_500))
    assert reasons(few)[1] == Why.CHOSEN
    assert not few.shortfall_w.any()


def test_assets_that_hold_for_an_hour_take_turns() -> None:
    found = choose_portfolio(one(holds=[2, 2, 2, 2]), asked(4_000, half_hours=4))

    assert sorted(found.begins.tolist()) == [0, 0, 2, 2]
    assert not found.shortfall_w.any()


def test_what_comes_back_afterwards_counts_against_the_asset() -> None:
    alone = choose_portfolio(one(holds=[2], rebound_pct=[50]), asked(2_000, half_hours=4))

    assert alone.expected_w.min() < 2_000
    all_of_it = choose_portfolio(one(holds=[2], rebound_pct=[50]), asked(2_000, half_hours=2))
    assert not all_of_it.shortfall_w.any()


def test_one_that_may_not_come_needs_another_beside_it() -> None:
    sure = choose_portfolio(one(power_w=[2_000] * 9), asked(2_000))
    unsure = choose_portfolio(one(power_w=[2_000] * 9, chance_out=[0.3]), asked(2_000))

    assert sure.is_chosen.sum() == 1
    assert unsure.is_chosen.sum() >= 3
    assert simulated_delivery(unsure, draws=4_000, seed=1) >= 0.945
    assert reasons(choose_portfolio(one(chance_out=[1.0]), asked(2_000))) == [Why.SURE_TO_FAIL]
