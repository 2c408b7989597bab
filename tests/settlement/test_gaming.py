"""The detector against a slow count; it finds what was put there and rarely cries over what was not."""

from __future__ import annotations

import statistics
from datetime import UTC, date, datetime

import numpy as np
import pytest

from settlement import baselines
from settlement.baselines import gaming, presets
from settlement.baselines.clock import LocalHalfHour
from tests.settlement.cubes import Cube, days_between, half_hours

EVENT = half_hours(datetime(2026, 11, 24, 17, tzinfo=UTC), 4)
DAYS = days_between(date(2026, 8, 20), date(2026, 11, 24))
WINDOW = slice(26, 32)


def cube(homes: int = 40, seed: int = 5) -> Cube:
    random = np.random.default_rng(seed)
    net_wh = random.gamma(3.0, 120.0, (homes, len(DAYS), 50)).astype(np.int64)
    present = np.ones(net_wh.shape, np.bool_)
    present[:, :, 48:] = False
    return Cube(tuple(DAYS), net_wh, present)


def test_z_is_that_of_a_slow_count():
    some = cube(3)
    found = gaming.window_scores(presets.DFS_2022, some, EVENT, [()] * 3)

    like = baselines.candidate_days(presets.DFS_2022, date(2026, 11, 24))
    for home in range(3):
        usual = [some.net_wh[home, DAYS.index(day), WINDOW].mean() for day in like]
        on_day = some.net_wh[home, -1, WINDOW].mean()
        z = (on_day - statistics.mean(usual)) / statistics.stdev(usual)
        assert found.judged.z[home] == pytest.approx(z)
    assert found.judged.known.all()


def test_a_pushed_window_is_flagged_with_what_it_was_worth():
    some = cube()
    some.net_wh[7, -1, WINDOW] += 2_000

    found = gaming.window_scores(presets.DFS_2022, some, EVENT, [()] * 40)

    assert found.judged.flagged()[7]
    assert found.judged.flagged().sum() <= 3
    assert (found.with_adjustment.wh[7] > found.without_adjustment.wh[7] + 1_500).all()


def test_a_turn_up_is_favoured_by_a_low_window():
    some = cube()
    some.net_wh[7, -1, WINDOW] = 0

    down = gaming.window_scores(presets.DFS_2022, some, EVENT, [()] * 40)
    up = gaming.window_scores(presets.DFS_2022, some, EVENT, [()] * 40, is_turn_up=True)

    assert up.judged.flagged()[7]
    assert not down.judged.flagged()[7]
    np.testing.assert_array_equal(up.judged.z, -down.judged.z)


def test_a_rule_without_a_window_is_watched_all_the_same():
    some = cube()
    some.net_wh[7, -1, WINDOW] += 2_000
    needed = baselines.days_needed(gaming.watched(presets.DFS_2023_DOMESTIC), EVENT, [()])
    assert set(needed) >= set(baselines.days_needed(presets.DFS_2023_DOMESTIC, EVENT, [()]))
    rows = [DAYS.index(day) for day in needed]
    only = Cube(tuple(needed), some.net_wh[:, rows], some.present[:, rows])

    found = gaming.window_scores(presets.DFS_2023_DOMESTIC, only, EVENT, [()] * 40)

    assert found.judged.flagged()[7]
    np.testing.assert_array_equal(found.with_adjustment.wh, found.without_adjustment.wh)


def test_too_little_to_judge_is_not_flagged():
    some = cube()
    some.present[0, -1, WINDOW] = False
    some.present[1, :-3] = False

    found = gaming.window_scores(presets.DFS_2022, some, EVENT, [()] * 40)

    assert found.judged.known.tolist()[:3] == [False, False, True]
    assert not found.judged.flagged()[:2].any()


def test_false_alarms_are_measured_and_a_threshold_holds_them():
    some = cube()
    evening = [LocalHalfHour(ordinal, 0) for ordinal in range(34, 38)]
    innocent = gaming.innocent_z(presets.DFS_2022, some, DAYS[-20:], evening, [{DAYS[-3]}] * 40)

    assert len(innocent) == 19 * 40
    share = gaming.false_alarms(innocent)
    assert share == (innocent > 3).mean()
    threshold = gaming.threshold_for(innocent, 0.01)
    assert (innocent > threshold).mean() <= 0.01
    assert gaming.false_alarms(np.zeros(0)) is None
    assert gaming.threshold_for(np.zeros(0), 0.01) is None


def test_small_pushes_add_up():
    assert gaming.combined_z([1.5] * 9) == pytest.approx(4.5)
    assert gaming.combined_z([]) == 0
