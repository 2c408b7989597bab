"""Electricity consumption as n3rgy's API answers: UTC, every stamp the END of its half-hour.

Both generations are read: `values: [{timestamp, value}]`, and `devices: [{values: [{timestamp,
primaryValue}]}]`. A stamp is written `2026-01-31 17:30` or `202601311730`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.plain_json import as_text, shown
from metering.adapters.rows import parse_lines

HEADER: Final = ("timestamp", "value", "unit")
COMPACT: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})", re.A)
FORMAT = CsvFormat(
    name="n3rgy_json",
    columns={Role.STAMP: ("timestamp",), Role.IMPORT: ("value", "primaryValue"), Role.UNIT: ("unit",)},
    stamp=Stamp.END,
    tz="UTC",
    unit=Unit.KWH,
    basis="n3rgy support: UTC, 48 readings every day, consumption stamped at the period end",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)


def is_document(document: Any) -> bool:
    """True for an answer of a consumption resource."""
    if not isinstance(document, dict) or not ({"resource", "granularity", "start"} & set(document)):
        return False
    return isinstance(document.get("values"), list) or isinstance(document.get("devices"), list)


def items(document: Any) -> Iterator[Sequence[str] | str]:
    """Each value as (timestamp, value, unit)."""
    default_unit = as_text(document.get("unit")) or "kWh"
    groups = document["devices"] if isinstance(document.get("devices"), list) else [document]
    for group in groups:
        if not isinstance(group, dict) or not isinstance(group.get("values"), list):
            yield shown(group)
            continue
        unit = as_text(group.get("unit")) or default_unit
        for value in group["values"]:
            if not isinstance(value, dict):
                yield shown(value)
                continue
            reading = value["value"] if "value" in value else value.get("primaryValue")
            yield COMPACT.sub(r"\1-\2-\3 \4:\5", as_text(value.get("timestamp"))), as_text(reading), unit
