"""What staff and machines see of VENs and events: rows with everything a list needs, in one query a page.

Shared by the pages and the API. Wall time decides who is online and whose certificate holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import (
    Count,
    DateTimeField,
    Exists,
    F,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce

from vtn import lifecycle
from vtn.models import Event, EventOpt, MessageLog, QueuedMessage, Ven, VenCertificate
from vtn.port import UnknownEvent, UnknownVen

ONLINE_POLLS: Final = 3
SHORTEST_ONLINE: Final = timedelta(minutes=5)
EXPIRES_SOON: Final = timedelta(days=30)
SKEWED_SECONDS: Final = 60
STATES: Final = ("online", "silent", "never_seen", "not_registered")
CERTIFICATES: Final = ("soon", "none")
TROUBLES: Final = ("skewed", "quirks", "undelivered", "refused")
ORDERS: Final = {
    "ven_id": ("ven_id",),
    "name": ("ven_name", "ven_id"),
    "seen": (F("last_seen_wall_at").desc(nulls_last=True), "ven_id"),
    "silent": (F("last_seen_wall_at").asc(nulls_first=True), "ven_id"),
    "certificate": (F("not_after").asc(nulls_first=True), "ven_id"),
    "undelivered": (F("undelivered").desc(), "ven_id"),
}


def online_since(wall: datetime) -> datetime:
    """Who was heard after this counts as online: three poll intervals, five minutes at least."""
    return wall - max(SHORTEST_ONLINE, timedelta(seconds=ONLINE_POLLS * int(settings.VTN_POLL_SECONDS)))


def vens(*, at: datetime, wall: datetime) -> QuerySet[Ven]:
    """Every VEN with `not_after` of its certificate in force and how much it has `undelivered`."""
    in_force = (
        VenCertificate.objects.filter(
            ven=OuterRef("pk"), revoked_at=None, not_before__lte=wall, not_after__gt=wall
        )
        .order_by()
        .values("ven")
        .annotate(latest=Max("not_after"))
        .values("latest")
    )
    waiting = (
        QueuedMessage.objects.filter(
            Q(expires_at=None) | Q(expires_at__gt=at), ven=OuterRef("pk"), state="queued"
        )
        .order_by()
        .values("ven")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return Ven.objects.select_related("watch").annotate(
        not_after=Subquery(in_force, output_field=DateTimeField()),
        undelivered=Coalesce(Subquery(waiting, output_field=IntegerField()), 0),
    )


def find_vens(
    rows: QuerySet[Any],
    *,
    at: datetime,
    wall: datetime,
    words: str = "",
    state: str = "",
    certificate: str = "",
    trouble: str = "",
    group: str = "",
    order: str = "",
) -> QuerySet[Any]:
    """Narrow VENs by words (id, name, fingerprint) and filters; unknown values filter nothing."""
    if words:
        ids = VenCertificate.objects.filter(fingerprint__startswith=words.replace(":", "").lower())
        rows = rows.filter(
            Q(ven_id__icontains=words) | Q(ven_name__icontains=words) | Q(pk__in=ids.values("ven"))
        )
    match state:
        case "online":
            rows = rows.filter(last_seen_wall_at__gte=online_since(wall))
        case "silent":
            rows = rows.filter(last_seen_wall_at__lt=online_since(wall))
        case "never_seen":
            rows = rows.filter(last_seen_wall_at=None)
        case "not_registered":
            rows = rows.filter(registration_id="")
    match certificate:
        case "soon":
            rows = rows.filter(not_after__lt=wall + EXPIRES_SOON)
        case "none":
            rows = rows.filter(not_after=None)
    match trouble:
        case "skewed":
            rows = rows.filter(
                Q(watch__clock_skew_seconds__gt=SKEWED_SECONDS)
                | Q(watch__clock_skew_seconds__lt=-SKEWED_SECONDS)
            )
        case "quirks":
            rows = rows.filter(watch__isnull=False).exclude(watch__quirks=[])
        case "undelivered":
            rows = rows.filter(undelivered__gt=0)
        case "refused":
            recent = MessageLog.objects.filter(
                ven=OuterRef("pk"), is_refused=True, recorded_wall_at__gte=wall - timedelta(days=1)
            )
            rows = rows.filter(Exists(recent))
    if group:
        rows = rows.filter(groups__name=group)
    return rows.order_by(*ORDERS.get(order, ORDERS["ven_id"]))


def ven(ven_id: str, *, at: datetime, wall: datetime) -> Ven:
    """One VEN with what the list shows of it; raises UnknownVen."""
    found = None if "\0" in ven_id else vens(at=at, wall=wall).filter(ven_id=ven_id).first()
    if found is None:
        raise UnknownVen(ven_id=ven_id)
    return found


def is_online(row: Ven, *, wall: datetime) -> bool:
    return row.last_seen_wall_at is not None and row.last_seen_wall_at >= online_since(wall)


def days_left(not_after: datetime | None, *, wall: datetime) -> int | None:
    """Whole days until the certificate ends; None when none is in force."""
    return None if not_after is None else (not_after - wall).days


def events(*, at: datetime) -> QuerySet[Event]:
    """Every event with its VEN and the latest thing the VEN said, newest start first."""
    latest = EventOpt.objects.filter(event=OuterRef("pk"), resource_ids=[]).order_by("-id").values("opt")[:1]
    return (
        Event.objects.select_related("ven")
        .annotate(latest_opt=Subquery(latest))
        .order_by("-starts_at", "-pk")
    )


EVENT_STATES: Final = ("pending", "active", "completed", "cancelled", "undelivered", "unanswered")


def find_events(
    rows: QuerySet[Event],
    *,
    at: datetime,
    words: str = "",
    state: str = "",
    ven_id: str = "",
    group: str = "",
    market_context: str = "",
    like: str = "",
    is_any_content: bool = False,
) -> QuerySet[Event]:
    """Narrow events by words (event id, VEN, key) and filters.

    `like` is an event's id: those of its start, length and market context that say the same, or anything.
    """
    if words:
        rows = rows.filter(
            Q(event_id__istartswith=words) | Q(ven__ven_id__icontains=words) | Q(key__icontains=words)
        )
    if ven_id:
        rows = rows.filter(ven__ven_id=ven_id)
    if group:
        rows = rows.filter(ven__groups__name=group)
    if market_context:
        rows = rows.filter(market_context=market_context)
    if like:
        rows = rows.filter(_like(like, is_any_content=is_any_content))
    current = Q(cancelled_at=None, closes_at__gt=at)
    match state:
        case "pending":
            rows = rows.filter(current, starts_at__gt=at)
        case "active":
            rows = rows.filter(current, starts_at__lte=at)
        case "completed":
            rows = rows.filter(cancelled_at=None, closes_at__lte=at)
        case "cancelled":
            rows = rows.filter(cancelled_at__isnull=False)
        case "undelivered":
            rows = rows.filter(closes_at__gt=at).exclude(delivered_modification=F("modification_number"))
        case "unanswered":
            rows = rows.filter(
                is_response_required=True, delivered_modification=F("modification_number")
            ).exclude(acknowledged_modification=F("modification_number"))
    return rows


def _like(event_id: str, *, is_any_content: bool) -> Q:
    one = None if "\0" in event_id else Event.objects.filter(event_id=event_id).first()
    if one is None:
        return Q(pk__in=[])
    there = Q(
        starts_at=one.starts_at,
        duration_seconds=one.duration_seconds,
        market_context=one.market_context,
        is_test=one.is_test,
    )
    if is_any_content:
        return there
    return there & (Q(content_digest=one.content_digest) if one.content_digest else Q(pk=one.pk))


def event(event_id: str, *, at: datetime) -> Event:
    """One event; raises UnknownEvent."""
    found = None if "\0" in event_id else events(at=at).filter(event_id=event_id).first()
    if found is None:
        raise UnknownEvent(event_id=event_id)
    return found


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of a timeline."""

    at: datetime
    what: str
    detail: str = ""
    tag: str = ""


