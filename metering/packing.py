"""Closed days packed: the newest revision of each of their half-hours goes into its week, the others aside.

A job runs this every night; a late reading of a closed day waits as a row until the next. Readers and imports
take rows and packed weeks alike, so it does not matter when, how often or how far this has run. What one
transaction packs it takes turns for with imports of the same streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from psycopg.types.numeric import Int2, Int4, Int8

from metering import copying, packed, revising, rosters
from metering.held import Held, all_revisions
from metering.packed import BLOCK, Blocks, Packed
from metering.slots import Ints, instant_of, slot_of, timestamps

CLOSED_AFTER: Final = timedelta(hours=3)
STREAMS_A_TURN: Final = 200

WAITING: Final = """
    SELECT stream_id, (extract(epoch FROM min(starts_at)) / 1800)::int8,
           (extract(epoch FROM max(starts_at)) / 1800)::int8
    FROM metering_half_hour WHERE starts_at < to_timestamp(%s * 1800) GROUP BY stream_id
"""
TAKE: Final = """
    DELETE FROM metering_half_hour WHERE stream_id = ANY(%s::uuid[]) AND starts_at < to_timestamp(%s * 1800)
"""
STAGE: Final = """
    CREATE TEMPORARY TABLE IF NOT EXISTS metering_packed_stage
    (LIKE energy.metering_packed) ON COMMIT DELETE ROWS
"""
COLUMNS: Final = (
    "latest_known_at, run_id, stream_id, block, first_slot, past_slot, source_id, form, payload, detail"
)
REPLACE: Final = f"""
    INSERT INTO metering_packed ({COLUMNS})
    SELECT {COLUMNS} FROM metering_packed_stage ORDER BY stream_id, block, source_id
    ON CONFLICT (stream_id, block, source_id) DO UPDATE
    SET latest_known_at = EXCLUDED.latest_known_at, run_id = EXCLUDED.run_id, form = EXCLUDED.form,
        first_slot = EXCLUDED.first_slot, past_slot = EXCLUDED.past_slot, payload = EXCLUDED.payload,
        detail = EXCLUDED.detail
