"""Handing over events: always the VEN's full live set, each hand-over of a new version recorded.

Everything is written in groups, a handful of statements for one VEN or for thousands: what comes in
together, and what a transport fans out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, transaction

from oadr import messages as m
from oadr import rendering
from oadr.messages import EiResponse
from opendsr.kernel import clock, ids
from opendsr.kernel.interval import EPOCH
from vtn import event_offers, lifecycle, live_events, queueing
from vtn.event_offers import Fate, Offer
from vtn.live_events import AnyEvent, AnyVen, EventRow
from vtn.models import Event, QueuedMessage, Ven
from vtn.notices import event_bytes, event_message, vtn_id
from vtn.services import telling
from vtn.services.registration import poll_seconds


class Known(NamedTuple):
    """A VEN's offer and, read after it and locked, all its open events as the transaction leaves them."""

    offer: Offer
    events: Sequence[EventRow]


@transaction.atomic(savepoint=False)
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
    rows = Event.objects.select_for_update().filter(ven=ven, closes_at__gt=at).order_by("pk")
    live = [event for event in rows if lifecycle.is_live(event, at=at) and (is_fit is None or is_fit(event))]
    _note_handed_over(live, {ven.pk: ven}, at=at, wall=clock.wall_now())
    settle([ven], at=at, handed_over=[ven.pk], by=by)
    return m.DistributeEvent(
        request_id=f"DE-{ids.random_token(64)}",
        vtn_id=vtn_id(),
        events=tuple(
            event_message(event, ven_id=ven.ven_id, at=at) for event in lifecycle.in_order(live, at=at)
        ),
        response=EiResponse(description="OK", request_id=request_id),
    )


@transaction.atomic(savepoint=False)
def distribute_many(
    vens: Sequence[AnyVen], *, at: datetime, by: str, offers: Mapping[int, Offer] | None = None
) -> dict[int, bytes]:
    """Return the oadrDistributeEvent of each VEN (by pk) whose next message it is, as bytes; record them.

    VENs with no event due are left out: ask `delivering.next_message` for those. What many
    are told alike is rendered once. Commit before the bytes leave. `offers` are given where
    they have just been read.
    """
    wall = clock.wall_now()
    if offers is None:
        offers = event_offers.open_offers(ven.pk for ven in vens)
    due = {ven.pk: offers[ven.pk] for ven in vens if ven.pk in offers and offers[ven.pk].is_due(wall=wall)}
    if not due:
        return {}
    wanted = [ven for ven in vens if ven.pk in due]
    sets = _take_sets(wanted, due, at=at, by=by, only_due=True)
    response = EiResponse(description="OK")
    tokens = iter(ids.random_tokens(len(sets)))
    return {
        ven.pk: rendering.distribute_event(
            request_id=f"DE-{next(tokens)}",
            vtn_id=vtn_id(),
            events=[event_bytes(event, ven_id=ven.ven_id, at=at) for event in sets[ven.pk]],
            response=response,
        )
        for ven in wanted
        if ven.pk in sets
    }


@transaction.atomic(savepoint=False)
def distribute_asked(
    asked: Sequence[tuple[AnyVen, m.RequestEvent, bool]], *, at: datetime, by: str
) -> list[bytes]:
    """Return, in their order, the reply to each VEN that asks for its set, as bytes; record the hand-overs.

    The flag says whether the reply goes in an oadrPayload. Commit before the bytes leave.
    """
    vens = list({ven.pk: ven for ven, _, _ in asked}.values())
    offers = event_offers.open_offers(ven.pk for ven in vens)
    sets = _take_sets(vens, offers, at=at, by=by, only_due=False)
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


def _take_sets(
    vens: Sequence[AnyVen], offers: Mapping[int, Offer], *, at: datetime, by: str, only_due: bool
) -> dict[int, list[EventRow]]:
    """Return each VEN's live events (by its pk), in a payload's order, noted as handed over.

    Inside the caller's transaction. `only_due`: only VENs for whom something is due.
    """
    by_pk = {ven.pk: ven for ven in vens}
    open_ones: dict[int, list[EventRow]] = defaultdict(list)
    for event in live_events.open_events(by_pk, at=at, is_locked=True):
        open_ones[event.ven_id].append(event)
    wall = clock.wall_now()
    sets: dict[int, list[EventRow]] = {}
    for pk, ven in by_pk.items():
        live = [event for event in open_ones[pk] if lifecycle.is_live(event, at=at)]
        if not only_due or _is_due(ven, live, is_resync=offers[pk].is_resync, wall=wall):
            sets[pk] = live
    taken = {event.pk for events in sets.values() for event in events}
    _note_handed_over([event for events in sets.values() for event in events], by_pk, at=at, wall=wall)
    known = {
        pk: Known(
            offers[pk],
            [event.handed_over(wall=wall) if event.pk in taken else event for event in open_ones[pk]],
        )
        for pk in by_pk
        if pk in offers
    }
    settle(vens, at=at, handed_over=sets.keys(), by=by, known=known)
    return {pk: lifecycle.in_order(events, at=at) for pk, events in sets.items()}


def is_anything_left(ven: Ven, *, at: datetime, queued: QueuedMessage) -> bool:
    """True when a queued offer of events still has something to hand over: an event due, or a resync."""
    rows = live_events.open_events([ven.pk], at=at, is_locked=False)
    events = [event for event in rows if lifecycle.is_live(event, at=at)]
    is_resync = bool(queued.content.get("is_resync"))
    return _is_due(ven, events, is_resync=is_resync, wall=clock.wall_now())


