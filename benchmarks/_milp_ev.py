"""EVs by scipy's milp, a fleet under a feeder's cap by HiGHS; `campaigns_plans.py` runs it in `.venv-bench`.

Takes one line of JSON (see `campaigns_plans.py`) and gives one back: CPU ms and cost (pence) of each
EV, and seconds and cost of the fleet's linear programme, in which power has no steps.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import highspy
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_matrix


def stepped(ev: dict[str, Any]) -> tuple[float, float]:
    """CPU ms and least cost: whole amps, 0 or least..most, between need and room."""
    price = np.array(ev["price"]) * ev["kwh_a_step"]
    slots = len(price)
    is_open = np.array(ev["is_available"], float)
    eye = np.eye(slots)
    rows = np.block(
        [
            [np.ones((1, slots)), np.zeros((1, slots))],
            [eye, -eye * ev["most"]],
            [eye, -eye * ev["least"]],
        ]
    )
    low = np.r_[ev["need"], np.full(slots, -np.inf), np.zeros(slots)]
    high = np.r_[ev["room"], np.zeros(slots), np.full(slots, np.inf)]
    began = time.process_time()
    found = milp(
        np.r_[price, np.zeros(slots)],
        constraints=LinearConstraint(rows, low, high),
        bounds=Bounds(0, np.r_[is_open * ev["most"], is_open]),
        integrality=np.ones(2 * slots),
        options={"mip_rel_gap": 0},
    )
    taken = 1000 * (time.process_time() - began)
    if not found.success:
        raise SystemExit(f"milp: {found.message}")
    return taken, float(found.fun)


def fleet(told: dict[str, Any]) -> tuple[float, float]:
    """Seconds and cost of all EVs of a fleet in one linear programme."""
    price, power = np.array(told["price"]), np.array(told["kwh_a_slot"])
    need, cap = np.array(told["need_kwh"]), np.array(told["cap_kwh"])
    count, slots = len(need), len(price)
    axis = np.arange(slots)
    is_open = (axis >= np.array(told["arrives"])[:, None]) & (axis < np.array(told["leaves"])[:, None])
    place = np.arange(count * slots)
    rows = csr_matrix(
        (np.ones(2 * count * slots), (np.r_[place // slots, count + place % slots], np.r_[place, place]))
    )
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count * slots, count + slots
    lp.col_cost_, lp.col_lower_ = np.tile(price, count), np.zeros(count * slots)
    lp.col_upper_ = np.where(is_open, power[:, None], 0.0).ravel()
    lp.row_lower_, lp.row_upper_ = np.r_[need, np.full(slots, -np.inf)], np.r_[need, cap]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.indptr, rows.indices, rows.data
    solver = highspy.Highs()
    solver.silent()
    began = time.perf_counter()
    solver.passModel(lp)
    solver.run()
    taken = time.perf_counter() - began
    status = solver.modelStatusToString(solver.getModelStatus())
    if status != "Optimal":
        raise SystemExit(f"HiGHS: {status}")
    return taken, float(solver.getInfo().objective_function_value)


def portfolio(told: dict[str, Any]) -> float:
    """The least cost (mp) of parts of assets whose mean reaches what is wanted under the caps: a bound."""
    mean, power, feeder = (np.array(told[name]) for name in ("mean_w", "power_w", "feeder"))
    caps = np.array(told["feeder_cap_w"])
    rows = [-mean, *(np.where(feeder == each, power, 0) for each in range(len(caps)))]
    limits = [-float(told["wanted_w"]), *caps.tolist()]
    found = linprog(
        told["cost_mp"], A_ub=csr_matrix(np.array(rows)), b_ub=limits, bounds=(0, 1), method="highs"
    )
    if not found.success:
        raise SystemExit(f"linprog: {found.message}")
    return float(found.fun)


def main() -> None:
    """Every EV after a warm-up, the fleets and the portfolio."""
    asked = json.loads(sys.stdin.readline())
    stepped(asked["evs"][0])
    told = {
        "evs": [stepped(ev) for ev in asked["evs"]],
        "fleets": [fleet(each) for each in asked["fleets"]],
        "portfolio": portfolio(asked["portfolio"]),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
