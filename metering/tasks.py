"""Outbox consumers and Celery tasks of metering: thin wrappers around services."""

from __future__ import annotations

from celery import shared_task

from metering import closing
from opendsr.kernel import clock


@shared_task(ignore_result=True)
def close_half_hours(**_: object) -> None:
    """Run twice, count once: a half-hour is due until it is closed, and claimed under its row's lock."""
    closing.close_half_hours(at=clock.now())
