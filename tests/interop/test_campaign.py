"""A campaign meets a VEN nobody here wrote: `openleadr`'s optIn shows in the household's participation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from campaigns import approving
from campaigns.models import OptRecord, Participation
from opendsr.kernel import clock, outbox, waking
from opendsr.kernel.interval import EPOCH, HALF_HOUR
from tests.campaigns.staging import make_planned, make_ready_home
from tests.interop.test_openleadr import environment_of_its_own as environment_of_its_own
from tests.interop.test_openleadr import foreign_hub
from tests.vtn import hubs, listening
from vtn.models import Ven

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_its_opt_in_shows_in_the_participation(
    environment_of_its_own: None, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VTN_PKI_DIR = tmp_path / "pki"
    monkeypatch.setenv("VTN_POLL_SECONDS", "1")
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)
    _, kit = make_ready_home("ev_charger", through_vtn=True)
    ven = Ven.objects.get(ven_id=kit.ven_id)
    hub = hubs.TestHub(ven, kit.key_pem, kit.certificate_pem, kit.ca_pem, fingerprint="")
    now = clock.now()
    starts_at = EPOCH + ((now - EPOCH) // HALF_HOUR + 3) * HALF_HOUR
    campaign = make_planned(kit.assets, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1), at=now)

    def participation() -> Participation:
        outbox.drain()
        return Participation.objects.get(campaign=campaign)

    with listening.listening(tmp_path / "pki") as listener, foreign_hub(hub, listener, tmp_path) as client:
        client.wait_for("its registration", lambda: Ven.objects.get(pk=ven.pk).is_registered)
        approving.approve_campaign(campaign_id=campaign.pk, at=now, by=None)
        client.wait_for("its opt in the participation", lambda: participation().state == "opted_in")

    part = participation()
    assert part.responded_at is not None
    assert OptRecord.objects.get(participation=part).source == OptRecord.Source.HUB
    assert "did not pass XML schema validation" not in client.log_path.read_text()
