"""FlexMeasures' device scheduler over EVs, one by one; `campaigns_plans.py` runs it in an environment apart.

Takes one line of JSON (price, and of each EV need_kwh, arrives, leaves) and gives one back: CPU milliseconds
and cost of each. Its scheduler of one device is called straight, without its site and database, with the
solver it names as its fastest (`highspy`), for continuous power, which is less than steps ask.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import flask
import pandas as pd
from flexmeasures.data.models.planning import FlowCommitment
from flexmeasures.data.models.planning.linear_optimization import device_scheduler

warnings.filterwarnings("ignore")
POWER_KW = 7.36
STOCK_A_KWH = 2  # its stock is the sum of powers, here of half-hours


def plan(price: list[float], need_kwh: float, arrives: int, leaves: int) -> float:
    """The least cost of the EV, in pence."""
    start = pd.Timestamp("2026-06-15T12:00:00Z")
    index = pd.date_range(start, periods=len(price), freq="30min", name="datetime")
    device = pd.DataFrame(
        {
            "max": float("nan"), "min": float("nan"), "equals": float("nan"), "efficiency": 1.0,
            "derivative max": 0.0, "derivative min": 0.0, "derivative equals": float("nan"),
            "derivative up efficiency": 1.0, "derivative down efficiency": 1.0, "stock delta": 0.0,
        },
        index=index,
    )  # fmt: skip
    device["min"] = 0.0
    device["max"] = need_kwh * STOCK_A_KWH
    device.iloc[arrives:leaves, device.columns.get_loc("derivative max")] = POWER_KW
    device.iloc[leaves - 1 :, device.columns.get_loc("min")] = need_kwh * STOCK_A_KWH
    home = pd.DataFrame({"derivative max": float("nan"), "derivative min": float("nan")}, index=index)
    told = pd.Series(price, index=index)
    energy = FlowCommitment(
        name="energy", index=index, quantity=0, upwards_deviation_price=told, downwards_deviation_price=told
    )
    powers, _, results, _ = device_scheduler([device], home, commitments=[energy])
    if str(results.solver.termination_condition) != "optimal":
        raise SystemExit(f"FlexMeasures found {results.solver.termination_condition}")
    return float((powers[0].to_numpy() * 0.5 * told.to_numpy()).sum())


def main() -> None:
    """A warm-up, then each EV."""
    asked = json.loads(sys.stdin.readline())
    app = flask.Flask("flexmeasures")
    app.config.update(FLEXMEASURES_LP_SOLVER="highspy", LOGGING_LEVEL="INFO")
    taken, costs = [], []
    with app.app_context():
        for number, ev in enumerate([asked["evs"][0], *asked["evs"]]):
            began = time.process_time()
            cost = plan(asked["price"], ev["need_kwh"], ev["arrives"], ev["leaves"])
            if number:
                taken.append(1000 * (time.process_time() - began))
                costs.append(cost)
    sys.stdout.write(json.dumps({"ms": taken, "cost": costs}) + "\n")


if __name__ == "__main__":
    main()
