"""Rows to and from PostgreSQL in its binary COPY form, whole numpy columns at a time.

`write_columns` packs equal-length columns into one record array; `read_groups` takes a query that aggregates
its rows into arrays, which moves several times as many values a second as a row each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
HEADER: Final = SIGNATURE + struct.pack(">ii", 0, 0)
TRAILER: Final = struct.pack(">h", -1)
ARRAY_HEAD: Final = 20
ROWS_A_WRITE: Final = 20_000

INT2, INT4, INT8, UUID16 = ">i2", ">i4", ">i8", "u1x16"
BYTES: Final = "bytes"


def write_columns(table: str, columns: Mapping[str, tuple[str, NDArray[Any] | int]], *, count: int) -> None:
    """COPY `count` rows into the table; a column is (kind, array) or (kind, one value for all rows)."""
    fields: list[tuple[Any, ...]] = [("_fields", INT2)]
    for name, (kind, _) in columns.items():
        fields.append((f"_{name}", INT4))
        fields.append((name, "u1", (16,)) if kind == UUID16 else (name, kind))
    names = ", ".join(columns)
    record = np.dtype(fields)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.write(HEADER)
        for start in range(0, count, ROWS_A_WRITE):
            stop = min(start + ROWS_A_WRITE, count)
            rows = np.empty(stop - start, dtype=record)
            rows["_fields"] = len(columns)
            for name, (_, values) in columns.items():
                rows[f"_{name}"] = record[name].itemsize
                rows[name] = values[start:stop] if isinstance(values, np.ndarray) else values
            copy.write(rows.tobytes())
        copy.write(TRAILER)


def read_groups(
    query: str, parameters: Sequence[object], *, kinds: Sequence[str]
) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Yield (first column, arrays) of a query of one int4 and then array_agg columns without nulls.

    `kinds` are the element types, big-endian as PostgreSQL sends them; BYTES is a bytea, as it is.
    """
    elements = [None if kind == BYTES else np.dtype([("_length", INT4), ("value", kind)]) for kind in kinds]
    with (
        connection.cursor() as cursor,
        # The psycopg cursor itself: the one Django logs queries with takes no parameters here.
        cursor.cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", parameters) as copy,
    ):
        received = b"".join(copy)
    offset = len(SIGNATURE) + 4
    offset += 4 + struct.unpack_from(">i", received, offset)[0]
    while struct.unpack_from(">h", received, offset)[0] != -1:
        (key,) = struct.unpack_from(">i", received, offset + 6)
        offset += 10
        arrays: list[NDArray[Any]] = []
        for element in elements:
            (length,) = struct.unpack_from(">i", received, offset)
            offset += 4
            if element is None:
                arrays.append(np.frombuffer(received, np.uint8, length, offset))
            else:
                size = (length - ARRAY_HEAD) // element.itemsize
                arrays.append(np.frombuffer(received, element, size, offset + ARRAY_HEAD)["value"])
            offset += length
        yield key, arrays
