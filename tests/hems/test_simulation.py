"""The simulated home: exact, conserved, the same however it is looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hems.devices import Order
from hems.errors import BadHome
from hems.ev_charger import Stay
from hems.home import RATED_W, Home, Incidents, home_from_json, home_to_json, make_asset, read_home
from hems.household import base_load_wh
from hems.instants import day_bounds, half_hours
from hems.simulation import (
    SimulatedHome,
    asset_load_wh,
    asset_segments,
    curtailed_wh,
    joules_of,
    register_wh,
)

DAY = date(2026, 11, 20)
KINDS = ("ev_charger", "ev_charger_3ph", "immersion_heater", "storage_heater")
days = st.dates(date(2024, 1, 1), date(2027, 12, 31)) | st.sampled_from(
    [date(2026, 3, 29), date(2026, 10, 25)]
)
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 500).map(str)


def home(day: date = DAY, seed: str = "7", kinds=("ev_charger", "immersion_heater"), days: int = 1) -> Home:
    each = [day + timedelta(days=number) for number in range(days)]
    return Home(
        meter="CAD-7",
        base_wh={one: base_load_wh(one, seed=seed) for one in each},
        assets=tuple(make_asset(f"r-{seed}-{kind}", kind, seed=seed) for kind in kinds),
    )


def event(place: Home, starts_at: datetime, minutes: int = 90, cut_minutes: int | None = None) -> list[Order]:
    ends_at = starts_at + timedelta(minutes=minutes)
    stops_at = ends_at if cut_minutes is None else starts_at + timedelta(minutes=cut_minutes)
    return [Order("e1", asset.resource_id, starts_at, stops_at, ends_at, "down", 0) for asset in place.assets]


@given(kinds, days, seeds)
@settings(max_examples=60, deadline=None)
def test_a_days_load_is_whole_and_as_long_as_the_day(kind, day, seed):
    load = asset_load_wh(make_asset("r", kind), day, seed)

    assert len(load) == len(half_hours(day))
    assert all(type(wh) is int and 0 <= wh <= RATED_W[kind] // 2 + 1 for wh in load)


@given(kinds, days, seeds)
@settings(max_examples=40, deadline=None)
def test_the_sum_of_half_hours_is_the_integral(kind, day, seed):
    segments = asset_segments(make_asset("r", kind, seed=seed), day, day, ())

    exact_j = sum(segment.energy_j for segment in segments)
    assert sum(joules_of(segments, half_hours(day))) == exact_j
    assert sum(register_wh(joules_of(segments, half_hours(day)))) == exact_j // 3600


@given(kinds, days, seeds)
@settings(max_examples=30, deadline=None)
def test_a_day_is_the_same_whichever_day_the_simulation_starts_on(kind, day, seed):
    asset = make_asset("r", kind, seed=seed)
    week = asset_segments(asset, day - timedelta(days=5), day + timedelta(days=1), ())

    assert register_wh(joules_of(week, half_hours(day))) == asset_load_wh(asset, day)


@given(days, seeds, st.integers(0, 40), st.integers(1, 8), st.none() | st.integers(0, 240))
@settings(max_examples=60, deadline=None)
def test_base_and_assets_are_the_meter_and_nothing_is_lost(day, seed, slot, length, cut):
    place = home(day, seed, days=2)
    played = SimulatedHome(place)
    starts_at = half_hours(day)[slot]
    minutes = 30 * length
    played.plan(event(place, starts_at, minutes, None if cut is None else min(cut, minutes)))

    loads = {driver.resource_id: driver.half_hours(played.days) for driver in played.drivers}
    for each in played.days:
        for number, (start, import_wh, export_wh) in enumerate(played.meter_readings(each)):
            parts = [load[each][number] for load in loads.values()]
            assert all(part.starts_at == start for part in parts)
            assert import_wh == place.base_wh[each][number] + sum(part.with_wh for part in parts)
            assert all(part.with_wh >= 0 for part in parts)
            assert export_wh == 0
    for asset in place.assets:
        without = [part.without_wh for each in played.days for part in loads[asset.resource_id][each]]
        assert without == [wh for each in played.days for wh in asset_load_wh(asset, each)]


@given(days, seeds, st.integers(0, 40), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_an_event_never_shows_less_than_nothing_curtailed(day, seed, slot, length):
    place = home(day, seed)
    played = SimulatedHome(place)
    starts_at = half_hours(day)[slot]
    played.plan(event(place, starts_at, 30 * length))

    for driver in played.drivers:
        during = [
            part.curtailed_wh
            for part in driver.half_hours([day])[day]
            if starts_at <= part.starts_at < starts_at + timedelta(minutes=30 * length)
        ]
        before = [part for part in driver.half_hours([day])[day] if part.starts_at < starts_at]
        assert all(part.curtailed_wh == 0 for part in before)
        # A thermostat that would have closed later in the event may close within it once held; never in sum.
        assert sum(during) >= 0
        if driver.kind == "ev_charger":
            assert all(wh >= 0 for wh in during)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_car_has_all_its_charge_by_departure_with_or_without_the_event(seed):
    place = home(DAY, seed, ("ev_charger",), days=2)
    played = SimulatedHome(place)
    played.plan(event(place, day_bounds(DAY)[0] + timedelta(hours=17), 120))

    parts = [part for load in played.drivers[0].half_hours(played.days).values() for part in load]
    assert sum(part.curtailed_wh for part in parts) == 0
    assert sum(part.with_wh for part in parts) == sum(part.without_wh for part in parts)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.just(0) | st.integers(0, 10**7)), max_size=50))
def test_whole_watt_hours_keep_sign_bound_and_sum(pairs):
    free_j, held_j = [free for free, _ in pairs], [held for _, held in pairs]
    without_wh = register_wh(free_j)
    whole = curtailed_wh(free_j, held_j, without_wh)

    for (free, held), wh, most in zip(pairs, whole, without_wh, strict=True):
        assert wh * (free - held) >= 0
        assert wh <= most
        if held == 0:
            assert wh == most
    assert abs(sum(whole) * 3600 - sum(free_j) + sum(held_j)) < 3600 * 3


@given(st.lists(st.integers(0, 10**8), max_size=50))
def test_a_register_loses_nothing(joules):
    assert sum(register_wh(joules)) == sum(joules) // 3600


def test_an_evening_event_takes_the_load_out_and_the_rebound_follows():
    starts_at = day_bounds(DAY)[0] + timedelta(hours=17)
    visit = Stay(starts_at - timedelta(minutes=10), starts_at + timedelta(hours=14), 11_040)
    asset = replace(make_asset("ev", "ev_charger"), stays={DAY: (visit,), DAY - timedelta(days=1): ()})
    place = replace(home(), assets=(asset,))
    played = SimulatedHome(place)
    played.plan(event(place, starts_at, 120))

    load = {part.starts_at: part for part in played.drivers[0].half_hours([DAY])[DAY]}
    curtailed = [load[starts_at + timedelta(minutes=30 * n)].curtailed_wh for n in range(8)]

    assert curtailed[:4] == [3680, 3680, 2454, 0]
    assert curtailed[4:] == [-3680, -3680, -2454, 0]  # odd joules are carried forward
    assert sum(curtailed) == 0


def test_an_order_is_obeyed_to_the_second():
    place = home(DAY, "1", ("ev_charger",))
    starts_at = day_bounds(DAY)[0] + timedelta(hours=17)
    visit = Stay(starts_at - timedelta(hours=1), starts_at + timedelta(hours=14), 14_000)
    stays = {DAY: (visit,), DAY - timedelta(days=1): ()}
    place = replace(place, assets=(replace(place.assets[0], stays=stays),))
    played = SimulatedHome(place)
    played.plan(event(place, starts_at, 60, cut_minutes=20))
    driver = played.drivers[0]

    second = timedelta(seconds=1)
    assert driver.telemetry(starts_at - second).power_w == 7360
    assert driver.telemetry(starts_at).power_w == 0
    assert driver.telemetry(starts_at).is_ordered
    assert driver.telemetry(starts_at + timedelta(minutes=20) - second).power_w == 0
    assert driver.telemetry(starts_at + timedelta(minutes=20)).power_w == 7360
    assert driver.next_change(starts_at) == starts_at + timedelta(minutes=20)


def test_the_same_timetable_again_changes_nothing():
    place = home()
    played = SimulatedHome(place)
    orders = event(place, day_bounds(DAY)[0] + timedelta(hours=17))
    played.plan(orders)
    once = played.readings_csv(played.ends_at)

    played.plan(list(reversed(orders)))
    played.plan(orders)

    assert played.readings_csv(played.ends_at) == once


def test_the_cad_logs_only_half_hours_that_are_over():
    played = SimulatedHome(home())
    starts_at = day_bounds(DAY)[0]

    lines = played.readings_csv(starts_at + timedelta(minutes=89)).splitlines()

    assert lines[0] == "meter,starts_at,import_wh,export_wh"
    assert [line.rsplit(",", 2)[0] for line in lines[1:]] == [
        "CAD-7,2026-11-20T00:00:00Z",
        "CAD-7,2026-11-20T00:30:00Z",
    ]


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 29), 46), (date(2026, 10, 25), 50)])
def test_a_clock_change_day_is_read_in_full(day, count):
    played = SimulatedHome(home(day))

    assert len(played.meter_readings(day)) == count
    assert len(played.readings_csv(played.ends_at).splitlines()) == count + 1


def test_a_home_is_read_back_as_it_was_written(tmp_path):
    starts_at = day_bounds(DAY)[0]
    place = replace(
        home(),
        incidents=Incidents(True, starts_at, None, ((starts_at, starts_at + timedelta(hours=1)),)),
    )
    path = tmp_path / "home.json"
    path.write_text(json.dumps(home_to_json(place)))

    assert read_home(path) == place


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"meter": ""}, "home.meter"),
        ({"base_wh": {}}, "at least one day"),
        ({"base_wh": {"2026-11-20": [1] * 47}}, "47 values, the day has 48"),
        ({"base_wh": {"2026-11-20": [-1] * 48}}, "-1 is no whole number"),
        ({"base_wh": {"2026-13-20": []}}, "no YYYY-MM-DD"),
        ({"assets": [{"resource_id": "a", "kind": "toaster"}]}, "'toaster' is none of"),
        ({"assets": [{"resource_id": "a", "kind": "ev_charger"}] * 2}, "given twice"),
        ({"assets": [{"resource_id": "a", "kind": "ev_charger", "hours": [["8", "25:00"]]}]}, "HH:MM"),
        ({"assets": {}}, "a list is expected"),
        ({"incidents": {"override_at": "2026-11-20T17:00:00"}}, "offset"),
        ({"incidents": {"offline": [["2026-11-20T17:00:00Z"]]}}, "a pair is expected"),
        ({"incidents": {"opt_out_events": "no"}}, "true or false"),
    ],
)
def test_a_bad_home_says_where(change, says):
    document = {"meter": "CAD-1", "base_wh": {"2026-11-20": [100] * 48}, "assets": []} | change

    with pytest.raises(BadHome, match=says):
        home_from_json(document)
