"""The one way out for half-hours: arrays for calculations, rows for pages, as known now or at any time.

A missing half-hour is missing, never zero. Where sources differ, `sources.py` says who is believed.
`day_cube` and `series` take packed weeks (`packed.py`) as they lie, thousands of streams at once; rows not
packed yet, weeks that two sources tell of, and weeks in which something was learned after the time asked
about are looked at half-hour by half-hour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from metering import copying, packed, sources
from metering.held import Held, all_revisions, array_literal
from metering.packed import BLOCK
from metering.slots import (
    Bools,
    Ints,
    civil_day_slots,
    instant_of,
    slots_of_timestamps,
    slots_within,
    start_of,
    timestamp,
)
from opendsr.kernel import reads
from opendsr.kernel.interval import Interval
from opendsr.kernel.lookups import uuids
from opendsr.kernel.periods import MAX_PERIODS, civil_date

# Few enough for the planner to look into the index stream by stream; of a thousand it reads the whole table.
STREAMS_A_QUERY: Final = 250
ABSENT: Final = -(2**31)

WEEKS: Final = """
    SELECT held.form::int4, array_agg(asked.number::int4), array_agg(held.block),
           array_agg(held.source_id::int4), string_agg(held.payload, '')
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (stream_id, number)
    JOIN metering_packed AS held ON held.stream_id = asked.stream_id AND held.block = ANY(%s::int4[])
    WHERE held.latest_known_at <= coalesce(%s::timestamptz, 'infinity')
    GROUP BY held.form
"""
WEEK_KINDS: Final = (copying.INT4, copying.INT4, copying.INT4, copying.BYTES)
LATE_WEEKS: Final = """
    SELECT asked.number::int4, held.block
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (stream_id, number)
    JOIN metering_packed AS held ON held.stream_id = asked.stream_id AND held.block = ANY(%s::int4[])
    WHERE held.latest_known_at > %s::timestamptz
"""
# Source, quality and revision of a row travel as one number: 15, 2 and 15 bits.
ROWS: Final = """
    SELECT asked.number::int4, array_agg(held.starts_at), array_agg(held.import_wh),
           array_agg(held.export_wh),
           array_agg((held.source_id::int8 << 17) | (held.quality::int8 << 15) | held.revision)
    FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (stream_id, number)
    JOIN metering_half_hour AS held ON held.stream_id = asked.stream_id
    WHERE held.starts_at >= %s AND held.starts_at < %s
      AND held.known_at <= coalesce(%s::timestamptz, 'infinity')
    GROUP BY asked.number
"""
NOT_SURELY_THERE: Final = """
    SELECT asked.stream_id FROM unnest(%s::uuid[]) AS asked (stream_id)
    WHERE NOT EXISTS (SELECT FROM metering_half_hour AS held WHERE held.stream_id = asked.stream_id
                      AND held.starts_at >= %s AND held.starts_at < %s OFFSET 0)
    AND NOT EXISTS (SELECT FROM metering_packed AS held WHERE held.stream_id = asked.stream_id
                    AND (held.first_slot >= %s AND held.first_slot < %s
                         OR held.past_slot > %s AND held.past_slot <= %s) OFFSET 0)
"""
ROW_KINDS: Final = (copying.INT8, copying.INT4, copying.INT4, copying.INT8)
SPAN: Final = """
    SELECT min(first), max(past) FROM (
        SELECT min(first_slot)::int8 AS first, max(past_slot)::int8 AS past
        FROM metering_packed WHERE stream_id = ANY(%s::uuid[])
        UNION ALL
        SELECT (extract(epoch FROM min(starts_at)) / 1800)::int8,
               (extract(epoch FROM max(starts_at)) / 1800)::int8 + 1
        FROM metering_half_hour WHERE stream_id = ANY(%s::uuid[])
    ) AS either
