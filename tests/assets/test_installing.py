"""Fitting a home: hubs, CADs and assets, their defaults and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from assets import installing, servicing
from assets.models import Asset, AssetKind, Hub
from members.entry import InvalidField
from tests.factories import JOINED_AT, make_asset_kinds, make_home, make_hub, new_serial

pytestmark = pytest.mark.django_db


@pytest.fixture
def planned(db):
    make_asset_kinds()
    return installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT)


def test_a_planned_hub_comes_with_a_code_that_is_not_kept(planned):
    hub = planned.hub

    assert hub.state == Hub.State.PLANNED
    assert hub.ven_id is None
    assert hub.enrolment_code_expires_at == JOINED_AT + timedelta(hours=24)
    assert len(planned.enrolment_code) == 24
    assert planned.enrolment_code not in str(Hub.objects.values().get(pk=hub.pk))


def test_a_serial_number_is_recorded_once(planned):
    with pytest.raises(installing.SerialTaken):
        installing.plan_hub(home=make_home(), serial=f" {planned.hub.serial} ", at=JOINED_AT)


@pytest.mark.parametrize("serial", ["", "  ", "x" * 41, "HUB\x00"])
def test_a_serial_number_is_one_short_line(serial):
    with pytest.raises(InvalidField):
        installing.plan_hub(home=make_home(), serial=serial, at=JOINED_AT)


def test_a_new_code_voids_the_old_one(planned):
    again = installing.reissue_code(hub=planned.hub, at=JOINED_AT + timedelta(days=2))

    assert again.enrolment_code != planned.enrolment_code
    assert again.hub.enrolment_code_sha256 != planned.hub.enrolment_code_sha256
    assert again.hub.enrolment_code_expires_at == JOINED_AT + timedelta(days=3)


def test_a_commissioned_hub_gets_no_new_code(alice):
    kit = make_hub(alice.home, through_vtn=False)

    with pytest.raises(installing.HubNotPlanned):
        installing.reissue_code(hub=kit.hub, at=JOINED_AT)


def test_a_home_has_one_cad_in_use():
    home = make_home()
    cad = installing.pair_cad(home=home, serial="CAD-1", model="Glow", at=JOINED_AT)

    with pytest.raises(installing.HomeHasCad):
        installing.pair_cad(home=home, serial="CAD-2", at=JOINED_AT)
    with pytest.raises(installing.SerialTaken):
        installing.pair_cad(home=make_home(), serial="CAD-1", at=JOINED_AT)

    servicing.retire_cad(cad_id=cad.pk, at=JOINED_AT + timedelta(days=1))
    assert installing.pair_cad(home=home, serial="CAD-2", at=JOINED_AT + timedelta(days=1)).model == ""


@pytest.mark.parametrize(
    ("kind", "rated_w", "flexible_w"),
    [
        ("ev_charger", 7360, 2000),
        ("ev_charger_3ph", 22080, 2000),
        ("immersion_heater", 3000, 600),
        ("storage_heater", 2500, 480),
        ("heat_pump", 3000, 600),
        ("battery", 5000, 1000),
    ],
)
def test_an_asset_takes_after_its_kind(planned, kind, rated_w, flexible_w):
    asset = installing.install_asset(hub=planned.hub, kind_code=kind, name="Thing", at=JOINED_AT)

    assert (asset.rated_w, asset.flexible_w, asset.state) == (rated_w, flexible_w, Asset.State.ACTIVE)


def test_a_smaller_asset_promises_no_more_than_it_draws(planned):
    asset = installing.install_asset(
        hub=planned.hub, kind_code="immersion_heater", name="Small", rated_w=500, at=JOINED_AT
    )

    assert asset.flexible_w == 500


@pytest.mark.parametrize(
    ("powers", "field"),
    [
        ({"rated_w": 3681}, "rated_w"),
        ({"rated_w": 0}, "rated_w"),
        ({"rated_w": -1}, "rated_w"),
        ({"rated_w": 2000, "flexible_w": 2001}, "flexible_w"),
        ({"flexible_w": -1}, "flexible_w"),
    ],
)
def test_power_stays_within_the_fitting(planned, powers, field):
    with pytest.raises(installing.PowerOutOfRange) as refused:
        installing.install_asset(
            hub=planned.hub, kind_code="immersion_heater", name="Tank", at=JOINED_AT, **powers
        )

    assert refused.value.field == field


def test_an_unknown_kind_is_refused(planned):
    with pytest.raises(installing.UnknownAssetKind):
        installing.install_asset(hub=planned.hub, kind_code="aga", name="Pump", at=JOINED_AT)


def test_resource_ids_are_random_and_say_nothing(planned):
    made = [
        installing.install_asset(hub=planned.hub, kind_code="ev_charger", name="EV", at=JOINED_AT)
        for _ in range(3)
    ]

    assert len({asset.resource_id for asset in made}) == 3
    assert all(planned.hub.serial not in asset.resource_id for asset in made)


def test_nothing_is_wired_to_a_retired_hub(planned):
    servicing.retire_hub(hub_id=planned.hub.pk, at=JOINED_AT, by="staff:sam")

    with pytest.raises(installing.HubRetired):
        installing.install_asset(hub=planned.hub, kind_code="ev_charger", name="EV", at=JOINED_AT)


def test_the_kinds_hold_the_reports_figures(planned):
    ev, immersion, storage = (
        AssetKind.objects.get(code=code) for code in ("ev_charger", "immersion_heater", "storage_heater")
    )

    assert (ev.minimum_w, ev.rated_w, ev.step_w) == (6 * 230, 32 * 230, 230)
    assert (float(ev.turn_up_hours), float(ev.turn_up_hours_at_minimum)) == (1.5, 7.0)
    assert (float(ev.turn_down_hours), float(ev.turn_down_hours_at_minimum)) == (10.5, 5.0)
    assert (ev.typical_daily_wh, ev.typical_weekly_wh, ev.typical_yearly_wh) == (10_000, 60_000, 2_900_000)
    assert (immersion.limit_w, immersion.typical_daily_wh) == (16 * 230, 7_500)
    assert (float(immersion.turn_up_hours), float(immersion.turn_down_hours)) == (2.0, 10.0)
    assert (storage.rated_w, storage.limit_w, storage.unavailable_days_a_year) == (2500, 22_080, 245)
    assert (storage.typical_daily_wh, storage.typical_yearly_wh) == (12_000, 1_440_000)
