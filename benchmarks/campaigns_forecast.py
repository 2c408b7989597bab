"""The flexibility forecast of a fleet: how long it takes, and how good the fan is against a simulated one.

Run it as `make bench-campaigns` or `python benchmarks/campaigns_forecast.py`. Cars, tanks and storage heaters
that are there by chance, on days that all of them share, which the sums do not know: what is learnt has to
make up for it. A season is worked out as the site does, day by day from the four weeks before of which it is
known what was there, and once from a first fortnight alone. One season tells little of coverage, as its days
are few: figures are means of SEASONS of them, with how far a mean of so many may be off.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")

import numpy as np  # noqa: E402

from campaigns.forecasting import fans, likelihood  # noqa: E402
from campaigns.forecasting.likelihood import History, Now, Things  # noqa: E402

ASSETS = int(os.environ.get("BENCH_HOMES", "10000"))
ZONES = int(os.environ.get("BENCH_ZONES", "40"))
STARTS_AT = datetime(2026, 1, 14, 0, 30, tzinfo=UTC)
HALF_HOURS = 108
A_DAY = 48
SEASONS = int(os.environ.get("BENCH_SEASONS", "40"))
DAYS = 56
LEARNT_FROM, KNOWN_AFTER, FIRST_DAYS = 28, 4, 14
MOODS = ("none", "two_days", "each_day", "carried_over")
"""What homes of a day have in common: nothing, a share drawn for two days or for one, or one that wanes."""
CARRIED = 0.7
SHARED = 0.15
KINDS = ("ev_charger", "immersion_heater", "storage_heater")


def made_up(assets: int, seed: int) -> tuple[Things, History, Now, Any]:
    """Assets, four weeks of what their devices said, how they stand, and what their homes use."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, assets)
    rated = np.array([7_360.0, 3_000, 2_500])[kind]
    things = Things(tuple(KINDS[each] for each in kind), rated, rated / 4, np.arange(assets))
    shape = np.sin(np.arange(48) / 48 * 2 * np.pi) * 0.2 + 0.25
    seen = np.full((assets, 48), 28.0)
    drew = random.binomial(28, np.clip(shape * random.uniform(0.4, 1.4, (assets, 1)), 0, 1)).astype(float)
    ready = np.minimum(28, drew + random.integers(0, 10, (assets, 48)))
    history = History(seen, drew, rated[:, None] * random.uniform(0.6, 1, (assets, 48)), seen, ready)
    now = Now(*np.where(random.random((2, assets)) < 0.2, np.nan, random.integers(0, 2, (2, assets))))
    return things, history, now, random.integers(-1, 3_000, (assets, HALF_HOURS))


def groups(things: Things, zones: int, seed: int) -> Any:
    """Everywhere and so many zones, with all of their assets and those of each kind: [group, asset]."""
    zone = np.random.default_rng(seed).integers(0, zones, len(things.kind))
    kinds = np.array(things.kind)
    places = [np.ones(len(zone), bool), *(zone == each for each in range(zones))]
    return np.array([place & of for place in places for of in (True, *(kinds == each for each in KINDS))])


def line(name: str, value: float, unit: str, goal: float | None = None) -> None:
    """One figure, as every benchmark prints it."""
    wanted = f" goal {goal:g}" if goal is not None else ""
    sys.stdout.write(f"BENCH {name} {value:.4g} {unit}{wanted}\n")


