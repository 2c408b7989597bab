"""What a device says, in the house's units: the typed values that message adapters hand to the intake.

Edges convert once: Wh, W, UTC. `sender` is the device's own name in its protocol (a CAD's MAC, a topic's
base); who that is stands in `routing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from metering.adapters.formats import Reject
from opendsr.kernel.errors import Invalid

Channel = Literal["import", "export"]
MOST_WH: Final = 2**50 - 1
MOST_NUMBER: Final = Decimal("1e30")
"""What is far beyond it cannot even be multiplied."""
FIRST_YEAR, LAST_YEAR = 2009, 2100
SHOWN_CHARACTERS: Final = 200
KILO: Final = {"kwh": 1000, "wh": 1, "kw": 1000, "w": 1, "mwh": 1_000_000, "mw": 1_000_000}


class MessageRefused(Invalid):
    """A message, or a field of it, that says nothing usable: `reason_code` groups, `fix` says what helps."""

    reason_code: str
    field: str
    value: str
    fix: str


@dataclass(frozen=True, slots=True)
class Register:
    """A cumulative register at an instant, in whole Wh; `meter` is the stream's name in the home."""

    at: datetime
    wh: int
    channel: Channel = "import"
    meter: str = "electricity"


@dataclass(frozen=True, slots=True)
class Power:
    """Power at an instant in W: import above zero, export below."""

    at: datetime
    power_w: int
    meter: str = "electricity"


@dataclass(frozen=True, slots=True)
class Health:
    """How the device itself is: signal strength in dBm, link quality 0..255, network state, software."""

    at: datetime | None
    rssi_dbm: int | None = None
    lqi: int | None = None
    han_status: str = ""
    software: str = ""


Observation = Register | Power | Health


@dataclass(frozen=True, slots=True)
class Heard:
    """A message understood: what it says, and what in it was passed over and why (never an error)."""

    sender: str
    observations: tuple[Observation, ...]
    passed_over: tuple[Reject, ...] = ()


def refused(code: str, field: str, value: object, fix: str) -> MessageRefused:
    """The error for a field."""
    return MessageRefused(reason_code=code, field=field, value=str(value)[:SHOWN_CHARACTERS], fix=fix)


def number(holder: Mapping[str, object], name: str, *, path: str) -> Decimal | None:
    """The finite number under a name, None when it is absent or null; raises MessageRefused."""
    value = holder.get(name)
    if value is None:
        return None
    field = f"{path}.{name}"
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise refused("not_a_number", field, value, "send a number")
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise refused("not_a_number", field, value, "send a number") from None
    if not found.is_finite():
        raise refused("not_a_number", field, value, "send a finite number")
    if abs(found) > MOST_NUMBER:
        raise refused("implausible", field, value, "check the number: nothing is measured so high")
    return found


def in_unit(value: Decimal, unit: object, *, field: str, allowed: tuple[str, ...]) -> int:
    """The value in whole Wh or W by the unit written beside it; raises MessageRefused."""
    folded = str(unit).strip().casefold()
    if folded not in allowed:
        raise refused("unit", field, unit, f"send the value in {' or '.join(allowed)}")
    scaled = value * KILO[folded]
    if abs(scaled) > MOST_WH:
        raise refused("implausible", field, value, "check the unit: no meter counts so far")
    return int(scaled.to_integral_value())


def instant(value: object, *, field: str) -> datetime:
    """An ISO 8601 time with its offset, as UTC; raises MessageRefused."""
    if not isinstance(value, str) or not value:
        raise refused("not_a_time", field, value, "send the time as 2026-01-31T17:30:00Z")
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise refused("not_a_time", field, value, "send the time as 2026-01-31T17:30:00Z") from None
    if at.tzinfo is None:
        raise refused("no_zone", field, value, "send the time with its offset, such as Z")
    try:
        return in_years(at.astimezone(UTC), field=field)
    except OverflowError:
        raise refused("clock_not_set", field, value, "set the device's clock") from None


def unix_instant(value: object, *, field: str, fraction: int = 1) -> datetime:
    """Unix seconds (or `fraction` parts of one) as UTC; raises MessageRefused."""
    found = number({field: value}, field, path="")
    if found is None:
        raise refused("not_a_time", field, value, "send Unix seconds")
    try:
        return in_years(datetime.fromtimestamp(int(found / fraction), UTC), field=field)
    except (OverflowError, OSError, ValueError):
        raise refused("clock_not_set", field, value, "set the device's clock") from None


def in_years(at: datetime, *, field: str) -> datetime:
    """The instant, when a working clock could show it; raises MessageRefused."""
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise refused("clock_not_set", field, at.isoformat(), "set the device's clock")
    return at
