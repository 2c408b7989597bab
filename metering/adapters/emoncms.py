"""Requests of emonhub, emonPi, EmonESP and OpenEVSE to emoncms's input API, to frames of named values. Pure.

`post` carries one frame as `fulljson`, `json` or `csv`; `bulk` rows `[time, node, value, ...]` or
`[time, node, {name: value}]`, their time by `sentat`, `offset`, `time`, or as if the last row were now; zlib
with `cb=1`. Refusals are worded as emoncms words them, because its clients show them.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from opendsr.kernel.errors import Invalid

MOST_BODY: Final = 2 << 20
MOST_INFLATED: Final = 8 << 20
MOST_FRAMES: Final = 5_000
MOST_VALUES: Final = 200
NAME_CHARACTERS: Final = 64
ODD_NAME: Final = re.compile(r"[^\w\s\-.]")
ODD_PAIRS: Final = re.compile(r"[^\w\s\-.:,]")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.A)


class EmoncmsRefused(Invalid):
    """A request that cannot be read; `message` is what emoncms says in its place."""

    message: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What a node measured at an instant, by input name."""

    node: str
    at: datetime
    values: Mapping[str, float]


@dataclass(slots=True)
class Bulk:
    """Frames of a bulk request, and how many rows and values of it were none, by code."""

    frames: list[Frame] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)

    def skip(self, code: str) -> None:
        """Note a row or value that is none."""
        self.passed_over[code] = self.passed_over.get(code, 0) + 1


def read_post(parameters: Mapping[str, str], *, node: str = "", now: datetime) -> Frame:
    """The frame of a post; raises EmoncmsRefused."""
    name = clean(node or parameters.get("node", "0")) or "0"
    if "fulljson" in parameters:
        values, told = _full_json(parameters["fulljson"])
    else:
        text = next((parameters[key] for key in ("json", "csv", "data") if parameters.get(key)), "")
        if not text:
            raise EmoncmsRefused(message="Request contains no data via csv, json or data tag")
        values, told = _pairs(text), None
    when = parameters.get("time") or told
    at = now if when in (None, "") else _time(when)
    if not values:
        raise EmoncmsRefused(message="Request contains no numeric value")
    return Frame(name, at, values)


def read_bulk(parameters: Mapping[str, str], body: bytes, *, now: datetime) -> Bulk:
    """The frames of a bulk request; rows that are none are counted and do not cost the others.

    Raises EmoncmsRefused when nothing of it can be read.
    """
    rows = _rows(_data(parameters, body))
    found = Bulk()
    reference = _reference(parameters, rows, now)
    for row in rows:
        if not isinstance(row, list) or len(row) < 3:
            found.skip("too_few_columns")
            continue
        frame = _frame(row, reference, found)
        if frame is not None:
            found.frames.append(frame)
    if not found.frames and "node_is_an_object" in found.passed_over:
        raise EmoncmsRefused(message="Format error, node must not be an object")
    return found


def clean(name: object) -> str:
    """A node or input name as emoncms keeps it: odd characters left out."""
    return ODD_NAME.sub("", str(name)).strip()[:NAME_CHARACTERS]


def _data(parameters: Mapping[str, str], body: bytes) -> str:
    if parameters.get("cb") == "1":
        return _inflated(body)
    text = parameters.get("data", "")
    if parameters.get("c") == "1":
        try:
            return _inflated(binascii.unhexlify(text.strip()))
        except (binascii.Error, ValueError):
            raise EmoncmsRefused(message="Format error, compressed data is not hexadecimal") from None
    return text


def _inflated(data: bytes) -> str:
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(data, MOST_INFLATED)
    except zlib.error:
        raise EmoncmsRefused(message="Format error, compressed data is not valid") from None
    if inflate.unconsumed_tail or not inflate.eof:
        raise EmoncmsRefused(message="Format error, compressed data is cut short or too large")
    return text.decode("utf-8", errors="replace")


