"""From a tariff to the event at the hub: what is planned, who gets it, and what stops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from django.core.management import call_command

from assets import shadowing
from assets.models import Asset, AssetKind
from assets.registry_models import RelayCount
from campaigns import home_plans, needs, sending, tariffs, tasks
from campaigns.least_cost.stepped import PENCE
from campaigns.models import HomePlan, HomePlanLine, HomeTariff, Participation, Programme, Tariff
from campaigns.octopus import Client
from hems.book import Book
from members import caring, consenting, opting_out
from members.care import Need
from members.models import Consent, Purpose
from oadr import messages
from oadr.messages import ActivePeriod, DistributeEvent, Event
from opendsr.kernel import outbox
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import day_interval
from tests.campaigns.staging import PaperVtn, make_approved, make_ready_home
from tests.factories import Resident

pytestmark = pytest.mark.django_db

NIGHT = date(2026, 1, 14)
AT = datetime(2026, 1, 14, 16, 20, tzinfo=UTC)
E7 = {time(0): Decimal("28.5"), time(0, 30): Decimal("9.1234"), time(7, 30): Decimal("28.5")}


def on_economy_7(resident: Resident) -> HomeTariff:
    tariffs.set_bands(code="e7", name="Economy 7", bands=E7, at=AT, by="test")
    return tariffs.put_on(occupancy=resident.occupancy, code="e7", at=AT - timedelta(days=1), by="test")


def followed(price_of: dict[int, str], *, day: date = NIGHT) -> Tariff:
    """A half-hourly tariff known to 23:00 of the next day; `price_of` by UTC hour of the next day."""
    tariff = tariffs.follow(code="agile", name="Agile", product_code="AGILE", at=AT, by="test")
    over = Interval(
        day_interval(day).starts_at, day_interval(day + timedelta(days=1)).ends_at - 2 * HALF_HOUR
    )
    rates = {start: Decimal(price_of.get(start.hour, "30")) for start in over.half_hours()}
    assert tariffs.store_rates(tariff=tariff, rates=rates, at=AT) == len(rates)
    assert tariffs.store_rates(tariff=tariff, rates=rates, at=AT) == 0
    return tariff


class Answering:
    """An Octopus that has these rates, by UTC half-hour, over HTTP."""

    def __init__(self, rates: dict[datetime, str]) -> None:
        rows = [
            {
                "value_inc_vat": float(price),
                "valid_from": f"{start:%Y-%m-%dT%H:%MZ}",
                "valid_to": f"{start + HALF_HOUR:%Y-%m-%dT%H:%MZ}",
            }
            for start, price in rates.items()
        ]

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"next": None, "results": rows}).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the terminal."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)

    def __enter__(self) -> str:
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/v1/"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_car_is_charged_in_the_cheap_hours_and_saves_against_plugging_in(
    paper_vtn: PaperVtn,
) -> None:
    resident, kit = make_ready_home()
    on_economy_7(resident)
    shadowing.set_needs(
        asset_id=kit.assets[0].pk, needs={"ready_by": "06:30", "charge_wh": 11_040}, at=AT, by="test"
    )

    report = home_plans.plan_night(night=NIGHT, at=AT)

    plan = HomePlan.objects.get()
    line = plan.lines.get()
    over = needs.night_of(NIGHT)
    on = [over.local[n].time() for n, watts in enumerate(line.power_w) if watts]
    assert (min(on), max(on), len(on)) == (time(0, 30), time(1, 30), 3)
    assert set(line.power_w) == {0, 7_360}
    assert plan.cost_mp == round(11.04 * 9.1234 * 1000)
    assert plan.unplanned_cost_mp == round(11.04 * 28.5 * 1000)
    assert (report.homes, report.cost_mp) == (1, plan.cost_mp)


def test_a_car_on_three_phases_has_a_plan_in_steps_of_three(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger_3ph", "ev_charger")
    on_economy_7(resident)
    big, small = kit.assets
    wanted = {"ready_by": "06:30", "charge_wh": 13_800}
    shadowing.set_needs(asset_id=big.pk, needs=wanted, at=AT, by="test")
    Asset.objects.filter(pk=big.pk).update(rated_w=6_900)  # ten amps a phase

    home_plans.plan_night(night=NIGHT, at=AT)

    told = {line.asset_id: line.power_w for line in HomePlanLine.objects.all()}
    assert set(told) == {big.pk, small.pk}
    assert set(told[big.pk]) == {0, 6_900}
    assert sum(told[big.pk]) == 2 * 13_800
    over = needs.night_of(NIGHT)
    on = [over.local[n].time() for n, watts in enumerate(told[big.pk]) if watts]
    assert (min(on), max(on)) == (time(0, 30), time(2))


def test_a_need_in_miles_and_hot_water_by_the_hour(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    on_economy_7(resident)
    car, heater = kit.assets
    shadowing.set_needs(asset_id=car.pk, needs={"ready_by": "06:30", "charge_miles": 40}, at=AT, by="test")
    shadowing.set_needs(asset_id=heater.pk, needs={"hot_by": "05:30 22:00"}, at=AT, by="test")
    over = needs.night_of(NIGHT)

    home_plans.plan_night(night=NIGHT, at=AT)

    line = HomePlanLine.objects.get(asset=car)
    assert sum(line.power_w) // 2 >= 10_000
    assert sum(line.power_w) // 2 < 10_000 + 115
    heater.refresh_from_db()
    thing = needs.Thing("immersion_heater", heater.rated_w, 6_000, heater.needs)
    tanks = needs.tanks([thing], over, np.ones((1, 48), np.bool_))
    assert [over.local[n].time() for n in np.nonzero(tanks.draw_wh[0])[0]] == [time(22), time(5, 30)]
    assert tanks.draw_wh[0].sum() == 6_000
    assert not HomePlanLine.objects.get(asset=heater).shortfall_wh
    document = shadowing.desired_documents([kit.hub])[kit.hub.pk]
    told = {each["resource_id"]: each["needs"] for each in document["assets"]}
    assert told == {
        car.resource_id: {"ready_by": "06:30", "charge_wh": 10_000},
        heater.resource_id: {},
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"charge_miles": 40, "charge_wh": 1},
        {"charge_miles": -1},
        {"charge_miles": "far"},
        {"charge_miles": 900},
        {"hot_by": "noon"},
        {"hot_by": ""},
        {"hot_by": "06:30+01:00"},
        {"hot_by": "06:30 19:00Z"},
        {"hot_by": "01:00 02:00 03:00 04:00 05:00"},
    ],
)
def test_a_need_that_no_plan_can_read_is_refused(wrong: dict[str, object]) -> None:
    _, kit = make_ready_home()

    with pytest.raises(shadowing.UnknownNeed):
        shadowing.set_needs(asset_id=kit.assets[0].pk, needs=wrong, at=AT, by="test")


def test_a_plan_charges_a_storage_heater_for_the_comfort_asked_for(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("storage_heater")
    on_economy_7(resident)
    planned = {}
    for wanted_c in (17, 19, 21):
        shadowing.set_needs(asset_id=kit.assets[0].pk, needs={"wanted_c": wanted_c}, at=AT, by="test")
        home_plans.plan_night(night=NIGHT, at=AT)
        planned[wanted_c] = sum(HomePlanLine.objects.get().power_w) // 2

    assert planned[17] < planned[19] < planned[21]
    assert planned[21] <= 17_500


def test_one_event_an_asset_with_the_price_and_the_power_and_none_twice(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater", "storage_heater")
    on_economy_7(resident)
    home_plans.plan_night(night=NIGHT, at=AT)

    sent = home_plans.send_night(night=NIGHT, at=AT)
    again = home_plans.send_night(night=NIGHT, at=AT)

    assert (sent.homes, again.homes) == (1, 0)
    assert len(paper_vtn.events) == 3
    by_resource = {event.notice.resource_ids[0]: event.notice for event in paper_vtn.events.values()}
    assert set(by_resource) == {asset.resource_id for asset in kit.assets}
    car = by_resource[kit.assets[0].resource_id]
    assert car.interval == Interval(
        datetime(2026, 1, 14, 16, 30, tzinfo=UTC), datetime(2026, 1, 15, 12, tzinfo=UTC)
    )
    price, power = car.signals
    assert (price.name, price.unit, power.name, power.type) == (
        "ELECTRICITY_PRICE",
        "gbp_per_kwh",
        "LOAD_DISPATCH",
        "setpoint",
    )
    for signal in car.signals:
        assert (
            sum(each.duration_seconds for each in signal.intervals) == car.interval.duration.total_seconds()
        )
    assert {each.value for each in price.intervals} == {0.285, 0.091234}
    assert {notice.market_context.rpartition("/")[2] for notice in by_resource.values()} == set(
        Programme.objects.values_list("code", flat=True)
    )
    kept = HomePlan.objects.get().pk
    home_plans.plan_night(night=NIGHT, at=AT)
    assert HomePlan.objects.get().pk == kept


def test_a_relay_is_told_all_its_power_or_none(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("immersion_heater", "storage_heater")
    on_economy_7(resident)
    Asset.objects.filter(pk=kit.assets[0].pk).update(rated_w=2_710)
    Asset.objects.filter(pk=kit.assets[1].pk).update(rated_w=2_501)
    home_plans.plan_night(night=NIGHT, at=AT)

    home_plans.send_night(night=NIGHT, at=AT)

    for event in paper_vtn.events.values():
        asset = Asset.objects.get(resource_id=event.notice.resource_ids[0])
        power = next(each for each in event.notice.signals if each.name == "LOAD_DISPATCH")
        assert {each.value for each in power.intervals} == {0.0, float(asset.rated_w)}


def test_a_plan_is_spread_as_its_programme_says_and_gives_way_to_campaigns(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    on_economy_7(resident)
    home_plans.plan_night(night=NIGHT, at=AT)

    home_plans.send_night(night=NIGHT, at=AT)

    (event,) = paper_vtn.events.values()
    assert (event.notice.start_tolerance_seconds, event.notice.priority) == (600, 0)
    campaign = make_approved(kit.assets)
    for use_case, priority in (("market", 2), ("load_control", 1), ("tariff", 0)):
        campaign.programme.use_case = use_case
        told = sending.notice_for(campaign, ven_id="V", expected_w=1, least_pct=0, resource_ids=())
        assert told.priority == priority


def test_the_hub_follows_the_plan_for_as_long_as_it_plans(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    on_economy_7(resident)
    home_plans.plan_night(night=NIGHT, at=AT)
    home_plans.send_night(night=NIGHT, at=AT)
    (sent,) = paper_vtn.events.values()
    line = HomePlanLine.objects.get()
    told = Event(
        event_id="E1",
        modification_number=0,
        market_context=sent.notice.market_context,
        created_at=AT,
        status="far",
        active_period=ActivePeriod(
            sent.notice.interval.starts_at, int(sent.notice.interval.duration.total_seconds()), 0
        ),
        signals=tuple(
            messages.Signal(
                each.name,
                each.type,
                f"s{number}",
                tuple(
                    messages.SignalInterval(part.duration_seconds, part.value, str(n))
                    for n, part in enumerate(each.intervals)
                ),
                unit=messages.Unit("powerReal", scale="none") if each.unit == "w" else None,
            )
            for number, each in enumerate(sent.notice.signals)
        ),
        is_response_required=True,
    )

    book, _ = Book("hub").take(DistributeEvent("q", "VTN", (told,)), at=AT, ven_id="VEN", assets=kit.assets)

    over = needs.night_of(NIGHT)
    orders = book.orders(kit.assets)
    for start, watts in zip(over.starts, line.power_w, strict=True):
        if start >= sent.notice.interval.starts_at:
            (order,) = (each for each in orders if each.starts_at <= start < each.ends_at)
            assert (order.direction, order.limit_w) == ("down", watts)


def test_the_real_vtn_takes_the_event() -> None:
    resident, _ = make_ready_home(through_vtn=True)
    on_economy_7(resident)
    home_plans.plan_night(night=NIGHT, at=AT)

    assert home_plans.send_night(night=NIGHT, at=AT).homes == 1

    assert HomePlanLine.objects.get().vtn_event_id


def test_without_consent_or_certificate_nothing_leaves(paper_vtn: PaperVtn) -> None:
    resident, _ = make_ready_home()
    on_economy_7(resident)
    home_plans.plan_night(night=NIGHT, at=AT)
    consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY)
    consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=AT)
    other, kit = make_ready_home()
    on_economy_7(other)
    home_plans.plan_night(night=NIGHT, at=AT)
    paper_vtn.untrusted.add(kit.hub.ven_id)

    report = home_plans.send_night(night=NIGHT, at=AT)

    assert dict(report.left_out) == {"no_consent": 1, "certificate": 1}
    assert not paper_vtn.events


def test_a_car_that_the_household_needs_is_never_held_back(paper_vtn: PaperVtn) -> None:
    resident, _ = make_ready_home()
    on_economy_7(resident)
    caring.tell_needs(household=resident.household, needs=[Need.CAR], at=AT, by="member:1")
    home_plans.plan_night(night=NIGHT, at=AT)

    report = home_plans.send_night(night=NIGHT, at=AT)

    assert dict(report.left_out) == {"own_limits": 1}
    assert not paper_vtn.events


@pytest.mark.parametrize("said", ["consent", "holiday", "hub"])
def test_a_no_stops_what_was_sent(paper_vtn: PaperVtn, it_is: Callable[[datetime], None], said: str) -> None:
    resident, _ = make_ready_home()
    on_economy_7(resident)
    home_plans.plan_night(night=NIGHT, at=AT)
    home_plans.send_night(night=NIGHT, at=AT)
    later = AT + timedelta(hours=2)
    it_is(later)

    if said == "consent":
        consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY)
        consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=later)
        outbox.drain()
    elif said == "holiday":
        opting_out.start_standing_opt_out(
            occupancy=resident.occupancy, at=later, starts_at=later, ends_at=later + timedelta(days=3)
        )
        outbox.drain()
    else:
        event_id = HomePlanLine.objects.get().vtn_event_id
        assert home_plans.receive_opt(event_id=event_id, opt="out", at=later) == 1

    assert HomePlanLine.objects.get().stopped_at is not None
    assert next(iter(paper_vtn.events.values())).is_cancelled is (said != "hub")


def test_half_hours_that_a_campaign_holds_are_left_to_it(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    on_economy_7(resident)
    starts_at = datetime(2026, 1, 15, 0, 30, tzinfo=UTC)
    make_approved(kit.assets, starts_at=starts_at, ends_at=starts_at + timedelta(hours=2))
    assert Participation.objects.count() == 1

    home_plans.plan_night(night=NIGHT, at=AT)

    over, line = needs.night_of(NIGHT), HomePlanLine.objects.get()
    held = [n for n, start in enumerate(over.starts) if starts_at <= start < starts_at + timedelta(hours=2)]
    assert not any(line.power_w[n] for n in held)
    assert sum(line.power_w) // 2 >= 10_000


def test_prices_below_zero_are_paid_for_charging(paper_vtn: PaperVtn) -> None:
    resident, _ = make_ready_home()
    tariff = followed({3: "-10"})
    tariffs.put_on(occupancy=resident.occupancy, code=tariff.code, at=AT - timedelta(days=1), by="test")

    home_plans.plan_night(night=NIGHT, at=AT)

    assert HomePlan.objects.get().cost_mp < 0 or HomePlan.objects.get().saved_mp > 250_000


def test_a_night_without_prices_is_no_plan(paper_vtn: PaperVtn) -> None:
    resident, _ = make_ready_home()
    tariff = tariffs.follow(code="agile", name="Agile", product_code="AGILE", at=AT, by="test")
    tariffs.put_on(occupancy=resident.occupancy, code=tariff.code, at=AT - timedelta(days=1), by="test")

    with pytest.raises(home_plans.PricesUnknown):
        home_plans.plan_night(night=NIGHT, at=AT)

    assert not HomePlan.objects.exists()


def test_a_household_is_on_one_tariff_at_a_time(paper_vtn: PaperVtn) -> None:
    resident, _ = make_ready_home()
    on_economy_7(resident)
    tariffs.set_bands(code="flat", name="Flat", bands={time(0): Decimal(25)}, at=AT, by="test")

    tariffs.put_on(occupancy=resident.occupancy, code="flat", at=AT, by="test")
    tariffs.put_on(occupancy=resident.occupancy, code="flat", at=AT + HALF_HOUR, by="test")

    assert list(HomeTariff.objects.order_by("starts_at").values_list("tariff_id", "ends_at")) == [
        ("e7", AT),
        ("flat", None),
    ]
    with pytest.raises(tariffs.TariffNotFound):
        tariffs.put_on(occupancy=resident.occupancy, code="none", at=AT, by="test")
    for bands in (
        {time(1): Decimal(9)},
        {time(0): Decimal("NaN")},
        {time(0): Decimal(1), time(1, 10): Decimal(2)},
    ):
        with pytest.raises(tariffs.BadTariff):
            tariffs.set_bands(code="bad", name="Bad", bands=bands, at=AT, by="test")


@pytest.mark.parametrize(("day", "slots"), [(date(2026, 3, 28), 46), (NIGHT, 48), (date(2026, 10, 24), 50)])
def test_a_night_has_all_its_half_hours_once(day: date, slots: int) -> None:
    over = needs.night_of(day)

    assert len(over.starts) == slots
    assert (over.local[0].time(), over.local[-1].time()) == (time(12), time(11, 30))
    thing = needs.Thing(
        "immersion_heater", 3_000, 7_500, {"weekly_cycle": f"{(day + timedelta(1)):%A} 01:00"}
    )
    tanks = needs.tanks([thing], over, np.ones((1, slots), np.bool_))
    when = int(tanks.sterile_by[0])
    assert over.local[when].time() == (time(2) if slots == 46 else time(1))
    car = needs.cars([needs.Thing("ev_charger", 22_080, 10_000, {})], over, np.ones((1, slots), np.bool_))
    assert (int(car.step_wh[0]), int(car.most[0])) == (345, 32)
    assert int(car.is_available.sum()) == 26 + slots - 48


@pytest.mark.parametrize(
    ("clock", "known", "asked", "may"),
    [
        ("16:05", "23:00", None, True),
        ("16:05", "23:00", "16:00", False),
        ("16:15", "23:00", "16:00", True),
        ("16:15", "tomorrow", "16:00", False),
        ("15:00", "23:00", None, False),
        ("12:00", None, "11:30", False),
        ("12:00", None, None, True),
        ("20:30", "23:00", "19:55", False),
        ("20:55", "23:00", "19:55", True),
        ("23:30", "23:00", "22:35", False),
        ("03:00", None, "02:00", True),
    ],
)
def test_octopus_is_asked_when_prices_come_out_and_not_more(
    clock: str, known: str | None, asked: str | None, may: bool
) -> None:
    def at(told: str) -> datetime:
        return datetime.combine(NIGHT, time.fromisoformat(told), UTC)

    known_until = at("23:00") + timedelta(days=1) if known == "tomorrow" else at(known) if known else None

    assert (
        tariffs.is_time_to_ask(known_until=known_until, asked_at=at(asked) if asked else None, at=at(clock))
        is may
    )


def test_a_half_hour_that_is_missing_in_between_is_asked_for_again(paper_vtn: PaperVtn) -> None:
    tariff = followed({})
    assert tariffs.fetch_due(client=Client("http://127.0.0.1:9/v1/"), at=AT) == tariffs.Fetched({}, {})
    gap = datetime(2026, 1, 15, 2, tzinfo=UTC)
    rows = tariff.rates.filter(starts_at=gap)
    assert rows.delete()[0] == 1

    with Answering({gap: "-3.5"}) as url:
        found = tariffs.fetch_due(client=Client(url), at=AT)

    assert (found.stored, found.problems) == ({"agile": 1}, {})
    assert rows.get().pence_per_kwh == Decimal("-3.5")


@pytest.mark.parametrize(("hour", "nights"), [(1, 1), (10, 1), (13, 0)])
def test_what_comes_late_is_planned_as_long_as_the_night_lasts(
    paper_vtn: PaperVtn, it_is: Callable[[datetime], None], hour: int, nights: int
) -> None:
    resident, _ = make_ready_home("immersion_heater")
    tariff = followed({})
    tariffs.put_on(occupancy=resident.occupancy, code=tariff.code, at=AT - timedelta(days=1), by="test")
    at = datetime(2026, 1, 15, hour, 40, tzinfo=UTC)
    it_is(at)

    tasks.plan_tonight()

    plans = HomePlan.objects.filter(night=NIGHT)
    assert plans.count() == nights
    if nights:
        assert plans.get().sent_at == at
        (event,) = paper_vtn.events.values()
        assert event.notice.interval.starts_at == at + timedelta(minutes=20)


def test_the_last_minutes_of_a_night_send_nothing(paper_vtn: PaperVtn) -> None:
    resident, _ = make_ready_home()
    on_economy_7(resident)
    home_plans.plan_night(night=NIGHT, at=AT)

    assert home_plans.send_night(night=NIGHT, at=datetime(2026, 1, 15, 11, 45, tzinfo=UTC)).homes == 0


def test_a_relay_is_switched_less_the_more_it_was_switched(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("storage_heater")
    # Cheap by turns: each hour saves 3 p of a half-hour's 1.25 kWh against the half-hour beside it.
    tariff = followed(dict.fromkeys(range(0, 8), "12"))
    for rate in tariff.rates.filter(starts_at__minute=30):
        tariff.rates.filter(starts_at=rate.starts_at).update(pence_per_kwh=rate.pence_per_kwh + 3)
    tariffs.put_on(occupancy=resident.occupancy, code=tariff.code, at=AT - timedelta(days=1), by="test")
    asset = kit.assets[0]
    Asset.objects.filter(pk=asset.pk).update(installed_at=AT - timedelta(days=365))

    def starts() -> int:
        home_plans.plan_night(night=NIGHT, at=AT)
        line = HomePlanLine.objects.get()
        return sum(bool(now) and not before for before, now in pairwise([0, *line.power_w]))

    AssetKind.objects.filter(pk="storage_heater").update(switch_life=30_000)
    assert starts() > 3
    AssetKind.objects.filter(pk="storage_heater").update(switch_life=3_000)
    within_budget = starts()
    RelayCount.objects.create(
        asset=asset, cycles=900, told=900, told_by="V", counted_from_at=asset.installed_at, told_at=AT
    )
    assert starts() <= within_budget <= 3
    costs = home_plans.switch_costs([Asset.objects.get(pk=asset.pk)], at=AT)
    assert costs.tolist() == [5 * 2_000 * home_plans.PER_MP]


def test_bad_rows_of_a_file_are_told_and_the_good_ones_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tariffs.set_bands(code="ours", name="Ours", bands=E7, at=AT, by="test")
    rows = [
        "14/01/2026 17:00,-4.25,",
        "14/01/2026 17:15,10,",
        "nonsense,10,",
        "14/01/2026 17:30,free,",
        "14/01/2026 18:00,9e999999,",
        "14/01/2026 18:30",
        "14/01/2026 19:00,12.5,",
    ]
    file = tmp_path / "ours.csv"
    file.write_text("\n".join(["period_from_local,import_p_per_kwh,export_p_per_kwh", *rows]))

    call_command("tariff", "csv", "ours", "Ours", str(file))

    tariff = Tariff.objects.get(pk="ours")
    kept = dict(tariff.rates.values_list("starts_at", "pence_per_kwh"))
    five, seven = (datetime(2026, 1, 14, hour, tzinfo=UTC) for hour in (17, 19))
    assert kept == {five: Decimal("-4.25"), seven: Decimal("12.5")}
    price, known = tariffs.prices_of(tariff, [five, five + HALF_HOUR])
    assert (price.tolist(), known.tolist()) == ([-42_500, 0], [True, False])
    told = capsys.readouterr()
    assert "2 half-hours, 4 refused" in told.out
    assert "line 4, period_from_local 'nonsense'" in told.err
    assert "line 5, import_p_per_kwh 'free': not a number" in told.err
    tariffs.set_bands(code="ours", name="Ours", bands=E7, at=AT, by="test")
    tariffs.follow(code="ours", name="Ours", product_code="AGILE", at=AT, by="test")
    assert tariffs.prices_of(tariff, [five])[0].tolist() == [-42_500]


def test_a_tariff_that_fails_is_told_and_not_asked_the_more(paper_vtn: PaperVtn) -> None:
    tariffs.follow(code="agile", name="Agile", product_code="AGILE", at=AT, by="test")
    nobody = Client("http://127.0.0.1:9/v1/", sleep=lambda seconds: None)

    first, second = (tariffs.fetch_due(client=nobody, at=AT) for _ in range(2))

    assert list(first.problems) == ["agile"]
    assert not second.problems
    assert PENCE == 10_000_000
