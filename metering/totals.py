"""Days and months of households that consent to no half-hours: summed as they come, then forgotten.

Each half-hour counts once into the total of its Europe/London day or month and is thrown away, so a later
value for one that is counted already cannot be told from the first and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection

from metering.checking import Readings
from metering.models import PeriodTotal
from metering.slots import MICROSECONDS, Ints, slot_of, start_of
from opendsr.kernel.periods import civil_date, day_interval

DAILY, MONTHLY = PeriodTotal.Granularity.DAILY.value, PeriodTotal.Granularity.MONTHLY.value
ONE_DAY: Final = timedelta(days=1)

HELD: Final = """
    SELECT asked.number, held.counted, held.import_wh, held.export_wh
    FROM unnest(%s::int4[], %s::uuid[], %s::date[]) AS asked (number, stream_id, starts_on)
    JOIN metering_period_total AS held
      ON held.stream_id = asked.stream_id AND held.starts_on = asked.starts_on
     AND held.granularity = %s AND held.source_id = %s
"""
PUT: Final = """
    INSERT INTO metering_period_total
        (stream_id, starts_on, ends_on, granularity, source_id, import_wh, export_wh, half_hours, counted,
         known_at)
    SELECT stream_id, starts_on, ends_on, %s, %s, import_wh, export_wh, half_hours, counted, %s
    FROM unnest(%s::uuid[], %s::date[], %s::date[], %s::int8[], %s::int8[], %s::int4[], %s::bytea[])
      AS told (stream_id, starts_on, ends_on, import_wh, export_wh, half_hours, counted)
    ON CONFLICT (stream_id, starts_on, granularity, source_id) DO UPDATE
    SET import_wh = EXCLUDED.import_wh, export_wh = EXCLUDED.export_wh, half_hours = EXCLUDED.half_hours,
        counted = EXCLUDED.counted, known_at = EXCLUDED.known_at
"""


def period(slot: int, granularity: str) -> tuple[date, date]:
    """First Europe/London date of the day or month the half-hour is in, and the one after its last."""
    day = civil_date(start_of(slot))
    if granularity == DAILY:
        return day, day + ONE_DAY
    first = day.replace(day=1)
    return first, (first + 31 * ONE_DAY).replace(day=1)


def bounds(slots: Ints, granularity: str) -> tuple[Ints, Ints]:
    """Start and end, in microseconds since 1970, of each half-hour's day or month."""
    unique, place = np.unique(slots, return_inverse=True)
    found = np.empty((2, len(unique)), dtype=np.int64)
    for number, slot in enumerate(unique.tolist()):
        first, past = period(slot, granularity)
        found[:, number] = slot_of(day_interval(first).starts_at), slot_of(day_interval(past).starts_at)
    return found[0, place.ravel()] * MICROSECONDS, found[1, place.ravel()] * MICROSECONDS


def add(
    readings: Readings, streams: Sequence[UUID], *, granularity: str, source_id: int, at: datetime
) -> int:
    """Add the half-hours to their totals, each once; how many were new. The caller holds the turn."""
    keys: dict[tuple[int, date, date], list[int]] = {}
    for row, (stream, slot) in enumerate(zip(readings.stream.tolist(), readings.slot.tolist(), strict=True)):
        keys.setdefault((stream, *period(slot, granularity)), []).append(row)
    asked = list(keys)
    owners = [streams[stream] for stream, _, _ in asked]
    with connection.cursor() as cursor:
        firsts = [first for _, first, _ in asked]
        cursor.execute(HELD, [list(range(len(asked))), owners, firsts, granularity, source_id])
        held = {number: (bytes(counted), imp, exp) for number, counted, imp, exp in cursor.fetchall()}
        put: list[tuple[UUID, date, date, int, int, int, bytes]] = []
        news = 0
        for number, key in enumerate(asked):
            _, first, past = key
            start, end = slot_of(day_interval(first).starts_at), slot_of(day_interval(past).starts_at)
            counted, import_wh, export_wh = held.get(number, (b"", 0, 0))
            bits = np.zeros(-(-(end - start) // 8) * 8, dtype=bool)
            if counted:
                bits[:] = np.unpackbits(np.frombuffer(counted, dtype=np.uint8))
            rows = np.array(keys[key])
            rows = rows[~bits[readings.slot[rows] - start]]
            if not len(rows):
                continue
            bits[readings.slot[rows] - start] = True
            news += len(rows)
            import_wh += int(readings.import_wh[rows].sum())
            export_wh += int(readings.export_wh[rows].sum())
            packed = np.packbits(bits).tobytes()
            put.append((owners[number], first, past, import_wh, export_wh, int(bits.sum()), packed))
        if put:
            cursor.execute(PUT, [granularity, source_id, at, *map(list, zip(*put, strict=True))])
    return news


def of_streams(streams: Sequence[UUID]) -> list[PeriodTotal]:
    """The totals kept of the streams, newest first."""
    found = PeriodTotal.objects.filter(stream_id__in=list(streams)).select_related("source")
    return list(found.order_by("-starts_on", "granularity", "source_id"))
