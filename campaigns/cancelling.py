"""Cancelling: a campaign is called off before it was sent or while it runs, hubs told, assets given back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Q, Value, When

from campaigns import life, staggering, vtn_door
from campaigns.life import Verb
from campaigns.models import Campaign, Participation
from campaigns.vtn_door import VtnEventId
from opendsr.kernel import outbox

if TYPE_CHECKING:
    from members.models import User

CANCELLED: Final = "campaigns.campaign.cancelled"
State = Participation.State
Outcome = Participation.Outcome


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What was called off: events at the VTN, and participations. `is_new` False: cancelled before."""

    campaign_id: UUID
    events: int
    participations: int
    is_new: bool


@transaction.atomic
def cancel_campaign(*, campaign_id: UUID, at: datetime, by: User | None, reason: str = "") -> Cancellation:
    """Call the campaign off: no hub starts it, one that runs it stops, and its assets are free again.

    Who had said no or overridden by then keeps that outcome. Raises CampaignEnded when it was sent and its
    time is over: that one is completed, not cancelled.
    """
    campaign, is_new = life.begin(campaign_id, Verb.CANCEL)
    if not is_new:
        return Cancellation(campaign_id=campaign.pk, events=0, participations=0, is_new=False)
    if campaign.state == Campaign.State.DISPATCHED:
        life.ensure_running(campaign, at=at)
    locked = campaign.participations.select_for_update().exclude(state=State.CANCELLED).order_by("id")
    parts = list(locked.values_list("vtn_event_id", "dropped_at"))
    event_ids = sorted({event_id for event_id, dropped_at in parts if event_id and dropped_at is None})
    if event_ids:
        vtn_door.vtn().cancel_many([VtnEventId(each) for each in event_ids], at=at, reason=reason)
    _release(campaign, at=at)
    campaign.cancel_reason = reason.strip()[:200]
    campaign.save(update_fields=["cancel_reason"])
    life.finish(
        campaign,
        Verb.CANCEL,
        at=at,
        by=by,
        detail={"events": len(event_ids), "participations": len(parts), "reason": campaign.cancel_reason},
    )
    outbox.record(CANCELLED, at=at, key=str(campaign.pk), campaign_id=campaign.pk)
    return Cancellation(
        campaign_id=campaign.pk, events=len(event_ids), participations=len(parts), is_new=True
    )


def _release(campaign: Campaign, *, at: datetime) -> None:
    campaign.participations.filter(outcome="", state=State.CANCELLED).update(outcome=Outcome.CANCELLED)
    campaign.participations.exclude(state=State.CANCELLED).update(
        dropped_at=Case(When(staggering.IN_EVENT, then=Value(at)), default=F("dropped_at")),
        end_delay_seconds=Case(When(staggering.IN_EVENT, then=Value(None)), default=F("end_delay_seconds")),
        outcome=Case(
            When(~Q(outcome=""), then=F("outcome")),
            When(state=State.OPTED_OUT, then=Value(Outcome.OPTED_OUT)),
            When(state=State.OVERRIDDEN, then=Value(Outcome.OVERRIDDEN)),
            default=Value(Outcome.CANCELLED),
        ),
        state=State.CANCELLED,
    )
