"""Letting every home go at once: all that runs or waits is called off, and nothing new leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from campaigns import cancelling, freezing, home_plans
from campaigns.life import CampaignEnded, WrongState
from campaigns.models import Campaign, HomePlanLine

if TYPE_CHECKING:
    from members.models import User


@dataclass(frozen=True, slots=True)
class LetGo:
    """What was called off: campaigns, and plans of homes' nights."""

    campaigns: int
    plans: int


def release(*, at: datetime, by: User | None, reason: str) -> LetGo:
    """Freeze, then call off every campaign and plan that is not over, soonest first, each in a transaction.

    Hubs end within their events' start tolerance, each at a moment of its own, so that load comes back as a
    ramp. Again it changes nothing.
    """
    freezing.freeze(at=at, by=by, reason=reason)
    running = Campaign.objects.filter(
        state__in=(Campaign.State.APPROVED, Campaign.State.DISPATCHED), ends_at__gt=at
    )
    called_off = 0
    for campaign_id in list(running.order_by("starts_at", "pk").values_list("pk", flat=True)):
        try:
            done = cancelling.cancel_campaign(campaign_id=campaign_id, at=at, by=by, reason=reason)
        except (WrongState, CampaignEnded):
            continue  # It ended by itself meanwhile; the others are still to be let go.
        called_off += done.is_new
    plans = 0
    for occupancy_id in _planned_homes():
        plans += home_plans.call_off(occupancy_id=occupancy_id, at=at)
    freezing.note("freeze.release", at=at, by=by, detail={"campaigns": called_off, "plans": plans})
    return LetGo(campaigns=called_off, plans=plans)


def _planned_homes() -> list[UUID]:
    lines = HomePlanLine.objects.filter(stopped_at=None).exclude(vtn_event_id="")
    return list(lines.order_by("plan__occupancy_id").values_list("plan__occupancy_id", flat=True).distinct())
