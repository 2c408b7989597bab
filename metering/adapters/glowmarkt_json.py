"""Half-hourly readings as the Glowmarkt (Bright) API answers them: Unix seconds of the START, kWh.

`data` holds pairs [time, value]. The service answers 0 for a reading it does not have unless it is asked for
`nulls=1`: in an answer that shows no sign of that, a zero is refused and not taken for use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.plain_json import as_text, shown
from metering.adapters.rows import parse_lines

HEADER: Final = ("reading starts at", "value", "units")
WHOLE: Final = re.compile(r"[0-9]{1,11}", re.A)
FORMAT = CsvFormat(
    name="glowmarkt_json",
    columns={Role.STAMP: ("reading starts at",), Role.IMPORT: ("value",), Role.UNIT: ("units",)},
    stamp=Stamp.START,
    tz="UTC",
    unit=Unit.KWH,
    basis="pyglowmarkt: Unix seconds of the period's start, asked with offset=0",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)


def is_document(document: Any) -> bool:
    """True for an answer of `resource/{id}/readings`."""
    return isinstance(document, dict) and isinstance(document.get("data"), list) and "units" in document


def items(document: Any) -> Iterator[Sequence[str] | str]:
    """Each pair as (UTC stamp, value, units)."""
    units, pairs = as_text(document["units"]), document["data"]
    zero_is_use = _asked_for_nulls(document)
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            yield shown(pair)
            continue
        at, value = as_text(pair[0]), as_text(pair[1])
        if WHOLE.fullmatch(at):
            at = f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%d %H:%M:%S}Z"
        if not zero_is_use and _is_zero(value):
            yield f"{at} is 0, which may be a missing reading: read it again with nulls=1"
        else:
            yield at, value, units


def _asked_for_nulls(document: dict[str, Any]) -> bool:
    query = document.get("query")
    asked = isinstance(query, dict) and as_text(query.get("nulls")) in ("1", "true")
    return asked or any(
        isinstance(pair, list) and len(pair) == 2 and pair[1] is None for pair in document["data"]
    )


def _is_zero(value: str) -> bool:
    try:
        return Decimal(value) == 0
    except InvalidOperation:
        return False
