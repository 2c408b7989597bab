"""The VEN of Carbon Co-op's homes, `pyoadr-ven`: registers over mutual TLS, reports, is told, opts in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.interop.test_openleadr import ROOT, ForeignHub
from tests.interop.test_openleadr import environment_of_its_own as environment_of_its_own
from tests.vtn import hubs, listening
from vtn.models import EventOpt, ReportOffer, ReportRequest, Ven
from vtn.port import START
from vtn.service import EmbeddedVtn

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PYTHON = ROOT / ".venv-interop-pyoadr" / "bin" / "python"


@contextmanager
def pyoadr_hub(hub: hubs.TestHub, listener: listening.Listener, folder: Path) -> Iterator[ForeignHub]:
    pem, said, log = folder / "both.pem", folder / "said", folder / "log"
    pem.write_text(hub.key_pem + hub.certificate_pem)
    said.touch()
    words = [str(PYTHON), str(Path(__file__).with_name("pyoadr_hub.py"))]
    words += [f"https://{listener.host}:{listener.port}", hub.ven_id, str(pem), str(listener.ca_path)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*words, str(said)],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"REQUESTS_CA_BUNDLE": str(listener.ca_path)},
        )
    try:
        yield ForeignHub(process, said, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_it_registers_reports_is_told_and_opts_in(
    environment_of_its_own: None, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki_folder = tmp_path / "pki"
    settings.VTN_PKI_DIR = pki_folder
    hub = hubs.new_hub("pyoadr")
    vtn = EmbeddedVtn()
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    notice = hubs.notice_to(hub.ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))

    with listening.listening(pki_folder) as listener, pyoadr_hub(hub, listener, tmp_path) as client:
        client.wait_for("its registration", lambda: Ven.objects.get(pk=hub.ven.pk).is_registered)
        client.wait_for("its offer of a report", lambda: ReportOffer.objects.filter(ven=hub.ven).first())
        reports = client.wait_for("its report", lambda: vtn.reports_since(START)[0])
        event_id = vtn.publish(notice, key="first", at=clock.now())
        client.wait_for("its answer", lambda: EventOpt.objects.filter(event__event_id=event_id).first())
        client.wait_for("its opt", lambda: [said for said in client.said if said["opt"] == "optIn"])
        vtn.cancel(event_id, at=clock.now())
        client.wait_for(
            "its word on the cancellation",
            lambda: vtn.acknowledgement(event_id, at=clock.now()).is_current_delivered,
        )

    assert [(point.r_id, point.value) for point in reports[0].points][:1] == [("power", 1500.0)]
    assert ReportRequest.objects.get(ven=hub.ven).state == "running"
    assert client.said[0]["event_id"] == event_id
