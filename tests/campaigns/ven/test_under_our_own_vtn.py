"""The co-op as a VEN under this project's own VTN, run as the operator's: another process, mutual TLS."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from campaigns.models import Campaign, OperatorEvent, OperatorVtn
from campaigns.ven import arranging, contacting
from opendsr.kernel import clock, outbox
from opendsr.kernel.interval import Interval
from tests.campaigns.servicing.operating import make_habits, make_operator
from tests.campaigns.staging import PaperVtn, make_ready_home
from tests.campaigns.ven.neighbour import CONTEXT, connect
from tests.hems.small_vtn import Authority
from tests.vtn import hubs, listening
from vtn.models import Event
from vtn.port import Signal, SignalInterval
from vtn.service import EmbeddedVtn

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_its_event_is_taken_changed_and_let_go(
    paper_vtn: PaperVtn, tmp_path: Path, settings: Settings
) -> None:
    settings.VTN_PKI_DIR = tmp_path / "pki"
    now = clock.now().replace(microsecond=0)
    homes = [make_ready_home(cmz="Calder") for _ in range(4)]
    make_habits(*(resident for resident, _ in homes))
    operator, hub, theirs = make_operator(), hubs.new_hub("COOP"), EmbeddedVtn()
    hour = Interval(now + timedelta(hours=1), now + timedelta(hours=2))

    def notice(level: float) -> object:
        signal = Signal("SIMPLE", "level", (SignalInterval(3_600, level),))
        return hubs.notice_to(hub.ven_id, market_context=CONTEXT, interval=hour, signals=(signal,))

    with listening.listening(tmp_path / "pki") as listener:
        settings.OPERATOR_VTN_NETWORKS, settings.OPERATOR_VTN_PORTS = (
            ["127.0.0.0/8", "::1/128"],
            [listener.port],
        )
        vtn = connect(
            operator,
            f"https://localhost:{listener.port}/OpenADR2/Simple/2.0b",
            Authority(),
            authority_pem=hub.ca_pem,
            certificate_pem=hub.certificate_pem,
            private_key_pem=hub.key_pem,
        )
        arranging.add_place(
            client_id=operator.client.pk,
            name=CONTEXT,
            zone="Calder",
            moderate_pct=10,
            high_pct=20,
            special_pct=30,
            at=now,
            by=vtn.changed_by,  # type: ignore[arg-type]
        )

        def told() -> OperatorEvent | None:
            OperatorVtn.objects.update(due_wall_at=clock.wall_now())
            assert contacting.contact(vtn_id=vtn.pk, wall=clock.wall_now()), OperatorVtn.objects.get().problem
            outbox.drain()
            return OperatorEvent.objects.first()

        assert told() is None
        event_id = theirs.publish(notice(1.0), key="e", at=now)  # type: ignore[arg-type]
        taken = told()
        assert taken is not None
        assert (taken.event_id, taken.state) == (str(event_id), "taken")
        assert Campaign.objects.get().size_w == 1_000
        assert Event.objects.get().acknowledged_modification == 0
        theirs.amend(event_id, notice(2.0), at=now)  # type: ignore[arg-type]
        changed = told()
        assert changed is not None
        assert (changed.modification_number, changed.state) == (1, "taken")
        assert Campaign.objects.exclude(state="cancelled").get().size_w == 2_000
        theirs.cancel(event_id, at=now)
        over = told()

    assert over is not None
    assert over.state == "cancelled"
    assert paper_vtn.live() == []
    assert not Campaign.objects.exclude(state="cancelled").exists()
