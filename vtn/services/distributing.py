"""Handing over events: always the VEN's full live set, each hand-over of a new version recorded."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from oadr import messages as m
from oadr.messages import EiResponse
from opendsr.kernel import clock, ids, outbox
from opendsr.kernel.interval import EPOCH
from vtn import lifecycle, queueing
from vtn.models import OPEN_STATES, Event, MessageKind, MessageState, QueuedMessage, Ven
from vtn.notices import event_message, vtn_id
from vtn.services.registration import poll_seconds


@transaction.atomic
def distribute(ven: Ven, *, at: datetime, request_id: str, by: str = "pull") -> m.DistributeEvent:
    """Return every live event of the VEN, and record the hand-over.

    One left out would be cancelled by that (rule 61); a replyLimit is therefore not honoured.
    """
    rows = _open_events(ven, at).select_for_update().order_by("pk")
    events = [event for event in rows if lifecycle.is_live(event, at=at)]
    wall = clock.wall_now()
    for event in events:
        if event.delivered_modification != event.modification_number:
            event.delivered_modification = event.modification_number
            event.delivered_at = at
            outbox.record(
                "vtn.event.delivered",
                at=at,
                key=f"{event.event_id}:{event.modification_number}",
                event_id=event.event_id,
                ven_id=ven.ven_id,
                modification_number=event.modification_number,
                delivered_at=at,
            )
        event.delivered_wall_at = wall
        event.delivery_count += 1
    Event.objects.bulk_update(
        events, ["delivered_modification", "delivered_at", "delivered_wall_at", "delivery_count"]
    )
    _settle(ven, at=at, by=by)
    return m.DistributeEvent(
        request_id=f"DE-{ids.random_token(64)}",
        vtn_id=vtn_id(),
        events=tuple(
            event_message(event, ven_id=ven.ven_id, at=at) for event in lifecycle.in_order(events, at=at)
        ),
        response=EiResponse(description="OK", request_id=request_id),
    )


def is_anything_left(ven: Ven, *, at: datetime, queued: QueuedMessage) -> bool:
    """True when a queued offer of events still has something to hand over: an event due, or a resync."""
    events = _live(ven, at)
    if queued.content.get("is_resync"):
        return bool(events)
    wall, seconds = clock.wall_now(), poll_seconds(ven)
    due = (lifecycle.due_wall_at(event, poll_seconds=seconds) for event in events)
    return any(when is not None and when <= wall for when in due)


@transaction.atomic
def settle(ven: Ven, *, at: datetime) -> None:
    """Bring the queue's row in line with the VEN's events: due again, later, or answered altogether."""
    _settle(ven, at=at, by="")


def _settle(ven: Ven, *, at: datetime, by: str) -> None:
    """As `settle`; `by` names the transport that has just taken the full set.

    The row is locked before the events are read: one published meanwhile has either been
    seen here, or its publisher waits for this row and queues it again.
    """
    row = (
        QueuedMessage.objects.select_for_update()
        .filter(ven=ven, kind=MessageKind.EVENTS, state__in=OPEN_STATES)
        .first()
    )
    if row is None:
        return
    seconds = poll_seconds(ven)
    due = [
        when
        for event in _live(ven, at)
        if (when := lifecycle.due_wall_at(event, poll_seconds=seconds)) is not None
    ]
    if row.content.get("is_resync"):
        if by and row.attempts + 1 < lifecycle.DELIVERIES_WITHOUT_ANSWER:
            wait = queueing.wait_seconds(poll_seconds=seconds, attempts=row.attempts + 1)
            due.append(clock.wall_now() + timedelta(seconds=wait))
        elif not by and row.attempts == 0:
            due.append(EPOCH)
        else:
            row.content = {}
            QueuedMessage.objects.filter(pk=row.pk).update(content={})
    itself = QueuedMessage.objects.filter(pk=row.pk)
    if not due:
        was_shown = bool(by or row.attempts)
        state = MessageState.ANSWERED if was_shown else MessageState.WITHDRAWN
        queueing.finish(itself, state=state, at=at, code=m.OK if was_shown else None)
    elif by:
        queueing.mark_handed_over(queued=row, at=at, by=by, next_try_wall_at=min(due))
    elif min(due) > EPOCH:
        itself.update(
            state=MessageState.DELIVERED, delivered_at=row.delivered_at or at, next_try_wall_at=min(due)
        )


def _live(ven: Ven, at: datetime) -> list[Event]:
    return [event for event in _open_events(ven, at) if lifecycle.is_live(event, at=at)]


def _open_events(ven: Ven, at: datetime) -> QuerySet[Event]:
    return Event.objects.filter(ven=ven, closes_at__gt=at)
