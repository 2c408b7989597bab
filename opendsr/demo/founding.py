"""The demo's database: only an empty one or one marked as a demo is ever touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
from django.core.management import call_command
from django.db import connection

from members.models import Member
from opendsr.demo.cast import COOP_NAME
from opendsr.kernel import installation
from opendsr.kernel.errors import DomainError
from opendsr.kernel.models import Installation
from opendsr.kernel.schemas import SCHEMAS

USE_LOCK = 0x0D5_DE40  # the advisory lock that a serving site holds on its database


class NotTheDemosDatabase(DomainError):
    """The database holds something that is not the demo co-op."""

    status = 403


class DatabaseInUse(DomainError):
    """The site is being served from this database right now."""


def require_demo_database() -> None:
    """Raise NotTheDemosDatabase unless the database is empty or marked as a demo."""
    tables = set(connection.introspection.table_names())
    if not tables:
        return
    if Installation._meta.db_table not in tables:
        raise NotTheDemosDatabase(
            database=_name(),
            found=f"{len(tables)} tables of something else",
            fix="point DATABASE_URL at an empty database, or unset it",
        )
    row = Installation.objects.first()
    if row is None and _people():
        raise NotTheDemosDatabase(
            database=_name(),
            found=f"{_people()} members",
            fix="point DATABASE_URL at an empty database, or unset it",
        )
    if row is not None and not row.is_demo:
        raise NotTheDemosDatabase(
            database=_name(),
            found=row.coop_name,
            fix="the demo never touches a live co-op: point DATABASE_URL at an empty database, or unset it",
        )


def start_afresh(*, at: datetime) -> None:
    """Empty the demo's database, migrate it and mark it as a demo.

    Raises NotTheDemosDatabase, or DatabaseInUse while `make up` serves from it.
    """
    require_demo_database()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [USE_LOCK])
        if not cursor.fetchone()[0]:
            raise DatabaseInUse(database=_name(), fix="stop make up (Ctrl-C) or the other demo first")
        if connection.introspection.table_names():
            schemas = ", ".join(SCHEMAS)
            cursor.execute(f"DROP SCHEMA IF EXISTS {schemas}, public CASCADE")
            cursor.execute("CREATE SCHEMA public")
    prepare()
    installation.found(coop_name=COOP_NAME, is_demo=True, at=at)


def prepare() -> None:
    """Bring the schema up to date and make the cache table."""
    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)


@contextmanager
def held_for_use() -> Iterator[None]:
    """Keep the demo from emptying the database while the block serves from it. Raises DatabaseInUse."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as holder:
        taken = holder.execute("SELECT pg_try_advisory_lock_shared(%s)", [USE_LOCK]).fetchone()
        if not taken or not taken[0]:
            raise DatabaseInUse(database=_name(), fix="wait for make demo to end, or stop it")
        yield


def _people() -> int:
    return Member.objects.count() if Member._meta.db_table in connection.introspection.table_names() else 0


def _name() -> str:
    return str(connection.settings_dict["NAME"])
