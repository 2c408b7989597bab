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
from opendsr.kernel.lookups import among_keys
from vtn import event_offers, hand_overs, lifecycle, live_events, queueing
from vtn.event_offers import Fate, Offer
from vtn.live_events import AnyEvent, AnyVen, EventRow, Speaker
from vtn.models import Event, HandOver, QueuedMessage, Ven
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
    now = clock.wall_now().timestamp()
    if offers is None:
        offers = event_offers.open_offers(ven.pk for ven in vens)
    due = {
        ven.pk: offer
        for ven in vens
        if (offer := offers.get(ven.pk)) is not None
        and (when := hand_overs.due_wall(offer)) is not None
        and when <= now
    }
    if not due:
        return {}
    wanted = [ven for ven in vens if ven.pk in due]
    fresh = [ven for ven in wanted if due[ven.pk].is_queued and not due[ven.pk].is_resync]
    sets: dict[int, list[EventRow]] = {}
    if hand_overs.is_kept() and len(fresh) >= hand_overs.CROWD:
        sets = _let_go(fresh, due, at=at, by=by)
    others = [ven for ven in wanted if ven.pk not in sets]
    if others:
        sets |= _take_sets(others, due, at=at, by=by, only_due=True)
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


def _let_go(
    vens: Sequence[AnyVen], offers: Mapping[int, Offer], *, at: datetime, by: str
) -> dict[int, list[EventRow]]:
    """Return the live events of each VEN (by its pk) for whom one is due; they leave now, see `hand_overs`.

    Read unlocked: what changes meanwhile writes the VEN's row of the queue, and is found by that.
    """
    open_ones: dict[int, list[EventRow]] = defaultdict(list)
    for event in live_events.open_events((ven.pk for ven in vens), at=at, is_locked=False):
        open_ones[event.ven_id].append(event)
    wall = clock.wall_now()
    sets: dict[int, list[EventRow]] = {}
    waits: dict[int, int] = {}
    for ven in vens:
        live = [event for event in open_ones[ven.pk] if lifecycle.is_live(event, at=at)]
        if _is_due(ven, live, is_resync=False, wall=wall):
            sets[ven.pk] = live
            waits[ven.pk] = poll_seconds(ven)
    if sets:
        unanswered = {
            pk: [event for event in events if not lifecycle.is_acknowledged(event)]
            for pk, events in sets.items()
        }
        hand_overs.let_go(unanswered, offers, waits, at=at, wall=wall, by=by)
    return {pk: lifecycle.in_order(events, at=at) for pk, events in sets.items()}


def write_let_go(row: HandOver, *, answered: Collection[int], changed: Collection[int], at: datetime) -> None:
    """Write down what left with the row, locked, inside the caller's transaction; see `hand_overs`.

    Of VENs (by pk) that have `answered` nothing is left to be written; of those `changed` the queue's row is
    brought in line again. A version that another has followed meanwhile has still been handed over: its VEN
    must hear of the other.
    """
    left = {
        event: (modification, ven)
        for event, modification, ven in zip(row.event_pks, row.modification_numbers, row.ven_pks, strict=True)
        if ven not in answered
    }
    silent = {ven for _, ven in left.values()}
    if not silent and not changed:
        return
    columns = Ven.objects.filter(pk__in=among_keys(silent.union(changed))).order_by("pk")
    vens = {
        speaker.pk: speaker
        for speaker in map(Speaker._make, columns.values_list("pk", "ven_id", "poll_seconds"))
    }
    events = live_events.locked_by_pk(left)
    _note_left(events, left, vens, row)
    settle(vens.values(), at=at, handed_over=silent, by=row.by)
    overtaken: dict[int, datetime] = {}
    for event in events:
        if event.modification_number > left[event.pk][0] and event.closes_at > at:
            overtaken[event.ven_id] = max(event.closes_at, overtaken.get(event.ven_id, event.closes_at))
    queueing.enqueue_events(overtaken, at=at)


