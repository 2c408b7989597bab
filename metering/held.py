"""Every revision that the store holds of stretches of streams, wherever it lies: rows, packed or superseded.

The thorough way to read, for an import that asks what is known already and for pages about a home or a few.
`store.day_cube` reads thousands of streams at once without making rows of packed weeks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection

from metering import copying, packed
from metering.packed import BLOCK, Packed
from metering.slots import Bools, Ints, slots_of_timestamps, timestamp

STRETCHES_A_QUERY: Final = 20_000

# OFFSET 0 keeps the planner to one look into the index a stretch, whatever it believes of the table.
NARROW: Final = """
    SELECT run.number::int4, array_agg(starts_at), array_agg(known_at), array_agg(run_id),
           array_agg(import_wh), array_agg(export_wh), array_agg(source_id), array_agg(quality),
           array_agg(revision)
    FROM unnest(%s::uuid[], %s::int8[], %s::int8[]) WITH ORDINALITY AS run (stream_id, first, past, number)
    CROSS JOIN LATERAL (
        SELECT * FROM {} AS held
        WHERE held.stream_id = run.stream_id AND held.source_id = coalesce(%s::int2, held.source_id)
          AND held.starts_at >= to_timestamp(run.first * 1800)
          AND held.starts_at < to_timestamp(run.past * 1800)
        OFFSET 0
    ) AS found
    GROUP BY run.number
"""
TABLES: Final = ("metering_half_hour", "metering_superseded")
NARROW_KINDS: Final = (
    copying.INT8,
    copying.INT8,
    copying.INT8,
    copying.INT4,
    copying.INT4,
    copying.INT2,
    copying.INT2,
    copying.INT2,
)
PACKED: Final = """
    SELECT run.number::int4, held.block, held.source_id, held.form, held.latest_known_at, held.run_id,
           held.payload, held.detail
    FROM unnest(%s::uuid[], %s::int8[], %s::int8[]) WITH ORDINALITY AS run (stream_id, first, past, number)
    JOIN metering_packed AS held
      ON held.stream_id = run.stream_id AND held.source_id = coalesce(%s::int2, held.source_id)
     AND held.block >= run.first / 336 AND held.block <= (run.past - 1) / 336
     AND held.first_slot < run.past AND held.past_slot > run.first
"""


@dataclass(frozen=True, slots=True)
class Held:
    """Columns of equal length, in no order; `stream` numbers the streams asked, `known_at` as PostgreSQL."""

    stream: Ints
    slot: Ints
    import_wh: Ints
    export_wh: Ints
    quality: Ints
    source_id: Ints
    revision: Ints
    known_at: Ints
    run_id: Ints

    def __len__(self) -> int:
        return len(self.slot)

    def where(self, rows: Bools | Ints) -> Held:
        """The chosen rows, in the order given."""
        return Held(*(getattr(self, column.name)[rows] for column in fields(self)))


def packed_before() -> int:
    """One past the latest half-hour that is packed of any stream; from there on, rows are all there is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(past_slot), 0) FROM metering_packed")
        return int(cursor.fetchone()[0])


def all_revisions(
    streams: Sequence[UUID], stream: Ints, first: Ints, past: Ints, *, source_id: int | None = None
) -> Held:
    """All revisions in the stretches of slots [first, past) of the numbered streams, of one source or of all.

    Stretches of one stream must not overlap.
    """
    parts: list[Held] = [Held(*(np.zeros(0, dtype=np.int64) for _ in fields(Held)))]
    for start in range(0, len(stream), STRETCHES_A_QUERY):
        some = slice(start, start + STRETCHES_A_QUERY)
        asked = (stream[some], first[some], past[some])
        parts += _narrow(streams, *asked, source_id)
        parts += _packed(streams, *asked, source_id)
    return Held(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Held)))


def _narrow(
    streams: Sequence[UUID], stream: Ints, first: Ints, past: Ints, source_id: int | None
) -> Iterator[Held]:
    parameters = [*_stretches(streams, stream, first, past), source_id]
    groups = (
        group
        for table in TABLES
        for group in copying.read_groups(NARROW.format(table), parameters, kinds=NARROW_KINDS)
    )
    for number, columns in groups:
        starts, known_at, run_id, import_wh, export_wh, source, quality, revision = (
            column.astype(np.int64) for column in columns
        )
        yield Held(
            stream=np.full(len(starts), stream[number - 1], dtype=np.int64),
            slot=slots_of_timestamps(starts),
            import_wh=import_wh,
            export_wh=export_wh,
            quality=quality,
            source_id=source,
            revision=revision,
            known_at=known_at,
            run_id=run_id,
        )


def _packed(
    streams: Sequence[UUID], stream: Ints, first: Ints, past: Ints, source_id: int | None
) -> Iterator[Held]:
    with connection.cursor() as cursor:
        cursor.execute(PACKED, [*_stretches(streams, stream, first, past), source_id])
        rows = cursor.fetchall()
    if not rows:
        return
    blocks = packed.unpack(
        [
            Packed(form, 0, 0, timestamp(latest), run, bytes(payload), bytes(detail))
            for _, _, _, form, latest, run, payload, detail in rows
        ]
    )
    number = np.array([row[0] - 1 for row in rows], dtype=np.int64)
    block = np.array([row[1] for row in rows], dtype=np.int64)
    source = np.array([row[2] for row in rows], dtype=np.int64)
    row, place = np.nonzero(packed.is_there(blocks))
    slot = block[row] * BLOCK + place
    asked = (slot >= first[number[row]]) & (slot < past[number[row]])
    row, place, slot = row[asked], place[asked], slot[asked]
    yield Held(
        stream=stream[number[row]],
        slot=slot,
        import_wh=blocks.import_wh[row, place],
        export_wh=blocks.export_wh[row, place],
        quality=blocks.quality[row, place],
        source_id=source[row],
        revision=blocks.revision[row, place],
        known_at=blocks.known_at[row, place],
        run_id=blocks.run_id[row, place],
    )


def _stretches(streams: Sequence[UUID], stream: Ints, first: Ints, past: Ints) -> list[str]:
    return [
        array_literal(streams[number].hex for number in stream.tolist()),
        array_literal(map(str, first.tolist())),
        array_literal(map(str, past.tolist())),
    ]


def array_literal(items: Iterator[str]) -> str:
    """The items as PostgreSQL writes an array: one parameter, where a list would be quoted item by item."""
    return "{" + ",".join(items) + "}"
