"""The log of notices as pages ask for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet

from members.models import Member
from notices.models import Notice

State = Notice.State
NOT_ARRIVED: Final = (State.BOUNCED, State.FAILED)
RECENT: Final = timedelta(days=7)


def log(*, state: str = "", kind: str = "", channel: str = "", number: str = "") -> QuerySet[Notice]:
    """Notices newest first; `state` may be "not_arrived" for bounced and failed together."""
    wanted = Q()
    if state == "not_arrived":
        wanted &= Q(state__in=NOT_ARRIVED)
    elif state:
        wanted &= Q(state=state)
    if kind:
        wanted &= Q(kind=kind)
    if channel:
        wanted &= Q(channel=channel)
    if number:
        wanted &= Q(member__number=number)
    return (
        Notice.objects.filter(wanted)
        .select_related("member")
        .defer("facts", "address")
        .order_by("-queued_at", "id")
    )


def of_member(member: Member) -> QuerySet[Notice]:
    """A member's own, newest first."""
    return Notice.objects.filter(member=member).defer("facts", "address").order_by("-queued_at", "id")


def not_arrived_count(*, at: datetime) -> int:
    """How many of the last week bounced or failed."""
    recent = Notice.objects.filter(state__in=NOT_ARRIVED, queued_at__gte=at - RECENT)
    return recent.count()
