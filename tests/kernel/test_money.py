from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel.money import NothingToAllocate, pence, pounds, rate_mp, split_mp

totals = st.integers(-(10**12), 10**12)
weights = st.lists(st.integers(0, 10**6), min_size=1, max_size=60).filter(any)
rates = st.decimals(min_value=-500, max_value=500, places=4, allow_nan=False)


@given(totals, weights)
def test_the_parts_always_sum_to_the_whole(total_mp, shares):
    assert sum(split_mp(total_mp, shares)) == total_mp


@given(totals, weights)
def test_no_part_is_a_millipenny_away_from_its_exact_share(total_mp, shares):
    for part, weight in zip(split_mp(total_mp, shares), shares, strict=True):
        assert abs(part - Fraction(total_mp * weight, sum(shares))) < 1


@given(st.integers(0, 10**12), weights)
def test_a_larger_weight_never_gets_less(total_mp, shares):
    ranked = sorted(zip(shares, split_mp(total_mp, shares), strict=True))

    assert [part for _, part in ranked] == sorted(part for _, part in ranked)


@given(totals, weights)
def test_a_zero_weight_gets_nothing(total_mp, shares):
    assert all(
        part == 0 for part, weight in zip(split_mp(total_mp, shares), shares, strict=True) if not weight
    )


@given(totals, weights)
def test_a_negative_total_is_the_mirror_of_its_positive(total_mp, shares):
    assert split_mp(-total_mp, shares) == [-part for part in split_mp(total_mp, shares)]


def test_spare_millipence_go_to_the_largest_remainders_earliest_first():
    assert split_mp(100, [1, 1, 1]) == [34, 33, 33]
    assert split_mp(10, [1, 2, 4]) == [1, 3, 6]
    assert split_mp(2, [1, 1, 1, 1]) == [1, 1, 0, 0]


@pytest.mark.parametrize("total_mp", [0, 5, -5])
@pytest.mark.parametrize("shares", [[], [0], [0, 0]])
def test_nobody_to_share_with_is_refused(total_mp, shares):
    with pytest.raises(NothingToAllocate) as caught:
        split_mp(total_mp, shares)
    assert caught.value.total_mp == total_mp


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="negative"):
        split_mp(10, [3, -1])


@given(st.integers(-(10**9), 10**9), rates)
def test_a_rate_is_within_half_a_millipenny(wh, rate):
    assert abs(rate_mp(wh, rate) - wh * Fraction(rate)) <= Fraction(1, 2)
    assert rate_mp(-wh, rate) == rate_mp(wh, -rate) == -rate_mp(wh, rate)


@pytest.mark.parametrize(("wh", "mp"), [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2)])
def test_half_a_millipenny_rounds_to_even(wh, mp):
    assert rate_mp(wh, Decimal("0.5")) == mp


def test_one_kilowatt_hour_at_24_5_pence():
    assert rate_mp(1000, Decimal("24.5")) == 24_500


def test_a_float_is_no_rate():
    with pytest.raises(TypeError, match="Decimal"):
        rate_mp(1000, 24.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mp", "in_pounds", "in_pence"),
    [
        (0, "£0.00", "0p"),
        (1_234, "£0.01234", "1.234p"),
        (1_200, "£0.01200", "1.2p"),
        (1_234_000, "£12.34", "1,234p"),
        (1_234_001, "£12.34001", "1,234.001p"),
        (123_456_700_000, "£1,234,567.00", "123,456,700p"),
        (-50_000, "-£0.50", "-50p"),
        (-1, "-£0.00001", "-0.001p"),
    ],
)
def test_how_money_is_written(mp, in_pounds, in_pence):
    assert (pounds(mp), pence(mp)) == (in_pounds, in_pence)


@given(totals)
def test_writing_in_pounds_loses_nothing(mp):
    assert Decimal(pounds(mp).replace("£", "").replace(",", "")) * 100_000 == mp
