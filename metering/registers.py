"""Readings of cumulative registers, kept a half-hour at a time until it is over, then turned into half-hours.

Of a half-hour four samples are kept, however many come: the earliest, the latest, the highest and the lowest.
Each is a maximum or minimum, so arrivals in any order, twice or late lead to the same row; together they show
a register that fell back (a device that restarted). Nothing finer than the half-hour's ends is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction

from metering import halfhours, ingest, sources
from metering.slots import Ints, slot_of, start_of
from opendsr.kernel.interval import EPOCH

IMPORT, EXPORT = 0, 1
CHANNELS: Final = {"import": IMPORT, "export": EXPORT}
WH_BITS, OFFSET_BITS = 50, 11
MOST_WH: Final = (1 << WH_BITS) - 1
OFFSET: Final = (1 << OFFSET_BITS) - 1
SLOT_SECONDS: Final = 1800
KEEP: Final = timedelta(days=7)
SETTLE: Final = timedelta(minutes=15)
AHEAD: Final = timedelta(minutes=5)
PIECE: Final = 5_000
LOCK: Final = 0x4D45_5247

Key = tuple[UUID, int, int, int]
"""Stream, source number, channel, slot."""

UPSERT: Final = """
    INSERT INTO metering_register AS held
        (stream_id, source_id, channel, slot, earliest, latest, highest, lowest, is_pending)
    SELECT *, true FROM unnest(
        %s::uuid[], %s::int2[], %s::int2[], %s::int4[], %s::int8[], %s::int8[], %s::int8[], %s::int8[])
    ON CONFLICT (stream_id, source_id, channel, slot) DO UPDATE SET
        earliest = least(held.earliest, excluded.earliest), latest = greatest(held.latest, excluded.latest),
        highest = greatest(held.highest, excluded.highest), lowest = least(held.lowest, excluded.lowest),
        is_pending = true
    WHERE excluded.earliest < held.earliest OR excluded.latest > held.latest
       OR excluded.highest > held.highest OR excluded.lowest < held.lowest
"""
DUE: Final = """
    SELECT stream_id, source_id, channel, slot FROM metering_register AS held
    WHERE is_pending AND (slot < %s OR (slot < %s AND EXISTS (
        SELECT FROM metering_register AS next WHERE next.stream_id = held.stream_id
        AND next.source_id = held.source_id AND next.channel = held.channel AND next.slot = held.slot + 1)))
    ORDER BY stream_id, source_id, slot LIMIT %s FOR UPDATE
"""
AROUND: Final = """
    SELECT DISTINCT held.stream_id, held.source_id, held.channel, held.slot,
           held.earliest, held.latest, held.highest, held.lowest
    FROM unnest(%s::uuid[], %s::int2[], %s::int4[]) AS due (stream_id, source_id, slot)
    JOIN metering_register AS held ON held.stream_id = due.stream_id AND held.source_id = due.source_id
     AND held.slot BETWEEN due.slot - 2 AND due.slot + 2
"""
SETTLED: Final = """
    UPDATE metering_register AS held SET is_pending = false
    FROM unnest(%s::uuid[], %s::int2[], %s::int2[], %s::int4[]) AS due (stream_id, source_id, channel, slot)
    WHERE held.stream_id = due.stream_id AND held.source_id = due.source_id
      AND held.channel = due.channel AND held.slot = due.slot
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A register of a stream at an instant."""

    stream_id: UUID
    source: str
    channel: int
    at: datetime
    wh: int


@dataclass(slots=True)
class Ends:
    """The four samples of a half-hour, each packed so that comparing numbers compares samples."""

    earliest: int
    latest: int
    highest: int
    lowest: int

    @classmethod
    def of(cls, offset: int, wh: int) -> Ends:
        """Of one sample, `offset` seconds into the half-hour; of two at one instant the greater wins."""
        earliest = offset << WH_BITS | (MOST_WH - wh)
        high = wh << OFFSET_BITS | offset
        return cls(earliest, offset << WH_BITS | wh, high, high)

    def join(self, other: Ends) -> None:
        """Take the other's samples in."""
        self.earliest = min(self.earliest, other.earliest)
        self.latest = max(self.latest, other.latest)
        self.highest = max(self.highest, other.highest)
        self.lowest = min(self.lowest, other.lowest)

    def samples(self) -> set[tuple[int, int]]:
        """The (offset, Wh) pairs that are known of the half-hour."""
        return {
            (self.earliest >> WH_BITS, MOST_WH - (self.earliest & MOST_WH)),
            (self.latest >> WH_BITS, self.latest & MOST_WH),
            (self.highest & OFFSET, self.highest >> OFFSET_BITS),
            (self.lowest & OFFSET, self.lowest >> OFFSET_BITS),
        }


def is_timely(sample_at: datetime, at: datetime) -> bool:
    """Whether a sample may still be taken in at `at`: not from the future, not from before what is kept."""
    return at - KEEP + timedelta(days=1) <= sample_at <= at + AHEAD


