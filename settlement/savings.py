"""Beside the payment: carbon and tariff savings of what changed, rebound hours where they are given. Pure.

Carbon is the sum of (baseline less metered) x intensity, tariff savings the same with the member's price;
half-hours without a figure are left out and counted, never taken for zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Saving:
    """`amount` in the unit of the rate (grams of CO2, or millipence); `left_out` half-hours had no rate."""

    amount: int
    half_hours: int
    left_out: int


def saved(
    baseline_wh: Sequence[int | None],
    metered_wh: Sequence[int | None],
    rate_per_kwh: Sequence[Decimal | int | None],
    *,
    per_kwh: int,
) -> Saving:
    """Sum over the half-hours of (baseline - metered) x rate, rounded once, half to even.

    `per_kwh` is how many of the wanted unit one rate unit makes for a kWh: 1 for g/kWh to grams, 1,000 for
    p/kWh to millipence. More used than the baseline counts against it: a rebound is part of the sum.
    """
    total = Fraction(0)
    counted = 0
    for usual, used, rate in zip(baseline_wh, metered_wh, rate_per_kwh, strict=True):
        if usual is None or used is None or rate is None:
            continue
        total += Fraction(usual - used) * Fraction(rate)
        counted += 1
    return Saving(round(total * per_kwh / 1000), counted, len(baseline_wh) - counted)


def carbon_saved_g(
    baseline_wh: Sequence[int | None],
    metered_wh: Sequence[int | None],
    intensity_g_per_kwh: Sequence[Decimal | int | None],
) -> Saving:
    """Grams of CO2 not emitted; below zero when more was."""
    return saved(baseline_wh, metered_wh, intensity_g_per_kwh, per_kwh=1)


def tariff_saved_mp(
    baseline_wh: Sequence[int | None],
    metered_wh: Sequence[int | None],
    pence_per_kwh: Sequence[Decimal | int | None],
) -> Saving:
    """Millipence off the member's own bill; below zero when it grew."""
    return saved(baseline_wh, metered_wh, pence_per_kwh, per_kwh=1000)
