"""The port, kept in this installation's own database.

Publishing writes rows; the hubs' polls, answered by another process, find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

from django.db import transaction
from django.db.models import F, OuterRef, QuerySet, Subquery

from opendsr.kernel import clock, ids
from vtn import feeds, notices, queries, queueing
from vtn.models import Event, EventOpt, Ven
from vtn.port import (
    Acknowledgement,
    AcknowledgementState,
    Cursor,
    EventClosed,
    EventNotice,
    NoticeInvalid,
    Opt,
    OptChoice,
    OptSource,
    Report,
    UnknownEvent,
    UnknownVen,
    VenId,
    VtnEventId,
)

BATCH = 2_000
LONGEST_REASON = 200


class EmbeddedVtn:
    """Implements `vtn.port.Vtn`; holds no state."""

    def publish(self, notice: EventNotice, *, key: str, at: datetime) -> VtnEventId:
        return self.publish_many({key: notice}, at=at)[key]

    @transaction.atomic
    def publish_many(
        self, notices_by_key: Mapping[str, EventNotice], *, at: datetime
    ) -> dict[str, VtnEventId]:
        if not notices_by_key:
            return {}
        notices.require_sound(list(notices_by_key.values()))
        vens = _ven_keys({notice.ven_id for notice in notices_by_key.values()})
        Event.objects.bulk_create(
            (
                Event(
                    event_id=ids.random_token(),
                    key=_sound_key(key),
                    ven_id=vens[notice.ven_id],
                    published_at=at,
                    **notices.columns(notice),
                )
                for key, notice in sorted(notices_by_key.items())
            ),
            batch_size=BATCH,
            ignore_conflicts=True,
        )
        published = list(
            Event.objects.filter(key__in=list(notices_by_key)).values_list(
                "key", "event_id", "ven_id", "closes_at", "delivered_at"
            )
        )
        _queue(
            ((ven, closes_at) for _, _, ven, closes_at, delivered_at in published if not delivered_at), at=at
        )
        return {key: VtnEventId(event_id) for key, event_id, *_ in published}

    @transaction.atomic
    def amend(self, event_id: VtnEventId, notice: EventNotice, *, at: datetime, reason: str = "") -> int:
        event = _locked(event_id)
        if event.cancelled_at is not None or at >= event.closes_at:
            raise EventClosed(event_id=event_id, state="cancelled" if event.cancelled_at else "completed")
        if event.ven.ven_id != notice.ven_id:
            raise NoticeInvalid(field="ven_id", reason="an event never changes its VEN")
        notices.require_sound([notice])
        content = notices.columns(notice)
        if all(getattr(event, column) == value for column, value in content.items()):
            return event.modification_number
        for column, value in content.items():
            setattr(event, column, value)
        event.modification_number += 1
        event.modification_reason = reason[:LONGEST_REASON]
        event.delivery_count = 0
        event.save()
        _queue([(event.ven_id, event.closes_at)], at=at)
        return event.modification_number

    def cancel(self, event_id: VtnEventId, *, at: datetime, reason: str = "") -> None:
        self.cancel_many([event_id], at=at, reason=reason)

    @transaction.atomic
    def cancel_many(self, event_ids: Iterable[VtnEventId], *, at: datetime, reason: str = "") -> None:
        wanted = set(event_ids)
        locked = Event.objects.select_for_update().filter(event_id__in=wanted).order_by("pk")
        rows = list(locked.values_list("pk", "event_id", "cancelled_at", "closes_at", "ven_id"))
        missing = wanted - {event_id for _, event_id, *_ in rows}
        if missing:
            raise UnknownEvent(event_id=min(missing))
        open_ones = [row for row in rows if row[2] is None and at < row[3]]
        Event.objects.filter(pk__in=[pk for pk, *_ in open_ones]).update(
            cancelled_at=at,
            modification_number=F("modification_number") + 1,
            modification_reason=reason[:LONGEST_REASON],
            delivery_count=0,
        )
        _queue(((ven, closes_at) for _, _, _, closes_at, ven in open_ones), at=at)

    def opts_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Opt], Cursor]:
        rows = feeds.opts_after(cursor, limit=limit)
        return [_opt(row) for row in rows], Cursor(rows[-1].feed_position or cursor) if rows else cursor

    def reports_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Report], Cursor]:
        """No report is asked of a VEN yet, so none has come."""
        return [], cursor

    def acknowledgement(self, event_id: VtnEventId, *, at: datetime) -> Acknowledgement:
        found = self.acknowledgements([event_id], at=at)
        if event_id not in found:
            raise UnknownEvent(event_id=event_id)
        return found[event_id]

    def acknowledgements(
        self, event_ids: Iterable[VtnEventId], *, at: datetime
    ) -> dict[VtnEventId, Acknowledgement]:
        latest = EventOpt.objects.filter(event=OuterRef("pk")).order_by("-id").values("opt")[:1]
        events: QuerySet[Event] = Event.objects.filter(event_id__in=list(event_ids)).select_related("ven")
        return {
            VtnEventId(event.event_id): _acknowledgement(event, opt, at=at)
            for event in events.annotate(latest_opt=Subquery(latest))
            for opt in [cast("OptChoice | None", event.latest_opt)]
        }

    def trusted(self, ven_ids: Iterable[VenId]) -> set[VenId]:
        states = queries.ven_states(ven_ids, wall=clock.wall_now())
        return {ven_id for ven_id, state in states.items() if state.may_connect}


def _queue(ends: Iterable[tuple[int, datetime]], *, at: datetime) -> None:
    """Offer each VEN's set of events again, until the latest of these is over."""
    latest: dict[int, datetime] = {}
    for ven, closes_at in ends:
        latest[ven] = max(closes_at, latest.get(ven, closes_at))
    queueing.enqueue_events(latest, at=at)


