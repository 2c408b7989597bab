"""The rules of campaigns: versions, two people from a set size on, and what a substation may change."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from campaigns import ramping, rules
from campaigns.approving import (
    PortfolioRampTaken,
    RampBusy,
    RampTaken,
    SecondApproverNeeded,
    approve_campaign,
)
from campaigns.dispatching import dispatch_campaign
from campaigns.models import Campaign, CampaignRule, Participation
from campaigns.planning import plan_campaign
from members.models import Role
from opendsr.kernel.models import AuditEntry
from tests.campaigns.servicing.operating import make_first_programme
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    PaperVtn,
    make_approved,
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
        ("portfolio_w_per_minute", 0),
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

    assert refused.value.data == {
        "substation": "Mill Lane",
        "asked_w": 1_500,
        "most_w": 500,
        "campaigns": ["Evening peak"],
    }
    small = make_planned({homes[2].assets[0]: 500})
    assert approve_campaign(campaign_id=small.pk, at=NOON, by=None)


@pytest.mark.django_db(transaction=True)
def test_of_two_approved_at_once_each_counts_the_other(
    paper_vtn: PaperVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [make_ready_home(primary_substation="Mill Lane")[1] for _ in range(4)]
    make_rules(substation_w_per_minute=400)
    planned = [make_planned({kit.assets[0]: 1_500}) for kit in homes]
    used_beside = ramping.used_beside

    def look_slowly(campaign: Campaign, *beside: Any) -> object:
        used = used_beside(campaign, *beside)
        threading.Event().wait(0.2)
        return used

    monkeypatch.setattr(ramping, "used_beside", look_slowly)

    results = in_threads(
        *(
            lambda campaign=campaign: approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
            for campaign in planned
        )
    )

    assert sorted(type(each).__name__ for each in results) == ["RampTaken"] * 3 + ["list"]
    assert sorted(Campaign.objects.values_list("state", flat=True)) == ["approved"] + ["planned"] * 3


@pytest.mark.django_db(transaction=True)
def test_who_waits_too_long_for_others_to_be_judged_approves_nothing(paper_vtn: PaperVtn) -> None:
    campaign = make_planned(make_ready_home()[1].assets)
    is_held, is_refused = threading.Event(), threading.Event()

    def judge_long() -> None:
        with transaction.atomic():
            ramping.hold()
            is_held.set()
            is_refused.wait(30)

    def approve() -> object:
        is_held.wait(30)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            return approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
        finally:
            is_refused.set()

    _, refused = in_threads(judge_long, approve)

    assert isinstance(refused, RampBusy)
    campaign.refresh_from_db()
    assert campaign.state == "planned"
    assert approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)


@pytest.mark.django_db
def test_campaigns_that_begin_together_share_what_all_homes_may_change(paper_vtn: PaperVtn) -> None:
    homes = [make_ready_home(primary_substation=f"Mill Lane {number}") for number in range(5)]
    make_history({home.stream_id: 1_000 for home, _ in homes})
    make_rules(portfolio_w_per_minute=600)  # 300 s of stagger: 3 kW
    make_dispatched({homes[0][1].assets[0]: 1_000})

    together = make_campaign(size_w=9_000)
    plan = plan_campaign(campaign_id=together.pk, at=NOON)

    assert len(plan.chosen) == 2
    why = " ".join(together.plan_lines.values_list("why", flat=True))
    assert "all homes together may change by 2 kW at once" in why
    assert approve_campaign(campaign_id=together.pk, at=NOON, by=None)
    later = make_campaign(size_w=9_000, starts_at=ENDS_AT + HOUR, ends_at=ENDS_AT + 2 * HOUR)
    assert len(plan_campaign(campaign_id=later.pk, at=NOON).chosen) == 3
    CampaignRule.objects.all().delete()
    uncapped = make_campaign(size_w=9_000, starts_at=ENDS_AT + 3 * HOUR, ends_at=ENDS_AT + 4 * HOUR)
    assert len(plan_campaign(campaign_id=uncapped.pk, at=NOON).chosen) == 5


@pytest.mark.django_db
def test_a_plan_is_not_approved_beyond_what_all_homes_may_change(paper_vtn: PaperVtn) -> None:
    kits = [make_ready_home(primary_substation=place)[1] for place in ("Mill Lane", "Weir Street", "")]
    make_rules(portfolio_w_per_minute=400)
    first, second = (make_planned({kit.assets[0]: 1_500}, name=f"Peak {kit.ven_id}") for kit in kits[:2])
    approve_campaign(campaign_id=first.pk, at=NOON, by=None)

    with pytest.raises(PortfolioRampTaken) as refused:
        approve_campaign(campaign_id=second.pk, at=NOON, by=None)

    assert refused.value.data == {
        "asked_w": 1_500,
        "most_w": 500,
        "w_per_minute": 400,
        "campaigns": [first.name],
    }
    second.refresh_from_db()
    assert (second.state, second.participations.count()) == ("planned", 0)
    small = make_planned({kits[2].assets[0]: 500})
    assert approve_campaign(campaign_id=small.pk, at=NOON, by=None)


@pytest.mark.django_db
def test_rules_tightened_since_planning_hold_at_approval(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home(primary_substation="Mill Lane")
    campaign = make_planned({kit.assets[0]: 1_500})
    make_rules(substation_w_per_minute=200)
    with pytest.raises(RampTaken):
        approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    make_rules(portfolio_w_per_minute=200)
    with pytest.raises(PortfolioRampTaken):
        approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    make_rules(portfolio_w_per_minute=300)
    assert approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)


@pytest.mark.django_db
def test_direct_load_control_is_held_back_by_the_substation_alone(paper_vtn: PaperVtn) -> None:
    homes = [make_ready_home(primary_substation="Mill Lane") for _ in range(3)]
    kits = [kit for _, kit in homes]
    make_history({home.stream_id: 1_000 for home, _ in homes})
    make_rules(substation_w_per_minute=400, portfolio_w_per_minute=1)
    first = {"programme": make_first_programme()}

    planned = make_campaign(size_w=9_000, **first)
    assert len(plan_campaign(campaign_id=planned.pk, at=NOON).chosen) == 2  # 2 kW at the substation
    assert approve_campaign(campaign_id=planned.pk, at=NOON, by=None)
    assert dispatch_campaign(campaign_id=planned.pk, at=NOON).sent == 2
    left = next(kit.assets[0] for kit in kits if not kit.assets[0].participations.exists())
    with pytest.raises(RampTaken):
        approve_campaign(campaign_id=make_planned([left], **first).pk, at=NOON, by=None)


@pytest.mark.django_db
def test_what_direct_load_control_changes_counts_for_others(paper_vtn: PaperVtn) -> None:
    kits = [make_ready_home()[1] for _ in range(2)]
    make_rules(portfolio_w_per_minute=300)
    make_dispatched(kits[0].assets, programme=make_first_programme(), name="From the operator")

    with pytest.raises(PortfolioRampTaken) as refused:
        approve_campaign(campaign_id=make_planned(kits[1].assets).pk, at=NOON, by=None)

    assert (refused.value.data["most_w"], refused.value.data["campaigns"]) == (500, ["From the operator"])


@pytest.mark.django_db
@pytest.mark.parametrize("cap", ["substation_w_per_minute", "portfolio_w_per_minute"])
def test_the_last_check_keeps_back_what_would_change_too_much_at_once(paper_vtn: PaperVtn, cap: str) -> None:
    kits = [make_ready_home(primary_substation="Mill Lane")[1] for _ in range(4)]
    make_dispatched({kits[0].assets[0]: 1_000}, name="Sent before")
    campaign = make_approved({kits[1].assets[0]: 700, kits[2].assets[0]: 900, kits[3].assets[0]: 300})
    waiting = make_ready_home(primary_substation="Mill Lane")[1]
    make_approved({waiting.assets[0]: 5_000}, name="Not sent yet")
    make_rules(**{cap: 440})  # 300 s of stagger: 2.2 kW, of which 1 kW is taken

    report = dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    assert (report.sent, dict(report.left_out)) == (2, {"ramp": 1})
    held = Participation.objects.get(campaign=campaign, left_out="ramp")
    assert (held.state, held.expected_w, held.vtn_event_id) == ("cancelled", 700, "")
    told = AuditEntry.objects.get(target=f"campaign:{campaign.pk}", verb="campaign.dispatched").detail
    assert (told["ramp_held_w"], told["ramp_shared_with"]) == (700, ["Sent before"])


@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 5, 30]),  # minutes to its start
            st.sampled_from([1, 5, 25, 30]),  # minutes long
            st.sampled_from([0, 60, 300, 1_800]),
            st.sampled_from(["turn_down", "turn_up"]),
            st.dictionaries(
                st.sampled_from(["", "Mill Lane", "Weir Street"]), st.integers(1, 5_000), min_size=1
            ),
        ),
        min_size=2,
        max_size=7,
    ),
    here=st.integers(1_000, 5_000),
    together=st.integers(1_000, 7_000),
)
def test_whatever_is_let_in_one_after_the_other_never_changes_load_faster_than_the_caps(
    asked: list[tuple[int, int, int, str, dict[str, int]]], here: int, together: int
) -> None:
    rule = CampaignRule(substation_w_per_minute=here, portfolio_w_per_minute=together)
    let_in: list[tuple[Campaign, dict[str, int]]] = []
    for start, minutes, spread, direction, watts in asked:
        campaign = Campaign(
            starts_at=NOON + timedelta(minutes=start),
            ends_at=NOON + timedelta(minutes=start + minutes),
            stagger_seconds=spread,
            direction=direction,
        )
        used = ramping.Used(
            [
                ramping.Share(other.pk, other.name, place, its, other.spread_seconds)
                for other, power in let_in
                if ramping.meet(campaign, other)
                for place, its in power.items()
            ]
        )
        room = ramping.Room(rule=rule, stagger_seconds=spread, used=used, is_capped=True)
        rows = [(campaign.pk, place, power) for place, power in sorted(watts.items())]
        if not room.beyond(rows):
            let_in.append((campaign, watts))

    moments = sorted({at for each, _ in let_in for at in (each.starts_at, each.ends_at)})
    for place in (None, "Mill Lane", "Weir Street"):
        for at in moments:
            rate = _fastest_w_per_minute(let_in, place, at)
            assert rate <= (together if place is None else here)


def _fastest_w_per_minute(
    let_in: list[tuple[Campaign, dict[str, int]]], place: str | None, at: datetime
) -> float:
    """How fast load can change at a moment, were every hub's delay drawn against us: all that begin or end
    add up, only one that begins the same way in the very moment that another ends takes over from it.
    """
    begins: dict[tuple[datetime, str], float] = {}
    ends: dict[tuple[datetime, str], float] = {}
    for campaign, watts in let_in:
        spread = timedelta(seconds=max(60, campaign.spread_seconds))
        power = sum(watts.values()) if place is None else watts.get(place, 0)
        rate = power * 60 / spread.total_seconds()
        # A campaign's own begin and end in one moment go against each other: the newer counts.
        for moment, way in ((campaign.ends_at, ends), (campaign.starts_at, begins)):
            if moment <= at < moment + spread:
                key = (moment, str(campaign.direction))
                way[key] = way.get(key, 0) + rate
                break
    return sum(max(begins.get(key, 0), ends.get(key, 0)) for key in begins.keys() | ends.keys())
