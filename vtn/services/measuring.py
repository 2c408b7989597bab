"""Report values into the store: placed in time, in plain units, the later word on each interval holding."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from oadr import messages as m
from vtn.models import OfferedPoint, ReceivedReport, ReportRequest
from vtn.notices import FIRST_YEAR, LAST_YEAR, is_reckonable

MOST_VALUES: Final = 100_000
STATUS_REPORT: Final = "TELEMETRY_STATUS"
_METADATA_PREFIX: Final = "METADATA_"
_LONGEST_SECONDS: Final = 2**31 - 1
_FURTHEST_AHEAD: Final = timedelta(days=1)

_KEEP: Final = """
    INSERT INTO vtn_reported_value AS held
        (point_id, report_id, starts_at, duration_seconds, value, status, quality, confidence, said_at)
    SELECT fresh.point, %(report)s, fresh.starts_at, fresh.seconds, fresh.value, fresh.status::jsonb,
           fresh.quality, fresh.confidence, %(said_at)s
    FROM unnest(%(points)s::bigint[], %(starts)s::timestamptz[], %(seconds)s::int[], %(values)s::float8[],
                %(statuses)s::text[], %(qualities)s::text[], %(confidences)s::smallint[])
         AS fresh (point, starts_at, seconds, value, status, quality, confidence)
    ORDER BY fresh.point, fresh.starts_at
    ON CONFLICT (point_id, starts_at) DO UPDATE
    SET report_id = excluded.report_id, duration_seconds = excluded.duration_seconds,
        value = excluded.value, status = excluded.status, quality = excluded.quality,
        confidence = excluded.confidence, said_at = excluded.said_at
    WHERE held.said_at <= excluded.said_at
      AND (held.duration_seconds, held.value, held.status, held.quality, held.confidence)
          IS DISTINCT FROM (excluded.duration_seconds, excluded.value, excluded.status, excluded.quality,
                            excluded.confidence)
    RETURNING 1
"""


def store(request: ReportRequest, report: m.Report, *, at: datetime) -> tuple[int, str] | None:
    """Keep a report's values inside the caller's transaction; returns code and reason of the first left out.

    Values for points that were not asked for, that are no number, of no time on a calendar,
    or of the other kind than the report's (rules 331 and 510) are left out; the rest are kept.
    """
    points = {
        point.r_id: point
        for point in OfferedPoint.objects.filter(offer=request.offer_id, r_id__in=request.r_ids)
    }
    is_status = request.offer.name == STATUS_REPORT
    fault: tuple[int, str] | None = None
    rows: dict[tuple[int, datetime], tuple[Any, ...]] = {}
    for starts_at, seconds, value in _placed(report):
        point = points.get(value.r_id)
        wrong = _fault_of_value(value, point, is_status=is_status) or _fault_of_time(
            value, starts_at, seconds
        )
        if wrong is None and len(rows) >= MOST_VALUES:
            wrong = m.INVALID_DATA, f"more than {MOST_VALUES} values"
        if wrong is not None or point is None:
            fault = fault or wrong
            continue
        rows[point.pk, starts_at] = (point.pk, starts_at, seconds, *_columns(point, value))
    if rows:
        _keep(request, report, list(rows.values()), at=at)
    return fault


def _placed(report: m.Report) -> Iterator[tuple[datetime, int, m.ReportValue]]:
    """Yield start, length and value of each value.

    An interval without a start of its own follows the one before it; the first begins
    with the report, or when the report was made.
    """
    cursor = report.starts_at or report.created_at
    for interval in report.intervals:
        starts_at = interval.starts_at or cursor
        seconds = min(interval.duration_seconds or 0, _LONGEST_SECONDS)
        for value in interval.values:
            yield starts_at, seconds, value
        try:
            cursor = starts_at + timedelta(seconds=seconds)
        except OverflowError:
            cursor = starts_at


def _fault_of_value(
    value: m.ReportValue, point: OfferedPoint | None, *, is_status: bool
) -> tuple[int, str] | None:
    shown = value.r_id[:40]
    if point is None:
        return m.INVALID_ID, f"rID {shown} was not asked for"
    if is_status != isinstance(value.value, m.ResourceStatus):
        return m.INVALID_DATA, f"rID {shown}: {'a status' if is_status else 'a number'} was asked for"
    if isinstance(value.value, float) and not math.isfinite(value.value):
        return m.INVALID_DATA, f"rID {shown}: not a number"
    return None


def _fault_of_time(value: m.ReportValue, starts_at: datetime, seconds: int) -> tuple[int, str] | None:
    shown = value.r_id[:40]
    if not is_reckonable(starts_at):
        return m.INVALID_DATA, f"rID {shown}: a year from {FIRST_YEAR} to {LAST_YEAR}, not {starts_at.year}"
    if seconds < 0:
        return m.INVALID_DATA, f"rID {shown}: an interval of {seconds} seconds"
    return None


def _columns(point: OfferedPoint, value: m.ReportValue) -> tuple[float | None, str | None, str, int | None]:
    number, status = None, None
    if isinstance(value.value, m.ResourceStatus):
        status = json.dumps(_finite(asdict(value.value)))
    else:
        number = value.value * 10.0**point.exponent * point.factor
        number = number if math.isfinite(number) else value.value
    confidence = None if value.confidence is None else min(value.confidence, 100)
    return number, status, value.data_quality[:60], confidence


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    """Return the status without what it does not say, and without what is no number."""
    kept: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            kept[name] = _finite(value)
        elif value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            kept[name] = value
    return kept


def _keep(request: ReportRequest, report: m.Report, rows: list[tuple[Any, ...]], *, at: datetime) -> None:
    """Write the values; a report with nothing new in it leaves no trace.

    One dated far ahead counts as a day ahead: by a wrong clock it would have the last word for years.
    """
    received = ReceivedReport.objects.create(
        ven_id=request.ven_id,
        request=request,
        name=request.offer.name,
        created_at=report.created_at,
        received_at=at,
    )
    points, starts, seconds, values, statuses, qualities, confidences = (
        list(column) for column in zip(*rows, strict=True)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            {
                "report": received.pk,
                "said_at": min(report.created_at, at + _FURTHEST_AHEAD),
                "points": points,
                "starts": starts,
                "seconds": seconds,
                "values": values,
                "statuses": statuses,
                "qualities": qualities,
                "confidences": confidences,
            },
        )
        if not cursor.rowcount:
            received.delete()
