"""The co-op as a VEN under a VTN nobody here wrote: `openleadr`'s sends an event, homes act, it is let go."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from campaigns.models import Campaign, OperatorEvent, OperatorMessage, OperatorReport, OperatorVtn
from campaigns.servicing import telling
from campaigns.ven import arranging, contacting
from opendsr.kernel import clock, waking
from tests.campaigns.servicing.operating import make_habits, make_operator
from tests.campaigns.staging import make_ready_home
from tests.campaigns.ven.neighbour import client_certificate, connect
from tests.hems.small_vtn import Authority
from tests.interop.test_openleadr import PATIENCE_SECONDS, PYTHON, ROOT
from tests.interop.test_openleadr import environment_of_its_own as environment_of_its_own
from tests.redises import free_port
from vtn.models import Event

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CONTEXT = "oadr://unknown.context"
"""What openleadr says where nobody told it a market context."""
MINUTE = timedelta(minutes=1)


def test_openleadrs_event_moves_homes_is_opted_into_and_its_cancellation_lets_them_go(
    environment_of_its_own: None, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VTN_PKI_DIR = tmp_path / "pki"
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)
    # Enough meters for a total take longer to set up than the rest of this test.
    monkeypatch.setattr(
        telling,
        "metering",
        lambda contract, *, interval, at: [{"mean_w": 1_500}] * (interval.duration // MINUTE),
    )
    homes = [make_ready_home("ev_charger", through_vtn=True, cmz="Calder") for _ in range(2)]
    make_habits(*(resident for resident, _ in homes))
    operator = make_operator(max_w=9_000, approved_w=9_000)
    authority, port = Authority("DNO CA"), free_port()
    settings.OPERATOR_VTN_NETWORKS, settings.OPERATOR_VTN_PORTS = ["127.0.0.0/8", "::1/128"], [port]
    certificate_pem, key_pem = client_certificate(authority)
    vtn = connect(
        operator,
        f"https://localhost:{port}/OpenADR2/Simple/2.0b",
        authority,
        certificate_pem=certificate_pem,
        private_key_pem=key_pem,
    )
    arranging.add_place(
        client_id=operator.client.pk,
        name=CONTEXT,
        zone="Calder",
        moderate_pct=33,
        high_pct=67,
        special_pct=100,
        at=clock.now(),
        by=vtn.changed_by,
    )
    certificate, key = authority.server_identity(tmp_path)
    ca, ours = tmp_path / "ca.pem", tmp_path / "ours.pem"
    ca.write_bytes(authority.pem)
    ours.write_text(certificate_pem)
    said_path, cancel, log = tmp_path / "said", tmp_path / "cancel", tmp_path / "log"
    said_path.touch()
    words = [
        PYTHON,
        Path(__file__).with_name("openleadr_vtn.py"),
        port,
        certificate,
        key,
        ca,
        ours,
        said_path,
        cancel,
    ]

    def said(kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in said_path.read_text().splitlines()]
        return [line for line in lines if line["kind"] == kind]

    def wait_for(what: str, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            OperatorVtn.objects.update(due_wall_at=clock.wall_now())
            contacting.contact(vtn_id=vtn.pk, wall=clock.wall_now())
            if found := look():
                return found
            time.sleep(0.2)
        vtn.refresh_from_db()
        raise AssertionError(f"waited for {what} in vain ({vtn.problem}); {log.read_text()[-3000:]}")

    with log.open("w") as output:
        process = subprocess.Popen(
            [str(word) for word in words], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
        )
    try:
        wait_for("the optIn", lambda: said("opt"))
        assert said("opt") == [{"kind": "opt", "event_id": "foreign-event", "opt": "optIn"}]
        campaign = Campaign.objects.get()
        assert (campaign.state, campaign.zone, campaign.size_w) == ("dispatched", "Calder", 2_970)
        assert Event.objects.filter(cancelled_at=None).count() > 0
        assert said("registered")[0]["ven_name"] == vtn.ven_name
        assert said("offered")[0]["measurement"] == "RealPower"
        OperatorReport.objects.update(due_at=clock.now(), told_until=clock.now() - 10 * MINUTE)
        OperatorReport.objects.update(starts_at=clock.now() - 10 * MINUTE)
        reported = wait_for("the metering", lambda: said("reported"))
        assert {value for _, value in reported[0]["values"]} == {1_500.0}

        cancel.touch()
        wait_for("the cancellation", lambda: OperatorEvent.objects.filter(state="cancelled"))
        campaign.refresh_from_db()
        assert campaign.state == "cancelled"
        assert not Event.objects.filter(cancelled_at=None).exists()
        vtn.refresh_from_db()
        assert vtn.problem == ""
        assert OperatorMessage.objects.filter(kind="oadrCreatedEvent", words__contains="optIn").exists()
    finally:
        process.terminate()
        process.wait(60)
