"""Groups of rows into one table by PostgreSQL's binary COPY, whole numpy columns at a time.

A group shares its words and truths and differs in numbers and ids, so that its rows are of one width.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from django.db import connection

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER: Final = struct.pack(">h", -1)


def write_rows(table: str, groups: Iterable[Mapping[str, Any]]) -> None:
    """COPY the groups' rows into the table, inside the caller's transaction.

    A column is an array (ids as V16, numbers big-endian as the table's), or one bytes or bool for all rows.
    Every group has the same columns. Database errors are Django's.
    """
    pending = list(groups)
    if not pending:
        return
    names = list(pending[0])
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.write(HEADER)
        for group in pending:
            copy.write(_records(group, names))
        copy.write(TRAILER)


def _records(group: Mapping[str, Any], names: list[str]) -> bytes:
    fields: list[tuple[str, Any]] = [("_fields", ">i2")]
    values = {name: _value(group[name]) for name in names}
    for name in names:
        fields.append((f"_{name}", ">i4"))
        fields.append((name, values[name].dtype))
    count = max(len(value) for value in values.values())
    rows = np.zeros(count, np.dtype(fields))
    rows["_fields"] = len(names)
    for name in names:
        rows[f"_{name}"] = values[name].dtype.itemsize
        rows[name] = values[name]
    return rows.tobytes()


def _value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, bool):
        return np.array([value], np.uint8)
    return np.frombuffer(value, f"V{len(value)}")
