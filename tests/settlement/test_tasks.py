"""What the outbox and the scheduler ask of settlement."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.completing import COMPLETED
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import AuditEntry
from settlement import tasks
from settlement.models import SettlementRun
from tests.settlement.staging import AFTER, State, make_measured, make_stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def the_day_after():
    clock.configure(anchor_world=AFTER, anchor_wall=clock.wall_now(), speed=1)


def test_a_completed_campaign_is_noted_as_waiting(the_day_after):
    stage = make_stage(State.OPTED_IN)
    outbox.record(COMPLETED, at=AFTER, key=str(stage.campaign.pk), campaign_id=stage.campaign.pk)

    outbox.drain()
    outbox.drain()

    assert [entry.target for entry in AuditEntry.objects.filter(verb="settlement.awaited")] == [
        f"campaign:{stage.campaign.pk}"
    ]
    assert not SettlementRun.objects.exists()


def test_the_scheduler_settles_what_is_ready_once(the_day_after):
    stage = make_measured(700)

    tasks.settle_what_is_ready()
    tasks.settle_what_is_ready()

    run = SettlementRun.objects.get()
    assert run.campaign == stage.campaign
    assert run.run_at - AFTER < timedelta(minutes=5)
