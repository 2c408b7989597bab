"""Power samples and registers to half-hours: nothing is invented or lost, order and repeats are nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.halfhours import HalfHours, from_power, from_registers
from metering.models import Quality
from metering.slots import MICROSECONDS, Ints

SECOND = 1_000_000
START = 1_000 * MICROSECONDS


def ints(values: object) -> Ints:
    return np.array(values, dtype=np.int64)


def power(samples: list[tuple[int, int]], **options: int) -> HalfHours:
    """Of one stream: (second after START, watts)."""
    at = ints([START + second * SECOND for second, _ in samples])
    return from_power(np.zeros_like(at), at, ints([watts for _, watts in samples]), **options)


def registers(readings: list[tuple[int, int]], **options: int) -> HalfHours:
    """Of one stream: (second after START, Wh)."""
    at = ints([START + second * SECOND for second, _ in readings])
    return from_registers(np.zeros_like(at), at, ints([wh for _, wh in readings]), **options)


def test_a_steady_kilowatt_is_500_wh_a_half_hour():
    built = power([(second, 1_000) for second in range(0, 3_600, 10)], hold_seconds=10)

    assert built.slot.tolist() == [1_000, 1_001]
    assert built.import_wh.tolist() == [500, 500]
    assert built.export_wh.tolist() == [0, 0]
    assert built.covered_pct.tolist() == [100, 100]


def test_import_and_export_are_apart_within_one_half_hour():
    built = power([(second, 2_000 if second < 900 else -1_000) for second in range(0, 1_800, 10)])

    assert (built.import_wh[0], built.export_wh[0]) == (500, 250)


def test_what_was_not_seen_is_scaled_and_said_and_too_little_is_a_gap():
    built = power([(second, 1_000) for second in range(0, 1_080, 10)], hold_seconds=10)
    assert (built.covered_pct[0], built.import_wh[0], built.quality[0]) == (60, 500, Quality.ESTIMATED)
    assert len(built.worth_keeping()) == 1

    assert len(power([(0, 1_000)], hold_seconds=10).worth_keeping()) == 0


def test_a_sample_holds_over_the_boundary_into_the_next_half_hour():
    built = power([(1_770, 3_600)], hold_seconds=60)

    assert built.slot.tolist() == [1_000, 1_001]
    assert built.covered_pct.tolist() == [1, 1]


def test_a_sample_that_should_hold_longer_than_a_half_hour_is_a_callers_mistake():
    with pytest.raises(ValueError, match="hold_seconds"):
        power([(0, 1)], hold_seconds=1_801)


def test_registers_read_on_the_half_hour_give_exactly_their_differences():
    built = registers([(0, 10_000), (1_800, 10_250), (3_600, 10_251)])

    assert built.slot.tolist() == [1_000, 1_001]
    assert built.import_wh.tolist() == [250, 1]
    assert built.covered_pct.tolist() == [100, 100]


def test_a_long_silence_over_a_boundary_stays_a_gap_and_one_within_is_none():
    over = registers([(0, 0), (3_600, 1_000), (5_400, 1_500)])
    assert over.slot.tolist() == [1_002]

    within = registers([(0, 0), (10, 5), (1_790, 400), (1_800, 401)])
    assert (within.import_wh[0], within.covered_pct[0]) == (401, 100)


def test_a_register_that_restarts_leaves_a_gap_where_it_did_and_goes_on():
    built = registers([(0, 5_000), (600, 5_200), (610, 0), (1_210, 200), (1_800, 300)])

    assert built.covered_pct[0] == 99
    assert built.import_wh[0] == 503  # 500 Wh over 1,790 of 1,800 seconds


def test_a_zero_glitch_neither_loses_nor_invents_energy():
    steady = [(second, 100_000 + second // 10) for second in range(0, 1_810, 10)]
    glitched = [(second, 0 if second == 900 else wh) for second, wh in steady]

    assert registers(glitched, most_w=100_000).import_wh[0] == registers(steady).import_wh[0] == 180
    assert registers(glitched, most_w=100_000).covered_pct[0] == 98


def test_a_register_that_wraps_goes_on_counting():
    built = registers([(0, 99_990), (1_800, 10)], wraps_at=100_000)

    assert built.import_wh.tolist() == [20]


def test_nothing_makes_nothing():
    assert len(power([])) == 0
    assert len(registers([])) == 0
    assert len(registers([(0, 5)])) == 0


samples = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 7_200), st.integers(-5_000, 9_000)), max_size=60
)


@given(samples, st.randoms(use_true_random=False))
def test_order_and_repeats_of_samples_are_nothing(rows, shuffler):
    again = rows + rows[: len(rows) // 2]
    shuffler.shuffle(again)

    def built(rows):
        stream, second, watts = (ints([row[column] for row in rows]).reshape(-1) for column in range(3))
        return from_power(stream, START + second * SECOND, watts)

    once, twice = built(rows), built(again)
    for name in ("stream", "slot", "import_wh", "export_wh", "covered_pct"):
        assert getattr(once, name).tolist() == getattr(twice, name).tolist()
    assert (once.covered_pct <= 100).all()


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 80)), min_size=1, max_size=80))
def test_half_hours_of_an_unbroken_register_add_up_to_its_rise(steps):
    """Whole half-hours between two boundaries hold exactly what the register rose by between them."""
    seconds = np.cumsum([0, *(step for step, _ in steps)])
    wh = 7_000 + np.cumsum([0, *(rise for _, rise in steps)])
    built = registers(list(zip(seconds.tolist(), wh.tolist(), strict=True)), most_w=10**9)

    whole = built.where(built.covered_pct == 100)
    assert (np.diff(built.slot) == 1).all()
    total = int(wh[-1] - wh[0])
    if len(whole) == len(built):
        assert built.import_wh.sum() == total
    assert whole.import_wh.sum() <= total


@given(st.integers(1, 40), st.integers(0, 9_000))
def test_power_and_the_register_it_would_turn_agree(count, watts):
    at = [second * 60 for second in range(0, count * 30 + 1)]
    by_power = power([(second, watts) for second in at[:-1]])
    by_register = registers([(second, watts * second // 3_600) for second in at])

    assert np.abs(by_power.import_wh - by_register.import_wh).max() <= 1