def _note_left(
    events: Sequence[EventRow],
    left: Mapping[int, tuple[int, int]],
    vens: Mapping[int, Speaker],
    row: HandOver,
) -> None:
    """Write down and tell that these versions of the events, locked, left; again it changes nothing."""
    gone = [
        (event, left[event.pk][0])
        for event in events
        if event.delivered_modification is None
        or event.delivered_modification < left[event.pk][0]
        or event.delivered_wall_at is None
        or (event.delivered_modification == left[event.pk][0] and event.delivered_wall_at < row.left_wall_at)
    ]
    if not gone:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _LEFT,
            {
                "at": row.at,
                "wall": row.left_wall_at,
                "pks": ",".join(str(event.pk) for event, _ in gone),
                "modifications": ",".join(str(modification) for _, modification in gone),
            },
        )
    tell_delivered(
        [
            (event.event_id, modification, vens[event.ven_id].ven_id, row.at)
            for event, modification in gone
            if event.delivered_modification != modification
        ],
        at=row.at,
    )


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
    have_answered: bool = False,
) -> dict[int, float | None]:
    """Bring the queue's rows in line with the VENs' events: due again, later, or answered altogether.

    `handed_over` are the VENs (pk) that have just taken the full set, `by` some transport;
    `have_answered` says that all of these VENs have had it, whoever handed it over.
    What the caller knows holds where nobody has written the queue's row since it was read.
    The other rows are locked before the events are read: one published meanwhile has either
    been seen here, or its publisher waits for the row and queues it again.

    Returns by VEN (pk) when its row comes due, in wall seconds; None when it has ended. VENs
    that had none are left out.
    """
    by_pk = {ven.pk: ven for ven in vens}
    due_walls: dict[int, float | None] = {}
    if known is not None:
        due_walls, changed = _write_down(
            known.values(), by_pk, handed_over, at=at, by=by, have_answered=have_answered
        )
        if not changed:
            return due_walls
        by_pk = {pk: ven for pk, ven in by_pk.items() if pk in changed}
    offers = event_offers.open_offers(by_pk, is_locked=True)
    events: dict[int, list[EventRow]] = defaultdict(list)
    if offers:
        for event in live_events.open_events(offers, at=at, is_locked=False):
            events[event.ven_id].append(event)
    read = [Known(offer, events[pk]) for pk, offer in offers.items()]
    written, _ = _write_down(read, by_pk, handed_over, at=at, by=by, have_answered=have_answered)
    return due_walls | written


def _write_down(
    known: Iterable[Known],
    vens: Mapping[int, AnyVen],
    handed_over: Collection[int],
    *,
    at: datetime,
    by: str,
    have_answered: bool,
) -> tuple[dict[int, float | None], set[int]]:
    """Write what becomes of each offer; returns when each comes due, and the VENs whose row had changed."""
    fates: list[Fate] = []
    due_walls: dict[int, float | None] = {}
    for offer, events in known:
        left_at, rows = hand_overs.as_left(offer, events)
        if left_at is None and offer.ven_pk in handed_over:
            left_at = at
        fate = _fate(offer, rows, vens[offer.ven_pk], left_at=left_at, has_answered=have_answered, at=at)
        if fate is not None:
            fates.append(fate)
        if fate is None or fate.becomes == "kept":
            due_walls[offer.ven_pk] = 0.0 if offer.is_queued else offer.next_try_wall
        else:
            next_try = fate.next_try_wall_at
            due_walls[offer.ven_pk] = None if next_try is None else next_try.timestamp()
    return due_walls, event_offers.write_down(hand_overs.put_with(fates), by=by)


def _fate(
    offer: Offer,
    events: Sequence[EventRow],
    ven: AnyVen,
    *,
    left_at: datetime | None,
    has_answered: bool,
    at: datetime,
) -> Fate | None:
    """What becomes of an offer in view of its VEN's open events; None when it waits on as it is.

    `left_at` is when the VEN took the full set, where that is written only now.
    """
    is_taken = left_at is not None
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
        was_had = is_taken or has_answered or offer.attempts
        return Fate(offer, "answered" if was_had else "withdrawn", at, None, is_resync_over, left_at)
    if is_taken or min(times) > EPOCH:
        return Fate(offer, "delivered" if is_taken else "offered", at, min(times), is_resync_over, left_at)
    return Fate(offer, "kept", at, None, is_resync_over) if is_resync_over else None


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
    tell_delivered(
        [
            (event.event_id, event.modification_number, vens[event.ven_id].ven_id, at)
            for event in events
            if event.delivered_modification != event.modification_number
        ],
        at=at,
    )


def tell_delivered(versions: Iterable[tuple[str, int, str, datetime]], *, at: datetime) -> None:
    """Tell upward of versions that had not been handed over before: event, version, VEN, and when it was."""
    telling.tell(
        telling.DELIVERED,
        [
            (
                f"{event_id}:{modification}",
                {
                    "event_id": event_id,
                    "ven_id": ven_id,
                    "modification_number": modification,
                    "delivered_at": delivered_at.isoformat(),
                },
            )
            for event_id, modification, ven_id, delivered_at in versions
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
_LEFT: Final = """
    UPDATE vtn_event AS event
    SET delivered_at = CASE WHEN delivered_modification IS DISTINCT FROM gone.modification
                            THEN %(at)s ELSE delivered_at END,
        delivered_modification = gone.modification, delivered_wall_at = %(wall)s,
        delivery_count = delivery_count + (gone.modification = modification_number)::int
    FROM unnest(string_to_array(%(pks)s, ',')::bigint[], string_to_array(%(modifications)s, ',')::int[])
         AS gone (pk, modification)
    WHERE event.id = gone.pk
"""
