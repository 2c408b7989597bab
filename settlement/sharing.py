"""Sharing: the co-op's, the fund's and each household's part of the revenue, by a policy that is data. Pure.

The co-op's and the fund's percentages are rounded down to the millipenny, so what does not divide stays with
the members. Their pool is split with the largest remainder; equal remainders go by participant id. Households
are columns of whole numbers here: ten thousand of them are split in a few passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor, lcm
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from opendsr.kernel.errors import Invalid
from opendsr.kernel.money import split_mp
from settlement.households import Ids, ids_of, order_of

Column = NDArray[np.int64]
Mask = NDArray[np.bool_]

HUNDRED: Final = Decimal(100)
FLOOR: Final = "floor"
WHOLE: Final = Fraction(1)
SAFE: Final = 2**62


class SharingImpossible(Invalid):
    """Revenue below zero, revenue for nobody's energy, or a percentage that is none."""

    revenue_mp: int
    coop_share_pct: Decimal
    paid_wh: int


class NegativePool(SharingImpossible):
    """The revenue is below zero: there is nothing to share, somebody has to look."""


class ZeroWeights(SharingImpossible):
    """Money to share, nobody the policy would give it to, and nobody who forwent it by overriding."""

    by: str


class PolicyInvalid(Invalid):
    """A field of a share policy makes no sense."""

    field: str
    reason: str


class By(StrEnum):
    """What a part of the members' pool is shared by."""

    WH = "wh"
    AVAILABILITY = "availability"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class Step:
    """The co-op's percentage from a civil day on."""

    from_date: date
    coop_pct: Decimal


@dataclass(frozen=True, slots=True)
class SharePolicy:
    """How revenue is shared.

    The co-op takes `coop_pct`, or by `steps` (each from its day) a falling percentage; the community fund
    takes `fund_pct`. Of the members' pool every home that took part first gets `floor_mp` as far as it goes,
    the rest goes by the percentages of `split`. Homes in hardship count `hardship_weight` times.
    """

    coop_pct: Decimal = Decimal(35)
    steps: tuple[Step, ...] = ()
    fund_pct: Decimal = Decimal(0)
    split: Mapping[By, Decimal] = field(default_factory=lambda: {By.WH: HUNDRED})
    floor_mp: int = 0
    hardship_weight: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        for name, reason in _problems(self):
            raise PolicyInvalid(field=name, reason=reason)

    def coop_pct_on(self, day: date) -> Decimal:
        """The co-op's percentage for an event of that civil day."""
        pct = self.coop_pct
        for step in self.steps:
            if step.from_date <= day:
                pct = step.coop_pct
        return pct

    def as_data(self) -> dict[str, object]:
        """Plain JSON; `policy_from` reads it back unchanged."""
        return {
            "coop_pct": _plain(self.coop_pct),
            "steps": [[step.from_date.isoformat(), _plain(step.coop_pct)] for step in self.steps],
            "fund_pct": _plain(self.fund_pct),
            "split": {by.value: _plain(self.split[by]) for by in sorted(self.split)},
            "floor_mp": self.floor_mp,
            "hardship_weight": _plain(self.hardship_weight),
        }


def policy_from(data: Mapping[str, Any]) -> SharePolicy:
    """What `as_data` wrote, or the same written by hand; raises PolicyInvalid naming the field."""
    unknown = sorted(set(data) - {"coop_pct", "steps", "fund_pct", "split", "floor_mp", "hardship_weight"})
    if unknown:
        raise PolicyInvalid(field=unknown[0], reason="there is no such field")
    name = ""
    try:
        name = "coop_pct"
        coop_pct = Decimal(str(data.get(name, 35)))
        name = "steps"
        steps = tuple(Step(date.fromisoformat(day), Decimal(str(pct))) for day, pct in data.get(name, ()))
        name = "fund_pct"
        fund_pct = Decimal(str(data.get(name, 0)))
        name = "split"
        split = {By(by): Decimal(str(pct)) for by, pct in data.get(name, {"wh": "100"}).items()}
        name = "floor_mp"
        floor_mp = int(data.get(name, 0))
        name = "hardship_weight"
        weight = Decimal(str(data.get(name, 1)))
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise PolicyInvalid(field=name, reason=str(error)) from error
    return SharePolicy(coop_pct, steps, fund_pct, split, floor_mp, weight)


