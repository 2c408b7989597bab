"""What staff do about one message on its way to a VEN: take it back, or give a dead one another go."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotFound
from vtn import queueing
from vtn.models import MessageKind, QueuedMessage


class UnknownQueuedMessage(NotFound):
    """The VEN has no such message: `ven_id`, `reason`."""


class NotToWithdraw(DomainError):
    """The message is over, or is the VEN's set of events: `reason`."""


class NotDead(DomainError):
    """Only a message that nobody answered can be sent again: `reason`."""


@transaction.atomic
def withdraw_message(*, ven_id: str, queued_pk: int, at: datetime, by: str) -> None:
    """Take a message back; raises UnknownQueuedMessage, NotToWithdraw.

    Not the set of events: without it a VEN would be told nothing of them. They are cancelled one by one.
    """
    row = _row(ven_id, queued_pk)
    if row.kind == MessageKind.EVENTS:
        raise NotToWithdraw(reason="events are not taken back here: cancel the event")
    if not queueing.withdraw(queued_pk=row.pk, at=at, note="withdrawn by staff"):
        raise NotToWithdraw(reason="the message is over already")
    _record("vtn.message.withdrawn", row, at=at, by=by)


@transaction.atomic
def retry_message(*, ven_id: str, queued_pk: int, at: datetime, by: str) -> QueuedMessage:
    """Queue a dead message again, with a request id of its own; raises UnknownQueuedMessage, NotDead."""
    row = _row(ven_id, queued_pk)
    fresh = queueing.revive(queued_pk=row.pk, at=at)
    if fresh is None:
        raise NotDead(reason="only a message that was given up is sent again")
    _record("vtn.message.sent_again", row, at=at, by=by)
    return fresh


def _row(ven_id: str, queued_pk: int) -> QueuedMessage:
    rows = QueuedMessage.objects.select_for_update(of=("self",)).select_related("ven")
    row = rows.filter(ven__ven_id=ven_id, pk=queued_pk).first()
    if row is None:
        raise UnknownQueuedMessage(ven_id=ven_id, reason="this VEN has no such message")
    return row


def _record(verb: str, row: QueuedMessage, *, at: datetime, by: str) -> None:
    audit.record(at=at, actor=by, verb=verb, target=f"ven:{row.ven.ven_id}", detail={"kind": row.kind})
