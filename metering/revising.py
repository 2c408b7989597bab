"""Checked readings into the store, exactly once: compare with what is known, then COPY only what is news.

Writers of the same streams take turns (advisory locks, 64 buckets, in order), so what is read stays true
until the commit; the primary key stands behind that. Nothing stored is ever edited: a different value from
the same source is the next revision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.db.utils import OperationalError
from psycopg.errors import LockNotAvailable, UniqueViolation

from metering import copying, rosters
from metering.checking import Readings
from metering.held import all_revisions, packed_before
from metering.slots import Bools, Ints, start_of, timestamp, timestamps
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval

LOCK_CLASS: Final = 0x4D45
LOCK_BUCKETS: Final = 64
LOCK_WAIT: Final = "10min"
RUN_BREAK: Final = 48
ROWS_A_SLICE: Final = 500_000


class ImportBusy(DomainError):
    """Another import of the same streams has been at work for longer than an import waits."""

    status = 503
    waited: str


@dataclass(frozen=True, slots=True)
class Known:
    """Revisions held for the streams and half-hours offered, in order of (stream, slot, revision)."""

    key: Ints
    revision: Ints
    import_wh: Ints
    export_wh: Ints
    quality: Ints
    known_at: Ints


@dataclass(frozen=True, slots=True)
class Decision:
    """Which offered readings are news, and as which revision."""

    is_news: Bools
    revision: Ints

    @property
    def landed(self) -> int:
        """Rows to store."""
        return int(self.is_news.sum())

    @property
    def corrected(self) -> int:
        """Of those, rows that replace a value."""
        return int((self.is_news & (self.revision > 0)).sum())


@dataclass(frozen=True, slots=True)
class News:
    """What an import changed: rows, the numbers of the streams touched, and from when to when."""

    landed: int = 0
    corrected: int = 0
    streams: tuple[int, ...] = ()
    interval: Interval | None = None


@contextmanager
def turn_of(streams: Sequence[UUID]) -> Iterator[None]:
    """Wait until no other transaction writes these streams, and hold them until this one ends."""
    buckets = np.unique(rosters.uuids(streams)[:, -1] % LOCK_BUCKETS).tolist()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)", [LOCK_WAIT]
        )
        (usual, _) = cursor.fetchone()
        try:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, bucket) FROM unnest(%s::int4[]) AS bucket",
                [LOCK_CLASS, buckets],
            )
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise ImportBusy(waited=LOCK_WAIT) from error
            raise
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])
    yield


def revise(
    readings: Readings,
    streams: Sequence[UUID],
    *,
    source_id: int,
    run_id: int | None,
    at: datetime,
    is_replay: bool,
) -> News:
    """Store what is news in the readings (in order, each half-hour once); without a run only tell it."""
    landed = corrected = 0
    touched: set[int] = set()
    earliest, latest = np.inf, -np.inf
    for start in range(0, len(readings), ROWS_A_SLICE):
        some = readings.where(slice(start, start + ROWS_A_SLICE))
        if run_id is not None and not is_replay and _all_new(some, streams, run_id, source_id, at):
            landed += len(some)
            touched.update(np.unique(some.stream).tolist())
            earliest, latest = min(earliest, some.slot.min()), max(latest, some.slot.max())
            continue
        known = known_revisions(some, streams, source_id=source_id)
        decision = decide(some, known, at=at, is_replay=is_replay)
        if not decision.landed:
            continue
        landed, corrected = landed + decision.landed, corrected + decision.corrected
        touched.update(np.unique(some.stream[decision.is_news]).tolist())
        slots = some.slot[decision.is_news]
        earliest, latest = min(earliest, slots.min()), max(latest, slots.max())
        if run_id is not None:
            write(some, decision, streams, run_id=run_id, source_id=source_id, at=at)
    if not landed:
        return News()
    interval = Interval(start_of(int(earliest)), start_of(int(latest) + 1))
    return News(landed, corrected, tuple(sorted(touched)), interval)


def _all_new(readings: Readings, streams: Sequence[UUID], run_id: int, source_id: int, at: datetime) -> bool:
    """Store readings none of which is known, without asking first: the primary key refuses all if one is.

    Not where days may be packed, which no key of rows can tell.
    """
    if int(readings.slot.min()) < packed_before():
        return False
    count = len(readings)
    first = Decision(np.ones(count, dtype=bool), np.zeros(count, dtype=np.int64))
    try:
        with transaction.atomic():
            write(readings, first, streams, run_id=run_id, source_id=source_id, at=at)
    except UniqueViolation:
        return False
    return True


def known_revisions(readings: Readings, streams: Sequence[UUID], *, source_id: int) -> Known:
    """What the store holds from this source for the readings' half-hours; readings in order, not empty."""
    breaks = (np.diff(readings.stream) != 0) | (np.diff(readings.slot) > RUN_BREAK)
    starts = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    ends = np.concatenate((starts[1:], [len(readings)])) - 1
    stream, first, past = readings.stream[starts], readings.slot[starts], readings.slot[ends] + 1
    rows = all_revisions(streams, stream, first, past, source_id=source_id)
    key = key_of(rows.stream, rows.slot)
    order = np.lexsort((rows.revision, key))
    columns = (key, rows.revision, rows.import_wh, rows.export_wh, rows.quality, rows.known_at)
    return Known(*(column[order] for column in columns))


