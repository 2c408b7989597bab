"""Least-cost plans of 10,000 homes, a fleet under a feeder's cap and the portfolio choice, beside peers.

Run it as `make bench-campaigns` or `python benchmarks/campaigns_plans.py`. In the same run stand scipy's milp
and HiGHS (`.venv-bench`) and FlexMeasures' device scheduler (`.venv-bench-flexmeasures`), in processes of
their own; what is not installed is said and left out. FlexMeasures plans continuous power: easier.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402

from campaigns import portfolio  # noqa: E402
from campaigns.least_cost import capped, feeder, stepped, storing, tank  # noqa: E402
from campaigns.least_cost.stepped import PENCE, Ints, SteppedLoads  # noqa: E402

HOMES = int(os.environ.get("BENCH_HOMES", "10000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MILP_EVS = int(os.environ.get("BENCH_MILP_EVS", "60"))
FLEX_EVS = int(os.environ.get("BENCH_FLEXMEASURES_EVS", "20"))
SLOTS = 48
BELOW_ZERO = "below_zero"
PYTHONS = {
    "_milp_ev.py": REPOSITORY / ".venv-bench" / "bin" / "python",
    "_flexmeasures_ev.py": REPOSITORY / ".venv-bench-flexmeasures" / "bin" / "python",
}


def cpu_ms(work: Callable[[], object]) -> float:
    """Least CPU milliseconds of the rounds: wall time on a shared machine says more of its neighbours."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        taken.append(1000 * (time.process_time() - began))
    return min(taken)


def wall_seconds(work: Callable[[], object]) -> float:
    """Median wall seconds of the rounds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def cars(count: int, seed: int, slots: int = SLOTS) -> SteppedLoads:
    """EVs that come in the evening and go in the morning, one in ten on three phases."""
    random = np.random.default_rng(seed)
    need_wh = random.integers(3_000, 33_000, count)
    return stepped.chargers(
        phases=np.where(random.random(count) < 0.1, 3, 1),
        most_amps=random.choice([16, 32], count, p=[0.1, 0.9]),
        need_wh=need_wh,
        room_wh=need_wh + random.integers(0, 2, count) * 8_000,
        arrives=random.integers(0, 16, count),
        leaves=random.integers(28, slots, count),
        slots=slots,
    )


def prices(seed: int, slots: int = SLOTS) -> Ints:
    """A day like Agile's, some half-hours below zero."""
    random = np.random.default_rng(seed)
    shape = 12 + 9 * np.sin(np.arange(slots) / slots * 4 * np.pi) + random.normal(0, 8, slots)
    return np.rint(shape * 10_000).astype(np.int64)


