"""The hub against the real VTN process on a real database: registration, event, override, amendment,
cancellation.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db.models import F

import campaigns.queries
from assets.models import Asset, Hub
from campaigns import changing, dispatching
from campaigns.models import Participation
from hems.agent import Agent
from hems.button import press
from hems.home import Home, make_asset
from hems.instants import written
from metering import telemetry
from metering.intake_models import AssetState
from opendsr.kernel import clock as kernel_clock
from opendsr.kernel import outbox
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import OutboxFact
from tests.campaigns.staging import make_approved, make_programme, make_ready_home
from tests.hems.conftest import FIVE, HandClock, evening_home
from tests.hems.local_broker import wait_for
from tests.vtn import brokering
from tests.vtn.listening import Listener, listening
from vtn import enrolling, reporting
from vtn.models import Ven, VenCertificate, WireLog
from vtn.port import START, EventNotice, Signal, SignalInterval, VenId
from vtn.service import EmbeddedVtn

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
AT = FIVE - 60 * MINUTE


@pytest.fixture
def listener(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """The VTN in a process of its own, its world clock standing at four o'clock."""
    settings.VTN_PKI_DIR = tmp_path / "pki"
    settings.VTN_PKI_DIR.mkdir()
    monkeypatch.setenv("WORLD_CLOCK_ANCHOR", f"{written(AT)}/{written(AT)}")
    monkeypatch.setenv("WORLD_CLOCK_SPEED", "0")
    kernel_clock.reset()
    with listening(settings.VTN_PKI_DIR) as running:
        yield running


def two_assets() -> Home:
    place = evening_home()
    return replace(place, assets=(*place.assets, make_asset("res-water", "immersion_heater")))


def notice(ven_id: str, **changes) -> EventNotice:
    made = EventNotice(
        ven_id=VenId(ven_id),
        market_context="https://coop.example/turn-down",
        interval=Interval(FIVE, FIVE + 90 * MINUTE),
        signals=(Signal("SIMPLE", "level", (SignalInterval(5400, 1.0),)),),
    )
    return replace(made, **changes)


def is_held(agent: Agent, at) -> dict[str, bool]:
    return {driver.resource_id: driver.telemetry(at).is_ordered for driver in agent.place.drivers}


def enrol(folder: Path, *, at: datetime = AT) -> enrolling.EnrolledVen:
    enrolled = enrolling.enrol_ven(ven_name="HUB-0001", csr_pem=(folder / "csr.pem").read_text(), at=at)
    (folder / "certificate.pem").write_text(enrolled.certificate_pem)
    (folder / "ca.pem").write_text(enrolled.ca_pem)
    return enrolled


def url(listener: Listener) -> str:
    return f"https://localhost:{listener.port}/OpenADR2/Simple/2.0b"


def test_the_hub_and_the_vtn_understand_each_other(listener: Listener, make_folder):
    folder = make_folder(two_assets())
    enrolled = enrol(folder)
    vtn, hand = EmbeddedVtn(), HandClock(AT)

    with Agent(folder, vtn=url(listener), clock=hand) as agent:
        agent.contact()
        assert agent.status(AT)["failure"] == ""
        assert agent.state.registration.ven_id == enrolled.ven_id

        first = vtn.publish(notice(enrolled.ven_id), key="first", at=AT)
        second = vtn.publish(
            notice(enrolled.ven_id, interval=Interval(FIVE + 120 * MINUTE, FIVE + 210 * MINUTE)),
            key="second",
            at=AT,
        )
        agent.contact()
        assert vtn.acknowledgement(first, at=AT).state == "acknowledged"
        opts, cursor = vtn.opts_since(START)
        assert {(opt.event_id, opt.opt) for opt in opts} == {(first, "in"), (second, "in")}
        assert is_held(agent, FIVE) == {"res-ev": True, "res-water": True}

        vtn.amend(first, notice(enrolled.ven_id, resource_ids=("res-ev",)), at=AT, reason="heater out")
        agent.contact()
        assert is_held(agent, FIVE) == {"res-ev": True, "res-water": False}
        assert vtn.acknowledgement(first, at=AT).state == "acknowledged"
        _, cursor = vtn.opts_since(cursor)

        hand.at = FIVE + 10 * MINUTE
        press(folder, "override")
        agent.step(hand.at)
        assert is_held(agent, hand.at) == {"res-ev": False, "res-water": False}
        agent.contact()
        (out,), cursor = vtn.opts_since(cursor)
        assert (out.event_id, out.opt, out.source, out.reason) == (
            first,
            "out",
            "create_opt",
            "overrideStatus",
        )

        press(folder, "resume")
        agent.step(hand.at)
        agent.contact()
        (back,), cursor = vtn.opts_since(cursor)
        assert (back.event_id, back.opt, back.source) == (first, "in", "create_opt")

        vtn.cancel(second, at=AT, reason="not needed")
        agent.contact()
        assert agent.state.book.entries[second].phase(hand.at) == "cancelled"
        ended = vtn.acknowledgement(second, at=AT)
        assert (ended.state, ended.is_current_delivered) == ("cancelled", True)
        assert vtn.opts_since(cursor)[0] == []
        assert is_held(agent, hand.at)["res-ev"]
        assert agent.status(hand.at)["failure"] == ""


