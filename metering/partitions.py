"""Partitions of live power: a table a week, made ahead and dropped whole when its last sample is too old.

Weeks begin on Monday, UTC. Samples that fall in no week go to the default partition and are moved when their
week is made, so that nothing is refused because a job has not run.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import connection, transaction
from psycopg import sql

SCHEMA: Final = "energy"
PARENT: Final = "metering_live"
REST: Final = "metering_live_rest"
WEEK: Final = timedelta(days=7)
WEEKS_AHEAD: Final = 2
LOCK: Final = 0x4D4550

KNOWN: Final = """
    SELECT child.relname FROM pg_inherits
    JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
    JOIN pg_namespace AS place ON place.oid = parent.relnamespace
    WHERE parent.relname = %s AND place.nspname = %s AND child.relname <> %s ORDER BY child.relname
"""
MOVE: Final = """
    WITH moved AS (DELETE FROM {rest} WHERE at >= {starts} AND at < {ends} RETURNING *)
    INSERT INTO {week} SELECT * FROM moved
"""


def make_partitions(*, at: datetime, weeks_ahead: int = WEEKS_AHEAD) -> list[str]:
    """Make the partitions of this week and the next few that are not there yet; their names."""
    this_week = _monday(at.astimezone(UTC).date())
    made = []
    for number in range(weeks_ahead + 1):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            monday = this_week + number * WEEK
            if _name(monday) not in partitions():
                _make(monday)
                made.append(_name(monday))
    return made


def old_partitions(*, before: datetime) -> list[str]:
    """Names of the partitions all of whose samples were taken before the instant."""
    return [name for name in partitions() if _ends_at(name) <= before]


def drop_old_partitions(*, before: datetime) -> list[str]:
    """Drop them, one transaction each; samples of that age in the default partition are deleted."""
    dropped = []
    for name in old_partitions(before=before):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(SCHEMA, name)))
            dropped.append(name)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DELETE FROM {} WHERE at < %s").format(sql.Identifier(SCHEMA, REST)), [before])
    return dropped


def partitions() -> list[str]:
    """Names of the weekly partitions, earliest first."""
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, [PARENT, SCHEMA, REST])
        return [name for (name,) in cursor.fetchall()]


def _make(monday: date) -> None:
    """The week's table, filled from the default partition before it is attached."""
    week, rest, parent = (sql.Identifier(SCHEMA, name) for name in (_name(monday), REST, PARENT))
    starts, ends = (sql.Literal(_midnight(day)) for day in (monday, monday + WEEK))
    words = {"week": week, "rest": rest, "parent": parent, "starts": starts, "ends": ends}
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TABLE {week} (LIKE {parent} INCLUDING ALL)").format(**words))
        cursor.execute(sql.SQL(MOVE).format(**words))
        cursor.execute(
            sql.SQL(
                "ALTER TABLE {parent} ATTACH PARTITION {week} FOR VALUES FROM ({starts}) TO ({ends})"
            ).format(**words)
        )


def _name(monday: date) -> str:
    return f"{PARENT}_{monday:%Y%m%d}"


def _ends_at(name: str) -> datetime:
    return _midnight(datetime.strptime(name.rsplit("_", 1)[1], "%Y%m%d").date() + WEEK)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
