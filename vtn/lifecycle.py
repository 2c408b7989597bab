"""The life of an event on the wire: status by the clock, place in a set, when it is handed over again.

Pure: rows and times in, answers out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from oadr.messages import EventStatus
from opendsr.kernel.interval import EPOCH
from vtn.live_events import AnyEvent, EventRow
from vtn.models import Event

Row = TypeVar("Row", Event, EventRow)

LONGEST_WAIT_SECONDS = 600
DELIVERIES_WITHOUT_ANSWER = 2
"""An event that wants no answer is handed over twice: a reply can be lost on its way."""


def status(event: AnyEvent, *, at: datetime) -> EventStatus:
    """Return the status that agrees with the clock (rule 13).

    Ramp-up is near, recovery is completed; with a start tolerance the VEN may end
    that much later, so active lasts until `closes_at`.
    """
    if event.cancelled_at is not None:
        return "cancelled"
    if at >= event.closes_at:
        return "completed"
    if at >= event.starts_at:
        return "active"
    if event.ramp_up_seconds > 0 and at >= event.starts_at - timedelta(seconds=event.ramp_up_seconds):
        return "near"
    return "far"


def is_live(event: AnyEvent, *, at: datetime) -> bool:
    """True while the event belongs in its VEN's full set.

    A cancelled one stays until the VEN has answered, or has had it often enough;
    one cancelled before it was ever handed over is never shown (rule 60).
    """
    if at >= event.closes_at:
        return False
    if event.cancelled_at is None:
        return True
    if event.delivered_modification is None or is_acknowledged(event):
        return False
    return event.is_response_required or not _is_delivered_enough(event)


def is_acknowledged(event: AnyEvent) -> bool:
    return event.acknowledged_modification == event.modification_number


def due_wall_at(event: AnyEvent, *, poll_seconds: int) -> datetime | None:
    """Return when a live event is to be handed over (again), in wall time; None when never.

    Before all time for a version not yet handed over. At least once: the wait doubles
    with each hand-over, up to ten minutes.
    """
    if is_acknowledged(event):  # also where that it was handed over is not written down yet
        return None
    if event.delivered_modification != event.modification_number or event.delivered_wall_at is None:
        return EPOCH
    if not event.is_response_required and _is_delivered_enough(event):
        return None
    wait_seconds = min(poll_seconds * 2 ** min(event.delivery_count, 10), LONGEST_WAIT_SECONDS)
    return event.delivered_wall_at + timedelta(seconds=wait_seconds)


def in_order(events: Iterable[Row], *, at: datetime) -> list[Row]:
    """Return events in the order of a payload: active by priority, then pending by start, then cancelled."""

    def place(event: AnyEvent) -> tuple[object, ...]:
        urgency = event.priority or 2**32
        state = status(event, at=at)
        if state == "active":
            return (0, urgency, event.starts_at, event.pk)
        rank = 2 if state in ("cancelled", "completed") else 1
        return (rank, event.starts_at, urgency, event.pk)

    return sorted(events, key=place)


def _is_delivered_enough(event: AnyEvent) -> bool:
    is_current = event.delivered_modification == event.modification_number
    return is_current and event.delivery_count >= DELIVERIES_WITHOUT_ANSWER
