"""Outbox consumers and Celery tasks of assets: thin wrappers around services."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from assets import jobs, rolling_out, shadowing
from members import applying, moving
from opendsr.kernel import clock, outbox
from opendsr.kernel.outbox import Fact


@outbox.consumer("vtn.shadow.reported", "assets.hub_reported")
def hub_reported(*, fact: Fact) -> None:
    """A hub told what it is."""
    rolling_out.hub_reported(ven_id=str(fact.payload["ven_id"]), at=clock.now())


@outbox.consumer(moving.MOVED_IN, "assets.plan_visit_after_move")
@outbox.consumer(applying.JOINED, "assets.plan_visit")
def plan_visit(*, fact: Fact) -> None:
    """Somebody joined or moved: their home is visited, unless a hub works there already."""
    jobs.plan_for_joined(home_id=UUID(str(fact.payload["home_id"])), at=fact.at)


@outbox.consumer("members.member.erased", "assets.forget_visits")
def forget_visits(*, fact: Fact) -> None:
    """Nobody of a household is left: photos of their rooms and notes of visits go."""
    stays = fact.payload["occupancy_ids"]
    if isinstance(stays, list) and stays:
        jobs.forget_visits(occupancy_ids=[UUID(str(each)) for each in stays])


@shared_task
def advance_rollouts() -> int:
    """Take updates to the next hubs once those before are well."""
    return len(rolling_out.advance(at=clock.now()))


@shared_task
def refresh_shadows() -> int:
    """Write what is wanted of every hub, whatever changed it."""
    return shadowing.refresh_all(at=clock.now())
