"""Campaigns over the real outbox and the real VTN: hubs poll, answer, override and fall silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection

from campaigns import dispatching
from campaigns.approving import approve_campaign
from campaigns.cancelling import cancel_campaign
from campaigns.models import Campaign, OptRecord, Participation
from campaigns.opting import opt_back_in, skip
from campaigns.planning import plan_campaign
from campaigns.reporting import event_report
from members import consenting, opting_out
from members.models import Consent, Purpose
from oadr import messages as m
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import DeliveryState, OutboxDelivery
from tests.campaigns.staging import (
    DURING,
    ENDS_AT,
    NOON,
    STARTS_AT,
    make_approved,
    make_campaign,
    make_history,
    make_planned,
    make_ready_home,
    opts_of,
    part_of,
)
from tests.campaigns.test_approving import in_threads
from tests.factories import HubKit
from tests.vtn.hubs import TestHub, only_event
from vtn import enrolling
from vtn.models import Event, Ven

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
ItIs = Callable[[datetime], None]


def hub_of(kit: HubKit) -> TestHub:
    """The kit's hub, registered with the VTN and ready to speak."""
    ven = Ven.objects.get(ven_id=kit.ven_id)
    hub = TestHub(ven=ven, key_pem="", certificate_pem="", ca_pem="", fingerprint="")
    hub.registers(at=NOON)
    return hub


def part(campaign: Campaign, kit: HubKit, number: int = 0) -> Participation:
    return part_of(campaign, kit.assets[number])


def test_a_campaign_from_plan_to_report(it_is: ItIs) -> None:
    homes = [make_ready_home("ev_charger", "immersion_heater", through_vtn=True) for _ in range(5)]
    make_history({resident.stream_id: 3_000 for resident, _ in homes})
    willing, overriding, silent, skipping, declining = (kit for _, kit in homes)
    hubs = {kit.ven_id: hub_of(kit) for kit in (willing, overriding, declining)}
    campaign = make_campaign(size_w=13_000)
    it_is(NOON)

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)
    approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    for number in (0, 1):
        skip(participation=part(campaign, skipping, number), at=NOON, by=None)
    outbox.drain()

    assert (plan.expected_w, plan.shortfall_w, plan.homes) == (13_000, 0, 5)
    campaign.refresh_from_db()
    assert campaign.state == "dispatched"
    assert Event.objects.count() == 4

    it_is(NOON + MINUTE)
    events = {ven_id: only_event(hub.polls(at=NOON + MINUTE)) for ven_id, hub in hubs.items()}
    outbox.drain()

    event = events[willing.ven_id]
    assert (event.active_period.starts_at, event.active_period.ends_at) == (STARTS_AT, ENDS_AT)
    assert event.target.resource_ids == ()
    assert part(campaign, willing).state == "delivered_to_hub"
    assert part(campaign, silent).state == "sent"

    for ven_id, hub in hubs.items():
        opt = "optOut" if ven_id == declining.ven_id else "optIn"
        hub.answers(events[ven_id], opt, at=NOON + MINUTE)  # type: ignore[arg-type]
    outbox.drain()

    assert [part(campaign, kit).state for kit in (willing, overriding, declining)] == [
        "opted_in",
        "opted_in",
        "opted_out",
    ]

    it_is(DURING)
    hubs[overriding.ven_id].opts(events[overriding.ven_id], "optOut", reason="overrideStatus", at=DURING)
    outbox.drain()
    it_is(ENDS_AT)
    outbox.drain()

    campaign.refresh_from_db()
    assert (campaign.state, campaign.completed_at) == ("completed", ENDS_AT)
    report = event_report(campaign.pk)
    assert report.outcomes == {"overridden": 2, "unresponsive": 2, "opted_out": 4}
    assert (report.responding, report.participants, report.sent) == (2, 5, 8)
    assert part(campaign, willing).outcome == ""


def test_a_hub_says_no_for_one_of_its_assets(it_is: ItIs) -> None:
    """A button at the charger is no word on the heater, and no later answer to the event undoes it."""
    _, kit = make_ready_home("ev_charger", "immersion_heater", through_vtn=True)
    hub, campaign = hub_of(kit), make_approved(kit.assets)
    charger, heater = kit.assets
    it_is(NOON)
    outbox.drain()
    event = only_event(hub.polls(at=NOON))

    def states() -> list[str]:
        outbox.drain()
        return [part(campaign, kit, number).state for number in (0, 1)]

    hub.opts(event, "optOut", resource_ids=(charger.resource_id,), reason="notParticipating", at=NOON)
    assert states() == ["opted_out", "delivered_to_hub"]
    hub.answers(event, at=NOON + MINUTE)
    assert states() == ["opted_out", "opted_in"]

    it_is(DURING)
    hub.opts(event, opt_id="O2", resource_ids=(heater.resource_id,), reason="overrideStatus", at=DURING)
    assert states() == ["opted_out", "overridden"]
    hub.takes_back("O2", at=DURING + MINUTE)
    assert states() == ["opted_out", "opted_in"]
    assert [opt for opt, _ in opts_of(part(campaign, kit, 1))] == ["in", "out", "in"]


