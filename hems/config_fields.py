"""Fields of the config file, read and checked one by one: a fault names its place and the fix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

from hems.errors import BadHome
from hems.instants import read_local_time


def table(entry: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = entry.get(name, {})
    if not isinstance(value, dict):
        raise BadHome(f"{where}: [{name}] is a table, not {value!r:.40}")
    return value


def only(entry: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    if unknown := sorted(set(entry) - set(allowed)):
        raise BadHome(f"{where}: {unknown[0]!r} means nothing here: it is one of {', '.join(allowed)}")


def text(entry: Mapping[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise BadHome(f"{where}.{name}: text is expected, not {value!r:.40}")
    return value


def whole(entry: Mapping[str, Any], name: str, where: str, *, least: int = 0, most: int, default: int) -> int:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadHome(f"{where}.{name}: {value!r:.40} is no whole number from {least} to {most}")
    return value


def wall(value: object, where: str) -> time:
    try:
        return value if isinstance(value, time) else read_local_time(str(value))
    except ValueError:
        raise BadHome(f"{where}: {value!r:.40} is no HH:MM") from None


def celsius(entry: Mapping[str, Any], name: str, where: str) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 95:
        raise BadHome(f"{where}.{name}: {value!r:.40} is no temperature from 0 to 95 C")
    return float(value)


def number(
    entry: Mapping[str, Any], name: str, where: str, *, least: float, most: float, default: float
) -> float:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadHome(f"{where}.{name}: {value!r:.40} is no number from {least:g} to {most:g}")
    return float(value)


def tables(entry: Mapping[str, Any], name: str, where: str) -> Sequence[Mapping[str, Any]]:
    value = entry.get(name, [])
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise BadHome(f"{where}: give at least one [[{name}]]")
    return value


def texts(entry: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = entry.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise BadHome(f"{where}.{name}: a list of texts is expected, not {value!r:.40}")
    return tuple(value)


def hours(
    entry: Mapping[str, Any], name: str, where: str, *, default: tuple[tuple[time, time], ...]
) -> tuple[tuple[time, time], ...]:
    """Pairs of London wall times; those that end before they begin run past midnight."""
    if name not in entry:
        return default
    value = entry[name]
    if not isinstance(value, list) or not value:
        raise BadHome(f'{where}.{name}: write it as [["00:30", "07:30"]]')
    spans = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadHome(f"{where}.{name}: {pair!r:.40} is no pair of times")
        opens, closes = wall(pair[0], f"{where}.{name}"), wall(pair[1], f"{where}.{name}")
        if opens == closes:
            raise BadHome(f"{where}.{name}: {pair!r:.40} ends when it begins")
        spans.append((opens, closes))
    return tuple(spans)
