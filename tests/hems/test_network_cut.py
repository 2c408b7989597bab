"""The house loses its line in the middle of an event: real hub, VTN, broker and relay messages.

The hub carries the event out to its end, the home goes back to its own schedule, and once there is contact
both sides agree on everything that happened meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hems.button import press
from hems.instants import written
from opendsr.kernel import clock as kernel_clock
from opendsr.kernel.interval import Interval
from tests.hems.cable import Cable
from tests.hems.local_broker import FakeShelly, mosquitto, wait_for
from tests.hems.test_real_hub import furnish
from tests.hems.test_with_our_vtn import enrol, notice
from tests.vtn.listening import ROOT, Listener, listening
from vtn import reporting
from vtn.models import Ven
from vtn.port import START, Signal, SignalInterval
from vtn.service import EmbeddedVtn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SPEED = 30
EVENT_MINUTES = 12
"""Long enough on the wall (24 s) for a slow machine to lose the line in its middle."""
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world thirty times as fast for VTN and hub."""
    now = written(datetime.now(UTC))
    monkeypatch.setenv("WORLD_CLOCK_ANCHOR", f"{now}/{now}")
    monkeypatch.setenv("WORLD_CLOCK_SPEED", str(SPEED))
    kernel_clock.reset()


@pytest.fixture
def listener(world: None, tmp_path: Path, settings: Any) -> Iterator[Listener]:
    settings.VTN_PKI_DIR = tmp_path / "pki"
    settings.VTN_PKI_DIR.mkdir()
    with listening(settings.VTN_PKI_DIR) as running:
        yield running


def test_an_event_runs_to_its_end_without_contact_and_all_is_told_afterwards(
    listener: Listener, make_folder: Any, tmp_path: Path
) -> None:
    folder: Path = make_folder()
    enrol(folder, at=kernel_clock.now())
    vtn, ven_id = EmbeddedVtn(), Ven.objects.get().ven_id

    def status() -> dict[str, Any]:
        try:
            return dict(json.loads((folder / "status.json").read_text()))
        except FileNotFoundError:
            return {"state": "", "events": []}

    def publish(key: str, starts_at: datetime, minutes: int) -> str:
        interval = Interval(starts_at, starts_at + minutes * MINUTE)
        signals = (Signal("SIMPLE", "level", (SignalInterval(minutes * 60, 1.0),)),)
        event = notice(ven_id, interval=interval, signals=signals, resource_ids=("res-water",))
        return str(vtn.publish(event, key=key, at=kernel_clock.now()))

    def phase(event_id: str) -> str:
        return next((each["phase"] for each in status()["events"] if each["event_id"] == event_id), "")

    with mosquitto(tmp_path / "broker") as broker, Cable(listener.port) as cable, FakeShelly(broker) as relay:
        furnish(folder, broker)
        url = f"https://localhost:{cable.port}/OpenADR2/Simple/2.0b"
        words = ["run", "--dir", str(folder), "--vtn", url, "--poll-seconds", "0.3", "--quiet-seconds", "1"]
        process = subprocess.Popen(
            [sys.executable, "-m", "hems", *words], cwd=ROOT, env=os.environ, stderr=subprocess.DEVNULL
        )
        try:
            wait_for("the registration", lambda: status()["state"] == "online", seconds=90)
            reporting.ask_for_report(
                ven_id=ven_id, specifier_id="assets-usage", r_ids=("res-water",), granularity_seconds=30,
                report_back_seconds=60, at=kernel_clock.now(), by="test",
            )  # fmt: skip
            starts_at = kernel_clock.now().replace(microsecond=0) + MINUTE
            first = publish("first", starts_at, EVENT_MINUTES)
            wait_for("the event", lambda: phase(first) == "active" and not relay.is_on, seconds=90)

            cable.cut()
            cut_at = kernel_clock.now()
            second = publish("while the line was cut", cut_at.replace(microsecond=0) + 60 * MINUTE, 30)
            wait_for("no contact", lambda: status()["state"] == "no_contact")
            assert phase(first) == "active"
            assert not relay.is_on, "nobody takes the event back because the line is gone"
            wait_for("the end of the event", lambda: phase(first) == "completed", seconds=90)
            wait_for("the home's own schedule", lambda: relay.is_on)
            assert kernel_clock.now() >= starts_at + EVENT_MINUTES * MINUTE
            assert status()["state"] == "no_contact"
            assert phase(second) == "", "what it has not heard of it does not know, nor ever starts"

            cable.mend()
            mended_at = kernel_clock.now()
            wait_for("contact", lambda: status()["state"] == "online", seconds=90)
            wait_for("the other event", lambda: phase(second) == "pending", seconds=90)
            assert phase(first) == "completed", "carried out, whatever the VTN's set says by now"

            def told_at() -> list[datetime]:
                reports, _ = vtn.reports_since(START)
                return [point.starts_at for report in reports for point in report.points]

            wait_for(
                "what was sampled meanwhile", lambda: max(told_at(), default=cut_at) >= mended_at - MINUTE
            )
            wait_for("the outage itself", lambda: any(cut_at <= at < mended_at - MINUTE for at in told_at()))
            wait_for("an empty backlog", lambda: status()["samples_waiting"] <= 4)

            press(folder, "override")
            wait_for("the member's word", lambda: phase(second) == "opted_out")
            wait_for("the VTN's book", lambda: len(vtn.opts_since(START)[0]) == 3)
            opts, _ = vtn.opts_since(START)
            assert [(opt.event_id, opt.opt) for opt in opts] == [
                (first, "in"),
                (second, "in"),
                (second, "out"),
            ]
        finally:
            process.terminate()
            process.wait(60)
    said = [line.partition(" res-water ")[2] for line in (folder / "commands.log").read_text().splitlines()]
    assert any(line.startswith("order: off") for line in said)
    assert said[-1].startswith("own schedule: on")
