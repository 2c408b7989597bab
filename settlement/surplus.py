"""Surplus by legal form: what a society may do with it, and a members' vote worked out. Pure.

A co-operative society may pay a dividend on members' transactions; a community benefit society may not
(Community Shares Handbook 6.2, Co-operative and Community Benefit Societies Act 2014): its surplus goes to
reserves and to the community.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import lcm
from uuid import UUID

from opendsr.kernel.errors import Invalid, NotAllowed
from opendsr.kernel.money import split_mp


class LegalForm(StrEnum):
    """What kind of registered society the co-op is."""

    COOPERATIVE = "cooperative"
    COMMUNITY_BENEFIT = "community_benefit"


class DividendNotAllowed(NotAllowed):
    """A community benefit society cannot pay a dividend on members' transactions."""

    legal_form: str
    dividend_pct: Decimal


class ResolutionInvalid(Invalid):
    """A resolution's percentages do not make a whole, or the vote was not carried."""

    field: str
    reason: str


class NoTransactions(Invalid):
    """A dividend was voted and no member has a transaction it could go by."""

    dividend_mp: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the members voted: percentages of the surplus that sum to 100."""

    reserves_pct: Decimal
    fund_pct: Decimal
    dividend_pct: Decimal
    votes_for: int
    votes_against: int


@dataclass(frozen=True, slots=True)
class SurplusSplit:
    """surplus = reserves_mp + fund_mp + sum of dividends_mp."""

    reserves_mp: int
    fund_mp: int
    dividends_mp: Mapping[UUID, int]


def split_surplus(
    form: LegalForm, surplus_mp: int, resolution: Resolution, transactions_mp: Mapping[UUID, int]
) -> SurplusSplit:
    """The vote applied: dividends in proportion to each account's transactions, the largest remainder first.

    Raises DividendNotAllowed, ResolutionInvalid, NoTransactions; accounts with nothing or less get nothing.
    """
    if form is LegalForm.COMMUNITY_BENEFIT and resolution.dividend_pct:
        raise DividendNotAllowed(legal_form=form.value, dividend_pct=resolution.dividend_pct)
    _check(surplus_mp, resolution)
    shares = [
        Fraction(pct) for pct in (resolution.reserves_pct, resolution.fund_pct, resolution.dividend_pct)
    ]
    scale = lcm(*(share.denominator for share in shares))
    reserves_mp, fund_mp, dividend_mp = split_mp(surplus_mp, [int(share * scale) for share in shares])
    earning = {account: mp for account, mp in sorted(transactions_mp.items()) if mp > 0}
    if dividend_mp and not earning:
        raise NoTransactions(dividend_mp=dividend_mp)
    parts = split_mp(dividend_mp, list(earning.values())) if dividend_mp else [0] * len(earning)
    return SurplusSplit(reserves_mp, fund_mp, dict(zip(earning, parts, strict=True)))


def _check(surplus_mp: int, resolution: Resolution) -> None:
    if surplus_mp <= 0:
        raise ResolutionInvalid(field="surplus", reason="above zero")
    shares = (resolution.reserves_pct, resolution.fund_pct, resolution.dividend_pct)
    if min(shares) < 0 or sum(shares) != 100:
        raise ResolutionInvalid(field="reserves_pct", reason="the three percentages sum to 100")
    if resolution.votes_for <= resolution.votes_against:
        raise ResolutionInvalid(field="votes_for", reason="more votes for than against")
