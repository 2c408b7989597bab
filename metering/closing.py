"""Half-hours that are over become readings: from raw live samples, or from what was counted of them.

A job runs this every minute. A sample that comes late makes its half-hour due again, and the reading gets a
revision when it changes something. Too little seen is a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction

from metering import copying, halfhours, ingest
from metering.halfhours import HOLD_SECONDS, HalfHours
from metering.models import Source
from metering.report import ImportReport
from metering.slots import MICROSECONDS, POSTGRES_EPOCH, Ints, start_of
from metering.ticking import GRACE, TICK, TICKS

HALF_HOURS_A_BATCH: Final = 10_000
HOLD: Final = timedelta(seconds=HOLD_SECONDS)

DUE: Final = """
    SELECT stream_id, (extract(epoch FROM starts_at) / 1800)::int8, source_id, seen, imported_w_ticks,
           exported_w_ticks
    FROM metering_open_half_hour
    WHERE is_due AND starts_at < to_timestamp(%s * 1800) AND source_id = (
        SELECT source_id FROM metering_open_half_hour
        WHERE is_due AND starts_at < to_timestamp(%s * 1800) ORDER BY starts_at LIMIT 1
    )
    ORDER BY starts_at, stream_id LIMIT %s FOR UPDATE SKIP LOCKED
"""
DONE: Final = """
    UPDATE metering_open_half_hour AS held SET is_due = false
    FROM unnest(%s::uuid[], %s::int8[]) AS told (stream_id, slot)
    WHERE held.stream_id = told.stream_id AND held.starts_at = to_timestamp(told.slot * 1800)
      AND held.source_id = %s
"""
FORGET: Final = "DELETE FROM metering_open_half_hour WHERE NOT is_due AND starts_at < %s"
RAW: Final = """
    SELECT asked.number, found.*
    FROM unnest(%s::int4[], %s::uuid[], %s::int8[]) AS asked (number, stream_id, slot)
    CROSS JOIN LATERAL (
        SELECT array_agg(at) AS at, array_agg(power_w) FROM metering_live AS held
        WHERE held.stream_id = asked.stream_id AND held.source_id = %s
          AND held.at >= to_timestamp(asked.slot * 1800) - %s::interval
          AND held.at < to_timestamp((asked.slot + 1) * 1800)
    ) AS found WHERE found.at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Due:
    """Half-hours of one source that are over, in columns; `seen` is how many ticks were counted unkept."""

    source_id: int
    streams: list[UUID]
    slot: Ints
    seen: Ints
    imported_w_ticks: Ints
    exported_w_ticks: Ints


def close_half_hours(*, at: datetime) -> list[ImportReport]:
    """Make readings of every half-hour that ended GRACE before `at` and has samples; one report a batch."""
    reports: list[ImportReport] = []
    while True:
        with transaction.atomic():
            due = _due(at)
            if due is None:
                return reports
            built = _built(due).worth_keeping()
            source = Source.objects.get(pk=due.source_id).code
            if len(built):
                reports.append(
                    ingest.store_readings(
                        source=source,
                        name=f"live power to {start_of(int(built.slot.max()) + 1):%Y-%m-%d %H:%M}Z",
                        at=at,
                        stream_ids=[due.streams[number] for number in built.stream.tolist()],
                        starts_at=(built.slot * MICROSECONDS).view("datetime64[us]"),
                        import_wh=built.import_wh,
                        export_wh=built.export_wh,
                        quality=built.quality,
                    )
                )
            with connection.cursor() as cursor:
                cursor.execute(DONE, [due.streams, due.slot.tolist(), due.source_id])


def forget_closed(*, before: datetime) -> int:
    """Drop the running sums of half-hours closed that began before; late samples count for nothing then."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [before])
        return int(cursor.rowcount)


def _due(at: datetime) -> Due | None:
    past = int((at - GRACE).timestamp()) // 1800
    with connection.cursor() as cursor:
        cursor.execute(DUE, [past, past, HALF_HOURS_A_BATCH])
        rows = cursor.fetchall()
    if not rows:
        return None
    streams, slot, source_id, seen, imported, exported = zip(*rows, strict=True)
    return Due(
        source_id=source_id[0],
        streams=list(streams),
        slot=np.array(slot, dtype=np.int64),
        seen=np.array([int.from_bytes(bits).bit_count() for bits in seen], dtype=np.int64),
        imported_w_ticks=np.array(imported, dtype=np.int64),
        exported_w_ticks=np.array(exported, dtype=np.int64),
    )


def _built(due: Due) -> HalfHours:
    """Each due half-hour from its raw samples, or from its running sum where it saw more."""
    number = np.arange(len(due.streams), dtype=np.int64)
    raw = _from_raw(due)
    covered = due.seen * 100 // TICKS
    by_raw = np.zeros(len(number), dtype=np.int64)
    by_raw[raw.stream] = raw.covered_pct
    counted = (due.seen > 0) & (covered > by_raw)
    some = number[counted]
    sums = HalfHours(
        stream=some,
        slot=due.slot[some],
        import_wh=halfhours.scaled_wh(due.imported_w_ticks[some] * TICK, due.seen[some] * TICK),
        export_wh=halfhours.scaled_wh(due.exported_w_ticks[some] * TICK, due.seen[some] * TICK),
        covered_pct=covered[some],
    )
    return _joined(raw.where(~counted[raw.stream]), sums)


def _from_raw(due: Due) -> HalfHours:
    asked = [list(range(len(due.streams))), due.streams, due.slot.tolist(), due.source_id, HOLD]
    parts: list[Sequence[Ints]] = [[np.zeros(0, dtype=np.int64)] * 3]
    for number, (at, power_w) in copying.read_groups(RAW, asked, kinds=(copying.INT8, copying.INT4)):
        instants = at.astype(np.int64) + POSTGRES_EPOCH
        parts.append([np.full(len(at), number, dtype=np.int64), instants, power_w.astype(np.int64)])
    owner, instants, power_w = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    built = halfhours.from_power(owner, instants, power_w)
    return built.where(built.slot == due.slot[built.stream])


def _joined(*parts: HalfHours) -> HalfHours:
    columns = ("stream", "slot", "import_wh", "export_wh", "covered_pct")
    return HalfHours(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
