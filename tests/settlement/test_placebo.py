"""Placebo studies against a slow count, and what they say of rules whose error is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from settlement import baselines
from settlement.baselines import placebo, presets
from settlement.baselines.clock import LocalHalfHour
from settlement.baselines.control_group import ControlGroup
from settlement.baselines.placebo import pretend_days, pretend_event, study
from settlement.study_files import TemperaturesUnreadable, temperatures_of_file
from tests.settlement.cubes import Cube, days_between

EVENING = tuple(LocalHalfHour(ordinal, 0) for ordinal in range(34, 38))
CONTROL = ControlGroup(like=presets.DFS_2023_DOMESTIC)
EARLIEST, LATEST = date(2026, 8, 1), date(2026, 11, 24)


def cube(homes: int = 4, *, seed: int = 3, gaps: float = 0.05) -> Cube:
    random = np.random.default_rng(seed)
    days = days_between(EARLIEST, LATEST)
    present = random.random((homes, len(days), 50)) >= gaps
    present[:, :, 48:] = False
    return Cube(tuple(days), random.integers(100, 900, present.shape), present)


def test_scores_are_those_of_a_slow_count():
    some, event_days = cube(), [set(), {date(2026, 11, 18)}, set(), set()]
    rules = [presets.DFS_2023_DOMESTIC, presets.CAISO_10_IN_10]
    days = pretend_days(rules, some, EVENING, earliest=date(2026, 11, 9))

    found = study(rules, some, days, EVENING, event_days, seed=1)

    assert found.days == tuple(days_between(date(2026, 11, 9), LATEST))
    for rule, score in zip(rules, found.scores, strict=True):
        errors: dict[tuple, int] = {}
        use: dict[tuple, int] = {}
        for day in days:
            event = pretend_event(day, EVENING)
            result = baselines.baseline(rule, some, event, event_days)
            metered, has = baselines.readings_at(some, event)
            for home in range(4):
                for column in range(4):
                    if has[home, column] and result.present[home, column] and day not in event_days[home]:
                        errors[day, column, home] = int(result.wh[home, column] - metered[home, column])
                        use[day, column, home] = int(metered[home, column])
        together = sum(use.values())
        assert score.bias_pct == pytest.approx(100 * sum(errors.values()) / together)
        slots = {key[:2] for key in errors}
        sums = [sum(errors.get((*slot, home), 0) for home in range(4)) for slot in slots]
        rms = (sum(value * value for value in sums) / len(slots)) ** 0.5
        assert score.rrmse_pct == pytest.approx(100 * rms / (together / len(slots)))
        assert score.bias_low_pct <= score.bias_pct <= score.bias_high_pct
        for home, one in enumerate(score.by_home):
            own = [value for key, value in errors.items() if key[2] == home]
            used = sum(value for key, value in use.items() if key[2] == home)
            assert one.measured == len(own)
            assert one.bias_pct == pytest.approx(100 * sum(own) / used)
            mean_square = sum(value * value for value in own) / len(own)
            assert one.rrmse_pct == pytest.approx(100 * mean_square**0.5 / (used / len(own)))


def test_the_same_seed_gives_the_same_study():
    some = cube()
    days = pretend_days([presets.DFS_2022], some, EVENING)
    once, again = (study([presets.DFS_2022], some, days, EVENING, [()] * 4, seed=7) for _ in range(2))

    assert once == again
    other = study([presets.DFS_2022], some, days, EVENING, [()] * 4, seed=8)
    assert other.scores[0].bias_pct == once.scores[0].bias_pct
    assert other.scores[0].bias_low_pct != once.scores[0].bias_low_pct


def test_homes_that_never_change_are_measured_without_error():
    some = cube(gaps=0.3)
    steady = Cube(some.days, np.full_like(some.net_wh, 400), some.present)
    days = pretend_days([presets.DFS_2023_DOMESTIC], steady, EVENING)

    (score,) = study([presets.DFS_2023_DOMESTIC], steady, days, EVENING, [()] * 4).scores

    assert (score.bias_pct, score.rrmse_pct, score.home_rrmse_pct) == (0, 0, 0)
    assert score.coverage > 0.9


def test_a_rule_that_is_wrong_on_purpose_loses():
    some = cube()
    rules = [presets.ZERO, presets.DFS_2023_DOMESTIC]
    days = pretend_days(rules, some, EVENING)

    found = study(rules, some, days, EVENING, [()] * 4)

    assert found.scores[0].bias_pct == -100
    assert found.best is not None
    assert found.best.rule is presets.DFS_2023_DOMESTIC


def test_a_rule_that_covers_little_is_not_suggested():
    some = cube(gaps=0.5)
    picky = replace(
        presets.DFS_2023_DOMESTIC,
        name="picky",
        day_types=tuple(
            replace(kind, minimum=kind.candidates) for kind in presets.DFS_2023_DOMESTIC.day_types
        ),
    )
    days = pretend_days([picky], some, EVENING)
    found = study([picky, presets.DFS_2023_DOMESTIC], some, days, EVENING, [()] * 4)

    assert found.scores[0].coverage < 0.2
    assert found.best is not None
    assert found.best.rule is presets.DFS_2023_DOMESTIC


def test_days_without_enough_history_carry_no_event():
    days = pretend_days([presets.ISO_NE_90_10], cube(), EVENING)

    assert days[0] == date(2026, 9, 26)
    night = (LocalHalfHour(2, 0),)
    assert pretend_event(date(2026, 3, 29), night) == []
    assert len(pretend_event(date(2026, 10, 25), (LocalHalfHour(2, 0), LocalHalfHour(2, 1)))) == 2


def test_nothing_to_study_is_no_score():
    found = study([presets.ZERO], cube(), [], EVENING, [()] * 4)

    assert found.scores[0].bias_pct is None
    assert found.scores[0].coverage == 0
    assert placebo.best_of(found.scores) is None


def test_progress_ends_at_the_total():
    told = []
    some = cube()
    study(
        [presets.ZERO, presets.DFS_2022],
        some,
        days_between(date(2026, 11, 20), LATEST),
        EVENING,
        [()] * 4,
        progress=lambda done, total: told.append((done, total)),
    )

    assert told == [(number, 10) for number in range(1, 11)]


def test_a_control_group_sees_what_moves_every_home():
    some = cube(homes=60)
    warm = pretend_days([presets.DFS_2023_DOMESTIC], some, EVENING)[-1]
    some.net_wh[:, some.days.index(warm)] += 400

    found = study([presets.DFS_2023_DOMESTIC, CONTROL], some, [warm], EVENING, [()] * 60, seed=3)

    by_rule, by_control = found.scores
    assert by_rule.bias_pct < -35
    assert abs(by_control.bias_pct) < 10
    assert by_control.coverage == pytest.approx(0.8, abs=0.02)
    assert found.best is by_rule


def test_every_home_is_held_out_in_turn_and_drawn_again_from_the_seed():
    some = cube(homes=20)
    days = pretend_days([presets.DFS_2023_DOMESTIC], some, EVENING)[-10:]

    one, again = (study([CONTROL], some, days, EVENING, [()] * 20, seed=3).scores[0] for _ in range(2))

    assert one.by_home == again.by_home
    assert one.coverage == pytest.approx(0.8, abs=0.02)
    assert max(home.measured for home in one.by_home) <= 8 * len(EVENING)
    assert ControlGroup.from_data(CONTROL.as_data()) == CONTROL


def test_a_single_home_has_no_control_group():
    some = cube(homes=1)
    days = pretend_days([presets.DFS_2023_DOMESTIC], some, EVENING)

    (score,) = study([CONTROL], some, days, EVENING, [()]).scores

    assert (score.coverage, score.bias_pct) == (0.0, None)


def test_temperatures_come_from_a_file_and_a_bad_line_is_named(tmp_path):
    path = tmp_path / "warmth.csv"
    path.write_text("time,celsius\n2026-11-02T00:00:00Z,4.5\n2026-11-02T01:00:00Z,-1\n")

    given = temperatures_of_file(path, [date(2026, 11, 2)])

    assert given.has_temperature[0, :5].tolist() == [True, True, True, True, False]
    assert given.temperature_tenths_c[0, :4].tolist() == [45, 45, -10, -10]
    path.write_text("time,celsius\n2026-11-02T00:00:00Z,mild\n")
    with pytest.raises(TemperaturesUnreadable) as refused:
        temperatures_of_file(path, [date(2026, 11, 2)])
    assert refused.value.data["line"] == 2
