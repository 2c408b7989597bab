"""Time stamps of files to slots, singly and by the column, with the reason when one names no half-hour.

Bare stamps follow the format's zone; an offset in the stamp wins. On the day the clocks go forward some local
times never happen, on the day they go back some happen twice: the first are refused, the second are read
as the earlier instant and flagged.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from metering.adapters.formats import Flag, Stamp
from metering.slots import Bools, Ints

FIRST_YEAR, LAST_YEAR = 2000, 2100
DAY_MINUTES: Final = 1440
NAIVE_EPOCH: Final = datetime(1970, 1, 1)

TIME: Final = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<fraction>[.,][0-9]+)?)?"
ZONE: Final = r"[ ]?(?P<zone>Z|z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?"
ISO: Final = re.compile(
    rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{1,2}})-(?P<day>[0-9]{{1,2}})[T ]{TIME}{ZONE}", re.A
)
BRITISH: Final = re.compile(
    rf"(?P<day>[0-9]{{1,2}})/(?P<month>[0-9]{{1,2}})/(?P<year>[0-9]{{4}})[T ]{TIME}{ZONE}", re.A
)
CIVIL_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
DATE_ONLY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}", re.A)


class Refused(ValueError):
    """A field that names no value; `code` groups reasons, `reason` is for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Civil(NamedTuple):
    """A stamp as written: minutes of its own clock since 1970, and its offset in minutes when it has one."""

    minutes: int
    offset: int | None
    is_whole_minute: bool


def read_stamp(text: str, *, stamp: Stamp, tz: str) -> tuple[int, int]:
    """The slot and flags of one stamp; raises Refused."""
    civil = read_civil(text)
    flags = 0
    if civil.offset is not None:
        utc_minutes = civil.minutes - civil.offset
    elif tz == "UTC":
        utc_minutes = civil.minutes
    else:
        utc_minutes, flags = _by_the_clock(civil.minutes, tz)
    if not civil.is_whole_minute or utc_minutes % 30:
        raise Refused("off_grid", "not on the hour or half-hour")
    return utc_minutes // 30 - (stamp is Stamp.END), flags


def local_slots(minutes: Ints, tz: str) -> tuple[Ints, Bools, Bools]:
    """UTC minutes of clock readings in the zone, which of them happen twice, and which happen at all."""
    if tz == "UTC":
        return minutes, np.zeros(len(minutes), dtype=bool), np.ones(len(minutes), dtype=bool)
    first_day, last_day = int(minutes.min()) // DAY_MINUTES, int(minutes.max()) // DAY_MINUTES
    first_year, last_year = _year_of(first_day), _year_of(last_day)
    tables = [_year_table(tz, year) for year in range(first_year, last_year + 1)]
    offsets = np.concatenate([table[0] for table in tables])
    kinds = np.concatenate([table[1] for table in tables])
    place = minutes // 30 - _first_day_of(first_year) * 48
    kind = kinds[place]
    return minutes - offsets[place], kind == TWICE, kind != NEVER


ONCE, TWICE, NEVER = 0, 1, 2


@lru_cache(maxsize=256)
def _year_table(tz: str, year: int) -> tuple[Ints, Ints]:
    """Offset in minutes and kind of every half-hour of the zone's clock in a year."""
    first, last = _first_day_of(year), _first_day_of(year + 1)
    offsets = np.zeros((last - first) * 48, dtype=np.int64)
    kinds = np.zeros((last - first) * 48, dtype=np.int64)
    zone = ZoneInfo(tz)
    for day in range(last - first):
        midnight = NAIVE_EPOCH + timedelta(days=first + day)
        today, tomorrow = (_offset(midnight + timedelta(days=ahead), zone, fold=0) for ahead in (0, 1))
        quiet = today == tomorrow == _offset(midnight + timedelta(hours=12), zone, fold=0)
        if quiet and today == _offset(midnight, zone, fold=1):
            offsets[day * 48 : day * 48 + 48] = today
            continue
        for half_hour in range(48):
            at = midnight + timedelta(minutes=30 * half_hour)
            offsets[day * 48 + half_hour], kinds[day * 48 + half_hour] = _offset_and_kind(at, zone)
    return offsets, kinds


def _by_the_clock(minutes: int, tz: str) -> tuple[int, int]:
    offset, kind = _offset_and_kind(NAIVE_EPOCH + timedelta(minutes=minutes), ZoneInfo(tz))
    if kind == NEVER:
        raise Refused("no_such_time", f"no such time in {tz}: the clocks went forward")
    return minutes - offset, Flag.AMBIGUOUS if kind == TWICE else 0


def _offset_and_kind(local: datetime, zone: ZoneInfo) -> tuple[int, int]:
    earlier, later = _offset(local, zone, fold=0), _offset(local, zone, fold=1)
    if earlier == later:
        return earlier, ONCE
    return earlier, TWICE if earlier > later else NEVER


def _offset(local: datetime, zone: ZoneInfo, *, fold: int) -> int:
    offset = local.replace(tzinfo=zone, fold=fold).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) // 60


def _first_day_of(year: int) -> int:
    return (datetime(year, 1, 1) - NAIVE_EPOCH).days


def _year_of(day: int) -> int:
    return (NAIVE_EPOCH + timedelta(days=day)).year


def read_civil(text: str) -> Civil:
    """A stamp's own clock and offset, zone unresolved; raises Refused."""
    found = ISO.fullmatch(text) or BRITISH.fullmatch(text)
    if found is None:
        if not text:
            raise Refused("null", "no time")
        if DATE_ONLY.fullmatch(text):
            raise Refused("not_a_time", "a date without a time of day")
        raise Refused("not_a_time", "not a time such as 2026-01-31 17:30")
    parts = found.groupdict()
    try:
        year, month, day, hour, minute, second = (int(parts[name] or 0) for name in CIVIL_PARTS)
        at = datetime(year, month, day, hour, minute, second)
    except ValueError as error:
        raise Refused("not_a_time", f"no such time: {error}") from error
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise Refused("not_a_time", f"a year outside {FIRST_YEAR} to {LAST_YEAR - 1}")
    fraction = (parts["fraction"] or "").strip(".,0")
    since = at - NAIVE_EPOCH
    return Civil(
        minutes=since.days * DAY_MINUTES + since.seconds // 60,
        offset=_written_offset(parts["zone"]),
        is_whole_minute=at.second == 0 and not fraction,
    )


def _written_offset(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone[0] not in "+-":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 14 or minutes > 59:
        raise Refused("not_a_time", f"no such offset from UTC: {zone}")
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
