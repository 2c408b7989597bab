"""The four PostgreSQL schemas and the migration operation that puts a table into one.

The connection's search_path names them all, so models keep plain `db_table` names and any query finds its
table; roles and retention can be granted by kind of data. Kernel 0001 creates the schemas.
"""

from __future__ import annotations

from typing import Final

from django.db import migrations

SCHEMAS: Final = ("identity", "operations", "energy", "money")
AUDITED: Final = "audited"
"""A door and no place for models: views of `energy` for who may read it only on the record (metering)."""
SEARCH_PATH: Final = ",".join(("public", *SCHEMAS))


def create_all() -> migrations.RunSQL:
    """Operation that creates the four schemas; kernel 0001 only."""
    return migrations.RunSQL(
        sql=[f'CREATE SCHEMA IF NOT EXISTS "{schema}"' for schema in SCHEMAS],
        reverse_sql=[f'DROP SCHEMA IF EXISTS "{schema}"' for schema in reversed(SCHEMAS)],
    )


def place(schema: str, *tables: str) -> migrations.RunSQL:
    """Operation that moves the tables, with their indexes and sequences, from public into `schema`.

    The last operation of each app's 0001, whose dependencies name ("kernel", "0001_initial").
    """
    if schema not in SCHEMAS:
        raise ValueError(f"no schema {schema!r}: choose one of {', '.join(SCHEMAS)}")
    if not tables:
        raise ValueError("name at least one table to place")
    return migrations.RunSQL(
        sql=[f'ALTER TABLE "public"."{table}" SET SCHEMA "{schema}"' for table in tables],
        reverse_sql=[f'ALTER TABLE "{schema}"."{table}" SET SCHEMA "public"' for table in reversed(tables)],
    )


def append_only(schema: str, table: str) -> migrations.RunSQL:
    """Operation that makes PostgreSQL refuse UPDATE and DELETE on a table already placed in `schema`.

    TRUNCATE stays with the table's owner, which a production site's own role is not.
    """
    name = f"{table}_append_only"
    return migrations.RunSQL(
        sql=f'CREATE TRIGGER "{name}" BEFORE UPDATE OR DELETE ON "{schema}"."{table}" '
        f"FOR EACH ROW EXECUTE FUNCTION operations.refuse_change()",
        reverse_sql=f'DROP TRIGGER "{name}" ON "{schema}"."{table}"',
    )
