"""The baseline vectors that come with the market samples, read from the file itself."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from opendsr.kernel.periods import period_starts
from settlement import baselines
from settlement.baselines import presets
from settlement.baselines.explaining import explain
from settlement.baselines.rules import BaselineRule, Keep
from settlement.delivery import DeliveryRule, measure
from settlement.vectors import VectorsUnreadable, read_vectors, run_vector
from tests.samples import DATA
from tests.settlement.cubes import cube_of, days_between, half_hours

FILE = DATA.parent / "market-samples" / "test-vectors.json"


@lru_cache(maxsize=1)
def vectors() -> dict[str, dict]:
    if not FILE.is_file():
        pytest.skip("no market samples beside the checkout")
    return {each["id"]: each for each in json.loads(FILE.read_text())}


def wh(kwh: float) -> int:
    return int(Decimal(str(kwh)) * 1000)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def work_out(rule: BaselineRule, readings, event):
    days = baselines.days_needed(rule, event, [()])
    return baselines.baseline(rule, cube_of([readings], days), event, [()])


def test_weekday_mean():
    vector = vectors()["oct-weekday-mean"]
    days = [date.fromisoformat(day) for day in vector["history_days"]]
    readings = {
        at(day, 17, minute): wh(kwh)
        for day, kwh in zip(days, vector["history_kwh_per_half_hour"], strict=True)
        for minute in (0, 30)
    }

    result = work_out(presets.OCTOPUS_SAVING_SESSION, readings, half_hours(at(date(2023, 12, 25), 17), 2))

    assert result.wh.tolist() == [[wh(vector["expected_baseline_kwh_per_half_hour"])] * 2]
    assert result.wh.sum() == wh(vector["expected_total_kwh"])
    assert explain(result, 0).days_used == days


@pytest.mark.parametrize("name", ["oct-weekend-days", "oct-saturday-days", "oct-friday-days"])
def test_days(name):
    vector = vectors()[name]
    event = date.fromisoformat(vector["event"].split()[-1])
    expected = [date.fromisoformat(day) for day in vector["expected_days"]]

    assert baselines.candidate_days(presets.OCTOPUS_SAVING_SESSION, event) == expected


@pytest.mark.parametrize("rule", [presets.DFS_2023_DOMESTIC, presets.ELEXON_BL01], ids=lambda rule: rule.name)
def test_a_working_day_calendar_drops_christmas(rule):
    christmas = {date(2023, 12, 25), date(2023, 12, 26)}
    assert christmas < {date.fromisoformat(day) for day in vectors()["oct-friday-days"]["expected_days"]}

    assert not christmas & set(baselines.candidate_days(rule, date(2023, 12, 29)))


def test_in_day_adjustment():
    vector = vectors()["dfs-ida-formula"]
    day = date(2023, 2, 14)
    event = half_hours(at(day, 17, 30), len(vector["unadjusted_event_kwh"]))
    window = baselines.window_half_hours(presets.DFS_2022, event)
    readings = {}
    for back in range(1, 61):
        past = timedelta(days=back)
        usual = zip(
            [*window, *event],
            vector["unadjusted_ref_window_kwh"] + vector["unadjusted_event_kwh"],
            strict=True,
        )
        readings |= {start - past: wh(kwh) for start, kwh in usual}
    metered = vector["metered_ref_window_kwh"] + vector["metered_event_kwh"]
    readings |= {start: wh(kwh) for start, kwh in zip([*window, *event], metered, strict=True)}

    result = work_out(presets.DFS_2022, readings, event)

    assert explain(result, 0).adjustment_wh == wh(vector["expected_ida"])
    assert result.wh.tolist() == [[wh(kwh) for kwh in vector["expected_adjusted_baseline"]]]
    metered_wh = np.array([[wh(kwh) for kwh in vector["metered_event_kwh"]]])
    delivered = (result.wh - metered_wh).tolist()
    assert delivered == [[wh(kwh) for kwh in vector["expected_delivered"]]]


def test_delivered_volume():
    vector = vectors()["p415-chp"]
    mwh = 1_000_000
    delivery = measure(
        baseline_wh=np.array([[int(vector["baseline"] * mwh)]]),
        has_baseline=np.array([[True]]),
        metered_wh=np.array([[int(vector["metered"] * mwh)]]),
        has_reading=np.array([[True]]),
        direction="turn_down",
        instructed_half_hour_wh=np.array([2 * mwh]),
        takes_part=np.array([True]),
        rule=DeliveryRule(),
    )

    assert delivery.half_hour_wh.tolist() == [[int(vector["expected_delivered"] * mwh)]]


@pytest.mark.parametrize("case", [0, 1])
def test_positive_only_adjustment(case):
    case = vectors()["us-flex-agreement-positive-only-sda"]["cases"][case]
    event = half_hours(at(date(2023, 2, 14), 17), 1)
    days = days_between(date(2022, 12, 1), date(2023, 2, 13))
    # A steady power in W is half of it in Wh each half-hour.
    usual_wh, event_day_wh = case["baseline_kw"] * 500, case["event_day_kw"] * 500
    readings = {start: usual_wh for day in days for start in period_starts(day)}
    readings |= dict.fromkeys(half_hours(at(date(2023, 2, 14), 15), 2), event_day_wh)

    result = work_out(presets.US_FLEXIBILITY_AGREEMENT, readings, event)

    assert explain(result, 0).adjustment_wh == case["expected_adjustment_kw"] * 500
    assert result.wh.tolist() == [[usual_wh + case["expected_adjustment_kw"] * 500]]


def test_ninety_ten():
    # Two like days make B_prev and M when the first alone seeds; the third is the vector's second case.
    first, second = vectors()["iso-ne-90-10"]["cases"]
    day = date(2026, 11, 26)
    event = half_hours(at(day, 17), 1)
    rule = presets.ISO_NE_90_10.with_parameters({"seed_days": 1})
    kinds = [replace(kind, minimum=2) for kind in rule.day_types]
    rule = rule.with_parameters({"day_types": kinds, "adjustment": "none", "window_half_hours": 0})
    history = [first["B_prev"], first["M"], second["M"]]
    days = [date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)]
    # In millions of Wh, so that the vector's decimals are whole Wh.
    readings = {at(day, 17): int(kwh * 1_000_000) for day, kwh in zip(days, history, strict=True)}

    two = work_out(rule, {start: value for start, value in readings.items() if start.day < 25}, event)
    three = work_out(rule, readings, event)

    assert two.wh.tolist() == [[int(Decimal(str(first["expected"])) * 1_000_000)]]
    assert three.wh.tolist() == [[int(Decimal(str(second["expected"])) * 1_000_000)]]


@pytest.mark.parametrize(
    ("keep", "expected_wh"), [(Keep.RECENT, 650), (Keep.HIGH, 1450), (Keep.MID, 1050), (Keep.LOW, 650)]
)
def test_bl01_is_selectable(keep, expected_wh):
    # Ten working days of 600, 700 ... 1500 Wh, the newest lowest, and two kept.
    kinds = [replace(kind, keep=keep, kept=2, minimum=1) for kind in presets.ELEXON_BL01.day_types]
    rule = presets.ELEXON_BL01_UNADJUSTED.with_parameters({"day_types": kinds})
    event = half_hours(at(date(2026, 11, 24), 17), 1)
    like = baselines.candidate_days(rule, date(2026, 11, 24))
    readings = {at(day, 17): 600 + 100 * number for number, day in enumerate(like)}

    assert work_out(rule, readings, event).wh.tolist() == [[expected_wh]]


def files() -> list[Path]:
    """Files of vectors to run: those of OPENDSR_VECTORS, separated as a PATH is, and the one at hand."""
    named = [Path(each) for each in os.environ.get("OPENDSR_VECTORS", "").split(os.pathsep) if each]
    return [*named, *([FILE] if FILE.is_file() else [])]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_every_vector_of_a_file_fits(path: Path):
    outcomes = [run_vector(vector) for vector in read_vectors(path)]

    assert outcomes
    assert [outcome for outcome in outcomes if not outcome.fits] == []


def test_the_command_takes_files_by_path(tmp_path, capsys):
    vectors()
    call_command("run_vectors", FILE)
    printed = capsys.readouterr().out
    assert "dfs-ida-formula: adjustment -0.25: fits" in printed
    assert "octopus-points-rounding: a rule without numbers, nothing to compare" in printed

    path = tmp_path / "other.json"
    path.write_text(
        json.dumps([{"id": "wrong", "pool_pence": 10, "weights": [1, 1, 1], "expected_pence": [3, 3, 4]}])
    )
    with pytest.raises(CommandError, match="1 vectors do not fit"):
        call_command("run_vectors", path)
    assert "wrong: parts [3, 3, 4]: DIFFERS: [4, 3, 3]" in capsys.readouterr().out


OTHERS = [
    {
        "id": "bl01-working-days", "kind": "day selection, Elexon BL01", "event": "Friday 2023-12-29",
        "expected_days": [
            "2023-12-28", "2023-12-27", "2023-12-22", "2023-12-21", "2023-12-20", "2023-12-19", "2023-12-18",
            "2023-12-15", "2023-12-14", "2023-12-13",
        ],
    },
    {
        "id": "named-rule", "preset": "ena_mid_8_of_10", "event": "2026-11-24T17:00 to 17:30",
        "history_days": [
            "2026-11-23", "2026-11-20", "2026-11-19", "2026-11-18", "2026-11-17", "2026-11-16", "2026-11-13",
            "2026-11-12", "2026-11-11", "2026-11-10",
        ],
        "history_kwh_per_half_hour": [9, 1, 1, 1, 1, 1, 1, 1, 1, 0.1],
        "expected_baseline_kwh_per_half_hour": 1,
    },
    {
        "id": "ercot-ratio", "kind": "same-day ratio",
        "unadjusted_ref_window_kwh": [0.5] * 4, "metered_ref_window_kwh": [0.6] * 4, "expected_ida": 1.2,
        "unadjusted_event_kwh": [1.0], "metered_event_kwh": [0.7],
        "expected_adjusted_baseline": [1.2], "expected_delivered": [0.5],
    },
    {
        "id": "turn-up", "direction": "turn_up", "baseline": [0.2, 0.3], "metered": [1.2, 0.25],
        "expected_delivered": [1.0, -0.05],
    },
    {"id": "two-of-a-kind", "cases": [{"baseline": 2, "metered": 1, "expected_delivered": 1}] * 2},
    {
        "id": "grace-and-slope", "rule": "1 if p>=0.9 else 1-2*(0.9-p)",
        "points": [[0.9, 1], [0.8, 0.8], [0.3, 0]],
    },
]  # fmt: skip


@pytest.mark.parametrize("vector", OTHERS, ids=lambda vector: vector["id"])
def test_vectors_that_are_in_no_file_here(vector):
    outcome = run_vector(vector)

    assert outcome.fits, outcome
    assert outcome.compared


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ({"id": "odd", "expected_luck": 7}, "no example has these fields: expected_luck, id"),
        ({"id": "odd", "cases": [{"luck": 7}]}, "no example has these fields: luck"),
        ({"id": "odd", "event": "one day", "expected_days": []}, "cannot be worked out: TypeError"),
        ({"id": "odd", "points": [["many", 1]]}, "cannot be worked out: ValueError"),
    ],
)
def test_a_vector_that_cannot_be_worked_out_says_so(vector, words):
    outcome = run_vector(vector)

    assert not outcome.fits
    assert words in outcome.problem


def test_an_expectation_that_is_off_by_its_last_digit_differs():
    vectors()
    changed = 0
    for vector in read_vectors(FILE):
        for key, value in vector.items():
            if key.startswith("expected") and isinstance(value, Decimal):
                last = Decimal(1).scaleb(value.as_tuple().exponent)
                assert not run_vector({**vector, key: value + last}).fits
                changed += 1
    assert changed >= 5


@pytest.mark.parametrize("text", ["", "7", "[1]", "{}"])
def test_what_is_no_file_of_vectors_is_refused(tmp_path, text):
    path = tmp_path / "v.json"
    path.write_text(text)

    with pytest.raises(VectorsUnreadable):
        read_vectors(path)
