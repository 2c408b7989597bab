"""Telemetry from the wire to the household's stream: a hub's own messages through the embedded VTN."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.forms import modelform_factory

from metering import store, telemetry
from metering.admin import ReportLinkForm
from metering.intake_models import AssetState, Message, ReportLink
from oadr import messages as m
from opendsr.kernel.interval import Interval
from tests.factories import HubKit, make_hub
from tests.metering.meters import wh_of
from vtn.models import Ven
from vtn.services.answering import answer

pytestmark = pytest.mark.django_db
NOW = datetime.fromisoformat("2026-01-05T12:00:00+00:00")
HALF = timedelta(minutes=30)


def says(kit: HubKit, service: str, message: m.Message) -> m.Message:
    """Hand the VTN a message as the hub."""
    return answer(service=service, ven=Ven.objects.get(ven_id=kit.ven_id), message=message, at=NOW).message


def offered(kit: HubKit) -> dict[str, str]:
    """The hub registers and offers usage in kWh and its heater's power in kW; request ids by specifier."""
    says(kit, "EiRegisterParty", m.CreatePartyRegistration("R1"))
    energy = m.Unit("energyReal", "RealEnergy", "Wh", "k")
    power = m.Unit("powerReal", "RealPower", "W", "k", hertz="50", voltage="230", is_ac=True)
    usage = tuple(
        m.ReportDescription(
            r_id, "usage", "Direct Read", unit=unit, sampling_rate=m.SamplingRate(seconds, seconds)
        )
        for r_id, unit, seconds in (("used", energy, 1800), (kit.assets[0].resource_id, power, 1800))
    )
    report = m.Report("0", "usage", NOW, "METADATA_TELEMETRY_USAGE", descriptions=usage)
    reply = says(kit, "EiReport", m.RegisterReport("R2", (report,), kit.ven_id))
    assert isinstance(reply, m.RegisteredReport), reply
    return {asked.report_specifier_id: asked.report_request_id for asked in reply.report_requests}


def tell(kit: HubKit, request_id: str, *values: tuple[str, datetime, float], at: datetime = NOW) -> None:
    intervals = tuple(
        m.ReportInterval((m.ReportValue(r_id, value),), starts_at, 1800) for r_id, starts_at, value in values
    )
    report = m.Report(request_id, "usage", at, "TELEMETRY_USAGE", intervals=intervals)
    reply = says(kit, "EiReport", m.UpdateReport("R3", (report,), kit.ven_id))
    assert isinstance(reply, m.UpdatedReport), reply
    assert reply.response.code == m.OK, reply


def test_a_hubs_reports_land_once_and_a_correction_supersedes(alice):
    kit = make_hub(alice.home, kinds=("immersion_heater",))
    ReportLink.objects.create(hub=kit.hub, r_id="used", role="import_energy")
    request_id = offered(kit)["usage"]
    resource = kit.assets[0].resource_id

    tell(
        kit,
        request_id,
        ("used", NOW - 2 * HALF, 0.5),
        ("used", NOW - HALF, 0.25),
        (resource, NOW - HALF, 2.9),
    )
    first, again = telemetry.read_reports(at=NOW), telemetry.read_reports(at=NOW)

    assert (first.reports, first.points, first.refused, again.reports) == (1, 3, {}, 0)
    assert wh_of(alice.stream_id) == [500, 250]
    assert AssetState.objects.get().power_w == 2_900

    tell(kit, request_id, ("used", NOW - HALF, 0.3), at=NOW + timedelta(minutes=1))
    telemetry.read_reports(at=NOW + timedelta(minutes=1))
    believed = store.half_hours(alice.stream_id, Interval(NOW - 2 * HALF, NOW))
    assert [(row.import_wh, row.revision) for row in believed] == [(500, 0), (300, 1)]


def test_a_hub_nobody_commissioned_leaves_a_letter(alice):
    kit = make_hub(alice.home, kinds=("immersion_heater",))
    request_id = offered(kit)["usage"]
    type(kit.hub).objects.filter(pk=kit.hub.pk).update(ven_id="another")

    tell(kit, request_id, ("used", NOW - HALF, 0.25))
    told = telemetry.read_reports(at=NOW)

    assert told.refused == {"unknown_sender": 1}
    assert Message.objects.get().sender == kit.ven_id


def test_a_links_unit_does_not_multiply_what_the_hub_declares(alice):
    kit = make_hub(alice.home, kinds=("immersion_heater",))
    ReportLink.objects.create(hub=kit.hub, r_id="used", role="import_energy", unit="kWh")
    resource = kit.assets[0].resource_id
    ReportLink.objects.create(hub=kit.hub, r_id=resource, role="export_register", unit="kWh")
    request_id = offered(kit)["usage"]

    tell(kit, request_id, ("used", NOW - HALF, 0.25), (resource, NOW - HALF, 2.9))
    told = telemetry.read_reports(at=NOW)

    assert wh_of(alice.stream_id) == [250]
    assert told.refused == {"unit_unfit": 1}
    assert "link this rID as the other" in Message.objects.get().detail


def test_the_records_refuse_a_unit_or_role_against_what_the_hub_declares(alice):
    kit = make_hub(alice.home, kinds=("immersion_heater",))
    offered(kit)

    def errors(**link: str) -> dict[str, list[str]]:
        form = modelform_factory(ReportLink, form=ReportLinkForm, fields="__all__")
        return dict(form({"hub": kit.hub.pk, "r_id": "used", "role": "import_energy", **link}).errors)

    assert errors() == {}
    assert errors(unit="kWh", r_id="another") == {}
    assert "come in Wh" in errors(unit="kWh")["unit"][0]
    power = {"role": "asset_power", "asset": str(kit.assets[0].pk)}
    assert "declares used in Wh" in errors(**power)["role"][0]
