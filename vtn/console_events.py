"""Staff pages: events, one event's life, and an event by hand: written, previewed, sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from vtn import desk, sending, ven_page
from vtn.event_form import EventForm
from vtn.lists import chosen, paged, search_words
from vtn.models import EventDraft
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, sentence, show

STATES: Final = {
    "pending": _lazy("To come"),
    "active": _lazy("Active"),
    "completed": _lazy("Completed"),
    "cancelled": _lazy("Cancelled"),
    "undelivered": _lazy("Version in force not delivered"),
    "unanswered": _lazy("Delivered and not answered"),
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


@require_GET
@door(Deed.SEE)
def event_list(request: StaffRequest) -> HttpResponse:
    """Every event, newest start first; the filters stay in the address."""
    at = clock.now()
    filters = {
        "words": search_words(request),
        "state": chosen(request, "state", tuple(STATES)),
        "ven_id": request.GET.get("ven", "").replace("\0", "")[:64],
        "market_context": request.GET.get("market", "").replace("\0", "")[:200],
    }
    shown, pager = paged(request, desk.find_events(desk.events(at=at), at=at, **filters))
    context = {
        "events": [ven_page.event_row(each, at=at) for each in shown],
        "pager": pager,
        "filters": filters,
        "is_filtered": any(filters.values()),
        "states": STATES.items(),
        "drafts": EventDraft.objects.filter(published_at=None).order_by("-pk")[:10],
    }
    return show(request, "vtn/event_list.html", context, section="events")


@require_GET
@door(Deed.SEE)
def event_detail(request: StaffRequest, event_id: str) -> HttpResponse:
    """One event: what it says, its life, what its VEN was handed and answered, the document it reads."""
    at = clock.now()
    event = desk.event(event_id, at=at)
    context = {
        "event": event,
        "row": ven_page.event_row(event, at=at),
        "ends_at": event.starts_at + timedelta(seconds=event.duration_seconds)
        if event.duration_seconds
        else None,
        "signals": [
            {
                "name": signal["name"],
                "type": signal["type"],
                "unit": signal["unit"],
                "intervals": _intervals(event.starts_at, signal["intervals"]),
            }
            for signal in event.signals
        ],
        "timeline": [
            {
                "at": each.at,
                "what": MOMENTS[each.what],
                "detail": each.detail,
                "tag": each.tag,
                "is_past": each.at <= at,
            }
            for each in desk.event_timeline(event, at=at)
        ],
        "opts": event.opts.order_by("-pk")[:50],
        "xml": sending.document_of(event, at=at),
        "siblings": _siblings(event.key, event.pk),
        "is_owned": sending.is_owned(event),
        "may_cancel": request.principal.may(Deed.MANAGE_EVENTS)
        and not sending.is_owned(event)
        and event.cancelled_at is None
        and at < event.closes_at,
    }
    return show(request, "vtn/event_detail.html", context, section="events")


@require_POST
@door(Deed.MANAGE_EVENTS)
def event_cancel(request: StaffRequest, event_id: str) -> HttpResponse:
    """Call an event off that was sent by hand."""
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:200]
    try:
        sending.cancel_event(event_id=event_id, reason=reason, at=clock.now(), by=request.principal.actor)
    except DomainError as error:
        if error.status == 404:
            raise
        messages.error(request, sentence(error))
    else:
        messages.success(request, _("Cancelled. The VEN is being told."))
    return redirect("vtn:event_detail", event_id)


@require_http_methods(["GET", "POST"])
@door(Deed.MANAGE_EVENTS)
def event_compose(request: StaffRequest) -> HttpResponse:
    """Write an event, see who gets which document, and then send it; pressed twice it is sent once."""
    at = clock.now()
    if request.method == "GET":
        begin = (at + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
        initial = {
            "key": new_uuid(),
            "ven_ids": request.GET.get("ven", "").replace("\0", "")[:64],
            "starts_at": begin,
        }
        return show(request, "vtn/event_compose.html", {"form": EventForm(initial=initial)}, section="events")
    form = EventForm(request.POST)
    context: dict[str, object] = {"form": form}
    if form.is_valid():
        try:
            content = form.content()
            ven_ids = sending.targets(ven_ids=form.wanted_ven_ids(), groups=form.wanted_groups())
            sending.require_fresh(content, at=at)
            if request.POST.get("send") == "yes":
                sent = sending.send_events(
                    content=content,
                    ven_ids=ven_ids,
                    key=form.cleaned_data["key"],
                    at=at,
                    by=request.principal.actor,
                )
                messages.success(request, _("Sent to %(n)s VENs.") % {"n": len(sent)})
                if len(sent) == 1:
                    return redirect("vtn:event_detail", next(iter(sent.values())))
                return redirect("vtn:event_list")
            context |= {
                "previews": sending.preview(content=content, ven_ids=ven_ids, at=at),
                "ven_ids": ven_ids,
            }
        except DomainError as error:
            field = FIELDS.get(str(error.data.get("field", "")) or error.code)
            form.add_error(field, sentence(error))
    return show(
        request, "vtn/event_compose.html", context, section="events", status=422 if form.errors else 200
    )


FIELDS: Final = {
    "unknown_ven": "ven_ids",
    "ven_ids": "ven_ids",
    "starts_at": "starts_at",
    "signals": "intervals",
    "market_context": "market_context",
    "comment": "comment",
    "priority": "priority",
}


def _intervals(starts_at, pairs):  # type: ignore[no-untyped-def]
    at = starts_at
    shown = []
    for seconds, value in pairs:
        shown.append({"starts_at": at, "seconds": seconds, "minutes": seconds / 60, "value": value})
        at += timedelta(seconds=seconds)
    return shown


def _siblings(key: str, pk: int) -> list[dict[str, object]]:
    """The other VENs that were sent the same by hand, with what became of it."""
    if not key.startswith(f"{sending.HAND}:"):
        return []
    prefix = key.rpartition(":")[0] + ":"
    at = clock.now()
    rows = desk.events(at=at).filter(key__startswith=prefix).exclude(pk=pk).order_by("ven__ven_id")[:200]
    return [ven_page.event_row(each, at=at) for each in rows]
