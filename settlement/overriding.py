"""What saying no costs: the override policy as data, and its effect in pence before a member confirms. Pure.

An override never makes a payment negative and never touches what was earned before: the policy can only
lessen the energy paid in the event that was overridden.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor

from opendsr.kernel.errors import Invalid


class OverrideInvalid(Invalid):
    """A reduction that is no percentage."""

    pct: Decimal


class OverrideCost(StrEnum):
    """What an override during the event costs."""

    NOTHING = "nothing"
    REDUCED = "reduced"
    NO_PAYMENT = "no_payment"


@dataclass(frozen=True, slots=True)
class OverridePolicy:
    """`reduced_by_pct` of the event's payment is lost under REDUCED; NOTHING pays what the meter shows."""

    cost: OverrideCost = OverrideCost.NOTHING
    reduced_by_pct: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if not 0 <= self.reduced_by_pct <= 100:
            raise OverrideInvalid(pct=self.reduced_by_pct)

    @property
    def keeps(self) -> Fraction:
        """The share of the event's paid energy that stays paid."""
        if self.cost is OverrideCost.NO_PAYMENT:
            return Fraction(0)
        if self.cost is OverrideCost.REDUCED:
            return 1 - Fraction(self.reduced_by_pct) / 100
        return Fraction(1)


@dataclass(frozen=True, slots=True)
class OverrideEffect:
    """What a member sees before confirming: expected for the whole event, and what at most is lost."""

    expected_mp: int
    lost_mp: int
    cost: OverrideCost

    @property
    def kept_mp(self) -> int:
        """What may still be earned in the event after the override."""
        return self.expected_mp - self.lost_mp


def paid_after_override(paid_wh: int, policy: OverridePolicy) -> int:
    """Paid Wh of an overridden home, rounded down; never below zero."""
    return floor(max(paid_wh, 0) * policy.keeps)


def effect_of_override(
    policy: OverridePolicy,
    *,
    expected_wh: int,
    elapsed: Fraction,
    pence_per_kwh: Decimal,
    coop_share_pct: Decimal,
) -> OverrideEffect:
    """The pence at stake when a home says no with `elapsed` (0 before the start, 1 at the end) of the event
    gone.

    Before the start nothing is delivered, so all that was expected goes. During it the rest of the event
    goes, and of what was delivered so far what the policy takes. It is an expectation: the meter decides.
    """
    share = 1 - Fraction(coop_share_pct) / 100
    expected = Fraction(max(expected_wh, 0)) * Fraction(pence_per_kwh) * share
    done = min(max(elapsed, Fraction(0)), Fraction(1))
    kept = expected * done * policy.keeps
    return OverrideEffect(
        expected_mp=floor(expected), lost_mp=floor(expected) - floor(kept), cost=policy.cost
    )
