"""Real PostgreSQL roles: each sees its own kind of data, none another's, nor whose stream is whose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connection, transaction

from members.models import Purpose
from metering import purposes, store
from metering.database_roles import ENERGY, OPERATIONS, SETTLEMENT, statements
from metering.ingest import store_readings
from opendsr.kernel.periods import period_starts
from tests.metering.samples import AT

pytestmark = pytest.mark.django_db

DAY = date(2026, 1, 6)
LINK = "SELECT count(*) FROM identity.members_meterstream"
READINGS = "SELECT count(*) FROM energy.metering_half_hour"
LIVE = "SELECT count(*) FROM energy.metering_live"
PACKED = "SELECT count(*) FROM energy.metering_packed"
TELEMETRY = "SELECT count(*) FROM operations.outbox_fact"
MONEY = "SELECT count(*) FROM money.settlement_posting"
THROUGH_THE_DOOR = "SELECT count(*) FROM audited.metering_half_hour"


@pytest.fixture(autouse=True)
def _roles(db: None) -> None:
    with connection.cursor() as cursor:
        for statement in statements():
            cursor.execute(statement)


@contextmanager
def acting_as(role: str, search_path: str = "public") -> Iterator[None]:
    """This connection with that role's rights and no other, until the block ends."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute(f"SET LOCAL search_path = {search_path}")
        yield
        transaction.set_rollback(True)


def asks(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("role", "own", "others"),
    [
        (OPERATIONS, [TELEMETRY], [READINGS, LIVE, PACKED, LINK, MONEY, THROUGH_THE_DOOR]),
        (ENERGY, [READINGS, LIVE, PACKED], [TELEMETRY, LINK, MONEY, THROUGH_THE_DOOR]),
        (SETTLEMENT, [MONEY], [READINGS, LIVE, PACKED, LINK, TELEMETRY]),
    ],
)
def test_each_role_reads_its_own_and_nobody_elses(role, own, others):
    for sql in own:
        with acting_as(role):
            assert asks(sql) >= 0
    for sql in others:
        with pytest.raises(ProgrammingError, match="permission denied"), acting_as(role):
            asks(sql)


def test_settlement_reads_only_what_it_has_announced_and_cannot_take_that_back(ash):
    starts = period_starts(DAY)[:2]
    store_readings(
        source="supplier", name="x", at=AT, stream_ids=[ash] * 2, starts_at=starts, import_wh=[7, 8]
    )
    with pytest.raises(ProgrammingError, match="announce_read"), acting_as(SETTLEMENT):
        asks(THROUGH_THE_DOOR)

    with acting_as(SETTLEMENT, "money, audited, public"):
        purposes.announce(Purpose.SETTLEMENT, "settlement", [ash], [DAY])
        cube = store.day_cube([ash], [DAY])
        assert cube.wh[0, 0, :3].tolist() == [7, 8, 0]
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            asks("WITH gone AS (DELETE FROM audited.metering_read RETURNING 1) SELECT count(*) FROM gone")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM money.settlement_posting",
        "UPDATE money.settlement_settlementrun SET method = 'x'",
        "UPDATE money.settlement_homedelivery SET earned_mp = 1",
        "DELETE FROM money.settlement_deviceestimate",
    ],
)
def test_what_is_append_only_is_so_by_grant_too(change):
    with pytest.raises(ProgrammingError, match="permission denied"), acting_as(SETTLEMENT, "money"):
        execute(change)
    with acting_as(SETTLEMENT, "money"):
        execute("UPDATE money.settlement_account SET code = code")


def test_what_was_read_for_what_is_kept_and_cannot_be_edited(ash):
    how_many = "SELECT count(*) FROM audited.metering_read"
    with connection.cursor() as cursor:  # tests that commit cannot take back what they noted
        before = asks(how_many)
        purposes.day_cube(Purpose.SETTLEMENT, [ash], [DAY], reader="settlement")

        assert asks(how_many) == before + 1
        cursor.execute(
            "SELECT purpose, reader, streams FROM audited.metering_read WHERE starts_at = %s",
            [datetime(2026, 1, 6, tzinfo=UTC)],
        )
        assert ("settlement", "settlement", 1) in cursor.fetchall()
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            cursor.execute("UPDATE audited.metering_read SET purpose = 'none'")


def test_the_command_prints_before_it_does(capsys):
    call_command("database_roles")
    assert "CREATE ROLE opendsr_energy" in capsys.readouterr().out
    call_command("database_roles", apply=True)
    assert "as they should be" in capsys.readouterr().out
