"""Stopping early: a campaign that runs ends now, and what was done until now counts.

One that has not begun is cancelled instead: nothing of it was done.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Value, When

from campaigns import approving, cancelling, life, staggering, vtn_door
from campaigns.models import Campaign, Participation
from campaigns.vtn_door import VtnEventId
from opendsr.kernel import outbox

if TYPE_CHECKING:
    from members.models import User

STOPPED: Final = "campaign.stopped_early"
State = Participation.State


@transaction.atomic
def stop_campaign(*, campaign_id: UUID, at: datetime, by: User | None, reason: str) -> Campaign:
    """End the campaign at `at`: hubs let go, each within the start tolerance, and it completes by itself.

    Cancels one that has not begun. Over, cancelled or completed, it stays as it is.
    """
    campaign = life.lock_campaign(campaign_id)
    if campaign.state in (Campaign.State.CANCELLED, Campaign.State.COMPLETED) or at >= campaign.ends_at:
        return campaign
    moment = at.replace(microsecond=0)
    if campaign.state != Campaign.State.DISPATCHED or moment <= campaign.starts_at:
        cancelling.cancel_campaign(campaign_id=campaign_id, at=at, by=by, reason=reason)
        campaign.refresh_from_db()
        return campaign
    locked = campaign.participations.select_for_update().exclude(state=State.CANCELLED).order_by("id")
    parts = list(locked.values_list("vtn_event_id", "dropped_at"))
    event_ids = sorted({event_id for event_id, dropped_at in parts if event_id and dropped_at is None})
    if event_ids:
        vtn_door.vtn().cancel_many([VtnEventId(each) for each in event_ids], at=at, reason=reason)
    campaign.participations.exclude(state=State.CANCELLED).update(
        dropped_at=Case(When(staggering.IN_EVENT, then=Value(at)), default=F("dropped_at")),
        end_delay_seconds=Case(When(staggering.IN_EVENT, then=Value(None)), default=F("end_delay_seconds")),
        ends_at=moment,
    )
    campaign.ends_at = moment
    campaign.save(update_fields=["ends_at"])
    life.note(
        campaign.pk, STOPPED, at=at, by=by, detail={"events": len(event_ids), "reason": reason.strip()[:200]}
    )
    outbox.record(approving.ENDED, at=at, due_at=at, key=f"{campaign.pk}:stopped", campaign_id=campaign.pk)
    return campaign
