"""What is wanted of a hub follows from the registry; where it differs from what the hub says, it is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets import commissioning, installing, rolling_out, servicing, shadowing, vtn_door
from assets.differences import differences
from assets.models import Asset, Hub
from tests.factories import JOINED_AT, make_asset, make_hub, new_serial, signing_request

LATER = JOINED_AT + timedelta(days=3)
BY = "staff:7"


def desired(hub: Hub) -> dict:
    return dict(vtn_door.shadows_of([str(hub.ven_id)])[str(hub.ven_id)].desired)


def said(hub: Hub, **more):
    """What a hub that is as it should be reports."""
    wanted = desired(hub)
    return {
        "serial": hub.serial,
        "software": {"hub": "1.0.0", "controllers": {}, "updates": {}},
        "config": {"kind": "real", "hub_toml": "[broker]\n"},
        "assets": [
            {
                "resource_id": each["resource_id"],
                "kind": each["kind"],
                "rated_w": each["rated_w"],
                "is_available": True,
                "is_in_service": each["state"] == "active",
                "needs": each["needs"],
            }
            for each in wanted["assets"]
        ],
        "certificate": {"serial_number": wanted["certificates"][0]["serial_number"]},
        "faults": [],
    } | more


@pytest.mark.django_db
class TestDesired:
    def test_it_follows_the_registry_without_being_asked(self, val):
        asset = val.assets[0]
        first = desired(val.hub)
        assert [each["resource_id"] for each in first["assets"]] == [asset.resource_id]
        assert first["assets"][0]["state"] == "active"
        assert len(first["certificates"]) == 1

        servicing.report_fault(asset_id=asset.pk, at=LATER, by=BY)
        assert desired(val.hub)["assets"][0]["state"] == "faulty"
        make_asset(val.hub, "immersion_heater", at=LATER)
        assert {each["kind"] for each in desired(val.hub)["assets"]} == {"ev_charger", "immersion_heater"}

    def test_the_same_again_is_no_news(self, val):
        version = vtn_door.shadows_of([val.ven_id])[val.ven_id].desired_version
        assert shadowing.refresh_all(at=LATER) == 0
        assert vtn_door.shadows_of([val.ven_id])[val.ven_id].desired_version == version

    def test_any_number_of_hubs_is_a_few_statements(self, alice, django_assert_max_num_queries):
        hubs = [make_hub(alice.home, through_vtn=False).hub for _ in range(1)]
        with django_assert_max_num_queries(9):
            shadowing.refresh(hubs * 1, at=LATER)

    def test_needs_reach_the_hub_and_are_audited(self, val):
        asset = val.assets[0]
        shadowing.set_needs(
            asset_id=asset.pk, needs={"ready_by": "07:00", "charge_wh": 9000}, at=LATER, by=BY
        )
        assert desired(val.hub)["assets"][0]["needs"] == {"ready_by": "07:00", "charge_wh": 9000}

    @pytest.mark.parametrize(
        ("needs", "field"),
        [
            ({"colour": "white"}, "needs"),
            ({"ready_by": True}, "ready_by"),
            ({"ready_by": ["07:00"]}, "ready_by"),
            ({"charge_wh": None}, "charge_wh"),
        ],
    )
    def test_a_need_no_hub_knows_is_refused_by_name(self, val, needs, field):
        with pytest.raises(shadowing.UnknownNeed) as caught:
            shadowing.set_needs(asset_id=val.assets[0].pk, needs=needs, at=LATER, by=BY)
        assert caught.value.field == field
        assert Asset.objects.get(pk=val.assets[0].pk).needs == {}


@pytest.mark.django_db
class TestReplacing:
    def test_the_new_hub_takes_over_when_it_is_commissioned_and_not_before(self, alice, val):
        tell(val.hub, said(val.hub))
        asset = val.assets[0]
        planned = servicing.plan_replacement(hub_id=val.hub.pk, serial=new_serial(), at=LATER, by=BY)
        assert Hub.objects.get(pk=val.hub.pk).state == Hub.State.COMMISSIONED
        assert Asset.objects.get(pk=asset.pk).hub_id == val.hub.pk

        request = signing_request()[1]
        made = commissioning.commission_hub(
            serial=planned.hub.serial, enrolment_code=planned.enrolment_code, csr_pem=request, at=LATER
        )

        old, moved = Hub.objects.get(pk=val.hub.pk), Asset.objects.get(pk=asset.pk)
        assert old.state == Hub.State.RETIRED
        assert (moved.hub_id, moved.state, moved.resource_id) == (made.hub.pk, "active", asset.resource_id)
        wanted = desired(made.hub)
        assert [each["resource_id"] for each in wanted["assets"]] == [asset.resource_id]
        assert wanted["restore"] == {"hub_toml": "[broker]\n"}

    def test_a_hub_is_replaced_by_one(self, val):
        servicing.plan_replacement(hub_id=val.hub.pk, serial=new_serial(), at=LATER, by=BY)
        with pytest.raises(servicing.HubReplaced):
            servicing.plan_replacement(hub_id=val.hub.pk, serial=new_serial(), at=LATER, by=BY)

    def test_only_what_works_is_replaced(self, val):
        servicing.retire_hub(hub_id=val.hub.pk, at=LATER, by=BY)
        with pytest.raises(servicing.HubOutOfUse):
            servicing.plan_replacement(hub_id=val.hub.pk, serial=new_serial(), at=LATER, by=BY)

    def test_a_retired_hub_is_restored_with_what_was_retired_with_it(self, val):
        lost = make_asset(val.hub, "immersion_heater")
        servicing.retire_asset(asset_id=lost.pk, at=LATER - timedelta(hours=1), by=BY)
        servicing.retire_hub(hub_id=val.hub.pk, at=LATER, by=BY)

        planned = servicing.restore_hub(hub_id=val.hub.pk, at=LATER, by=BY)

        states = dict(Asset.objects.filter(hub=val.hub).values_list("kind_id", "state"))
        assert states == {"ev_charger": "active", "immersion_heater": "retired"}
        made = commissioning.commission_hub(
            serial=planned.hub.serial, enrolment_code=planned.enrolment_code,
            csr_pem=signing_request()[1], at=LATER,
        )  # fmt: skip
        assert made.ven_id != val.ven_id
        assert made.hub.state == Hub.State.COMMISSIONED

    def test_it_is_not_restored_where_another_has_its_place(self, alice, val):
        servicing.retire_hub(hub_id=val.hub.pk, at=LATER, by=BY)
        installing.plan_hub(home=alice.home, serial=new_serial(), at=LATER)
        with pytest.raises(servicing.HubReplaced):
            servicing.restore_hub(hub_id=val.hub.pk, at=LATER, by=BY)

    def test_what_is_in_use_is_not_restored(self, val):
        with pytest.raises(servicing.HubInUse):
            servicing.restore_hub(hub_id=val.hub.pk, at=LATER, by=BY)


def tell(hub: Hub, reported: dict) -> None:
    """Have a hub report, as its listener would, and the outbox's consumer look at it."""
    import json

    from vtn import shadows
    from vtn.models import Ven

    body = json.dumps({"version": 0, "reported": reported}).encode()
    shadows.take_report(ven=Ven.objects.get(ven_id=hub.ven_id), body=body, at=LATER)
    rolling_out.hub_reported(ven_id=str(hub.ven_id), at=LATER)


