"""Revenue: what the buyer of flexibility owes for the paid energy of a campaign. Pure integers.

One rate for the energy of the whole campaign, rounded once: half to even, to the millipenny.
"""

from __future__ import annotations

from decimal import Decimal

from opendsr.kernel.errors import Invalid
from opendsr.kernel.money import rate_mp


class RevenueImpossible(Invalid):
    """Paid energy or a rate below zero: nothing may be posted."""

    paid_wh: int
    pence_per_kwh: Decimal


def utilisation_mp(paid_wh: int, pence_per_kwh: Decimal) -> int:
    """Millipence for the paid Wh of all households together."""
    if paid_wh < 0 or pence_per_kwh < 0:
        raise RevenueImpossible(paid_wh=paid_wh, pence_per_kwh=pence_per_kwh)
    return rate_mp(paid_wh, pence_per_kwh)