def decide(readings: Readings, known: Known, *, at: datetime, is_replay: bool) -> Decision:
    """What of the readings is news to a store that holds `known`. Pure.

    A reading equal to the newest revision is not; in a replay of content already offered once, one equal
    to any revision is not, so that an old file cannot undo a later correction. Nor is one offered as learned
    before the newest revision was: what was learned later stands, in whatever order the two are handed in.
    """
    key = key_of(readings.stream, readings.slot)
    count = len(readings)
    is_news = np.ones(count, dtype=bool)
    revision = np.zeros(count, dtype=np.int64)
    place = np.searchsorted(key, known.key)
    offered = (place < count) & (key[np.minimum(place, count - 1)] == known.key)
    rows, held = place[offered], np.flatnonzero(offered)
    if len(held):
        newest = np.concatenate((np.diff(known.key[held]) != 0, [True]))
        same = readings.import_wh[rows] == known.import_wh[held]
        same &= readings.export_wh[rows] == known.export_wh[held]
        same &= readings.quality[rows] == known.quality[held]
        is_news[rows[same if is_replay else same & newest]] = False
        # Handed in after what was learned later: it was superseded before it came.
        is_news[rows[newest & (known.known_at[held] > timestamp(at))]] = False
        revision[rows[newest]] = known.revision[held[newest]] + 1
    return Decision(is_news, revision)


def write(
    readings: Readings,
    decision: Decision,
    streams: Sequence[UUID],
    *,
    run_id: int,
    source_id: int,
    at: datetime,
) -> None:
    """COPY the news into the store."""
    news = readings.where(decision.is_news)
    ids = rosters.uuids(streams)
    copying.write_columns(
        "metering_half_hour",
        {
            "starts_at": (copying.INT8, timestamps(news.slot)),
            "known_at": (copying.INT8, timestamp(at)),
            "run_id": (copying.INT8, run_id),
            "stream_id": (copying.UUID16, ids[news.stream]),
            "import_wh": (copying.INT4, news.import_wh),
            "export_wh": (copying.INT4, news.export_wh),
            "source_id": (copying.INT2, source_id),
            "revision": (copying.INT2, decision.revision[decision.is_news]),
            "quality": (copying.INT2, news.quality),
        },
        count=len(news),
    )


def key_of(stream: Ints, slot: Ints) -> Ints:
    """One number for a stream and a half-hour, in the order of both."""
    return (stream << 32) + slot
