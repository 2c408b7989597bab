"""The demo's database: only an empty one or one marked as a demo is ever touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import LiteralString

import psycopg
from django.core.management import call_command
from django.db import connection
from django.db.models import Model

from campaigns.models import Campaign
from members.models import Member, User
from opendsr.demo.cast import COOP_NAME
from opendsr.kernel import audit, installation
from opendsr.kernel.errors import DomainError
from opendsr.kernel.models import AuditEntry, Installation
from opendsr.kernel.schemas import AUDITED, SCHEMAS

USE_LOCK = 0x0D5_DE40  # the advisory lock that who serves shares, and who plays holds alone

LOADED = "demo.loaded"
KEPT_BY_DJANGO = {"django_migrations", "django_cache"}
POINT_ELSEWHERE = "point DATABASE_URL at an empty database, or unset it"


class NotTheDemosDatabase(DomainError):
    """The database holds something that is not the demo co-op."""

    status = 403


class DatabaseOfOthers(NotTheDemosDatabase):
    """The database belongs to another program."""


class DatabaseInUse(DomainError):
    """The site is being served from this database right now."""


def require_ours() -> None:
    """Raise DatabaseOfOthers when the database holds no co-op, and tables that are not OpenDSR's.

    OpenDSR's own schemas hold nothing strange once they are there.
    """
    tables = set(connection.introspection.table_names(include_views=True))
    if Installation._meta.db_table in tables:
        if Installation.objects.exists():
            return
        tables = _public_tables()
    strange = sorted(tables - set(connection.introspection.django_table_names()) - KEPT_BY_DJANGO)
    if strange:
        raise DatabaseOfOthers(
            database=_name(), found=f"something else, such as {strange[0]}", fix=POINT_ELSEWHERE
        )


def require_demo_database() -> None:
    """Raise NotTheDemosDatabase unless the database is empty or marked as a demo."""
    require_ours()
    if not connection.introspection.table_names():
        return
    people = _rows(Member) + _rows(User)
    row = Installation.objects.values("coop_name", "is_demo").first() if _rows(Installation) else None
    if row is None and people:
        raise NotTheDemosDatabase(database=_name(), found=f"{people} people", fix=POINT_ELSEWHERE)
    if row is not None and not row["is_demo"]:
        raise NotTheDemosDatabase(
            database=_name(),
            found=row["coop_name"],
            fix=f"the demo never touches a live co-op: {POINT_ELSEWHERE}",
        )


def start_afresh(*, at: datetime) -> None:
    """Empty the demo's database, migrate it and mark it as a demo. Raises NotTheDemosDatabase."""
    require_demo_database()
    with connection.cursor() as cursor:
        if connection.introspection.table_names(include_views=True):
            schemas = ", ".join((*SCHEMAS, AUDITED))
            cursor.execute(f"DROP SCHEMA IF EXISTS {schemas}, public CASCADE")
            cursor.execute("CREATE SCHEMA public")
    prepare()
    installation.found(coop_name=COOP_NAME, is_demo=True, at=at)


def mark_loaded(*, at: datetime, homes: int) -> None:
    """Write down that the demo co-op is there whole."""
    audit.record(at=at, actor="demo", verb=LOADED, target="installation", detail={"homes": homes})


def is_cut_short() -> bool:
    """Return whether a demo co-op was begun here and never loaded to its end.

    Campaigns come after the loading: with one there, the mark is missing because an older version loaded it.
    """
    is_whole = AuditEntry.objects.filter(verb=LOADED).exists() or Campaign.objects.exists()
    return installation.current().is_demo and not is_whole


def prepare() -> None:
    """Bring the schema up to date and make the cache table."""
    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)


@contextmanager
def held_alone() -> Iterator[None]:
    """Keep everybody else from serving or playing from the database in the block. Raises DatabaseInUse."""
    with _held("pg_try_advisory_lock", fix="stop `make up` (Ctrl-C) or the other `make demo` first"):
        yield


@contextmanager
def held_for_use() -> Iterator[None]:
    """Keep the demo from emptying the database while the block serves from it. Raises DatabaseInUse."""
    with _held("pg_try_advisory_lock_shared", fix="wait for `make demo` to end, or stop it"):
        yield


@contextmanager
def _held(function: LiteralString, *, fix: str) -> Iterator[None]:
    """Hold the lock on a connection of its own, which ends with the block however that ends."""
    with closing(psycopg.connect(**connection.get_connection_params(), autocommit=True)) as holder:
        taken = holder.execute(f"SELECT {function}(%s)", [USE_LOCK]).fetchone()
        if not taken or not taken[0]:
            raise DatabaseInUse(database=_name(), fix=fix)
        try:
            yield
        finally:  # the server may notice only later that the connection has closed
            with suppress(psycopg.Error):
                holder.execute("SELECT pg_advisory_unlock_all()")


def _public_tables() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('public')"
            " AND relkind IN ('r', 'p', 'v', 'm', 'f')"
        )
        return {name for (name,) in cursor.fetchall()}


def _rows(model: type[Model]) -> int:
    """How many rows there are; none where the table itself is not there yet."""
    is_there = model._meta.db_table in connection.introspection.table_names()
    return model._base_manager.count() if is_there else 0


def _name() -> str:
    return str(connection.settings_dict["NAME"])
