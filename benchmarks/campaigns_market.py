"""Which requests to accept and whom to send to each, beside the exact best by scipy's milp.

Run it as `make bench-campaigns` or `python benchmarks/campaigns_market.py`. Of small random cases every set
of assets for every request is a column of the milp, so that what it finds is the best there is; the gap is
what the choice lacks of it. milp runs in `.venv-bench`; where that is not set up, it is said and left out.
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

from campaigns.market import income  # noqa: E402
from campaigns.market.income import Asked  # noqa: E402

CASES = int(os.environ.get("BENCH_CASES", "60"))
ASSETS = int(os.environ.get("BENCH_ASSETS", "8"))
HOMES = int(os.environ.get("BENCH_HOMES", "10000"))
ASK_MP = 1_000.0
PEER = Path(os.environ.get("BENCH_PYTHON", str(REPOSITORY / ".venv-bench" / "bin" / "python")))


def made_up(assets: int, requests: int, seed: int) -> tuple[list[Asked], Any, Any]:
    """Requests of an evening and assets of homes; together the requests want more than there is."""
    random = np.random.default_rng(seed)
    wanted = []
    each_w = 3_000 * assets / requests
    for _ in range(requests):
        starts, long = int(random.integers(32, 40)), int(random.integers(1, 6))
        profile = np.maximum(500, each_w * random.uniform(0.4, 1.6) * random.uniform(0.5, 1, long))
        wanted.append(
            Asked(
                profile_w=[int(each) for each in profile],
                price_mp_per_kwh=int(random.integers(5_000, 120_000)),
                penalty_mp_per_kwh=int(random.integers(0, 150_000)),
                least_w=int(random.choice([0, 0, int(0.5 * each_w)])),
                starts=starts,
                ends=starts + long,
            )
        )
    power = random.integers(500, 7_000, (assets, 1)) * (random.random((assets, requests)) > 0.2)
    return wanted, power.astype(np.float64), random.uniform(0.02, 0.4, assets)


def columns(wanted: list[Asked], power: Any, out: Any) -> dict[str, Any]:
    """Every worthwhile set of assets of every request, with what it is worth."""
    worth, request, bits = [], [], []
    assets = len(out)
    for number, each in enumerate(wanted):
        for chosen in range(1, 2**assets):
            has = np.array([(chosen >> asset) & 1 for asset in range(assets)], bool)
            if (power[has, number] <= 0).any():
                continue
            value = income.expected_mp(each, power[has, number], out[has], ask_mp=ASK_MP)
            if value > 0:
                worth.append(value)
                request.append(number)
                bits.append(chosen)
    meet = [
        (one, other)
        for one in range(len(wanted))
        for other in range(one)
        if wanted[one].starts < wanted[other].ends and wanted[other].starts < wanted[one].ends
    ]
    return {"worth": worth, "request": request, "bits": bits, "meet": meet, "assets": assets}


def line(name: str, value: float, unit: str, goal: float | None = None) -> None:
    """One figure, as every benchmark prints it."""
    wanted = f" goal {goal:g}" if goal is not None else ""
    sys.stdout.write(f"BENCH {name} {value:.4g} {unit}{wanted}\n")


def main() -> None:
    """Print the gap to the best, and how long a whole evening takes."""
    cases, ours, took = [], [], []
    for number in range(CASES):
        wanted, power, out = made_up(ASSETS, 2 + number % 3, seed=number)
        began = time.process_time()
        ours.append(income.best_choice(wanted, power, out, ask_mp=ASK_MP).total_mp)
        took.append(1000 * (time.process_time() - began))
        cases.append(columns(wanted, power, out))
    line("market_choice_small_cpu_ms", float(np.median(took)), "ms")
    if PEER.exists():
        done = subprocess.run(
            [str(PEER), str(Path(__file__).with_name("_milp_market.py"))],
            input=json.dumps({"cases": cases}) + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        best = json.loads(done.stdout.splitlines()[-1])
        gaps = [100 * (most - mine) / most for most, mine in zip(best, ours, strict=True) if most > 0]
        line("market_choice_mean_gap_to_milp", float(np.mean(gaps)), "%", 0.5)
        line("market_choice_largest_gap_to_milp", max(gaps), "%", 5)
        line("market_choice_exact_share", 100 * float(np.mean(np.array(gaps) < 1e-3)), "%")
    else:
        sys.stdout.write("_milp_market.py not run: `make bench-campaigns` sets its environment up\n")
    wanted, power, out = made_up(HOMES, 8, seed=1)
    began = time.process_time()
    found = income.best_choice(wanted, power, out, ask_mp=ASK_MP)
    line("market_choice_10000_assets_8_requests_cpu", time.process_time() - began, "s", 5)
    line("market_choice_accepted", sum(1 for each in found.income_mp if each > 0), "requests")


if __name__ == "__main__":
    main()
