"""Cars behind an import cap: planned together under it, in full or as far as it goes, and others as ever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from assets import shadowing
from assets.models import Asset
from campaigns import home_plans, import_caps, making_room, needs, tariffs
from campaigns.least_cost.stepped import Ints
from campaigns.models import HomePlan, HomePlanLine, ServicingContract
from opendsr.kernel.interval import Interval
from tests.campaigns.servicing.operating import Operator, make_habits, make_operator
from tests.campaigns.staging import PaperVtn, make_ready_home
from tests.campaigns.test_home_plans import AT, NIGHT, on_economy_7
from tests.factories import HubKit, Resident

pytestmark = pytest.mark.django_db
MILL_LANE = "Mill Lane"
CHARGE_WH = 22_080


def make_street(count: int, *kinds: str, charge_wh: int = CHARGE_WH) -> list[tuple[Resident, HubKit]]:
    """Homes behind one substation on Economy 7, whose cars want three hours at full power each."""
    street = [make_ready_home(*kinds, primary_substation=MILL_LANE) for _ in range(count)]
    for resident, kit in street:
        on_economy_7(resident)
        shadowing.set_needs(asset_id=kit.assets[0].pk, needs={"charge_wh": charge_wh}, at=AT, by="test")
    return street


def cap_of(watts: int, **terms: Any) -> Operator:
    wanted = {"zone_kind": "substation", "zone": MILL_LANE, "import_cap_w": watts, **terms}
    return make_operator(**wanted)


def charging_w(lines: Sequence[HomePlanLine] | None = None) -> Ints:
    """W of all planned charging behind the substation [slot]."""
    cars = HomePlanLine.objects.filter(
        asset__kind="ev_charger", asset__hub__home__primary_substation=MILL_LANE, plan__night=NIGHT
    )
    total: Ints = np.sum([line.power_w for line in cars], axis=0)
    return total


def test_planned_charging_keeps_under_the_cap_and_every_need_is_met(paper_vtn: PaperVtn) -> None:
    make_street(6)
    home_plans.plan_night(night=NIGHT, at=AT)
    alone_w, alone_mp = charging_w(), sum(HomePlan.objects.values_list("cost_mp", flat=True))
    cap_of(24_000)

    report = home_plans.plan_night(night=NIGHT, at=AT)

    together_w = charging_w()
    assert alone_w.max() > 24_000 >= together_w.max()
    assert together_w.sum() == alone_w.sum()
    assert not any(HomePlanLine.objects.values_list("shortfall_wh", flat=True))
    assert report.cost_mp >= alone_mp
    for line in HomePlanLine.objects.select_related("plan"):
        rated_w = {0, *range(6 * 230, 32 * 230 + 1, 230)}
        assert set(line.power_w) <= rated_w
        assert line.plan.cost_mp == line.cost_mp
    home_plans.send_night(night=NIGHT, at=AT)
    assert len(paper_vtn.events) == 6


def test_what_homes_usually_take_comes_off_first(paper_vtn: PaperVtn) -> None:
    street = make_street(4)
    make_habits(*(resident for resident, _ in street), usual_w=2_000)
    cap_of(24_000)

    home_plans.plan_night(night=NIGHT, at=AT)

    assert 0 < charging_w().max() <= 24_000 - 4 * 2_000


def test_what_plans_give_other_assets_comes_off_first(paper_vtn: PaperVtn) -> None:
    make_street(4, "ev_charger", "storage_heater")
    cap_of(26_000)

    home_plans.plan_night(night=NIGHT, at=AT)

    heating_w = np.sum(
        [line.power_w for line in HomePlanLine.objects.filter(asset__kind="storage_heater")], axis=0
    )
    assert heating_w.max() > 0
    cars_w = charging_w()
    assert (cars_w <= np.maximum(0, 26_000 - heating_w)).all()


def test_a_cap_in_nobodys_way_changes_nobodys_plan(paper_vtn: PaperVtn) -> None:
    make_street(5)
    home_plans.plan_night(night=NIGHT, at=AT)
    alone = list(HomePlanLine.objects.order_by("asset").values_list("asset", "power_w", "cost_mp"))
    cap_of(5 * 7_360)

    home_plans.plan_night(night=NIGHT, at=AT)

    assert alone == list(HomePlanLine.objects.order_by("asset").values_list("asset", "power_w", "cost_mp"))


@pytest.mark.parametrize(
    "terms", [{"is_sandbox": True}, {"import_cap_w": None}, {"zone": "Elsewhere"}], ids=str
)
def test_homes_elsewhere_and_sandboxes_are_planned_as_ever(
    paper_vtn: PaperVtn, terms: dict[str, Any]
) -> None:
    make_street(3)
    home_plans.plan_night(night=NIGHT, at=AT)
    alone_w = charging_w()
    cap_of(7_000, **terms)

    home_plans.plan_night(night=NIGHT, at=AT)

    assert (charging_w() == alone_w).all()


def test_a_cap_too_low_is_kept_and_what_is_missing_is_on_record(paper_vtn: PaperVtn) -> None:
    make_street(4)
    cap_of(3_000)

    home_plans.plan_night(night=NIGHT, at=AT)

    assert 0 < charging_w().max() <= 3_000
    missing_wh = sum(HomePlanLine.objects.values_list("shortfall_wh", flat=True))
    assert missing_wh == 4 * CHARGE_WH - charging_w().sum() // 2
    (told,) = import_caps.told(needs.night_of(NIGHT))
    assert (told.cars, told.missing_wh, told.highest_w) == (4, missing_wh, charging_w().max())
    assert 1 <= told.homes_missing <= 4


def test_a_home_behind_two_caps_keeps_under_both(paper_vtn: PaperVtn) -> None:
    street = make_street(4)
    outside, kit = make_ready_home(cmz="Calder")
    on_economy_7(outside)
    shadowing.set_needs(asset_id=kit.assets[0].pk, needs={"charge_wh": CHARGE_WH}, at=AT, by="test")
    for resident, _ in street:
        resident.home.cmz = "Calder"
        resident.home.save(update_fields=["cmz"])
    cap_of(16_000)
    make_operator(import_cap_w=18_000)

    home_plans.plan_night(night=NIGHT, at=AT)

    every = np.sum([line.power_w for line in HomePlanLine.objects.all()], axis=0)
    assert charging_w().max() <= 16_000
    assert every.max() <= 18_000
    assert not any(HomePlanLine.objects.values_list("shortfall_wh", flat=True))


def test_plans_that_were_sent_stand_and_count(paper_vtn: PaperVtn) -> None:
    make_street(2)
    cap_of(16_000)
    home_plans.plan_night(night=NIGHT, at=AT)
    home_plans.send_night(night=NIGHT, at=AT)
    sent = dict(HomePlanLine.objects.values_list("pk", "power_w"))
    make_street(2)

    home_plans.plan_night(night=NIGHT, at=AT)

    assert all(HomePlanLine.objects.get(pk=key).power_w == power_w for key, power_w in sent.items())
    assert HomePlanLine.objects.count() == 4
    assert charging_w().max() <= 16_000


def test_under_a_demand_charge_the_cap_is_kept_too_and_the_charge_is_true(paper_vtn: PaperVtn) -> None:
    make_street(4, charge_wh=11_040)
    tariffs.set_demand_charge(code="e7", pence_per_kw=10, at=AT, by="test")
    home_plans.plan_night(night=NIGHT, at=AT)
    alone_w = charging_w()
    cap_of(int(alone_w.max()) * 2 // 3)

    home_plans.plan_night(night=NIGHT, at=AT)

    assert charging_w().max() <= int(alone_w.max()) * 2 // 3
    for line in HomePlanLine.objects.select_related("plan"):
        assert line.plan.peak_w == max(line.power_w)
        assert line.plan.demand_cost_mp == line.plan.peak_w * 10
        assert line.plan.cost_mp == line.cost_mp + line.plan.demand_cost_mp
        assert not line.shortfall_wh


def test_a_contract_that_ends_in_the_night_caps_no_half_hour_after_it(paper_vtn: PaperVtn) -> None:
    make_street(3)
    cap_of(7_360)
    over = needs.night_of(NIGHT)
    operator = cap_of(0, zone_kind="cmz", zone="Nowhere")
    contract = import_caps.zones(over)[-1].contract
    ends_at = over.starts[30]
    contract.ends_at = ends_at
    contract.save(update_fields=["ends_at"])

    home_plans.plan_night(night=NIGHT, at=AT)

    assert operator.contract.zone == "Nowhere"
    total_w = charging_w()
    assert (total_w[:30] <= 7_360).all()
    assert Asset.objects.count() == 3
    assert ends_at < over.interval.ends_at - timedelta(hours=4)


def test_plans_that_make_room_for_a_campaign_keep_under_the_cap_too(paper_vtn: PaperVtn) -> None:
    street = make_street(6, "ev_charger", "storage_heater")
    cap_of(40_000)
    home_plans.plan_night(night=NIGHT, at=AT)
    home_plans.send_night(night=NIGHT, at=AT)
    over = needs.night_of(NIGHT)
    first = int(np.nonzero(charging_w())[0][0])
    interval = Interval(over.starts[first], over.starts[first + 4])

    def highest_w(moved: Sequence[making_room.Moved]) -> int:
        anew = {each.line.pk: each.power_w for each in moved}
        rows = HomePlanLine.objects.filter(plan__night=NIGHT)
        return int(np.sum([anew.get(line.pk, np.array(line.power_w)) for line in rows], axis=0).max())

    lines = making_room.lines_in([asset.pk for _, kit in street for asset in kit.assets], interval, at=AT)
    capped = making_room.around(lines, interval, at=AT)
    ServicingContract.objects.update(import_cap_w=None)
    free = making_room.around(lines, interval, at=AT)

    assert highest_w(free) > 40_000 >= highest_w(capped)
    assert {each.line.pk for each in capped} == {each.line.pk for each in free}
    assert not any(each.shortfall_wh for each in capped)
    for each in capped:
        assert not each.power_w[first : first + 4].any()
        price, _ = tariffs.prices_of(each.line.plan.tariff, over.starts)
        assert each.cost_mp == home_plans.cost_of(each.power_w, price)
