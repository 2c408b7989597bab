"""Celery tasks and outbox consumers of notices: thin wrappers; nothing personal in messages."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from members.erasing import ERASED
from notices import delivering, forgetting
from opendsr.kernel import clock, outbox
from opendsr.kernel.outbox import Fact


@shared_task(ignore_result=True)
def send_due(**_: object) -> None:
    """Send what is due; two at once share the queue."""
    delivering.send_due(at=clock.now())


@shared_task(ignore_result=True)
def forget_notices(**_: object) -> None:
    """Drop the log of more than a year ago; run twice, the second finds none."""
    forgetting.forget_old(at=clock.now())


@outbox.consumer(ERASED, "notices.erased")
def member_erased(*, fact: Fact) -> None:
    """How an erased member was reached, and what they chose, goes too."""
    forgetting.forget_member(member_id=UUID(str(fact.payload["member_id"])))
