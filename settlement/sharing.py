"""Sharing: the co-op's part of the revenue, and each household's part of the rest. Pure integers.

The co-op's percentage is rounded down to the millipenny, so what does not divide stays with the members.
Their pool is split by paid Wh with the largest remainder; equal remainders go by participant id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor
from uuid import UUID

from opendsr.kernel.errors import Invalid
from opendsr.kernel.money import split_mp


class SharingImpossible(Invalid):
    """Revenue below zero, revenue for nobody's energy, or a percentage that is none."""

    revenue_mp: int
    coop_share_pct: Decimal
    paid_wh: int


@dataclass(frozen=True, slots=True)
class Shares:
    """revenue_mp = coop_mp + members_mp, members_mp = sum of earned_mp (in the order given)."""

    revenue_mp: int
    coop_mp: int
    members_mp: int
    earned_mp: tuple[int, ...]


def share(
    *, revenue_mp: int, coop_share_pct: Decimal, participants: Sequence[UUID], paid_wh: Sequence[int]
) -> Shares:
    """Share the revenue between the co-op and the households that delivered.

    Nobody delivered and nothing came in: everybody gets nothing. Anything else that cannot be shared raises
    SharingImpossible before a penny moves.
    """
    total_wh = sum(paid_wh)
    is_share = 0 <= coop_share_pct <= 100
    if revenue_mp < 0 or not is_share or min(paid_wh, default=0) < 0 or (revenue_mp and not total_wh):
        raise SharingImpossible(revenue_mp=revenue_mp, coop_share_pct=coop_share_pct, paid_wh=total_wh)
    coop_mp = floor(revenue_mp * Fraction(coop_share_pct) / 100)
    members_mp = revenue_mp - coop_mp
    earned_mp = [0] * len(paid_wh)
    if total_wh:
        by_id = sorted(range(len(paid_wh)), key=lambda row: participants[row])
        parts = split_mp(members_mp, [paid_wh[row] for row in by_id])
        for row, part in zip(by_id, parts, strict=True):
            earned_mp[row] = part
    return Shares(revenue_mp=revenue_mp, coop_mp=coop_mp, members_mp=members_mp, earned_mp=tuple(earned_mp))


def exact_share_mp(members_mp: int, paid_wh: int, total_paid_wh: int) -> Fraction:
    """A household's part before the split's rounding: `earned_mp` is this rounded down or up."""
    return Fraction(members_mp * paid_wh, total_paid_wh) if total_paid_wh else Fraction(0)
