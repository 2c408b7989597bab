"""OpenDSM's hourly fit of generated meters, one by one; run by `baselines_10000_homes.py` in `.venv-bench`.

Prints one line of JSON: CPU seconds of each fit. The first fit of all, which compiles, is not among them.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from opendsm import eemeter

warnings.filterwarnings("ignore")


def a_year(seed: int) -> pd.DataFrame:
    """8,760 complete hours of use that follows the hour, the week and the cold."""
    random = np.random.default_rng(seed)
    index = pd.date_range("2025-01-01", periods=8760, freq="h", tz="Europe/London")
    day = index.dayofyear.to_numpy()
    temperature = 50 - 18 * np.cos(2 * np.pi * day / 365) + random.normal(0, 4, len(index))
    use = 0.4 + 0.3 * np.sin(2 * np.pi * index.hour.to_numpy() / 24 - 2) + random.gamma(1.3, 0.2, len(index))
    use = use + np.maximum(60 - temperature, 0) * 0.01 + 0.1 * (index.dayofweek.to_numpy() >= 5)
    return pd.DataFrame({"observed": use, "temperature": temperature}, index=index)


def fit(frame: pd.DataFrame) -> None:
    """What a user of the library does for one meter."""
    data = eemeter.HourlyBaselineData(frame, is_electricity_data=True)
    eemeter.HourlyModel().fit(data, ignore_disqualification=True)


def main() -> None:
    """Fit the warm-up, then as many as asked."""
    fit(a_year(0))
    taken = []
    for meter in range(1, int(sys.argv[1]) + 1):
        frame = a_year(meter)
        began = time.process_time()
        fit(frame)
        taken.append(time.process_time() - began)
    sys.stdout.write(json.dumps({"fit": taken}) + "\n")


if __name__ == "__main__":
    main()
