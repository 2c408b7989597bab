"""The load generator, with our own VTN: real processes, real certificates, faults to order."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from hems.fleet_main import merged, told
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.vtn import listening
from tests.vtn.hubs import AT, notice_to
from tests.vtn.listening import Listener
from vtn.models import EventOpt, Ven, WireLog
from vtn.service import EmbeddedVtn

pytestmark = pytest.mark.django_db(transaction=True)

HOMES = 8


@pytest.fixture(scope="module")
def listener(
    django_db_setup: None, django_db_blocker: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listener]:
    folder = tmp_path_factory.mktemp("pki")
    with django_db_blocker.unblock(), listening.listening(folder) as running:  # type: ignore[attr-defined]
        yield running


@pytest.fixture
def folder(listener: Listener, tmp_path: Path, settings: Any, transactional_db: None) -> Path:
    """A fleet that has been enrolled, its last hub revoked."""
    settings.VTN_PKI_DIR = listener.ca_path.parent
    fleet("enrol", tmp_path, homes=HOMES)
    call_command("vtn_enrol_fleet", str(tmp_path), "--revoked", "1")
    return tmp_path


def fleet(command: str, folder: Path, *words: str, homes: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hems.fleet", command, "--dir", str(folder), "--homes", str(homes), *words],
        cwd=listening.ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return done.stdout


@pytest.mark.slow
def test_a_fleet_joins_is_told_and_answers_whatever_its_faults(listener: Listener, folder: Path) -> None:
    url = f"https://localhost:{listener.port}/OpenADR2/Simple/2.0b"
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    interval = Interval(starts_at, starts_at + timedelta(hours=2))
    ven_ids = list(Ven.objects.order_by("pk").values_list("ven_id", flat=True))
    EmbeddedVtn().publish_many({each: notice_to(each, interval=interval) for each in ven_ids}, at=AT)

    words = ["--vtn", url, "--seconds", "20", "--poll-seconds", "0.5", "--ramp-seconds", "0.2", "--json"]
    words += ["--garbage", "0.5", "--slow-clock", "0.5", "--opt-out", "0.3", "--processes", "2"]
    words += ["--offline", "1", "--override", "1"]
    figures = json.loads(fleet("run", folder, *words, "--telemetry-seconds", "2", homes=HOMES))

    counts = figures["counts"]
    assert figures["homes"] == HOMES
    assert counts["deliveries"] == counts["answers"] == counts["registrations"] == HOMES - 1
    assert EventOpt.objects.values("event").distinct().count() == HOMES - 1
    assert counts["http_403"] >= 1, "the revoked one is refused"
    assert counts["garbage"] >= 1
    assert counts["offline"] >= 1, "some hung up, were away, and came back"
    assert counts["overrides"] == HOMES - 1
    overridden = EventOpt.objects.filter(opt="out", source="create_opt")
    assert overridden.values("event").distinct().count() == HOMES - 1
    assert not any(name.startswith("http_5") or name == "garbage_5xx" for name in counts)
    assert WireLog.objects.filter(code="revoked").exists()
    assert len(figures["deliveries"]) == HOMES - 1
    assert "hubs for" in told(figures)[0]


def test_a_folder_without_answers_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        fleet("run", tmp_path, homes=1)
    assert failed.value.returncode == 2
    assert "vtn_enrol_fleet" in failed.value.stderr


def test_figures_of_several_processes_are_one() -> None:
    one = {
        "homes": 2,
        "seconds": 3.0,
        "cpu_seconds": 1.0,
        "memory_mib": 10.0,
        "counts": {"polls": 5},
        "poll_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
        "deliveries": {"e:0": [2, 10.0, 12.0]},
        "answers": {},
    }
    other = one | {"poll_ms": {"p50": 2.0}, "deliveries": {"e:0": [1, 9.0, 11.0], "f:0": [1, 1.0, 1.0]}}

    both = merged([one, other])

    assert both["homes"] == 4
    assert both["counts"] == {"polls": 10}
    assert both["poll_ms"] == {"p50": 2.0, "p95": 2.0, "p99": 3.0}
    assert both["deliveries"] == {"e:0": [3, 9.0, 12.0], "f:0": [1, 1.0, 1.0]}
