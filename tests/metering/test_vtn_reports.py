"""Telemetry from the wire to the household's stream: a hub's own messages through the embedded VTN."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from metering import store, telemetry
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
