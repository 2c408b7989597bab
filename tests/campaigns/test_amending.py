"""What is asked changes until it is approved; what runs goes on as a campaign of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns import eligibility
from campaigns.amending import NotAmendable, amend_campaign, continue_campaign
from campaigns.creating import CampaignInvalid
from campaigns.life import lock_campaign
from campaigns.models import Campaign, PlanLine
from campaigns.opting import skip
from campaigns.planning import plan_campaign
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.models import AuditEntry
from tests.campaigns.staging import (
    AFTER,
    DURING,
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    make_approved,
    make_campaign,
    make_dispatched,
    make_history,
    make_ready_home,
    make_rules,
    part_of,
)
from tests.cast import sam

pytestmark = pytest.mark.django_db
HALF_HOUR = timedelta(minutes=30)


def asked_of(campaign: Campaign, **changes: object) -> dict[str, object]:
    fields = (
        "programme",
        "name",
        "direction",
        "zone_kind",
        "zone",
        "size_w",
        "starts_at",
        "ends_at",
        "reason",
    )
    return {field: getattr(campaign, field) for field in fields} | {"hold_out_pct": 0} | changes


def test_what_is_asked_changes_until_it_is_approved_and_the_log_says_how() -> None:
    make_rules(second_from_w=4_000)
    resident, _kit = make_ready_home()
    make_history({resident.stream_id: 3_000})
    campaign = make_campaign()
    plan_campaign(campaign_id=campaign.pk, at=NOON)
    boss = sam()
    Campaign.objects.filter(pk=campaign.pk).update(first_approved_by=boss, first_approved_at=NOON)

    amended = amend_campaign(
        campaign_id=campaign.pk,
        at=NOON,
        by=boss,
        **asked_of(campaign, size_w=2_000, ends_at=ENDS_AT + HALF_HOUR),
    )

    assert (amended.size_w, amended.ends_at, amended.state) == (2_000, ENDS_AT + HALF_HOUR, "planned")
    assert amended.first_approved_at is None, "another plan is another decision"
    (entry,) = AuditEntry.objects.filter(verb="campaign.amended")
    assert entry.detail["changed"]["size_w"] == ["5000", "2000"]
    assert set(entry.detail["changed"]) == {"size_w", "ends_at"}


def test_a_wrong_change_changes_nothing() -> None:
    campaign = make_campaign()

    with pytest.raises(CampaignInvalid) as caught:
        amend_campaign(campaign_id=campaign.pk, at=NOON, by=sam(), **asked_of(campaign, name="", size_w=0))

    assert caught.value.data["errors"].keys() == {"name", "size_w"}
    campaign.refresh_from_db()
    assert (campaign.name, campaign.size_w, campaign.state) == ("Evening peak", 5_000, "draft")


def test_what_homes_were_told_is_never_changed(paper_vtn: PaperVtn) -> None:
    campaign = make_dispatched([make_ready_home()[1].assets[0]])

    with pytest.raises(NotAmendable):
        amend_campaign(campaign_id=campaign.pk, at=NOON, by=sam(), **asked_of(campaign, size_w=1))


def test_what_runs_goes_on_as_a_campaign_of_its_own(paper_vtn: PaperVtn) -> None:
    make_rules()
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 3_000})
    campaign = make_dispatched([kit.assets[0]], reason="The substation is hot")
    key = new_uuid()

    going_on = {"campaign_id": campaign.pk, "continuation_id": key, "minutes": 60, "at": DURING, "by": sam()}
    first, second = continue_campaign(**going_on), continue_campaign(**going_on)

    assert first.pk == second.pk == key
    assert (first.starts_at, first.ends_at) == (ENDS_AT, ENDS_AT + timedelta(hours=1))
    assert (first.state, first.reason) == ("planned", "The substation is hot")
    assert [line.asset_id for line in first.plan_lines.filter(left_out="")] == [kit.assets[0].pk]
    campaign.refresh_from_db()
    assert campaign.ends_at == ENDS_AT


@pytest.mark.parametrize("minutes", [0, 29, 45, 150, 10_000])
def test_going_on_is_for_whole_half_hours_two_hours_at_most(minutes: int, paper_vtn: PaperVtn) -> None:
    campaign = make_dispatched([make_ready_home()[1].assets[0]])

    with pytest.raises(CampaignInvalid) as caught:
        continue_campaign(
            campaign_id=campaign.pk, continuation_id=new_uuid(), minutes=minutes, at=DURING, by=sam()
        )

    assert caught.value.data["errors"].keys() == {"minutes"}


def test_what_is_over_or_was_never_sent_does_not_go_on(paper_vtn: PaperVtn) -> None:
    running = make_dispatched([make_ready_home()[1].assets[0]])
    draft = make_campaign()
    boss = sam()
    for campaign, at, refusal in ((running, AFTER, CampaignInvalid), (draft, NOON, NotAmendable)):
        with pytest.raises(refusal):
            continue_campaign(campaign_id=campaign.pk, continuation_id=new_uuid(), minutes=30, at=at, by=boss)


def test_assets_that_ran_until_then_count_as_running_all_the_while(paper_vtn: PaperVtn) -> None:
    """A storage heater is good for two hours: one that ran two is left out, one that said no is not."""
    make_rules()
    homes = [make_ready_home("storage_heater") for _ in range(3)]
    make_history({resident.stream_id: 3_000 for resident, _ in homes})
    ran, skipped, rested = (kit.assets[0] for _, kit in homes)
    campaign = make_approved([ran, skipped])
    skip(participation=part_of(campaign, skipped), at=NOON, by=None)

    after = make_campaign(starts_at=ENDS_AT, ends_at=ENDS_AT + HALF_HOUR)
    plan_campaign(campaign_id=after.pk, at=NOON)
    later = make_campaign(starts_at=ENDS_AT + HALF_HOUR, ends_at=ENDS_AT + 2 * HALF_HOUR)
    plan_campaign(campaign_id=later.pk, at=NOON)

    out = {line.asset_id: line.left_out for line in after.plan_lines.all()}
    assert out[ran.pk] == PlanLine.LeftOut.NOT_ENOUGH_DURATION
    assert out[skipped.pk] != PlanLine.LeftOut.NOT_ENOUGH_DURATION
    assert out[rested.pk] != PlanLine.LeftOut.NOT_ENOUGH_DURATION
    assert PlanLine.LeftOut.NOT_ENOUGH_DURATION not in {line.left_out for line in later.plan_lines.all()}


def test_a_chain_of_campaigns_adds_up(paper_vtn: PaperVtn) -> None:
    asset = make_ready_home("storage_heater")[1].assets[0]
    make_approved([asset], ends_at=STARTS_AT + 2 * HALF_HOUR)
    second = make_approved([asset], starts_at=STARTS_AT + 2 * HALF_HOUR, ends_at=STARTS_AT + 3 * HALF_HOUR)

    ran = eligibility._ran_until(lock_campaign(second.pk).ends_at, "turn_down")

    assert ran == {asset.pk: 3 * HALF_HOUR}
    assert eligibility._ran_until(ENDS_AT, "turn_up") == {}
