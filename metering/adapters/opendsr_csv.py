"""The co-op's own log, of hubs and CADs: `meter,starts_at,import_wh,export_wh[,quality]`, UTC, whole Wh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.rows import parse_lines

FORMAT = CsvFormat(
    name="opendsr_csv",
    columns={
        Role.METER: ("meter",),
        Role.STAMP: ("starts_at",),
        Role.IMPORT: ("import_wh",),
        Role.EXPORT: ("export_wh",),
        Role.QUALITY: ("quality",),
    },
    stamp=Stamp.START,
    tz="UTC",
    unit=Unit.WH,
    basis="our own format",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)


def format_rows(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the header and a line a row, as `parse` reads them."""
    yield "meter,starts_at,import_wh,export_wh,quality"
    for row in rows:
        quality = ("measured", "estimated", "substituted")[row.quality]
        yield f"{row.meter},{row.starts_at:%Y-%m-%dT%H:%M:%SZ},{row.import_wh},{row.export_wh},{quality}"
