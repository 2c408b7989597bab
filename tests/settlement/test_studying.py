"""Placebo studies over stored readings: asked once, run once, taken up again, told what is wanting."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from uuid import uuid4

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Participation
from opendsr.kernel import clock
from opendsr.kernel.periods import civil_date, period_starts
from settlement import rules as room_rules
from settlement import study_csv, studying
from settlement.baselines import presets
from settlement.study_files import cube_of_file
from settlement.study_models import PlaceboStudy
from tests.settlement.staging import AFTER, make_stage, store

State = PlaceboStudy.State
LATEST = civil_date(AFTER) - timedelta(days=2)
pytestmark = pytest.mark.django_db


@pytest.fixture
def homes():
    """Two homes of the programme with eighty days of steady evenings."""
    stage = make_stage(Participation.State.OPTED_IN, Participation.State.OPTED_IN)
    random = np.random.default_rng(4)
    for resident in stage.residents:
        days = [LATEST - timedelta(days=n) for n in range(80)]
        store(
            resident,
            {start: int(random.integers(300, 500)) for day in days for start in period_starts(day)[30:40]},
        )
    return stage


def ask(**changes):
    wanted = {
        "rules": ["dfs_2023_domestic", "zero"],
        "earliest": LATEST - timedelta(days=9),
        "latest": LATEST,
        "ordinal": 34,
        "half_hours": 4,
        "at": AFTER,
        "by": "user:1",
    }
    return studying.ask_study(**(wanted | changes))


def test_a_study_is_run_once_and_keeps_its_scores(homes):
    study = ask(programme=homes.campaign.programme)

    assert studying.run_due(at=AFTER) == 1
    assert studying.run_due(at=AFTER) == 0

    study.refresh_from_db()
    assert study.state == State.DONE
    assert (study.homes, study.steps_done, study.steps) == (2, study.steps, 2 * study.events)
    best, zero = study.scores
    assert best["is_best"]
    assert abs(best["bias_pct"]) < 10
    assert zero["bias_pct"] == -100
    suggested = studying.suggestion(homes.campaign.programme)
    assert suggested is not None
    assert (suggested.rule, suggested.is_in_use) == ("dfs_2023_domestic", True)
    rows = list(csv.DictReader(io.StringIO(study_csv.render(study.scores))))
    assert [row["scope"] for row in rows] == ["portfolio", "home", "home"] * 2
    occupancies = {str(resident.occupancy.pk) for resident in homes.residents}
    assert {row["home"] for row in rows if row["home"]} == occupancies


def test_the_same_request_twice_is_one_study():
    key = uuid4()

    assert ask(study_id=key) == ask(study_id=key)
    assert PlaceboStudy.objects.count() == 1


def test_a_worker_that_went_away_is_followed_by_another(homes):
    study = ask()
    claimed = studying.claim(study.pk)
    assert claimed is not None
    assert studying.claim(study.pk) is None

    PlaceboStudy.objects.update(leased_until=clock.wall_now() - timedelta(seconds=1))
    assert studying.run_due(at=AFTER) == 1
    study.refresh_from_db()
    assert study.state == State.DONE


def test_without_readings_the_study_says_so():
    study = ask()
    studying.run_due(at=AFTER)

    study.refresh_from_db()
    assert study.state == State.FAILED
    assert study.failure == "nothing to study: homes=0, days=10"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rules": []}, "rules"),
        ({"rules": ["zero", "zero"]}, "rules"),
        ({"latest": date(2020, 1, 1)}, "latest"),
        ({"earliest": LATEST - timedelta(days=200)}, "latest"),
        ({"ordinal": 46}, "half_hours"),
        ({"half_hours": 0}, "half_hours"),
    ],
)
def test_what_makes_no_sense_is_named(changes, field):
    with pytest.raises(studying.StudyInvalid) as refused:
        ask(**changes)

    assert refused.value.data["field"] == field
    assert not PlaceboStudy.objects.exists()


@pytest.mark.parametrize(
    ("rule", "error"),
    [("dfs_2032", room_rules.UnknownRule), ("nominated", room_rules.RuleNeedsMore)],
)
def test_a_rule_that_cannot_be_studied_is_refused(rule, error):
    with pytest.raises(error):
        ask(rules=[rule])


def a_file(path):
    random = np.random.default_rng(6)
    days = [date(2026, 1, 5) + timedelta(days=n) for n in range(100)]
    with path.open("w") as file:
        file.write("LCLid,tstp,energy(kWh/hh)\n")
        for meter in ("MAC1", "MAC2"):
            for day in days:
                for start in period_starts(day):
                    file.write(f"{meter},{start:%Y-%m-%d %H:%M:%S},{random.integers(100, 400) / 1000}\n")


def test_a_file_becomes_a_cube_on_the_long_and_the_short_day(tmp_path):
    a_file(tmp_path / "homes.csv")

    meters, cube = cube_of_file(tmp_path / "homes.csv", adapter="lcl_csv")

    assert meters == ["MAC1", "MAC2"]
    counts = dict(zip(cube.days, cube.present[0].sum(axis=1).tolist(), strict=True))
    assert counts[date(2026, 3, 29)] == 46
    assert counts[date(2026, 3, 28)] == 48
    assert cube.net_wh[cube.present].min() >= 100


def test_the_command_studies_a_file(tmp_path, capsys):
    a_file(tmp_path / "homes.csv")
    out = tmp_path / "scores.csv"
    names = "dfs_2022,ena_mid_8_of_10"

    call_command("placebo", file=tmp_path / "homes.csv", adapter="lcl_csv", rules=names, csv=out, gaming=True)

    printed = capsys.readouterr().out
    assert "2 homes" in printed
    assert "gaming dfs_2022: z > 3 on" in printed
    rows = list(csv.DictReader(out.open()))
    assert [row["rule"] for row in rows if row["scope"] == "portfolio"] == names.split(",")
    assert {row["home"] for row in rows} == {"", "MAC1", "MAC2"}


def test_the_command_studies_the_store(homes, capsys, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: AFTER)

    call_command("placebo", rules="dfs_2023_domestic", earliest=LATEST - timedelta(days=9), latest=LATEST)

    assert "2 homes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at": "17:15"}, "half-hour of the day"),
        ({"half_hours": 40}, "1 to 12"),
        ({"rules": "dfs_2032"}, "unknown rule"),
        ({"programme": "NOPE"}, "No programme NOPE"),
        ({"calendar": "wales"}, "calendar"),
    ],
)
def test_the_command_says_what_is_wrong(options, words):
    with pytest.raises(CommandError, match=words):
        call_command("placebo", **options)


def test_every_preset_has_a_title_of_its_own():
    titles = [rule.title for rule in presets.PRESETS.values()]
    assert len(set(titles)) == len(titles)


def test_the_control_group_and_the_regression_are_measured_beside_the_rules(homes):
    study = ask(rules=["dfs_2023_domestic", "control_group", "temperature_regression"])
    studying.run_due(at=AFTER)

    study.refresh_from_db()
    assert [score["rule"] for score in study.scores] == [
        "dfs_2023_domestic",
        "control_group",
        "temperature_regression",
    ]
    assert [score["is_best"] for score in study.scores] == [True, False, False]
    assert abs(study.scores[1]["bias_pct"]) < 100
