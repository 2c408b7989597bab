"""The display's messages as half-hours: gaps stay gaps, every known fault is passed over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.glow import FAULTY_KW, GlowMeter, Registers
from tests.samples import shared_sample

NINE = datetime(2026, 11, 20, 9, tzinfo=UTC)
TICK = timedelta(seconds=10)


def message(at: datetime, import_kwh: float, *, export_kwh: float = 0.0, **changes: Any) -> bytes:
    imported = {"cumulative": import_kwh, "units": "kWh", "mpan": "abcd", **changes.pop("imported", {})}
    told = {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "energy": {"export": {"cumulative": export_kwh, "units": "kWh"}, "import": imported},
        "power": {"value": 0.425, "units": "kW"},
    }
    return json.dumps({"electricitymeter": told | changes}).encode()


def meter(folder: Path) -> GlowMeter:
    made = GlowMeter(folder, "CAD-1")
    made.now = NINE
    return made


def hear(made: GlowMeter, payload: bytes, at: datetime, *, is_retained: bool = False) -> None:
    made.now = at
    made._told("", payload, is_retained)


def run(
    made: GlowMeter, since: datetime, until: datetime, *, wh_a_tick: int = 10, start_wh: int = 15_254_000
) -> int:
    register = start_wh
    while since <= until:
        hear(made, message(since, register / 1000), since)
        since += TICK
        register += wh_a_tick
    return register


def test_half_hours_are_differences_of_the_register(tmp_path: Path):
    made = meter(tmp_path)
    run(made, NINE, NINE + timedelta(hours=1, seconds=10))
    assert made.half_hours == {
        NINE + timedelta(minutes=30): (1800, 0),
    }, "09:00 itself was not heard before"
    assert made.readings_csv(NINE + timedelta(hours=1)).splitlines() == [
        "meter,starts_at,import_wh,export_wh",
        "CAD-1,2026-11-20T09:30:00Z,1800,0",
    ]
    assert made.power_w == 425


def test_a_restart_loses_nothing(tmp_path: Path):
    made = meter(tmp_path)
    left = run(made, NINE - TICK, NINE + timedelta(minutes=35))
    (tmp_path / "readings.csv").write_text(made.readings_csv(NINE + timedelta(minutes=35)))
    again = meter(tmp_path)
    run(again, NINE + timedelta(minutes=36), NINE + timedelta(hours=1, seconds=10), start_wh=left + 50)
    assert sorted(again.half_hours) == [NINE, NINE + timedelta(minutes=30)]
    assert again.half_hours[NINE] == (1800, 0)


def test_a_gap_over_an_edge_stays_a_gap(tmp_path: Path):
    made = meter(tmp_path)
    left = run(made, NINE - TICK, NINE + timedelta(minutes=29))
    run(made, NINE + timedelta(minutes=32), NINE + timedelta(hours=1, minutes=31), start_wh=left + 200)
    assert list(made.half_hours) == [NINE + timedelta(hours=1)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (message(NINE, 15_255, imported={"mpan": "read pending"}), "read pending"),
        (message(NINE, 0.0), "register of 0"),
        (message(NINE - timedelta(minutes=6), 15_255), "clock"),
        (message(NINE, 15_255, imported={"units": "MJ"}), "units 'MJ'"),
    ],
)
def test_known_faults_are_passed_over_and_counted(tmp_path: Path, payload: bytes, reason: str):
    made = meter(tmp_path)
    hear(made, payload, NINE)
    assert made.passed_over == {reason: 1}
    assert made.half_hours == {}


def test_a_faulty_power_and_a_retained_message_say_nothing(tmp_path: Path):
    made = meter(tmp_path)
    hear(made, message(NINE, 15_255, power={"value": FAULTY_KW, "units": "kW"}), NINE)
    assert made.power_w is None
    hear(made, message(NINE, 15_255), NINE, is_retained=True)
    assert made.power_w is None


def test_a_register_that_went_back_begins_anew(tmp_path: Path):
    made = meter(tmp_path)
    run(made, NINE - TICK, NINE + timedelta(minutes=10))
    run(made, NINE + timedelta(minutes=10, seconds=10), NINE + timedelta(hours=1, seconds=10), start_wh=5)
    assert made.passed_over["register went back"] == 1
    assert list(made.half_hours) == [NINE + timedelta(minutes=30)]


def test_a_recorded_message_is_read(tmp_path: Path):
    made = meter(tmp_path)
    recorded = shared_sample("device-samples/glow_local_electricitymeter.json").read_bytes()
    hear(made, recorded, datetime(2022, 11, 7, 9, 20, 10, tzinfo=UTC))
    assert (made.power_w, made.passed_over) == (425, {})


@given(
    steps=st.lists(st.tuples(st.integers(1, 110), st.integers(0, 60)), min_size=30, max_size=90),
    export=st.booleans(),
)
def test_the_half_hours_add_up_to_the_register(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]], export: bool
):
    made = meter(tmp_path_factory.mktemp("meter"))
    at, register = NINE - timedelta(minutes=1), 1000
    edges: dict[datetime, int] = {}
    for seconds, wh in steps:
        before_at, before = at, register
        at, register = at + timedelta(seconds=seconds), register + wh
        made.take(Registers(before_at, 1000 if export else before, before if export else 0))
        edge = NINE + (at - NINE) // timedelta(minutes=30) * timedelta(minutes=30)
        if before_at < edge <= at:
            edges[edge] = before
    made.take(Registers(at, 1000 if export else register, register if export else 0))
    if made.half_hours:
        total = sum(pair[export] for pair in made.half_hours.values())
        first, last = min(made.half_hours), max(made.half_hours) + timedelta(minutes=30)
        assert abs(total - (edges[last] - edges[first])) <= 60, "but for what fell within the edges' seconds"
        assert len(made.half_hours) == (last - first) // timedelta(minutes=30), "nothing is left out"