"""  # noqa: S608
KINDS: Final = ("timestamptz", "int8", "uuid", "int4", "int4", "int4", "int2", "int2", "bytea", "bytea")


@dataclass(frozen=True, slots=True)
class PackReport:
    """What one run did."""

    streams: int = 0
    half_hours: int = 0
    superseded: int = 0
    weeks: int = 0


def pack_closed(*, at: datetime) -> PackReport:
    """Pack every half-hour of the days (UTC) that had been over for CLOSED_AFTER at `at`."""
    day_over = at - CLOSED_AFTER
    before = slot_of(day_over) // 48 * 48
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [before])
        waiting = {stream_id: (first, latest + 1) for stream_id, first, latest in cursor.fetchall()}
    # By lock bucket, so that a turn keeps as few other streams' imports waiting as may be.
    streams = sorted(waiting, key=lambda stream_id: (stream_id.int % revising.LOCK_BUCKETS, stream_id.int))
    total = PackReport()
    for start in range(0, len(streams), STREAMS_A_TURN):
        some = streams[start : start + STREAMS_A_TURN]
        done = _pack(some, before)
        total = PackReport(
            streams=total.streams + done.streams,
            half_hours=total.half_hours + done.half_hours,
            superseded=total.superseded + done.superseded,
            weeks=total.weeks + done.weeks,
        )
    return total


def _pack(streams: Sequence[UUID], before: int) -> PackReport:
    with transaction.atomic(), revising.turn_of(streams):
        with connection.cursor() as cursor:
            cursor.execute(WAITING + " HAVING stream_id = ANY(%s::uuid[])", [before, list(streams)])
            waiting = {stream_id: (first, latest + 1) for stream_id, first, latest in cursor.fetchall()}
        if not waiting:
            return PackReport()
        known = list(waiting)
        rows = all_revisions(known, *_whole_weeks(list(waiting.values())))
        rows = rows.where(rows.slot < before)
        newest, older = _newest(rows)
        write_weeks(newest, known)
        with connection.cursor() as cursor:
            cursor.execute(TAKE, [known, before])
            taken = int(cursor.rowcount)
        aside = _write_superseded(older, known)
    return PackReport(len(known), taken, aside, len(_weeks_of(newest)[0]))


def _whole_weeks(spans: Sequence[tuple[int, int]]) -> tuple[Ints, Ints, Ints]:
    first = np.array([span[0] for span in spans], dtype=np.int64) // BLOCK * BLOCK
    past = -(-np.array([span[1] for span in spans], dtype=np.int64) // BLOCK) * BLOCK
    return np.arange(len(spans), dtype=np.int64), first, past


def _newest(rows: Held) -> tuple[Held, Held]:
    """The newest revision of each (stream, source, half-hour), and the others."""
    order = np.lexsort((rows.revision, rows.slot, rows.source_id, rows.stream))
    rows = rows.where(order)
    last = np.ones(len(rows), dtype=bool)
    last[:-1] = (
        (rows.stream[1:] != rows.stream[:-1])
        | (rows.source_id[1:] != rows.source_id[:-1])
        | (rows.slot[1:] != rows.slot[:-1])
    )
    return rows.where(last), rows.where(~last)


def _weeks_of(rows: Held) -> tuple[Ints, Ints]:
    """First row of each (stream, source, week) of rows in that order, and the week number of each row."""
    block = rows.slot // BLOCK
    heads = np.ones(len(rows), dtype=bool)
    heads[1:] = (
        (rows.stream[1:] != rows.stream[:-1])
        | (rows.source_id[1:] != rows.source_id[:-1])
        | (block[1:] != block[:-1])
    )
    return np.flatnonzero(heads), np.cumsum(heads) - 1


def write_weeks(rows: Held, streams: Sequence[UUID]) -> None:
    """Put whole weeks, in order of (stream, source, slot), in the place of what is packed of them."""
    heads, week = _weeks_of(rows)
    blocks = Blocks.empty(len(heads))
    place = rows.slot % BLOCK
    for name in ("import_wh", "export_wh", "quality", "known_at", "run_id", "revision"):
        getattr(blocks, name)[week, place] = getattr(rows, name)
    owner, block = rows.stream[heads].tolist(), (rows.slot[heads] // BLOCK).tolist()
    source = rows.source_id[heads].tolist()
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        with cursor.copy(f"COPY metering_packed_stage ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(KINDS)
            for number, one in enumerate(packed.pack(blocks)):
                copy.write_row(_row(one, streams[owner[number]], block[number], source[number]))
        cursor.execute(REPLACE)
        cursor.execute("TRUNCATE metering_packed_stage")


def _row(one: Packed, stream_id: UUID, block: int, source_id: int) -> tuple[object, ...]:
    return (
        instant_of(one.latest_known_at),
        Int8(one.run_id),
        stream_id,
        Int4(block),
        Int4(block * BLOCK + one.first),
        Int4(block * BLOCK + one.past),
        Int2(source_id),
        Int2(one.form),
        one.payload,
        one.detail,
    )


def _write_superseded(rows: Held, streams: Sequence[UUID]) -> int:
    """Set aside what is not there yet."""
    if not len(rows):
        return 0
    ids = rosters.uuids(streams)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS metering_superseded_stage"
            " (LIKE energy.metering_superseded) ON COMMIT DELETE ROWS"
        )
        copying.write_columns(
            "metering_superseded_stage",
            {
                "starts_at": (copying.INT8, timestamps(rows.slot)),
                "known_at": (copying.INT8, rows.known_at),
                "run_id": (copying.INT8, rows.run_id),
                "stream_id": (copying.UUID16, ids[rows.stream]),
                "import_wh": (copying.INT4, rows.import_wh),
                "export_wh": (copying.INT4, rows.export_wh),
                "source_id": (copying.INT2, rows.source_id),
                "revision": (copying.INT2, rows.revision),
                "quality": (copying.INT2, rows.quality),
            },
            count=len(rows),
        )
        cursor.execute(
            "INSERT INTO metering_superseded SELECT * FROM metering_superseded_stage ON CONFLICT DO NOTHING"
        )
        added = int(cursor.rowcount)
        cursor.execute("TRUNCATE metering_superseded_stage")
    return added