def _rows(text: str) -> list[Any]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not rows:
        raise EmoncmsRefused(message="Format error, json string supplied is not valid")
    if len(rows) > MOST_FRAMES:
        raise EmoncmsRefused(message=f"Format error, more than {MOST_FRAMES} rows in one request")
    return rows


def _reference(parameters: Mapping[str, str], rows: list[Any], now: datetime) -> float:
    """Unix seconds that the rows' times count from."""
    seconds = now.timestamp()
    for name, is_absolute in (("sentat", False), ("offset", False), ("time", True)):
        if parameters.get(name, "") != "":
            told = _float(parameters[name])
            if told is None:
                raise EmoncmsRefused(message=f"Format error, {name} parameter is not a number")
            return told if is_absolute else seconds - told
    last = rows[-1]
    told = _float(last[0]) if isinstance(last, list) and last else None
    if told is None:
        raise EmoncmsRefused(message="Format error, last item in bulk data does not contain any data")
    return seconds - told


def _frame(row: list[Any], reference: float, found: Bulk) -> Frame | None:
    offset = _float(row[0])
    if offset is None:
        found.skip("not_a_time")
        return None
    if isinstance(row[1], dict | list):
        found.skip("node_is_an_object")
        return None
    at = _instant(reference + offset)
    if at is None:
        found.skip("not_a_time")
        return None
    values: dict[str, float] = {}
    place = 1
    for item in row[2:]:
        if isinstance(item, dict):
            for key, value in item.items():
                _add(values, clean(key), value, found)
            continue
        if item not in (None, ""):
            _add(values, str(place), item, found)
        place += 1
    node = clean(row[1])
    if not node or not values:
        found.skip("no_node" if not node else "no_value")
        return None
    return Frame(node, at, values)


def _add(values: dict[str, float], name: str, value: object, found: Bulk) -> None:
    number = _float(value)
    if number is None or not name or len(values) >= MOST_VALUES:
        found.skip("not_a_number" if number is None else "bad_name")
    else:
        values[name] = number


def _full_json(text: str) -> tuple[dict[str, float], Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise EmoncmsRefused(message="Error decoding JSON string (invalid or too deeply nested)") from None
    if not isinstance(told, dict):
        raise EmoncmsRefused(message="Input must be a JSON object")
    if any(isinstance(value, dict | list) for value in told.values()):
        raise EmoncmsRefused(message="Error decoding JSON string (invalid or too deeply nested)")
    when = told.pop("time", None)
    values: dict[str, float] = {}
    for key, value in told.items():
        number, name = _float(value), clean(key)
        if number is not None and name and len(values) < MOST_VALUES:
            values[name] = number
    return values, when


def _pairs(text: str) -> dict[str, float]:
    """`{a:1,b:2}`, `a:1,b:2` or `1,2` with whatever else stands between left out."""
    values: dict[str, float] = {}
    place = 0
    for part in ODD_PAIRS.sub("", text).split(","):
        name, colon, value = part.partition(":")
        if colon:
            if not name.strip():
                raise EmoncmsRefused(message="Format error, json key missing or invalid character")
            number = _float(value)
            if number is None:
                raise EmoncmsRefused(message="Format error, json value is not numeric")
            values[clean(name)] = number
        else:
            number = _float(name)
            if number is None:
                raise EmoncmsRefused(message="Format error: csv value is not numeric")
            place += 1
            values[str(place)] = number
        if len(values) > MOST_VALUES:
            raise EmoncmsRefused(message=f"Format error, more than {MOST_VALUES} values in one request")
    return values


def _time(value: object) -> datetime:
    """Unix seconds or ISO 8601; a time without offset is UTC."""
    seconds = _float(value)
    if seconds is not None:
        at = _instant(seconds)
        if at is not None:
            return at
    elif isinstance(value, str):
        try:
            told = datetime.fromisoformat(value.strip().replace(" ", "+") if "T" in value else value.strip())
            return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise EmoncmsRefused(message="Format error, time is neither Unix seconds nor ISO 8601")


def _instant(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not NUMBER.fullmatch(value.strip()):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if number == number and abs(number) < 1e300 else None
