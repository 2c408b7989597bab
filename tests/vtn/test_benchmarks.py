"""The VTN's benchmarks run, and print a line a figure; what they measure is not judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (
            ["vtn_poll.py", "--vens", "12", "--connections", "4", "--seconds", "1", "--rounds", "1"],
            ["vtn_poll_embedded_cpu_ms", "vtn_poll_embedded_p95_ms"],
        ),
        (
            ["vtn_campaign.py", "--vens", "12", "--poll-seconds", "1", "--ways", "pull"],
            ["vtn_campaign_pull_last_answer_s", "vtn_campaign_pull_acknowledged_and_lost 0.00"],
        ),
    ],
)
def test_a_small_run_prints_its_figures(words: list[str], figures: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, f"benchmarks/{words[0]}", *words[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for figure in figures:
        assert f"BENCH {figure}" in done.stdout
