"""The migration that seals what lay plain, on rows that are there: back, and forth again."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from members import opting_out
from members.models import Home, Member, StandingOptOut
from opendsr.kernel import blind_index
from tests.factories import JOINED_AT, make_resident

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]


def to(name: str) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("members", name)])


def raw(sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_rows_are_sealed_where_they_are():
    alice = make_resident("Alice Ash")
    opting_out.start_standing_opt_out(
        occupancy=alice.occupancy, at=JOINED_AT, starts_at=JOINED_AT, reason="visitors"
    )
    mpan = alice.home.mpan
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("members")[0][1]
    try:
        to("0007_needs")
        assert raw("SELECT full_name FROM members_member") == "Alice Ash"
        assert raw("SELECT mpan FROM members_home") == mpan
        assert raw("SELECT reason FROM members_standingoptout") == "visitors"
    finally:
        to(newest)

    assert b"Alice" not in bytes(raw("SELECT full_name FROM members_member"))
    assert Member.objects.get(words__contains=blind_index.words("ash")).full_name == "Alice Ash"
    assert Home.objects.get(mpan_index=mpan).mpan == mpan
    assert StandingOptOut.objects.get().reason == "visitors"
    assert Member.objects.get().household.name == "Alice Ash"
