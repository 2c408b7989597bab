"""`make demo`, as a newcomer runs it: real PostgreSQL, VTN, worker and hubs, from consent to pence."""

from __future__ import annotations

import csv
import gzip
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from opendsr.run import cluster
from opendsr.run.places import REPOSITORY
from tests.redises import free_port, redis
from tests.samples import shared_data

pytestmark = pytest.mark.slow
PLAY_SECONDS = 400


def demo(var: Path, **choices: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder of its own, with its own private cluster and VTN port."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "OPENDSR_ENV"}
    }
    env = {**inherited, "OPENDSR_VAR": str(var), "VTN_PORT": str(free_port()), **choices}
    command = [sys.executable, "manage.py", "demo"]
    return subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=PLAY_SECONDS, check=False
    )


def millipence(pounds: str) -> int:
    """£205.473 as 20,547,300."""
    return round(float(pounds.replace("£", "").replace(",", "")) * 100_000)


def money_of(printed: str) -> tuple[list[int], int, int, int]:
    """Each home's earnings, then members together, co-op and revenue, in millipence."""
    table = printed[printed.index("MONEY") :]
    amounts = [
        (line, millipence(found[-1]))
        for line in table.splitlines()
        if (found := re.findall(r"£[\d.,]+", line))
    ]
    totals = {
        name: mp
        for line, mp in amounts
        for name in ("Members", "The co-op", "Revenue")
        if line.startswith(name)
    }
    homes = [mp for line, mp in amounts if not line.startswith(tuple(totals))]
    return homes, totals["Members"], totals["The co-op"], totals["Revenue"]


def test_twenty_generated_homes_from_consent_to_pence(tmp_path: Path) -> None:
    """One run tells it all: the money sums, every outcome is seen, a second run starts afresh."""
    done = demo(tmp_path / "var", DEMO_DATE="2026-10-26")

    assert done.returncode == 0, done.stdout + done.stderr
    homes, members, coop, revenue = money_of(done.stdout)
    assert sum(homes) == members
    assert members + coop == revenue > 0
    assert len(homes) == 16
    for outcome in ("delivered", "opted out", "overridden", "unresponsive"):
        assert outcome in done.stdout
    assert "26 October 2026" in done.stdout
    assert "make up" in done.stdout
    with cluster.running(tmp_path / "var") as url, psycopg.connect(url) as database:
        (unbalanced,) = database.execute(
            "SELECT sum(amount_mp) FROM money.settlement_posting"
        ).fetchone() or (None,)
        (statements,) = database.execute("SELECT count(*) FROM money.settlement_statement").fetchone() or (
            None,
        )
        (refused,) = database.execute(
            "SELECT count(*) FROM operations.vtn_wire_log WHERE is_refused"
        ).fetchone() or (None,)
    assert unbalanced == 0
    assert statements == 17
    assert refused == 0


def test_real_homes_are_played_as_they_are(tmp_path: Path) -> None:
    """As many homes as the file has; its bad row is told by line."""
    done = demo(
        tmp_path / "var", HOMES=str(shared_data("lcl_4homes_halfhourly.csv.gz")), DEMO_DATE="2026-11-19"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    homes, members, coop, revenue = money_of(done.stdout)
    assert (len(homes), sum(homes), members + coop) == (4, members, revenue)
    assert "line 3,240: tstp '2012-12-19 12:37:27'" in done.stdout
    assert "real readings" in done.stdout


def test_one_home_of_another_kind_of_export(tmp_path: Path) -> None:
    """A PowerShaper export, newest first, stamped at the period's end; broker and cache on a real Redis."""
    homes = str(shared_data("powershaper_export_1home_halfhourly_2022-09_2023-12.csv.gz"))
    port = free_port()
    with redis(tmp_path, port):
        done = demo(tmp_path / "var", HOMES=homes, REDIS_URL=f"redis://127.0.0.1:{port}/0")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(money_of(done.stdout)[0]) == 1


def test_what_cannot_be_played_says_what_to_do(tmp_path: Path) -> None:
    """A wrong date, no file, an alien file, a taken port: one sentence, exit 1, nothing started."""
    alien = tmp_path / "alien.csv.gz"
    with gzip.open(alien, "wt") as out:
        csv.writer(out).writerows([["a", "b"], [1, 2]])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        tries = {
            "YYYY-MM-DD": {"DEMO_DATE": "tomorrow"},
            "nowhere.csv": {"HOMES": str(tmp_path / "nowhere.csv")},
            "alien.csv": {"HOMES": str(alien)},
            "VTN_PORT": {"VTN_PORT": str(taken.getsockname()[1])},
        }
        for expected, choices in tries.items():
            done = demo(tmp_path / "var", **choices)

            assert done.returncode == 1
            assert expected in done.stderr
            assert "Traceback" not in done.stderr