def _locked(event_id: str) -> Event:
    try:
        return Event.objects.select_for_update(of=("self",)).select_related("ven").get(event_id=event_id)
    except Event.DoesNotExist as error:
        raise UnknownEvent(event_id=event_id) from error


def _ven_keys(ven_ids: set[VenId]) -> dict[str, int]:
    keys = dict(Ven.objects.filter(ven_id__in=ven_ids).values_list("ven_id", "pk"))
    if missing := ven_ids - keys.keys():
        raise UnknownVen(ven_id=min(missing))
    return keys


def _sound_key(key: str) -> str:
    if not 0 < len(key) <= LONGEST_REASON:
        raise NoticeInvalid(field="key", reason="one to 200 characters")
    return key


def _opt(row: EventOpt) -> Opt:
    return Opt(
        event_id=VtnEventId(row.event.event_id),
        ven_id=VenId(row.event.ven.ven_id),
        opt=cast(OptChoice, row.opt),
        modification_number=row.modification_number,
        source=cast(OptSource, row.source),
        reason=row.reason,
        received_at=row.received_at,
        sequence=row.pk,
    )


def _acknowledgement(event: Event, opt: OptChoice | None, *, at: datetime) -> Acknowledgement:
    return Acknowledgement(
        event_id=VtnEventId(event.event_id),
        ven_id=VenId(event.ven.ven_id),
        state=_state(event, at=at),
        modification_number=event.modification_number,
        delivered_modification=event.delivered_modification,
        delivered_at=event.delivered_at,
        acknowledged_at=event.acknowledged_at,
        opt=opt,
    )


def _state(event: Event, *, at: datetime) -> AcknowledgementState:
    if event.cancelled_at is not None:
        return "cancelled"
    if event.acknowledged_modification == event.modification_number:
        return "acknowledged"
    if event.delivered_modification is not None:
        return "delivered"
    return "expired" if at >= event.closes_at else "queued"
