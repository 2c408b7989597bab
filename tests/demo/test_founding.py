"""The demo touches an empty database or its own, and no other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from opendsr.demo import founding
from opendsr.kernel import installation
from tests import cast, factories
from tests.campaigns.staging import make_campaign

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

    with pytest.raises(founding.NotTheDemosDatabase, match="1 people"):
        founding.require_demo_database()


def test_the_demos_own_database_is_let_through() -> None:
    installation.found(coop_name="Demo", is_demo=True, at=AT)

    founding.require_demo_database()


def test_a_sign_in_without_a_mark_is_refused() -> None:
    cast.sam()

    with pytest.raises(founding.NotTheDemosDatabase, match="1 people"):
        founding.require_demo_database()


def test_somebody_elses_tables_are_refused() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA other")
        cursor.execute("CREATE TABLE other.invoice (id int)")
        cursor.execute("SET LOCAL search_path = other")

        with pytest.raises(founding.DatabaseOfOthers, match="something else, such as invoice"):
            founding.require_demo_database()


@pytest.mark.parametrize("kind", ["TABLE invoice (id int)", "VIEW invoice AS SELECT 1 AS id"])
def test_somebody_elses_things_beside_our_empty_tables_are_refused(kind: str) -> None:
    """Also by `make up`, which would else bring the schema up to date and load the demo over them."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE {kind}")

    for refuse in (founding.require_ours, founding.require_demo_database):
        with pytest.raises(founding.DatabaseOfOthers, match="invoice"):
            refuse()


def test_a_co_op_may_keep_things_of_its_own_beside() -> None:
    installation.found(coop_name="Real Co-op", is_demo=False, at=AT)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE invoice (id int)")

    founding.require_ours()


def test_a_demo_is_whole_once_it_was_loaded_to_its_end() -> None:
    installation.found(coop_name="Demo", is_demo=True, at=AT)
    assert founding.is_cut_short()

    founding.mark_loaded(at=AT, homes=20)

    assert not founding.is_cut_short()


def test_a_demo_with_a_campaign_is_whole_whoever_loaded_it() -> None:
    installation.found(coop_name="Demo", is_demo=True, at=AT)

    make_campaign()

    assert not founding.is_cut_short()


def test_a_live_co_op_is_never_cut_short() -> None:
    installation.found(coop_name="Real Co-op", is_demo=False, at=AT)

    assert not founding.is_cut_short()


def test_who_plays_keeps_everybody_out_and_who_serves_keeps_out_who_plays() -> None:
    with founding.held_alone():
        with pytest.raises(founding.DatabaseInUse), founding.held_alone():
            pass
        with pytest.raises(founding.DatabaseInUse), founding.held_for_use():
            pass
    with (
        founding.held_for_use(),
        founding.held_for_use(),
        pytest.raises(founding.DatabaseInUse, match="make up"),
        founding.held_alone(),
    ):
        pass
