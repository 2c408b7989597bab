"""Outbox consumers and Celery tasks of the VTN: thin wrappers around services."""

from __future__ import annotations

from celery import shared_task

from opendsr.kernel import clock, outbox
from vtn import expiring, messagelog, pacing, queueing, renewing, retaining, revoking, securing
from vtn.enrolling import REVOKED
from vtn.services import writing_behind


@shared_task(ignore_result=True)
def prune_messages(**_: object) -> None:
    """Run twice, prune once: what is past its time is gone after the first."""
    messagelog.prune(wall=clock.wall_now())
    retaining.prune_reports(at=clock.now())
    retaining.prune_series(at=clock.now())


@outbox.consumer(REVOKED, "vtn.publish_lists")
def publish_lists_after_revocation(*, fact: outbox.Fact) -> None:
    """Whoever asks the CA hears of it from now on."""
    if not revoking.are_listed(revoking.revocation_of(fact).fingerprints):
        revoking.publish_lists(at=fact.at, wall=clock.wall_now(), is_forced=True)


@shared_task(ignore_result=True)
def tend_certificates(**_: object) -> None:
    """Lists published, alarms raised, replaced certificates ended, nonces forgotten; safe to run twice."""
    at, wall = clock.now(), clock.wall_now()
    revoking.publish_lists(at=at, wall=wall)
    expiring.raise_alarms(at=at, wall=wall)
    renewing.retire_replaced(at=at, wall=wall)
    securing.forget_nonces(wall=wall)


@shared_task(ignore_result=True)
def sweep_queue(**_: object) -> None:
    """Expire and give up what is due, write down what a killed process let go; safe to run twice."""
    wall = clock.wall_now()
    writing_behind.write_behind(wall=wall)
    queueing.sweep(at=clock.now(), wall=wall)


@shared_task(ignore_result=True)
def repace_vens(**_: object) -> None:
    """Ask VENs whose poll interval no longer fits to register again; run twice, they are asked once."""
    pacing.repace(at=clock.now())
