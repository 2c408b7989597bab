"""How households differ, for counting them only: how they hold their home and pay, whether they have needs.

Whoever uses this tells totals over many homes, never a home. Which need it is stays sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from members import supplying
from members.care_models import HouseholdCare
from members.enquiry_models import Application
from members.models import Occupancy
from members.supply_models import PaymentMethod
from opendsr.kernel.periods import civil_date

NOT_KNOWN: Final = ""
PREPAYMENT, CREDIT = "prepayment", "credit"
"""A meter's two modes: paid for before the electricity is used, or after, however that is."""
MODES: Final = {
    PaymentMethod.PREPAYMENT.value: PREPAYMENT,
    PaymentMethod.DIRECT_DEBIT.value: CREDIT,
    PaymentMethod.STANDARD_CREDIT.value: CREDIT,
}
INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Sort:
    """One stay: how the home is held and how it pays ("" when nobody said), and whether any need was told."""

    tenure: str
    payment: str
    has_needs: bool


def sorts_of_stays(starts_at: datetime, ends_at: datetime) -> dict[UUID, Sort]:
    """Every stay that touches [starts_at, ends_at); how it pays as of the last Europe/London day of that.

    Needs are those of now: what was before is not kept.
    """
    stays = Occupancy.objects.filter(
        Q(ends_at=None) | Q(ends_at__gt=starts_at), starts_at__lt=ends_at
    ).values_list("pk", "household_id", "home_id")
    joined = Application.objects.filter(state=Application.State.JOINED).exclude(tenure="")
    tenures = {
        (household_id, home_id): tenure
        for household_id, home_id, tenure in joined.order_by("joined_at").values_list(
            "member__household_id", "home_id", "tenure"
        )
    }
    paid = supplying.payment_methods(civil_date(ends_at - INSTANT))
    caring = set(HouseholdCare.objects.values_list("household_id", flat=True))
    return {
        stay: Sort(
            tenure=tenures.get((household_id, home_id), NOT_KNOWN),
            payment=MODES.get(paid.get(stay, ""), NOT_KNOWN),
            has_needs=household_id in caring,
        )
        for stay, household_id, home_id in stays
    }
