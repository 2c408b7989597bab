"""Events put up, changed and called off, in any number; each VEN concerned gets its set offered again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest

from opendsr.kernel import ids
from opendsr.kernel.lookups import among_texts
from vtn import notices, queueing
from vtn.content import EventContent
from vtn.models import Event, Ven
from vtn.port import Addressee, EventClosed, NoticeInvalid, UnknownEvent, UnknownVen, VtnEventId

LONGEST_REASON: Final = 200
MANY: Final = 1_000
CANCELLATION_SHOWN_FOR: Final = timedelta(days=1)
"""How long the end of an open-ended event stays in the set of a VEN that does not answer it, at least."""


def publish_events(contents_by_key: Mapping[str, EventContent], *, at: datetime) -> dict[str, VtnEventId]:
    """Queue many events, by caller's key, in one go; all or none. The same key again is the same event.

    Raises NoticeInvalid and UnknownVen.
    """
    return publish_alike(
        (
            (content, [(key, content.ven_id, content.resource_ids)])
            for key, content in contents_by_key.items()
        ),
        at=at,
    )


@transaction.atomic
def publish_alike(
    alike: Iterable[tuple[EventContent, Sequence[Addressee]]], *, at: datetime
) -> dict[str, VtnEventId]:
    """Queue what many VENs are told in the same words, said once: the event id by key, as `publish_events`.

    Of each content its own VEN and resources do not count. Raises NoticeInvalid and UnknownVen.
    """
    groups: dict[tuple[object, ...], tuple[EventContent, list[Addressee]]] = {}
    for content, some in alike:
        if some:
            _require_sound_keys(key for key, _, _ in some)
            notices.require_addressees((ven_id, resource_ids) for _, ven_id, resource_ids in some)
            groups.setdefault(content.same_for_all, (content, []))[1].extend(some)
    if not groups:
        return {}
    notices.require_sound([content for content, _ in groups.values()])
    vens = _ven_keys({ven_id for _, told in groups.values() for _, ven_id, _ in told})
    published: dict[str, VtnEventId] = {}
    undelivered: dict[int, datetime] = {}
    for _, told in groups.values():
        told.sort()
    for content, told in sorted(groups.values(), key=lambda group: group[1][0]):
        event_ids, were_known = _insert(content, told, vens, at=at)
        published |= event_ids
        fresh = [vens[ven_id] for key, ven_id, _ in told if key not in were_known]
        _keep_latest(undelivered, dict.fromkeys(fresh, content.closes_at))
        for ven, closes_at, delivered_at in were_known.values():
            if not delivered_at:
                _keep_latest(undelivered, {ven: closes_at})
    queueing.enqueue_events(undelivered, at=at)
    return published


def _insert(
    content: EventContent, told: Sequence[Addressee], vens: Mapping[str, int], *, at: datetime
) -> tuple[dict[str, VtnEventId], dict[str, tuple[int, datetime, datetime | None]]]:
    """Write the events of VENs that are told the same with one statement: the event ids by key, and of the
    keys that were there before, their VEN, when the event closes and when it was delivered.

    What events share goes along once, and what is theirs as a text a column: ten thousand rows of parameters
    take longer than ten thousand rows. Many are taken to be new until one turns out not to be: to look for
    each key before it is written takes a fifth of the time.
    """
    event = Event(published_at=at, **notices.columns(content))
    own = {"event_id", "key", "ven_id", "resource_ids"}
    shared = [
        field for field in Event._meta.concrete_fields if not field.primary_key and field.attname not in own
    ]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in shared)
    values = ", ".join(f"%s::{field.db_type(connection)}" for field in shared)
    keys = [key for key, _, _ in told]
    event_ids = dict(zip(keys, map(VtnEventId, ids.ordered_tokens(len(keys))), strict=True))
    insert = (
        f"INSERT INTO vtn_event (event_id, key, ven_id, resource_ids, {columns})"  # noqa: S608
        f" SELECT event, key, ven, resources::jsonb, {values} FROM ROWS FROM ("
        "   unnest(string_to_array(%s, ',')), json_array_elements_text(%s::json),"
        "   unnest(string_to_array(%s, ',')::bigint[]), json_array_elements(%s::json)"
        ") AS fresh (event, key, ven, resources)"
    )
    told_in_columns = [
        *(field.get_db_prep_save(getattr(event, field.attname), connection) for field in shared),
        ",".join(event_ids.values()),
        json.dumps(keys),
        ",".join(str(vens[ven_id]) for _, ven_id, _ in told),
        json.dumps([resource_ids for _, _, resource_ids in told]),
    ]
    with connection.cursor() as cursor:
        if len(told) >= MANY:
            with suppress(IntegrityError), transaction.atomic():
                cursor.execute(insert, told_in_columns)
                return event_ids, {}
        cursor.execute(f"{insert} ON CONFLICT (key) DO NOTHING", told_in_columns)
        if cursor.rowcount == len(told):
            return event_ids, {}
    rows = Event.objects.filter(key__in=among_texts(event_ids)).values_list(
        "key", "event_id", "ven_id", "closes_at", "delivered_at"
    )
    were_known: dict[str, tuple[int, datetime, datetime | None]] = {}
    for key, event_id, ven, closes_at, delivered_at in rows:
        if event_id != event_ids[key]:
            event_ids[key] = VtnEventId(event_id)
            were_known[key] = (ven, closes_at, delivered_at)
    return event_ids, were_known


@transaction.atomic
def amend_event(event_id: VtnEventId, content: EventContent, *, at: datetime, reason: str = "") -> int:
    """Replace an event's content; returns the modification number, the same when nothing changed.

    Raises UnknownEvent, EventClosed, NoticeInvalid.
    """
    event = _locked(event_id)
    if event.cancelled_at is not None or at >= event.closes_at:
        raise EventClosed(event_id=event_id, state="cancelled" if event.cancelled_at else "completed")
    if event.ven.ven_id != content.ven_id:
        raise NoticeInvalid(field="ven_id", reason="an event never changes its VEN")
    notices.require_sound([content])
    columns = notices.columns(content)
    shown = columns.keys() - {"content_digest"}
    if all(getattr(event, column) == columns[column] for column in shown):
        return event.modification_number
    for column, value in columns.items():
        setattr(event, column, value)
    event.modification_number += 1
    event.modification_reason = _sound_reason(reason)
    event.delivery_count = 0
    event.save()
    _offer([(event.ven_id, event.closes_at)], at=at)
    return event.modification_number


@transaction.atomic
def cancel_events(event_ids: Iterable[VtnEventId], *, at: datetime, reason: str = "") -> None:
    """Call events off in one go; all or none. Again, or after its end, changes nothing.

    Raises UnknownEvent.
    """
    wanted = set(event_ids)
    locked = Event.objects.select_for_update().filter(event_id__in=among_texts(wanted)).order_by("pk")
    rows = list(locked.values_list("pk", "event_id", "cancelled_at", "closes_at", "ven_id"))
    missing = wanted - {event_id for _, event_id, *_ in rows}
    if missing:
        raise UnknownEvent(event_id=min(missing))
    open_ones = [row for row in rows if row[2] is None and at < row[3]]
    Event.objects.filter(event_id__in=among_texts(event_id for _, event_id, *_ in open_ones)).update(
        cancelled_at=at,
        modification_number=F("modification_number") + 1,
        modification_reason=_sound_reason(reason),
        delivery_count=0,
        closes_at=Case(
            When(duration_seconds=0, then=Greatest(Value(at + CANCELLATION_SHOWN_FOR), F("starts_at"))),
            default=F("closes_at"),
        ),
    )
    _offer(((ven, closes_at) for _, _, _, closes_at, ven in open_ones), at=at)


def _offer(ends: Iterable[tuple[int, datetime]], *, at: datetime) -> None:
    """Offer each VEN's set of events again, until the latest of these is over."""
    latest: dict[int, datetime] = {}
    for ven, closes_at in ends:
        latest[ven] = max(closes_at, latest.get(ven, closes_at))
    queueing.enqueue_events(latest, at=at)


