"""Live power, up to a sample every 10 seconds: kept raw for a while where consented, else only counted.

`store_power` is the way in for CADs, hubs and emoncms devices. A sample that a live consent covers becomes a
row of `metering_live`; one that only a half-hourly consent covers is counted once into its half-hour
(`ticking.py`) and thrown away; any other is refused. `closing.py` makes half-hours of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.db.models import Max, Min
from numpy.typing import ArrayLike, NDArray
from psycopg.errors import UniqueViolation

from members.models import Granularity
from metering import copying, permits, sources, ticking
from metering.models import LivePower
from metering.rosters import Roster, numbered
from metering.slots import MICROSECONDS, POSTGRES_EPOCH, Bools, Ints, micros
from opendsr.kernel.interval import EPOCH, Interval
from opendsr.kernel.periods import civil_date

MOST_W: Final = 1_000_000
AHEAD: Final = timedelta(minutes=5)
RAW_KEPT: Final = timedelta(days=30)
COUNTED_FOR: Final = timedelta(days=3)

STAGE: Final = """
    CREATE TEMPORARY TABLE IF NOT EXISTS metering_live_stage
    (at timestamptz, stream_id uuid, power_w int4, source_id int2) ON COMMIT DELETE ROWS
"""
INSERT: Final = """
    INSERT INTO metering_live (at, stream_id, power_w, source_id)
    SELECT at, stream_id, max(power_w), source_id FROM metering_live_stage GROUP BY at, stream_id, source_id
    ORDER BY stream_id, at
    ON CONFLICT (stream_id, at, source_id) DO NOTHING
"""
# Of samples that differ at one instant the greatest counts, so the order in which they arrive does not.
RAISE: Final = """
    UPDATE metering_live AS held SET power_w = told.power_w FROM (
        SELECT at, stream_id, max(power_w) AS power_w, source_id FROM metering_live_stage
        GROUP BY at, stream_id, source_id
    ) AS told
    WHERE held.stream_id = told.stream_id AND held.at = told.at AND held.source_id = told.source_id
      AND held.power_w < told.power_w
"""
REFUSED: Final = """
    INSERT INTO metering_refusal AS held (on_date, source_id, code, rows)
    SELECT %s, %s, code, rows FROM unnest(%s::text[], %s::int8[]) AS told (code, rows)
    ON CONFLICT (on_date, source_id, code) DO UPDATE SET rows = held.rows + EXCLUDED.rows
"""
SAMPLES: Final = """
    SELECT 0, array_agg(at), array_agg(power_w) FROM (
        SELECT at, max(power_w) AS power_w FROM metering_live
        WHERE stream_id = %s AND at >= %s AND at < %s GROUP BY at ORDER BY at
    ) AS held HAVING count(*) > 0
"""


MEANS: Final = """
    SELECT place, array_agg(step), array_agg(watts) FROM (
        SELECT
            (place - 1)::int4 AS place,
            floor(extract(epoch FROM at - %s) / %s)::int4 AS step,
            round(avg(power_w))::int4 AS watts
        FROM (
            SELECT place, at, max(power_w) AS power_w
            FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (stream_id, place)
            JOIN metering_live AS held USING (stream_id)
            WHERE at >= %s AND at < %s
            GROUP BY place, at
        ) AS sample
        GROUP BY place, step
    ) AS mean GROUP BY place ORDER BY place
"""
TOLD: Final = """
    SELECT stream_id FROM unnest(%s::uuid[]) AS asked (stream_id)
    WHERE EXISTS (
        SELECT FROM metering_live AS held
        WHERE held.stream_id = asked.stream_id AND held.at >= %s AND held.at < %s
    )
"""


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What became of the samples: rows_read = stored + known + counted + all of `refused`."""

    rows_read: int = 0
    rows_stored: int = 0
    rows_known: int = 0
    rows_counted: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows_refused(self) -> int:
        """Samples that were kept in no form."""
        return sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Samples:
    """Columns of equal length; `stream` numbers a list of stream ids, `at` is microseconds since 1970."""

    stream: Ints
    at: Ints
    power_w: Ints

    def __len__(self) -> int:
        return len(self.at)

    def where(self, rows: Bools | Ints) -> Samples:
        """The chosen samples, in the order given."""
        return Samples(self.stream[rows], self.at[rows], self.power_w[rows])


def store_power(
    *,
    source: str,
    at: datetime,
    stream_ids: Sequence[UUID],
    measured_at: Sequence[datetime] | NDArray[np.datetime64],
    power_w: ArrayLike,
) -> LiveReport:
    """Store one sample an entry: whole watts, + import, - export, at the instant measured.

    Exactly once by (stream, instant, source), whatever arrives late, twice or out of order. Samples more than
    AHEAD in the future, older than RAW_KEPT, beyond MOST_W or outside the household's consent are refused and
    counted by reason; the others land.
    """
    watts = np.asarray(power_w)
    if watts.size and watts.dtype.kind not in "iu":
        raise TypeError(f"power_w must be whole watts, not {watts.dtype}")
    instants = micros(measured_at)
    if not len(stream_ids) == len(instants) == watts.size:
        raise ValueError("stream_ids, measured_at and power_w differ in length")
    streams, stream = numbered(stream_ids)
    samples = Samples(stream, instants, watts.astype(np.int64))
    refused: Counter[str] = Counter()
    with transaction.atomic():
        samples = _plausible(samples, at, refused)
        is_raw = _inside(samples, streams, Granularity.LIVE)
        raw, rest = samples.where(is_raw), samples.where(~is_raw)
        is_counted = _inside(rest, streams, Granularity.HALF_HOURLY)
        refused["no_consent"] += int((~is_counted).sum())
        counted = rest.where(is_counted)
        too_old = counted.at < _instant(at - COUNTED_FOR)
        refused["too_old"] += int(too_old.sum())
        counted = counted.where(~too_old)
        source_id = sources.source_id(source)
        stored = news = 0
        if len(raw):
            stored = _store_raw(raw, streams, source_id=source_id)
            ticking.mark(raw.stream, raw.at, streams, source_id=source_id, at_world=at)
        if len(counted):
            news = ticking.count(counted.stream, counted.at, counted.power_w, streams, source_id=source_id)
        refused = +refused
        if refused:
            count_refused(refused, source_id=source_id, at=at)
    return LiveReport(
        rows_read=len(instants),
        rows_stored=stored,
        rows_known=len(raw) + len(counted) - stored - news,
        rows_counted=news,
        refused=dict(refused),
    )


