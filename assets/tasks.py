"""Outbox consumers and Celery tasks of assets: thin wrappers around services."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from assets import changing, jobs, journals, measures, rolling_out, shadowing
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


@outbox.consumer(moving.OCCUPANCY_ENDED, "assets.forget_needs")
def forget_needs(*, fact: Fact) -> None:
    """A household's stay ended: whoever comes next finds none of what it asked of the home's assets."""
    shadowing.forget_households_words(home_id=UUID(str(fact.payload["home_id"])), at=clock.now())


@outbox.consumer(changing.STEP, "assets.change_step")
def change_step(*, fact: Fact) -> None:
    """The next piece of a change of many rows; delivered twice, the second finds its rows done."""
    changing.step(change_id=UUID(str(fact.payload["change_id"])), at=clock.now())


@outbox.consumer("members.member.erased", "assets.forget_visits")
def forget_visits(*, fact: Fact) -> None:
    """Nobody of a household is left: photos of their rooms, notes of visits and of measures go."""
    stays = fact.payload["occupancy_ids"]
    if isinstance(stays, list) and stays:
        occupancy_ids = [UUID(str(each)) for each in stays]
        jobs.forget_visits(occupancy_ids=occupancy_ids)
        measures.forget_notes(occupancy_ids=occupancy_ids)


@shared_task
def advance_rollouts() -> int:
    """Take updates to the next hubs once those before are well."""
    return len(rolling_out.advance(at=clock.now()))


@shared_task
def refresh_shadows() -> int:
    """Write what is wanted of every hub, whatever changed it."""
    return shadowing.refresh_all(at=clock.now())


@shared_task
def watch_hubs() -> int:
    """Note that the site is at work, and which hubs are not heard."""
    return journals.watch(at=clock.now(), wall=clock.wall_now())
