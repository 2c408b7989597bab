"""A VEN nobody here wrote: the `openleadr` client joins over mutual TLS, is handed an event, and opts in."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from pytest_django import Settings

from oadr.fingerprint import oadr_fingerprint
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.vtn import hubs, listening
from vtn import enrolling, securing
from vtn.models import ReportConfiguration, SeenNonce, Ven, WireLog
from vtn.port import START, Opt, Signal, SignalInterval
from vtn.service import EmbeddedVtn

pytestmark = [pytest.mark.interop, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-interop" / "bin" / "python"
PATIENCE_SECONDS = 120

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ForeignHub:
    process: subprocess.Popen[str]
    said_path: Path
    log_path: Path

    @property
    def said(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.said_path.read_text().splitlines()]

    def wait_for(self, what: str, look: Callable[[], Found | None]) -> Found:
        """Return what `look` finds; fails with the client's own log when it finds nothing in time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(
            f"waited for {what} in vain; the client says:\n{self.log_path.read_text()[-3000:]}"
        )


@pytest.fixture(scope="session")
def environment_of_its_own() -> None:
    """Build the client's environment from its locked requirements, once."""
    done = subprocess.run(
        [sys.executable, "opendsr/run/install.py", "interop"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def foreign_hub(
    hub: hubs.TestHub, listener: listening.Listener, folder: Path, *, vtn_fingerprint: str = ""
) -> Iterator[ForeignHub]:
    listener.context_of(hub, folder)  # writes the hub's files
    said, log = folder / "said", folder / "log"
    url = f"https://{listener.host}:{listener.port}/OpenADR2/Simple/2.0b"
    words = [str(PYTHON), str(Path(__file__).with_name("openleadr_hub.py")), url]
    words += [
        str(folder / f"{hub.ven_id}.pem"),
        str(folder / f"{hub.ven_id}.key"),
        str(listener.ca_path),
        str(said),
        *([vtn_fingerprint] if vtn_fingerprint else []),
    ]
    said.touch()
    with log.open("w") as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, text=True)
    try:
        yield ForeignHub(process, said, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_it_registers_reports_is_told_opts_in_and_out_and_hears_of_changes(
    environment_of_its_own: None, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki_folder = tmp_path / "pki"
    settings.VTN_PKI_DIR = pki_folder
    monkeypatch.setenv("VTN_POLL_SECONDS", "1")
    hub = hubs.new_hub("openleadr")
    vtn = EmbeddedVtn()
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    signals = (
        Signal("SIMPLE", "level", (SignalInterval(1800, 1.0), SignalInterval(1800, 2.0))),
        Signal("ELECTRICITY_PRICE", "price", (SignalInterval(3600, 0.35),), unit="gbp_per_kwh"),
        Signal("LOAD_DISPATCH", "setpoint", (SignalInterval(3600, 1.38),), unit="kw"),
    )
    notice = hubs.notice_to(
        hub.ven_id,
        interval=Interval(starts_at, starts_at + timedelta(hours=1)),
        signals=signals,
        start_tolerance_seconds=60,
        comment="from the co-op",
        resource_ids=("asset-1",),
    )

    def registered() -> bool:
        return Ven.objects.get(pk=hub.ven.pk).is_registered

    def opts_of(event_id: str) -> list[Opt]:
        return [opt for opt in vtn.opts_since(START)[0] if opt.event_id == event_id]

    ReportConfiguration.objects.create(
        name="often",
        report_name="TELEMETRY_USAGE",
        item="powerReal",
        granularity_seconds=1,
        report_back_seconds=2,
    )
    refusal = hubs.notice_to(hub.ven_id, interval=notice.interval, signals=signals[:1], comment="say no")

    with listening.listening(pki_folder) as listener, foreign_hub(hub, listener, tmp_path) as client:
        client.wait_for("its registration", registered)
        report = client.wait_for("its report", lambda: vtn.reports_since(START)[0])[0]
        event_id = vtn.publish(notice, key="first", at=clock.now())
        (opt,) = client.wait_for("its opt", lambda: opts_of(event_id))
        amended = hubs.notice_to(hub.ven_id, interval=notice.interval, signals=signals[:1])
        vtn.amend(event_id, amended, at=clock.now())
        client.wait_for("its second opt", lambda: len(opts_of(event_id)) == 2)
        vtn.cancel(event_id, at=clock.now(), reason="no longer needed")
        client.wait_for(
            "its word on the cancellation",
            lambda: (
                vtn.acknowledgement(event_id, at=clock.now()).is_current_delivered
                and [said for said in client.said if said["status"] == "cancelled"]
            ),
        )
        second_id = vtn.publish(refusal, key="second", at=clock.now())
        (no,) = client.wait_for("its refusal", lambda: opts_of(second_id))

    assert (report.name, report.points[0].value) == ("TELEMETRY_USAGE", 1.0)
    assert (no.opt, no.source) == ("out", "created_event")
    assert (opt.ven_id, opt.opt, opt.source) == (hub.ven_id, "in", "created_event")
    assert [said["kind"] for said in client.said] == ["new", "changed", "changed", "new"]
    assert client.said[0]["signals"] == [
        {"name": "SIMPLE", "values": [1.0, 2.0]},
        {"name": "ELECTRICITY_PRICE", "values": [0.35]},
        {"name": "LOAD_DISPATCH", "values": [1.38]},
    ]
    assert "did not pass XML schema validation" not in client.log_path.read_text()
    assert not WireLog.objects.exists()


def vtn_fingerprint() -> str:
    """What staff read out to whoever sets a VEN up."""
    return oadr_fingerprint(securing.vtn_identity().certificate_der)


@pytest.mark.slow
def test_in_high_security_both_sides_sign_and_verify(
    environment_of_its_own: None, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki_folder = tmp_path / "pki"
    settings.VTN_PKI_DIR = pki_folder
    monkeypatch.setenv("VTN_POLL_SECONDS", "1")
    hub = hubs.new_hub("openleadr")
    enrolling.set_security(ven_id=hub.ven_id, security="high", at=clock.now(), by="staff:7")
    vtn = EmbeddedVtn()
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    notice = hubs.notice_to(hub.ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))

    with (
        listening.listening(pki_folder) as listener,
        foreign_hub(hub, listener, tmp_path, vtn_fingerprint=vtn_fingerprint()) as client,
    ):
        client.wait_for("its registration", lambda: Ven.objects.get(pk=hub.ven.pk).is_registered)
        event_id = vtn.publish(notice, key="first", at=clock.now())
        (opt,) = client.wait_for("its opt", lambda: vtn.opts_since(START)[0])
        vtn.cancel(event_id, at=clock.now(), reason="no longer needed")
        client.wait_for(
            "its word on the cancellation",
            lambda: [said for said in client.said if said["status"] == "cancelled"],
        )
        signatures = SeenNonce.objects.filter(ven=hub.ven).count()

    assert (opt.ven_id, opt.opt) == (hub.ven_id, "in")
    assert signatures >= 4
    assert "signature" not in client.log_path.read_text().lower()
    assert not WireLog.objects.exists()


@pytest.mark.slow
def test_with_another_vtns_fingerprint_it_believes_nothing(
    environment_of_its_own: None, tmp_path: Path, settings: Settings
) -> None:
    """It asks to be registered, does not believe the answer, and gives up without hearing of the event."""
    pki_folder = tmp_path / "pki"
    settings.VTN_PKI_DIR = pki_folder
    hub = hubs.new_hub("openleadr")
    another = ":".join(["00"] * 10)
    vtn = EmbeddedVtn()
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    notice = hubs.notice_to(hub.ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))
    event_id = vtn.publish(notice, key="unheard", at=clock.now())

    with (
        listening.listening(pki_folder) as listener,
        foreign_hub(hub, listener, tmp_path, vtn_fingerprint=another) as client,
    ):
        client.wait_for("its giving up", lambda: "No RegistrationID received" in client.log_path.read_text())

    assert "fingerprint" in client.log_path.read_text().lower()
    assert client.said == []
    assert not vtn.acknowledgement(event_id, at=clock.now()).is_current_delivered
