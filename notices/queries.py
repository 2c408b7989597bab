"""The log of notices as pages ask for it."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from members.models import Member
from notices.models import Notice

State = Notice.State
NOT_ARRIVED = (State.BOUNCED, State.FAILED)


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
    return Notice.objects.filter(wanted).select_related("member").order_by("-queued_at", "id")


def of_member(member: Member) -> QuerySet[Notice]:
    """A member's own, newest first."""
    return Notice.objects.filter(member=member).order_by("-queued_at", "id")


def not_arrived_count() -> int:
    """How many bounced or failed."""
    return Notice.objects.filter(state__in=NOT_ARRIVED).count()