def test_a_hub_restarted_while_it_lets_go_does_what_it_told_the_vtn_of_each_asset(
    listener: Listener, make_folder
):
    folder = make_folder(two_assets())
    enrolled = enrol(folder)
    vtn, hand = EmbeddedVtn(), HandClock(AT)
    event_id = vtn.publish(notice(enrolled.ven_id, start_tolerance_seconds=1_800), key="first", at=AT)
    called_off_at = FIVE + 45 * MINUTE
    with Agent(folder, vtn=url(listener), clock=hand) as agent:
        agent.contact()
        hand.at = called_off_at
        agent.step(hand.at)
        assert is_held(agent, hand.at) == {"res-ev": True, "res-water": True}
        vtn.cancel(event_id, at=called_off_at, reason="enough")
        agent.contact()

    facts = OutboxFact.objects.filter(topic="vtn.event.delays_told").order_by("at")
    told = [fact.payload["end_seconds"] for fact in facts]
    assert told[-1].keys() == {"res-ev", "res-water"}
    assert told[-1] != told[0]
    first, last = sorted(called_off_at + timedelta(seconds=each) for each in told[-1].values())
    assert first < last
    for at in (first - SECOND, first, last - SECOND, last):
        hand.at = at
        with Agent(folder, vtn=url(listener), clock=hand) as agent:
            agent.contact()
            agent.step(at)
            assert is_held(agent, at) == {
                name: at < called_off_at + timedelta(seconds=drawn) for name, drawn in told[-1].items()
            }


def test_a_revoked_hub_carries_its_event_out_and_hears_no_more(listener: Listener, make_folder):
    folder = make_folder()
    enrolled = enrol(folder)
    EmbeddedVtn().publish(notice(enrolled.ven_id), key="first", at=AT)

    with Agent(folder, vtn=url(listener), clock=HandClock(AT)) as agent:
        agent.contact()
        enrolling.revoke_certificate(ven_id=enrolled.ven_id, reason="stolen", at=AT)
        EmbeddedVtn().publish(notice(enrolled.ven_id), key="second", at=AT)
        agent.contact()

        assert agent.status(AT)["state"] == "no_contact"
        assert len(agent.state.book.entries) == 1
        assert is_held(agent, FIVE) == {"res-ev": True}


def test_a_hub_renews_its_certificate_over_the_connection_it_has(
    listener: Listener, make_folder, monkeypatch: pytest.MonkeyPatch
):
    folder = make_folder()
    wall = kernel_clock.wall_now()
    with monkeypatch.context() as months_ago:
        months_ago.setattr(kernel_clock, "wall_now", lambda: wall - timedelta(days=250))
        enrolled = enrol(folder)

    with Agent(folder, vtn=url(listener), clock=HandClock(AT)) as agent:
        agent.contact()
        assert agent.status(AT)["failure"] == ""
        certificates = VenCertificate.objects.filter(ven__ven_id=enrolled.ven_id, revoked_at=None)
        assert certificates.count() == 2
        newest = certificates.order_by("-issued_at")[0]

        agent.contact()

        assert agent.status(AT)["failure"] == ""
        newest.refresh_from_db()
        assert newest.first_used_wall_at is not None
        assert (folder / "certificate.pem").read_text() == newest.pem
        agent.contact()
        assert certificates.count() == 2


