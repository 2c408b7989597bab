"""What a household keeps for itself, by wish or by need: planned for, obeyed when sent, and while it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assets.models import Asset
from assets.queries import zone_assets
from campaigns.dispatching import dispatch_campaign
from campaigns.eligibility import may_take_part
from campaigns.models import Direction
from campaigns.planning import plan_campaign
from members import caring, opting_out
from members.care import Need
from opendsr.kernel import outbox
from opendsr.kernel.interval import Interval
from tests.campaigns.staging import (
    DURING,
    NOON,
    STARTS_AT,
    PaperVtn,
    make_approved,
    make_campaign,
    make_dispatched,
    make_history,
    make_ready_home,
    part_of,
)
from tests.factories import Resident

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
KINDS = ("ev_charger", "immersion_heater", "storage_heater", "heat_pump", "battery")


def tell(resident: Resident, *needs: str) -> None:
    caring.tell_needs(household=resident.household, needs=needs, at=NOON - HOUR, by="member:1")


def keep(resident: Resident, least_pct: int, *, at: datetime = NOON - HOUR) -> None:
    opting_out.start_standing_opt_out(occupancy=resident.occupancy, at=at, starts_at=at, least_pct=least_pct)


@pytest.mark.parametrize(
    ("need", "down", "up"),
    [
        (Need.EQUIPMENT, set(KINDS), set(KINDS)),
        (Need.HEAT, {"storage_heater", "heat_pump"}, set()),
        (Need.HOT_WATER, {"immersion_heater", "heat_pump"}, set()),
        (Need.CAR, {"ev_charger"}, set()),
        (Need.GENTLE, {"immersion_heater", "storage_heater", "heat_pump"}, set()),
        (Need.BY_VOICE, set(), set()),
    ],
)
def test_what_each_need_keeps(need: Need, down: set[str], up: set[str]) -> None:
    resident, kit = make_ready_home(*KINDS)
    tell(resident, need)
    rows = zone_assets(Asset.objects.filter(hub=kit.hub))
    for direction, kept in ((Direction.TURN_DOWN, down), (Direction.TURN_UP, up)):
        interval = Interval(STARTS_AT, STARTS_AT + HOUR)
        verdicts = may_take_part(rows, interval, direction=direction, at=NOON)
        assert {row.kind_code for row in rows if not verdicts[row.asset_id].may} == kept
        assert {verdicts[row.asset_id].reason for row in rows} <= {"", "own_limits"}
    longer = may_take_part(rows, Interval(STARTS_AT, STARTS_AT + 2 * HOUR), direction="turn_down", at=NOON)
    if need == Need.GENTLE:
        assert not any(verdict.may for verdict in longer.values()), "an hour at a time"


def test_a_kind_nobody_has_heard_of_serves_any_need() -> None:
    resident, kit = make_ready_home("battery")
    tell(resident, Need.CAR)
    (row,) = zone_assets(Asset.objects.filter(hub=kit.hub))
    unheard = row._replace(kind_code="kiln")
    interval = Interval(STARTS_AT, STARTS_AT + HOUR)
    answers = may_take_part([unheard], interval, direction="turn_down", at=NOON)
    assert answers[row.asset_id].words == "Outside what the household keeps for itself"


def test_half_the_power_is_planned_and_sent(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    make_history({resident.stream_id: 12_000})
    car = next(asset for asset in kit.assets if asset.kind_id == "ev_charger")
    Asset.objects.filter(pk=car.pk).update(flexible_w=car.rated_w)
    keep(resident, 50)

    plan = plan_campaign(campaign_id=make_campaign().pk, at=NOON)

    assert {line.asset_id: line.expected_w for line in plan.chosen} == {car.pk: car.rated_w // 2}
    assert plan.left_out_counts == {"own_limits": 1}
    make_dispatched([car])
    (event,) = paper_vtn.live()
    assert [(each.name, each.type, each.intervals[0].value) for each in event.notice.signals] == [
        ("SIMPLE", "level", 1),
        ("LOAD_CONTROL", "x-loadControlCapacity", 0.5),
    ]


def test_a_need_told_after_approval_is_obeyed_when_sent(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    campaign = make_approved(kit.assets)
    tell(resident, Need.HOT_WATER)

    report = dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    assert (report.sent, report.left_out) == (1, {"own_limits": 1})
    (event,) = paper_vtn.live()
    assert event.notice.resource_ids == tuple(
        asset.resource_id for asset in kit.assets if asset.kind_id == "ev_charger"
    )


def test_a_need_told_while_it_runs_gives_the_asset_back(
    paper_vtn: PaperVtn, it_is: Callable[[datetime], None]
) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    campaign = make_dispatched(kit.assets)
    it_is(DURING)
    tell(resident, Need.HOT_WATER)
    outbox.drain()

    states = {asset.kind_id: part_of(campaign, asset).state for asset in kit.assets}
    assert states == {"ev_charger": "sent", "immersion_heater": "cancelled"}
    (event,) = paper_vtn.live()
    assert event.modification_number == 1
    assert event.notice.resource_ids

    tell(resident, Need.HOT_WATER, Need.EQUIPMENT)
    outbox.drain()
    assert not paper_vtn.live()


def test_a_share_kept_while_it_runs_is_told_to_the_hub(
    paper_vtn: PaperVtn, it_is: Callable[[datetime], None]
) -> None:
    resident, kit = make_ready_home("ev_charger")
    campaign = make_dispatched(kit.assets)
    it_is(DURING)
    keep(resident, 75, at=DURING)
    outbox.drain()
    outbox.drain()

    assert part_of(campaign, kit.assets[0]).state == "sent"
    (event,) = paper_vtn.live()
    assert event.modification_number == 1
    assert [each.intervals[0].value for each in event.notice.signals] == [1, 0.75]


def test_however_many_are_asked_the_statements_are_the_same() -> None:
    interval = Interval(STARTS_AT, STARTS_AT + HOUR)

    def statements() -> int:
        rows = zone_assets(Asset.objects.all())
        with CaptureQueriesContext(connection) as seen:
            verdicts = may_take_part(rows, interval, direction="turn_up", at=NOON)
        assert all(verdict.may for verdict in verdicts.values())
        return len(seen)

    make_ready_home()
    few = statements()
    for _ in range(5):
        make_ready_home()
    assert statements() == few <= 7
