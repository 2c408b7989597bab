"""Any delimited file whose columns the caller names: `columns={"stamp": "When", "import": "kWh"}`.

Never guessed from a header. Unless told otherwise stamps are the START of the half-hour by Europe/London
clocks (an offset in the stamp wins) and values are kWh; a unit column, when named, is checked on every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.rows import parse_lines

FORMAT = CsvFormat(
    name="generic_csv",
    columns={
        Role.METER: ("meter",),
        Role.STAMP: ("stamp",),
        Role.IMPORT: ("import",),
        Role.EXPORT: ("export",),
        Role.QUALITY: ("quality",),
        Role.UNIT: ("unit",),
    },
    stamp=Stamp.START,
    tz="Europe/London",
    unit=Unit.KWH,
    basis="the caller's word",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options name the columns and override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)
