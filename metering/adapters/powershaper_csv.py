"""A member's own export of app.powershaper.io: `halfhour ending at,usage`, one home a file, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.rows import parse_lines

FORMAT = CsvFormat(
    name="powershaper_csv",
    columns={Role.STAMP: ("halfhour ending at",), Role.IMPORT: ("usage",)},
    stamp=Stamp.END,
    tz="UTC",
    unit=Unit.KWH,
    basis="the column is named for the end of the half-hour, and each stamp carries its offset",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)
