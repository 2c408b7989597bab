"""Carbon intensity of Great Britain's electricity, g CO2/kWh: the table of a year, and answers of the API.

UTC by the start of each half-hour. What was measured (`actual`) counts; where it is absent or 0, which the
grid never was, the forecast does.
"""

from __future__ import annotations

from typing import Any, Final

from metering.adapters.formats import Stamp
from metering.adapters.stamps import read_stamp

NAME: Final = "carbon_intensity"
HEADER: Final = ("from", "forecast", "actual")
CARBON: Final = "carbon"


def when(row: dict[str, str]) -> tuple[str, int, int]:
    """The stamp as written, its slot and flags; raises Refused."""
    text = row["from"].strip()
    return text, *read_stamp(text, stamp=Stamp.START, tz="UTC")


def values(row: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Kind to (column, value as written)."""
    for column in ("actual", "forecast"):
        text = row[column].strip()
        if text.strip("0."):
            return {CARBON: (column, text)}
    return {CARBON: ("actual", "")}


def rows_of(document: Any) -> list[dict[str, str]] | None:
    """The rows of an answer of `/intensity`, None for another document."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        return None
    rows = []
    for each in data:
        told = each.get("intensity") if isinstance(each, dict) else None
        if not isinstance(told, dict):
            return None
        names = ("forecast", "actual")
        rows.append(
            {"from": str(each.get("from", ""))}
            | {name: "" if told.get(name) is None else str(told[name]) for name in names}
        )
    return rows
