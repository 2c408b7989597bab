"""How households differ, for counting them only: what they told when joining, and whether they have needs.

Whoever uses this tells totals over many homes, never a home. Which need it is stays sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from members.care_models import HouseholdCare
from members.enquiry_models import Application
from members.models import Occupancy

NOT_KNOWN = ""


@dataclass(frozen=True, slots=True)
class Sort:
    """One stay: how the home is held ("" when nobody said), and whether the household told any need."""

    tenure: str
    has_needs: bool


def sorts_of_stays(starts_at: datetime, ends_at: datetime) -> dict[UUID, Sort]:
    """Every stay that touches [starts_at, ends_at). Needs are those of now: what was before is not kept."""
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
    caring = set(HouseholdCare.objects.values_list("household_id", flat=True))
    return {
        stay: Sort(tenures.get((household_id, home_id), NOT_KNOWN), household_id in caring)
        for stay, household_id, home_id in stays
    }
