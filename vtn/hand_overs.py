"""Full sets of events that leave for many VENs at once, written on events and queue a little later.

A hand-over to one VEN is three writes: the event, the queue's row, a fact for the rooms above. For ten
thousand VENs in a second these are what takes the second. So what a crowd is handed is first one row of
`HandOver`, durable before the bytes leave: which versions of which events went to whom. What a VEN answers
within the next seconds is written together with that it was handed over; for those that stay silent, and
for the queue's rows, `vtn.services.writing_behind` does it.

A process remembers what it has let go, so that nobody is told twice meanwhile. Nothing depends on that
memory: when it is killed, any other process finds the rows and writes them down, and the worst that comes of
it is a set told twice. Where no writer runs a crowd is written down at once, as one VEN is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.transaction import on_commit

from vtn import queueing
from vtn.event_offers import Fate, Offer
from vtn.live_events import AnyEvent, EventRow

CROWD: Final = 8
"""Fewer are written down at once: there is nothing to be gained."""


@dataclass(slots=True)
class Group:
    """One row of `HandOver` as the process that wrote it remembers it."""

    number: int
    at: datetime
    wall: datetime
    by: str
    modifications: dict[int, int]
    """The version that left, by event (pk)."""
    offers: dict[int, Offer]
    """The queue's row as it stood, by VEN (pk)."""
    poll_seconds: Mapping[int, int]
    fates: dict[int, Fate] = field(default_factory=dict)
    """What is to become of the rows of VENs that have answered meanwhile, by VEN (pk)."""
    is_closing: bool = False
    """It is being written down: nothing more can be put with it."""

    def has_let_go(self, event: AnyEvent) -> bool:
        """True when the version in force left with this group, and that is not written down yet."""
        if self.modifications.get(event.pk) != event.modification_number:
            return False
        is_known = event.delivered_modification == event.modification_number
        return not is_known or event.delivered_wall_at is None or event.delivered_wall_at < self.wall


_groups: dict[int, Group] = {}
_of_ven: dict[int, Group] = {}
_lock = threading.Lock()
_kept_by = 0


def keep(*, is_kept: bool = True) -> None:
    """From now on hand-overs of this process are written behind; whoever calls this sees to it."""
    global _kept_by
    _kept_by = os.getpid() if is_kept else 0


def is_kept() -> bool:
    return _kept_by == os.getpid()


_INSERT: Final = """
    INSERT INTO vtn_hand_over (at, left_wall_at, by, event_pks, modification_numbers, ven_pks)
    VALUES (%(at)s, %(wall)s, %(by)s, string_to_array(%(events)s, ',')::bigint[],
            string_to_array(%(modifications)s, ',')::int[], string_to_array(%(vens)s, ',')::bigint[])
    RETURNING id
"""


def let_go(
    sets: Mapping[int, Sequence[EventRow]],
    offers: Mapping[int, Offer],
    poll_seconds: Mapping[int, int],
    *,
    at: datetime,
    wall: datetime,
    by: str,
) -> None:
    """Write down in one row that these events, by VEN (pk), leave now; inside the caller's transaction."""
    gone = [event for events in sets.values() for event in events]
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "at": at,
                "wall": wall,
                "by": by[:12],
                "events": ",".join([str(event.pk) for event in gone]),
                "modifications": ",".join([str(event.modification_number) for event in gone]),
                "vens": ",".join([str(event.ven_id) for event in gone]),
            },
        )
        (number,) = cursor.fetchone()
    group = Group(
        number=number,
        at=at,
        wall=wall,
        by=by,
        modifications={event.pk: event.modification_number for event in gone},
        offers={pk: offers[pk] for pk in sets},
        poll_seconds=poll_seconds,
    )

    def remember() -> None:
        with _lock:
            _groups[group.number] = group
            _of_ven.update(dict.fromkeys(group.offers, group))

    on_commit(remember)


def group_of(ven_pk: int) -> Group | None:
    """Return the group in which this process let a VEN's events go, if it is not written down yet."""
    return _of_ven.get(ven_pk)


def holds(offer: Offer) -> bool:
    """True when the set that this row of the queue offers has left, and nobody has written the row since."""
    group = _of_ven.get(offer.ven_pk)
    return group is not None and group.offers[offer.ven_pk].version == offer.version


def is_overtaken(offer: Offer) -> bool:
    """True when the row has been written since its set left: that must be written down before going on."""
    group = _of_ven.get(offer.ven_pk)
    return group is not None and group.offers[offer.ven_pk].version != offer.version


def as_left(offer: Offer, events: Sequence[EventRow]) -> tuple[datetime | None, Sequence[EventRow]]:
    """Return when the offer's set left, where that is not written yet; and the events as they then are."""
    group = _of_ven.get(offer.ven_pk)
    if group is None or not holds(offer):
        return None, events
    wall = group.wall
    return group.at, [event.handed_over(wall=wall) if group.has_let_go(event) else event for event in events]


def due_wall(offer: Offer) -> float | None:
    """Return when an offer read from the queue comes due, in wall seconds; None when it is answered."""
    if not holds(offer):
        return 0.0 if offer.is_queued else offer.next_try_wall
    group = _of_ven[offer.ven_pk]
    fate = group.fates.get(offer.ven_pk)
    if fate is not None:
        return None if fate.next_try_wall_at is None else fate.next_try_wall_at.timestamp()
    wait_seconds = queueing.wait_seconds(poll_seconds=group.poll_seconds[offer.ven_pk], attempts=1)
    return group.wall.timestamp() + wait_seconds


def is_answered(ven_pk: int) -> bool:
    """True when all that the VEN was let go is answered; that its row still waits means nothing."""
    group = _of_ven.get(ven_pk)
    fate = group.fates.get(ven_pk) if group is not None else None
    return fate is not None and fate.next_try_wall_at is None


def put_with(fates: Iterable[Fate]) -> list[Fate]:
    """Leave what becomes of rows to be written with the hand-over that they wait for; return the others."""
    others: list[Fate] = []
    with _lock:
        for fate in fates:
            ven_pk = fate.offer.ven_pk
            if not holds(fate.offer) or _of_ven[ven_pk].is_closing:
                others.append(fate)
            else:
                _of_ven[ven_pk].fates[ven_pk] = fate
    return others


def forget(ven_pks: Iterable[int]) -> None:
    """What was said to these VENs may have reached nobody: where they have not answered it is due again."""
    with _lock:
        for pk in ven_pks:
            group = _of_ven.get(pk)
            if group is not None and pk not in group.fates:
                del _of_ven[pk]


def let_go_before(wall: datetime) -> list[int]:
    """Return the numbers of the groups that this process let go before that, the oldest first."""
    with _lock:
        return sorted(number for number, group in _groups.items() if group.wall <= wall)


def close(number: int) -> tuple[str, list[Fate]]:
    """Begin to write a group down; return its transport, and what answers have made of the queue's rows."""
    with _lock:
        group = _groups.get(number)
        if group is None:
            return "", []
        group.is_closing = True
        return group.by, list(group.fates.values())


def is_written(number: int) -> None:
    """The group is written down: the tables tell all from now on."""
    with _lock:
        group = _groups.pop(number, None)
        if group is not None:
            for pk in group.offers:
                if _of_ven.get(pk) is group:
                    del _of_ven[pk]
