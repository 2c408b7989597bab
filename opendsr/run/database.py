"""The database that the caller names in DATABASE_URL: it answers, and is one OpenDSR can live in."""

from __future__ import annotations

import psycopg

from opendsr.run.binaries import OLDEST_MAJOR
from opendsr.run.errors import RunError

FORM = "postgresql://user:password@host:5432/name"
INSTEAD = "or unset DATABASE_URL to use a private PostgreSQL"
ANSWER_SECONDS = 10
IS_OURS = "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"


class DatabaseUnusable(RunError):
    """The database of DATABASE_URL cannot serve; the message says why and what to do."""


def require_usable(url: str) -> None:
    """Raise DatabaseUnusable unless the database answers, is new enough, in UTF-8 and the user's own."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise DatabaseUnusable(f"DATABASE_URL is not the address of a PostgreSQL: write {FORM}, {INSTEAD}.")
    try:
        with psycopg.connect(url, connect_timeout=ANSWER_SECONDS) as connection:
            about = connection.info
            name, user, version = about.dbname, about.user, about.server_version // 10_000
            encoding = about.parameter_status("server_encoding")
            is_owner = (connection.execute(IS_OURS).fetchone() or (False,))[0]
    except psycopg.OperationalError as error:
        told, *_ = str(error).strip().splitlines() or ["it says nothing"]
        raise DatabaseUnusable(
            f"The database of DATABASE_URL does not answer: {told}. Start it, correct DATABASE_URL"
            f" ({FORM}), {INSTEAD}."
        ) from error
    except psycopg.Error as error:  # its words may hold the password
        raise DatabaseUnusable(f"DATABASE_URL cannot be read: write {FORM}, {INSTEAD}.") from error
    if version < OLDEST_MAJOR:
        raise DatabaseUnusable(
            f"The database of DATABASE_URL is PostgreSQL {version}; OpenDSR needs {OLDEST_MAJOR} or newer:"
            f" name another, {INSTEAD}."
        )
    if encoding != "UTF8":
        raise DatabaseUnusable(
            f"The database {name} of DATABASE_URL stores text as {encoding}, not UTF8: make one with"
            f" CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0, {INSTEAD}."
        )
    if not is_owner:
        raise DatabaseUnusable(
            f"The database {name} of DATABASE_URL is not {user}'s own: ALTER DATABASE {name} OWNER TO {user},"
            f" {INSTEAD}."
        )
