"""How campaigns end: completed with outcomes, measured later, or cancelled before and during."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.models import Asset
from assets.registry_models import HubSpell
from campaigns import cancelling, completing
from campaigns.cancelling import cancel_campaign
from campaigns.completing import StillRunning, complete_campaign
from campaigns.dispatching import dispatch_campaign
from campaigns.life import CampaignEnded, WrongState
from campaigns.models import Campaign
from campaigns.monitoring import receive_delivery
from campaigns.opting import skip
from campaigns.outcomes import NotCompleted, measured_share_pct, outcome_of, record_outcomes
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.campaigns.staging import (
    AFTER,
    DURING,
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    answer,
    make_approved,
    make_campaign,
    make_dispatched,
    make_planned,
    make_programme,
    make_ready_home,
    part_of,
)
from tests.cast import sam

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def outcome(campaign: Campaign, asset: Asset) -> str:
    return part_of(campaign, asset).outcome


def test_outcomes_say_what_is_known_at_the_end(paper_vtn: PaperVtn) -> None:
    kits = {
        name: make_ready_home()[1].assets[0]
        for name in ("in", "out", "overridden", "silent", "fetched", "skipped")
    }
    campaign = make_approved(kits.values())
    skip(participation=part_of(campaign, kits["skipped"]), at=NOON, by=None)
    dispatch_campaign(campaign_id=campaign.pk, at=NOON)
    for name, opt in (("in", "in"), ("out", "out"), ("overridden", "in")):
        answer(part_of(campaign, kits[name]), opt, at=NOON + MINUTE)
    answer(part_of(campaign, kits["overridden"]), "out", at=DURING, reason="overrideStatus")
    receive_delivery(event_id=part_of(campaign, kits["fetched"]).vtn_event_id, at=NOON + MINUTE)

    completion = complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)

    assert {name: outcome(campaign, asset) for name, asset in kits.items()} == {
        "in": "",
        "out": "opted_out",
        "overridden": "overridden",
        "silent": "unresponsive",
        "fetched": "unresponsive",
        "skipped": "opted_out",
    }
    assert completion.outcomes == {"": 1, "opted_out": 2, "overridden": 1, "unresponsive": 2}
    campaign.refresh_from_db()
    assert (campaign.state, campaign.completed_at) == ("completed", ENDS_AT)
    assert part_of(campaign, kits["fetched"]).delivered_at == NOON + MINUTE


def test_a_device_that_its_hub_could_not_reach_all_along_has_failed_and_the_home_has_not(
    paper_vtn: PaperVtn,
) -> None:
    kits = {
        name: make_ready_home()[1].assets[0]
        for name in ("away", "crashed", "shortly", "other device", "no power", "said no", "told later")
    }
    campaign = make_dispatched(kits.values())
    for name, asset in kits.items():
        answer(part_of(campaign, asset), "out" if name == "said no" else "in", at=NOON + MINUTE)

    def spell(name: str, cause: str, *, resource_id: str = "", until: datetime | None = None) -> None:
        HubSpell.objects.create(
            hub=kits[name].hub,
            cause=cause,
            resource_id=resource_id,
            starts_at=STARTS_AT - MINUTE,
            ends_at=until,
        )

    spell("away", "away", resource_id=kits["away"].resource_id)
    spell("crashed", "crashed", until=ENDS_AT)
    spell("shortly", "away", resource_id=kits["shortly"].resource_id, until=ENDS_AT - MINUTE)
    spell("other device", "away", resource_id="another")
    spell("no power", "no_power", until=ENDS_AT)
    spell("said no", "away", resource_id=kits["said no"].resource_id)

    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)

    found = {name: outcome(campaign, asset) for name, asset in kits.items()}
    assert found.pop("said no") == "opted_out"
    assert {name for name, told in found.items() if told == "device_error"} == {"away", "crashed"}
    assert set(found.values()) == {"device_error", ""}

    spell("told later", "away", resource_id=kits["told later"].resource_id, until=AFTER)
    homes = {name: part_of(campaign, asset).occupancy_id for name, asset in kits.items()}
    measured = {homes[name]: (1_000, 0) for name in kits}
    record_outcomes(campaign_id=campaign.pk, measured=measured, at=AFTER)

    found = {name: outcome(campaign, asset) for name, asset in kits.items()}
    assert {name for name, told in found.items() if told == "device_error"} == {
        "away",
        "crashed",
        "told later",
    }
    assert found["shortly"] == found["no power"] == "partial"


def test_completing_twice_completes_once(paper_vtn: PaperVtn) -> None:
    campaign = make_dispatched(make_ready_home()[1].assets)

    first = complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)
    again = complete_campaign(campaign_id=campaign.pk, at=AFTER)

    assert (first.is_new, again.is_new, first.outcomes) == (True, False, again.outcomes)
    assert OutboxFact.objects.filter(topic=completing.COMPLETED).count() == 1
    assert AuditEntry.objects.filter(verb="campaign.completed").count() == 1


def test_nothing_is_completed_while_it_runs(paper_vtn: PaperVtn) -> None:
    campaign = make_dispatched(make_ready_home()[1].assets)

    with pytest.raises(StillRunning):
        complete_campaign(campaign_id=campaign.pk, at=ENDS_AT - MINUTE)

    campaign.refresh_from_db()
    assert campaign.state == "dispatched"


def test_what_was_never_sent_is_cancelled_at_the_end() -> None:
    asset = make_ready_home()[1].assets[0]
    campaign = make_approved([asset])

    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)

    part = part_of(campaign, asset)
    assert (part.state, part.outcome, part.left_out) == ("cancelled", "cancelled", "too_late")


@pytest.mark.parametrize("state", ["draft", "planned", "cancelled"])
def test_completing_in_the_wrong_state_says_so(state: str) -> None:
    campaign = make_campaign()
    Campaign.objects.filter(pk=campaign.pk).update(state=state)

    with pytest.raises(WrongState):
        complete_campaign(campaign_id=campaign.pk, at=AFTER)


@pytest.mark.parametrize(
    ("delivered_wh", "from_pct", "expected"),
    [
        (1_000, 75, "delivered"),
        (750, 75, "delivered"),
        (749, 75, "partial"),
        (-200, 75, "partial"),
        (749, 50, "delivered"),
    ],
)
def test_meters_tell_delivered_from_partial(
    paper_vtn: PaperVtn, delivered_wh: int, from_pct: int, expected: str
) -> None:
    resident, kit = make_ready_home()
    campaign = make_dispatched(kit.assets, programme=make_programme(delivered_from_pct=from_pct))
    answer(part_of(campaign, kit.assets[0]), "in", at=NOON + MINUTE)
    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)
    measured = {resident.occupancy.pk: (1_000, delivered_wh)}

    counts = record_outcomes(campaign_id=campaign.pk, measured=measured, at=AFTER)

    assert counts == {expected: 1}
    assert outcome(campaign, kit.assets[0]) == expected
    assert record_outcomes(campaign_id=campaign.pk, measured=None, at=AFTER) == counts


def test_meters_do_not_change_a_no(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=DURING, by=None)
    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)

    counts = record_outcomes(
        campaign_id=campaign.pk, measured={resident.occupancy.pk: (1_000, 1_000)}, at=AFTER
    )

    assert counts == {"overridden": 1}


def test_readings_may_correct_an_outcome(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    answer(part_of(campaign, kit.assets[0]), "in", at=NOON + MINUTE)
    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)

    seen = []
    for delivered_wh in (100, 900):
        measured = {resident.occupancy.pk: (1_000, delivered_wh)}
        record_outcomes(campaign_id=campaign.pk, measured=measured, at=AFTER)
        seen.append(outcome(campaign, kit.assets[0]))

    assert seen == ["partial", "delivered"]


def test_an_answer_that_arrives_after_the_end_still_counts(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)
    record_outcomes(campaign_id=campaign.pk, measured={resident.occupancy.pk: (1_000, 900)}, at=AFTER)
    assert outcome(campaign, kit.assets[0]) == "unresponsive"

    answer(part_of(campaign, kit.assets[0]), "in", at=NOON + MINUTE)

    assert outcome(campaign, kit.assets[0]) == "delivered"


def test_outcomes_wait_for_the_end(paper_vtn: PaperVtn) -> None:
    campaign = make_dispatched(make_ready_home()[1].assets)

    with pytest.raises(NotCompleted):
        record_outcomes(campaign_id=campaign.pk, measured={}, at=DURING)


@given(instructed_wh=st.integers(1, 10**6), delivered_wh=st.integers(-(10**6), 10**6))
def test_a_share_of_75_means_at_least_three_quarters(instructed_wh: int, delivered_wh: int) -> None:
    share_pct = measured_share_pct(instructed_wh, delivered_wh)

    assert (share_pct >= 75) == (4 * delivered_wh >= 3 * instructed_wh)


@given(
    state=st.sampled_from(["planned", "sent", "delivered_to_hub", "opted_out", "overridden", "cancelled"]),
    measured_pct=st.none() | st.integers(-500, 500),
)
def test_only_those_who_took_part_are_measured(state: str, measured_pct: int | None) -> None:
    outcome = outcome_of(state=state, measured_pct=measured_pct, delivered_from_pct=75)

    assert outcome not in ("delivered", "partial", "")


def test_cancelling_before_sending_frees_the_assets(paper_vtn: PaperVtn) -> None:
    dispatcher = sam()
    asset = make_ready_home()[1].assets[0]
    campaign = make_approved([asset])

    done = cancel_campaign(campaign_id=campaign.pk, at=NOON, by=dispatcher, reason=" grid is fine ")

    assert (done.events, done.participations, done.is_new) == (0, 1, True)
    campaign.refresh_from_db()
    assert (campaign.state, campaign.cancelled_at, campaign.cancel_reason) == (
        "cancelled",
        NOON,
        "grid is fine",
    )
    assert (part_of(campaign, asset).state, outcome(campaign, asset)) == ("cancelled", "cancelled")
    make_approved([asset])


@pytest.mark.parametrize("make", [make_campaign, lambda: make_planned([])])
def test_a_draft_and_a_plan_can_be_cancelled(make: object) -> None:
    campaign = make()  # type: ignore[operator]

    cancel_campaign(campaign_id=campaign.pk, at=AFTER, by=None)

    campaign.refresh_from_db()
    assert campaign.state == "cancelled"


def test_cancelling_while_it_runs_calls_every_event_off(paper_vtn: PaperVtn) -> None:
    kits = [make_ready_home()[1].assets[0] for _ in range(3)]
    campaign = make_dispatched(kits)
    for asset in kits[:2]:
        answer(part_of(campaign, asset), "in", at=NOON + MINUTE)
    answer(part_of(campaign, kits[1]), "out", at=DURING, reason="overrideStatus")

    done = cancel_campaign(campaign_id=campaign.pk, at=DURING + MINUTE, by=None, reason="stop")

    assert done.events == 3
    assert paper_vtn.live() == []
    assert [outcome(campaign, asset) for asset in kits] == ["cancelled", "overridden", "cancelled"]
    assert {part_of(campaign, asset).dropped_at for asset in kits} == {DURING + MINUTE}
    assert OutboxFact.objects.filter(topic=cancelling.CANCELLED).count() == 1


def test_hubs_answers_to_the_cancellation_change_nothing(paper_vtn: PaperVtn) -> None:
    asset = make_ready_home()[1].assets[0]
    campaign = make_dispatched([asset])
    cancel_campaign(campaign_id=campaign.pk, at=NOON, by=None)

    answer(part_of(campaign, asset), "in", at=NOON + MINUTE)
    receive_delivery(event_id=part_of(campaign, asset).vtn_event_id, at=NOON + MINUTE)

    assert part_of(campaign, asset).state == "cancelled"


def test_cancelling_twice_cancels_once(paper_vtn: PaperVtn) -> None:
    campaign = make_dispatched(make_ready_home()[1].assets)

    first = cancel_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    again = cancel_campaign(campaign_id=campaign.pk, at=NOON + MINUTE, by=None)

    assert (first.is_new, again.is_new) == (True, False)
    assert OutboxFact.objects.filter(topic=cancelling.CANCELLED).count() == 1


def test_a_campaign_that_ran_is_completed_not_cancelled(paper_vtn: PaperVtn) -> None:
    campaign = make_dispatched(make_ready_home()[1].assets)

    with pytest.raises(CampaignEnded):
        cancel_campaign(campaign_id=campaign.pk, at=ENDS_AT, by=None)

    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)
    with pytest.raises(WrongState) as refusal:
        cancel_campaign(campaign_id=campaign.pk, at=AFTER, by=None)
    assert refusal.value.data["possible"] == []
