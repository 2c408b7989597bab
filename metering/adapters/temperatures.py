"""Outdoor temperatures, hourly or half-hourly: a time and the degrees Celsius from then on.

A bare time is UTC. Each holds until the next half-hour that has one, an hour at most.
"""

from __future__ import annotations

from typing import Any, Final

from metering.adapters.formats import Stamp
from metering.adapters.stamps import read_stamp

NAME: Final = "temperatures"
HEADER: Final = ("time", "celsius")
TEMPERATURE: Final = "temperature"


def when(row: dict[str, str]) -> tuple[str, int, int]:
    """The stamp as written, its slot and flags; raises Refused."""
    text = row["time"].strip()
    return text, *read_stamp(text, stamp=Stamp.START, tz="UTC")


def values(row: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Kind to (column, value as written)."""
    return {TEMPERATURE: ("celsius", row["celsius"].strip())}


def holds(slot: int) -> int:
    """For how many half-hours the value holds where no other is told."""
    return 2


def rows_of(document: Any) -> list[dict[str, str]] | None:
    """No answer of a service is known."""
    return None