def power_of(stream_id: UUID, interval: Interval) -> tuple[NDArray[np.datetime64], Ints]:
    """Raw samples of the interval in order of time, UTC; of several sources at one instant the greatest."""
    for _, (at, power_w) in copying.read_groups(
        SAMPLES,
        [stream_id, interval.starts_at, interval.ends_at],
        kinds=(copying.INT8, copying.INT4),
    ):
        instants = (at.astype(np.int64) + POSTGRES_EPOCH).view("datetime64[us]")
        return instants, power_w.astype(np.int64)
    return np.zeros(0, dtype="datetime64[us]"), np.zeros(0, dtype=np.int64)


def mean_power(
    stream_ids: Sequence[UUID], interval: Interval, *, step: timedelta
) -> Iterator[tuple[int, Ints, Ints]]:
    """(place of the stream, steps, mean W of each) of the streams that told any; steps are counted from the
    interval's start. Of several sources at one instant the greatest counts.
    """
    asked = [interval.starts_at, step.total_seconds(), list(stream_ids), interval.starts_at, interval.ends_at]
    for place, (steps, watts) in copying.read_groups(MEANS, asked, kinds=(copying.INT4, copying.INT4)):
        yield place, steps.astype(np.int64), watts.astype(np.int64)


def is_any_told(interval: Interval) -> bool:
    """Whether any stream told any power in the interval."""
    return LivePower.objects.filter(at__gte=interval.starts_at, at__lt=interval.ends_at).exists()


def streams_told(stream_ids: Sequence[UUID], interval: Interval) -> set[UUID]:
    """Those of the streams that told any power in the interval."""
    with connection.cursor() as cursor:
        cursor.execute(TOLD, [list(stream_ids), interval.starts_at, interval.ends_at])
        return {stream_id for (stream_id,) in cursor.fetchall()}


def day_span(stream_id: UUID) -> tuple[date, date] | None:
    """The earliest and latest Europe/London days with a raw sample, None without one."""
    span = LivePower.objects.filter(stream_id=stream_id).aggregate(first=Min("at"), last=Max("at"))
    return None if span["first"] is None else (civil_date(span["first"]), civil_date(span["last"]))


def count_refused(refused: Mapping[str, int], *, source_id: int, at: datetime) -> None:
    """Add to the day's count of what was refused and why, for the data health board."""
    with connection.cursor() as cursor:
        cursor.execute(REFUSED, [at.date(), source_id, list(refused), list(refused.values())])


def _plausible(samples: Samples, at: datetime, refused: Counter[str]) -> Samples:
    for code, is_wrong in (
        ("future", samples.at > _instant(at + AHEAD)),
        ("too_old", samples.at < _instant(at - RAW_KEPT)),
        ("implausible", np.abs(samples.power_w) > MOST_W),
    ):
        refused[code] += int(is_wrong.sum())
    is_right = (samples.at <= _instant(at + AHEAD)) & (samples.at >= _instant(at - RAW_KEPT))
    is_right &= np.abs(samples.power_w) <= MOST_W
    return samples if is_right.all() else samples.where(is_right)


def _inside(samples: Samples, streams: Sequence[UUID], granularity: Granularity) -> Bools:
    """Whether the household lets a sample at this instant be kept this finely.

    What is rolled up needs consent to the whole half-hour.
    """
    if not len(samples):
        return np.zeros(0, dtype=bool)
    permitted = permits.permission(streams, granularity=granularity)
    if granularity == Granularity.LIVE:
        return permitted(samples.stream, samples.at, samples.at + 1)
    start = samples.at // MICROSECONDS * MICROSECONDS
    return permitted(samples.stream, start, start + MICROSECONDS)


def _store_raw(samples: Samples, streams: Roster, *, source_id: int) -> int:
    """COPY straight in, which the primary key refuses whole when any is known; then merge instead."""
    # In one order, so that two batches with rows in common wait for each other instead of deadlocking.
    samples = samples.where(np.lexsort((samples.at, streams.rank[samples.stream])))
    columns: dict[str, tuple[str, NDArray[Any] | int]] = {
        "at": (copying.INT8, samples.at - POSTGRES_EPOCH),
        "stream_id": (copying.UUID16, streams.ids[samples.stream]),
        "power_w": (copying.INT4, samples.power_w),
        "source_id": (copying.INT2, source_id),
    }
    try:
        with transaction.atomic():
            copying.write_columns("metering_live", columns, count=len(samples))
    except UniqueViolation:
        with connection.cursor() as cursor:
            cursor.execute(STAGE)
            cursor.execute("TRUNCATE metering_live_stage")
            copying.write_columns("metering_live_stage", columns, count=len(samples))
            cursor.execute(INSERT)
            landed = int(cursor.rowcount)
            if landed < len(samples):
                cursor.execute(RAISE)
            return landed
    return len(samples)


def _instant(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