def test_an_asset_skipped_and_back_is_what_the_hub_reads(it_is: ItIs) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater", through_vtn=True)
    hub = hub_of(kit)
    campaign = make_approved(kit.assets)
    it_is(NOON)
    outbox.drain()
    hub.answers(only_event(hub.polls(at=NOON)), at=NOON)

    skip(participation=part(campaign, kit, 0), at=NOON + MINUTE, by=None)
    event = only_event(hub.polls(at=NOON + MINUTE))
    assert (event.modification_number, event.status) == (1, "far")
    assert event.target.resource_ids == (kit.assets[1].resource_id,)
    hub.answers(event, at=NOON + MINUTE)
    it_is(NOON + MINUTE)
    outbox.drain()
    assert [part(campaign, kit, number).state for number in (0, 1)] == ["opted_out", "opted_in"]

    opt_back_in(participation=part(campaign, kit, 0), at=NOON + 2 * MINUTE, by=None)
    event = only_event(hub.polls(at=NOON + 2 * MINUTE))
    assert (event.modification_number, event.target.resource_ids) == (2, ())
    hub.answers(event, at=NOON + 2 * MINUTE)
    it_is(NOON + 2 * MINUTE)
    outbox.drain()
    assert [part(campaign, kit, number).state for number in (0, 1)] == ["opted_in", "opted_in"]

    for number in (0, 1):
        skip(participation=part(campaign, kit, number), at=DURING, by=None)
    event = only_event(hub.polls(at=DURING))
    assert event.status == "cancelled"
    hub.answers(event, at=DURING)
    outbox.drain()
    assert [part(campaign, kit, number).state for number in (0, 1)] == ["overridden", "overridden"]


def test_cancelling_reaches_the_hub(it_is: ItIs) -> None:
    _, kit = make_ready_home(through_vtn=True)
    hub = hub_of(kit)
    campaign = make_approved(kit.assets)
    it_is(NOON)
    outbox.drain()
    hub.answers(only_event(hub.polls(at=NOON)), at=NOON)

    cancel_campaign(campaign_id=campaign.pk, at=DURING, by=None, reason="grid is fine")

    event = only_event(hub.polls(at=DURING))
    assert event.status == "cancelled"
    hub.answers(event, at=DURING)
    it_is(ENDS_AT)
    outbox.drain()
    campaign.refresh_from_db()
    assert campaign.state == "cancelled"
    assert part(campaign, kit).outcome == "cancelled"


def test_a_campaign_cancelled_before_the_worker_came_is_never_sent(it_is: ItIs) -> None:
    _, kit = make_ready_home(through_vtn=True)
    campaign = make_approved(kit.assets)
    cancel_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    it_is(ENDS_AT)

    outbox.drain()

    assert not Event.objects.exists()
    campaign.refresh_from_db()
    assert campaign.state == "cancelled"


def test_a_revoked_certificate_is_not_sent_to(it_is: ItIs) -> None:
    _, kit = make_ready_home(through_vtn=True)
    campaign = make_approved(kit.assets)
    enrolling.revoke_certificate(ven_id=kit.ven_id, reason="stolen", at=NOON)
    it_is(NOON)

    outbox.drain()

    assert not Event.objects.exists()
    assert part(campaign, kit).left_out == "certificate"


def test_taking_consent_back_reaches_the_hub(it_is: ItIs) -> None:
    resident, kit = make_ready_home(through_vtn=True)
    hub = hub_of(kit)
    campaign = make_approved(kit.assets)
    it_is(NOON)
    outbox.drain()
    hub.answers(only_event(hub.polls(at=NOON)), at=NOON)
    consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY)

    it_is(DURING)
    consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=DURING)
    outbox.drain()

    assert only_event(hub.polls(at=DURING)).status == "cancelled"
    dropped = part(campaign, kit)
    assert (dropped.state, dropped.left_out, dropped.dropped_at) == ("cancelled", "no_consent", DURING)


def test_taking_back_another_consent_changes_nothing(it_is: ItIs) -> None:
    resident, kit = make_ready_home(through_vtn=True)
    campaign = make_approved(kit.assets)
    consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.SETTLEMENT)
    consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=NOON)
    it_is(NOON)

    outbox.drain()

    assert part(campaign, kit).state == "sent"


@pytest.mark.parametrize("ends_at", [None, ENDS_AT + MINUTE])
def test_a_standing_opt_out_after_sending_calls_the_event_off(it_is: ItIs, ends_at: datetime | None) -> None:
    resident, kit = make_ready_home(through_vtn=True)
    hub = hub_of(kit)
    campaign = make_approved(kit.assets)
    it_is(NOON)
    outbox.drain()
    only_event(hub.polls(at=NOON))

    opting_out.start_standing_opt_out(
        occupancy=resident.occupancy, at=NOON, starts_at=STARTS_AT - MINUTE, ends_at=ends_at
    )
    outbox.drain()

    assert only_event(hub.polls(at=NOON)).status == "cancelled"
    assert part(campaign, kit).state == "opted_out"