def beside(script: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What the peer answers; None, and said, where it is not installed."""
    if not PYTHONS[script].exists():
        sys.stdout.write(f"{script} not run: `make bench-campaigns` sets its environment up\n")
        return None
    done = subprocess.run(
        [str(PYTHONS[script]), str(Path(__file__).with_name(script))],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def milp_cases() -> tuple[list[dict[str, Any]], list[int]]:
    """EVs for milp, and what ours cost: days of 46, 48 and 50 half-hours, prices of either sign."""
    asked, ours = [], []
    for turn, slots in enumerate((46, 48, 50)):
        evs, price = cars(MILP_EVS // 3, 70 + turn, slots), prices(90 + turn, slots)
        need, room = stepped.wanted_steps(evs)
        plans = stepped.least_cost(price, evs)
        for number in range(len(need)):
            asked.append(
                {
                    "price": (price / 10_000).tolist(),
                    "kwh_a_step": int(evs.step_wh[number]) / 1000,
                    "least": int(evs.least[number]),
                    "most": int(evs.most[number]),
                    "need": int(need[number]),
                    "room": int(room[number]),
                    "is_available": evs.is_available[number].astype(int).tolist(),
                }
            )
            ours.append(int(plans.cost[number]))
    return asked, ours


def fleet(count: int, price: Ints, share: float) -> tuple[SteppedLoads, Ints]:
    """A fleet without room beyond its needs, and a cap that takes `share` of its cheapest peak."""
    evs = cars(count, 3)
    need = stepped.wanted_steps(evs)[0] * evs.step_wh
    evs = SteppedLoads(evs.step_wh, evs.least, evs.most, need, need, evs.is_available)
    load = (stepped.least_cost(price, evs).steps * evs.step_wh[:, None]).sum(axis=0)
    return evs, np.full(SLOTS, int(share * load.max()))


def fleet_case(evs: SteppedLoads, price: Ints, cap_wh: Ints) -> dict[str, Any]:
    """The fleet as the linear programme takes it."""
    on = evs.is_available
    return {
        "price": (price / 10_000).tolist(),
        "kwh_a_slot": (evs.step_wh * evs.most / 1000).tolist(),
        "need_kwh": (evs.need_wh / 1000).tolist(),
        "cap_kwh": (cap_wh / 1000).tolist(),
        "arrives": on.argmax(axis=1).tolist(),
        "leaves": (SLOTS - on[:, ::-1].argmax(axis=1)).tolist(),
    }


def assets(count: int, half_hours: int, *, hold: bool) -> tuple[portfolio.Candidates, portfolio.Terms]:
    """Assets of every size and reliability on forty feeders, and a profile of a seventh of what they have."""
    random = np.random.default_rng(half_hours)
    given = portfolio.Candidates(
        power_w=random.integers(300, 7_360, count),
        chance_out=np.clip(random.beta(2, 18, count), 0.005, 0.6),
        holds=np.full(count, half_hours) if hold else random.choice([2, 4, 8, 20], count),
        rebound_pct=np.zeros(count, np.int64) if hold else random.choice([0, 30, 60], count),
        cost_mp=random.integers(2_000, 40_000, count),
        feeder=random.integers(-1, 40, count),
        asked_lately=np.zeros(count, np.int64) if hold else random.integers(0, 13, count),
    )
    total = float((given.power_w * (1 - given.chance_out)).sum())
    shape = np.ones(half_hours) if hold else 1 + 0.4 * np.sin(np.arange(half_hours))
    return given, portfolio.Terms(
        asked_w=np.rint(total / 7 * shape).astype(np.int64), feeder_cap_w=np.full(40, int(total * 0.02))
    )


def tanks(count: int) -> tank.Tanks:
    """Cylinders of 120 to 210 litres, baths at times of their own, one in seven due for 60 °C."""
    random = np.random.default_rng(8)
    litres = random.choice([120, 150, 180, 210], count)
    ready, draw = np.zeros((count, SLOTS), np.int64), np.zeros((count, SLOTS), np.int64)
    for _ in range(3):
        when = random.integers(0, SLOTS, count)
        ready[np.arange(count), when] = tank.heat_wh(litres, 48)
        draw[np.arange(count), when] = random.integers(40, 120, count) * tank.GRAIN_WH
    return tank.Tanks(
        heater_w=random.choice([2_800, 3_200, 3_680], count),
        full_wh=tank.heat_wh(litres, 65),
        sterile_wh=tank.heat_wh(litres, 60),
        loss_w_per_kelvin=random.uniform(1.2, 2.4, count),
        litres=litres,
        room_c=np.full(count, 18),
        stored_wh=tank.heat_wh(litres, 45),
        ready_wh=ready,
        draw_wh=draw,
        may_heat=np.ones((count, SLOTS), np.bool_),
        sterile_by=np.where(random.random(count) < 1 / 7, SLOTS - 1, tank.NOT_DUE),
    )


def other_assets(line: Callable[..., None]) -> None:
    """Tanks, storage heaters, batteries, and homes under a demand charge."""
    price = prices(1)
    random = np.random.default_rng(4)
    line("tank_plans_10000_homes_cpu_ms", cpu_ms(lambda: tank.least_cost_heat(price, tanks(HOMES))), "ms")
    window = np.zeros((HOMES, SLOTS), np.bool_)
    window[:, 1:15] = True
    heaters = storing.storage_heaters(
        heater_w=np.full(HOMES, 2_500),
        need_wh=random.integers(0, 18_000, HOMES),
        core_wh=np.full(HOMES, 18_000),
        stored_wh=np.zeros(HOMES, np.int64),
        is_window=window,
    )
    line("storage_heater_plans_10000_homes_cpu_ms", cpu_ms(lambda: stepped.least_cost(price, heaters)), "ms")
    some = np.ones(20, np.int64)
    batteries = storing.Batteries(some * 250, some * 5, some * 40, some * 10, some * 10, some * 95, some * 95)
    battery_ms = cpu_ms(lambda: storing.least_cost_battery(price, price - 20_000, batteries))
    line("battery_plan_a_home_cpu_ms", battery_ms / 20, "ms")
    evs, base = cars(20, 6), random.integers(50, 900, (20, SLOTS))
    charged_ms = cpu_ms(
        lambda: capped.least_cost_with_demand_charge(
            price,
            evs,
            base_wh=base,
            peak_so_far_wh=np.full(20, 1_500),
            demand_price=capped.demand_price(20),
        )
    )
    line("demand_charge_plan_a_home_cpu_ms", charged_ms / 20, "ms")


def main() -> None:
    """Measure, ask the peers, print a line a figure."""
    lines: list[str] = []

    def line(name: str, value: float, unit: str, goal: float | None = None) -> None:
        lines.append(f"BENCH {name} {value:.6g} {unit}" + ("" if goal is None else f" goal {goal:g}"))

    price, evs = prices(1), cars(HOMES, 1)
    plan_ms = cpu_ms(lambda: stepped.least_cost(price, evs))
    a_home_ms = plan_ms / HOMES
    line("ev_plans_10000_homes_cpu_ms", plan_ms, "ms", 100)
    line("ev_plan_a_home_cpu_us", 1000 * a_home_ms, "us", 100)
    other_assets(line)

    dear = price + 15 * 10_000
    caps = {
        "binding": (HOMES, dear, 0.6),
        "hard": (HOMES, dear, 0.35),
        "hard_5000": (HOMES // 2, dear, 0.35),
        **{f"hard_{count}": (count, dear, 0.35) for count in (100, 300, 1_000, 2_000)},
        BELOW_ZERO: (HOMES, price, 0.6),
    }
    fleets, found = {}, {}
    for name, (count, told_price, share) in caps.items():
        loads, cap_wh = fleet(count, told_price, share)
        fleets[name] = (loads, told_price, cap_wh)
        seconds = cpu_ms(lambda: feeder.least_cost_under_cap(told_price, loads, cap_wh)) / 1000  # noqa: B023
        found[name] = feeder.least_cost_under_cap(told_price, loads, cap_wh)
        load = (found[name].plans.steps * loads.step_wh[:, None]).sum(axis=0)
        # Never above the cap, every need met: else the figure says nothing.
        if (load > cap_wh).any() or found[name].plans.shortfall_wh.any() or not found[name].is_binding:
            raise SystemExit(f"The benchmark measured something else: fleet {name}")
        line(f"feeder_fleet_{name}_cpu_seconds", seconds, "s", 1)

    for name, half_hours, hold in (("four_hours", 8, False), ("two_hours_all_hold", 4, True)):
        given, terms = assets(HOMES, half_hours, hold=hold)
        line(
            f"portfolio_10000_{name}_wall_ms",
            1000 * wall_seconds(lambda: portfolio.choose_portfolio(given, terms)),  # noqa: B023
            "ms",
            50,
        )
        chosen = portfolio.choose_portfolio(given, terms)
        delivered = 100 * portfolio.simulated_delivery(chosen, draws=10_000, seed=77)
        line(f"portfolio_10000_{name}_simulated_delivery_pct", delivered, "%", 95)
        if chosen.shortfall_w.any():
            raise SystemExit("The benchmark measured something else: the portfolio falls short")
    explained_ms = cpu_ms(lambda: [portfolio.words(chosen, number) for number in range(HOMES)])
    line("portfolio_10000_explained_cpu_ms", explained_ms, "ms")
    # With the deviation of the portfolio chosen, what its mean must reach is linear.
    margin_w = float((chosen.expected_w - chosen.sure_w).max())

    asked, ours = milp_cases()
    told = beside(
        "_milp_ev.py",
        {
            "evs": asked,
            "fleets": [fleet_case(*each) for each in fleets.values()],
            "portfolio": {
                "cost_mp": (given.cost_mp * half_hours).tolist(),
                "mean_w": (given.power_w * (1 - given.chance_out)).tolist(),
                "power_w": given.power_w.tolist(),
                "feeder": given.feeder.tolist(),
                "feeder_cap_w": terms.feeder_cap_w.tolist(),
                "wanted_w": float(terms.asked_w.max()) + margin_w,
            },
        },
    )
    if told:
        milp_ms = statistics.median(each[0] for each in told["evs"])
        gaps = [abs(each[1] - cost / PENCE) for each, cost in zip(told["evs"], ours, strict=True)]
        line("milp_ev_plan_cpu_ms", milp_ms, "ms")
        line("ev_plan_faster_than_milp", milp_ms / a_home_ms, "times", 500)
        line("ev_plan_largest_gap_to_milp_pence", max(gaps), "p", 1e-6)
        for (name, each), (seconds, cost) in zip(found.items(), told["fleets"], strict=True):
            line(f"highs_fleet_{name}_seconds", seconds, "s")
            loads, told_price, _ = fleets[name]
            extra = float(each.plans.cost.sum()) / PENCE - cost
            if name == BELOW_ZERO:
                # What is earned and what is paid nearly cancel: the share is of both together.
                turnover = (each.plans.steps * np.abs(told_price)).sum(axis=1) @ loads.step_wh / PENCE
                line(f"feeder_fleet_{name}_gap_to_highs_lp_pct_of_turnover", 100 * extra / turnover, "%")
            else:
                line(f"feeder_fleet_{name}_gap_to_highs_lp_pct", 100 * extra / cost, "%", 0.1)
        line(
            "portfolio_cost_over_linear_bound_pct",
            100 * (chosen.cost_mp / told["portfolio"] - 1),
            "%",
        )
    few = cars(FLEX_EVS, 5)
    on = few.is_available
    flex = beside(
        "_flexmeasures_ev.py",
        {
            "price": (np.abs(price) / 10_000).tolist(),
            "evs": [
                {
                    "need_kwh": min(int(few.need_wh[number]) / 1000, 7.36 / 2 * int(on[number].sum())),
                    "arrives": int(on[number].argmax()),
                    "leaves": int(SLOTS - on[number, ::-1].argmax()),
                }
                for number in range(FLEX_EVS)
            ],
        },
    )
    if flex:
        flex_ms = statistics.median(flex["ms"])
        line("flexmeasures_ev_plan_cpu_ms", flex_ms, "ms")
        line("ev_plan_faster_than_flexmeasures", flex_ms / a_home_ms, "times", 500)
    else:
        line("ev_plan_faster_than_flexmeasures_of_32_ms", 32 / a_home_ms, "times", 500)
    sys.stdout.write(f"{HOMES} homes x {SLOTS} half-hours, {ROUNDS} rounds\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
