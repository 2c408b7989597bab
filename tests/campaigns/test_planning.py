"""Planning on real readings: who is in, with how much, who is out and why, and what it costs to ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assets.models import Asset, AssetKind, Hub
from campaigns.life import CampaignEnded, WrongState
from campaigns.models import Campaign, PlanLine
from campaigns.planning import plan_campaign, plan_of
from members import consenting, joining, moving, opting_out
from members.models import Consent, Purpose
from tests.campaigns.staging import (
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
)
from tests.factories import HubKit, Resident, make_home, make_hub, make_resident

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def line_of(campaign: Campaign, asset: Asset) -> PlanLine:
    return PlanLine.objects.get(campaign=campaign, asset=asset)


def chosen(campaign: Campaign) -> dict[str, int]:
    lines = campaign.plan_lines.filter(left_out="").order_by("-expected_w")
    return dict(lines.values_list("asset__hub__serial", "expected_w"))


def test_the_strongest_are_asked_until_the_size_is_reached() -> None:
    homes = [make_ready_home() for _ in range(4)]
    make_history(
        {home.stream_id: power_w for (home, _), power_w in zip(homes, (900, 1_900, 1_500, 500), strict=True)}
    )
    make_rules()
    campaign = make_campaign(size_w=2_700)

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert chosen(campaign) == {homes[1][1].hub.serial: 1_900, homes[2][1].hub.serial: 1_500}
    assert (plan.expected_w, plan.shortfall_w, plan.homes) == (3_400, 0, 2)
    assert [line.expected_w for line in plan.chosen] == [1_900, 1_500]
    assert plan.left_out_counts == {"not_needed": 2}
    campaign.refresh_from_db()
    assert (campaign.state, campaign.planned_at) == ("planned", NOON)
    assert plan_of(campaign) == plan


def test_what_is_lacking_is_said() -> None:
    resident, _ = make_ready_home()
    make_history({resident.stream_id: 2_000})
    campaign = make_campaign(size_w=9_000)

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert (plan.expected_w, plan.shortfall_w) == (2_000, 7_000)


def test_an_asset_is_not_expected_to_drop_more_than_it_can() -> None:
    resident = make_resident()
    make_hub(resident.home, flexible_w=1_500, through_vtn=False)
    make_history({resident.stream_id: 4_000})

    plan = plan_campaign(campaign_id=make_campaign().pk, at=NOON)

    assert plan.expected_w == 1_500


def test_a_homes_assets_share_what_its_meter_shows() -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    make_history({resident.stream_id: 1_200})

    plan = plan_campaign(campaign_id=make_campaign().pk, at=NOON)

    shares = {line.asset_id: line.expected_w for line in plan.chosen}
    assert sum(shares.values()) == 1_200
    flexible_w = {asset.pk: asset.flexible_w for asset in kit.assets}
    ratio = flexible_w[kit.assets[0].pk] / sum(flexible_w.values())
    assert shares[kit.assets[0].pk] == pytest.approx(1_200 * ratio, abs=1)


def test_turning_up_is_held_by_the_fuse_not_by_the_use() -> None:
    resident = make_resident()
    kit = make_hub(resident.home, flexible_w=2_000, through_vtn=False)
    make_history({resident.stream_id: 300})

    campaign = make_campaign(direction="turn_up", ends_at=STARTS_AT + HOUR)

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert {line.asset_id: line.expected_w for line in plan.chosen} == {kit.assets[0].pk: 2_000}


def no_consent(resident: Resident, kit: HubKit) -> None:
    consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY)
    consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=NOON - HOUR)


def standing_opt_out(resident: Resident, kit: HubKit) -> None:
    opting_out.start_standing_opt_out(
        occupancy=resident.occupancy, at=NOON - HOUR, starts_at=ENDS_AT - HOUR, ends_at=ENDS_AT + HOUR
    )


def no_household(resident: Resident, kit: HubKit) -> None:
    moving.move_out(occupancy=resident.occupancy, at=NOON - HOUR)


def hub_not_commissioned(resident: Resident, kit: HubKit) -> None:
    Hub.objects.filter(pk=kit.hub.pk).update(state=Hub.State.PLANNED)


def asset_faulty(resident: Resident, kit: HubKit) -> None:
    Asset.objects.filter(hub=kit.hub).update(state=Asset.State.FAULTY)


def busy(resident: Resident, kit: HubKit) -> None:
    make_approved(kit.assets, starts_at=STARTS_AT + HOUR, ends_at=ENDS_AT + HOUR)


def not_enough_duration(resident: Resident, kit: HubKit) -> None:
    AssetKind.objects.filter(code="ev_charger").update(turn_down_hours="1.5")


def too_little_use(resident: Resident, kit: HubKit) -> None:
    make_history({resident.stream_id: 0}, known_at=NOON)


@pytest.mark.parametrize(
    "happens",
    [
        no_consent,
        standing_opt_out,
        no_household,
        hub_not_commissioned,
        asset_faulty,
        busy,
        not_enough_duration,
        too_little_use,
    ],
)
def test_each_reason_to_leave_an_asset_out(happens: Callable[[Resident, HubKit], None]) -> None:
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 2_000}, known_at=NOON - HOUR)
    happens(resident, kit)
    campaign = make_campaign()

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    (line,) = plan.lines
    assert (line.left_out, line.expected_w) == (happens.__name__, 0)
    assert line.reason
    assert (line.occupancy_id is None) == (happens is no_household)
    assert line_of(campaign, kit.assets[0]).left_out == happens.__name__
    assert plan.shortfall_w == campaign.size_w


def test_a_household_that_moves_in_before_the_event_has_not_lived_there_long_enough() -> None:
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 2_000})
    moving.move_out(occupancy=resident.occupancy, at=NOON - HOUR)
    newcomer = make_resident(home=resident.home, at=NOON - HOUR)
    campaign = make_campaign()

    plan_campaign(campaign_id=campaign.pk, at=NOON)

    line = line_of(campaign, kit.assets[0])
    assert (line.left_out, line.occupancy) == ("no_meter_data", newcomer.occupancy)


def test_a_move_out_in_the_middle_leaves_the_home_out() -> None:
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 2_000})
    type(resident.occupancy).objects.filter(pk=resident.occupancy.pk).update(ends_at=STARTS_AT + HOUR)
    campaign = make_campaign()

    plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert line_of(campaign, kit.assets[0]).left_out == "no_household"


@pytest.mark.parametrize(
    ("starts_on", "left_out"), [(date(2026, 1, 9), "no_meter_data"), (date(2026, 1, 8), "")]
)
def test_four_like_days_are_needed(starts_on: date, left_out: str) -> None:
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 2_000}, starts_on=starts_on)
    campaign = make_campaign()

    plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert line_of(campaign, kit.assets[0]).left_out == left_out


def test_readings_that_came_later_are_not_foreseen() -> None:
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 2_000}, known_at=NOON + HOUR)
    campaign = make_campaign()

    plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert line_of(campaign, kit.assets[0]).left_out == "no_meter_data"


def test_days_of_earlier_events_do_not_count_as_usual(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 2_000}, ends_on=date(2026, 1, 13))
    make_history({resident.stream_id: 40}, starts_on=date(2026, 1, 13))
    day = timedelta(days=1)
    make_dispatched(kit.assets, starts_at=STARTS_AT - day, ends_at=ENDS_AT - day, at=NOON - day)

    plan = plan_campaign(campaign_id=make_campaign().pk, at=NOON)

    assert plan.expected_w == 2_000


def test_power_promised_elsewhere_is_not_promised_again() -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    charger, heater = kit.assets
    make_history({resident.stream_id: 2_000})
    make_approved({charger: 1_700})
    campaign = make_campaign()

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert {line.asset_id: line.expected_w for line in plan.chosen} == {heater.pk: 300}
    assert line_of(campaign, charger).left_out == "busy"


def test_of_equals_the_household_asked_least_comes_first(paper_vtn: PaperVtn) -> None:
    homes = [make_ready_home() for _ in range(2)]
    make_history({home.stream_id: 2_000 for home, _ in homes})
    for days in (3, 4):
        shift = timedelta(days=days)
        make_dispatched(
            homes[0][1].assets, starts_at=STARTS_AT - shift, ends_at=ENDS_AT - shift, at=NOON - shift
        )
    make_rules()
    campaign = make_campaign(size_w=1_000)

    plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert chosen(campaign) == {homes[1][1].hub.serial: 2_000}
    words = {line.asset.hub.serial: line.why for line in campaign.plan_lines.select_related("asset__hub")}
    assert "not asked lately" in words[homes[1][1].hub.serial]
    assert "asked 2 times lately" in words[homes[0][1].hub.serial]


def test_more_are_asked_than_the_mean_needs_so_that_the_size_is_nearly_sure() -> None:
    homes = [make_ready_home() for _ in range(8)]
    make_history({home.stream_id: 1_000 for home, _ in homes})
    campaign = make_campaign(size_w=4_000)

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert len(plan.chosen) > 5
    assert all(line.why.startswith("In, number") for line in campaign.plan_lines.filter(left_out=""))
    out = campaign.plan_lines.exclude(left_out="")
    assert all(line.why.startswith("Out: others cost less") for line in out)


def test_a_home_that_was_asked_enough_is_left_alone_and_a_substation_changes_slowly(
    paper_vtn: PaperVtn,
) -> None:
    homes = [make_ready_home(primary_substation="Mill Lane") for _ in range(3)]
    make_history({home.stream_id: 1_000 for home, _ in homes})
    make_rules(most_asks=1, substation_w_per_minute=200)  # 300 s of stagger: 1 kW
    make_dispatched(
        homes[0][1].assets, starts_at=STARTS_AT - HOUR * 24, ends_at=ENDS_AT - HOUR * 24, at=NOON - HOUR * 24
    )
    campaign = make_campaign(size_w=9_000)

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert len(plan.chosen) == 1
    why = sorted(campaign.plan_lines.exclude(left_out="").values_list("why", flat=True))
    assert "from 1 a home is left alone" in why[0]
    assert "its feeder may change by 1 kW at once" in why[1]


def test_only_the_zone_is_looked_at() -> None:
    inside, outside = make_ready_home(cmz="Old Trafford"), make_ready_home(cmz="Elsewhere")
    make_history({home.stream_id: 2_000 for home, _ in (inside, outside)})
    campaign = make_campaign(zone_kind="cmz", zone="Old Trafford")

    plan = plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert [line.asset_id for line in plan.lines] == [inside[1].assets[0].pk]


def test_an_empty_zone_makes_an_empty_plan() -> None:
    plan = plan_campaign(campaign_id=make_campaign(zone_kind="cmz", zone="Nowhere").pk, at=NOON)

    assert (plan.lines, plan.expected_w, plan.shortfall_w) == ((), 0, 5_000)


def test_planning_again_replaces_the_plan() -> None:
    resident, kit = make_ready_home()
    make_history({resident.stream_id: 2_000})
    campaign = make_campaign()
    plan_campaign(campaign_id=campaign.pk, at=NOON)
    asset_faulty(resident, kit)
    second, second_kit = make_ready_home()
    make_history({second.stream_id: 900})

    plan_campaign(campaign_id=campaign.pk, at=NOON + HOUR)

    assert chosen(campaign) == {second_kit.hub.serial: 900}
    assert line_of(campaign, kit.assets[0]).left_out == "asset_faulty"
    assert campaign.plan_lines.count() == 2


def test_an_approved_campaign_is_not_planned_again() -> None:
    _, kit = make_ready_home()
    campaign = make_approved(kit.assets)

    with pytest.raises(WrongState) as refusal:
        plan_campaign(campaign_id=campaign.pk, at=NOON)

    assert refusal.value.data["possible"] == ["dispatch", "complete", "cancel"]
    assert campaign.plan_lines.filter(left_out="").count() == 1


def test_nothing_is_planned_once_the_time_is_over() -> None:
    with pytest.raises(CampaignEnded):
        plan_campaign(campaign_id=make_campaign().pk, at=ENDS_AT)


def test_an_empty_home_and_a_planned_one_are_candidates_too() -> None:
    home = make_home()
    make_hub(home, through_vtn=False)
    waiting = make_resident()
    Hub.objects.filter(pk=make_hub(waiting.home, through_vtn=False).hub.pk).update(state="planned")

    plan = plan_campaign(campaign_id=make_campaign().pk, at=NOON)

    assert plan.left_out_counts == {"no_household": 1, "hub_not_commissioned": 1}


def test_two_hundred_homes_cost_as_many_queries_as_twenty() -> None:
    member = make_resident()
    streams = {}
    for number in range(200):
        home = make_home(cmz="small" if number < 20 else "large")
        make_hub(home, through_vtn=False)
        stay = joining.move_in(household=member.household, home=home, at=NOON - 90 * 24 * HOUR)
        streams[joining.open_stream(occupancy=stay, at=stay.starts_at).stream_id] = 1_000 + number
        for purpose in (Purpose.FLEXIBILITY, Purpose.SETTLEMENT):
            consenting.give_consent(
                member=member.member,
                occupancy=stay,
                purpose=purpose,
                granularity="none" if purpose == Purpose.FLEXIBILITY else "half_hourly",
                channel="web",
                at=stay.starts_at,
            )
    make_history(streams, starts_on=date(2026, 1, 1))
    counts, asked = [], []
    for zone_kind, zone in (("cmz", "small"), ("everywhere", "")):
        campaign = make_campaign(zone_kind=zone_kind, zone=zone, size_w=10_000_000)
        with CaptureQueriesContext(connection) as captured:
            plan = plan_campaign(campaign_id=campaign.pk, at=NOON)
        counts.append(len(captured))
        asked.append(len(plan.chosen))

    assert asked == [20, 200]
    assert counts[0] == counts[1] <= 30
