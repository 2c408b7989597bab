"""Durations and date-times as iCalendar-in-XML (xcal) writes them.

Seconds and aware UTC datetimes inside; text on the wire. The schema's patterns
are wider than sense: `P`, `1W` without P, years and months, a missing Z.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from oadr.errors import InvalidValue

LONGEST_SECONDS = 100 * 366 * 86_400
"""No duration on the wire is longer than a century."""

_DURATION = re.compile(
    r"(?P<sign>[+-])?P"
    r"(?:(?P<years>\d{1,9})Y)?(?:(?P<months>\d{1,9})M)?(?:(?P<days>\d{1,9})D)?"
    r"T?(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,10})S)?",
    re.ASCII,
)
_WEEKS = re.compile(r"(?P<sign>[+-])?P?(?P<weeks>\d{1,9})W", re.ASCII)
_DATETIME = re.compile(
    r"(?P<whole>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d*))?Z?",
    re.ASCII,
)
_SECONDS_IN = {
    "years": 365 * 86_400,
    "months": 30 * 86_400,
    "weeks": 7 * 86_400,
    "days": 86_400,
    "hours": 3_600,
    "minutes": 60,
    "seconds": 1,
}


def parse_duration(text: str) -> int:
    """Return the signed whole seconds of an xcal duration.

    Years count 365 days and months 30 (nominal; OpenADR uses neither).
    """
    match = _DURATION.fullmatch(text) or _WEEKS.fullmatch(text)
    if match is None:
        raise InvalidValue(f"not a duration: {text[:40]!r}")
    parts = match.groupdict()
    seconds = sum(int(parts[unit]) * size for unit, size in _SECONDS_IN.items() if parts.get(unit))
    if seconds > LONGEST_SECONDS:
        raise InvalidValue(f"duration longer than a century: {text[:40]!r}")
    return -seconds if parts["sign"] == "-" else seconds


def format_duration(seconds: int) -> str:
    """Return signed whole seconds as `PT2H30M`; nought is `PT0S`."""
    hours, rest = divmod(abs(seconds), 3_600)
    minutes, left = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (left, "S")) if count]
    return ("-PT" if seconds < 0 else "PT") + ("".join(parts) or "0S")


def parse_datetime(text: str) -> datetime:
    """Return an xcal date-time as aware UTC; a missing Z means UTC, digits past a microsecond drop."""
    match = _DATETIME.fullmatch(text.strip())
    if match is None:
        raise InvalidValue(f"not a UTC date-time: {text[:40]!r}")
    whole = match["whole"]
    is_midnight_of_the_day_after = whole.endswith("T24:00:00")
    if is_midnight_of_the_day_after:
        whole = whole.replace("T24:", "T00:")
    try:
        at = datetime.fromisoformat(whole).replace(tzinfo=UTC)
        at += timedelta(days=int(is_midnight_of_the_day_after))
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"not a UTC date-time: {text[:40]!r}") from error
    return at.replace(microsecond=int((match["fraction"] or "0")[:6].ljust(6, "0")))


def format_datetime(at: datetime) -> str:
    """Return an aware datetime as `2026-11-20T17:00:00Z`, with a fraction only when there is one."""
    if at.tzinfo is None:
        raise ValueError("a date-time on the wire must be aware")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
