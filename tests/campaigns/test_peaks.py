"""A tariff with a demand charge: what is planned beside the rest of the home, sent, and told."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import shadowing
from campaigns import home_plans, needs, peaks, tariffs
from campaigns.least_cost import capped, tank
from campaigns.models import HomeHabit, HomePlan, HomePlanLine, Tariff
from metering.ingest import store_readings
from tests.campaigns.staging import PaperVtn, make_ready_home
from tests.campaigns.test_home_plans import AT, E7, NIGHT
from tests.factories import HubKit, Resident
from vtn.models import Event

EACH_WH = 11_040


def _charged_home(*kinds: str, pence: int = 650, through_vtn: bool = False) -> tuple[Resident, HubKit]:
    resident, kit = make_ready_home(*kinds, through_vtn=through_vtn)
    tariffs.set_bands(code="e7", name="Economy 7", bands=E7, at=AT, by="test", demand_pence_per_kw=pence)
    tariffs.put_on(occupancy=resident.occupancy, code="e7", at=AT - timedelta(days=1), by="test")
    for asset in kit.assets:
        if asset.kind_id == "ev_charger":
            told = {"ready_by": "06:30", "charge_wh": EACH_WH}
            shadowing.set_needs(asset_id=asset.pk, needs=told, at=AT, by="test")
    return resident, kit


def _metered(resident: Resident, wh: int, *, starts_at: datetime) -> None:
    store_readings(
        source="opendsr_csv",
        name=f"peak {wh}",
        at=AT,
        stream_ids=[resident.stream_id],
        starts_at=[starts_at],
        import_wh=np.array([[wh]]),
    )


@pytest.mark.django_db
def test_the_charge_spreads_what_would_run_at_full_power_and_counts_in_the_saving(
    paper_vtn: PaperVtn,
) -> None:
    _charged_home()

    home_plans.plan_night(night=NIGHT, at=AT)

    plan = HomePlan.objects.get()
    line = plan.lines.get()
    # At the least power a car takes, four half-hours are dear ones: 54 p against 2.99 for the next amperes.
    assert [sum(watts > 0 for watts in line.power_w), sum(line.power_w) // 2] == [16, EACH_WH]
    assert plan.peak_w == max(line.power_w) == 1_380
    assert plan.peak_so_far_w == 0
    assert plan.demand_cost_mp == 1_380 * 650
    assert plan.unplanned_demand_cost_mp == 7_360 * 650
    assert plan.cost_mp == line.cost_mp + plan.demand_cost_mp
    assert plan.unplanned_cost_mp == line.unplanned_cost_mp + plan.unplanned_demand_cost_mp


@pytest.mark.django_db
def test_a_peak_that_is_paid_for_already_is_used(paper_vtn: PaperVtn) -> None:
    resident, _ = _charged_home()
    _metered(resident, 4_000, starts_at=AT - timedelta(days=5, minutes=20))
    # Last month's does not count.
    _metered(resident, 9_000, starts_at=AT - timedelta(days=25, minutes=20))

    home_plans.plan_night(night=NIGHT, at=AT)

    plan = HomePlan.objects.get()
    assert plan.peak_so_far_w == 8_000
    assert plan.peak_w == max(plan.lines.get().power_w) == 7_360
    assert (plan.demand_cost_mp, plan.unplanned_demand_cost_mp) == (0, 0)


@pytest.mark.django_db
def test_a_peak_that_a_night_without_a_plan_would_have_set_is_saved_once_a_month(
    paper_vtn: PaperVtn,
) -> None:
    _charged_home()
    day = timedelta(days=1)
    for night in (NIGHT, NIGHT + day):
        home_plans.plan_night(night=night, at=AT + (night - NIGHT))

    first, second = HomePlan.objects.order_by("night")

    assert (first.unplanned_peak_w, second.unplanned_peak_w) == (7_360, 7_360)
    assert (first.unplanned_demand_cost_mp, second.unplanned_demand_cost_mp) == (7_360 * 650, 0)


@pytest.mark.django_db
def test_what_the_home_draws_besides_and_its_other_assets_count(paper_vtn: PaperVtn) -> None:
    resident, _ = _charged_home("ev_charger", "immersion_heater", "storage_heater")
    usual = [400] * 48
    usual[4:8] = [5_000] * 4
    HomeHabit.objects.create(
        occupancy=resident.occupancy, working_day_w=usual, other_day_w=usual, worked_out_at=AT
    )

    home_plans.plan_night(night=NIGHT, at=AT)

    plan = HomePlan.objects.get()
    over = needs.night_of(NIGHT)
    slot = [2 * each.hour + each.minute // 30 for each in over.local]
    together = np.array(usual)[slot] // 2 * 2 + sum(np.array(line.power_w) for line in plan.lines.all())
    assert plan.peak_w == together.max()
    assert all(line.shortfall_wh == 0 for line in plan.lines.all())
    assert plan.unplanned_cost_mp > plan.cost_mp


@pytest.mark.django_db
def test_the_event_carries_the_charge_and_the_real_vtn_takes_it() -> None:
    _charged_home(through_vtn=True)
    home_plans.plan_night(night=NIGHT, at=AT)

    assert home_plans.send_night(night=NIGHT, at=AT).homes == 1

    assert HomePlanLine.objects.get().vtn_event_id
    assert Event.objects.exists()


@pytest.mark.django_db
def test_the_signal_is_pounds_a_kw_for_all_of_the_event_and_only_where_there_is_one(
    paper_vtn: PaperVtn,
) -> None:
    _charged_home()
    home_plans.plan_night(night=NIGHT, at=AT)
    home_plans.send_night(night=NIGHT, at=AT)

    (event,) = paper_vtn.events.values()
    charge = event.notice.signals[2]
    assert (charge.name, charge.type, charge.unit) == ("DEMAND_CHARGE", "price", "gbp_per_kw")
    assert [each.value for each in charge.intervals] == [6.5]
    assert charge.intervals[0].duration_seconds == event.notice.interval.duration.total_seconds()


@pytest.mark.django_db
def test_a_file_and_a_hand_carry_the_charge_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    def file(*rows: str) -> Path:
        made = tmp_path / "prices.csv"
        header = "period_from_local,import_p_per_kwh,export_p_per_kwh,demand_charge_gbp_per_kw"
        made.write_text("\n".join((header, *rows)))
        return made

    good = file(
        "14/01/2026 00:00,12.5,,6.50",
        "14/01/2026 00:30,13.5,,6.50",
    )
    told = tariffs.from_file(code="file", name="File", file=good, at=AT, by="test")
    assert (told.stored, Tariff.objects.get(pk="file").demand_pence_per_kw) == (2, 650)
    out = StringIO()
    call_command("tariff", "demand", "file", "4.20", stdout=out)
    assert Tariff.objects.get(pk="file").demand_pence_per_kw == 420
    call_command("tariff", "bands", "e7", "Economy 7", "00:00=9.5", stdout=out)
    call_command("tariff", "demand", "e7", "3", stdout=out)
    call_command("tariff", "bands", "e7", "Economy 7", "00:00=8.5", stdout=out)
    assert Tariff.objects.get(pk="e7").demand_pence_per_kw == 300
    for wrong in ("-1", "nonsense", "0.001", "1e9", "NaN", "9e999999", "1e-999999"):
        with pytest.raises(CommandError, match="demand_charge_gbp_per_kw"):
            call_command("tariff", "demand", "e7", wrong)
    with pytest.raises(CommandError):
        call_command("tariff", "demand", "nobodys", "3")
    two = file(
        "14/01/2026 00:00,12.5,,6.50",
        "14/01/2026 00:30,13.5,,7.00",
    )
    with pytest.raises(tariffs.BadTariff) as caught:
        tariffs.from_file(code="two", name="Two", file=two, at=AT, by="test")
    assert caught.value.given == "6.50, 7.00"
    assert not Tariff.objects.filter(pk="two").exists()


@given(
    used=st.lists(st.integers(0, 5_000), min_size=6, max_size=6),
    first=st.integers(0, 4_000),
    second=st.integers(0, 4_000),
)
def test_each_month_pays_for_what_goes_above_its_own_peak(used: list[int], first: int, second: int) -> None:
    homes = peaks.Homes(np.zeros((1, 6), np.int64), np.array([[first] * 4 + [second] * 2]))

    above = homes.above_wh(np.array([used]))

    apart = max(0, max(used[:4]) - first) + max(0, max(used[4:]) - second)
    together = max(0, max(used) - first)
    assert above.tolist() == [together if first == second else apart]
    shifted = homes.shifted(np.array([used]))
    assert max(0, int(shifted.max()) - int(homes.floor_wh[0])) == max(
        0, max(used[:4]) - first, max(used[4:]) - second
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), pence=st.sampled_from([0, 50, 650, 5_000]))
def test_a_tank_under_a_charge_is_as_warm_and_costs_no_more(seed: int, pence: int) -> None:
    random = np.random.default_rng(seed)
    over = needs.night_of(date(2026, 1, 14))
    things = [
        needs.Thing("immersion_heater", 3_000, int(random.integers(2_000, 9_000)), {}) for _ in range(3)
    ]
    tanks = needs.tanks(things, over, np.ones((3, len(over.starts)), np.bool_))
    price = random.integers(-30_000, 400_000, len(over.starts))
    used = random.integers(0, 2_500, (3, len(over.starts)))
    homes = peaks.Homes(used, np.broadcast_to(random.integers(0, 3_000, (3, 1)), used.shape))

    free = tank.least_cost_heat(price, tanks)
    plans = peaks.plan_heat(price, tanks, homes, used, pence_per_kw=pence)

    charge = capped.demand_price(pence)
    assert (plans.missing_wh <= free.missing_wh).all()
    total = plans.cost + homes.above_wh(used + plans.taken_wh) * charge
    assert (total <= free.cost + homes.above_wh(used + free.taken_wh) * charge).all()
    if not pence:
        assert (plans.cost == free.cost).all()
