"""Mean outdoor temperatures of whole days: a Europe/London date and the Celsius of all its half-hours."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from metering.adapters.stamps import Refused
from metering.adapters.temperatures import TEMPERATURE
from metering.slots import civil_day_slots, start_of
from opendsr.kernel.periods import civil_date

NAME: Final = "daily_temperatures"
HEADER: Final = ("date", "mean_celsius")


def when(row: dict[str, str]) -> tuple[str, int, int]:
    """The date as written, its first slot and no flags; raises Refused."""
    text = row["date"].strip()
    first, _ = civil_day_slots([_day(text)])
    return text, int(first[0]), 0


def values(row: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Kind to (column, value as written)."""
    return {TEMPERATURE: ("mean_celsius", row["mean_celsius"].strip())}


def holds(slot: int) -> int:
    """For how many half-hours the value holds: 46, 48 or 50."""
    _, count = civil_day_slots([civil_date(start_of(slot))])
    return int(count[0])


def rows_of(document: Any) -> list[dict[str, str]] | None:
    """No answer of a service is known."""
    return None


def _day(text: str) -> date:
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            day = datetime.strptime(text, form).date()
        except ValueError:
            continue
        if 2000 <= day.year < 2100:
            return day
    raise Refused("not_a_date", "write the day as 2026-01-31 or 31/01/2026")
