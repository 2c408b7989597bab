"""Places and processes for the run tests: an empty var folder each, and no database of the caller's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from pathlib import Path
from opendsr.run import cluster
with cluster.running(Path(sys.argv[1]), fsync=False) as url:
    print(url, flush=True)
    sys.stdin.read()
"""

Hold = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _no_database_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DATABASE_URL_FILE", "OPENDSR_VAR", "OPENDSR_ENV", "OPENDSR_NO_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def var() -> Iterator[Path]:
    """An empty folder with a short path: the socket lies inside."""
    folder = Path(tempfile.mkdtemp(prefix="run-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Start a process that holds the cluster until its stdin closes; its first line is the URL."""
    holders: list[subprocess.Popen[str]] = []

    def start(var: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(var)]
        holder = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        return holder

    yield start
    for holder in holders:
        if holder.poll() is None:
            holder.communicate(timeout=120)