"""


class Flow(StrEnum):
    """Which way energy went."""

    NET = "net"
    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class DayCube:
    """Wh by stream, Europe/London day and settlement period less one; net is import less export.

    `wh` and `present` are [stream, day, 50]; places past a day's last period and missing readings are False
    in `present` and 0 in `wh`.
    """

    stream_ids: tuple[UUID, ...]
    days: tuple[date, ...]
    wh: Ints
    present: Bools
    flow: Flow = Flow.NET

    @property
    def net_wh(self) -> Ints:
        """The values of a cube of net energy."""
        if self.flow is not Flow.NET:
            raise ValueError(f"a cube of {self.flow} energy is not net")
        return self.wh


@dataclass(frozen=True, slots=True)
class Series:
    """Wh by stream and half-hour of an interval, [stream, period]; missing readings are False and 0."""

    stream_ids: tuple[UUID, ...]
    interval: Interval
    wh: Ints
    present: Bools
    flow: Flow = Flow.NET


@dataclass(frozen=True, slots=True)
class StoredHalfHour:
    """One half-hour as a source told it; the newest revision of the best source is the one believed."""

    starts_at: datetime
    import_wh: int
    export_wh: int
    quality: int
    source: str
    revision: int
    known_at: datetime
    is_believed: bool = True


def day_cube(
    stream_ids: Sequence[UUID],
    days: Sequence[date],
    *,
    known_at: datetime | None = None,
    flow: Flow = Flow.NET,
) -> DayCube:
    """Readings of whole civil days for many streams at once, as the store knew them by `known_at`.

    Streams and days come back in the order asked; a day or stream asked twice is a ValueError.
    """
    if len(set(stream_ids)) != len(stream_ids) or len(set(days)) != len(days):
        raise ValueError("a stream or a day was asked for twice")
    shape = (len(stream_ids), len(days), MAX_PERIODS)
    if not (len(stream_ids) and len(days)):
        return DayCube(
            tuple(stream_ids), tuple(days), np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool), flow
        )
    reads.note_readings(stream_ids)
    first, count = civil_day_slots(days)
    period = np.arange(MAX_PERIODS)
    slots = np.where(period < count[:, None], first[:, None] + period, -1).ravel()
    wh, present = _gathered(stream_ids, slots, known_at, flow)
    return DayCube(tuple(stream_ids), tuple(days), wh.reshape(shape), present.reshape(shape), flow)


def streams_without_any(stream_ids: Sequence[UUID], days: Sequence[date]) -> list[UUID]:
    """Which of the streams hold no half-hour of these days, one after the other, as known now.

    A row says that one is there, a packed week says it by its first or last half-hour; only weeks that reach
    over all of the days are opened.
    """
    reads.note_readings(stream_ids)
    starts, count = civil_day_slots(days)
    first, past = int(starts.min()), int((starts + count).max())
    asked: list[Any] = [uuids(stream_ids), start_of(first), start_of(past), first, past, first, past]
    with connection.cursor() as cursor:
        cursor.execute(NOT_SURELY_THERE, asked)
        rest = [row[0] for row in cursor.fetchall()]
    present = day_cube(rest, days).present
    return [each for number, each in enumerate(rest) if not present[number].any()]


def series(
    stream_ids: Sequence[UUID],
    interval: Interval,
    *,
    known_at: datetime | None = None,
    flow: Flow = Flow.NET,
) -> Series:
    """Readings of the half-hours that begin in the interval, for many streams at once, in the order asked."""
    if len(set(stream_ids)) != len(stream_ids):
        raise ValueError("a stream was asked for twice")
    reads.note_readings(stream_ids)
    slots = np.arange(*slots_within(interval), dtype=np.int64)
    if len(stream_ids) and len(slots):
        wh, present = _gathered(stream_ids, slots, known_at, flow)
    else:
        shape = (len(stream_ids), len(slots))
        wh, present = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    return Series(tuple(stream_ids), interval, wh, present, flow)


def half_hours(stream_id: UUID, interval: Interval, known_at: datetime | None = None) -> list[StoredHalfHour]:
    """The half-hours that begin in the interval, in order of time; missing ones are left out."""
    reads.note_readings([stream_id])
    rows = all_revisions([stream_id], *_stretch(interval))
    if known_at is not None:
        rows = rows.where(rows.known_at <= timestamp(known_at))
    if not len(rows):
        return []
    rank = sources.ranks()
    rows = rows.where(believed(rows.slot, rows.source_id, rows.quality, rows.revision, rank=rank))
    return _stored(rows, np.ones(len(rows), dtype=bool))


def every_revision(stream_id: UUID, interval: Interval) -> list[StoredHalfHour]:
    """All that was ever told of the half-hours that begin in the interval, by time, source and revision."""
    reads.note_readings([stream_id])
    rows = all_revisions([stream_id], *_stretch(interval))
    if not len(rows):
        return []
    rows = rows.where(np.lexsort((rows.revision, rows.source_id, rows.slot)))
    is_believed = np.zeros(len(rows), dtype=bool)
    rank = sources.ranks()
    is_believed[believed(rows.slot, rows.source_id, rows.quality, rows.revision, rank=rank)] = True
    return _stored(rows, is_believed)


def _stored(rows: Held, is_believed: Bools) -> list[StoredHalfHour]:
    codes = sources.codes()
    columns = (
        rows.slot,
        rows.import_wh,
        rows.export_wh,
        rows.quality,
        rows.source_id,
        rows.revision,
        rows.known_at,
        is_believed,
    )
    return [
        StoredHalfHour(
            start_of(slot), import_wh, export_wh, quality, codes[source], revision, instant_of(known), is_in
        )
        for slot, import_wh, export_wh, quality, source, revision, known, is_in in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def latest_known_at(stream_ids: Sequence[UUID], interval: Interval) -> datetime | None:
    """World time at which the store learned the newest of these readings; None when it has none."""
    streams = list(dict.fromkeys(stream_ids))
    if not streams:
        return None
    _, first, past = _stretch(interval)
    count = np.arange(len(streams), dtype=np.int64)
    rows = all_revisions(streams, count, first.repeat(len(streams)), past.repeat(len(streams)))
    return instant_of(rows.known_at.max()).astimezone(UTC) if len(rows) else None


def day_span(stream_ids: Sequence[UUID]) -> tuple[date, date] | None:
    """The earliest and latest Europe/London days with a reading of any stream, None without readings."""
    with connection.cursor() as cursor:
        cursor.execute(SPAN, [list(stream_ids)] * 2)
        first, past = cursor.fetchone()
    return None if first is None else (civil_date(start_of(first)), civil_date(start_of(past - 1)))


def content_hash(stream_ids: Sequence[UUID], days: Sequence[date], known_at: datetime | None = None) -> str:
    """SHA-256 of what `day_cube` gives, whatever the order of streams and days."""
    cube = day_cube(sorted(stream_ids), sorted(days), known_at=known_at)
    digest = hashlib.sha256("|".join(day.isoformat() for day in cube.days).encode())
    for number, stream_id in enumerate(cube.stream_ids):
        digest.update(stream_id.bytes)
        digest.update(np.packbits(cube.present[number]).tobytes())
        digest.update(cube.net_wh[number].astype("<i8").tobytes())
    return digest.hexdigest()


def believed(place: Ints, source_id: Ints, quality: Ints, revision: Ints, *, rank: Mapping[int, int]) -> Ints:
    """Which row speaks for each place: the newest revision of each source, then the best of those. Pure.

    A better quality is believed before a better source; rows come back in order of place.
    """
    order = np.lexsort((revision, source_id, place))
    newest = order[_ends(place[order], source_id[order])]
    ranks = np.array([rank[number] for number in source_id[newest].tolist()], dtype=np.int64)
    newest = newest[np.lexsort((-ranks, -quality[newest], place[newest]))]
    best: Ints = newest[_ends(place[newest])]
    return best


@dataclass(slots=True)
class Loose:
    """Readings that are looked at one by one: columns of equal length, gathered in parts.

    `row` numbers the streams of a query, `slot` half-hours; `revision` of -1 is that of a packed week whose
    own number does not matter, because any row of its source is newer.
    """

    parts: list[tuple[Ints, ...]]

    def add(
        self,
        row: Ints,
        slot: Ints,
        wh: NDArray[Any],
        source_id: Ints,
        quality: NDArray[Any],
        revision: Ints,
    ) -> None:
        """Note readings."""
        columns = (row, slot, wh, source_id, quality, revision)
        self.parts.append(tuple(np.asarray(column, dtype=np.int64) for column in columns))

    def columns(self) -> tuple[Ints, ...]:
        """All of them."""
        if not self.parts:
            return tuple(np.zeros(0, dtype=np.int64) for _ in range(6))
        return tuple(np.concatenate(columns) for columns in zip(*self.parts, strict=True))


class _Weeks:
    """Packed weeks of some streams as they lie: [stream, week asked, 336] of Wh, ABSENT where missing."""

    def __init__(self, streams: int, blocks: Ints) -> None:
        self.blocks = blocks
        self.wh = np.full((streams, len(blocks), BLOCK), ABSENT, dtype=np.int32)
        self.source_id = np.zeros((streams, len(blocks)), dtype=np.int32)
        self.quality: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self.told = np.zeros((streams, len(blocks)), dtype=np.int32)


def _gathered(
    stream_ids: Sequence[UUID], slots: Ints, known_at: datetime | None, flow: Flow
) -> tuple[Ints, Bools]:
    """Wh and presence [stream, place] of the slots asked, each at its place; a slot of -1 is never there."""
    wh = np.zeros((len(stream_ids), len(slots)), dtype=np.int64)
    present = np.zeros(wh.shape, dtype=bool)
    asked = slots[slots >= 0]
    blocks = np.unique(asked // BLOCK)
    column = np.searchsorted(blocks, slots // BLOCK) * BLOCK + slots % BLOCK
    column = np.where(slots >= 0, column, 0)
    rank = sources.ranks()
    bounds = (start_of(int(asked.min())), start_of(int(asked.max()) + 1))
    nowhere = slots < 0
    for start in range(0, len(stream_ids), STREAMS_A_QUERY):
        some = list(stream_ids[start : start + STREAMS_A_QUERY])
        weeks = _Weeks(len(some), blocks)
        loose = Loose([])
        asked_of = array_literal(stream_id.hex for stream_id in some)
        _read_weeks(weeks, loose, asked_of, known_at, flow)
        if known_at is not None:
            _read_late_weeks(weeks, loose, some, known_at, flow)
        _read_rows(loose, asked_of, bounds, known_at, flow)
        _settle(weeks, loose, rank)
        found = weeks.wh.reshape(len(some), -1).take(column, axis=1)
        there = found != ABSENT
        there[:, nowhere] = False
        rows = slice(start, start + len(some))
        np.multiply(found, there, out=wh[rows], casting="unsafe", dtype=np.int64)
        present[rows] = there
    return wh, present


def _read_weeks(weeks: _Weeks, loose: Loose, streams: str, known_at: datetime | None, flow: Flow) -> None:
    """Weeks that were as they are by `known_at`; those that two sources tell of go to the loose readings."""
    kept: list[tuple[Ints, Ints, Ints, NDArray[np.int32], NDArray[np.uint8] | None]] = []
    for form, (number, block, source_id, payload) in copying.read_groups(
        WEEKS, [streams, weeks.blocks.tolist(), known_at], kinds=WEEK_KINDS
    ):
        row = number.astype(np.int64) - 1
        week = np.searchsorted(weeks.blocks, block.astype(np.int64))
        wh, quality = _flow_of(form, payload, flow)
        np.add.at(weeks.told, (row, week), 1)
        kept.append((row, week, source_id.astype(np.int64), wh, quality))
    for row, week, source_id, wh, quality in kept:
        is_single = weeks.told[row, week] == 1
        if not is_single.all():
            for at in np.flatnonzero(~is_single).tolist():
                _loosen(
                    weeks,
                    loose,
                    row[at],
                    week[at],
                    source_id[at],
                    wh[at],
                    None if quality is None else quality[at],
                )
            row, week, source_id, wh = row[is_single], week[is_single], source_id[is_single], wh[is_single]
            quality = None if quality is None else quality[is_single]
        weeks.wh[row, week] = wh
        weeks.source_id[row, week] = source_id
        if quality is not None:
            for place, one in zip(zip(row.tolist(), week.tolist(), strict=True), quality, strict=True):
                weeks.quality[place] = one


def _loosen(
    weeks: _Weeks,
    loose: Loose,
    row: int,
    week: int,
    source_id: int,
    wh: NDArray[np.int32],
    quality: NDArray[np.uint8] | None,
) -> None:
    there = np.flatnonzero(wh != ABSENT)
    count = len(there)
    loose.add(
        np.full(count, row),
        weeks.blocks[week] * BLOCK + there,
        wh[there],
        np.full(count, source_id),
        np.zeros(count) if quality is None else quality[there],
        np.full(count, -1),
    )


def _read_late_weeks(
    weeks: _Weeks, loose: Loose, streams: list[UUID], known_at: datetime, flow: Flow
) -> None:
    """Weeks in which something was learned later, as they were: revision by revision."""
    with connection.cursor() as cursor:
        cursor.execute(LATE_WEEKS, [streams, weeks.blocks.tolist(), known_at])
        late = sorted(set(cursor.fetchall()))
    if not late:
        return
    stream = np.array([number - 1 for number, _ in late], dtype=np.int64)
    block = np.array([block for _, block in late], dtype=np.int64)
    rows = all_revisions(streams, stream, block * BLOCK, (block + 1) * BLOCK)
    rows = rows.where(rows.known_at <= timestamp(known_at))
    wh = _of_flow(rows.import_wh, rows.export_wh, flow)
    loose.add(rows.stream, rows.slot, wh, rows.source_id, rows.quality, rows.revision)
    # What other sources say of those weeks was among the revisions already.
    week = np.searchsorted(weeks.blocks, block)
    weeks.wh[stream, week] = ABSENT


def _read_rows(
    loose: Loose,
    streams: str,
    bounds: tuple[datetime, datetime],
    known_at: datetime | None,
    flow: Flow,
) -> None:
    for number, (starts_at, import_wh, export_wh, meta) in copying.read_groups(
        ROWS, [streams, *bounds, known_at], kinds=ROW_KINDS
    ):
        told = meta.astype(np.int64)
        loose.add(
            np.full(len(starts_at), number - 1),
            slots_of_timestamps(starts_at.astype(np.int64)),
            _of_flow(import_wh.astype(np.int64), export_wh.astype(np.int64), flow),
            told >> 17,
            told >> 15 & 0x3,
            told & 0x7FFF,
        )


def _settle(weeks: _Weeks, loose: Loose, rank: Mapping[int, int]) -> None:
    """Put the loose readings in their places, each place believing the best that is known of it."""
    row, slot, wh, source_id, quality, revision = loose.columns()
    week = np.searchsorted(weeks.blocks, slot // BLOCK)
    inside = week < len(weeks.blocks)
    inside[inside] = weeks.blocks[week[inside]] == slot[inside] // BLOCK
    row, slot, wh, source_id, quality, revision, week = (
        column[inside] for column in (row, slot, wh, source_id, quality, revision, week)
    )
    if not len(row):
        return
    place = slot % BLOCK
    cell = (row * len(weeks.blocks) + week) * BLOCK + place
    taken = np.flatnonzero(weeks.wh[row, week, place] != ABSENT)
    if len(taken):
        _, only = np.unique(cell[taken], return_index=True)
        taken = taken[only]
        at = (row[taken], week[taken], place[taken])
        lying = [
            weeks.quality[owner][spot] if (owner := (one, two)) in weeks.quality else 0
            for one, two, spot in zip(*(column.tolist() for column in at), strict=True)
        ]
        cell = np.concatenate((cell, cell[taken]))
        wh = np.concatenate((wh, weeks.wh[at]))
        source_id = np.concatenate((source_id, weeks.source_id[at[0], at[1]]))
        quality = np.concatenate((quality, np.array(lying, dtype=np.int64)))
        revision = np.concatenate((revision, np.full(len(taken), -1)))
    cell, best = _one_a_cell(cell, source_id, quality, revision, rank)
    weeks.wh.reshape(-1)[cell] = wh[best]


def _one_a_cell(
    cell: Ints, source_id: Ints, quality: Ints, revision: Ints, rank: Mapping[int, int]
) -> tuple[Ints, Ints]:
    """Cells, each once, and the number of the row believed there."""
    order = np.argsort(cell, kind="stable")
    in_order = cell[order]
    differs = np.concatenate(([True], in_order[1:] != in_order[:-1]))
    if differs.all():
        return cell, np.arange(len(cell))
    single = differs & np.concatenate((differs[1:], [True]))
    alone, again = order[single], order[~single]
    best = again[believed(cell[again], source_id[again], quality[again], revision[again], rank=rank)]
    rows = np.concatenate((alone, best))
    return cell[rows], rows


def _flow_of(
    form: int, payload: NDArray[np.uint8], flow: Flow
) -> tuple[NDArray[np.int32], NDArray[np.uint8] | None]:
    """Values of the flow [week, 336], ABSENT where missing, and quality where it differs."""
    import_wh, export_wh, quality = packed.values(form, payload)
    missing = import_wh == packed.NONE
    if export_wh is None:
        wh = import_wh if flow is not Flow.EXPORT else np.zeros_like(import_wh)
    else:
        wh = {Flow.NET: import_wh - export_wh, Flow.IMPORT: import_wh, Flow.EXPORT: export_wh}[flow]
    wh[missing] = ABSENT
    return wh, quality


def _of_flow(import_wh: Ints, export_wh: Ints, flow: Flow) -> Ints:
    if flow is Flow.NET:
        return import_wh - export_wh
    return import_wh if flow is Flow.IMPORT else export_wh


def _ends(*columns: Ints) -> Bools:
    """The last row of each stretch of equal values."""
    changes = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.concatenate((changes, [True]))


def _stretch(interval: Interval) -> tuple[Ints, Ints, Ints]:
    first, past = slots_within(interval)
    return np.zeros(1, dtype=np.int64), np.array([first]), np.array([past])
