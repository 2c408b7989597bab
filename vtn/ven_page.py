"""What the VEN list and the VEN page show: plain values for the templates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.utils.translation import gettext_lazy as _lazy

from vtn import desk, lifecycle
from vtn.models import MessageKind, MessageState, Ven, VenWatch
from vtn.services.registration import poll_seconds

EVENTS_SHOWN: Final = 20
OPTS_SHOWN: Final = 20
MESSAGES_SHOWN: Final = 15
QUEUE_SHOWN: Final = 20
TRANSPORTS: Final = {
    "pull": _lazy("HTTP pull"),
    "push": _lazy("HTTP push"),
    "xmpp": _lazy("MQTT"),
    "": _lazy("not registered"),
}


def watch_of(ven: Ven) -> VenWatch:
    """What was observed of the VEN; empty where nothing was."""
    try:
        return ven.watch
    except VenWatch.DoesNotExist:
        return VenWatch(ven=ven)


def is_watched(ven: Ven, *, wall: datetime) -> bool:
    until = watch_of(ven).bodies_until_wall_at
    return until is not None and until > wall


def transport_code(ven: Ven) -> str:
    """How the VEN is reached: pull, push, xmpp (carried by MQTT), "" while it is not registered."""
    if not ven.is_registered:
        return ""
    if ven.transport_name == "xmpp":
        return "xmpp"
    return "pull" if ven.is_http_pull else "push"


def transport(ven: Ven) -> str:
    """How the VEN is reached, in a word."""
    return str(TRANSPORTS[transport_code(ven)])


def row(ven: Any, *, wall: datetime) -> dict[str, Any]:
    """One line of the list."""
    watch, days = watch_of(ven), desk.days_left(ven.not_after, wall=wall)
    skew = watch.clock_skew_seconds
    state, tag = _state(ven, wall=wall)
    return {
        "ven_id": ven.ven_id,
        "name": ven.ven_name,
        "state": state,
        "tag": tag,
        "seen": ven.last_seen_wall_at,
        "days_left": days,
        "days_tag": "bad" if days is None else "warn" if days < desk.EXPIRES_SOON.days else "",
        "software": watch.software,
        "transport": transport(ven),
        "profile": ven.profile_name,
        "quirks": [quirk.replace("_", " ") for quirk in watch.quirks],
        "skew": skew,
        "skew_size": None if skew is None else abs(skew),
        "is_skewed": skew is not None and abs(skew) > desk.SKEWED_SECONDS,
        "undelivered": ven.undelivered,
    }


def whole(ven: Any, *, at: datetime, wall: datetime) -> dict[str, Any]:
    """Everything the VEN page shows."""
    events = list(desk.events(at=at).filter(ven=ven)[:EVENTS_SHOWN])
    return {
        "ven": ven,
        "row": row(ven, wall=wall),
        "watch": watch_of(ven),
        "is_watched": is_watched(ven, wall=wall),
        "poll_seconds": poll_seconds(ven),
        "groups": list(ven.groups.order_by("name").values_list("name", flat=True)),
        "certificates": [
            _certificate(each, wall=wall) for each in ven.certificates.order_by("-not_after", "-pk")
        ],
        "events": [event_row(each, at=at) for each in events],
        "events_count": ven.events.count(),
        "opts": list(_opts(ven)),
        "schedules": [_schedule(each) for each in ven.opt_schedules.order_by("-received_at")[:OPTS_SHOWN]],
        "queue": [
            {
                "id": each.pk,
                "may_withdraw": each.is_open and each.kind != MessageKind.EVENTS,
                "is_dead": each.state == MessageState.DEAD,
                "what": each.get_kind_display(),
                "state": each.get_state_display(),
                "tag": QUEUE_TAGS.get(each.state, ""),
                "at": each.queued_at,
                "delivered_at": each.delivered_at,
                "finished_at": each.finished_at,
                "attempts": each.attempts,
                "code": each.answer_code,
                "note": each.note,
            }
            for each in ven.queue.order_by("-pk")[:QUEUE_SHOWN]
        ],
        "open_count": ven.queue.filter(finished_at=None).count(),
        "requests": list(ven.report_requests.select_related("offer").order_by("-pk")[:10]),
        "log": list(ven.messages.order_by("-pk")[:MESSAGES_SHOWN]),
        "resources": desk.resources_of(ven),
    }


QUEUE_TAGS: Final = {
    "queued": "info",
    "delivered": "info",
    "answered": "good",
    "expired": "warn",
    "withdrawn": "",
    "dead": "bad",
}
EVENT_TAGS: Final = {"active": "good", "near": "info", "far": "info", "completed": "", "cancelled": "bad"}
EVENT_WORDS: Final = {
    "far": _lazy("Far"),
    "near": _lazy("Near"),
    "active": _lazy("Active"),
    "completed": _lazy("Completed"),
    "cancelled": _lazy("Cancelled"),
}
DELIVERY_WORDS: Final = {
    "queued": _lazy("Not yet delivered"),
    "delivered": _lazy("Delivered"),
    "acknowledged": _lazy("Answered"),
    "silent": _lazy("Delivered, no answer wanted"),
    "never": _lazy("Never delivered"),
}
DELIVERY_TAGS: Final = {
    "queued": "info",
    "delivered": "info",
    "acknowledged": "good",
    "silent": "good",
    "never": "warn",
}
MOMENTS: Final = {
    "published": _lazy("Published"),
    "delivered": _lazy("Delivered"),
    "opt_in": _lazy("Opted in"),
    "opt_out": _lazy("Opted out"),
    "opt_none": _lazy("Undecided"),
    "acknowledged": _lazy("Answered"),
    "notification_due": _lazy("Notification due"),
    "near": _lazy("Near: ramp-up begins"),
    "active": _lazy("Active"),
    "first_end": _lazy("Earliest end"),
    "completed": _lazy("Completed"),
    "cancelled": _lazy("Cancelled"),
}
OPT_WORDS: Final = {"in": _lazy("In"), "out": _lazy("Out"), "none": _lazy("Undecided")}


def event_row(event: Any, *, at: datetime) -> dict[str, Any]:
    """One line of a list of events."""
    state = lifecycle.status(event, at=at)
    delivery = desk.delivery(event)
    if delivery == "delivered" and not event.is_response_required:
        delivery = "silent"
    if delivery == "queued" and at >= event.closes_at:
        delivery = "never"
    return {
        "event_id": event.event_id,
        "ven_id": event.ven.ven_id,
        "starts_at": event.starts_at,
        "ends_at": event.starts_at + timedelta(seconds=event.duration_seconds),
        "signals": ", ".join(f"{signal['name']} {signal['type']}" for signal in event.signals),
        "market_context": event.market_context,
        "version": event.modification_number,
        "is_test": event.is_test,
        "priority": event.priority,
        "state": EVENT_WORDS[state],
        "state_code": state,
        "tag": EVENT_TAGS[state],
        "delivery": DELIVERY_WORDS[delivery],
        "delivery_tag": DELIVERY_TAGS[delivery],
        "opt": OPT_WORDS.get(event.latest_opt, ""),
    }


def _opts(ven: Ven) -> list[dict[str, Any]]:
    from vtn.models import EventOpt

    rows = EventOpt.objects.filter(event__ven=ven).select_related("event").order_by("-pk")[:OPTS_SHOWN]
    return [
        {
            "event_id": each.event.event_id,
            "opt": OPT_WORDS[each.opt],
            "source": each.get_source_display(),
            "reason": each.reason,
            "version": each.modification_number,
            "at": each.received_at,
        }
        for each in rows
    ]


def _schedule(schedule: Any) -> dict[str, Any]:
    return {
        "opt_id": schedule.opt_id,
        "opt": OPT_WORDS[schedule.opt],
        "reason": schedule.reason,
        "market_context": schedule.market_context,
        "resources": schedule.resource_ids,
        "periods": [
            {
                "starts_at": datetime.fromisoformat(each["starts_at"].replace("Z", "+00:00")),
                "minutes": each["duration_seconds"] // 60,
            }
            for each in schedule.periods[:5]
        ],
        "more": max(0, len(schedule.periods) - 5),
        "received_at": schedule.received_at,
        "cancelled_at": schedule.cancelled_at,
    }


def _state(ven: Ven, *, wall: datetime) -> tuple[Any, str]:
    if not ven.is_registered:
        return _lazy("Not registered"), "warn" if ven.last_seen_wall_at else ""
    if ven.last_seen_wall_at is None:
        return _lazy("Never heard"), "warn"
    if desk.is_online(ven, wall=wall):
        return _lazy("Online"), "good"
    return _lazy("Silent"), "bad"


def _certificate(certificate: Any, *, wall: datetime) -> dict[str, Any]:
    is_in_force = certificate.revoked_at is None and certificate.not_before <= wall < certificate.not_after
    return {
        "fingerprint": certificate.fingerprint,
        "short": ":".join(certificate.fingerprint[-20:][i : i + 2] for i in range(0, 20, 2)).upper(),
        "serial": certificate.serial,
        "issued_at": certificate.issued_at,
        "not_after": certificate.not_after,
        "days_left": (certificate.not_after - wall).days,
        "is_in_force": is_in_force,
        "revoked_at": certificate.revoked_at,
        "reason": certificate.revocation_reason,
    }