def gathered(samples: Iterable[Sample]) -> dict[Key, Ends]:
    """Samples by half-hour, in whatever order they come."""
    rows: dict[Key, Ends] = {}
    numbers: dict[str, int] = {}
    for sample in samples:
        source = numbers.get(sample.source)
        if source is None:
            source = numbers[sample.source] = sources.source_id(sample.source)
        seconds = int((sample.at - EPOCH).total_seconds())
        slot, offset = divmod(seconds, SLOT_SECONDS)
        key = (sample.stream_id, source, sample.channel, slot)
        ends = Ends.of(offset, sample.wh)
        known = rows.get(key)
        if known is None:
            rows[key] = ends
        else:
            known.join(ends)
    return rows


def take_in(samples: Iterable[Sample]) -> int:
    """Keep what the samples add; inside the caller's transaction. Returns the half-hours touched."""
    rows = gathered(samples)
    if not rows:
        return 0
    keys = sorted(rows)
    ends = [rows[key] for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(
            UPSERT,
            [
                *(_array(column) for column in zip(*keys, strict=True)),
                _array([each.earliest for each in ends]),
                _array([each.latest for each in ends]),
                _array([each.highest for each in ends]),
                _array([each.lowest for each in ends]),
            ],
        )
    return len(keys)


@transaction.atomic
def convert(*, at: datetime, limit: int = PIECE) -> int:
    """Turn registers of half-hours that are over into readings of the store; how many rows were dealt with.

    A half-hour waits for the first sample after it, SETTLE at most, so that its end is known. One that
    changes later is converted again with its neighbours and becomes a correction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(DUE, [slot_of(at - SETTLE), slot_of(at), limit])
        due = cursor.fetchall()
        if not due:
            return 0
        streams, numbers, channels, slots = (list(column) for column in zip(*due, strict=True))
        cursor.execute(AROUND, [streams, numbers, slots])
        around = cursor.fetchall()
        cursor.execute(SETTLED, [streams, numbers, channels, slots])
        cursor.execute("SELECT id, code FROM metering_source WHERE id = ANY(%s)", [list(set(numbers))])
        codes = dict(cursor.fetchall())
    wanted = {(stream, number, slot + near) for stream, number, _, slot in due for near in (-1, 0, 1)}
    for number, code in sorted(codes.items()):
        rows = [row for row in around if row[1] == number]
        over = slot_of(at)
        _store(
            rows,
            {(stream, slot) for stream, each, slot in wanted if each == number and slot < over},
            code,
            at,
        )
    return len(due)


def forget(*, at: datetime) -> int:
    """Drop what is older than KEEP; samples that old are refused, so nothing is converted from a part."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM metering_register WHERE slot < %s", [slot_of(at - KEEP)])
        return int(cursor.rowcount)


def _store(
    rows: Sequence[tuple[UUID, int, int, int, int, int, int, int]],
    wanted: set[tuple[UUID, int]],
    code: str,
    at: datetime,
) -> None:
    """Convert the rows of one source and offer the wanted half-hours to the store."""
    import_of, export_of = (
        _half_hours([row for row in rows if row[2] == channel]) for channel in (IMPORT, EXPORT)
    )
    has_export = {row[0] for row in rows if row[2] == EXPORT}
    told = []
    for key in sorted(wanted):
        stream, _ = key
        imported, exported = import_of.get(key), export_of.get(key)
        if imported is None or (exported is None and stream in has_export):
            continue
        covered = imported[1] if exported is None else min(imported[1], exported[1])
        if covered >= halfhours.LEAST_PCT:
            quality = 0 if covered >= halfhours.MEASURED_PCT else 1
            told.append((*key, imported[0], 0 if exported is None else exported[0], quality))
    if told:
        stream_ids, slots, import_wh, export_wh, quality_of = (
            list(column) for column in zip(*told, strict=True)
        )
        ingest.store_readings(
            source=code,
            name=f"registers to {start_of(max(slots)):%Y-%m-%d %H:%M}Z",
            at=at,
            stream_ids=stream_ids,
            starts_at=[start_of(slot) for slot in slots],
            import_wh=np.array(import_wh, dtype=np.int64),
            export_wh=np.array(export_wh, dtype=np.int64),
            quality=np.array(quality_of, dtype=np.int64),
        )


def _array(values: Sequence[int | UUID]) -> str:
    """PostgreSQL's own writing of an array of numbers or ids: one value to hand over instead of thousands."""
    return "{" + ",".join(map(str, values)) + "}"


def _half_hours(
    rows: Sequence[tuple[UUID, int, int, int, int, int, int, int]],
) -> dict[tuple[UUID, int], tuple[int, int]]:
    """Wh and covered per cent of each (stream, slot) that the rows of one channel tell of."""
    numbers: dict[UUID, int] = {}
    samples: dict[str, list[int]] = defaultdict(list)
    for stream, _, _, slot, *packed in rows:
        number = numbers.setdefault(stream, len(numbers))
        for offset, wh in Ends(*packed).samples():
            samples["stream"].append(number)
            samples["at"].append((slot * SLOT_SECONDS + offset) * 1_000_000)
            samples["wh"].append(wh)
    if not numbers:
        return {}
    columns = [np.array(samples[name], dtype=np.int64) for name in ("stream", "at", "wh")]
    found = halfhours.from_registers(*columns)
    names = list(numbers)
    told: tuple[Ints, ...] = (found.stream, found.slot, found.import_wh, found.covered_pct)
    return {
        (names[number], slot): (energy, covered)
        for number, slot, energy, covered in zip(*(column.tolist() for column in told), strict=True)
    }
