"""Which requests to accept and whom to send: what holds whatever is asked."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.market.income import Asked, best_choice, expected_mp

ASK_MP = 1_000.0


@st.composite
def evenings(draw: st.DrawFn) -> tuple[list[Asked], np.ndarray, np.ndarray]:
    requests = []
    for _ in range(draw(st.integers(1, 4))):
        starts, profile = (
            draw(st.integers(0, 4)),
            draw(st.lists(st.integers(0, 12_000), min_size=1, max_size=4)),
        )
        requests.append(
            Asked(
                profile_w=profile,
                price_mp_per_kwh=draw(st.integers(0, 90_000)),
                penalty_mp_per_kwh=draw(st.integers(0, 120_000)),
                least_w=draw(st.sampled_from([0, 0, 3_000])),
                starts=starts,
                ends=starts + len(profile),
            )
        )
    assets = draw(st.integers(0, 6))
    cell = st.sampled_from([0, 700, 1_500, 3_000, 7_000])
    row = st.lists(cell, min_size=len(requests), max_size=len(requests))
    power = np.array(draw(st.lists(row, min_size=assets, max_size=assets)), float).reshape(
        assets, len(requests)
    )
    out = np.array(draw(st.lists(st.floats(0, 0.5), min_size=assets, max_size=assets)))
    return requests, power, out


@given(evenings())
def test_a_choice_promises_no_asset_twice_offers_no_more_than_asked_and_beats_any_single_request(
    evening,
) -> None:
    requests, power, out = evening

    choice = best_choice(requests, power, out, ask_mp=ASK_MP)

    for one, other in product(range(len(requests)), repeat=2):
        meet = requests[one].starts < requests[other].ends and requests[other].starts < requests[one].ends
        if one < other and meet:
            assert not (choice.serves[:, one] & choice.serves[:, other]).any()
    assert not (choice.serves & (power <= 0)).any()
    for number, asked in enumerate(requests):
        offered = choice.offered_w[number]
        is_served = choice.serves[:, number].any()
        assert bool(offered) == is_served == (choice.income_mp[number] > 0)
        assert all(0 <= w <= most for w, most in zip(offered, asked.profile_w, strict=False))
        if is_served:
            assert max(offered) >= min(asked.least_w, max(asked.profile_w)) - 1
            has = choice.serves[:, number]
            assert max(offered) <= power[has, number].sum()
            worth = expected_mp(asked, power[has, number], out[has], ask_mp=ASK_MP)
            assert choice.income_mp[number] == pytest.approx(worth)
        alone = best_choice([asked], power[:, [number]], out, ask_mp=ASK_MP)
        assert choice.total_mp >= alone.total_mp - 1
    assert choice.total_mp >= 0


def test_two_requests_with_a_least_size_share_the_assets_when_that_brings_more() -> None:
    both = [
        Asked(
            profile_w=[9_000], price_mp_per_kwh=50_000, penalty_mp_per_kwh=0, least_w=6_000, starts=0, ends=1
        ),
        Asked(
            profile_w=[9_000], price_mp_per_kwh=40_000, penalty_mp_per_kwh=0, least_w=6_000, starts=0, ends=1
        ),
    ]
    power = np.full((6, 2), 3_000.0)

    choice = best_choice(both, power, np.zeros(6), ask_mp=ASK_MP)

    assert choice.serves.sum(axis=0).tolist() == [3, 3]
    assert [max(each) for each in choice.offered_w] == [9_000, 9_000]


def test_the_dearer_a_shortfall_the_less_is_offered() -> None:
    power, out = np.full((10, 1), 2_000.0), np.full(10, 0.2)

    def offered(penalty: int) -> int:
        asked = Asked([50_000], 50_000, penalty, least_w=0, starts=0, ends=1)
        return best_choice([asked], power, out, ask_mp=0).offered_w[0][0]

    mean_w = 16_000
    assert offered(20_000) > mean_w > offered(150_000) > offered(500_000) > 0
    assert offered(50_000) == pytest.approx(mean_w, abs=1)


def test_no_more_is_offered_than_the_assets_have_where_a_shortfall_costs_little_or_nothing() -> None:
    power, out = np.full((10, 1), 2_000.0), np.full(10, 0.2)
    for penalty in (0, 1, 100):
        asked = Asked([1_000_000, 5_000], 60_000, penalty, least_w=10_000, starts=0, ends=2)
        assert best_choice([asked], power, out, ask_mp=0).offered_w[0] == (20_000, 5_000)

        too_big = Asked([1_000_000], 60_000, penalty, least_w=100_000, starts=0, ends=1)
        assert best_choice([too_big], power, out, ask_mp=0).offered_w[0] == ()
