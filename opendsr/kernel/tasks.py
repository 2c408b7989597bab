"""Celery's way into the kernel: sweep the outbox, adopt what it lacks, show signs of life."""

from __future__ import annotations

from celery import shared_task

from opendsr.kernel import heartbeat, outbox, sealing


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def sweep_outbox(*, queue: str, by: str = "wake", **_: object) -> None:
    """Run twice, count once: each delivery is claimed under a lease."""
    if by == "beat":
        heartbeat.beat("beat")
    outbox.sweep(queue=queue)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def adopt_facts(**_: object) -> None:
    """Run twice, count once: a delivery is unique per fact and consumer."""
    outbox.adopt()


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def seal_audit(**_: object) -> None:
    """Run twice at a time, sealed once: the second sealer finds the lock taken and leaves it."""
    sealing.seal_all()
