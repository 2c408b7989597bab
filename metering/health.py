"""How well readings come in: completeness at D+1 and D+3, who is silent, whose clock drifts, what is refused.

`measure` is a job: it notes once a day and for good how much of each day was there by D+1 and D+3. `board`
gathers what staff look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, Q, QuerySet, Sum

import members.queries
from metering import missing, permits, store
from metering.intake_models import Message, Sender
from metering.models import Completeness, ImportReject, Refusal
from metering.slots import Ints
from opendsr.kernel import keeping
from opendsr.kernel.periods import civil_date, day_interval, period_count

ONE_DAY: Final = timedelta(days=1)
DAYS_SHOWN: Final = 14
DAYS_SILENT: Final = 3
SILENT_AFTER: Final = timedelta(minutes=30)
DRIFT_SECONDS: Final = 30
MOST_LISTED: Final = 50
WITHOUT_KEPT: Final = "metering:without-readings"
WITHOUT_LASTS: Final = timedelta(minutes=5)
"""Of three days a few minutes are nothing; looking for ten thousand streams takes a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Rows refused for one reason in the last week, and where they came from."""

    code: str
    rows: int

    @property
    def words(self) -> str:
        """The reason as people read it."""
        return self.code.replace("_", " ")

    where: str


@dataclass(frozen=True, slots=True)
class Board:
    """What staff see of the readings' health."""

    completeness: tuple[Completeness, ...]
    silent: tuple[Sender, ...]
    silent_count: int
    drifting: tuple[Sender, ...]
    senders: int
    refused: tuple[Reason, ...]
    streams: int
    without_readings: tuple[UUID, ...]
    counted_at: datetime
    """When the last two were counted."""


def measure(*, at: datetime) -> int:
    """Note completeness of the last days as they stood at D+1 and D+3, each once; how many were noted.

    With D+3 goes why the rest is missing.
    """
    today = civil_date(at)
    days = [today - number * ONE_DAY for number in range(1, DAYS_SHOWN + 1)]
    held = {row.day: row for row in Completeness.objects.filter(day__in=days)}
    noted = 0
    for day in sorted(days):
        ended = day_interval(day).ends_at
        row = held.get(day)
        if ended + ONE_DAY > at or (row is not None and (row.by_d3 is not None or ended + 3 * ONE_DAY > at)):
            continue
        streams = expected_streams(day)
        by_d1 = row.by_d1 if row else _there(streams, day, ended + ONE_DAY)
        by_d3 = _there(streams, day, ended + 3 * ONE_DAY) if ended + 3 * ONE_DAY <= at else None
        Completeness.objects.update_or_create(
            day=day,
            defaults={"expected": len(streams) * period_count(day), "by_d1": by_d1, "by_d3": by_d3},
        )
        if by_d3 is not None:
            missing.count_day(day, streams, known_at=ended + 3 * ONE_DAY)
        noted += 1
    return noted


def expected_streams(day: date) -> list[UUID]:
    """Streams whose household lets half-hours of the whole day be kept."""
    return permits.throughout(members.queries.all_streams(), day_interval(day))


def board(*, at: datetime) -> Board:
    """Everything on the board at `at`."""
    week_ago = at - 7 * ONE_DAY
    silent = _silent(at)
    known = Sender.objects.filter(revoked_at__isnull=True)
    drifting = known.filter(Q(drift_seconds__gt=DRIFT_SECONDS) | Q(drift_seconds__lt=-DRIFT_SECONDS))
    (streams, without), counted_at = keeping.kept(
        WITHOUT_KEPT, at=at, lasts=WITHOUT_LASTS, work=lambda: _without_readings(civil_date(at) - ONE_DAY)
    )
    return Board(
        completeness=tuple(
            Completeness.objects.filter(day__gte=civil_date(at) - DAYS_SHOWN * ONE_DAY).order_by("-day")
        ),
        silent=tuple(silent.order_by(F("received_at").asc(nulls_first=True), "name")[:MOST_LISTED]),
        silent_count=silent.count(),
        drifting=tuple(drifting.order_by("-drift_seconds", "name")[:MOST_LISTED]),
        senders=known.count(),
        refused=_refused(week_ago),
        streams=streams,
        without_readings=without,
        counted_at=counted_at,
    )


def _without_readings(yesterday: date) -> tuple[int, tuple[UUID, ...]]:
    """How many streams are expected, and those that have held nothing for days."""
    streams = expected_streams(yesterday)
    recent = [yesterday - number * ONE_DAY for number in range(DAYS_SILENT)]
    return len(streams), tuple(store.streams_without_any(streams, recent))


def days_of(streams: Sequence[UUID], *, at: datetime, days: int = DAYS_SHOWN) -> list[tuple[date, int, Ints]]:
    """For each of the last days, newest first: periods, and how many of them each stream has."""
    dates = [civil_date(at) - number * ONE_DAY for number in range(days)]
    present = store.day_cube(streams, dates).present.sum(axis=2)
    return [(day, period_count(day), present[:, number]) for number, day in enumerate(dates)]


def _silent(at: datetime) -> QuerySet[Sender]:
    return Sender.objects.filter(
        Q(received_at__isnull=True) | Q(received_at__lt=at - SILENT_AFTER),
        kind=Sender.Kind.GLOW,
        revoked_at__isnull=True,
    )


def _refused(since: datetime) -> tuple[Reason, ...]:
    imports = (
        ImportReject.objects.filter(run__imported_at__gte=since).values("code").annotate(total=Sum("rows"))
    )
    samples = Refusal.objects.filter(on_date__gte=since.date()).values("code").annotate(total=Sum("rows"))
    letters = (
        Message.objects.filter(outcome=Message.Outcome.DEAD, received_at__gte=since)
        .values("code")
        .annotate(total=Sum("times"))
    )
    found = [
        Reason(row["code"], row["total"], where)
        for where, rows in (("imports", imports), ("live samples", samples), ("messages", letters))
        for row in rows
    ]
    return tuple(sorted(found, key=lambda reason: (-reason.rows, reason.code)))


def _there(streams: Sequence[UUID], day: date, known_at: datetime) -> int:
    return int(store.day_cube(streams, [day], known_at=known_at).present.sum())
