"""What the outbox and the scheduler ask of settlement."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.completing import COMPLETED
from campaigns.models import Participation
from members.models import Role
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import AuditEntry, OutboxFact
from settlement import rounds, tasks
from settlement.models import SettlementRun
from tests.factories import make_staff
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


def test_a_posted_round_tells_each_campaign_what_the_run_that_stands_measured(the_day_after):
    fay, ada = (make_staff(f"{name}@example.org", Role.FINANCE) for name in ("fay", "ada"))
    stage = make_measured(700, 100)
    later = AFTER + timedelta(days=1)
    round = rounds.propose_round(
        programme_code="winter", kind="final", campaign_ids=[stage.campaign.pk], at=later, by=fay
    )
    rounds.compute_round(round_id=round.pk, at=later)
    rounds.approve_round(round_id=round.pk, at=later, by=ada)
    assert not Participation.objects.exclude(outcome="").exists()

    outbox.drain()

    told = Participation.objects.order_by("measured_pct").values_list("measured_pct", "outcome")
    assert list(told) == [(2, "partial"), (17, "partial")]
    assert OutboxFact.objects.filter(topic=rounds.POSTED).count() == 1
