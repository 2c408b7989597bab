"""The rules of campaigns: versions, two people from a set size on, and what a substation may change."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import ramping, rules
from campaigns.approving import RampTaken, SecondApproverNeeded, approve_campaign
from campaigns.models import Campaign, CampaignRule
from campaigns.planning import plan_campaign
from members.models import Role
from opendsr.kernel.models import AuditEntry
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    PaperVtn,
    make_campaign,
    make_dispatched,
    make_history,
    make_planned,
    make_ready_home,
    make_rules,
)
from tests.campaigns.test_approving import in_threads
from tests.factories import make_staff

HOUR = timedelta(hours=1)
SET = {
    "second_from_w": 1_000,
    "substation_w_per_minute": 2_000,
    "chance_pct": 90,
    "most_asks": 5,
    "why": "agreed with the operator",
}


@pytest.mark.django_db
def test_the_newest_rules_are_in_force_and_all_are_kept() -> None:
    by = make_staff("ada@example.org", Role.ADMINISTRATOR)
    assert rules.in_force().second_from_w == rules.SECOND_FROM_W

    rules.set_rules(**SET, at=NOON, by=by)  # type: ignore[arg-type]
    rules.set_rules(**{**SET, "most_asks": 6}, at=NOON, by=by)  # type: ignore[arg-type]

    assert rules.in_force().most_asks == 6
    assert CampaignRule.objects.count() == 2
    assert AuditEntry.objects.filter(verb="campaigns.rules.set").count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("second_from_w", -1),
        ("substation_w_per_minute", 0),
        ("chance_pct", 100),
        ("most_asks", 0),
        ("why", " "),
    ],
)
def test_a_rule_that_cannot_be_names_its_field(field: str, value: object) -> None:
    by = make_staff("ada@example.org", Role.ADMINISTRATOR)

    with pytest.raises(rules.RuleInvalid) as refused:
        rules.set_rules(**{**SET, field: value}, at=NOON, by=by)  # type: ignore[arg-type]

    assert refused.value.field == field
    assert not CampaignRule.objects.exists()


@pytest.mark.django_db
def test_two_people_approve_from_the_set_size_on(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    ada, bea = (make_staff(f"{name}@example.org", Role.DISPATCHER) for name in ("ada", "bea"))
    rules.set_rules(**SET, at=NOON, by=ada)  # type: ignore[arg-type]
    small = make_planned(kit.assets, size_w=999)
    campaign = make_planned(kit.assets, size_w=1_000, name="Large")

    assert approve_campaign(campaign_id=campaign.pk, at=NOON, by=ada) == []
    campaign.refresh_from_db()
    assert (campaign.state, campaign.first_approved_by) == ("planned", ada)
    with pytest.raises(SecondApproverNeeded):
        approve_campaign(campaign_id=campaign.pk, at=NOON, by=ada)
    assert len(approve_campaign(campaign_id=campaign.pk, at=NOON, by=bea)) == 1
    campaign.refresh_from_db()
    assert (campaign.state, campaign.approved_by) == ("approved", bea)
    assert not rules.in_force().second_from_w <= small.size_w


@pytest.mark.django_db
def test_another_plan_is_another_decision(paper_vtn: PaperVtn) -> None:
    resident, _ = make_ready_home()
    make_history({resident.stream_id: 3_000})
    ada = make_staff("ada@example.org", Role.DISPATCHER)
    rules.set_rules(**SET, at=NOON, by=ada)  # type: ignore[arg-type]
    campaign = make_campaign(size_w=1_000)
    plan_campaign(campaign_id=campaign.pk, at=NOON)
    approve_campaign(campaign_id=campaign.pk, at=NOON, by=ada)

    plan_campaign(campaign_id=campaign.pk, at=NOON)

    campaign.refresh_from_db()
    assert (campaign.first_approved_by, campaign.first_approved_at) == (None, None)


@given(per_minute=st.integers(1, 2_000_000_000), stagger=st.integers(0, 1_800))
def test_a_longer_stagger_lets_a_substation_change_more(per_minute: int, stagger: int) -> None:
    rule = CampaignRule(substation_w_per_minute=per_minute)

    cap_w = rules.feeder_cap_w(rule, stagger_seconds=stagger)

    assert cap_w >= per_minute or cap_w == rules.LARGEST_W
    assert cap_w <= rules.feeder_cap_w(rule, stagger_seconds=stagger + 1)
    assert cap_w * 60 <= per_minute * max(60, stagger)


@pytest.mark.django_db
def test_campaigns_that_begin_together_share_what_a_substation_may_change(paper_vtn: PaperVtn) -> None:
    homes = [make_ready_home(primary_substation="Mill Lane") for _ in range(4)]
    elsewhere, _ = make_ready_home(primary_substation="Weir Street")
    make_history({home.stream_id: 1_000 for home in (*(home for home, _ in homes), elsewhere)})
    make_rules(substation_w_per_minute=400)  # 300 s of stagger: 2 kW
    make_dispatched({homes[0][1].assets[0]: 1_000})

    together = make_campaign(size_w=9_000)
    plan = plan_campaign(campaign_id=together.pk, at=NOON)

    assert len([line for line in plan.chosen if line.home_id != elsewhere.home.pk]) == 1
    assert any(line.home_id == elsewhere.home.pk for line in plan.chosen)
    assert "its feeder may change by 1 kW" in " ".join(together.plan_lines.values_list("why", flat=True))
    later = make_campaign(size_w=9_000, starts_at=ENDS_AT + HOUR, ends_at=ENDS_AT + 2 * HOUR)
    assert len(plan_campaign(campaign_id=later.pk, at=NOON).chosen) == 3
    goes_on = {"starts_at": ENDS_AT, "ends_at": ENDS_AT + HOUR}
    assert len(plan_campaign(campaign_id=make_campaign(size_w=9_000, **goes_on).pk, at=NOON).chosen) == 3


@pytest.mark.django_db
def test_a_plan_made_before_another_was_approved_is_not_approved_beyond_the_ramp(paper_vtn: PaperVtn) -> None:
    homes = [make_ready_home(primary_substation="Mill Lane")[1] for _ in range(3)]
    make_rules(substation_w_per_minute=400)
    first, second = (make_planned({kit.assets[0]: 1_500}) for kit in homes[:2])
    approve_campaign(campaign_id=first.pk, at=NOON, by=None)

    with pytest.raises(RampTaken) as refused:
        approve_campaign(campaign_id=second.pk, at=NOON, by=None)

    assert refused.value.data == {"substation": "Mill Lane", "most_w": 500}
    small = make_planned({homes[2].assets[0]: 500})
    assert approve_campaign(campaign_id=small.pk, at=NOON, by=None)


@pytest.mark.django_db(transaction=True)
def test_of_two_approved_at_once_each_counts_the_other(
    paper_vtn: PaperVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [make_ready_home(primary_substation="Mill Lane")[1] for _ in range(4)]
    make_rules(substation_w_per_minute=400)
    planned = [make_planned({kit.assets[0]: 1_500}) for kit in homes]
    used_w_per_minute = ramping.used_w_per_minute

    def look_slowly(campaign: Campaign) -> object:
        used = used_w_per_minute(campaign)
        threading.Event().wait(0.2)
        return used

    monkeypatch.setattr(ramping, "used_w_per_minute", look_slowly)

    results = in_threads(
        *(
            lambda campaign=campaign: approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
            for campaign in planned
        )
    )

    assert sorted(type(each).__name__ for each in results) == ["RampTaken"] * 3 + ["list"]
    assert sorted(Campaign.objects.values_list("state", flat=True)) == ["approved"] + ["planned"] * 3
