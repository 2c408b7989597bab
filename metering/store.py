"""The one way out for readings: cubes of civil days for calculations, rows for pages, what was known when.

A missing half-hour is missing, never zero. Where sources differ, `sources.py` says who is believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection

from metering import copying, sources
from metering.slots import Bools, Ints, civil_day_slots, slots_of_timestamps, start_of
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import MAX_PERIODS, civil_date

STREAMS_A_QUERY: Final = 2_000

# Net Wh, source, quality and revision of a row travel as one number: 32, 15, 2 and 15 bits.
CUBE: Final = """
    SELECT asked.number::int4, found.* FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (stream_id, number)
    CROSS JOIN unnest(%s::timestamptz[], %s::timestamptz[]) AS stretch (starts_at, ends_at)
    CROSS JOIN LATERAL (
        SELECT array_agg(starts_at) AS starts, array_agg(
            ((import_wh - export_wh)::int8 << 32) | (source_id::int8 << 17) | (quality::int8 << 15) | revision
        )
        FROM metering_half_hour AS held
        WHERE held.stream_id = asked.stream_id
          AND held.starts_at >= stretch.starts_at AND held.starts_at < stretch.ends_at
          AND held.known_at <= coalesce(%s::timestamptz, 'infinity')
    ) AS found
    WHERE found.starts IS NOT NULL
"""
CUBE_KINDS: Final = (copying.INT8, copying.INT8)
ROWS: Final = """
    SELECT held.starts_at, held.import_wh, held.export_wh, held.quality, source.code, held.revision,
           held.known_at, held.source_id
    FROM metering_half_hour AS held JOIN metering_source AS source ON source.id = held.source_id
    WHERE held.stream_id = %s AND held.starts_at >= %s AND held.starts_at < %s
      AND held.known_at <= coalesce(%s::timestamptz, 'infinity')
"""
LATEST: Final = """
    SELECT max(known_at) FROM metering_half_hour
    WHERE stream_id = ANY(%s::uuid[]) AND starts_at >= %s AND starts_at < %s
"""
SPAN: Final = """
    SELECT min(earliest.starts_at), max(latest.starts_at) FROM unnest(%s::uuid[]) AS asked (stream_id),
    LATERAL (SELECT starts_at FROM metering_half_hour AS held WHERE held.stream_id = asked.stream_id
             ORDER BY starts_at LIMIT 1) AS earliest,
    LATERAL (SELECT starts_at FROM metering_half_hour AS held WHERE held.stream_id = asked.stream_id
             ORDER BY starts_at DESC LIMIT 1) AS latest