def event_timeline(row: Event, *, at: datetime) -> list[Moment]:
    """What has happened to an event and what will, by the clock and by the VEN, in order."""
    found = [Moment(row.published_at, "published", tag="info")]
    if row.delivered_at is not None and row.delivered_modification is not None:
        found.append(Moment(row.delivered_at, "delivered", f"version {row.delivered_modification}", "good"))
    found += [
        Moment(opt.received_at, f"opt_{opt.opt}", opt.reason, {"in": "good", "out": "warn"}.get(opt.opt, ""))
        for opt in row.opts.order_by("id")
    ]
    if row.acknowledged_at is not None:
        version = f"version {row.acknowledged_modification}"
        found.append(Moment(row.acknowledged_at, "acknowledged", version, "good"))
    end = row.starts_at + timedelta(seconds=row.duration_seconds)
    is_open_ended = not row.duration_seconds
    if row.notification_seconds:
        found.append(Moment(row.starts_at - timedelta(seconds=row.notification_seconds), "notification_due"))
    if row.ramp_up_seconds > 0:
        found.append(Moment(row.starts_at - timedelta(seconds=row.ramp_up_seconds), "near"))
    found.append(Moment(row.starts_at, "active"))
    if row.start_tolerance_seconds and not is_open_ended:
        found.append(Moment(end, "first_end"))
    if not is_open_ended:
        found.append(Moment(row.closes_at, "completed"))
    if row.cancelled_at is not None:
        found = [each for each in found if each.at <= row.cancelled_at or each.tag]
        found.append(Moment(row.cancelled_at, "cancelled", row.modification_reason, "bad"))
    return sorted(found, key=lambda each: each.at)


def event_state(row: Event, *, at: datetime) -> str:
    """The state as the wire tells it: far, near, active, completed, cancelled."""
    return lifecycle.status(row, at=at)


def delivery(row: Event) -> str:
    """How far the version in force has come: queued, delivered, acknowledged."""
    if row.acknowledged_modification == row.modification_number:
        return "acknowledged"
    if row.delivered_modification == row.modification_number:
        return "delivered"
    return "queued"


def resources_of(row: Ven) -> list[str]:
    """Resource ids the VEN has been addressed by or has opted for."""
    seen: set[str] = set()
    for ids in _id_lists(row):
        seen |= {str(each) for each in ids}
    return sorted(seen)


def _id_lists(row: Ven) -> Iterable[list[Any]]:
    yield from row.events.exclude(resource_ids=[]).values_list("resource_ids", flat=True).distinct()
    yield from row.opt_schedules.exclude(resource_ids=[]).values_list("resource_ids", flat=True).distinct()


def counts(*, wall: datetime) -> dict[str, int]:
    """The fleet in four numbers."""
    soon = VenCertificate.objects.filter(revoked_at=None, not_before__lte=wall, not_after__gt=wall)
    return Ven.objects.aggregate(
        all=Count("pk"),
        registered=Count("pk", filter=~Q(registration_id="")),
        online=Count("pk", filter=Q(last_seen_wall_at__gte=online_since(wall))),
        silent=Count("pk", filter=Q(last_seen_wall_at__lt=online_since(wall))),
    ) | {
        "without_certificate": Ven.objects.exclude(pk__in=soon.values("ven")).count(),
        "open_messages": QueuedMessage.objects.filter(finished_at=None).count(),
    }
