"""EV charger and heat store: limits kept, comfort kept, energy conserved, the past never changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hems.devices import Hold, Segment, hold_at
from hems.ev_charger import BATTERY_LOW, NEEDED_BY_DEPARTURE, EvCharger, Stay
from hems.thermal_store import HOT_WATER_MINIMUM, WEEKLY_60C_CYCLE, ThermalStore

NIGHTFALL = datetime(2026, 11, 20, 17, tzinfo=UTC)
START_S = int(NIGHTFALL.timestamp())
HOUR = 3600
ALWAYS = [(START_S - 10 * HOUR, START_S + 48 * HOUR)]
CHARGER = EvCharger()
STORE = ThermalStore()


def stay(hours: float = 14, energy_wh: int = 10_000, **more) -> Stay:
    return Stay(NIGHTFALL, NIGHTFALL + timedelta(hours=hours), energy_wh, **more)


def down(starts_s: int, ends_s: int, limit_w: int = 0, planned_ends_s: int = 0) -> Hold:
    return Hold(starts_s, ends_s, planned_ends_s or ends_s, "down", limit_w, 0)


def energy_j(segments: list[Segment], since: int = 0, until: int = 2**40) -> int:
    return sum(
        part.power_w * max(0, min(part.ends_s, until) - max(part.starts_s, since)) for part in segments
    )


def power_at(segments: list[Segment], at_s: int) -> int:
    return next((part.power_w for part in segments if part.starts_s <= at_s < part.ends_s), 0)


@st.composite
def turn_downs(draw, most: int = 3) -> list[Hold]:
    """Up to a few orders in time order that do not overlap, some of them cut short."""
    holds, at_s = [], START_S - HOUR
    for _ in range(draw(st.integers(0, most))):
        at_s += draw(st.integers(0, 3 * HOUR))
        planned = draw(st.integers(1, 4 * HOUR))
        kept = draw(st.integers(1, planned))
        holds.append(down(at_s, at_s + kept, draw(st.integers(0, 8000)), at_s + planned))
        at_s += kept
    return holds


stays = st.builds(
    stay,
    hours=st.integers(20, 900).map(lambda minutes: minutes / 60),
    energy_wh=st.integers(0, 60_000),
    arrives_with_pct=st.floats(0, 100),
)


def test_a_free_charger_charges_at_once_and_stops_when_full():
    segments = CHARGER.charge(stay(energy_wh=7360), ALWAYS, ())

    assert segments[0] == Segment(START_S, START_S + HOUR, 7360)
    assert energy_j(segments) == 7360 * HOUR


def test_a_turned_down_car_makes_up_for_it_after_the_event():
    hold = down(START_S + HOUR // 2, START_S + 2 * HOUR)

    segments = CHARGER.charge(stay(energy_wh=7360), ALWAYS, [hold])

    assert energy_j(segments, hold.starts_s, hold.ends_s) == 0
    assert power_at(segments, hold.ends_s) == 7360
    assert energy_j(segments) == 7360 * HOUR


def test_what_was_held_back_is_made_up_even_outside_the_owners_hours():
    hours = [(START_S, START_S + 2 * HOUR)]

    segments = CHARGER.charge(stay(energy_wh=7360), hours, [down(START_S, START_S + 2 * HOUR)])

    assert energy_j(segments, START_S + 2 * HOUR) == 7360 * HOUR


def test_a_car_needed_soon_refuses_to_be_turned_down():
    short = stay(hours=2, energy_wh=14_000)

    segments = CHARGER.charge(short, ALWAYS, [down(START_S, START_S + 2 * HOUR)])

    assert {part.interlock for part in segments if part.power_w > 1} == {NEEDED_BY_DEPARTURE}
    assert energy_j(segments) == 14_000 * HOUR


def test_a_low_battery_is_not_turned_down_until_it_has_thirty_percent():
    low = stay(energy_wh=20_000, battery_wh=50_000, arrives_with_pct=20.0)
    hold = down(START_S, START_S + 3 * HOUR)

    segments = CHARGER.charge(low, ALWAYS, [hold])

    assert segments[0].interlock == BATTERY_LOW
    assert 5_000 * HOUR <= energy_j(segments, hold.starts_s, hold.ends_s) < 5_003 * HOUR


def test_a_limit_is_taken_down_to_the_step_below():
    segments = CHARGER.charge(stay(), ALWAYS, [down(START_S, START_S + HOUR, 3_700)])

    assert power_at(segments, START_S) == 3_680


def test_a_limit_below_the_smallest_step_is_off():
    segments = CHARGER.charge(stay(), ALWAYS, [down(START_S, START_S + HOUR, 1_379)])

    assert power_at(segments, START_S) == 0


def test_turn_up_starts_a_car_that_waits_for_its_owners_hours():
    hours = [(START_S + 7 * HOUR, START_S + 12 * HOUR)]
    hold = Hold(START_S + HOUR, START_S + 2 * HOUR, START_S + 2 * HOUR, "up", 7360, 0)

    segments = CHARGER.charge(stay(energy_wh=9_000), hours, [hold])

    assert power_at(segments, START_S + HOUR) == 7360
    assert energy_j(segments) == 9_000 * HOUR


@given(at_w=st.integers(-100, 12_000))
def test_every_step_is_legal(at_w):
    legal = {0, *range(1380, 7361, 230)}

    assert CHARGER.at_most(at_w) in legal
    assert CHARGER.at_least(at_w) in legal
    assert CHARGER.at_most(at_w) <= max(at_w, 0)
    assert CHARGER.at_least(at_w) >= min(at_w, 7360)


@given(stays, turn_downs())
def test_an_event_never_costs_a_car_its_charge(visit, holds):
    free = CHARGER.charge(visit, ALWAYS, ())
    held = CHARGER.charge(visit, ALWAYS, holds)
    planned = sum(max(0, hold.planned_ends_s - hold.starts_s) for hold in holds)
    room_s = (visit.departs_at - visit.arrives_at).total_seconds() - planned

    assert energy_j(held) <= energy_j(free)
    if len(holds) <= 1 or energy_j(free) <= 7360 * room_s:
        assert energy_j(held) == energy_j(free)


@given(stays, turn_downs())
def test_charging_power_is_off_or_a_legal_step(visit, holds):
    for part in CHARGER.charge(visit, ALWAYS, holds):
        is_closing_second = part.ends_s - part.starts_s == 1
        assert part.power_w == CHARGER.at_most(part.power_w) or is_closing_second
        assert 0 <= part.power_w <= 7360


@given(stays, turn_downs(most=1))
def test_turn_down_never_raises_a_car_within_the_event_unless_it_says_why(visit, holds):
    free = CHARGER.charge(visit, ALWAYS, ())
    held = CHARGER.charge(visit, ALWAYS, holds)

    for part in held:
        hold = hold_at(holds, part.starts_s)
        if hold and not part.interlock:
            assert part.power_w <= max(hold.limit_w, 0)
    for hold in holds:
        assert energy_j(held, hold.starts_s, hold.ends_s) <= energy_j(free, hold.starts_s, hold.ends_s)


@given(stays, turn_downs(), st.integers(0, 12 * HOUR))
def test_a_later_order_never_changes_a_cars_past(visit, holds, after_s):
    now_s = START_S + after_s
    known = [hold for hold in holds if hold.starts_s < now_s]

    before = CHARGER.charge(visit, ALWAYS, known)
    after = CHARGER.charge(visit, ALWAYS, [*known, down(now_s, now_s + HOUR)])

    assert energy_j(before, until=now_s) == energy_j(after, until=now_s)
    for at_s in range(START_S, now_s, 997):
        assert power_at(before, at_s) == power_at(after, at_s)


@given(stays, st.integers(1, 4 * HOUR), st.integers(1, 4 * HOUR))
def test_cutting_an_order_short_never_changes_a_cars_past(visit, planned, kept):
    kept = min(planned, kept)
    whole = CHARGER.charge(visit, ALWAYS, [down(START_S, START_S + planned)])
    cut = CHARGER.charge(visit, ALWAYS, [down(START_S, START_S + kept, 0, START_S + planned)])

    assert energy_j(whole, until=START_S + kept) == energy_j(cut, until=START_S + kept)


# ---- heat store

draws = st.lists(st.tuples(st.integers(START_S, START_S + 24 * HOUR), st.integers(50, 3_000)), max_size=12)
EVENING = [(START_S - HOUR, START_S + 4 * HOUR), (START_S + 12 * HOUR, START_S + 15 * HOUR)]


def heat(holds=(), draws=(), cycles=(), hours=EVENING, store=STORE) -> list[Segment]:
    return store.heat(
        START_S, START_S + 30 * HOUR, hours=hours, draws=sorted(draws), cycles=cycles, holds=holds
    )


def test_a_blocked_element_recovers_after_the_event_and_outside_the_timer():
    hold = down(START_S, START_S + 5 * HOUR)

    segments = heat([hold], draws=[(START_S + HOUR, 2_000)])

    assert energy_j(segments, until=hold.ends_s) == 0
    assert power_at(segments, hold.ends_s) == 3000
    assert energy_j(segments, hold.ends_s, hold.ends_s + 2 * HOUR) > 2_000 * HOUR


def test_hot_water_never_runs_out_because_of_an_event():
    hold = down(START_S, START_S + 4 * HOUR)

    segments = heat([hold], draws=[(START_S + HOUR, 3_000), (START_S + 2 * HOUR, 2_500)])

    guarded = [part for part in segments if part.interlock == HOT_WATER_MINIMUM]
    assert guarded[0].starts_s == START_S + 2 * HOUR
    assert guarded[0].power_w == 3000


def test_the_weekly_cycle_runs_through_an_event():
    hold = down(START_S, START_S + 4 * HOUR)

    segments = heat([hold], cycles=[(START_S + HOUR, 900)])

    cycle = [part for part in segments if part.interlock == WEEKLY_60C_CYCLE]
    assert cycle[0].starts_s == START_S + HOUR
    assert energy_j(cycle) >= 900 * HOUR


@given(draws, turn_downs())
@settings(max_examples=60)
def test_the_element_is_on_or_off_and_held_down_unless_it_says_why(draws, holds):
    for part in heat(holds, draws, cycles=[(START_S + 6 * HOUR, 900)]):
        assert part.power_w in (0, 3000) or part.ends_s - part.starts_s == 1
        hold = hold_at(holds, part.starts_s)
        if hold and hold.limit_w < 3000 and not part.interlock:
            assert part.power_w == 0


@given(draws, turn_downs(most=1))
@settings(max_examples=60)
def test_held_back_heat_is_never_negative_within_the_event(draws, holds):
    free, held = heat((), draws), heat(holds, draws)

    for hold in holds:
        # The one second's slack is a thermostat that opens on a whole second.
        slack_j = 3000
        for until in range(hold.starts_s, hold.ends_s, 600):
            assert energy_j(held, hold.starts_s, until) <= energy_j(free, hold.starts_s, until) + slack_j


@given(draws, turn_downs())
@settings(max_examples=60)
def test_heat_is_conserved(draws, holds):
    """Once both have been full again, the same heat went in, but for the thermostat's band."""
    always = [(START_S - HOUR, START_S + 40 * HOUR)]
    free, held = heat((), draws, hours=always), heat(holds, draws, hours=always)
    last = max([START_S, *(second for second, _ in draws), *(hold.ends_s for hold in holds)])

    if last < START_S + 24 * HOUR and sum(wh for _, wh in draws) < 6_000:
        assert abs(energy_j(free) - energy_j(held)) <= (STORE.band_wh + 10) * HOUR


@given(draws, turn_downs(), st.integers(0, 20 * HOUR))
@settings(max_examples=60)
def test_a_later_order_never_changes_a_stores_past(draws, holds, after_s):
    now_s = START_S + after_s
    known = [hold for hold in holds if hold.starts_s < now_s]

    before, after = heat(known, draws), heat([*known, down(now_s, now_s + HOUR)], draws)

    assert energy_j(before, until=now_s) == energy_j(after, until=now_s)
