"""Handing over events: always the VEN's full live set, each hand-over of a new version recorded.

Everything is written in groups, a handful of statements for one VEN or for thousands: a poll is a group
of one, a transport that fans a campaign out brings many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import QuerySet

from oadr import messages as m
from oadr import rendering
from oadr.messages import EiResponse
from opendsr.kernel import clock, ids, outbox
from opendsr.kernel.interval import EPOCH
from vtn import lifecycle, queueing
from vtn.models import OPEN_STATES, Event, MessageKind, MessageState, QueuedMessage, Ven
from vtn.notices import event_bytes, event_message, vtn_id
from vtn.services.registration import poll_seconds

DELIVERED: Final = "vtn.event.delivered"


@transaction.atomic
def distribute(
    ven: Ven,
    *,
    at: datetime,
    request_id: str,
    by: str = "pull",
    is_fit: Callable[[Event], bool] | None = None,
) -> m.DistributeEvent:
    """Return every live event of the VEN, and record the hand-over.

    One left out would be cancelled by that (rule 61); a replyLimit is therefore not honoured.
    `is_fit` leaves out, always, what the VEN's profile has no words for.
    """
    events = take_sets([ven], at=at, by=by, is_fit=is_fit)[ven.pk]
    return m.DistributeEvent(
        request_id=f"DE-{ids.random_token(64)}",
        vtn_id=vtn_id(),
        events=tuple(event_message(event, ven_id=ven.ven_id, at=at) for event in events),
        response=EiResponse(description="OK", request_id=request_id),
    )


@transaction.atomic
def distribute_many(vens: Sequence[Ven], *, at: datetime, by: str) -> dict[int, bytes]:
    """Return the oadrDistributeEvent of each VEN (by pk) whose next message it is, as bytes; record them.

    VENs with no event due are left out: ask `delivering.next_message` for those. What many
    are told alike is rendered once. Commit before the bytes leave.
    """
    wall = clock.wall_now()
    offered = {
        row.ven_id: row
        for row in QueuedMessage.objects.filter(
            ven_id__in=[ven.pk for ven in vens], kind=MessageKind.EVENTS, state__in=OPEN_STATES
        )
        if row.state == MessageState.QUEUED or row.next_try_wall_at <= wall
    }
    wanted = [ven for ven in vens if ven.pk in offered]
    sets = take_sets(wanted, at=at, by=by, offered=offered)
    response = EiResponse(description="OK")
    return {
        ven.pk: rendering.distribute_event(
            request_id=f"DE-{ids.random_token(64)}",
            vtn_id=vtn_id(),
            events=[event_bytes(event, ven_id=ven.ven_id, at=at) for event in sets[ven.pk]],
            response=response,
        )
        for ven in wanted
        if ven.pk in sets
    }


@transaction.atomic
def distribute_asked(
    asked: Sequence[tuple[Ven, m.RequestEvent, bool]], *, at: datetime, by: str
) -> list[bytes]:
    """Return, in their order, the reply to each VEN that asks for its set, as bytes; record the hand-overs.

    The flag says whether the reply goes in an oadrPayload. Commit before the bytes leave.
    """
    sets = take_sets(list({ven.pk: ven for ven, _, _ in asked}.values()), at=at, by=by)
    return [
        rendering.distribute_event(
            request_id=f"DE-{ids.random_token(64)}",
            vtn_id=vtn_id(),
            events=[event_bytes(event, ven_id=ven.ven_id, at=at) for event in sets[ven.pk]],
            response=EiResponse(description="OK", request_id=message.request_id),
            is_enveloped=is_enveloped,
        )
        for ven, message, is_enveloped in asked
    ]


def take_sets(
    vens: Sequence[Ven],
    *,
    at: datetime,
    by: str,
    offered: Mapping[int, QueuedMessage] | None = None,
    is_fit: Callable[[Event], bool] | None = None,
) -> dict[int, list[Event]]:
    """Return each VEN's live events (by its pk), in a payload's order, noted as handed over.

    Inside the caller's transaction. With the rows `offered`, only VENs for whom something is due.
    """
    by_pk = {ven.pk: ven for ven in vens}
    rows = _open_events(by_pk, at).select_for_update(of=("self",)).order_by("pk")
    sets: dict[int, list[Event]] = {pk: [] for pk in by_pk}
    for event in rows:
        if lifecycle.is_live(event, at=at) and (is_fit is None or is_fit(event)):
            sets[event.ven_id].append(event)
    wall = clock.wall_now()
    if offered is not None:
        sets = {
            pk: events for pk, events in sets.items() if _is_due(by_pk[pk], events, offered[pk], wall=wall)
        }
    taken = [event for events in sets.values() for event in events]
    fresh = [event for event in taken if event.delivered_modification != event.modification_number]
    _record(taken, at=at, wall=wall)
    outbox.record_many(
        DELIVERED,
        [
            (
                f"{event.event_id}:{event.modification_number}",
                {
                    "event_id": event.event_id,
                    "ven_id": by_pk[event.ven_id].ven_id,
                    "modification_number": event.modification_number,
                    "delivered_at": at,
                },
            )
            for event in fresh
        ],
        at=at,
    )
    settle(by_pk.values(), at=at, handed_over=sets.keys(), by=by)
    return {pk: lifecycle.in_order(events, at=at) for pk, events in sets.items()}


def is_anything_left(ven: Ven, *, at: datetime, queued: QueuedMessage) -> bool:
    """True when a queued offer of events still has something to hand over: an event due, or a resync."""
    events = [event for event in _open_events([ven.pk], at) if lifecycle.is_live(event, at=at)]
    return _is_due(ven, events, queued, wall=clock.wall_now())


@transaction.atomic
def settle(vens: Iterable[Ven], *, at: datetime, handed_over: Iterable[int] = (), by: str = "") -> None:
    """Bring the queue's rows in line with the VENs' events: due again, later, or answered altogether.

    `handed_over` are the VENs (pk) that have just taken the full set, `by` some transport.
    The rows are locked before the events are read: one published meanwhile has either been
    seen here, or its publisher waits for the row and queues it again.
    """
    by_pk = {ven.pk: ven for ven in vens}
    just_taken = set(handed_over)
    rows = list(
        QueuedMessage.objects.select_for_update()
        .filter(ven_id__in=by_pk, kind=MessageKind.EVENTS, state__in=OPEN_STATES)
        .order_by("ven_id")
    )
    due: dict[int, list[datetime]] = {row.ven_id: [] for row in rows}
    for event in _open_events(due, at).only(*_DECIDES_WHEN_DUE):
        if lifecycle.is_live(event, at=at):
            seconds = poll_seconds(by_pk[event.ven_id])
            if (when := lifecycle.due_wall_at(event, poll_seconds=seconds)) is not None:
                due[event.ven_id].append(when)
    later: list[tuple[int, datetime, bool]] = []
    shown: list[int] = []
    unshown: list[int] = []
    for row in rows:
        is_taken = row.ven_id in just_taken
        times = due[row.ven_id]
        if row.content.get("is_resync"):
            times += _resync_due(row, by_pk[row.ven_id], is_taken=is_taken)
        if not times:
            (shown if is_taken or row.attempts else unshown).append(row.pk)
        elif is_taken or min(times) > EPOCH:
            later.append((row.pk, min(times), is_taken))
    answered = QueuedMessage.objects.filter(pk__in=shown)
    queueing.finish(answered, state=MessageState.ANSWERED, at=at, code=m.OK)
    queueing.finish(QueuedMessage.objects.filter(pk__in=unshown), state=MessageState.WITHDRAWN, at=at)
    _put_off(later, at=at, by=by)


def _is_due(ven: Ven, events: Sequence[Event], queued: QueuedMessage, *, wall: datetime) -> bool:
    if queued.content.get("is_resync"):
        return bool(events)
    seconds = poll_seconds(ven)
    due = (lifecycle.due_wall_at(event, poll_seconds=seconds) for event in events)
    return any(when is not None and when <= wall for when in due)


def _resync_due(row: QueuedMessage, ven: Ven, *, is_taken: bool) -> list[datetime]:
    """When a set that was answered already is offered again: twice in all, or until any answer."""
    attempts = row.attempts + is_taken
    if not is_taken and not attempts:
        return [EPOCH]
    if is_taken and attempts < lifecycle.DELIVERIES_WITHOUT_ANSWER:
        wait = queueing.wait_seconds(poll_seconds=poll_seconds(ven), attempts=attempts)
        return [clock.wall_now() + timedelta(seconds=wait)]
    QueuedMessage.objects.filter(pk=row.pk).update(content={})
    return []


_PUT_OFF: Final = """
    UPDATE vtn_queue AS queue
    SET state = 'delivered', next_try_wall_at = put.next_try, delivered_at = coalesce(delivered_at, %(at)s),
        attempts = attempts + put.taken::int,
        delivered_by = CASE WHEN put.taken THEN %(by)s ELSE delivered_by END,
        leased_by = CASE WHEN put.taken THEN '' ELSE leased_by END,
        lease_until_wall_at = CASE WHEN put.taken THEN NULL ELSE lease_until_wall_at END
    FROM unnest(%(pks)s::bigint[], %(tries)s::timestamptz[], %(taken)s::boolean[])
         AS put (pk, next_try, taken)
    WHERE queue.id = put.pk
