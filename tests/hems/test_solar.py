"""Own solar first: who runs on the sun, how long it has to shine, and that nothing is bought for it."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hems.devices import LOCAL_URGENCY
from hems.solar import SHORT_W, START_SECONDS, STOP_SECONDS, OwnSolar, Taker

NOON = int(datetime(2027, 6, 13, 11, tzinfo=UTC).timestamp())
NIGHT = int(datetime(2027, 6, 13, 22, tzinfo=UTC).timestamp())
WATER = Taker("water", 3_000, from_w=2_500)
CAR = Taker("car", 7_360, from_w=1_400, is_stepless=True)


def asked(sun: OwnSolar, at_s: int, grid_w: float | None, **powers_w: int) -> dict[str, tuple[str, int]]:
    orders = sun.step(at_s, grid_w=grid_w, powers_w=powers_w)
    assert all(order.urgency == LOCAL_URGENCY for order in orders)
    return {order.resource_id: (order.direction, order.limit_w) for order in orders}


def test_a_minute_of_surplus_starts_it_and_two_of_shortage_stop_it():
    sun = OwnSolar([WATER])
    assert asked(sun, NOON, -3_200) == {}
    assert asked(sun, NOON + START_SECONDS - 10, -3_200) == {}
    assert asked(sun, NOON + START_SECONDS, -3_200) == {"water": ("at", 3_000)}
    after = NOON + START_SECONDS
    assert asked(sun, after + 10, 900, water=3_000) == {"water": ("at", 3_000)}
    assert asked(sun, after + 60, 300, water=3_000) == {"water": ("at", 3_000)}  # 2,700 W are there again
    assert asked(sun, after + 70, 900, water=3_000) == {"water": ("at", 3_000)}
    assert asked(sun, after + 70 + STOP_SECONDS, 900, water=3_000) == {}


def test_a_passing_gleam_starts_nothing():
    sun = OwnSolar([WATER])
    for second in range(0, 600, 30):
        grid_w = -3_200 if second % 60 else 0
        assert asked(sun, NOON + second, grid_w) == {}


def test_the_first_of_the_config_is_served_first_and_the_next_takes_what_is_left():
    sun = OwnSolar([CAR, WATER])
    asked(sun, NOON, -5_000)
    assert asked(sun, NOON + 60, -5_000) == {"car": ("at", 5_000)}
    sun = OwnSolar([WATER, CAR])
    asked(sun, NOON, -5_000)
    assert asked(sun, NOON + 60, -5_000) == {"water": ("at", 3_000), "car": ("at", 2_000)}
    assert asked(sun, NOON + 70, 0, water=3_000, car=2_000) == {"water": ("at", 3_000), "car": ("at", 2_000)}


def test_what_has_to_be_ready_by_the_morning_waits_for_the_sun_in_its_hours():
    waiting = Taker("car", 7_360, from_w=1_400, waits=True, is_stepless=True)
    sun = OwnSolar([waiting])
    assert asked(sun, NOON, 400) == {"car": ("down", 0)}
    assert asked(sun, NIGHT, 400) == {}


def test_without_a_meter_nothing_runs_on_the_sun():
    sun = OwnSolar([WATER])
    asked(sun, NOON, -3_200)
    assert asked(sun, NOON + 60, -3_200)
    assert asked(sun, NOON + 70, None) == {}
    assert asked(sun, NOON + 80, -200) == {}


@given(
    roof_w=st.lists(st.integers(0, 9_000), min_size=30, max_size=120),
    base_w=st.integers(100, 900),
    first=st.booleans(),
)
def test_it_buys_no_more_than_a_cloud_is_long(roof_w, base_w, first):
    """A roof that changes every ten seconds: what is bought for the appliances is bought in clouds only."""
    sun = OwnSolar([CAR, WATER] if first else [WATER, CAR])
    powers_w: dict[str, int] = {}
    short_seconds = 0
    for number, made_w in enumerate(roof_w):
        grid_w = base_w - made_w + sum(powers_w.values())
        short_seconds = short_seconds + 10 if powers_w and grid_w > SHORT_W + 600 else 0
        assert short_seconds <= 2 * (STOP_SECONDS + 20)
        found = asked(sun, NOON + number * 10, grid_w, **powers_w)
        powers_w = {name: limit_w for name, (_, limit_w) in found.items()}
        assert all(limit_w <= {"car": 7_360, "water": 3_000}[name] for name, limit_w in powers_w.items())
