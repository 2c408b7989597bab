"""Dispatching: one event a hub, nobody who may not be sent to, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from assets.models import Asset, Hub
from campaigns import dispatching
from campaigns.dispatching import dispatch_campaign
from campaigns.life import WrongState
from campaigns.models import Campaign, Participation
from campaigns.opting import skip
from members import consenting, moving, opting_out
from members.models import Consent, Purpose
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    make_approved,
    make_planned,
    make_ready_home,
    part_of,
)
from tests.factories import HubKit, Resident

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_each_hub_gets_one_event_with_the_programmes_terms(paper_vtn: PaperVtn) -> None:
    _, one = make_ready_home("ev_charger", "immersion_heater")
    _, two = make_ready_home()
    campaign = make_approved([*one.assets, *two.assets])

    report = dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    assert (report.events, report.sent, report.left_out, report.is_new) == (2, 3, {}, True)
    notices = {event.notice.ven_id: event.notice for event in paper_vtn.live()}
    assert set(notices) == {one.ven_id, two.ven_id}
    notice = notices[one.ven_id]  # type: ignore[index]
    assert (notice.interval.starts_at, notice.interval.ends_at) == (STARTS_AT, ENDS_AT)
    assert (notice.market_context, notice.notification_seconds, notice.start_tolerance_seconds) == (
        "http://coop.example/fast-dr",
        900,
        300,
    )
    assert [(signal.name, signal.type, signal.intervals[0].value) for signal in notice.signals] == [
        ("SIMPLE", "level", 1)
    ]
    assert notice.resource_ids == ()
    campaign.refresh_from_db()
    assert (campaign.state, campaign.dispatched_at) == ("dispatched", NOON)
    first, second = (part_of(campaign, asset) for asset in one.assets)
    assert first.vtn_event_id == second.vtn_event_id != part_of(campaign, two.assets[0]).vtn_event_id
    assert (first.state, first.sent_at) == ("sent", NOON)
    assert OutboxFact.objects.filter(topic=dispatching.DISPATCHED).count() == 1


def test_resources_are_named_when_only_some_of_a_hubs_assets_take_part(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater", "storage_heater")
    charger, _, storage = kit.assets
    campaign = make_approved([charger, storage])

    dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    (event,) = paper_vtn.live()
    assert event.notice.resource_ids == tuple(sorted([charger.resource_id, storage.resource_id]))


@pytest.mark.parametrize(("state", "is_whole"), [("faulty", False), ("retired", True)])
def test_a_hub_is_whole_without_what_is_out_of_use(paper_vtn: PaperVtn, state: str, is_whole: bool) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    Asset.objects.filter(pk=kit.assets[1].pk).update(state=state, retired_at=NOON)
    campaign = make_approved(kit.assets[:1])

    dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    assert paper_vtn.live()[0].notice.resource_ids == (() if is_whole else (kit.assets[0].resource_id,))


def test_turning_up_is_a_load_dispatch_that_a_simple_hub_ignores(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    campaign = make_approved(
        {kit.assets[0]: 2_000, kit.assets[1]: 700}, direction="turn_up", ends_at=STARTS_AT + HOUR
    )

    dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    signals = paper_vtn.live()[0].notice.signals
    assert [(signal.name, signal.type, signal.unit, signal.intervals[0].value) for signal in signals] == [
        ("SIMPLE", "level", "", 0),
        ("LOAD_DISPATCH", "delta", "w", 2_700),
    ]


def test_dispatching_twice_sends_nothing_twice(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_approved(kit.assets)
    first = dispatch_campaign(campaign_id=campaign.pk, at=NOON)
    part = part_of(campaign, kit.assets[0])

    again = dispatch_campaign(campaign_id=campaign.pk, at=NOON + HOUR)

    assert (again.events, again.sent, again.is_new) == (first.events, first.sent, False)
    assert len(paper_vtn.events) == 1
    after = part_of(campaign, kit.assets[0])
    assert (after.vtn_event_id, after.sent_at) == (part.vtn_event_id, NOON)
    assert AuditEntry.objects.filter(verb="campaign.dispatched").count() == 1


@pytest.mark.parametrize("state", ["draft", "planned", "completed", "cancelled"])
def test_only_an_approved_campaign_is_sent(paper_vtn: PaperVtn, state: str) -> None:
    _, kit = make_ready_home()
    campaign = make_planned(kit.assets)
    Campaign.objects.filter(pk=campaign.pk).update(state=state)

    with pytest.raises(WrongState) as refusal:
        dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    assert refusal.value.data["state"] == state
    assert not paper_vtn.events


def withdraw_consent(resident: Resident, kit: HubKit) -> None:
    consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY)
    consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=NOON)


def opt_out_for_a_while(resident: Resident, kit: HubKit) -> None:
    opting_out.start_standing_opt_out(
        occupancy=resident.occupancy, at=NOON, starts_at=ENDS_AT - HOUR, ends_at=ENDS_AT + HOUR
    )


def move_out(resident: Resident, kit: HubKit) -> None:
    moving.move_out(occupancy=resident.occupancy, at=NOON)


def break_the_asset(resident: Resident, kit: HubKit) -> None:
    Asset.objects.filter(hub=kit.hub).update(state=Asset.State.FAULTY)


def retire_the_hub(resident: Resident, kit: HubKit) -> None:
    Hub.objects.filter(pk=kit.hub.pk).update(state=Hub.State.RETIRED)


def change_the_hubs_identity(resident: Resident, kit: HubKit) -> None:
    Hub.objects.filter(pk=kit.hub.pk).update(ven_id="VEN-other")


@pytest.mark.parametrize(
    ("happens", "left_out", "state"),
    [
        (withdraw_consent, "no_consent", "cancelled"),
        (opt_out_for_a_while, "standing_opt_out", "opted_out"),
        (move_out, "no_household", "cancelled"),
        (break_the_asset, "asset_faulty", "cancelled"),
        (retire_the_hub, "hub_not_commissioned", "cancelled"),
        (change_the_hubs_identity, "hub_changed", "cancelled"),
    ],
)
def test_the_last_check_asks_everything_again(
    paper_vtn: PaperVtn, happens: Callable[[Resident, HubKit], None], left_out: str, state: str
) -> None:
    resident, kit = make_ready_home()
    _, other = make_ready_home()
    campaign = make_approved([*kit.assets, *other.assets])
    happens(resident, kit)

    report = dispatch_campaign(campaign_id=campaign.pk, at=NOON + HOUR)

    assert (report.events, report.sent, report.left_out) == (1, 1, {left_out: 1})
    assert [event.notice.ven_id for event in paper_vtn.live()] == [other.ven_id]
    part = part_of(campaign, kit.assets[0])
    assert (part.state, part.left_out, part.sent_at, part.vtn_event_id) == (state, left_out, None, "")


def test_a_skip_before_sending_is_left_out(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    campaign = make_approved(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON, by=None)

    report = dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    assert report.left_out == {"opted_out": 1}
    assert paper_vtn.live()[0].notice.resource_ids == (kit.assets[1].resource_id,)


def test_hubs_without_a_valid_certificate_are_left_out(paper_vtn: PaperVtn) -> None:
    kits = [make_ready_home()[1] for _ in range(3)]
    campaign = make_approved([kit.assets[0] for kit in kits])
    paper_vtn.untrusted.add(kits[0].ven_id)
    paper_vtn.unknown.add(kits[1].ven_id)

    report = dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    assert (report.events, report.sent, report.left_out) == (1, 1, {"certificate": 2})
    assert [event.notice.ven_id for event in paper_vtn.live()] == [kits[2].ven_id]


def test_a_worker_that_comes_after_the_end_sends_nothing(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_approved(kit.assets)

    report = dispatch_campaign(campaign_id=campaign.pk, at=ENDS_AT)

    assert (report.events, report.sent, report.left_out) == (0, 0, {"too_late": 1})
    assert not paper_vtn.events


def test_what_was_held_back_gives_its_asset_to_others(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    campaign = make_approved(kit.assets)
    retire_the_hub(resident, kit)
    dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    make_approved(kit.assets)

    assert Participation.objects.exclude(state="cancelled").count() == 1


def test_sending_costs_the_same_number_of_queries_for_any_number_of_hubs(paper_vtn: PaperVtn) -> None:
    counts = []
    for hubs in (3, 12):
        kits = [make_ready_home()[1] for _ in range(hubs)]
        campaign = make_approved([kit.assets[0] for kit in kits])
        with CaptureQueriesContext(connection) as captured:
            dispatch_campaign(campaign_id=campaign.pk, at=NOON)
        counts.append(len(captured))

    # Two of them ask whether sending is frozen, at the beginning and as the last thing; one hands the fact to
    # whoever tells members, one asks what ran right before.
    assert counts == [25, 26]  # the second asks what the first, sent by then, changes beside it


def test_nothing_here_reads_the_wall_clock(paper_vtn: PaperVtn, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden() -> datetime:
        raise AssertionError("the service was given its time")

    _, kit = make_ready_home()
    campaign = make_approved(kit.assets)
    monkeypatch.setattr(timezone, "now", forbidden)

    dispatch_campaign(campaign_id=campaign.pk, at=NOON)
