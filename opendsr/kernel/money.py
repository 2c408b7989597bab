"""Money as whole millipence (1/1000 p, suffix `_mp`): exact splits, one rounding rule, and how it is written.

Rates are `Decimal`; floats are refused. Used by settlement and by every page that shows an amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from opendsr.kernel.errors import DomainError

MP_PER_PENNY: Final = 1_000
MP_PER_POUND: Final = 100_000


class NothingToAllocate(DomainError):
    """A split was asked for among nobody, or among weights that are all zero."""

    status = 422
    total_mp: int


def split_mp(total_mp: int, weights: Sequence[int]) -> list[int]:
    """Split total_mp by weight; the parts always sum to the total.

    Spare millipence go to the largest remainders, earliest first, so a rerun gives the same answer: hand the
    weights over in participant id order. A negative total splits as the mirror of its positive, so that the
    reversal of a split undoes it part by part. A zero weight gets nothing. Raises NothingToAllocate when
    every weight is zero, ValueError on a negative one.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    whole_weight = sum(weights)
    if whole_weight == 0:
        raise NothingToAllocate(total_mp=total_mp)
    size_mp = abs(total_mp)
    shares = [divmod(size_mp * weight, whole_weight) for weight in weights]
    parts = [part for part, _ in shares]
    rests = [rest for _, rest in shares]
    order = sorted(range(len(shares)), key=rests.__getitem__, reverse=True)  # equal ones stay in order
    for i in order[: size_mp - sum(parts)]:
        parts[i] += 1
    return parts if total_mp >= 0 else [-part for part in parts]


def rate_mp(wh: int, pence_per_kwh: Decimal) -> int:
    """What `wh` is worth at a rate, rounded half to even to the millipenny (1 Wh at 1 p/kWh is 1 mp)."""
    if not isinstance(pence_per_kwh, Decimal):
        raise TypeError(f"a rate is a Decimal, not {type(pence_per_kwh).__name__}")
    return round(int(wh) * Fraction(pence_per_kwh))


def pounds(mp: int) -> str:
    """Written in pounds: "£1,234.56", with five decimals when not whole pence: "£0.01234", "-£0.50"."""
    whole, rest = divmod(abs(mp), MP_PER_POUND)
    sign = "-" if mp < 0 else ""
    if rest % MP_PER_PENNY == 0:
        return f"{sign}£{whole:,}.{rest // MP_PER_PENNY:02d}"
    return f"{sign}£{whole:,}.{rest:05d}"


def pence(mp: int) -> str:
    """Written in pence without idle zeros: "12p", "12.345p", "-0.5p"."""
    whole, rest = divmod(abs(mp), MP_PER_PENNY)
    sign = "-" if mp < 0 else ""
    decimals = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{sign}{whole:,}{decimals}p"
