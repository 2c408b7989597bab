"""The hold-out turns fairly and can be drawn again; differences in differences find what was put there."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.baselines.control_group import (
    NoComparison,
    difference_in_differences,
    hold_out,
    hold_out_paid_wh,
)


@given(
    homes=st.integers(2, 90), share_pct=st.integers(1, 50), cycle=st.integers(0, 3), seed=st.text(max_size=8)
)
@settings(max_examples=60, deadline=None)
def test_every_home_is_held_out_once_a_cycle(homes, share_pct, cycle, seed):
    names = [f"home {number}" for number in range(homes)]
    turns = max(2, min(homes, round(100 / share_pct)))

    drawn = [
        hold_out(names, share_pct=share_pct, seed=seed, turn=cycle * turns + place) for place in range(turns)
    ]

    assert sorted(home for some in drawn for home in some) == sorted(names)
    sizes = [len(some) for some in drawn]
    assert max(sizes) - min(sizes) <= 1


def test_the_draw_can_be_repeated_and_depends_on_the_seed():
    names = [f"home {number}" for number in range(200)]
    first = hold_out(names, share_pct=10, seed="2026-11", turn=3)

    assert first == hold_out(list(reversed(names)), share_pct=10, seed="2026-11", turn=3)
    assert len(first) == 20
    assert first != hold_out(names, share_pct=10, seed="2026-12", turn=3)
    assert first != hold_out(names, share_pct=10, seed="2026-11", turn=13)
    assert hold_out(["alone"], share_pct=10, seed="", turn=0) == frozenset()
    with pytest.raises(ValueError, match="1 to 50"):
        hold_out(names, share_pct=60, seed="", turn=0)


def readings(*, effect_wh: int, drift_wh: int = 0, homes: int = 400, seed: int = 1):
    random = np.random.default_rng(seed)
    level = random.integers(200, 900, homes)
    held_out = np.arange(homes) % 10 == 0
    before = level[:, None, None] + random.integers(-150, 150, (homes, 8, 4))
    event = level[:, None] + drift_wh + random.integers(-150, 150, (homes, 4))
    event[~held_out] += effect_wh
    return {
        "event_wh": event,
        "event_present": random.random(event.shape) > 0.05,
        "before_wh": before,
        "before_present": random.random(before.shape) > 0.05,
        "is_held_out": held_out,
    }


def test_the_effect_is_found_whatever_the_weather_did_to_everybody():
    found = difference_in_differences(**readings(effect_wh=-200, drift_wh=500), seed=9)

    assert found.low_wh < found.effect_wh < found.high_wh < -100
    assert found.effect_wh == pytest.approx(-200, abs=25)
    assert (found.treated, found.control) == (360, 40)
    assert found.delivered_wh(half_hours=4) == pytest.approx(-found.effect_wh * 360 * 4)
    assert found.delivered_wh(half_hours=4, is_turn_up=True) == -found.delivered_wh(half_hours=4)


def test_it_is_that_of_a_slow_count():
    some = readings(effect_wh=-200, homes=30)
    found = difference_in_differences(**some, seed=9)

    def change(home):
        def mean(wh, present):
            values = [v for v, p in zip(wh.ravel().tolist(), present.ravel().tolist(), strict=True) if p]
            return Fraction(sum(values), len(values))

        return mean(some["event_wh"][home], some["event_present"][home]) - mean(
            some["before_wh"][home], some["before_present"][home]
        )

    groups = {
        side: [change(home) for home in range(30) if (home % 10 == 0) is side] for side in (True, False)
    }
    expected = sum(groups[False]) / len(groups[False]) - sum(groups[True]) / len(groups[True])
    assert found.effect_wh == pytest.approx(float(expected))


def test_the_interval_is_the_same_for_the_same_seed():
    some = readings(effect_wh=-100)

    assert difference_in_differences(**some, seed=4) == difference_in_differences(**some, seed=4)
    assert difference_in_differences(**some, seed=4) != difference_in_differences(**some, seed=5)


def test_a_group_without_readings_is_named():
    some = readings(effect_wh=0)
    some["event_present"][some["is_held_out"]] = False

    with pytest.raises(NoComparison) as refused:
        difference_in_differences(**some, seed=1)
    assert refused.value.data == {"group": "control"}


def test_held_out_homes_are_paid_the_mean():
    takes_part = np.array([True, False, True, True])

    assert hold_out_paid_wh(np.array([100, 999, 50, 51]), takes_part) == 67
    assert hold_out_paid_wh(np.array([5]), np.array([False])) == 0
