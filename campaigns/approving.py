"""Approving: the plan is frozen into participations, which hold their assets against every other campaign.

From here on the outbox carries the campaign: one fact sends it, another completes it when its time is over.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction

from campaigns import life
from campaigns.life import Verb
from campaigns.models import Campaign, Participation, PlanLine
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError

if TYPE_CHECKING:
    from members.models import User

APPROVED: Final = "campaigns.campaign.approved"
ENDED: Final = "campaigns.campaign.ended"


class NobodyToAsk(DomainError):
    """No asset is left to approve: none was chosen, or other campaigns took them all since."""

    campaign_id: UUID
    chosen: int


@transaction.atomic
def approve_campaign(*, campaign_id: UUID, at: datetime, by: User | None) -> list[Participation]:
    """Freeze the plan into one participation per chosen asset, have it sent, and return them by asset.

    An asset that another campaign took since planning is left out as busy. Approving again returns what the
    first approval made.
    """
    campaign, is_new = life.begin(campaign_id, Verb.APPROVE)
    if not is_new:
        return _participations(campaign)
    life.ensure_running(campaign, at=at)
    lines = list(campaign.plan_lines.filter(left_out="").select_related("asset__hub").order_by("asset_id"))
    # In asset order, so that two campaigns after the same assets queue instead of deadlocking. An overlap is
    # refused row by row by participation_no_overlap.
    Participation.objects.bulk_create(
        (
            Participation(
                campaign=campaign,
                asset=line.asset,
                occupancy_id=line.occupancy_id,
                ven_id=line.asset.hub.ven_id or "",
                starts_at=campaign.starts_at,
                ends_at=campaign.ends_at,
                expected_w=line.expected_w,
            )
            for line in lines
            if line.occupancy_id is not None
        ),
        ignore_conflicts=True,
    )
    made = _participations(campaign)
    if not made:
        raise NobodyToAsk(campaign_id=campaign.pk, chosen=len(lines))
    campaign.plan_lines.filter(left_out="").exclude(asset__in=[each.asset_id for each in made]).update(
        left_out=PlanLine.LeftOut.BUSY, expected_w=0
    )
    life.finish(
        campaign,
        Verb.APPROVE,
        at=at,
        by=by,
        detail={
            "participations": len(made),
            "busy": len(lines) - len(made),
            "expected_w": sum(each.expected_w for each in made),
        },
    )
    outbox.record(APPROVED, at=at, key=str(campaign.pk), campaign_id=campaign.pk)
    outbox.record(ENDED, at=at, due_at=campaign.ends_at, key=str(campaign.pk), campaign_id=campaign.pk)
    return made


def _participations(campaign: Campaign) -> list[Participation]:
    return list(campaign.participations.select_related("asset").order_by("asset_id"))
