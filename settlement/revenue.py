"""Revenue: what the buyer of flexibility owes for a campaign under the contract. Pure integers.

Utilisation is energy x price x the pay curve's factor, availability declared power x hours x price; each is
rounded once, half to even, to the millipenny (1 Wh at 1 p/kWh is 1 mp).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from opendsr.kernel.errors import Invalid
from opendsr.kernel.money import rate_mp
from settlement.pay_curves import FLAT, PayCurve, delivered_share

HALF_HOURS_AN_HOUR: Final = 2


class RevenueImpossible(Invalid):
    """Sold energy or a rate below zero: nothing may be posted."""

    paid_wh: int
    pence_per_kwh: Decimal


class PriceMissing(Invalid):
    """A price of the contract is not there, or is no number: nothing may be posted."""

    price: str
    value: str


class Basis(StrEnum):
    """Whose delivery the buyer pays for."""

    HOMES = "homes"
    PORTFOLIO = "portfolio"


@dataclass(frozen=True, slots=True)
class Contract:
    """What the buyer pays; prices never below zero.

    HOMES: the energy each home sold, floored and capped home by home. PORTFOLIO: in each half-hour the sum
    over the homes, losses and all, never below zero and never above what was instructed.
    """

    utilisation_pence_per_kwh: Decimal
    availability_pence_per_kw_hour: Decimal = Decimal(0)
    basis: Basis = Basis.HOMES
    curve: PayCurve = field(default=FLAT)


@dataclass(frozen=True, slots=True)
class Revenue:
    """`factor` is the curve's for the whole event; with PORTFOLIO each half-hour has its own (`factors`)."""

    utilisation_mp: int
    availability_mp: int
    sold_wh: int
    factor: Fraction
    factors: tuple[Fraction, ...] = ()

    @property
    def total_mp(self) -> int:
        """All the buyer owes for the campaign."""
        return self.utilisation_mp + self.availability_mp


def utilisation_mp(paid_wh: int, pence_per_kwh: Decimal) -> int:
    """Millipence for the sold Wh of all households together, at the full price."""
    if paid_wh < 0 or pence_per_kwh < 0:
        raise RevenueImpossible(paid_wh=paid_wh, pence_per_kwh=pence_per_kwh)
    return rate_mp(paid_wh, pence_per_kwh)


def earned_revenue(
    contract: Contract,
    *,
    sold_wh: int,
    portfolio_wh: Sequence[int],
    instructed_wh: Sequence[int],
    declared_w: int,
    hours: Fraction | None = None,
) -> Revenue:
    """What the contract pays: `portfolio_wh` and `instructed_wh` by half-hour, of all homes that take part.

    `declared_w` is what was offered to the buyer for the `hours` of the event (when not said,
    of its half-hours). Raises PriceMissing, RevenueImpossible.
    """
    prices = _prices(contract)
    if sold_wh < 0 or declared_w < 0 or min(prices) < 0:
        raise RevenueImpossible(paid_wh=sold_wh, pence_per_kwh=min(prices))
    price = Fraction(contract.utilisation_pence_per_kwh)
    event_factor = contract.curve.factor(delivered_share(sum(portfolio_wh), sum(instructed_wh)))
    factors: tuple[Fraction, ...] = ()
    if contract.basis is Basis.PORTFOLIO:
        capped = [min(max(wh, 0), asked) for wh, asked in zip(portfolio_wh, instructed_wh, strict=True)]
        factors = tuple(
            contract.curve.factor(delivered_share(wh, asked))
            for wh, asked in zip(portfolio_wh, instructed_wh, strict=True)
        )
        sold_wh = sum(capped)
        utilisation = round(sum((wh * price * f for wh, f in zip(capped, factors, strict=True)), Fraction(0)))
    else:
        utilisation = round(sold_wh * price * event_factor)
    if hours is None:
        hours = Fraction(len(instructed_wh), HALF_HOURS_AN_HOUR)
    availability = round(declared_w * hours * Fraction(contract.availability_pence_per_kw_hour))
    return Revenue(
        utilisation_mp=utilisation,
        availability_mp=availability,
        sold_wh=sold_wh,
        factor=event_factor,
        factors=factors,
    )


def _prices(contract: Contract) -> tuple[Decimal, Decimal]:
    """Both prices; NaN passes a column's check that it is not below zero, so it is looked for here."""
    for name in ("utilisation_pence_per_kwh", "availability_pence_per_kw_hour"):
        price: Decimal | None = getattr(contract, name)
        if price is None or not price.is_finite():
            raise PriceMissing(price=name, value=str(price))
    return contract.utilisation_pence_per_kwh, contract.availability_pence_per_kw_hour
