"""Who of the co-op looked at what names a member: an entry for each page looked at, which the member reads.

A page of one person gives an entry about them; a list gives one entry for the whole page, with the ids on it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from members.models import Member, User
from opendsr.kernel import audit
from opendsr.kernel.models import AuditEntry

LOOKED: Final = "identity.looked_at"
SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody of the co-op read something about a member: when, which account, on which page and why."""

    at: datetime
    actor: str
    page: str
    why: str


def note(*, members: Collection[UUID], by: User, at: datetime, page: str, why: str) -> None:
    """Record that `by` looked at these members on a page; a look at oneself or at nobody is not noted."""
    seen = sorted({str(each) for each in members} - {str(_own(by))})
    if not seen:
        return
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb=LOOKED,
        target=f"member:{seen[0]}" if len(seen) == 1 else "members",
        detail={"page": page, "why": why, "members": seen},
    )


def looks_at(member: Member) -> list[Look]:
    """Who looked at the member, newest first."""
    about = Q(target=f"member:{member.pk}") | Q(target="members", detail__members__contains=[str(member.pk)])
    found = AuditEntry.objects.filter(about, verb=LOOKED).order_by("-pk")[:SHOWN]
    return [Look(each.at, each.actor, str(each.detail["page"]), str(each.detail["why"])) for each in found]


def _own(user: User) -> UUID | None:
    return Member.objects.filter(user=user).values_list("pk", flat=True).first()
