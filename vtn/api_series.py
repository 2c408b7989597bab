"""The API's series of events by hand: written, listed, shown, a time skipped, the rest called off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import clock
from opendsr.kernel.ids import new_uuid
from vtn import api_fields as fields
from vtn import repeating, sending
from vtn.api import VtnView, created_once, principal_of
from vtn.api_events import KEY, checked
from vtn.models import EventSeries
from vtn.policy import Deed

DAY = OpenApiParameter("day", OpenApiTypes.DATE, OpenApiParameter.PATH, description="As `times` gives it.")


class SeriesList(VtnView):
    """Series of events."""

    deeds: ClassVar = {"GET": Deed.SEE, "POST": Deed.MANAGE_EVENTS}

    @extend_schema(operation_id="series_list", responses=fields.SeriesSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Every series as it was written, newest first."""
        return self.page(request, EventSeries.objects.order_by("-pk"), written)

    @extend_schema(
        operation_id="series_create",
        request=fields.SeriesWriteSerializer,
        responses={201: fields.SeriesDetailSerializer},
        parameters=[KEY],
    )
    def post(self, request: Request) -> Response:
        """Send an event again and again, at one UK local time; or keep each as a draft, `publish` false."""
        data = checked(fields.SeriesWriteSerializer, request)
        rhythm = fields.rhythm_from(data)

        def make() -> Mapping[str, Any]:
            at, key = clock.now(), new_uuid()
            ven_ids = sending.targets(ven_ids=data["ven_ids"], groups=data["groups"])
            events = repeating.events_of(fields.content_from(data), key, rhythm)
            repeating.require_few(len(events), len(ven_ids))
            first = next(iter(events.values()))
            sending.require_fresh(first, at=at)
            sending.preview(content=first, ven_ids=ven_ids, at=at, most=1)
            repeating.write_events(
                events,
                rhythm,
                sends=data["publish"],
                shown=fields.content_shown,
                ven_ids=ven_ids,
                at=at,
                by=principal_of(request).actor,
            )
            return in_full(key)

        return created_once(request, make)


class SeriesDetail(VtnView):
    """One series."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="series_retrieve", responses=fields.SeriesDetailSerializer)
    def get(self, request: Request, series_id: UUID) -> Response:
        """A series and what became of each of its times."""
        return Response(in_full(series_id))


class TimeSkip(VtnView):
    """Leaving a time out."""

    deeds: ClassVar = {"POST": Deed.MANAGE_EVENTS}

    @extend_schema(
        operation_id="series_skip",
        request=fields.OptionalReasonSerializer,
        responses=fields.SeriesDetailSerializer,
        parameters=[DAY],
    )
    def post(self, request: Request, series_id: UUID, day: str) -> Response:
        """Call a time off at every VEN, or delete its draft; again, or after its end, changes nothing."""
        data = checked(fields.OptionalReasonSerializer, request)
        repeating.skip_time(
            series_id=series_id,
            day=repeating.day_named(day),
            reason=data["reason"],
            at=clock.now(),
            by=principal_of(request).actor,
        )
        return Response(in_full(series_id))


class SeriesEnd(VtnView):
    """Calling off what is left."""

    deeds: ClassVar = {"POST": Deed.MANAGE_EVENTS}

    @extend_schema(
        operation_id="series_end",
        request=fields.OptionalReasonSerializer,
        responses=fields.SeriesDetailSerializer,
    )
    def post(self, request: Request, series_id: UUID) -> Response:
        """Call off every time that has not started and delete drafts; again changes nothing."""
        data = checked(fields.OptionalReasonSerializer, request)
        repeating.end_series(
            series_id=series_id, reason=data["reason"], at=clock.now(), by=principal_of(request).actor
        )
        return Response(in_full(series_id))


def written(row: EventSeries) -> dict[str, Any]:
    """A series as the API lists it."""
    return {
        "series_id": row.series_id,
        "ven_ids": row.ven_ids,
        "content": row.content,
        "repeat_on": [fields.WEEKDAYS[each] for each in row.weekdays],
        "repeat_until": row.repeat_until,
        "skips_holidays": row.skips_holidays,
        "starts": [starts_at for _, starts_at in row.starts()],
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }


def in_full(series_id: UUID) -> dict[str, Any]:
    """A series with its times."""
    row = repeating.series(series_id)
    names = ("time_id", "day", "starts_at", "state", "draft_id", "events", "cancelled")
    return written(row) | {
        "times": [{name: getattr(each, name) for name in names} for each in repeating.times_of(row)]
    }
