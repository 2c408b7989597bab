"""What takes the place of what, and that nothing replaced loses its past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from assets import cataloguing, commissioning, fitting, histories, jobs, servicing
from assets.installing import SerialTaken
from assets.models import Asset, Cad, Hub
from assets.registry_models import Meter, Product
from members.entry import InvalidField
from opendsr.kernel.models import AuditEntry
from tests.factories import make_home, make_hub, new_serial, signing_request

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BY = "staff:1"


def make_product(**more) -> Product:
    values = {"category": "asset", "kind_id": "immersion_heater", "make": "Shelly", "model": "1PM", **more}
    return cataloguing.save_product(product_id=None, values={"is_offered": True, **values}, at=AT, by=BY)


def told(home_id) -> list[tuple[str, str, str, str]]:
    return [(each.thing, each.name, each.what, each.other) for each in histories.history_of(home_id)]


def test_a_meter_takes_the_place_of_the_one_before():
    home = make_home()
    first = fitting.fit_meter(home=home, serial="M-1", at=AT, by=BY)
    second = fitting.fit_meter(home=home, serial="M-2", at=AT + DAY, by=BY)
    first.refresh_from_db()
    assert (first.removed_at, second.replaces) == (AT + DAY, first)
    assert told(home.pk) == [
        ("meter", "M-2", "fitted", "M-1"),
        ("meter", "M-1", "replaced", "M-2"),
        ("meter", "M-1", "fitted", ""),
    ]
    for home_again, serial in ((home, "M-2"), (make_home(), "M-1")):
        with pytest.raises(SerialTaken):
            fitting.fit_meter(home=home_again, serial=serial, at=AT + DAY, by=BY)
    with pytest.raises(InvalidField):
        fitting.fit_meter(home=home, serial=" ", at=AT, by=BY)


def test_a_new_meter_noted_by_member_services_ends_the_old_ones_place():
    home = make_home()
    fitting.fit_meter(home=home, serial="M-1", at=AT, by=BY)
    jobs.note_new_meter(home=home, changed_at=AT + DAY, at=AT + DAY, by=BY)
    assert Meter.objects.get().removed_at == AT + DAY


def test_a_cad_takes_the_place_of_the_one_before():
    home = make_home()
    first = fitting.fit_cad(home=home, serial="C-1", at=AT, by=BY)
    product = make_product(category="cad", kind_id=None, make="Hildebrand", model="Glow IHD")
    second = fitting.fit_cad(home=home, serial="C-2", product_id=product.pk, at=AT + DAY, by=BY)
    first.refresh_from_db()
    assert (first.retired_at, second.replaces, second.product) == (AT + DAY, first, product)
    assert Cad.objects.filter(home=home, retired_at=None).get() == second
    with pytest.raises(SerialTaken):
        fitting.fit_cad(home=make_home(), serial="C-1", at=AT, by=BY)


def test_an_asset_is_replaced_with_its_name_and_needs_and_a_wire_name_of_its_own():
    kit = make_hub(make_home(), at=AT, kinds=("immersion_heater",))
    (old,) = kit.assets
    Asset.objects.filter(pk=old.pk).update(needs={"minimum_c": 45}, name="Tank upstairs")
    product = make_product(rated_w=2_400)
    new = fitting.replace_asset(asset_id=old.pk, product_id=product.pk, at=AT + DAY, by=BY)
    old.refresh_from_db()
    assert (old.state, old.retired_at, new.replaces) == ("retired", AT + DAY, old)
    assert (new.name, new.needs, new.rated_w, new.product) == (
        "Tank upstairs",
        {"minimum_c": 45},
        2_400,
        product,
    )
    assert new.resource_id != old.resource_id
    assert new.flexible_w == min(old.flexible_w, 2_400)
    assert ("asset", "Tank upstairs", "replaced", "Tank upstairs") in told(kit.hub.home_id)
    with pytest.raises(servicing.AssetRetired):
        fitting.replace_asset(asset_id=old.pk, at=AT, by=BY)
    with pytest.raises(servicing.AssetNotFound):
        fitting.replace_asset(asset_id=uuid4(), at=AT, by=BY)
    car = make_product(kind_id="ev_charger", model="Wallbox")
    with pytest.raises(InvalidField):
        fitting.replace_asset(asset_id=new.pk, product_id=car.pk, at=AT, by=BY)


def test_a_hubs_replacement_keeps_the_homes_past():
    kit = make_hub(make_home(), at=AT)
    planned = servicing.plan_replacement(hub_id=kit.hub.pk, serial=new_serial(), at=AT + DAY, by=BY)
    _key, csr_pem = signing_request()
    commissioning.commission_hub(
        serial=planned.hub.serial, enrolment_code=planned.enrolment_code, csr_pem=csr_pem, at=AT + DAY + HOUR
    )
    assert Hub.objects.filter(home=kit.hub.home).count() == 2
    assert Asset.objects.get().hub_id == planned.hub.pk
    happened = told(kit.hub.home_id)
    assert set(happened[:2]) == {
        ("hub", kit.hub.serial, "replaced", planned.hub.serial),
        ("hub", planned.hub.serial, "fitted", kit.hub.serial),
    }
    assert ("asset", "ev charger", "fitted", "") in happened


def test_an_asset_retired_by_mistake_comes_back():
    kit = make_hub(make_home(), at=AT)
    servicing.retire_asset(asset_id=kit.assets[0].pk, at=AT, by=BY)
    assert servicing.restore_asset(asset_id=kit.assets[0].pk, at=AT + DAY, by=BY).state == "active"
    servicing.retire_hub(hub_id=kit.hub.pk, at=AT + DAY, by=BY)
    with pytest.raises(servicing.HubOutOfUse):
        servicing.restore_asset(asset_id=kit.assets[0].pk, at=AT + DAY, by=BY)
    with pytest.raises(servicing.AssetNotFound):
        servicing.restore_asset(asset_id=uuid4(), at=AT, by=BY)


class TestCatalogue:
    def test_each_change_is_kept_and_no_change_is_none(self):
        product = make_product()
        values = {name: getattr(product, name) for name in cataloguing.FIELDS}
        cataloguing.save_product(product_id=product.pk, values=values, at=AT + DAY, by=BY)
        assert len(cataloguing.history_of(product)) == 1
        cataloguing.save_product(
            product_id=product.pk, values={**values, "weight_g": 43}, at=AT + DAY, by="staff:2"
        )
        newest = cataloguing.history_of(product)[0]
        assert (newest.actor, newest.detail) == ("staff:2", {"weight_g": [None, 43]})

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"category": "toaster"}, "category"),
            ({"kind_id": None}, "kind"),
            ({"kind_id": "toaster"}, "kind"),
            ({"category": "hub"}, "kind"),
            ({"make": " "}, "make"),
            ({"model": "x" * 61}, "model"),
            ({"rated_w": 0}, "rated_w"),
            ({"rated_w": 100_001}, "rated_w"),
            ({"phases": 2}, "phases"),
            ({"rated_w": 1_000, "minimum_w": 1_001}, "minimum_w"),
            ({"relay_life_years": 0}, "relay_life_years"),
            ({"siting": "a\u202eb"}, "siting"),
        ],
    )
    def test_what_cannot_be_is_refused_by_field(self, wrong, field):
        make_home()
        with pytest.raises(InvalidField) as refused:
            make_product(**wrong)
        assert refused.value.field == field
        assert not Product.objects.exists()

    def test_a_make_and_model_is_there_once(self):
        make_product()
        with pytest.raises(cataloguing.ProductKnown):
            make_product()
        with pytest.raises(cataloguing.ProductNotFound):
            cataloguing.save_product(product_id=uuid4(), values={}, at=AT, by=BY)
        assert AuditEntry.objects.filter(verb="product.added").count() == 1


@pytest.fixture(autouse=True)
def _kinds(db):
    from tests.factories import make_asset_kinds

    make_asset_kinds()
