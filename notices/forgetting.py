"""What of notices is forgotten, and when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from notices.models import Choice, Contact, InboundSms, Notice

KEEP: Final = timedelta(days=400)
"""A year and a month: a year's reminders can be shown to have gone out."""


@transaction.atomic
def forget_member(*, member_id: UUID) -> None:
    """Drop number, language and choices; what waits is not sent. What was sent is unreadable by then."""
    Contact.objects.filter(member=member_id).delete()
    Choice.objects.filter(member=member_id).delete()
    waiting = Notice.objects.filter(member=member_id, state=Notice.State.QUEUED)
    waiting.update(state=Notice.State.DROPPED, reason=Notice.Reason.GONE)


@transaction.atomic
def forget_old(*, at: datetime) -> int:
    """Drop notices and messages older than KEEP; how many notices."""
    InboundSms.objects.filter(received_at__lt=at - KEEP).delete()
    return Notice.objects.filter(queued_at__lt=at - KEEP).delete()[0]
