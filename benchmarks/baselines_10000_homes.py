"""Baselines of 10,000 homes for one event, preset by preset, and a placebo study of 1,000 homes.

Run it as `make bench-settlement` or `python benchmarks/baselines_10000_homes.py`. Readings are generated and
held in memory beforehand; what is timed is the calculation. Beside each preset, in turn in the same round,
stands a plain numpy version of mid 8 of 10 with a same-day adjustment (`perf`'s yardstick) and one pass over
the bytes the preset reads. OpenDSM's hourly fit is measured in an environment of its own (`.venv-bench`).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402

from settlement import baselines  # noqa: E402
from settlement.baselines import placebo, presets  # noqa: E402
from settlement.baselines.arrays import EventDays, Given, Mask, Wh  # noqa: E402
from settlement.baselines.clock import LocalHalfHour  # noqa: E402
from settlement.baselines.explaining import explain  # noqa: E402
from settlement.baselines.rules import BaselineRule  # noqa: E402

HOMES = int(os.environ.get("BENCH_HOMES", "10000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
STUDY_HOMES = int(os.environ.get("BENCH_STUDY_HOMES", "1000"))
STUDY_DAYS = int(os.environ.get("BENCH_STUDY_DAYS", "60"))
METERS = int(os.environ.get("BENCH_OPENDSM_METERS", "3"))
EVENT_DAY = date(2026, 11, 24)
EVENT = [datetime(2026, 11, 24, 17, tzinfo=UTC) + timedelta(minutes=30) * n for n in range(4)]
GOAL_MS, STUDY_GOAL_SECONDS = 30, 20
STUDIED = (
    "dfs_2023_domestic", "dfs_2022", "elexon_bl01", "octopus_saving_session", "ena_mid_8_of_10",
    "ena_mid_8_of_10_same_day", "caiso_10_in_10", "caiso_5_in_10_residential", "nyiso_average_day",
    "pjm_4_of_5", "ercot_mid_8_of_10", "powershaper_three_weeks",
)  # fmt: skip
BENCH_PYTHON = REPOSITORY / ".venv-bench" / "bin" / "python"
OPENDSM = Path(__file__).with_name("_opendsm_hourly.py")


@dataclass(frozen=True)
class Cube:
    days: tuple[date, ...]
    net_wh: Wh
    present: Mask


def generated(homes: int, days: list[date]) -> Cube:
    """Use with a long tail, one reading in five hundred missing."""
    random = np.random.default_rng(11)
    shape = (homes, len(days), 50)
    present = random.random(shape, dtype=np.float32) > 0.002
    present[:, :, 48:] = False
    return Cube(tuple(days), random.gamma(1.3, 250.0, shape).astype(np.int64), present)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of this process: wall time on a shared machine says more of its neighbours."""
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def plain_mid_8_of_10(net_wh: Wh) -> Wh:
    """The yardstick: no mask, no event days, no exactness; `net_wh` holds ten like days and the event's."""
    use = net_wh[:, :10, 34:38].mean(axis=2)
    order = np.argsort(use, axis=1)[:, 1:9]
    kept = np.take_along_axis(net_wh[:, :10, 26:38], order[:, :, None], axis=1).mean(axis=1)
    shift = (net_wh[:, 10, 26:32] - kept[:, :6]).mean(axis=1)
    return np.asarray(np.rint(kept[:, 8:] + shift[:, None]), np.int64)


def only(cube: Cube, days: list[date]) -> Cube:
    """The days a rule needs, as the store would give them."""
    rows = [cube.days.index(day) for day in days]
    return Cube(tuple(days), cube.net_wh[:, rows], cube.present[:, rows])


def bytes_read(rule: BaselineRule) -> int:
    """Bytes of readings and mask that the rule's like days and window have."""
    starts = [*EVENT, *baselines.window_half_hours(rule, EVENT)]
    if not rule.uses_days:
        return 9 * HOMES * len(starts)
    kind, pool = rule.day_type(EVENT_DAY), baselines.like_days(rule, EVENT_DAY)
    days = min(len(pool), kind.candidates)
    return 9 * HOMES * len(starts) * (days + 1)


