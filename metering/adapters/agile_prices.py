"""Half-hourly prices of Octopus Agile: the table of import and export prices, and answers of the price API.

The table (`period_from_local`, British dates) is in UK wall-clock time, so in October it must tell both
hours; where one is lost nobody can say which the other is, and it is refused. The API's
`standard-unit-rates` give `valid_from` with its offset, `value_inc_vat` in p/kWh.
"""

from __future__ import annotations

from typing import Any, Final

from metering.adapters.formats import Stamp
from metering.adapters.stamps import read_stamp

NAME: Final = "agile_prices"
HEADER: Final = ("period_from_local", "import_p_per_kwh", "export_p_per_kwh")
IMPORT, EXPORT = "import_price", "export_price"
ZONE: Final = "Europe/London"


def when(row: dict[str, str]) -> tuple[str, int, int]:
    """The stamp as written, its slot and flags; raises Refused."""
    text = row["period_from_local"].strip()
    return text, *read_stamp(text, stamp=Stamp.START, tz=ZONE)


def values(row: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Kind to (column, value as written); one that is empty is left out."""
    told = {IMPORT: "import_p_per_kwh", EXPORT: "export_p_per_kwh"}
    return {kind: (column, row[column].strip()) for kind, column in told.items() if row[column].strip()}


def rows_of(document: Any) -> list[dict[str, str]] | None:
    """The rows of an answer of `standard-unit-rates`, None for another document."""
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        return None
    if not all("value_inc_vat" in each and "valid_from" in each for each in results):
        return None
    return [
        {
            "period_from_local": str(each["valid_from"]),
            "import_p_per_kwh": str(each["value_inc_vat"]),
            "export_p_per_kwh": "",
        }
        for each in results
    ]
