"""Keeps an event in the demo's near future, so that the member's page has something to skip."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from campaigns import approving, creating, planning
from campaigns.models import Campaign, Programme, ZoneKind
from members.models import User
from opendsr.demo import cast
from opendsr.demo.loading import PROGRAMME, local_instant
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date, is_working_day

FROM, UNTIL = time(17), time(18, 30)
SIZE_W = 60_000


def ensure_upcoming_event(*, at: datetime) -> Campaign | None:
    """Plan and approve an event on the next working day, unless one stands; None when nobody can be asked."""
    standing = Campaign.objects.filter(
        starts_at__gt=at, state__in=(Campaign.State.APPROVED, Campaign.State.DISPATCHED)
    ).first()
    if standing is not None:
        return standing
    day = civil_date(at) + timedelta(days=1)
    while not is_working_day(day):
        day += timedelta(days=1)
    staff = User.objects.filter(email=cast.STAFF_EMAIL).first()
    campaign = creating.create_campaign(
        programme=Programme.objects.get(pk=PROGRAMME),
        name=f"{day:%A} evening turn-down",
        reason="The network between the reservoir and the mill is full on weekday evenings",
        direction="turn_down",
        zone_kind=ZoneKind.CMZ,
        zone=cast.ZONE,
        size_w=SIZE_W,
        starts_at=local_instant(day, FROM),
        ends_at=local_instant(day, UNTIL),
        at=at,
        by=staff,
    )
    planning.plan_campaign(campaign_id=campaign.pk, at=at)
    try:
        approving.approve_campaign(campaign_id=campaign.pk, at=at, by=staff)
    except DomainError:
        return None
    return campaign
