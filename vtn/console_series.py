"""Staff pages: series of events by hand, what became of each time, a time skipped, the rest called off."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from vtn import contexts, repeating
from vtn.lists import paged
from vtn.models import EventSeries
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, sentence, show

STATES: Final = {
    "draft": (_lazy("Draft"), ""),
    "sent": (_lazy("Sent"), "good"),
    "skipped": (_lazy("Skipped"), "warn"),
}


@require_GET
@door(Deed.SEE)
def series_list(request: StaffRequest) -> HttpResponse:
    """Every series as it was written, newest first."""
    shown, pager = paged(request, EventSeries.objects.order_by("-pk"))
    context = {"series": [_row(each) for each in shown], "pager": pager}
    return show(request, "vtn/series_list.html", context, section="events")


@require_GET
@door(Deed.SEE)
def series_detail(request: StaffRequest, series_id: UUID) -> HttpResponse:
    """One series: how it is repeated, and each of its times as it stands."""
    row, at = repeating.series(series_id), clock.now()
    lasting = sum(part["duration_seconds"] for part in row.content["signals"][0]["intervals"])
    times = [_time(each, lasting, at=at) for each in repeating.times_of(row)]
    context = {
        "row": _row(row),
        "context_name": contexts.names().get(row.content["market_context"], ""),
        "times": times,
        "may_skip": request.principal.may(Deed.MANAGE_EVENTS),
        "may_end": request.principal.may(Deed.MANAGE_EVENTS)
        and row.ended_at is None
        and any(each["is_open"] for each in times),
    }
    return show(request, "vtn/series_detail.html", context, section="events")


@require_POST
@door(Deed.MANAGE_EVENTS)
def series_skip(request: StaffRequest, series_id: UUID, day: str) -> HttpResponse:
    """Leave one time out, at every VEN."""
    try:
        is_skipped = repeating.skip_time(
            series_id=series_id,
            day=repeating.day_named(day),
            reason=_reason(request),
            at=clock.now(),
            by=request.principal.actor,
        )
    except DomainError as error:
        _tell(request, error)
    else:
        if is_skipped:
            messages.success(request, _("Skipped. Whoever was sent it is being told."))
        else:
            messages.info(request, _("It was over or skipped already, so nothing is sent."))
    return redirect("vtn:series_detail", series_id)


@require_POST
@door(Deed.MANAGE_EVENTS)
def series_end(request: StaffRequest, series_id: UUID) -> HttpResponse:
    """Call off what has not begun."""
    try:
        is_ended = repeating.end_series(
            series_id=series_id, reason=_reason(request), at=clock.now(), by=request.principal.actor
        )
    except DomainError as error:
        _tell(request, error)
    else:
        if is_ended:
            messages.success(request, _("Ended. What has not begun is called off."))
        else:
            messages.info(request, _("It was ended already, so nothing is sent."))
    return redirect("vtn:series_detail", series_id)


def _tell(request: StaffRequest, error: DomainError) -> None:
    if error.status == 404:
        raise error
    messages.error(request, sentence(error))


def _reason(request: StaffRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[:200]


def _row(row: EventSeries) -> dict[str, Any]:
    starts = [starts_at for _key, starts_at in row.starts()]
    return {
        "series_id": row.series_id,
        "weekdays": ", ".join(str(WEEKDAYS_ABBR[each]) for each in row.weekdays),
        "first": starts[0],
        "latest": starts[-1],
        "skips_holidays": row.skips_holidays,
        "market_context": row.content["market_context"],
        "times": len(starts),
        "vens": len(row.ven_ids),
        "ended_at": row.ended_at,
    }


def _time(each: repeating.Time, lasting_seconds: int, *, at: datetime) -> dict[str, Any]:
    """One time for the page; open is what there is still something of to call off."""
    words, tag = STATES[each.state]
    is_over = bool(lasting_seconds) and each.starts_at + timedelta(seconds=lasting_seconds) <= at
    return {
        "time_id": each.time_id,
        "day": each.day.isoformat(),
        "starts_at": each.starts_at,
        "words": words,
        "tag": tag,
        "draft_id": each.draft_id,
        "events": each.events,
        "cancelled": each.cancelled,
        "is_open": each.state == "draft" or (each.state == "sent" and not is_over),
    }