def _keep_latest(latest: dict[int, datetime], ends: Mapping[int, datetime]) -> None:
    """Put the ends to those that are there, by VEN; of two the later holds."""
    both = {ven: max(latest[ven], ends[ven]) for ven in latest.keys() & ends.keys()} if latest else {}
    latest |= ends
    latest |= both


def _locked(event_id: str) -> Event:
    try:
        return Event.objects.select_for_update(of=("self",)).select_related("ven").get(event_id=event_id)
    except Event.DoesNotExist as error:
        raise UnknownEvent(event_id=event_id) from error


def _ven_keys(ven_ids: Iterable[str]) -> dict[str, int]:
    wanted = set(ven_ids)
    keys = dict(Ven.objects.filter(ven_id__in=among_texts(wanted)).values_list("ven_id", "pk"))
    if missing := wanted - keys.keys():
        raise UnknownVen(ven_id=min(missing))
    return keys


def _sound_reason(reason: str) -> str:
    """Return the reason as one line that XML can carry."""
    printable = "".join(letter if letter.isprintable() else " " for letter in reason)
    return " ".join(printable.split())[:LONGEST_REASON]


def _require_sound_keys(keys: Iterable[str]) -> None:
    if not all(0 < len(key) <= LONGEST_REASON for key in keys):
        raise NoticeInvalid(field="key", reason="one to 200 characters")
