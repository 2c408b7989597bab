"""Files of prices, carbon intensity and temperatures to rates and refusals: tables, answers of services.

Encodings, compression and delimiters are those of files of readings; the adapters say what the columns mean.
Pure.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import ModuleType
from typing import IO, Any, Final

from metering.adapters import agile_prices, carbon_intensity, daily_temperatures, temperatures
from metering.adapters.documents import looks_like_one
from metering.adapters.formats import DELIMITERS, Flag, Reject
from metering.adapters.reading import FileUnusable, whole_text
from metering.adapters.rows import VALUE_CHARACTERS
from metering.adapters.stamps import Refused
from metering.models import HalfHourlyRate
from opendsr.kernel.errors import Invalid

Kind = HalfHourlyRate.Kind
ADAPTERS: Final = {
    each.NAME: each for each in (agile_prices, carbon_intensity, temperatures, daily_temperatures)
}
MOST_BYTES: Final = 64 << 20
MOST: Final = {Kind.IMPORT_PRICE: 1_000, Kind.EXPORT_PRICE: 1_000, Kind.CARBON: 2_000, Kind.TEMPERATURE: 60}
SCALE: Final = 10_000
"""Rates in arrays are whole ten-thousandths, as exact as they are stored."""


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
class Table:
    """A file of an adapter: its columns, and its rows with the lines they end on."""

    adapter: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    delimiter: str = ","


def open_table(
    file: str | os.PathLike[str] | IO[Any],
    *,
    name: str,
    adapter: str | None = None,
    only_start: bool = False,
) -> Table:
    """The table of the adapter named, or of the first that knows its header; raises RatesUnusable.

    With `only_start`, the header and what rows the first megabyte has.
    """
    try:
        text = whole_text(file, name=name, most_bytes=MOST_BYTES, only_start=only_start)
    except FileUnusable as error:
        raise RatesUnusable(name=name, found=error.found, expected=error.expected) from None
    asked = list(ADAPTERS.values()) if adapter is None else [ADAPTERS[adapter]]
    found = _document(text, asked) if looks_like_one(text[:1000].encode()) else _csv(text, asked, name)
    if found is None:
        shown = next((line for line in text.split("\n") if line.strip()), "an empty file")
        headers = " or ".join(", ".join(each.HEADER) for each in asked)
        raise RatesUnusable(
            name=name, found=shown[:VALUE_CHARACTERS], expected=f"a table with the columns {headers}"
        )
    return found


def read(table: Table) -> tuple[list[Rate], list[Reject]]:
    """Its rates, each half-hour once, and its refusals by line."""
    adapter = ADAPTERS[table.adapter]
    place = {name: table.header.index(name) for name in adapter.HEADER}
    found: dict[tuple[str, int], Rate] = {}
    rejects: list[Reject] = []
    told: list[_Told] = []
    for line, fields in table.rows:
        row = {name: fields[at] if at < len(fields) else "" for name, at in place.items()}
        try:
            stamp, slot, flags = adapter.when(row)
            told.append(_Told(line, stamp, slot, flags, adapter.values(row)))
        except Refused as error:
            stamp = row[adapter.HEADER[0]][:VALUE_CHARACTERS]
            rejects.append(Reject(line, adapter.HEADER[0], stamp, error.code, error.reason))
    for each in _told_apart(told, adapter.HEADER[0], rejects):
        for kind, (column, value) in each.values.items():
            try:
                rate = Rate(kind, each.slot, _number(value, kind))
            except Refused as error:
                value = value[:VALUE_CHARACTERS]
                rejects.append(Reject(each.line, column, value, error.code, error.reason))
                continue
            known = found.setdefault((kind, each.slot), rate)
            if known.value != rate.value:
                reason = f"another value for this half-hour, {known.value}, came before"
                rejects.append(Reject(each.line, column, f"{each.stamp} {value}", "conflict", reason))
    if hasattr(adapter, "holds"):
        for rate in list(found.values()):
            for slot in range(rate.slot + 1, rate.slot + adapter.holds(rate.slot)):
                found.setdefault((rate.kind, slot), Rate(rate.kind, slot, rate.value))
    return list(found.values()), sorted(rejects, key=lambda reject: reject.line)


@dataclass(frozen=True, slots=True)
class _Told:
    """A row whose time was read."""

    line: int
    stamp: str
    slot: int
    flags: int
    values: dict[str, tuple[str, str]]


def _told_apart(told: Sequence[_Told], column: str, rejects: list[Reject]) -> Iterator[_Told]:
    """Rows whose time is sure; of local times that happen twice, both in order of time or neither."""
    twice: dict[int, list[int]] = {}
    for place, each in enumerate(told):
        if each.flags & Flag.AMBIGUOUS:
            twice.setdefault(each.slot, []).append(place)
    later = {places[1] for places in twice.values() if len(places) == 2}
    lost = {place for places in twice.values() if len(places) != 2 for place in places}
    for place, each in enumerate(told):
        if place in lost:
            reason = "this local time happened twice (the clocks went back) and the file tells it once"
            rejects.append(Reject(each.line, column, each.stamp, "ambiguous_time", reason))
        elif place in later:
            yield _Told(each.line, each.stamp, each.slot + 2, each.flags, each.values)
        else:
            yield each


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


def _document(text: str, adapters: Sequence[ModuleType]) -> Table | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for adapter in adapters:
        rows: list[dict[str, str]] | None = adapter.rows_of(document)
        if rows is not None:
            fields = (tuple(row[name] for name in adapter.HEADER) for row in rows)
            return Table(adapter.NAME, adapter.HEADER, tuple(enumerate(fields, start=1)))
    return None


def _csv(text: str, adapters: Sequence[ModuleType], name: str) -> Table | None:
    """The table, when its first line that is not blank is a header of one of the adapters."""
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    for delimiter in DELIMITERS:
        names = _header(lines[first] if lines else "", delimiter)
        for adapter in adapters:
            if not set(adapter.HEADER) <= set(names):
                continue
            twice = next((each for each in adapter.HEADER if names.count(each) > 1), "")
            if twice:
                raise RatesUnusable(name=name, found=f"the column {twice} twice", expected="each column once")
            return Table(adapter.NAME, names, tuple(_fields(text, delimiter, first, name)), delimiter)
    return None


def _header(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return ()
    return tuple(field.strip().casefold() for field in fields)


def _fields(text: str, delimiter: str, header: int, name: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Rows below the header; blank ones are passed over."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        for fields in reader:
            if reader.line_num > header + 1 and any(field.strip() for field in fields):
                yield reader.line_num, tuple(fields)
    except csv.Error as error:
        raise RatesUnusable(
            name=name, found=f"line {reader.line_num}: {error}", expected="a line of fields"
        ) from None
