"""Rights asked for and complaints made, with their clock: opened, acknowledged, due, decided, closed.

A right over one's data is answered within one calendar month (UK GDPR Art. 12(3)), a complaint within 30 days
(Data (Use and Access) Act 2025). What granting one does stands with each kind: `restricting.py`,
`rectifying.py`, `exporting.py`, `erasing.py`.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from members import entry
from members.models import Channel, Home, Member, Purpose, User
from members.rights_models import LONGEST_WORDS, RightsRequest
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotFound
from opendsr.kernel.models import AuditEntry
from opendsr.kernel.periods import LONDON, day_interval

COMPLAINT_DAYS: Final = 30
Kind, Verdict, About = RightsRequest.Kind, RightsRequest.Verdict, RightsRequest.About
DECIDED_BY_STAFF: Final = frozenset({Verdict.GRANTED, Verdict.PARTLY, Verdict.REFUSED})


class RequestNotFound(NotFound):
    """No such request for this user."""

    request_id: str


class RequestClosed(DomainError):
    """It was decided before; another request is opened for what is new."""

    request_id: str


class RequestOpen(DomainError):
    """The same is being asked already and not answered yet."""

    kind: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a request, as the audit trail has it."""

    at: datetime
    actor: str
    verb: str


@transaction.atomic
def open_request(
    *,
    member: Member,
    kind: str,
    at: datetime,
    channel: str,
    by: str,
    words: str = "",
    about: str = "",
    home: Home | None = None,
    wanted: str = "",
    purpose: str = "",
) -> RightsRequest:
    """Open a request at `at`; its clock runs. A complaint, and what is to be put right, need words.

    Of a copy and of erasure there is one at a time. Raises InvalidField, RequestOpen.
    """
    kind = entry.choice(Kind, kind, "kind")
    channel = entry.choice(Channel, channel, "channel")
    if about:
        about = entry.choice(About, about, "about")
    if purpose:
        purpose = entry.choice(Purpose, purpose, "purpose")
    if words.strip() or kind == Kind.COMPLAINT:
        words = entry.paragraphs(words, field="words")
    if len(words) > LONGEST_WORDS:
        raise entry.InvalidField(field="words", problem="too_long", longest=LONGEST_WORDS)
    if kind in (Kind.EXPORT, Kind.ERASURE, Kind.RESTRICTION):
        Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        if RightsRequest.objects.filter(member=member, kind=kind, verdict="").exists():
            raise RequestOpen(kind=kind)
    opened = RightsRequest.objects.create(
        member=member,
        kind=kind,
        channel=channel,
        words=words.strip(),
        about=about,
        home=home,
        wanted=wanted,
        purpose=purpose,
        opened_at=at,
        due_at=due_at(kind, at),
    )
    record(opened, at=at, by=by, verb="opened", kind=kind, channel=channel)
    return opened


@transaction.atomic
def acknowledge(*, request_id: UUID, at: datetime, by: User) -> RightsRequest:
    """Say that it arrived and is being looked at; again changes nothing. Raises RequestClosed."""
    request = locked(request_id)
    if request.acknowledged_at is None:
        request.acknowledged_at = at
        request.save(update_fields=["acknowledged_at"])
        record(request, at=at, by=actor_of(by), verb="acknowledged")
    return request


@transaction.atomic
def decide(
    *, request_id: UUID, verdict: str, reason: str, at: datetime, by: User | None, actor: str = ""
) -> RightsRequest:
    """Close a request with a verdict and the reason that the member reads.

    What a grant does is done by the caller beforehand. Raises RequestClosed and InvalidField.
    """
    verdict = entry.choice(Verdict, verdict, "verdict")
    reason = entry.paragraphs(reason, field="reason")
    if len(reason) > LONGEST_WORDS:
        raise entry.InvalidField(field="reason", problem="too_long", longest=LONGEST_WORDS)
    request = locked(request_id)
    request.verdict, request.reason, request.decided_by = verdict, reason, by
    request.closed_at = at
    request.acknowledged_at = request.acknowledged_at or at
    request.save(update_fields=["verdict", "reason", "decided_by", "closed_at", "acknowledged_at"])
    record(request, at=at, by=actor or (actor_of(by) if by else "system:members"), verb=str(verdict))
    return request


def locked(request_id: UUID) -> RightsRequest:
    """The open request, locked; raises RequestNotFound, RequestClosed."""
    found = RightsRequest.objects.select_for_update(of=("self",)).select_related("member__household")
    request = found.filter(pk=request_id).first()
    if request is None:
        raise RequestNotFound(request_id=str(request_id))
    if request.verdict:
        raise RequestClosed(request_id=str(request_id))
    return request


def due_at(kind: str, at: datetime) -> datetime:
    """The end of the London day by which it has to be answered."""
    day = at.astimezone(LONDON).date()
    last = day + timedelta(days=COMPLAINT_DAYS) if kind == Kind.COMPLAINT else a_month_after(day)
    return day_interval(last).ends_at


def a_month_after(day: date) -> date:
    """The same day of the next month, or its last day when it has no such day."""
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def requests_of(member: Member) -> QuerySet[RightsRequest]:
    """The member's requests, newest first."""
    return (
        RightsRequest.objects.filter(member=member)
        .select_related("export", "home")
        .order_by("-opened_at", "pk")
    )


def open_requests() -> QuerySet[RightsRequest]:
    """What waits for an answer, oldest due first."""
    return RightsRequest.objects.filter(verdict="").select_related("member", "home").order_by("due_at", "pk")


def closed_requests() -> QuerySet[RightsRequest]:
    """What was answered, newest first."""
    closed = RightsRequest.objects.exclude(verdict="").select_related("member", "home")
    return closed.order_by("-closed_at", "pk")


def steps_of(request_ids: Iterable[UUID]) -> dict[UUID, list[Step]]:
    """What happened to each request, in order."""
    targets = {f"rights_request:{request_id}": request_id for request_id in request_ids}
    found: dict[UUID, list[Step]] = {}
    for each in AuditEntry.objects.filter(target__in=list(targets)).order_by("pk"):
        step = Step(each.at, each.actor, each.verb.removeprefix("rights_request."))
        found.setdefault(targets[each.target], []).append(step)
    return found


def record(request: RightsRequest, *, at: datetime, by: str, verb: str, **detail: object) -> None:
    """Put a step of a request on the audit trail."""
    audit.record(
        at=at,
        actor=by,
        verb=f"rights_request.{verb}",
        target=f"rights_request:{request.pk}",
        detail={"member": str(request.member_id), **detail},
    )


def actor_of(user: User) -> str:
    """The account in the audit trail's form."""
    return f"user:{user.pk}"
