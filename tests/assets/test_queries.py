"""Which assets are in a place: every zone kind, what counts as in use, and one statement for all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from assets import installing, queries, servicing
from members.entry import InvalidField
from tests.factories import JOINED_AT, make_asset, make_home, make_hub, new_serial

pytestmark = pytest.mark.django_db
LATER = JOINED_AT + timedelta(days=1)


def homes_in(zone_kind: str, zone: str) -> set:
    return {row.home_id for row in queries.assets_in_zone(zone_kind, zone)}


@pytest.fixture
def salford(db):
    home = make_home(postcode="M5 4WT", gsp_group="G", primary_substation="Ordsall", cmz="Calder Bank")
    make_hub(home, kinds=("ev_charger", "immersion_heater"), through_vtn=False)
    return home.pk


@pytest.fixture
def mansfield(db):
    home = make_home(postcode="MK9 1AA", gsp_group="B", primary_substation="Bletchley", cmz="Milton")
    make_hub(home, through_vtn=False)
    return home.pk


@pytest.mark.parametrize(
    ("zone_kind", "zone"),
    [
        ("gsp_group", "G"),
        ("gsp_group", "_g"),
        ("cmz", "Calder Bank"),
        ("substation", "Ordsall"),
        ("postcode_area", "M"),
        ("postcode_area", "m"),
    ],
)
def test_a_zone_of_each_kind_holds_its_own_homes(salford, mansfield, zone_kind, zone):
    assert homes_in(zone_kind, zone) == {salford}


def test_everywhere_is_everywhere(salford, mansfield):
    assert homes_in("everywhere", "") == {salford, mansfield}


def test_nowhere_is_empty(salford):
    assert homes_in("cmz", "Nowhere") == set()
    assert homes_in("postcode_area", "B") == set()


@pytest.mark.parametrize(
    ("zone_kind", "zone"), [("planet", "Mars"), ("postcode_area", "M.*"), ("postcode_area", "")]
)
def test_what_names_no_zone_is_refused(db, zone_kind, zone):
    with pytest.raises(InvalidField):
        queries.assets_in_zone(zone_kind, zone)


def test_a_row_says_what_planning_needs(alice):
    kit = make_hub(alice.home, through_vtn=False, flexible_w=3000)

    (row,) = queries.assets_in_zone("gsp_group", "G")

    asset = kit.assets[0]
    assert row == queries.ZoneAsset(
        asset_id=asset.pk,
        kind_code="ev_charger",
        rated_w=7360,
        flexible_w=3000,
        minimum_w=1380,
        step_w=230,
        turn_down_hours=10.5,
        turn_up_hours=1.5,
        asset_state="active",
        hub_id=kit.hub.pk,
        hub_state="commissioned",
        ven_id=kit.ven_id,
        home_id=alice.home.pk,
        resource_id=asset.resource_id,
        name="ev charger",
    )


def test_faulty_and_planned_are_shown_and_retired_are_not(db):
    faulty, retired = make_hub(
        make_home(), kinds=("ev_charger", "immersion_heater"), through_vtn=False
    ).assets
    servicing.report_fault(asset_id=faulty.pk, at=LATER, by="staff:1")
    servicing.retire_asset(asset_id=retired.pk, at=LATER, by="staff:1")
    planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT).hub
    waiting = make_asset(planned)

    rows = {row.asset_id: row for row in queries.assets_in_zone("everywhere", "")}

    assert rows.keys() == {faulty.pk, waiting.pk}
    assert rows[faulty.pk].asset_state == "faulty"
    assert (rows[waiting.pk].hub_state, rows[waiting.pk].ven_id) == ("planned", None)


def test_any_number_of_homes_is_one_statement(salford, mansfield, django_assert_num_queries):
    for _ in range(5):
        make_hub(make_home(), kinds=("ev_charger", "immersion_heater"), through_vtn=False)

    with django_assert_num_queries(1):
        assert len(queries.assets_in_zone("everywhere", "")) == 13


def test_order_is_that_of_resource_ids(salford, mansfield):
    ids = [row.resource_id for row in queries.assets_in_zone("everywhere", "")]

    assert ids == sorted(ids)