"""


def _put_off(rows: Sequence[tuple[int, datetime, bool]], *, at: datetime, by: str) -> None:
    if not rows:
        return
    pks, tries, taken = (list(column) for column in zip(*rows, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(_PUT_OFF, {"at": at, "by": by[:12], "pks": pks, "tries": tries, "taken": taken})


_RECORD: Final = """
    UPDATE vtn_event
    SET delivered_at = CASE WHEN delivered_modification IS DISTINCT FROM modification_number
                            THEN %(at)s ELSE delivered_at END,
        delivered_modification = modification_number, delivered_wall_at = %(wall)s,
        delivery_count = delivery_count + 1
    WHERE id = ANY(%(pks)s)
"""


def _record(events: Sequence[Event], *, at: datetime, wall: datetime) -> None:
    if not events:
        return
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, {"at": at, "wall": wall, "pks": [event.pk for event in events]})


_DECIDES_WHEN_DUE: Final = (
    "ven_id",
    "modification_number",
    "is_response_required",
    "closes_at",
    "cancelled_at",
    "delivered_modification",
    "delivered_wall_at",
    "delivery_count",
    "acknowledged_modification",
)


def _open_events(ven_pks: Iterable[int], at: datetime) -> QuerySet[Event]:
    """The signals, by far the largest column, are read only when somebody renders them."""
    return Event.objects.filter(ven_id__in=list(ven_pks), closes_at__gt=at).defer("signals")