def test_a_worker_that_fails_half_way_has_sent_nothing(it_is: ItIs, monkeypatch: pytest.MonkeyPatch) -> None:
    _, kit = make_ready_home(through_vtn=True)
    campaign = make_approved(kit.assets)
    it_is(NOON)
    with monkeypatch.context() as broken:
        broken.setattr(dispatching, "_mark_sent", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(outbox.DeliveryFailed):
            outbox.drain()

    assert not Event.objects.exists()
    assert part(campaign, kit).state == "planned"


KILLED_WORKER = """
import os, signal, sys
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from datetime import datetime
from campaigns import dispatching
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import DeliveryState, OutboxDelivery
clock.configure(datetime.fromisoformat(sys.argv[2]), speed=0)
dispatching._mark_sent = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
outbox.sweep()
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_half_way_loses_nothing_and_doubles_nothing(it_is: ItIs) -> None:
    kits = [make_ready_home(through_vtn=True)[1] for _ in range(3)]
    campaign = make_approved([kit.assets[0] for kit in kits])
    environment = {
        **os.environ,
        outbox.LEASE_VARIABLE: "0.001",
        "DJANGO_SETTINGS_MODULE": "opendsr.settings",
    }

    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WORKER, connection.settings_dict["NAME"], NOON.isoformat()],
        env=environment,
        check=False,
        timeout=240,
    )

    assert killed.returncode == -signal.SIGKILL
    assert not Event.objects.exists()
    it_is(NOON)
    assert outbox.drain() == 3, "it is sent, its households are told, and plans make room"
    assert Event.objects.count() == 3
    assert set(campaign.participations.values_list("state", flat=True)) == {"sent"}
    assert outbox.drain() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("head_start_ms", [0, 2, 4, 8, 16])
def test_a_no_at_the_moment_of_sending_is_never_lost(head_start_ms: int) -> None:
    kits = [make_ready_home(through_vtn=True)[1] for _ in range(3)]
    campaign = make_approved([kit.assets[0] for kit in kits])
    asked = part(campaign, kits[0])

    def skip_a_little_later() -> object:
        threading.Event().wait(head_start_ms / 1000)
        return skip(participation=asked, at=NOON, by=None)

    results = in_threads(
        lambda: dispatching.dispatch_campaign(campaign_id=campaign.pk, at=NOON), skip_a_little_later
    )

    assert not [result for result in results if isinstance(result, Exception)]
    assert part(campaign, kits[0]).state == "opted_out"
    assert not Event.objects.filter(ven__ven_id=kits[0].ven_id, cancelled_at=None).exists()
    assert Event.objects.filter(cancelled_at=None).count() == 2


@pytest.mark.django_db(transaction=True)
def test_cancelling_and_sending_at_once_leave_no_event_standing() -> None:
    kits = [make_ready_home(through_vtn=True)[1] for _ in range(3)]
    campaign = make_approved([kit.assets[0] for kit in kits])

    in_threads(
        lambda: dispatching.dispatch_campaign(campaign_id=campaign.pk, at=NOON),
        lambda: cancel_campaign(campaign_id=campaign.pk, at=NOON, by=None),
    )

    campaign.refresh_from_db()
    assert campaign.state == "cancelled"
    assert not Event.objects.filter(cancelled_at=None).exists()
    assert set(campaign.participations.values_list("state", flat=True)) == {"cancelled"}


def test_a_hub_that_never_registered_gets_its_event_when_it_does(it_is: ItIs) -> None:
    _, kit = make_ready_home(through_vtn=True)
    campaign = make_approved(kit.assets)
    it_is(NOON)
    outbox.drain()

    message = hub_of(kit).polls(at=NOON + MINUTE)

    assert isinstance(message, m.DistributeEvent)
    outbox.drain()
    assert part(campaign, kit).delivered_at == NOON + MINUTE


def test_the_consumers_are_idempotent(it_is: ItIs) -> None:
    _, kit = make_ready_home(through_vtn=True)
    hub = hub_of(kit)
    campaign = make_planned(kit.assets)
    approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    it_is(NOON)
    outbox.drain()
    hub.answers(only_event(hub.polls(at=NOON)), at=NOON)
    outbox.drain()
    before = [list(Participation.objects.values()), list(Event.objects.values())]

    OutboxDelivery.objects.filter(state=DeliveryState.DONE).update(
        state=DeliveryState.DUE, lease_until=None, finished_wall_at=None, next_try_at=clock.wall_now()
    )
    outbox.drain()

    assert [list(Participation.objects.values()), list(Event.objects.values())] == before
    assert OptRecord.objects.count() == 1