"""


@dataclass(frozen=True, slots=True)
class DayCube:
    """Net Wh (import less export) by stream, Europe/London day and settlement period less one.

    `net_wh` and `present` are [stream, day, 50]; places past a day's last period and missing readings are
    False in `present` and 0 in `net_wh`.
    """

    stream_ids: tuple[UUID, ...]
    days: tuple[date, ...]
    net_wh: Ints
    present: Bools


@dataclass(frozen=True, slots=True)
class StoredHalfHour:
    """One half-hour as believed: newest revision of the best source."""

    starts_at: datetime
    import_wh: int
    export_wh: int
    quality: int
    source: str
    revision: int
    known_at: datetime


def day_cube(
    stream_ids: Sequence[UUID], days: Sequence[date], *, known_at: datetime | None = None
) -> DayCube:
    """Readings of whole civil days for many streams at once, as the store knew them by `known_at`.

    Streams and days come back in the order asked; a day or stream asked twice is a ValueError.
    """
    if len(set(stream_ids)) != len(stream_ids) or len(set(days)) != len(days):
        raise ValueError("a stream or a day was asked for twice")
    net_wh = np.zeros((len(stream_ids), len(days) * MAX_PERIODS), dtype=np.int64)
    present = np.zeros(net_wh.shape, dtype=bool)
    if len(stream_ids) and len(days):
        places, first_slot, stretches = _places(days)
        rank = sources.ranks()
        for start in range(0, len(stream_ids), STREAMS_A_QUERY):
            some = list(stream_ids[start : start + STREAMS_A_QUERY])
            parameters = [some, *stretches, known_at]
            for number, (starts_at, packed) in copying.read_groups(CUBE, parameters, kinds=CUBE_KINDS):
                row = start + number - 1
                place = places[slots_of_timestamps(starts_at.astype(np.int64)) - first_slot]
                place, net = _one_a_place(place, packed.astype(np.int64), rank)
                net_wh[row, place] = net
                present[row, place] = True
    shape = (len(stream_ids), len(days), MAX_PERIODS)
    return DayCube(tuple(stream_ids), tuple(days), net_wh.reshape(shape), present.reshape(shape))


def half_hours(stream_id: UUID, interval: Interval, known_at: datetime | None = None) -> list[StoredHalfHour]:
    """The half-hours that begin in the interval, in order of time; missing ones are left out."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS, [stream_id, interval.starts_at, interval.ends_at, known_at])
        rows = cursor.fetchall()
    if not rows:
        return []
    moments = {starts_at: number for number, starts_at in enumerate(sorted({row[0] for row in rows}))}
    place = np.array([moments[row[0]] for row in rows], dtype=np.int64)
    source_id, quality, revision = (np.array([row[at] for row in rows], dtype=np.int64) for at in (7, 3, 5))
    best = believed(place, source_id, quality, revision, rank=sources.ranks())
    return [StoredHalfHour(*rows[row][:7]) for row in best.tolist()]


def latest_known_at(stream_ids: Sequence[UUID], interval: Interval) -> datetime | None:
    """World time at which the store learned the newest of these readings; None when it has none."""
    with connection.cursor() as cursor:
        cursor.execute(LATEST, [list(stream_ids), interval.starts_at, interval.ends_at])
        (latest,) = cursor.fetchone()
    return latest if latest is None else latest.astimezone(UTC)


def day_span(stream_ids: Sequence[UUID]) -> tuple[date, date] | None:
    """The earliest and latest Europe/London days with a reading of any stream, None without readings."""
    with connection.cursor() as cursor:
        cursor.execute(SPAN, [list(stream_ids)])
        earliest, latest = cursor.fetchone()
    return None if earliest is None else (civil_date(earliest), civil_date(latest))


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


def _one_a_place(place: Ints, packed: Ints, rank: Mapping[int, int]) -> tuple[Ints, Ints]:
    """Places, each once, and their believed net Wh, from what CUBE packs."""
    told = np.bincount(place)[place]
    if told.max() > 1:
        again = np.flatnonzero(told > 1)
        worth = packed[again]
        best = believed(place[again], worth >> 17 & 0x7FFF, worth >> 15 & 0x3, worth & 0x7FFF, rank=rank)
        rows = np.concatenate((np.flatnonzero(told == 1), again[best]))
        place, packed = place[rows], packed[rows]
    return place, packed >> 32


def _ends(*columns: Ints) -> Bools:
    """The last row of each stretch of equal values."""
    changes = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.concatenate((changes, [True]))


def _places(days: Sequence[date]) -> tuple[Ints, int, tuple[list[datetime], list[datetime]]]:
    """Cube place of each slot, the first slot, and the stretches of slots to ask for."""
    first, count = civil_day_slots(days)
    start, past = int(first.min()), int((first + count).max())
    places = np.full(past - start, -1, dtype=np.int64)
    for day, (slot, periods) in enumerate(zip(first.tolist(), count.tolist(), strict=True)):
        places[slot - start : slot - start + periods] = day * MAX_PERIODS + np.arange(periods)
    order = np.argsort(first)
    breaks = first[order][1:] != (first + count)[order][:-1]
    starts = first[order][np.concatenate(([True], breaks))]
    ends = (first + count)[order][np.concatenate((breaks, [True]))]
    return places, start, ([start_of(slot) for slot in starts], [start_of(slot) for slot in ends])