@pytest.mark.django_db
class TestDifferences:
    def test_a_hub_as_it_should_be_has_none(self, val):
        assert differences(desired(val.hub), said(val.hub)) == []

    def test_each_is_named(self, val):
        shadowing.set_needs(asset_id=val.assets[0].pk, needs={"ready_by": "07:00"}, at=LATER, by=BY)
        name = val.assets[0].resource_id
        wrong = said(val.hub, certificate={"serial_number": "1234"}, faults=["the broker is away"])
        wrong["assets"] = [
            wrong["assets"][0]
            | {"kind": "immersion_heater", "rated_w": 1, "is_available": False, "needs": {}},
            {"resource_id": "r9", "kind": "battery"},
        ]
        found = {each.what: (each.desired, each.reported) for each in differences(desired(val.hub), wrong)}
        assert found[f"{name} kind"] == ("ev_charger", "immersion_heater")
        assert found[f"{name} rated_w"] == ("7360", "1")
        assert found[f"{name} ready_by"] == ("07:00", "None")
        assert found[name] == ("answers", "away")
        assert found["r9"] == ("not in the registry", "there")
        assert found["certificate"][1] == "1234"
        assert found["fault"] == ("", "the broker is away")

    def test_what_is_missing_is_said(self, val):
        found = differences(desired(val.hub), {})
        assert [(each.desired, each.reported) for each in found] == [("ev_charger", "not there")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
WANTED = {
    "assets": [
        {"resource_id": "r1", "kind": "ev_charger", "rated_w": 7360, "state": "active", "needs": {"a": 1}}
    ],
    "certificates": [{"serial_number": "ab"}],
    "updates": [{"manifest": '{"component":"hub","version":"1.2.0"}'},
                {"manifest": '{"component":"tasmota","version":"14.2"}'}],
}  # fmt: skip


@given(
    reported=st.dictionaries(
        st.sampled_from(["assets", "certificate", "software", "faults", "config", "x"]), JSON, max_size=5
    )
)
def test_whatever_a_hub_says_is_read(reported):
    for each in differences(WANTED, reported):
        assert isinstance(each.what, str)
        assert len(each.reported) <= 200
