"""Faults and retirement: told upward once, final where they should be, and certificates ended."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from assets import commissioning, installing, queries, servicing
from assets.models import Asset, Hub
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.factories import JOINED_AT, make_hub, new_serial, signing_request

pytestmark = pytest.mark.django_db
LATER = JOINED_AT + timedelta(days=3)
BY = "staff:7"


def test_a_fault_is_reported_and_cleared(val):
    asset = val.assets[0]

    assert servicing.report_fault(asset_id=asset.pk, at=LATER, by=BY, reason="tripped").state == "faulty"
    assert servicing.clear_fault(asset_id=asset.pk, at=LATER, by=BY).state == "active"

    states = [fact.payload["state"] for fact in OutboxFact.objects.filter(topic="assets.asset.state_changed")]
    assert sorted(states) == ["active", "faulty"]
    trail = AuditEntry.objects.filter(target=f"asset:{asset.pk}").order_by("pk")
    assert [(entry.actor, entry.verb) for entry in trail] == [(BY, "asset.faulty"), (BY, "asset.active")]


def test_the_same_fault_again_tells_nothing(val):
    servicing.report_fault(asset_id=val.assets[0].pk, at=LATER, by=BY)
    servicing.report_fault(asset_id=val.assets[0].pk, at=LATER, by=BY)

    assert OutboxFact.objects.filter(topic="assets.asset.state_changed").count() == 1


def test_a_retired_asset_stays_retired(val):
    asset = servicing.retire_asset(asset_id=val.assets[0].pk, at=LATER, by=BY)
    assert asset.retired_at == LATER

    for again in (servicing.report_fault, servicing.clear_fault):
        with pytest.raises(servicing.AssetRetired):
            again(asset_id=asset.pk, at=LATER, by=BY)


def test_what_is_not_there_is_not_found(db):
    with pytest.raises(servicing.AssetNotFound):
        servicing.report_fault(asset_id=uuid4(), at=LATER, by=BY)
    with pytest.raises(servicing.HubNotFound):
        servicing.retire_hub(hub_id=uuid4(), at=LATER, by=BY)


def test_a_hub_is_replaced_without_losing_the_homes_past(alice, val):
    servicing.retire_hub(hub_id=val.hub.pk, at=LATER, by=BY, reason="broken")
    servicing.retire_hub(hub_id=val.hub.pk, at=LATER + timedelta(days=1), by=BY)

    hub = Hub.objects.get(pk=val.hub.pk)
    assert (hub.state, hub.retired_at, hub.ven_id) == (Hub.State.RETIRED, LATER, val.ven_id)
    assert Asset.objects.get(hub=hub).state == Asset.State.RETIRED
    assert queries.hub_of_home(alice.home.pk) is None
    assert OutboxFact.objects.get(topic="assets.hub.retired").payload["ven_id"] == val.ven_id
    assert AuditEntry.objects.filter(verb="vtn.certificate.revoked", target=f"ven:{val.ven_id}").count() == 1

    new = make_hub(alice.home, at=LATER, kinds=("immersion_heater",))
    assert queries.hub_of_home(alice.home.pk) == new.hub
    assert [asset.kind_id for asset in queries.assets_of_home(alice.home.pk)] == ["immersion_heater"]


def test_a_planned_hub_that_is_retired_can_no_longer_enrol(alice):
    planned = installing.plan_hub(home=alice.home, serial=new_serial(), at=JOINED_AT)
    servicing.retire_hub(hub_id=planned.hub.pk, at=JOINED_AT, by=BY)

    with pytest.raises(commissioning.EnrolmentRefused):
        commissioning.commission_hub(
            serial=planned.hub.serial,
            enrolment_code=planned.enrolment_code,
            csr_pem=signing_request()[1],
            at=JOINED_AT,
        )


def test_a_cad_is_retired_once(alice):
    cad = installing.pair_cad(home=alice.home, serial="CAD-9", at=JOINED_AT)

    servicing.retire_cad(cad_id=cad.pk, at=LATER)
    again = servicing.retire_cad(cad_id=cad.pk, at=LATER + timedelta(days=1))

    assert again.retired_at == LATER
    assert queries.cad_of_home(alice.home.pk, LATER - timedelta(seconds=1)) == cad
    assert queries.cad_of_home(alice.home.pk, LATER) is None
