"""A campaign that comes after the plan of the night: what the plan did in its time is done at another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest

from assets import shadowing
from assets.models import Asset
from campaigns import freezing, home_plans, making_room, needs, tariffs, tasks
from campaigns.market import weighing
from campaigns.models import HomePlan, HomePlanLine
from campaigns.needs import Night
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import AuditEntry
from tests.campaigns.market.trading import make_buyer, make_request
from tests.campaigns.staging import PaperVtn, make_dispatched, make_ready_home
from tests.factories import Resident

pytestmark = pytest.mark.django_db

NIGHT = date(2026, 1, 14)
AT = datetime(2026, 1, 14, 16, 20, tzinfo=UTC)
LATER = datetime(2026, 1, 14, 21, 0, tzinfo=UTC)
E7 = {time(0): Decimal("28.5"), time(0, 30): Decimal("9"), time(2): Decimal("10"), time(7): Decimal("28.5")}


def planned(*kinds: str, car_wh: int = 11_040, demand_pence: int = 0) -> tuple[Resident, list[Asset]]:
    """A home on Economy 7 whose night was planned and sent: its car is charged from 00:30 to 02:00."""
    resident, kit = make_ready_home(*kinds)
    tariffs.set_bands(code="e7", name="E7", bands=E7, at=AT, by="test", demand_pence_per_kw=demand_pence)
    tariffs.put_on(occupancy=resident.occupancy, code="e7", at=AT - timedelta(days=1), by="test")
    for asset in kit.assets:
        if asset.kind_id == "ev_charger":
            needed = {"ready_by": "06:30", "charge_wh": car_wh}
            shadowing.set_needs(asset_id=asset.pk, needs=needed, at=AT, by="test")
    home_plans.plan_night(night=NIGHT, at=AT)
    home_plans.send_night(night=NIGHT, at=AT)
    return resident, list(kit.assets)


def drawn_at(line: HomePlanLine, over: Night) -> list[time]:
    line.refresh_from_db()
    return [over.local[n].time() for n, watts in enumerate(line.power_w) if watts]


def test_the_car_is_charged_around_the_campaign_and_its_hub_told(paper_vtn: PaperVtn) -> None:
    _, assets = planned("ev_charger")
    line, over = HomePlanLine.objects.get(), needs.night_of(NIGHT)
    assert drawn_at(line, over) == [time(0, 30), time(1), time(1, 30)]
    starts_at = datetime(2026, 1, 15, 1, tzinfo=UTC)
    campaign = make_dispatched(assets, starts_at=starts_at, ends_at=starts_at + timedelta(hours=2))

    assert making_room.make_room(campaign_id=campaign.pk, at=LATER) == 1
    assert making_room.make_room(campaign_id=campaign.pk, at=LATER) == 0

    assert drawn_at(line, over) == [time(0, 30), time(3), time(3, 30)]
    plan = HomePlan.objects.get()
    assert plan.cost_mp == line.cost_mp == (3_680 * 9 + 7_360 * 10)
    told = paper_vtn.events[line.vtn_event_id].notice
    power = next(each for each in told.signals if each.name == "LOAD_DISPATCH")
    assert [(each.duration_seconds // 1_800, each.value) for each in power.intervals] == [
        (16, 0.0),
        (1, 7_360.0),
        (4, 0.0),
        (2, 7_360.0),
        (16, 0.0),
    ]
    (entry,) = AuditEntry.objects.filter(verb=making_room.MOVED, target=f"campaign:{campaign.pk}")
    assert entry.detail == {"assets": 1, "more_mp": 7_360, "lacking_wh": 0}


def test_what_was_charged_by_then_is_not_charged_again(paper_vtn: PaperVtn) -> None:
    _, assets = planned("ev_charger")
    line, over = HomePlanLine.objects.get(), needs.night_of(NIGHT)
    starts_at = datetime(2026, 1, 15, 1, 30, tzinfo=UTC)
    campaign = make_dispatched(assets, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))

    making_room.make_room(campaign_id=campaign.pk, at=starts_at - timedelta(minutes=1))

    assert drawn_at(line, over) == [time(0, 30), time(1), time(2, 30)]


def test_a_need_that_no_time_is_left_for_is_told(paper_vtn: PaperVtn) -> None:
    _, assets = planned("ev_charger")
    starts_at = datetime(2026, 1, 15, 1, tzinfo=UTC)
    campaign = make_dispatched(assets, starts_at=starts_at, ends_at=starts_at + timedelta(hours=4))
    Asset.objects.update(needs={"ready_by": "05:30", "charge_wh": 11_040})

    making_room.make_room(campaign_id=campaign.pk, at=starts_at - timedelta(minutes=1))

    (entry,) = AuditEntry.objects.filter(verb=making_room.MOVED)
    assert entry.detail["lacking_wh"] == 3_680
    assert HomePlanLine.objects.get().shortfall_wh == 3_680
    assert entry.detail["more_mp"] == 3_680 * (19 - 27) + 3_680 * 57 // 2


def test_water_and_storage_heat_move_too_and_the_past_of_a_tank_stands(paper_vtn: PaperVtn) -> None:
    _, assets = planned("immersion_heater", "storage_heater")
    over = needs.night_of(NIGHT)
    before = {line.asset.kind_id: line.power_w for line in HomePlanLine.objects.select_related("asset")}
    starts_at = datetime(2026, 1, 15, 1, tzinfo=UTC)
    campaign = make_dispatched(assets, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))

    making_room.make_room(campaign_id=campaign.pk, at=starts_at)

    for line in HomePlanLine.objects.select_related("asset"):
        old, new = np.array(before[line.asset.kind_id]), np.array(line.power_w)
        is_past = np.array([start < starts_at for start in over.starts])
        is_taken = np.array([starts_at <= start < campaign.ends_at for start in over.starts])
        assert (new[is_past] == old[is_past]).all()
        assert not new[is_taken].any()
        assert not line.shortfall_wh


def test_under_a_demand_charge_no_half_hour_goes_above_the_plans_highest(paper_vtn: PaperVtn) -> None:
    _, assets = planned("ev_charger", demand_pence=800)
    line = HomePlanLine.objects.get()
    most_w = max(line.power_w)
    assert 0 < most_w < 7_360
    starts_at = datetime(2026, 1, 15, 1, tzinfo=UTC)
    campaign = make_dispatched(assets, starts_at=starts_at, ends_at=starts_at + timedelta(minutes=30))

    making_room.make_room(campaign_id=campaign.pk, at=LATER)

    line.refresh_from_db()
    assert max(line.power_w) == most_w


def test_a_plan_under_way_as_the_campaign_was_sent_makes_room_afterwards(
    paper_vtn: PaperVtn, it_is: Callable[[datetime], None]
) -> None:
    """The campaign was approved after the night was planned and sent before its plans were."""
    _, assets = planned("ev_charger")
    line, over = HomePlanLine.objects.get(), needs.night_of(NIGHT)
    sent_at = HomePlan.objects.get().sent_at
    HomePlan.objects.update(sent_at=None)
    starts_at = datetime(2026, 1, 15, 1, tzinfo=UTC)
    campaign = make_dispatched(assets, starts_at=starts_at, ends_at=starts_at + timedelta(hours=2))
    assert making_room.make_room(campaign_id=campaign.pk, at=LATER) == 0
    HomePlan.objects.update(sent_at=sent_at)
    assert drawn_at(line, over) == [time(0, 30), time(1), time(1, 30)]
    it_is(LATER)

    for _ in range(2):
        tasks.plan_tonight()

        assert drawn_at(line, over) == [time(0, 30), time(3), time(3, 30)]
    assert AuditEntry.objects.filter(verb=making_room.MOVED).count() == 1


def test_a_turn_up_or_a_frozen_hour_moves_nothing(paper_vtn: PaperVtn) -> None:
    _, assets = planned("ev_charger")
    starts_at = datetime(2026, 1, 15, 1, tzinfo=UTC)
    ends_at = starts_at + timedelta(hours=1)
    up = make_dispatched(assets, starts_at=starts_at, ends_at=ends_at, direction="turn_up")
    assert making_room.make_room(campaign_id=up.pk, at=LATER) == 0
    down = make_dispatched(assets, starts_at=ends_at, ends_at=ends_at + timedelta(hours=1))
    line = HomePlanLine.objects.get()
    HomePlanLine.objects.update(power_w=[7_360] * len(line.power_w))
    freezing.freeze(at=LATER, by=None, reason="a test")
    with pytest.raises(freezing.Frozen):
        making_room.make_room(campaign_id=down.pk, at=LATER)


@pytest.mark.parametrize(("price_mp_per_kwh", "is_market"), [(30_000, True), (1_000, False)])
def test_of_tariff_and_market_the_better_one_has_the_asset_and_the_sums_are_kept(
    paper_vtn: PaperVtn, price_mp_per_kwh: int, is_market: bool
) -> None:
    _, assets = planned("ev_charger")
    starts_at = datetime(2026, 1, 15, 1, tzinfo=UTC)
    request = make_request(
        make_buyer(),
        zone_kind="everywhere",
        zone="",
        starts_at=starts_at,
        profile_w=(7_000, 7_000),
        price_mp_per_kwh=price_mp_per_kwh,
        deadline_at=starts_at - timedelta(hours=2),
    )

    power = np.full((1, 1), 7_000.0)
    more_mp = weighing._tariff_mp([request], [assets[0].pk], power, at=LATER)

    assert more_mp.tolist() == [[7_360]]
    choice = weighing.income.best_choice(
        [weighing.asked_of(request)], power, np.zeros(1), ask_mp=weighing.ASK_MP + more_mp
    )
    assert choice.serves.any() == is_market
    assert choice.total_mp == pytest.approx(max(0, 7 * price_mp_per_kwh - 1_000 - 7_360))


@pytest.mark.parametrize(
    ("hour", "power_w", "more_mp"),
    [
        (22, 7_000, 7_000 * 28.5 - 7_000 * 9),
        (22, 20_000, 20_000 * 28.5 - 11_040 * 9),  # more than the night needs: paid for in full
        (24.5, 7_360, 0),  # the plan draws it there anyway
        (24.5, 9_000, 0),  # a little sooner at the same price
        (28, 7_000, 7_000 * 10),  # the car is full by then
    ],
)
def test_what_a_turn_up_costs_beyond_the_plan_is_its_power_less_what_is_left_out_for_it(
    paper_vtn: PaperVtn, hour: float, power_w: int, more_mp: float
) -> None:
    _, assets = planned("ev_charger")
    starts_at = datetime(2026, 1, 14, tzinfo=UTC) + timedelta(hours=hour)
    interval = Interval(starts_at, starts_at + timedelta(hours=1))

    assert making_room.turned_up({assets[0].pk: float(power_w)}, interval, at=LATER) == {
        assets[0].pk: round(more_mp)
    }


def test_a_plan_that_was_not_sent_costs_a_turn_up_nothing(paper_vtn: PaperVtn) -> None:
    _, assets = planned("ev_charger")
    HomePlan.objects.update(sent_at=None)
    interval = Interval(LATER, LATER + timedelta(hours=1))

    assert making_room.turned_up({assets[0].pk: 7_000.0}, interval, at=LATER) == {}


@pytest.mark.parametrize(("price_mp_per_kwh", "is_market"), [(30_000, True), (15_000, False)])
def test_of_tariff_and_turn_up_the_better_one_has_the_asset(
    paper_vtn: PaperVtn, price_mp_per_kwh: int, is_market: bool
) -> None:
    _, assets = planned("ev_charger")
    starts_at = datetime(2026, 1, 14, 23, tzinfo=UTC)
    request = make_request(
        make_buyer(),
        zone_kind="everywhere",
        zone="",
        direction="turn_up",
        starts_at=starts_at,
        profile_w=(7_000, 7_000),
        price_mp_per_kwh=price_mp_per_kwh,
        deadline_at=starts_at - timedelta(hours=1),
    )

    power = np.full((1, 1), 7_000.0)
    more_mp = weighing._tariff_mp([request], [assets[0].pk], power, at=LATER)

    assert more_mp.tolist() == [[136_500]]
    choice = weighing.income.best_choice(
        [weighing.asked_of(request)], power, np.zeros(1), ask_mp=weighing.ASK_MP + more_mp
    )
    assert choice.serves.any() == is_market
