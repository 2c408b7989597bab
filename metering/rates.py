"""Half-hourly prices and carbon intensity: files in, each row stored or refused with its reason; arrays out.

They are what the co-op follows, shown beside a member's use; nobody is charged or paid by them.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np
from django.db import connection, transaction

from metering import copying
from metering.adapters import agile_prices, carbon_intensity
from metering.adapters.formats import Flag, Reject
from metering.adapters.stamps import Refused
from metering.models import HalfHourlyRate
from metering.slots import Bools, Ints, start_of
from opendsr.kernel.errors import Invalid

Kind = HalfHourlyRate.Kind
ADAPTERS: Final = (agile_prices, carbon_intensity)
MOST_BYTES: Final = 64 * 1024 * 1024
MOST: Final = {Kind.IMPORT_PRICE: 1_000, Kind.EXPORT_PRICE: 1_000, Kind.CARBON: 2_000}
SCALE: Final = 10_000
"""Rates in arrays are whole ten-thousandths, as exact as they are stored."""

PUT: Final = """
    INSERT INTO metering_rate AS held (kind, starts_at, value, source, known_at)
    SELECT kind, starts_at, value, %s, %s
    FROM unnest(%s::text[], %s::timestamptz[], %s::numeric[]) AS told (kind, starts_at, value)
    ON CONFLICT (kind, starts_at) DO UPDATE
    SET value = excluded.value, source = excluded.source, known_at = excluded.known_at
    WHERE held.value <> excluded.value AND held.known_at <= excluded.known_at
"""
HELD: Final = """
    SELECT 0, array_agg((extract(epoch FROM starts_at) / 1800)::int8), array_agg((value * 10000)::int8)
    FROM metering_rate
    WHERE kind = %s AND starts_at >= to_timestamp(%s * 1800) AND starts_at < to_timestamp(%s * 1800)
    HAVING count(*) > 0
"""


class RatesUnusable(Invalid):
    """A file in which no rates can be read: `name`, `found` and what it should be."""

    name: str
    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class Rate:
    """One value of a half-hour."""

    kind: str
    slot: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class RatesReport:
    """What a file came to: values read = stored (new or changed) + unchanged; refused rows are told."""

    adapter: str
    values_read: int
    values_stored: int
    rejects: tuple[Reject, ...]


def import_rates(*, contents: bytes, name: str, at: datetime, dry_run: bool = False) -> RatesReport:
    """Store a file's rates, CSV or JSON, gzipped or not; raises RatesUnusable. Again it changes nothing."""
    adapter, found, rejects = read(contents, name=name)
    with transaction.atomic(), connection.cursor() as cursor:
        kinds, slots, values = ([getattr(rate, part) for rate in found] for part in ("kind", "slot", "value"))
        cursor.execute(PUT, [adapter, at, kinds, [start_of(slot) for slot in slots], values])
        stored = int(cursor.rowcount)
        if dry_run:
            transaction.set_rollback(True)
    return RatesReport(adapter, len(found), stored, tuple(rejects))


def read(contents: bytes, *, name: str) -> tuple[str, list[Rate], list[Reject]]:
    """Adapter, rates each half-hour once, and refusals by line; raises RatesUnusable. Pure."""
    text = _text(contents, name)
    for adapter in ADAPTERS:
        rows = _rows(text, adapter.HEADER, adapter.rows_of)
        if rows is not None:
            break
    else:
        headers = " or ".join(", ".join(each.HEADER) for each in ADAPTERS)
        raise RatesUnusable(name=name, found=text[:80], expected=f"a table with the columns {headers}")
    found: dict[tuple[str, int], Rate] = {}
    rejects: list[Reject] = []
    told: list[tuple[int, str, int, int, dict[str, tuple[str, str]]]] = []
    for line, row in rows:
        try:
            told.append((line, *adapter.when(row), adapter.values(row)))
        except Refused as error:
            rejects.append(Reject(line, "time", next(iter(row.values())), error.code, error.reason))
    for line, stamp, slot, _flags, values in _told_apart(told, rejects):
        for kind, (column, value) in values.items():
            try:
                rate = Rate(kind, slot, _number(value, kind))
            except Refused as error:
                rejects.append(Reject(line, column, value, error.code, error.reason))
                continue
            known = found.setdefault((kind, slot), rate)
            if known.value != rate.value:
                reason = f"another value for this half-hour, {known.value}, came before"
                rejects.append(Reject(line, column, f"{stamp} {value}", "conflict", reason))
    return adapter.NAME, list(found.values()), sorted(rejects, key=lambda reject: reject.line)


def of_slots(kind: Kind, first: int, past: int) -> tuple[Ints, Bools]:
    """Rates of slots [first, past) in whole ten-thousandths, and which are known; 0 where one is not."""
    value, known = np.zeros(past - first, dtype=np.int64), np.zeros(past - first, dtype=bool)
    for _, (slot, told) in copying.read_groups(
        HELD, [kind.value, first, past], kinds=(copying.INT8, copying.INT8)
    ):
        place = slot.astype(np.int64) - first
        value[place], known[place] = told.astype(np.int64), True
    return value, known


def _told_apart(
    told: Sequence[tuple[int, str, int, int, dict[str, tuple[str, str]]]], rejects: list[Reject]
) -> Iterator[tuple[int, str, int, int, dict[str, tuple[str, str]]]]:
    """Rows whose time is sure; of local times that happen twice, both in order of time or neither."""
    twice: dict[int, list[int]] = {}
    for place, (_, _, slot, flags, _) in enumerate(told):
        if flags & Flag.AMBIGUOUS:
            twice.setdefault(slot, []).append(place)
    later = {places[1] for places in twice.values() if len(places) == 2}
    lost = {place for places in twice.values() if len(places) != 2 for place in places}
    for place, row in enumerate(told):
        line, stamp, slot, flags, values = row
        if place in lost:
            reason = "this local time happened twice (the clocks went back) and the file tells it once"
            rejects.append(Reject(line, "time", stamp, "ambiguous_time", reason))
        else:
            yield line, stamp, slot + 2 * (place in later), flags, values


def _number(text: str, kind: str) -> Decimal:
    if not text:
        raise Refused("null", "no value")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Refused("not_a_number", "not a number") from None
    if not value.is_finite() or abs(value) > MOST[Kind(kind)]:
        raise Refused("implausible", f"outside ±{MOST[Kind(kind)]:,}: check the unit")
    if kind == Kind.CARBON and value < 0:
        raise Refused("negative", "an intensity is zero or more")
    return value.quantize(Decimal(1) / SCALE)


def _text(contents: bytes, name: str) -> str:
    if contents[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(contents)) as opened:
                contents = opened.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise RatesUnusable(name=name, found=str(error), expected="a whole gzip file") from None
    if len(contents) > MOST_BYTES:
        raise RatesUnusable(
            name=name, found=f"{len(contents):,} bytes", expected=f"up to {MOST_BYTES:,} bytes"
        )
    try:
        return contents.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RatesUnusable(name=name, found=str(error)[:80], expected="UTF-8 text") from None


def _rows(text: str, header: Sequence[str], rows_of: object) -> list[tuple[int, dict[str, str]]] | None:
    """Rows with their lines, None when the text is not of this header or document."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return None
        rows = rows_of(document) if callable(rows_of) else None
        return None if rows is None else list(enumerate(rows, start=1))
    reader = csv.DictReader(io.StringIO(text.replace("\x00", "\ufffd")), restval="")
    try:
        if not set(header) <= set(reader.fieldnames or ()):
            return None
        return [(reader.line_num, {name: row[name] for name in header}) for row in reader]
    except csv.Error:
        return None
