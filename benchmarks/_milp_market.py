"""The best choice among requests by scipy's milp; `campaigns_market.py` runs it in `.venv-bench`.

Takes one line of JSON: cases with `columns` (the worth of a set of assets for a request, as bits) and which
requests meet. Every worthwhile set is a column, so that the answer is exact. Gives the best worth of each.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix


def best(case: dict[str, Any]) -> float:
    """The most that any choice is worth: a set a request, no asset in two that meet."""
    worth, request, bits = (np.array(case[name]) for name in ("worth", "request", "bits"))
    if not len(worth):
        return 0.0
    rows, columns, number = [], [], 0
    for each in np.unique(request):
        here = np.nonzero(request == each)[0]
        rows += [number] * len(here)
        columns += here.tolist()
        number += 1
    for one, other in case["meet"]:
        for asset in range(case["assets"]):
            has = (bits >> asset) & 1 == 1
            here = np.nonzero(has & ((request == one) | (request == other)))[0]
            if len(here):
                rows += [number] * len(here)
                columns += here.tolist()
                number += 1
    matrix = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(number, len(worth)))
    found = milp(
        -worth,
        constraints=LinearConstraint(matrix, -np.inf, 1),
        bounds=Bounds(0, 1),
        integrality=np.ones(len(worth)),
        options={"mip_rel_gap": 0},
    )
    if not found.success:
        raise SystemExit(f"milp: {found.message}")
    return -float(found.fun)


if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps([best(case) for case in asked["cases"]]) + "\n")
