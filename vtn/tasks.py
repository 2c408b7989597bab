"""Celery tasks of the VTN: thin wrappers around services."""

from __future__ import annotations

from celery import shared_task

from opendsr.kernel import clock
from vtn import messagelog


@shared_task(ignore_result=True)
def prune_messages(**_: object) -> None:
    """Run twice, prune once: what is past its time is gone after the first."""
    messagelog.prune(wall=clock.wall_now())