def test_the_hub_reports_what_the_vtn_asks_for_and_signs_once_staff_ask(listener: Listener, make_folder):
    folder = make_folder(two_assets())
    enrolled = enrol(folder)
    hand = HandClock(AT)
    with Agent(folder, vtn=url(listener), clock=hand) as agent:
        agent.contact()
        enrolling.set_security(ven_id=enrolled.ven_id, security="high", at=AT, by="staff:7")
        for specifier in ("assets-usage", "assets-status"):
            reporting.ask_for_report(
                ven_id=enrolled.ven_id,
                specifier_id=specifier,
                granularity_seconds=60,
                report_back_seconds=60,
                at=AT,
                by="test",
            )
        agent.contact()
        for _ in range(4):
            agent.step(hand.at)
            agent.contact()
            hand.at += MINUTE
        assert agent.status(hand.at)["failure"] == ""
        assert Ven.objects.get().has_xml_signature
        assert [row.code for row in WireLog.objects.all()] == ["unsigned"]
        reports, _ = EmbeddedVtn().reports_since(START)
    told = {(point.r_id, point.starts_at): point.value for report in reports for point in report.points}
    assert {r_id for r_id, _ in told} >= {"res-ev", "res-water", "res-ev/status/online"}
    assert told["res-ev", AT] == agent.place.drivers[0].telemetry(AT).power_w
    assert told["res-ev/status/online", AT] == 1
    assert told["res-ev/status/manual_override", AT] == 0
    assert len([at for r_id, at in told if r_id == "res-ev"]) >= 3


def test_the_change_at_the_device_is_a_leg_of_the_campaign(listener: Listener, make_folder):
    folder = make_folder(two_assets())
    enrolled = enrol(folder)
    _, kit = make_ready_home("ev_charger", through_vtn=False)
    Hub.objects.filter(pk=kit.hub.pk).update(ven_id=enrolled.ven_id)
    Asset.objects.filter(pk=kit.assets[0].pk).update(resource_id="res-ev")
    kit.assets[0].refresh_from_db()
    hand = HandClock(AT)
    with Agent(folder, vtn=url(listener), clock=hand) as agent:
        agent.contact()
        reporting.ask_for_report(
            ven_id=enrolled.ven_id,
            specifier_id="assets-usage",
            granularity_seconds=60,
            report_back_seconds=60,
            at=AT,
            by="test",
        )
        campaign = make_approved(kit.assets, starts_at=FIVE, ends_at=FIVE + 90 * MINUTE, at=AT)
        make_programme(start_tolerance_seconds=0)
        dispatching.dispatch_campaign(campaign_id=campaign.pk, at=AT)
        agent.contact()
        hand.at = FIVE - 3 * MINUTE
        for _ in range(7):
            agent.step(hand.at)
            agent.contact()
            hand.at += MINUTE
    kernel_clock.configure(AT, speed=0)
    outbox.drain()
    telemetry.read_reports(at=hand.at)
    told = dict(AssetState.objects.values_list("at", "power_w"))
    assert (told[FIVE - MINUTE], told[FIVE]) == (7_360, 0)
    # The VTN's clock stands at four: nothing can have come before it was.
    AssetState.objects.update(received_at=F("at") + MINUTE)

    assert changing.note_changes(at=hand.at) == 1
    part = Participation.objects.get(campaign=campaign)
    assert (part.state, part.delivered_at) == ("opted_in", AT)
    assert part.changed_at == FIVE + timedelta(seconds=1), "to the second in which the hub read it"
    assert campaigns.queries.leg_seconds(campaign)[-1] == (5, 1, 1.0, 1.0)


def test_a_hub_that_polls_once_an_hour_is_woken_for_an_event(
    make_folder, tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch
):
    settings.VTN_PKI_DIR = tmp_path / "pki"
    settings.VTN_PKI_DIR.mkdir()
    folder = make_folder()
    enrolled = enrol(folder, at=kernel_clock.now())
    with brokering.running(settings.VTN_PKI_DIR, tmp_path / "broker") as broker:
        settings.VTN_MQTT_URL = broker.url
        monkeypatch.setenv("MQTT_URL", broker.url)
        monkeypatch.setenv("MQTT_PUBLIC_URL", f"mqtts://localhost:{broker.port}")
        with (
            listening(settings.VTN_PKI_DIR) as listener,
            brokering.bridging(broker),
            Agent(folder, vtn=url(listener), clock=WorldClock(), poll_seconds=3600) as agent,
        ):
            thread = threading.Thread(target=agent.run)
            thread.start()
            try:
                wait_for("the broker", lambda: agent.status(kernel_clock.now())["is_woken"])
                starts_at = kernel_clock.now().replace(microsecond=0) + 60 * MINUTE
                interval = Interval(starts_at, starts_at + 90 * MINUTE)
                event_id = EmbeddedVtn().publish(
                    notice(enrolled.ven_id, interval=interval), key="woken", at=kernel_clock.now()
                )
                wait_for("the event", lambda: event_id in agent.state.book.entries)
            finally:
                agent.stop()
                thread.join(60)


class WorldClock:
    """World time that is the machine's."""

    speed = 1.0

    def now(self) -> datetime:
        return kernel_clock.now()

    def wall_seconds_until(self, world: datetime) -> float:
        return max(0.0, (world - self.now()).total_seconds())
