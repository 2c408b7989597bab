"""Real files for the tests of metering, where this checkout has them beside it, and small ones made here."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from metering.adapters.columns import ColumnReader
from metering.adapters.formats import CsvFormat, Reject, Row
from metering.adapters.rows import find_layout
from metering.slots import start_of

LCL = "lcl_4homes_halfhourly.csv.gz"
POWERSHAPER = "powershaper_export_1home_halfhourly_2022-09_2023-12.csv.gz"
AT = datetime(2026, 3, 4, 9, tzinfo=UTC)
SPRING = datetime(2025, 3, 30, tzinfo=UTC)  # 01:00 to 02:00 does not happen
AUTUMN = datetime(2025, 10, 26, tzinfo=UTC)  # 01:00 to 02:00 happens twice


def lines_of(path: Path) -> list[str]:
    """The lines of a gzipped sample."""
    with gzip.open(path, "rt", encoding="utf-8") as text:
        return text.read().splitlines()


def half_hours(start: datetime, count: int) -> list[datetime]:
    """So many half-hour starts from `start`."""
    return [start + timedelta(minutes=30 * number) for number in range(count)]


def by_columns(format: CsvFormat, lines: Iterable[str]) -> list[Row | Reject]:
    """What the column reader makes of whole lines, as the row reader would give it, by line."""
    header, *rest = lines
    layout = find_layout(format, header)
    assert layout is not None
    reader = ColumnReader(layout)
    block = reader.read("\n".join(rest).encode() + b"\n", 2)
    names = list(reader.meters)
    rows: list[Row | Reject] = [
        Row(line, names[meter], start_of(slot), import_wh, export_wh, quality, flags)
        for line, meter, slot, import_wh, export_wh, quality, flags in zip(
            *(
                column.tolist()
                for column in (
                    block.line,
                    block.meter,
                    block.slot,
                    block.import_wh,
                    block.export_wh,
                    block.quality,
                    block.flags,
                )
            ),
            strict=True,
        )
    ]
    return sorted([*rows, *block.rejects], key=lambda row: row.line)
