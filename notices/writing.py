"""A notice in the co-op's own words: who would get it, a second look, and only then the queue.

Safety goes to every member who can be reached, at once, and may not promote anything; news only to who said
yes to it, and it takes two people.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from members import entry
from members.models import Member
from notices import choosing, queueing
from notices.kinds import MANNERS, Channel, Kind, NoticeClass, is_wanted
from notices.models import Circular
from notices.queueing import ToTell
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotFound

LONGEST_SUBJECT: Final = 120
LONGEST_BODY: Final = 6_000
KINDS: Final = (Kind.SAFETY_WORD, Kind.NEWS)
PROMOTES: Final = re.compile(
    r"\b(offers?|discount\w*|bargains?|prizes?|bonus|save money|join now|refer a friend|upgrade)\b", re.I
)
"""Words that promote, which a notice of safety has no use for (PECR reg. 22)."""
State = Circular.State


class CircularNotFound(NotFound):
    """No such notice."""

    circular_id: str


class AlreadyDecided(DomainError):
    """It was sent, or dropped, before."""

    state: str


class SecondReaderNeeded(DomainError):
    """News is sent by somebody else than wrote it."""


class NobodyToTell(DomainError):
    """No member would get it."""


@dataclass(frozen=True, slots=True)
class Audience:
    """How many members would be told, by which channel, and why the others would not."""

    members: int = 0
    told: int = 0
    by_email: int = 0
    by_sms: int = 0
    said_no: int = 0
    unreachable: int = 0


@dataclass(frozen=True, slots=True)
class Alike:
    """Members whom the same channels reach and who chose the same of the kind's class; how many they are."""

    reached: tuple[Channel, ...]
    choices: Mapping[tuple[str, str], bool]
    members: int = 1

    def open_to(self, kind: Kind) -> list[Channel]:
        """The channels of theirs that the kind may take."""
        return [each for each in self.reached if each is not Channel.SMS or MANNERS[kind].by_sms]

    def wanted_by(self, kind: Kind) -> list[Channel]:
        """Those of them by which they want it."""
        notice_class = MANNERS[kind].notice_class
        return [each for each in self.open_to(kind) if is_wanted(self.choices, notice_class, each)]


def audience_of(kind: Kind, groups: Iterable[Alike]) -> Audience:
    """Who would be told, counted. Pure.

    A member whom no channel of the kind reaches is unreachable; one who is reached but wants it by none of
    them said no, or of news never said yes.
    """
    counts: Counter[str] = Counter()
    for each in groups:
        by = each.wanted_by(kind)
        counts["members"] += each.members
        counts["told"] += each.members * bool(by)
        counts["by_email"] += each.members * (Channel.EMAIL in by)
        counts["by_sms"] += each.members * (Channel.SMS in by)
        counts["unreachable"] += each.members * (not each.open_to(kind))
    counts["said_no"] = counts["members"] - counts["unreachable"] - counts["told"]
    return Audience(**counts)


def audience(kind: Kind, *, at: datetime) -> Audience:
    """The same of everybody whose membership runs at `at`; PostgreSQL counts those who are alike."""
    notice_class = MANNERS[kind].notice_class.value
    alike = (
        _current(at)
        .order_by()
        .annotate(
            **{f"reached_{each.value}": queueing.reached_by(each) for each in Channel},
            **{f"said_{each.value}": choosing.said(notice_class, each) for each in Channel},
        )
        .values(*(f"{word}_{each.value}" for word in ("reached", "said") for each in Channel))
        .annotate(members=Count("pk"))
    )
    return audience_of(
        kind,
        (
            Alike(
                reached=tuple(each for each in Channel if row[f"reached_{each.value}"]),
                choices={
                    (notice_class, each.value): row[f"said_{each.value}"]
                    for each in Channel
                    if row[f"said_{each.value}"] is not None
                },
                members=row["members"],
            )
            for row in alike
        ),
    )


