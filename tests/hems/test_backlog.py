"""Samples on disk: whole after a power cut, bounded in a long outage, and a full disk is survived."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hems import reporting
from hems.backlog import Backlog, Sample
from hems.reporting import USAGE, Reporting, Wanted
from oadr.messages import LoadControlState, ResourceStatus
from tests.hems.conftest import FIVE

SECOND = timedelta(seconds=1)
STATUS = ResourceStatus(is_online=True, is_manual_override=False, capacity=LoadControlState(5.0, 0.0, 7360.0))


def samples(first: int, last: int) -> list[Sample]:
    return [Sample(FIVE + number * SECOND, {"r1": float(number), "r1/status": STATUS})
            for number in range(first, last)]  # fmt: skip


def file_of(folder: Path) -> Path:
    (path,) = (folder / "backlog").iterdir()
    return path


@pytest.fixture
def backlog(tmp_path: Path) -> Backlog:
    return Backlog(tmp_path)


def test_what_is_kept_is_read_again_by_the_next_run(backlog: Backlog, tmp_path: Path) -> None:
    backlog.append("q/1 é", samples(0, 10))
    backlog.append("q/1 é", samples(10, 20))
    backlog.told("q/1 é", FIVE + 5 * SECOND)
    assert file_of(tmp_path).stat().st_mode & 0o077 == 0

    again = Backlog(tmp_path)
    again.open(["q/1 é", "another"])
    assert len(again) == 15
    assert again.head("q/1 é", 3) == samples(5, 8)
    assert again.head("another", 3) == []
    again.told("q/1 é", FIVE + 60 * SECOND)
    assert not again.has("q/1 é")
    assert list((tmp_path / "backlog").iterdir()) == []


def test_what_nobody_asks_for_any_more_goes(backlog: Backlog, tmp_path: Path) -> None:
    backlog.append("q1", samples(0, 3))
    Backlog(tmp_path).open(["q2"])
    assert list((tmp_path / "backlog").iterdir()) == []


@pytest.mark.parametrize("cut_bytes", [1, 20, 150])
def test_a_torn_end_costs_the_torn_line_alone(backlog: Backlog, tmp_path: Path, cut_bytes: int) -> None:
    backlog.append("q1", samples(0, 5))
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    again = Backlog(tmp_path)
    again.open(["q1"])
    again.append("q1", samples(5, 7))
    left = again.head("q1", 100)
    assert left[-2:] == samples(5, 7)
    assert left[:-2] == samples(0, len(left) - 2)
    assert len(left) >= 5


def test_a_line_of_noise_is_passed_over(backlog: Backlog, tmp_path: Path) -> None:
    backlog.append("q1", samples(0, 2))
    with file_of(tmp_path).open("ab") as file:
        file.write(b'\x00\xff\n["x",1]\n[]\nT many\n')
    again = Backlog(tmp_path)
    again.open(["q1"])
    assert again.head("q1", 9) == samples(0, 2)


def test_a_long_outage_is_thinned_from_its_older_half_and_counted(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path, most_kept=100)
    for first in range(0, 2000, 20):
        backlog.append("q1", samples(first, first + 20))
    held = [round((sample.at - FIVE).total_seconds()) for sample in backlog.head("q1", 1000)]
    assert len(held) == len(backlog) <= 100
    assert held == sorted(set(held))
    assert (held[0], held[-1]) == (0, 1999), "the whole outage is still in it"
    assert held[-20:] == list(range(1980, 2000)), "what is newest is whole"
    assert backlog.thinned == 2000 - len(held)
    assert file_of(tmp_path).stat().st_size < 300 * 100


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """Have the kernel refuse to let any file grow past so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_said_once_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reporting, "MOST_UNSAVED", 50)
    backlog = Backlog(tmp_path)
    backlog.append("q1", samples(0, 5))
    size = file_of(tmp_path).stat().st_size
    made = Reporting([Wanted("q1", USAGE, ("r1",), 10, 600, FIVE)], backlog=backlog)
    assert made.waiting == 5
    with full_disk(size + 10), caplog.at_level(logging.WARNING, "hems"):
        for number in range(10, 300):
            made.look({"r1": 1.0}, FIVE + 10 * number * SECOND)
            made.save(is_last=True)
    assert file_of(tmp_path).stat().st_size == size, "no half line stays behind"
    said = [record.getMessage() for record in caplog.records if "stays in memory" in record.getMessage()]
    assert len(said) == 1
    assert 40 <= made.waiting <= 55
    assert made.thinned == 295 - made.waiting
    made.save(is_last=True)
    again = Reporting(made.wanted, backlog=Backlog(tmp_path))
    assert again.waiting == made.waiting
