"""The API's calendar: what is on between two times, a campaign of ten thousand events as one entry."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from vtn import api_fields as fields
from vtn import desk, event_calendar, notices
from vtn.api import Pages, VtnView
from vtn.api_vens import asked, instant
from vtn.event_calendar import Entry, Said
from vtn.policy import Deed

LONGEST: Final = timedelta(days=62)
EXAMPLE: Final = "2026-11-24T00:00:00Z"


class EventCalendar(VtnView):
    """Events by when they are."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(
        operation_id="events_calendar",
        parameters=[
            OpenApiParameter("starts_from", OpenApiTypes.DATETIME, required=True),
            OpenApiParameter(
                "starts_before",
                OpenApiTypes.DATETIME,
                required=True,
                description=f"Later than starts_from, by {LONGEST.days} days at most.",
            ),
            OpenApiParameter("state", OpenApiTypes.STR, enum=desk.EVENT_STATES),
            OpenApiParameter("ven_id", OpenApiTypes.STR),
            OpenApiParameter("group", OpenApiTypes.STR, description="Events of the VENs that are in it."),
            OpenApiParameter("market_context", OpenApiTypes.STR),
        ],
        responses=fields.CalendarEntrySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """What starts in a span, or began up to a week before and runs on into it, by start.

        Events that say the same at one time are one entry; filters narrow what an entry counts.
        """
        at = clock.now()
        span = span_asked(request)
        if (state := asked(request, "state")) not in ("", *desk.EVENT_STATES):
            raise ValidationError({"state": f"write one of {', '.join(desk.EVENT_STATES)}"})
        found = event_calendar.entries(
            span,
            at=at,
            state=state,
            ven_id=asked(request, "ven_id"),
            group=asked(request, "group"),
            market_context=asked(request, "market_context"),
        )
        if len(found) > event_calendar.MOST_ENTRIES:
            raise ValidationError(
                {"starts_before": f"more than {event_calendar.MOST_ENTRIES} entries: ask for a shorter span"}
            )
        pages = Pages()
        shown: list[Entry] = pages.paginate_queryset(found, request, view=self) or []
        said = event_calendar.said_by(shown)
        return pages.get_paginated_response(
            [entry_shown(each, said[each.pk], at=at) for each in shown if each.pk in said]
        )


def span_asked(request: Request) -> Interval:
    """The span of the address; raises a field error for one that is missing, backward or too long."""
    starts_at, ends_at = (_needed(request, name) for name in ("starts_from", "starts_before"))
    if ends_at <= starts_at:
        raise ValidationError({"starts_before": "write a time after starts_from"})
    if ends_at - starts_at > LONGEST:
        raise ValidationError(
            {"starts_before": f"more than {LONGEST.days} days after starts_from: ask for a shorter span"}
        )
    return Interval(starts_at, ends_at)


def entry_shown(entry: Entry, said: Said, *, at: datetime) -> dict[str, Any]:
    """An entry as the API gives it."""
    names = ("starts_at", "duration_seconds", "market_context", "is_test")
    counts = ("events", "cancelled", "delivered", "acknowledged", "contents")
    return {
        "event_id": said.event_id,
        **{name: getattr(entry, name) for name in names},
        "state": entry.state(at=at),
        **{name: getattr(entry, name) for name in counts},
        "signals": [
            {
                "name": each["name"],
                "type": each["type"],
                "unit": each["unit"],
                "device_classes": each.get("device_classes", []),
                "intervals": [
                    {"duration_seconds": seconds, "value": value} for seconds, value in each["intervals"]
                ],
            }
            for each in said.signals
        ],
    }


def _needed(request: Request, name: str) -> datetime:
    found = instant(request, name)
    if found is None or not notices.is_reckonable(found):
        raise ValidationError({name: f"write a time with its offset, such as {EXAMPLE}"})
    return found