def main() -> None:
    """Print what a whole forecast takes, and how honest and how much better than yesterday it is."""
    axis = likelihood.axis_of([STARTS_AT + n * timedelta(minutes=30) for n in range(HALF_HOURS)])
    things, history, now, usual_w = made_up(ASSETS, seed=1)
    everywhere = np.ones((1, ASSETS), bool)
    for name, is_in in (("forecast", everywhere), ("forecast_all_zones", groups(things, ZONES, seed=2))):
        began = time.process_time()
        for is_turn_down in (True, False):
            there = likelihood.there(things, axis, history, now, usual_w, is_turn_down=is_turn_down)
            for comes in (1.0, 0.9):
                fans.fans_of(there.power_w, there.chance * comes, is_in)
        line(f"{name}_{ASSETS}_assets_cpu", time.process_time() - began, "s", 1 if len(is_in) == 1 else None)
        line(f"{name}_groups", len(is_in), "groups")
    there = likelihood.there(things, axis, history, now, usual_w, is_turn_down=True)
    there_w, chance = there.power_w[:2_000, :A_DAY], there.chance[:2_000, :A_DAY]
    means = [quality(mood, there_w, chance) for mood in MOODS]
    for name, told in zip(
        ("as_summed", "after_a_fortnight", "having_learnt"), np.mean(means, axis=0), strict=True
    ):
        coverage, width, skill = told
        line(f"forecast_coverage_{name}", coverage, "%", 80 if name == "having_learnt" else None)
        line(f"forecast_width_{name}", width, "%")
        line(f"forecast_skill_{name}", skill, "%", 0 if name == "having_learnt" else None)


def quality(mood: str, power_w: Any, chance: Any) -> Any:
    """Means over the seasons, in per cent: of fans as summed, from a first fortnight and having learnt (rows)
    the coverage, the mean width by the mean middle, and the skill (columns).
    """
    fan = fans.fans_of(power_w, chance, np.ones((1, len(power_w)), bool))[0]
    most_w = np.floor(power_w.sum(axis=0)).astype(np.int64)
    found = []
    for seed in range(SEASONS):
        was = simulated(power_w, chance, moods(mood, DAYS, seed=1_000 + seed), seed=seed)

        def learnt(since: int, until: int, was: Any = was) -> Any:
            day = np.arange(since, until).repeat(A_DAY)
            past = np.tile(fan, until - since), was[since:until].ravel()
            return fans.moved(fan, fans.misses_of(*past, int(most_w.max()), day), most_w)

        first = learnt(0, FIRST_DAYS)
        scored = range(LEARNT_FROM + KNOWN_AFTER, DAYS)
        told = [
            [fan for _ in scored],
            [first for _ in scored],
            [learnt(day - LEARNT_FROM, day - KNOWN_AFTER) for day in scored],
        ]
        found.append([figures(np.array(each), was) for each in told])
    mean, off = np.mean(found, axis=0), np.std(found, axis=0)[:, 0] / np.sqrt(SEASONS)
    for name, row, error in zip(("summed", "fortnight", "learnt"), mean, off, strict=True):
        line(f"forecast_{mood}_{name}_coverage", row[0], "%")
        line(f"forecast_{mood}_{name}_coverage_standard_error", error, "%")
        line(f"forecast_{mood}_{name}_width", row[1], "%")
    return mean


def figures(told: Any, was: Any) -> tuple[float, float, float]:
    """Coverage, width and skill of fans [day, 3, half-hour] for the last days of `was` [day, half-hour]."""
    fan = np.concatenate(list(told), axis=1)
    score = fans.score(fan, was[-len(told) :].ravel(), was[-len(told) - 1 : -1].ravel())
    if score.coverage is None or score.skill is None:
        raise AssertionError("everything is known of a simulation")
    return 100 * score.coverage, 100 * float((fan[2] - fan[0]).mean() / fan[1].mean()), 100 * score.skill


def moods(mood: str, days: int, *, seed: int) -> Any:
    """What the chance of every asset is multiplied by on each day [day]."""
    drawn = np.random.default_rng(seed).normal(0, 1, days)
    if mood == "none":
        drawn[:] = 0
    elif mood == "two_days":
        drawn = drawn[: (days + 1) // 2].repeat(2)[:days]
    elif mood == "carried_over":
        for day in range(1, days):
            drawn[day] = CARRIED * drawn[day - 1] + np.sqrt(1 - CARRIED**2) * drawn[day]
    return np.exp(SHARED * drawn)


def simulated(power_w: Any, chance: Any, shares: Any, *, seed: int) -> Any:
    """What was there on days with these shares of the chances [day]: [day, half-hour]."""
    random = np.random.default_rng(seed)
    found = []
    for share in shares:
        is_there = random.random(chance.shape) < np.clip(chance * share, 0, 1)
        found.append(np.rint((power_w * is_there).sum(axis=0)).astype(np.int64))
    return np.array(found)


if __name__ == "__main__":
    main()
