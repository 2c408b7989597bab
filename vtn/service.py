"""The port, kept in this installation's own database.

Publishing writes rows; the hubs' polls, answered by another process, find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

from django.db.models import OuterRef, QuerySet, Subquery

from opendsr.kernel import clock
from vtn import feeds, publishing, queries
from vtn.content import content_of
from vtn.models import Event, EventOpt, ReceivedReport
from vtn.port import (
    Acknowledgement,
    AcknowledgementState,
    Addressee,
    Cursor,
    EventNotice,
    NoticeInvalid,
    Opt,
    OptChoice,
    OptSource,
    Report,
    ReportPoint,
    UnknownEvent,
    VenId,
    VtnEventId,
)


class EmbeddedVtn:
    """Implements `vtn.port.Vtn`; holds no state."""

    def publish(self, notice: EventNotice, *, key: str, at: datetime) -> VtnEventId:
        return self.publish_many({key: notice}, at=at)[key]

    def publish_many(
        self, notices_by_key: Mapping[str, EventNotice], *, at: datetime
    ) -> dict[str, VtnEventId]:
        groups: dict[tuple[object, ...], tuple[EventNotice, list[Addressee]]] = {}
        for key, notice in notices_by_key.items():
            told = (key, notice.ven_id, notice.resource_ids)
            groups.setdefault(_words(notice), (notice, []))[1].append(told)
        return self.publish_alike(groups.values(), at=at)

    def publish_alike(
        self, alike: Iterable[tuple[EventNotice, Sequence[Addressee]]], *, at: datetime
    ) -> dict[str, VtnEventId]:
        groups = list(alike)
        _require_whole_seconds(notice for notice, _ in groups)
        return publishing.publish_alike(((content_of(notice), told) for notice, told in groups), at=at)

    def amend(self, event_id: VtnEventId, notice: EventNotice, *, at: datetime, reason: str = "") -> int:
        _require_whole_seconds([notice])
        return publishing.amend_event(event_id, content_of(notice), at=at, reason=reason)

    def cancel(self, event_id: VtnEventId, *, at: datetime, reason: str = "") -> None:
        self.cancel_many([event_id], at=at, reason=reason)

    def cancel_many(self, event_ids: Iterable[VtnEventId], *, at: datetime, reason: str = "") -> None:
        publishing.cancel_events(event_ids, at=at, reason=reason)

    def opts_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Opt], Cursor]:
        rows = feeds.opts_after(cursor, limit=limit)
        return [_opt(row) for row in rows], Cursor(rows[-1].feed_position or cursor) if rows else cursor

    def reports_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Report], Cursor]:
        """As the port says; what the points are in, and how a status is told, says `feeds`."""
        rows = feeds.reports_after(cursor, limit=limit)
        found = [_report(row, points) for row, points in rows]
        return found, Cursor(rows[-1][0].feed_position or cursor) if rows else cursor

    def acknowledgement(self, event_id: VtnEventId, *, at: datetime) -> Acknowledgement:
        found = self.acknowledgements([event_id], at=at)
        if event_id not in found:
            raise UnknownEvent(event_id=event_id)
        return found[event_id]

    def acknowledgements(
        self, event_ids: Iterable[VtnEventId], *, at: datetime
    ) -> dict[VtnEventId, Acknowledgement]:
        latest = (
            EventOpt.objects.filter(event=OuterRef("pk"), resource_ids=[]).order_by("-id").values("opt")[:1]
        )
        events: QuerySet[Event] = Event.objects.filter(event_id__in=list(event_ids)).select_related("ven")
        return {
            VtnEventId(event.event_id): _acknowledgement(event, opt, at=at)
            for event in events.annotate(latest_opt=Subquery(latest))
            for opt in [cast("OptChoice | None", event.latest_opt)]
        }

    def trusted(self, ven_ids: Iterable[VenId]) -> set[VenId]:
        return queries.connectable(ven_ids, wall=clock.wall_now())


def _words(notice: EventNotice) -> tuple[object, ...]:
    """What the notice says, whomever it is to: alike where its parts are the same objects, which is quick to
    see of ten thousand. Those that are alike but made apart are put together once they are content.
    """
    return (
        notice.market_context,
        id(notice.interval),
        id(notice.signals),
        notice.notification_seconds,
        notice.ramp_up_seconds,
        notice.recovery_seconds,
        notice.start_tolerance_seconds,
        notice.priority,
        notice.response_required,
        notice.test,
        notice.comment,
    )


def _require_whole_seconds(notices: Iterable[EventNotice]) -> None:
    for notice in notices:
        if notice.interval.duration.total_seconds() % 1:
            raise NoticeInvalid(field="interval", reason="starts and lasts whole seconds")


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


def _report(row: ReceivedReport, points: tuple[ReportPoint, ...]) -> Report:
    return Report(
        ven_id=VenId(row.ven.ven_id),
        name=row.name,
        points=points,
        received_at=row.received_at,
        sequence=row.feed_position or 0,
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
