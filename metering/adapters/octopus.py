"""Octopus Energy consumption: the REST answer, saved pages of it, or the CSV of the account page.

`results` hold `consumption` in kWh and the start of each half-hour with its offset, newest first, so that the
hour which happens twice in October is told apart by the stamp. The account page's CSV has the columns
`Consumption (kWh), Start, End`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from metering.adapters.formats import CsvFormat, Reject, Role, Row, Stamp, Unit
from metering.adapters.plain_json import as_text, shown
from metering.adapters.rows import parse_lines

HEADER: Final = ("interval_start", "consumption")
HALF_HOUR: Final = timedelta(minutes=30)
FORMAT = CsvFormat(
    name="octopus",
    columns={
        Role.STAMP: ("interval_start", "Start"),
        Role.IMPORT: ("consumption", "Consumption (kWh)"),
    },
    stamp=Stamp.START,
    tz="Europe/London",
    unit=Unit.KWH,
    basis="Octopus developer documentation: interval_start with offset, consumption in kWh",
)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield each row of the file; options override the conventions of FORMAT."""
    return parse_lines(FORMAT.with_options(**options), lines)


def is_document(document: Any) -> bool:
    """True for an answer of the consumption endpoint, or a list of them."""
    pages = document if isinstance(document, list) else [document]
    return bool(pages) and all(
        isinstance(page, dict) and isinstance(page.get("results"), list) and "count" in page for page in pages
    )


def items(document: Any) -> Iterator[Sequence[str] | str]:
    """Each result as (interval_start, consumption); one that is no half-hour comes out as text."""
    for page in document if isinstance(document, list) else [document]:
        for result in page["results"]:
            if not isinstance(result, dict) or not _is_half_hour(result):
                yield shown(result)
            else:
                yield as_text(result.get("interval_start")), as_text(result.get("consumption"))


def _is_half_hour(result: dict[str, Any]) -> bool:
    """False when start and end are told and are not half an hour apart (`group_by=day`)."""
    try:
        start, end = (
            datetime.fromisoformat(str(result[name])) for name in ("interval_start", "interval_end")
        )
        return end - start == HALF_HOUR
    except (KeyError, TypeError, ValueError):
        return True
