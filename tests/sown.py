"""What migrations put into tables: kept when a test database is made, put back when a test has emptied all.

Tests that commit clean up by emptying every table; a test after them finds what an installation begins with.
"""

from __future__ import annotations

from typing import Final

from django.apps import apps
from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import sql

OURS: Final = frozenset(
    {"kernel", "members", "notices", "assets", "metering", "campaigns", "settlement", "vtn"}
)
_kept: dict[str, bytes] = {}


def keep() -> None:
    """Read every row of ours that the migrations left."""
    _kept.clear()
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table)))
            if cursor.fetchone() == (True,):
                statement = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
                with cursor.copy(statement) as rows:
                    _kept[table] = b"".join(bytes(piece) for piece in rows)


def put_back() -> None:
    """Write what was kept into tables that are empty; notes of reads, which no model has, are forgotten."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE audited.metering_read")
        for table, rows in _kept.items():
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table)))
            if cursor.fetchone() == (False,):
                with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as writing:
                    writing.write(rows)
                _count_on(cursor, table)


def _count_on(cursor: CursorWrapper, table: str) -> None:
    """The next number of the table's rows comes after those that were put back."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'YES'",
        [table],
    )
    for (column,) in cursor.fetchall():
        name = sql.Identifier(column)
        cursor.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence(%s, %s), max({})) FROM {}").format(
                name, sql.Identifier(table)
            ),
            [table, column],
        )


def _tables() -> list[str]:
    models = [model for model in apps.get_models() if model._meta.app_label in OURS and model._meta.managed]
    return sorted({model._meta.db_table for model in models})
