"""Half-hourly prices, carbon and temperatures: files in, each row stored or refused by name; arrays out.

They are what the co-op follows, shown beside a member's use; nobody is charged or paid by prices and carbon.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import IO, Any, Final

import numpy as np
from django.db import connection, transaction

from metering import copying, rejects
from metering.adapters import rate_files
from metering.adapters.formats import Reject
from metering.adapters.rate_files import Rate
from metering.models import HalfHourlyRate
from metering.slots import Bools, Ints, civil_day_slots, slots_of_timestamps, start_of
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import MAX_PERIODS

Kind = HalfHourlyRate.Kind
SCALE: Final = rate_files.SCALE
TENTH: Final = SCALE // 10

PUT: Final = """
    INSERT INTO metering_rate AS held (kind, starts_at, value, source, known_at)
    SELECT kind, starts_at, value, %s, %s
    FROM unnest(%s::text[], %s::timestamptz[], %s::numeric[]) AS told (kind, starts_at, value)
    ON CONFLICT (kind, starts_at) DO UPDATE
    SET value = excluded.value, source = excluded.source, known_at = excluded.known_at
    WHERE held.value <> excluded.value AND held.known_at <= excluded.known_at
    RETURNING held.xmax <> 0
"""
HELD: Final = """
    SELECT 0, array_agg(starts_at), array_agg((value * 10000)::int4)
    FROM metering_rate
    WHERE kind = %s AND starts_at >= to_timestamp(%s * 1800) AND starts_at < to_timestamp(%s * 1800)
    HAVING count(*) > 0
"""


@dataclass(frozen=True, slots=True)
class RatesReport:
    """What a file came to: values read = stored (new or corrected) + unchanged; refused rows are told.

    `gap_half_hours` are those missing between the first and the last of each kind.
    """

    adapter: str
    values_read: int
    values_stored: int
    values_corrected: int
    gap_half_hours: int
    interval: Interval | None
    rejects: tuple[Reject, ...]


def import_rates(
    *,
    file: str | os.PathLike[str] | IO[Any],
    name: str,
    at: datetime,
    adapter: str | None = None,
    dry_run: bool = False,
) -> RatesReport:
    """Store a file's rates, CSV or JSON, gzipped or not; raises RatesUnusable. Again it changes nothing."""
    table = rate_files.open_table(file, name=name, adapter=adapter)
    found, refused = rate_files.read(table)
    with transaction.atomic(), connection.cursor() as cursor:
        kinds, slots, values = ([getattr(rate, part) for rate in found] for part in ("kind", "slot", "value"))
        cursor.execute(PUT, [table.adapter, at, kinds, [start_of(slot) for slot in slots], values])
        corrected = [is_known for (is_known,) in cursor.fetchall()]
        if dry_run:
            transaction.set_rollback(True)
    return RatesReport(
        adapter=table.adapter,
        values_read=len(found),
        values_stored=len(corrected),
        values_corrected=sum(corrected),
        gap_half_hours=_gaps(found),
        interval=Interval(start_of(min(slots)), start_of(max(slots) + 1)) if slots else None,
        rejects=tuple(refused),
    )


def reject_file(
    file: str | os.PathLike[str] | IO[Any],
    refused: Sequence[Reject],
    *,
    name: str,
    adapter: str | None = None,
) -> Iterator[str]:
    """The refused rows as a file, each as it came with its reason and fix; raises RatesUnusable."""
    table = rate_files.open_table(file, name=name, adapter=adapter)
    rows = dict(table.rows)
    told = ((rows.get(reject.line, ()), reject) for reject in refused)
    return rejects.told_rows(table.header, told, delimiter=table.delimiter)


def _gaps(found: Sequence[Rate]) -> int:
    slots = {
        kind: [rate.slot for rate in rates]
        for kind, rates in groupby(sorted(found, key=lambda rate: rate.kind), key=lambda rate: rate.kind)
    }
    return sum(max(each) - min(each) + 1 - len(each) for each in slots.values())


def of_slots(kind: Kind, first: int, past: int) -> tuple[Ints, Bools]:
    """Rates of slots [first, past) in whole ten-thousandths, and which are known; 0 where one is not."""
    value, known = np.zeros(past - first, dtype=np.int64), np.zeros(past - first, dtype=bool)
    for _, (starts_at, told) in copying.read_groups(
        HELD, [kind.value, first, past], kinds=(copying.INT8, copying.INT4)
    ):
        place = slots_of_timestamps(starts_at.astype(np.int64)) - first
        value[place], known[place] = told.astype(np.int64), True
    return value, known


def temperatures_of(days: Sequence[date]) -> tuple[Ints, Bools]:
    """Outdoor temperatures of civil days in tenths of a degree, and which are known: [day, period]."""
    value, known = np.zeros((len(days), MAX_PERIODS), np.int64), np.zeros((len(days), MAX_PERIODS), np.bool_)
    if not days:
        return value, known
    first, count = civil_day_slots(days)
    earliest = int(first.min())
    told, is_told = of_slots(Kind.TEMPERATURE, earliest, int((first + count).max()))
    for row, (start, periods) in enumerate(zip((first - earliest).tolist(), count.tolist(), strict=True)):
        value[row, :periods] = np.rint(told[start : start + periods] / TENTH)
        known[row, :periods] = is_told[start : start + periods]
    return value, known