def _current(at: datetime) -> QuerySet[Member]:
    return Member.objects.filter(Q(left_at=None) | Q(left_at__gt=at), joined_at__lte=at)


def _told(kind: Kind, *, at: datetime) -> list[UUID]:
    """Every member who would be told, by id."""
    members = list(_current(at).order_by("pk").values_list("pk", flat=True))
    reached, choices = queueing.reach(members), choosing.choices_of(members)
    return [each for each in members if Alike(reached.get(each, ()), choices.get(each, {})).wanted_by(kind)]


@transaction.atomic
def write(*, kind: str, subject: str, body: str, at: datetime, by: str) -> Circular:
    """Keep what was written; nothing leaves yet. Raises entry.InvalidField."""
    chosen = entry.choice(Kind, kind, "kind")
    if chosen not in KINDS:
        raise entry.InvalidField(field="kind", problem="not_a_choice")
    subject = entry.one_line(subject, field="subject", longest=LONGEST_SUBJECT)
    words = entry.paragraphs(body, field="body")
    if len(words) > LONGEST_BODY:
        raise entry.InvalidField(field="body", problem="too_long", longest=LONGEST_BODY)
    if MANNERS[Kind(chosen)].notice_class is NoticeClass.SAFETY:
        for field, text in (("subject", subject), ("body", words)):
            if PROMOTES.search(text):
                raise entry.InvalidField(field=field, problem="promotes")
    made = Circular.objects.create(kind=chosen, subject=subject, body=words, written_by=by, written_at=at)
    audit.record(
        at=at, actor=by, verb="notices.written", target=f"circular:{made.pk}", detail={"kind": chosen}
    )
    return made


@transaction.atomic
def send(*, circular_id: UUID, at: datetime, by: str) -> Circular:
    """Queue it for everybody who may have it, once. Raises CircularNotFound, AlreadyDecided,
    SecondReaderNeeded and NobodyToTell.
    """
    row = _locked(circular_id)
    kind = Kind(row.kind)
    if kind is Kind.NEWS and row.written_by == by:
        raise SecondReaderNeeded()
    counts = audience(kind, at=at)
    facts = {"subject": row.subject, "body": row.body}
    people = [ToTell(member_id, facts) for member_id in _told(kind, at=at)]
    if not people:
        raise NobodyToTell()
    queueing.queue_many(kind=kind, people=people, key=row.pk.hex, at=at, about=row.pk)
    return _decide(row, State.SENT, counts, at=at, by=by)


@transaction.atomic
def drop(*, circular_id: UUID, at: datetime, by: str) -> Circular:
    """Not to be sent after all. Raises CircularNotFound, AlreadyDecided."""
    return _decide(_locked(circular_id), State.DROPPED, None, at=at, by=by)


def circular(circular_id: UUID) -> Circular:
    """The notice; raises CircularNotFound."""
    found = Circular.objects.filter(pk=circular_id).first()
    if found is None:
        raise CircularNotFound(circular_id=str(circular_id))
    return found


def _locked(circular_id: UUID) -> Circular:
    row = Circular.objects.select_for_update().filter(pk=circular_id).first()
    if row is None:
        raise CircularNotFound(circular_id=str(circular_id))
    if row.state != State.WRITTEN:
        raise AlreadyDecided(state=row.state)
    return row


def _decide(row: Circular, state: str, counts: Audience | None, *, at: datetime, by: str) -> Circular:
    row.state, row.decided_at, row.decided_by = state, at, by
    row.counts = {} if counts is None else asdict(counts)
    row.save()
    _note(state, row, row.counts, at=at, by=by)
    return row


def _note(verb: str, row: Circular, detail: Mapping[str, object], *, at: datetime, by: str) -> None:
    audit.record(at=at, actor=by, verb=f"notices.{verb}", target=f"circular:{row.pk}", detail=detail)
