"""Outbox consumers and Celery tasks of members: thin wrappers around services."""

from __future__ import annotations

from celery import shared_task

from members import applying, exporting, inviting
from opendsr.kernel import clock


@shared_task(ignore_result=True)
def forget_enquiries(**_: object) -> None:
    """Shred what old enquiries told and whom old invitations went to; run twice, the second finds none."""
    applying.forget_old(at=clock.now())
    inviting.forget_old(at=clock.now())


@shared_task(ignore_result=True)
def forget_exports(**_: object) -> None:
    """Drop copies that were ready for a month; run twice, the second finds none."""
    exporting.forget(at=clock.now())
