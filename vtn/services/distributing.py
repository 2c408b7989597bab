"""Handing over events: always the VEN's full live set, each hand-over of a new version recorded."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from oadr import messages as m
from oadr.messages import EiResponse
from opendsr.kernel import clock, ids, outbox
from vtn import lifecycle
from vtn.models import Event, Ven
from vtn.notices import event_message, vtn_id
from vtn.services.registration import poll_seconds


def is_anything_due(ven: Ven, *, at: datetime) -> bool:
    """True when a poll has news: an event or version not yet handed over, or handed over and not answered."""
    events = [event for event in _open_events(ven, at) if lifecycle.is_live(event, at=at)]
    wall, seconds = clock.wall_now(), poll_seconds(ven)
    return bool(events) and (
        ven.is_resync_due or any(lifecycle.is_due(event, wall=wall, poll_seconds=seconds) for event in events)
    )


@transaction.atomic
def distribute(ven: Ven, *, at: datetime, request_id: str) -> m.DistributeEvent:
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
    if ven.is_resync_due:
        Ven.objects.filter(pk=ven.pk).update(is_resync_due=False)
    return m.DistributeEvent(
        request_id=f"DE-{ids.random_token(64)}",
        vtn_id=vtn_id(),
        events=tuple(
            event_message(event, ven_id=ven.ven_id, at=at) for event in lifecycle.in_order(events, at=at)
        ),
        response=EiResponse(description="OK", request_id=request_id),
    )


def _open_events(ven: Ven, at: datetime) -> QuerySet[Event]:
    return Event.objects.filter(ven=ven, closes_at__gt=at)