@transaction.atomic(savepoint=False)
def settle(
    vens: Iterable[AnyVen],
    *,
    at: datetime,
    handed_over: Collection[int] = (),
    by: str = "",
    known: Mapping[int, Known] | None = None,
) -> dict[int, float | None]:
    """Bring the queue's rows in line with the VENs' events: due again, later, or answered altogether.

    `handed_over` are the VENs (pk) that have just taken the full set, `by` some transport.
    What the caller knows holds where nobody has written the queue's row since it was read.
    The other rows are locked before the events are read: one published meanwhile has either
    been seen here, or its publisher waits for the row and queues it again.

    Returns by VEN (pk) when its row comes due, in wall seconds; None when it has ended. VENs
    that had none are left out.
    """
    by_pk = {ven.pk: ven for ven in vens}
    due_walls: dict[int, float | None] = {}
    if known is not None:
        due_walls, changed = _write_down(known.values(), by_pk, handed_over, at=at, by=by)
        if not changed:
            return due_walls
        by_pk = {pk: ven for pk, ven in by_pk.items() if pk in changed}
    offers = event_offers.open_offers(by_pk, is_locked=True)
    events: dict[int, list[EventRow]] = defaultdict(list)
    if offers:
        for event in live_events.open_events(offers, at=at, is_locked=False):
            events[event.ven_id].append(event)
    read = [Known(offer, events[pk]) for pk, offer in offers.items()]
    return due_walls | _write_down(read, by_pk, handed_over, at=at, by=by)[0]


def _write_down(
    known: Iterable[Known],
    vens: Mapping[int, AnyVen],
    handed_over: Collection[int],
    *,
    at: datetime,
    by: str,
) -> tuple[dict[int, float | None], set[int]]:
    """Write what becomes of each offer; returns when each comes due, and the VENs whose row had changed."""
    fates: list[Fate] = []
    due_walls: dict[int, float | None] = {}
    for offer, events in known:
        is_taken = offer.ven_pk in handed_over
        fate = _fate(offer, events, vens[offer.ven_pk], is_taken=is_taken, at=at)
        if fate is not None:
            fates.append(fate)
        if fate is None or fate.becomes == "kept":
            due_walls[offer.ven_pk] = 0.0 if offer.is_queued else offer.next_try_wall
        else:
            next_try = fate.next_try_wall_at
            due_walls[offer.ven_pk] = None if next_try is None else next_try.timestamp()
    return due_walls, event_offers.write_down(fates, at=at, by=by)


def _fate(
    offer: Offer, events: Sequence[EventRow], ven: AnyVen, *, is_taken: bool, at: datetime
) -> Fate | None:
    """What becomes of an offer in view of its VEN's open events; None when it waits on as it is."""
    seconds = poll_seconds(ven)
    times = [
        when
        for event in events
        if lifecycle.is_live(event, at=at)
        and (when := lifecycle.due_wall_at(event, poll_seconds=seconds)) is not None
    ]
    is_resync_over = False
    if offer.is_resync:
        resync_at = _resync_due(offer, seconds, is_taken=is_taken)
        is_resync_over = resync_at is None
        times += [] if resync_at is None else [resync_at]
    if not times:
        return Fate(offer, "answered" if is_taken or offer.attempts else "withdrawn", None, is_resync_over)
    if is_taken or min(times) > EPOCH:
        return Fate(offer, "delivered" if is_taken else "offered", min(times), is_resync_over)
    return Fate(offer, "kept", None, is_resync_over) if is_resync_over else None


def _is_due(ven: AnyVen, events: Sequence[EventRow], *, is_resync: bool, wall: datetime) -> bool:
    if is_resync:
        return bool(events)
    seconds = poll_seconds(ven)
    due = (lifecycle.due_wall_at(event, poll_seconds=seconds) for event in events)
    return any(when is not None and when <= wall for when in due)


def _resync_due(offer: Offer, seconds: int, *, is_taken: bool) -> datetime | None:
    """When a set that was answered already is offered again: twice in all, or until any answer."""
    attempts = offer.attempts + is_taken
    if not is_taken and not attempts:
        return EPOCH
    if is_taken and attempts < lifecycle.DELIVERIES_WITHOUT_ANSWER:
        wait = queueing.wait_seconds(poll_seconds=seconds, attempts=attempts)
        return clock.wall_now() + timedelta(seconds=wait)
    return None


def _note_handed_over(
    events: Sequence[AnyEvent], vens: Mapping[int, AnyVen], *, at: datetime, wall: datetime
) -> None:
    """Write down that the events, locked, have left; and tell of the versions that had not before."""
    if not events:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _HANDED_OVER, {"at": at, "wall": wall, "pks": ",".join(str(event.pk) for event in events)}
        )
    fresh = [event for event in events if event.delivered_modification != event.modification_number]
    delivered_at = at.isoformat()
    telling.tell(
        telling.DELIVERED,
        [
            (
                f"{event.event_id}:{event.modification_number}",
                {
                    "event_id": event.event_id,
                    "ven_id": vens[event.ven_id].ven_id,
                    "modification_number": event.modification_number,
                    "delivered_at": delivered_at,
                },
            )
            for event in fresh
        ],
        at=at,
    )


_HANDED_OVER: Final = """
    UPDATE vtn_event
    SET delivered_at = CASE WHEN delivered_modification IS DISTINCT FROM modification_number
                            THEN %(at)s ELSE delivered_at END,
        delivered_modification = modification_number, delivered_wall_at = %(wall)s,
        delivery_count = delivery_count + 1
    WHERE id = ANY(string_to_array(%(pks)s, ',')::bigint[])
"""