def presets_ms(cube: Cube) -> dict[str, tuple[list[float], list[float], list[float]]]:
    """CPU ms of each preset, of the yardstick beside it, and of one pass over the bytes it reads."""
    random = np.random.default_rng(3)
    earlier = [day for day in cube.days if day < EVENT_DAY]
    took_part = EventDays(tuple(earlier[-14:]), random.random((HOMES, 14)) < 0.1)
    given = Given(
        nominated_wh=np.full((HOMES, len(EVENT)), 250, np.int64),
        has_nominated=np.ones((HOMES, len(EVENT)), np.bool_),
    )
    ten = baselines.candidate_days(presets.ENA_MID_8_OF_10, EVENT_DAY)
    eleven = only(cube, [*reversed(ten), EVENT_DAY]).net_wh
    results = {}
    for name, rule in presets.PRESETS.items():
        own = only(cube, baselines.days_needed(rule, EVENT, took_part))
        stretch = np.ones(bytes_read(rule) // 8, np.int64)
        ours, plain, once = [], [], []
        for _ in range(ROUNDS):
            ours.append(cpu_ms(lambda: baselines.baseline(rule, own, EVENT, took_part, given=given)))  # noqa: B023
            plain.append(cpu_ms(lambda: plain_mid_8_of_10(eleven)))
            once.append(cpu_ms(lambda: stretch.sum()))  # noqa: B023
        results[name] = (ours, plain, once)
    return results


def one_home_ms(cube: Cube) -> float:
    """CPU ms for the baseline of one home with its explanation."""
    one = Cube(cube.days, cube.net_wh[:1], cube.present[:1])

    def work() -> None:
        for _ in range(50):
            explain(baselines.baseline(presets.DFS_2022, one, EVENT, [()]), 0)

    return cpu_ms(work) / 50


def study_seconds(cube: Cube) -> float:
    """CPU seconds of the placebo study."""
    rules = [presets.PRESETS[name] for name in STUDIED]
    half_hours = [LocalHalfHour(34 + n, 0) for n in range(4)]
    some = Cube(cube.days, cube.net_wh[:STUDY_HOMES], cube.present[:STUDY_HOMES])
    days = placebo.pretend_days(rules, some, half_hours)[-STUDY_DAYS:]
    if len(days) != STUDY_DAYS:
        raise SystemExit(f"The benchmark measured something else: {len(days)} days to study")
    nobody = EventDays.of([()] * len(some.net_wh))
    return cpu_ms(lambda: placebo.study(rules, some, days, half_hours, nobody)) / 1000


def opendsm() -> dict[str, list[float]] | None:
    """CPU seconds a meter of OpenDSM's hourly fit; None without its environment."""
    if not BENCH_PYTHON.exists():
        return None
    done = subprocess.run(
        [str(BENCH_PYTHON), str(OPENDSM), str(METERS)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return None
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print a table, then a line a figure for scripts."""
    write = sys.stdout.write
    reach = max(rule.look_back_days for rule in presets.PRESETS.values()) + STUDY_DAYS + 2
    cube = generated(HOMES, [EVENT_DAY - timedelta(days=n) for n in range(reach, -1, -1)])
    results = presets_ms(cube)
    write(f"{HOMES} homes, one event of {len(EVENT)} half-hours, {ROUNDS} rounds, CPU ms, least and median\n")
    write(f"{'':28}{'ours':>16}{'plain numpy':>16}{'one pass':>16}{'times a pass':>14}\n")
    lines = []
    for name, columns in results.items():
        cells = [f"{min(taken):8.1f}{statistics.median(taken):8.1f}" for taken in columns]
        ours, _, once = (min(taken) for taken in columns)
        write(f"{name:28}{cells[0]}{cells[1]}{cells[2]}{ours / max(once, 0.001):14.1f}\n")
        lines.append(f"BENCH baseline_10000_homes_{name}_cpu_ms {ours:.1f} ms goal {GOAL_MS}")
    plain = min(min(taken) for _, taken, _ in results.values())
    lines.append(f"BENCH baseline_10000_homes_plain_numpy_cpu_ms {plain:.1f} ms")
    lines.append(f"BENCH baseline_one_home_explained_cpu_ms {one_home_ms(cube):.2f} ms")
    seconds = study_seconds(cube)
    size = f"{STUDY_HOMES} homes x {STUDY_DAYS} days x {len(STUDIED)} rules"
    write(f"placebo study, {size}: {seconds:.1f} s CPU\n")
    lines.append(f"BENCH placebo_study_cpu_seconds {seconds:.1f} s goal {STUDY_GOAL_SECONDS}")
    theirs = opendsm()
    if theirs is None:
        write("OpenDSM not measured: `make bench-settlement` sets its environment up\n")
    else:
        a_meter = statistics.median(theirs["fit"])
        same_day = min(results["ena_mid_8_of_10_same_day"][0]) / 1000 / HOMES
        regression = min(results["temperature_regression"][0]) / 1000 / HOMES
        write(f"OpenDSM hourly fit: {a_meter:.2f} s CPU a meter (of {len(theirs['fit'])}, after a warm-up)\n")
        lines.append(f"BENCH opendsm_hourly_fit_cpu_seconds_a_meter {a_meter:.3f} s")
        lines.append(f"BENCH opendsm_fit_over_ena_mid_8_of_10_same_day {a_meter / same_day:.0f} times")
        lines.append(f"BENCH opendsm_fit_over_temperature_regression {a_meter / regression:.0f} times")
    write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
