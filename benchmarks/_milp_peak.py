"""Cars under a demand charge by scipy's milp; `campaigns_peaks.py` runs it in `.venv-bench`.

Takes one line of JSON with `cases` and gives back the least cost of each, energy and peak together, in price
times Wh, and the CPU ms of each.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp


def best(case: dict[str, Any]) -> tuple[float, float]:
    """CPU ms and least cost: amps, on or off, and the peak above the floor, over every half-hour."""
    price, base = np.array(case["price"], float), np.array(case["base_wh"], float)
    is_open, step_wh = np.array(case["is_available"], float), case["step_wh"]
    slots, eye = len(price), np.eye(len(price))
    none, nothing = np.zeros((slots, 1)), np.zeros((slots, slots))
    rows = np.block(
        [
            [np.ones((1, slots)), np.zeros((1, slots)), np.zeros((1, 1))],
            [eye, -eye * case["most"], none],
            [eye, -eye * case["least"], none],
            [eye * step_wh, nothing, -np.ones((slots, 1))],
        ]
    )
    low = np.r_[case["need"], np.full(slots, -np.inf), np.zeros(slots), np.full(slots, -np.inf)]
    high = np.r_[case["room"], np.zeros(slots), np.full(slots, np.inf), case["floor_wh"] - base]
    began = time.process_time()
    found = milp(
        np.r_[price * step_wh, np.zeros(slots), case["charge"]],
        constraints=LinearConstraint(rows, low, high),
        bounds=Bounds(0, np.r_[is_open * case["most"], is_open, np.inf]),
        integrality=np.r_[np.ones(2 * slots), 0],
        options={"mip_rel_gap": 0},
    )
    taken = 1000 * (time.process_time() - began)
    if not found.success:
        raise SystemExit(f"milp: {found.message}")
    return taken, float(found.fun)


if __name__ == "__main__":
    cases = json.loads(sys.stdin.readline())["cases"]
    sys.stdout.write(json.dumps([best(case) for case in cases]) + "\n")
