"""The demo touches an empty database or its own, and no other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from opendsr.demo import founding
from opendsr.kernel import installation
from tests import factories

AT = datetime(2026, 11, 1, 9, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def test_a_migrated_database_without_people_counts_as_empty() -> None:
    founding.require_demo_database()


def test_a_live_co_op_is_refused() -> None:
    installation.found(coop_name="Real Co-op", is_demo=False, at=AT)

    with pytest.raises(founding.NotTheDemosDatabase, match="Real Co-op"):
        founding.start_afresh(at=AT)
    assert installation.current().coop_name == "Real Co-op"


def test_people_without_a_mark_are_refused() -> None:
    factories.make_member()

    with pytest.raises(founding.NotTheDemosDatabase, match="1 members"):
        founding.require_demo_database()


def test_the_demos_own_database_is_let_through() -> None:
    installation.found(coop_name="Demo", is_demo=True, at=AT)

    founding.require_demo_database()


def test_somebody_elses_tables_are_refused() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA other")
        cursor.execute("CREATE TABLE other.invoice (id int)")
        cursor.execute("SET LOCAL search_path = other")

        with pytest.raises(founding.NotTheDemosDatabase, match="something else"):
            founding.require_demo_database()
