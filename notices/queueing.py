"""Putting notices into the queue: who gets one, by which channel, when it may leave; each thing told once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from members.models import Member, User
from notices import choosing, facts, quiet
from notices.kinds import MANNERS, Channel, Kind, Manner, NoticeClass, is_wanted
from notices.models import Contact, Notice
from opendsr.kernel import clock
from opendsr.kernel.lookups import among

BATCH: Final = 2_000
State, Reason = Notice.State, Notice.Reason


@dataclass(frozen=True, slots=True)
class ToTell:
    """One member and what their notice says (`words.py` names the facts of each kind).

    `home` tells apart what is told of several homes of theirs; `about` is what it is about where that differs
    from member to member.
    """

    member_id: UUID
    facts: Mapping[str, object]
    home: str = ""
    about: UUID | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of it: notices now in the queue, and homes all of whose notices are held past the start.

    A home that is told by nothing, for nobody there wants any or has an address, is not among them.
    """

    notices: int
    held_past_start: frozenset[str]


@transaction.atomic
def queue_many(
    *,
    kind: Kind,
    people: Sequence[ToTell],
    key: str,
    at: datetime,
    about: UUID | None = None,
    before: datetime | None = None,
    by_sms: bool = True,
) -> Queued:
    """Queue a notice for each member and channel that wants it; the same `key` again adds nothing.

    `before` is when it is of no use any more, such as an event's start: one that the quiet hours hold past it
    is kept in the log and never sent. `by_sms` False keeps a kind that may go by text to email alone.
    """
    manner = MANNERS[kind]
    reached = reach([each.member_id for each in people])
    choices = choosing.choices_of([each.member_id for each in people])
    leaves_at = at if manner.notice_class is NoticeClass.SAFETY else quiet.may_leave_at(at, quiet.in_force())
    is_held = before is not None and leaves_at >= before
    wall = clock.wall_now()
    rows: list[Notice] = []
    told: set[str] = set()
    held: set[str] = set()
    for each in people:
        for channel in reached.get(each.member_id, ()):
            if channel is Channel.SMS and not (manner.by_sms and by_sms):
                continue
            if not is_wanted(choices.get(each.member_id, {}), manner.notice_class, channel):
                continue
            (held if is_held else told).add(each.home)
            rows.append(
                Notice(
                    member_id=each.member_id,
                    kind=kind,
                    notice_class=manner.notice_class,
                    channel=channel,
                    key=":".join((kind.value, key, each.home, each.member_id.hex, channel.value)),
                    about=each.about or about,
                    facts=facts.written(each.facts),
                    state=State.DROPPED if is_held else State.QUEUED,
                    reason=Reason.HELD_PAST_START if is_held else "",
                    queued_at=at,
                    due_at=leaves_at,
                    expires_at=_expires_at(manner, at, leaves_at, before),
                    next_try_wall_at=wall,
                )
            )
    known = _known([row.key for row in rows])
    fresh = [row for row in rows if row.key not in known]
    for first in range(0, len(fresh), BATCH):
        Notice.objects.bulk_create(fresh[first : first + BATCH], ignore_conflicts=True)
    queued = sum(row.state == State.QUEUED for row in fresh)
    return Queued(notices=queued, held_past_start=frozenset(held - told))


def _expires_at(manner: Manner, at: datetime, leaves_at: datetime, before: datetime | None) -> datetime:
    return before if before is not None and before > at else leaves_at + manner.stale_after


def reach(member_ids: Sequence[UUID]) -> dict[UUID, tuple[Channel, ...]]:
    """The channels by which each member can be reached."""
    found: dict[UUID, tuple[Channel, ...]] = {}
    for channel in Channel:
        reached = Member.objects.filter(reached_by(channel), pk__in=among(member_ids))
        for member_id in reached.values_list("pk", flat=True):
            found[member_id] = (*found.get(member_id, ()), channel)
    return found


def reached_by(channel: Channel) -> Q:
    """Members whom the channel reaches: by an account in use, or by a number that was confirmed."""
    if channel is Channel.EMAIL:
        return Q(user__in=User.objects.filter(is_active=True).exclude(email="").values("pk"))
    return Q(pk__in=confirmed().values("member"))


def confirmed() -> QuerySet[Contact]:
    """Contacts whose number somebody has confirmed."""
    return Contact.objects.filter(confirmed_at__isnull=False, phone_index__isnull=False)


def _known(keys: Sequence[str]) -> set[str]:
    return set(Notice.objects.filter(key__in=list(keys)).values_list("key", flat=True))
