"""The four PostgreSQL schemas and the migration operations that make tables and put them into one.

The connection's search_path names them all, so models keep plain `db_table` names and any query finds its
table; roles and retention can be granted by kind of data. Kernel 0001 creates the schemas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

SCHEMAS: Final = ("identity", "operations", "energy", "money")
AUDITED: Final = "audited"
"""A door and no place for models: views of `energy` for who may read it only on the record (metering)."""
SEARCH_PATH: Final = ",".join(("public", *SCHEMAS))


class CreateModels(migrations.SeparateDatabaseAndState):
    """Make many models at once: migrations see them built once for all, not all again after each.

    Django builds anew each model that a new one can be reached from, and here all models reach all others.
    None of the operations may use what another of them made in the database, beyond a foreign key to it.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        super().__init__(state_operations=operations)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """As `makemigrations` and `squashmigrations` would write it."""
        return "CreateModels", [self.state_operations], {}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Add every model to a state that has none built; who asks for one of them builds them all."""
        state.__dict__.pop("apps", None)
        state.is_delayed = False
        super().state_forwards(app_label, state)

    def database_forwards(self, app_label: str, editor: Any, from_state: Any, to_state: Any) -> None:
        """Make the tables, in the order given."""
        for operation in self.state_operations:
            operation.database_forwards(app_label, editor, from_state, to_state)

    def database_backwards(self, app_label: str, editor: Any, from_state: Any, to_state: Any) -> None:
        """Drop the tables, the last one first."""
        for operation in reversed(self.state_operations):
            operation.database_backwards(app_label, editor, from_state, to_state)


def create_all() -> migrations.RunSQL:
    """Operation that creates the four schemas; kernel 0001 only."""
    return migrations.RunSQL(
        sql=[f'CREATE SCHEMA IF NOT EXISTS "{schema}"' for schema in SCHEMAS],
        reverse_sql=[f'DROP SCHEMA IF EXISTS "{schema}"' for schema in reversed(SCHEMAS)],
    )


def place(schema: str, *tables: str) -> migrations.RunSQL:
    """Operation that moves the tables, with their indexes and sequences, from public into `schema`.

    It follows the tables' making; the first migration of a room depends on the kernel's, which makes schemas.
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
