"""What the database itself refuses of devices, whoever writes."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from assets.models import Asset, AssetKind, Cad, Hub
from tests.factories import JOINED_AT, make_home, make_hub, new_serial

pytestmark = pytest.mark.django_db


def refused_by(write) -> str:
    """The name of the constraint that refuses the write."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        write()
    return refused.value.__cause__.diag.constraint_name


def test_a_home_has_one_commissioned_hub():
    home = make_home()
    make_hub(home, through_vtn=False)

    assert (
        refused_by(
            Hub(
                home=home,
                serial=new_serial(),
                state="commissioned",
                ven_id="VEN-2",
                commissioned_at=JOINED_AT,
            ).save
        )
        == "hub_one_commissioned_a_home"
    )
    Hub(home=home, serial=new_serial()).save()
    Hub(home=home, serial=new_serial(), state="retired").save()


@pytest.mark.parametrize("known", [{"ven_id": "VEN-1"}, {"commissioned_at": JOINED_AT}, {}])
def test_a_commissioned_hub_is_a_ven_since_a_day(known):
    hub = Hub(home=make_home(), serial=new_serial(), state="commissioned", **known)

    assert refused_by(hub.save) == "hub_commissioned_has_a_ven"


def test_a_commissioned_hub_keeps_no_code():
    kit = make_hub(make_home(), through_vtn=False)

    rows = Hub.objects.filter(pk=kit.hub.pk)
    assert refused_by(lambda: rows.update(enrolment_code_sha256="0" * 64)) == "hub_code_used_once"


def test_a_ven_is_one_hub():
    kit = make_hub(make_home(), through_vtn=False)
    twin = Hub(
        home=make_home(),
        serial=new_serial(),
        state="commissioned",
        ven_id=kit.ven_id,
        commissioned_at=JOINED_AT,
    )

    assert refused_by(twin.save) == "assets_hub_ven_id_key"


def test_a_home_has_one_cad_in_use():
    home = make_home()
    Cad.objects.create(home=home, serial="A", paired_at=JOINED_AT, retired_at=JOINED_AT)
    Cad.objects.create(home=home, serial="B", paired_at=JOINED_AT)

    assert refused_by(Cad(home=home, serial="C", paired_at=JOINED_AT).save) == "cad_one_in_use_a_home"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"rated_w": 0, "flexible_w": 0}, "asset_rated_above_zero"),
        ({"flexible_w": 7361}, "asset_flexible_within_rated"),
    ],
)
def test_an_assets_powers_make_sense(changes, name):
    asset = make_hub(make_home(), through_vtn=False).assets[0]

    assert refused_by(lambda: Asset.objects.filter(pk=asset.pk).update(**changes)) == name


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"minimum_w": 7361}, "assetkind_powers_in_order"),
        ({"minimum_w": 0}, "assetkind_powers_in_order"),
        ({"limit_w": 7000}, "assetkind_powers_in_order"),
        ({"typical_flexible_w": 7361}, "assetkind_flexible_within_rated"),
    ],
)
def test_a_kinds_powers_make_sense(changes, name):
    make_hub(make_home(), through_vtn=False)

    assert refused_by(lambda: AssetKind.objects.filter(code="ev_charger").update(**changes)) == name


def test_a_resource_id_is_one_asset():
    first, second = make_hub(make_home(), kinds=("ev_charger", "immersion_heater"), through_vtn=False).assets

    rows = Asset.objects.filter(pk=second.pk)
    assert refused_by(lambda: rows.update(resource_id=first.resource_id)) == "assets_asset_resource_id_key"
