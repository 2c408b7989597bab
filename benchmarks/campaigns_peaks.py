"""Cars under a demand charge: cost beside the exact best by scipy's milp, and what a home takes.

Run it as `make bench-campaigns` or `python benchmarks/campaigns_peaks.py`. Nights of 46, 48 and 50
half-hours, prices of either sign, below zero nearly throughout, of two bands, or few and often equal; charges
from none to more than any energy. milp runs in `.venv-bench`;
where that is not set up, it is said and left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402

from campaigns.least_cost import capped, stepped  # noqa: E402

CASES = int(os.environ.get("BENCH_CASES", "60"))
PEER = Path(os.environ.get("BENCH_PYTHON", str(REPOSITORY / ".venv-bench" / "bin" / "python")))


def made_up(seed: int) -> tuple[Any, stepped.SteppedLoads, dict[str, Any]]:
    """A car and its home's night: price, the car, and what the home draws and pays for already."""
    random = np.random.default_rng(seed)
    slots = (46, 48, 50)[seed % 3]
    arrives, leaves = int(random.integers(8, 16)), int(random.integers(34, 40))
    need_wh = int(random.integers(2_000, 30_000))
    car = stepped.chargers(
        phases=np.ones(1, np.int64),
        most_amps=np.array([32]),
        need_wh=np.array([need_wh]),
        room_wh=np.array([need_wh + int(random.integers(0, 8_000))]),
        arrives=np.array([arrives]),
        leaves=np.array([leaves]),
        slots=slots,
    )
    home = {
        "base_wh": random.integers(50, 1_500, (1, slots)),
        "peak_so_far_wh": random.integers(0, 3_000, 1),
        "demand_price": capped.demand_price(int(random.choice([0, 2, 20, 150, 650]))),
    }
    return prices(random, slots, kind=seed // 3 % 4), car, home


def prices(random: np.random.Generator, slots: int, *, kind: int) -> Any:
    """A night's prices, of one of four kinds."""
    if kind == 0:
        return random.integers(-60_000, 400_000, slots)
    if kind == 1:
        return random.integers(-90_000, 10_000, slots)
    return random.choice([90_000, 285_000] if kind == 2 else [-50_000, 0, 1, 70_000], slots)


def told(price: Any, car: stepped.SteppedLoads, home: dict[str, Any]) -> dict[str, Any]:
    """The case as the peer takes it."""
    need, room = stepped.wanted_steps(car)
    base = home["base_wh"][0]
    return {
        "price": price.tolist(),
        "base_wh": base.tolist(),
        "floor_wh": int(max(home["peak_so_far_wh"][0], base.max())),
        "charge": home["demand_price"],
        "step_wh": int(car.step_wh[0]),
        "least": int(car.least[0]),
        "most": int(car.most[0]),
        "need": int(need[0]),
        "room": int(room[0]),
        "is_available": car.is_available[0].tolist(),
    }


def line(name: str, value: float, unit: str, goal: float | None = None) -> None:
    """One figure, as every benchmark prints it."""
    wanted = f" goal {goal:g}" if goal is not None else ""
    sys.stdout.write(f"BENCH {name} {value:.4g} {unit}{wanted}\n")


def main() -> None:
    """Print the largest gap to the best, and how long a home takes here and there."""
    cases, ours, took = [], [], []
    for seed in range(CASES):
        price, car, home = made_up(seed)
        began = time.process_time()
        found = capped.least_cost_with_demand_charge(price, car, **home)
        took.append(1000 * (time.process_time() - began))
        ours.append(int(found.plans.cost[0] + found.demand_cost[0]))
        cases.append(told(price, car, home))
    line("demand_charge_plan_a_home_median_cpu_ms", float(np.median(took)), "ms")
    if not PEER.exists():
        sys.stdout.write("_milp_peak.py not run: `make bench-campaigns` sets its environment up\n")
        return
    done = subprocess.run(
        [str(PEER), str(Path(__file__).with_name("_milp_peak.py"))],
        input=json.dumps({"cases": cases}) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(done.stdout.splitlines()[-1])
    gaps = [abs(mine - best) / max(1.0, abs(best)) for mine, (_, best) in zip(ours, answers, strict=True)]
    line("demand_charge_largest_gap_to_milp", 100 * max(gaps), "%", 0.0001)
    line("demand_charge_milp_a_home_median_cpu_ms", float(np.median([each for each, _ in answers])), "ms")


if __name__ == "__main__":
    main()
