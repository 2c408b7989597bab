"""Electricity consumption downloaded from n3rgy, which reads the meter through the DCC; one home a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.rows import parse_lines

FORMAT = CsvFormat(
    name="n3rgy_csv",
    columns={Role.STAMP: ("timestamp (UTC)",), Role.IMPORT: ("energyConsumption (kWh)",)},
    stamp=Stamp.END,
    tz="UTC",
    unit=Unit.KWH,
    basis="n3rgy support: UTC, 48 readings every day, consumption stamped at the period end",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)
