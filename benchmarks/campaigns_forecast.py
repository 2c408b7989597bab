"""The flexibility forecast of a fleet: how long it takes, and how good the fan is against a simulated one.

Run it as `make bench-campaigns` or `python benchmarks/campaigns_forecast.py`. Cars, tanks and storage heaters
that are there by chance, on days that all of them share, which the sums do not know: what is learnt from
seven past forecasts has to make up for it in the six after.
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
    there_w, chance = there.power_w[:2_000, :96], there.chance[:2_000, :96]
    fan = fans.fans_of(there_w, chance, np.ones((1, len(there_w)), bool))[0]
    was = simulated(there_w, chance, days=14, seed=3)
    most_w = np.floor(there_w.sum(axis=0)).astype(np.int64)
    past = np.tile(fan, 7), was[:7].ravel()
    misses = fans.misses_of(*past, int(most_w.max()))
    learnt = fans.moved(fan, misses, most_w)
    for name, each in (("as_summed", fan), ("having_learnt", learnt)):
        told = fans.score(np.tile(each, 6), was[8:].ravel(), was[7:13].ravel())
        if told.coverage is None or told.skill is None:
            raise AssertionError("everything is known of a simulation")
        line(f"forecast_coverage_{name}", 100 * told.coverage, "%", 80 if each is learnt else None)
        line(f"forecast_skill_{name}", 100 * told.skill, "%", 0 if each is learnt else None)


def simulated(power_w: Any, chance: Any, *, days: int, seed: int) -> Any:
    """What was there on so many pairs of days, each with a share of its own that all assets have."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(days):
        likely = np.clip(chance * random.lognormal(0, 0.15), 0, 1)
        is_there = random.random(chance.shape) < likely
        found.append(np.rint((power_w * is_there).sum(axis=0)).astype(np.int64))
    return np.array(found)


if __name__ == "__main__":
    main()
