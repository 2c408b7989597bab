"""Values as plain JSON, exactly: microseconds and decimals survive, the unexpected is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Final, cast
from uuid import UUID

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types of most values: what is exactly one of these is plain as it is."""
_NAMES: Final = frozenset({str})


def json_object(values: Mapping[str, object]) -> dict[str, Json]:
    """UUIDs, decimals, dates and datetimes become text (ISO 8601), enumerations their value.

    Raises TypeError that names the field when a value (a model instance, say) has no plain form.
    """
    return {name: _json(value, name) for name, value in values.items()}


def _json(value: object, path: str) -> Json:
    if type(value) in _PLAIN:
        return cast(Json, value)
    if (
        type(value) is dict
        and _PLAIN.issuperset(map(type, value.values()))
        and _NAMES.issuperset(map(type, value))
    ):
        return cast(Json, value)
    if isinstance(value, Enum):
        return _json(value.value, path)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise TypeError(f"{path} is a naive datetime: make it UTC")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _json(item, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_json(item, f"{path}[{index}]") for index, item in enumerate(items)]
    raise TypeError(f"{path} is a {type(value).__name__}, which has no plain JSON form: pass its id or text")


def _is_plain(value: dict[object, object]) -> bool:
    return _PLAIN.issuperset(map(type, value.values())) and _NAMES.issuperset(map(type, value))
