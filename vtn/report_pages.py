"""Reported values as staff and machines read them: rows, a figure, and a CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from opendsr.kernel.spreadsheets import inert
from vtn.models import ReportedValue, Ven

COLUMNS: Final = (
    "ven_id",
    "specifier_id",
    "report",
    "r_id",
    "starts_at",
    "duration_seconds",
    "value",
    "unit",
    "status",
    "quality",
)
LINE_COLOUR: Final = "#2f7fb8"
GAP_SECONDS: Final = 3_600


class _Echo:
    """What csv writes to: it gives the line back."""

    def write(self, line: str) -> str:
        return line


def values_of(
    ven: Ven,
    *,
    specifier_id: str = "",
    r_id: str = "",
    starts_from: datetime | None = None,
    starts_before: datetime | None = None,
) -> QuerySet[ReportedValue]:
    """A VEN's values over [starts_from, starts_before), oldest first."""
    rows = ReportedValue.objects.filter(point__offer__ven=ven).select_related("point__offer")
    if specifier_id:
        rows = rows.filter(point__offer__specifier_id=specifier_id)
    if r_id:
        rows = rows.filter(point__r_id=r_id)
    if starts_from is not None:
        rows = rows.filter(starts_at__gte=starts_from)
    if starts_before is not None:
        rows = rows.filter(starts_at__lt=starts_before)
    return rows.order_by("starts_at", "pk")


def value_shown(row: ReportedValue) -> dict[str, Any]:
    """A value as the API gives it."""
    return {
        "specifier_id": row.point.offer.specifier_id,
        "report": row.point.offer.name,
        "r_id": row.point.r_id,
        "starts_at": row.starts_at,
        "duration_seconds": row.duration_seconds,
        "value": row.value,
        "unit": row.point.unit,
        "status": row.status,
        "quality": row.quality,
    }


def csv_response(rows: QuerySet[ReportedValue], *, ven_id: str) -> StreamingHttpResponse:
    """The values as a CSV file, streamed; text that a spreadsheet would take for a formula is quoted."""
    response = StreamingHttpResponse(_lines(rows, ven_id=ven_id), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{ven_id}-reports.csv"'
    return response


def _lines(rows: QuerySet[ReportedValue], *, ven_id: str) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows.iterator(chunk_size=2_000):
        shown = {"ven_id": ven_id} | value_shown(row)
        shown["starts_at"] = f"{row.starts_at:%Y-%m-%dT%H:%M:%SZ}"
        yield writer.writerow([_cell(shown[name]) for name in COLUMNS])


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return inert(value)
    return "" if value is None else value


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure for the page: Plotly's JSON, the element's id and words for who cannot see it."""

    element_id: str
    label: str
    data: dict[str, Any]


def figure_of(rows: Sequence[ReportedValue], *, element_id: str, label: str) -> Figure | None:
    """A step line of the numbers over UK local time; a gap in the data is a gap in the line."""
    shown = [row for row in rows if row.value is not None]
    if len(shown) < 2:
        return None
    x: list[str] = []
    y: list[float | None] = []
    ends_at: datetime | None = None
    for row in shown:
        if ends_at is not None and row.starts_at > ends_at + timedelta(
            seconds=2 * row.duration_seconds or GAP_SECONDS
        ):
            x.append(_local(ends_at))
            y.append(None)
        x.append(_local(row.starts_at))
        y.append(row.value)
        ends_at = row.starts_at + timedelta(seconds=row.duration_seconds)
    unit = shown[0].point.unit
    return Figure(
        element_id=element_id,
        label=label,
        data={
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "line": {"shape": "hv", "color": LINE_COLOUR, "width": 2},
                    "x": x,
                    "y": y,
                    "name": unit,
                }
            ],
            "layout": {
                "margin": {"l": 64, "r": 24, "t": 24, "b": 48},
                "yaxis": {"title": {"text": unit, "standoff": 6}, "fixedrange": True},
                "xaxis": {"fixedrange": True, "nticks": 6},
                "showlegend": False,
            },
        },
    )


def _local(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%dT%H:%M:%S")
