"""Who of the co-op looked at what is somebody's: an entry for each page looked at, which the member reads.

What a page showed is known from the doors it was read through (`opendsr.kernel.reads`); an entry holds whose
it was as ids of people, households, homes, stays, streams and accounts, never a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from members.enquiry_models import Application
from members.models import Member, MeterStream, Occupancy, User
from opendsr.kernel import audit
from opendsr.kernel.models import AuditEntry
from opendsr.kernel.reads import Reads

LOOKED: Final = "identity.looked_at"
SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody of the co-op read something of a member's: when, which account, on which page and why.

    `kinds` are what was read on the page, of whomever it shows, such as `members_member.full_name`.
    """

    at: datetime
    actor: str
    page: str
    why: str
    kinds: tuple[str, ...]


def record(*, reads: Reads, by: User, at: datetime, page: str, why: str) -> bool:
    """Record what `by` read on a page; False when that was nobody's but the own address."""
    subjects = reads.subjects - {by.key_id}
    if not subjects:
        return False
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb=LOOKED,
        target=f"page:{page}"[:200],
        detail={
            "page": page,
            "why": why,
            "read": sorted(reads.kinds),
            "subjects": sorted(map(str, subjects)),
        },
    )
    return True


def looks_at(member: Member) -> list[Look]:
    """Who looked at what is the member's, newest first; their own looks, should they work here, left out."""
    found = AuditEntry.objects.filter(_about(member), verb=LOOKED)
    if member.user_id is not None:
        found = found.exclude(actor=f"user:{member.user_id}")
    return [_look(each) for each in found.order_by("-pk")[:SHOWN]]


def entries_about(member: Member) -> Q:
    """Entries of looks at what is the member's, as a condition on the audit trail."""
    return _about(member) & Q(verb=LOOKED)


def _about(member: Member) -> Q:
    stays = list(Occupancy.objects.filter(household_id=member.household_id))
    subjects = {member.pk, member.household_id, *(stay.pk for stay in stays)}
    streams = MeterStream.objects.filter(occupancy__in=stays)
    subjects |= set(streams.values_list("stream_id", flat=True))
    subjects |= set(Application.objects.filter(member=member).values_list("pk", flat=True))
    if member.user is not None:
        subjects.add(member.user.key_id)
    about = _shows(subjects)
    for stay in stays:
        there = _shows({stay.home_id}) & Q(at__gte=stay.starts_at)
        about |= there if stay.ends_at is None else there & Q(at__lt=stay.ends_at)
    return about


def _shows(subjects: set[UUID]) -> Q:
    return Q(detail__subjects__has_any_keys=sorted(map(str, subjects)))


def _look(entry: AuditEntry) -> Look:
    page, why = str(entry.detail["page"]), str(entry.detail["why"])
    return Look(entry.at, entry.actor, page, why, tuple(map(str, entry.detail["read"])))
