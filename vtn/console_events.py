"""Staff pages: events, one event's life, and events by hand: written, kept, previewed, sent, changed."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.periods import LONDON
from vtn import contexts, desk, notices, repeating, sending, ven_page
from vtn.api_fields import ContentSerializer, content_from, content_shown
from vtn.event_form import ChangeForm, EventForm, initial_of, next_full_hour
from vtn.lists import chosen, paged, search_words
from vtn.models import Event, EventDraft, EventSeries
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, say_at_field, sentence, show

STATES: Final = {
    "pending": _lazy("To come"),
    "active": _lazy("Active"),
    "completed": _lazy("Completed"),
    "cancelled": _lazy("Cancelled"),
    "undelivered": _lazy("Version in force not delivered"),
    "unanswered": _lazy("Delivered and not answered"),
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
        "group": request.GET.get("group", "").replace("\0", "")[:64],
        "market_context": request.GET.get("market", "").replace("\0", "")[:200],
        "like": request.GET.get("like", "").replace("\0", "")[:64],
    }
    is_any_content = bool(filters["like"]) and request.GET.get("any") == "yes"
    found = desk.find_events(desk.events(at=at), at=at, **filters, is_any_content=is_any_content)
    shown, pager = paged(request, found)
    kept = EventDraft.objects.filter(published_at=None).order_by("-pk")
    drafts, drafts_pager = paged(request, kept, size=20, parameter="drafts")
    context = {
        "events": [ven_page.event_row(each, at=at) for each in shown],
        "pager": pager,
        "filters": filters,
        "is_any_content": is_any_content,
        "is_filtered": any(filters.values()),
        "states": STATES.items(),
        "contexts": known_contexts(filters["market_context"]),
        "drafts": [_draft_row(each) for each in drafts],
        "drafts_pager": drafts_pager,
        "has_series": EventSeries.objects.exists(),
    }
    return show(request, "vtn/event_list.html", context, section="events")


@require_GET
@door(Deed.SEE)
def event_detail(request: StaffRequest, event_id: str) -> HttpResponse:
    """One event: what it says, its life, what its VEN was handed and answered, the document it reads."""
    at = clock.now()
    event = desk.event(event_id, at=at)
    ends_at = event.starts_at + timedelta(seconds=event.duration_seconds)
    context = {
        "event": event,
        "starts_in": event.starts_at.astimezone(LONDON).tzname(),
        "ends_in": ends_at.astimezone(LONDON).tzname(),
        "context_name": contexts.names().get(event.market_context, ""),
        "row": ven_page.event_row(event, at=at),
        "ends_at": ends_at if event.duration_seconds else None,
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
                "what": ven_page.MOMENTS[each.what],
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
        "may_change": _may_change(request, event, at=at),
    }
    return show(request, "vtn/event_detail.html", context, section="events")


@require_POST
@door(Deed.MANAGE_EVENTS)
def event_cancel(request: StaffRequest, event_id: str) -> HttpResponse:
    """Call an event off that was sent by hand."""
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:200]
    try:
        is_cancelled = sending.cancel_event(
            event_id=event_id, reason=reason, at=clock.now(), by=request.principal.actor
        )
    except DomainError as error:
        if error.status == 404:
            raise
        messages.error(request, sentence(error))
    else:
        if is_cancelled:
            messages.success(request, _("Cancelled. The VEN is being told."))
        else:
            messages.info(request, _("It was over or cancelled already, so nothing is sent."))
    return redirect("vtn:event_detail", event_id)


@require_http_methods(["GET", "POST"])
@door(Deed.MANAGE_EVENTS)
def event_compose(request: StaffRequest) -> HttpResponse:
    """Write an event, see who gets which document, then send it or keep it; pressed twice it is sent once."""
    at = clock.now()
    if request.method == "GET":
        form = EventForm(initial=_initial(request, at=at))
        return show(request, "vtn/event_compose.html", {"form": form}, section="events")
    form = EventForm(request.POST)
    context: dict[str, object] = {"form": form}
    if request.POST.get("add") != "signal" and form.is_valid():
        try:
            ven_ids = sending.targets(ven_ids=form.wanted_ven_ids(), groups=form.wanted_groups())
            rhythm = form.rhythm()
            events = repeating.events_of(form.content(), form.cleaned_data["key"], rhythm)
            repeating.require_few(len(events), len(ven_ids))
            first = next(iter(events.values()))
            sending.require_fresh(first, at=at)
            context |= {
                "previews": sending.preview(content=first, ven_ids=ven_ids, at=at),
                "ven_ids": ven_ids,
                "starts": [each.starts_at for each in events.values()],
            }
            is_kept, is_sent = (request.POST.get(name) == "yes" for name in ("keep", "send"))
            if is_kept or is_sent:
                sent = repeating.write_events(
                    events,
                    rhythm,
                    sends=not is_kept,
                    shown=content_shown,
                    ven_ids=ven_ids,
                    at=at,
                    by=request.principal.actor,
                )
                told = _kept(len(events)) if is_kept else _sent(len(events), len(ven_ids))
                messages.success(request, told)
                if rhythm is not None:
                    return redirect("vtn:series_detail", form.cleaned_data["key"])
                return redirect("vtn:event_detail", sent[0]) if len(sent) == 1 else redirect("vtn:event_list")
        except DomainError as error:
            say_at_field(form, error, FIELDS)
    status = 422 if form.is_bound and form.has_errors else 200
    return show(request, "vtn/event_compose.html", context, section="events", status=status)


def _kept(times: int) -> str:
    if times == 1:
        return _("Kept as a draft. Nothing is sent.")
    return _("Kept as %(n)s drafts. Nothing is sent.") % {"n": times}


def _sent(times: int, vens: int) -> str:
    if times == 1:
        return _("Sent to %(n)s VENs.") % {"n": vens}
    return _("Sent %(times)s events to %(n)s VENs.") % {"times": times, "n": vens}


@require_http_methods(["GET", "POST"])
@door(Deed.MANAGE_EVENTS)
def event_change(request: StaffRequest, event_id: str) -> HttpResponse:
    """Change an event that was sent by hand: see what its VEN will read, then tell it."""
    at = clock.now()
    event = desk.event(event_id, at=at)
    if not _may_change(request, event, at=at):
        messages.error(request, _("This event cannot be changed here."))
        return redirect("vtn:event_detail", event_id)
    if request.method == "GET":
        form = ChangeForm(initial=initial_of(notices.content_of_event(event)))
        return show(request, "vtn/event_change.html", {"form": form, "event": event}, section="events")
    form = ChangeForm(request.POST)
    context: dict[str, object] = {"form": form, "event": event}
    if request.POST.get("add") != "signal" and form.is_valid():
        try:
            content = form.content()
            sending.require_fresh(content, at=at)
            context["previews"] = sending.preview(content=content, ven_ids=[event.ven.ven_id], at=at)
            if request.POST.get("send") == "yes":
                number = sending.change_event(
                    event_id=event_id,
                    content=content,
                    reason=form.cleaned_data["reason"],
                    at=at,
                    by=request.principal.actor,
                )
                if number == event.modification_number:
                    messages.info(request, _("Nothing is different, so nothing is sent."))
                else:
                    messages.success(request, _("Changed. The VEN is being told."))
                return redirect("vtn:event_detail", event_id)
        except DomainError as error:
            say_at_field(form, error, FIELDS)
    status = 422 if form.has_errors else 200
    return show(request, "vtn/event_change.html", context, section="events", status=status)


@require_POST
@door(Deed.MANAGE_EVENTS)
def draft_delete(request: StaffRequest, draft_id: UUID) -> HttpResponse:
    """Forget a draft that was not sent."""
    try:
        sending.delete_draft(draft_id=draft_id)
    except DomainError as error:
        if error.status == 404:
            raise
        messages.error(request, sentence(error))
    else:
        messages.success(request, _("The draft is gone."))
    return redirect("vtn:event_list")


def _draft_row(draft: EventDraft) -> dict[str, object]:
    starts_at = None
    with suppress(KeyError, TypeError, ValueError):
        starts_at = datetime.fromisoformat(draft.content["starts_at"])
    return {
        "draft_id": draft.draft_id,
        "created_at": draft.created_at,
        "starts_at": starts_at,
        "market_context": draft.content.get("market_context", ""),
        "vens": len(draft.ven_ids),
    }


def known_contexts(asked: str) -> list[tuple[str, str]]:
    """What the list may be narrowed to: every known market context, and the one asked for."""
    known = contexts.names()
    if asked:
        known.setdefault(asked, asked)
    return sorted(known.items(), key=lambda each: each[1].casefold())


FIELDS: Final = {
    "unknown_ven": "ven_ids",
    "unknown_group": "groups",
    "signals": "intervals",
    "resource_ids": "resources",
}
"""What the forms call what is refused, where they have another name for it."""


def _initial(request: StaffRequest, *, at: datetime) -> dict[str, object]:
    """What an empty form shows: a draft, another event's content for a new one, or the house's defaults."""
    wanted = request.GET.get("draft", "")
    if wanted:
        with suppress(ValueError):
            draft = sending.draft(UUID(wanted))
            written = ContentSerializer(data=draft.content)
            if draft.published_at is None and written.is_valid():
                content = content_from(written.validated_data)
                return initial_of(content) | {"key": draft.draft_id, "ven_ids": "\n".join(draft.ven_ids)}
    initial: dict[str, object] = {"ven_ids": request.GET.get("ven", "").replace("\0", "")[:64]}
    like = request.GET.get("like", "")
    if like:
        event = desk.event(like, at=at)
        initial = initial_of(notices.content_of_event(event)) | {"ven_ids": event.ven.ven_id}
    if initial.get("starts_at", at) <= at:  # type: ignore[operator]
        initial["starts_at"] = next_full_hour(at)
    return initial | {"key": new_uuid()}


def _may_change(request: StaffRequest, event: Event, *, at: datetime) -> bool:
    return (
        request.principal.may(Deed.MANAGE_EVENTS)
        and not sending.is_owned(event)
        and event.cancelled_at is None
        and at < event.closes_at
    )


def _intervals(starts_at: datetime, pairs: list[tuple[int, float]]) -> list[dict[str, object]]:
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