@dataclass(frozen=True, slots=True)
class Participant:
    """One household in the split: Wh that count, W x half-hours it stood ready, and who it is.

    `takes_part` False gets nothing, whatever it delivered; `donates_pct` of its part goes to the fund. A home
    that overrode the event `keeps` a part of its floor and of its equal part, as of its energy. One that
    `is_held_out` did nothing and weighs what a home that took part weighs on average.
    """

    id: UUID
    paid_wh: int
    available_wh: int = 0
    takes_part: bool = True
    in_hardship: bool = False
    donates_pct: Decimal = Decimal(0)
    keeps: Fraction = WHOLE
    is_held_out: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Participants:
    """Participants as columns, a row each; `ids` are of 16 bytes, `donates` holds those who give, by row.

    A home keeps `keeps_over / keeps_under` of its floor and its equal part.
    """

    ids: Ids
    paid_wh: Column
    available_wh: Column
    takes_part: Mask
    in_hardship: Mask
    keeps_over: Column
    is_held_out: Mask
    keeps_under: int = 1
    donates: Mapping[int, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, participants: Sequence[Participant]) -> Participants:
        """The columns of single participants."""
        under = lcm(1, *(each.keeps.denominator for each in participants))
        return cls(
            ids=ids_of(each.id for each in participants),
            paid_wh=np.array([each.paid_wh for each in participants], np.int64),
            available_wh=np.array([each.available_wh for each in participants], np.int64),
            takes_part=np.array([each.takes_part for each in participants], np.bool_),
            in_hardship=np.array([each.in_hardship for each in participants], np.bool_),
            keeps_over=np.array([int(each.keeps * under) for each in participants], np.int64),
            is_held_out=np.array([each.is_held_out for each in participants], np.bool_),
            keeps_under=under,
            donates={row: each.donates_pct for row, each in enumerate(participants) if each.donates_pct},
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What one household gets, by what it is for; `gift_mp` of it goes to the fund."""

    floor_mp: int = 0
    wh_mp: int = 0
    availability_mp: int = 0
    equal_mp: int = 0
    gift_mp: int = 0

    @property
    def earned_mp(self) -> int:
        """The household's part before its gift."""
        return self.floor_mp + self.wh_mp + self.availability_mp + self.equal_mp


PART_COLUMNS: Final = ("floor_mp", "wh_mp", "availability_mp", "equal_mp", "gift_mp")
COLUMN_OF: Final = {By.WH: 1, By.AVAILABILITY: 2, By.EQUAL: 3}
GIFT: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """revenue_mp = coop_mp + fund_mp + members_mp, members_mp = sum of earned_mp (in the order given).

    `amounts_mp` are [household, PART_COLUMNS]. `fund_mp` leaves gifts out: they come out of what households
    earned. `pools` are (millipence, sum of weights) of the floor and of each part of the split: a household
    gets pool x its weight / sum of weights. A pool without weights is held for the fund, in `fund_mp`.
    """

    revenue_mp: int
    coop_mp: int
    members_mp: int
    fund_mp: int
    amounts_mp: Column
    coop_pct: Decimal
    pools: Mapping[str, tuple[int, int]]

    def __eq__(self, other: object) -> bool:
        """Everybody gets the same, out of the same pools."""
        if not isinstance(other, Shares):
            return NotImplemented
        return self._sums == other._sums and np.array_equal(self.amounts_mp, other.amounts_mp)

    def __hash__(self) -> int:
        return hash(self._sums[:4])

    @property
    def _sums(self) -> tuple[object, ...]:
        return self.revenue_mp, self.coop_mp, self.members_mp, self.fund_mp, self.coop_pct, dict(self.pools)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What each household gets."""
        return tuple(Part(*amounts) for amounts in self.amounts_mp.tolist())

    @property
    def earned_mp(self) -> tuple[int, ...]:
        """What each household gets before its gift."""
        return tuple(self.earned_column_mp.tolist())

    @property
    def earned_column_mp(self) -> Column:
        """`earned_mp` as a column."""
        return np.asarray(self.amounts_mp[:, :GIFT].sum(axis=1), np.int64)

    @property
    def gifts_mp(self) -> int:
        """All that households give to the fund of their own."""
        return int(self.amounts_mp[:, GIFT].sum())


def share_by(
    policy: SharePolicy,
    *,
    revenue_mp: int,
    participants: Sequence[Participant] | Participants,
    day: date,
    holds_unearned: bool = False,
) -> Shares:
    """Share the revenue of an event on that civil day.

    No revenue: everybody gets nothing. A home that is held out gets the mean of those that took part. A part
    that only homes which overrode the event would have earned is held for the community fund: neither the
    co-op nor anybody else gains by a member's no; with `holds_unearned` so is one that nobody at all earned.
    Raises NegativePool, ZeroWeights, SharingImpossible before a penny moves.
    """
    homes = participants if isinstance(participants, Participants) else Participants.of(participants)
    coop_pct = policy.coop_pct_on(day)
    told = {"revenue_mp": revenue_mp, "coop_share_pct": coop_pct, "paid_wh": int(homes.paid_wh.sum())}
    if revenue_mp < 0:
        raise NegativePool(**told)
    if (homes.paid_wh < 0).any() or (homes.available_wh < 0).any():
        raise SharingImpossible(**told)
    coop_mp = floor(revenue_mp * Fraction(coop_pct) / 100)
    fund_mp = floor(revenue_mp * Fraction(policy.fund_pct) / 100)
    members_mp = revenue_mp - coop_mp - fund_mp
    rows = _in_order_of_id(homes)
    amounts = np.zeros((len(homes.ids), len(PART_COLUMNS)), np.int64)
    keeps = with_held_out(homes.keeps_over[rows], homes.is_held_out[rows])
    keeps_under = homes.keeps_under * weighs_times(homes.is_held_out[rows])
    has_forgone = bool((homes.keeps_over < homes.keeps_under).any())
    amounts[rows, 0], rest_mp = _floors(policy, members_mp, keeps, keeps_under)
    pools = {FLOOR: (members_mp - rest_mp, int(keeps.sum()))} if policy.floor_mp else {}
    for by, pool_mp in zip(policy.split, _pools(policy, rest_mp), strict=True):
        weights = with_held_out(_weights(policy, by, homes, rows), homes.is_held_out[rows])
        total = int(weights.sum())
        if pool_mp and not total and not has_forgone and not holds_unearned:
            raise ZeroWeights(**told, by=by.value)
        if pool_mp and total:
            amounts[rows, COLUMN_OF[by]] = split_column_mp(pool_mp, weights)
        pools[by.value] = (pool_mp, total)
    held_mp = held_for_fund_mp(pools.values())
    earned = amounts[:, :GIFT].sum(axis=1)
    for row, gives in homes.donates.items():
        amounts[row, GIFT] = floor(int(earned[row]) * Fraction(gives) / 100)
    return Shares(
        revenue_mp=revenue_mp,
        coop_mp=coop_mp,
        members_mp=members_mp - held_mp,
        fund_mp=fund_mp + held_mp,
        amounts_mp=amounts,
        coop_pct=coop_pct,
        pools=pools,
    )


def held_for_fund_mp(pools: Iterable[tuple[int, int]]) -> int:
    """Of pools as (millipence, sum of weights) those that no home has a weight in."""
    return sum(pool_mp for pool_mp, total in pools if not total)


def split_column_mp(total_mp: int, weights: Column) -> Column:
    """`money.split_mp` of a column of weights, not all zero; by that function where int64 could overflow."""
    if total_mp * int(weights.max(initial=0)) >= SAFE:
        return np.array(split_mp(total_mp, weights.tolist()), np.int64)
    parts, rests = np.divmod(total_mp * weights, weights.sum())
    spare = total_mp - int(parts.sum())
    if spare:
        least = np.partition(rests, len(rests) - spare)[len(rests) - spare]
        is_lucky = rests > least
        equal = np.flatnonzero(rests == least)
        is_lucky[equal[: spare - int(is_lucky.sum())]] = True
        parts += is_lucky
    return np.asarray(parts, np.int64)


def share(
    *, revenue_mp: int, coop_share_pct: Decimal, participants: Sequence[UUID], paid_wh: Sequence[int]
) -> Shares:
    """Share the revenue between the co-op and the households that delivered, by Wh alone.

    Raises SharingImpossible for a percentage that is none, and what `share_by` raises.
    """
    if not 0 <= coop_share_pct <= 100:
        raise SharingImpossible(revenue_mp=revenue_mp, coop_share_pct=coop_share_pct, paid_wh=sum(paid_wh))
    return share_by(
        SharePolicy(coop_pct=coop_share_pct),
        revenue_mp=revenue_mp,
        participants=[Participant(*each) for each in zip(participants, paid_wh, strict=True)],
        day=date.max,
    )


def exact_share_mp(members_mp: int, paid_wh: int, total_paid_wh: int) -> Fraction:
    """A household's part by Wh before the split's rounding: `wh_mp` is this rounded down or up."""
    return Fraction(members_mp * paid_wh, total_paid_wh) if total_paid_wh else Fraction(0)


def counts_times(policy: SharePolicy, *, in_hardship: bool) -> int:
    """How many times a household's weight counts, as a whole number over the policy's common denominator."""
    more = Fraction(policy.hardship_weight)
    return more.numerator if in_hardship else more.denominator


def weighs_times(is_held_out: Mask) -> int:
    """What the weights are multiplied by, so that the mean of the homes that took part is a whole number."""
    held_out = int(is_held_out.sum())
    return max(len(is_held_out) - held_out, 1) if held_out else 1


def with_held_out(weights: Column, is_held_out: Mask) -> Column:
    """The weights with each held-out home's the mean of the others', all of them `weighs_times`."""
    if not is_held_out.any():
        return weights
    others = np.where(is_held_out, 0, weights)
    return np.asarray(np.where(is_held_out, others.sum(), others * weighs_times(is_held_out)))


def _in_order_of_id(homes: Participants) -> NDArray[np.intp]:
    """Rows of the homes that take part or are held out, the lowest id first."""
    order = order_of(homes.ids)
    return order[(homes.takes_part | homes.is_held_out)[order]]


def _floors(policy: SharePolicy, members_mp: int, keeps: Column, under: int) -> tuple[Column, int]:
    """Each home's floor, cut evenly when the pool does not reach, and what is left of the pool."""
    total = int(keeps.sum())
    if not total or not policy.floor_mp:
        return np.zeros(len(keeps), np.int64), members_mp
    floors_mp = min(members_mp, policy.floor_mp * total // under)
    return split_column_mp(floors_mp, keeps), members_mp - floors_mp


def _pools(policy: SharePolicy, rest_mp: int) -> list[int]:
    scale = lcm(*(Fraction(pct).denominator for pct in policy.split.values()))
    return split_mp(rest_mp, [int(Fraction(pct) * scale) for pct in policy.split.values()])


def _weights(policy: SharePolicy, by: By, homes: Participants, rows: NDArray[np.intp]) -> Column:
    """The weights of these rows; Python integers where hardship could take them past int64."""
    plain = {
        By.WH: homes.paid_wh,
        By.AVAILABILITY: homes.available_wh,
        By.EQUAL: homes.keeps_over,
    }[by][rows]
    if policy.hardship_weight == 1:
        return plain
    times = [counts_times(policy, in_hardship=is_hard) for is_hard in (False, True)]
    most = int(plain.max(initial=0)) * max(times) * len(rows) * weighs_times(homes.is_held_out[rows])
    kind = object if most >= SAFE else np.int64
    return np.asarray(plain.astype(kind) * np.array(times, kind)[homes.in_hardship[rows].astype(np.intp)])


def _problems(policy: SharePolicy) -> list[tuple[str, str]]:
    found = []
    coop = [policy.coop_pct, *(step.coop_pct for step in policy.steps)]
    if not all(pct.is_finite() and 0 <= pct <= 100 for pct in coop):
        return [("coop_pct", "a percentage from 0 to 100")]
    if not all(pct.is_finite() for pct in policy.split.values()):
        return [("split", "percentages above 0 that sum to 100")]
    days = [step.from_date for step in policy.steps]
    if days != sorted(set(days)):
        found.append(("steps", "in order of day, each day once"))
    if not (policy.fund_pct.is_finite() and 0 <= policy.fund_pct <= 100 - max(coop)):
        found.append(("fund_pct", "a percentage that the co-op's share leaves room for"))
    if sum(policy.split.values()) != 100 or min(policy.split.values(), default=HUNDRED) <= 0:
        found.append(("split", "percentages above 0 that sum to 100"))
    if policy.floor_mp < 0:
        found.append(("floor_mp", "not below zero"))
    if not (policy.hardship_weight.is_finite() and 1 <= policy.hardship_weight <= 10):
        found.append(("hardship_weight", "from 1 to 10"))
    return found


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
