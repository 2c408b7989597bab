"""The API's events: searched, drafted, previewed, sent, changed, cancelled, answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import clock
from opendsr.kernel.ids import new_uuid
from vtn import api_fields as fields
from vtn import desk, notices, repeating, sending
from vtn.api import VtnView, created_once, principal_of
from vtn.api_vens import asked, instant, opt_shown
from vtn.models import EventDraft
from vtn.policy import Deed

KEY = OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER)


class EventList(VtnView):
    """Events."""

    deeds: ClassVar = {"GET": Deed.SEE, "POST": Deed.MANAGE_EVENTS}

    @extend_schema(
        operation_id="events_list",
        parameters=[
            OpenApiParameter(
                "q", OpenApiTypes.STR, description="Start of the event id, part of VEN id or key."
            ),
            OpenApiParameter("state", OpenApiTypes.STR, enum=desk.EVENT_STATES),
            OpenApiParameter("ven_id", OpenApiTypes.STR),
            OpenApiParameter("group", OpenApiTypes.STR, description="Events of the VENs that are in it."),
            OpenApiParameter("market_context", OpenApiTypes.STR),
            OpenApiParameter(
                "like",
                OpenApiTypes.STR,
                description="An event id: those that say the same at the same time, as in the calendar.",
            ),
            OpenApiParameter(
                "any_content", OpenApiTypes.BOOL, description="With `like`: whatever they say at that time."
            ),
            OpenApiParameter("series_id", OpenApiTypes.UUID, description="Every event of this series."),
            OpenApiParameter("starts_from", OpenApiTypes.DATETIME),
            OpenApiParameter("starts_before", OpenApiTypes.DATETIME),
        ],
        responses=fields.EventSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Search events, newest start first, a page at a time."""
        at = clock.now()
        rows = desk.find_events(
            desk.events(at=at),
            at=at,
            words=asked(request, "q"),
            state=asked(request, "state"),
            ven_id=asked(request, "ven_id"),
            group=asked(request, "group"),
            market_context=asked(request, "market_context"),
            like=asked(request, "like"),
            is_any_content=_yes(request, "any_content"),
        )
        if series_id := asked(request, "series_id"):
            rows = rows.filter(repeating.sent_in(repeating.series(_uuid("series_id", series_id))))
        if (since := instant(request, "starts_from")) is not None:
            rows = rows.filter(starts_at__gte=since)
        if (before := instant(request, "starts_before")) is not None:
            rows = rows.filter(starts_at__lt=before)
        return self.page(request, rows, lambda event: event_shown(event, at=at))

    @extend_schema(
        operation_id="events_create",
        request=fields.EventWriteSerializer,
        responses={201: fields.SentSerializer},
        parameters=[KEY],
    )
    def post(self, request: Request) -> Response:
        """Send an event to VENs and groups, each its own; or keep it as a draft with `publish` false."""
        data = checked(fields.EventWriteSerializer, request)
        by = principal_of(request).actor

        def make() -> Mapping[str, Any]:
            at, key = clock.now(), new_uuid()
            content = fields.content_from(data)
            ven_ids = sending.targets(ven_ids=data["ven_ids"], groups=data["groups"])
            if data["publish"]:
                sent = sending.send_events(content=content, ven_ids=ven_ids, key=key, at=at, by=by)
                return {"draft_id": None, "event_ids": sent}
            sending.preview(content=content, ven_ids=ven_ids, at=at, most=1)
            shown = fields.content_shown(content)
            draft = sending.save_draft(draft_id=key, content=shown, ven_ids=ven_ids, at=at, by=by)
            return {"draft_id": draft.draft_id, "event_ids": {}}

        return created_once(request, make)


class EventPreview(VtnView):
    """Who gets what."""

    deeds: ClassVar = {"POST": Deed.MANAGE_EVENTS}

    @extend_schema(
        operation_id="events_preview",
        request=fields.EventWriteSerializer,
        responses=fields.PreviewSerializer,
    )
    def post(self, request: Request) -> Response:
        """Say who would get an event and which document, sending nothing."""
        data, at = checked(fields.EventWriteSerializer, request), clock.now()
        content = fields.content_from(data)
        ven_ids = sending.targets(ven_ids=data["ven_ids"], groups=data["groups"])
        sending.require_fresh(content, at=at)
        shown = sending.preview(content=content, ven_ids=ven_ids, at=at)
        return Response({"ven_ids": ven_ids, "documents": {each.ven_id: each.xml for each in shown}})


class EventDetail(VtnView):
    """One event."""

    deeds: ClassVar = {"GET": Deed.SEE, "PUT": Deed.MANAGE_EVENTS}

    @extend_schema(operation_id="events_retrieve", responses=fields.EventSerializer)
    def get(self, request: Request, event_id: str) -> Response:
        """An event as it stands."""
        at = clock.now()
        return Response(event_shown(desk.event(event_id, at=at), at=at))

    @extend_schema(
        operation_id="events_modify", request=fields.EventChangeSerializer, responses=fields.EventSerializer
    )
    def put(self, request: Request, event_id: str) -> Response:
        """Replace an event's content: its modification number goes up, and its VEN is told."""
        data = checked(fields.EventChangeSerializer, request)
        sending.change_event(
            event_id=event_id,
            content=fields.content_from(data),
            reason=data["reason"],
            at=clock.now(),
            by=principal_of(request).actor,
        )
        return self.get(request, event_id)


class EventCancel(VtnView):
    """Calling off."""

    deeds: ClassVar = {"POST": Deed.MANAGE_EVENTS}

    @extend_schema(
        operation_id="events_cancel",
        request=fields.OptionalReasonSerializer,
        responses=fields.EventSerializer,
    )
    def post(self, request: Request, event_id: str) -> Response:
        """Call an event off; again, or after its end, changes nothing."""
        data, at = checked(fields.OptionalReasonSerializer, request), clock.now()
        sending.cancel_event(event_id=event_id, reason=data["reason"], at=at, by=principal_of(request).actor)
        return Response(event_shown(desk.event(event_id, at=at), at=at))


class EventResponses(VtnView):
    """What became of an event at its VEN."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="events_responses", responses=fields.ResponsesSerializer)
    def get(self, request: Request, event_id: str) -> Response:
        """How far it was delivered, what the VEN answered, and its timeline."""
        at = clock.now()
        event = desk.event(event_id, at=at)
        return Response(
            {
                "event_id": event.event_id,
                "ven_id": event.ven.ven_id,
                "delivery": desk.delivery(event),
                "opt": event.latest_opt,  # type: ignore[attr-defined]
                "opts": [opt_shown(opt) for opt in event.opts.select_related("event").order_by("-pk")],
                "timeline": [
                    {"at": each.at, "what": each.what, "detail": each.detail}
                    for each in desk.event_timeline(event, at=at)
                ],
            }
        )


class DraftList(VtnView):
    """Drafts."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="drafts_list", responses=fields.DraftSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Events written and not sent, newest first; the sent ones stay listed."""
        return self.page(request, EventDraft.objects.order_by("-pk"), draft_shown)


class DraftDetail(VtnView):
    """One draft."""

    deeds: ClassVar = {"GET": Deed.SEE, "PUT": Deed.MANAGE_EVENTS, "DELETE": Deed.MANAGE_EVENTS}

    @extend_schema(operation_id="drafts_retrieve", responses=fields.DraftSerializer)
    def get(self, request: Request, draft_id: UUID) -> Response:
        """A draft."""
        return Response(draft_shown(sending.draft(draft_id)))

    @extend_schema(
        operation_id="drafts_replace", request=fields.EventWriteSerializer, responses=fields.DraftSerializer
    )
    def put(self, request: Request, draft_id: UUID) -> Response:
        """Write a draft anew; `publish` has no effect here."""
        sending.draft(draft_id)
        data, at = checked(fields.EventWriteSerializer, request), clock.now()
        content = fields.content_from(data)
        ven_ids = sending.targets(ven_ids=data["ven_ids"], groups=data["groups"])
        sending.preview(content=content, ven_ids=ven_ids, at=at, most=1)
        draft = sending.save_draft(
            draft_id=draft_id,
            content=fields.content_shown(content),
            ven_ids=ven_ids,
            at=at,
            by=principal_of(request).actor,
        )
        return Response(draft_shown(draft))

    @extend_schema(operation_id="drafts_delete", responses={204: None})
    def delete(self, request: Request, draft_id: UUID) -> Response:
        """Forget a draft that was not sent."""
        sending.delete_draft(draft_id=draft_id)
        return Response(status=204)


class DraftPublish(VtnView):
    """Sending a draft."""

    deeds: ClassVar = {"POST": Deed.MANAGE_EVENTS}

    @extend_schema(operation_id="drafts_publish", request=None, responses=fields.DraftSerializer)
    def post(self, request: Request, draft_id: UUID) -> Response:
        """Send a draft; again, it is sent no more."""
        body = fields.ContentSerializer(data=sending.draft(draft_id).content)
        body.is_valid(raise_exception=True)
        draft = sending.publish_draft(
            draft_id=draft_id,
            content=fields.content_from(body.validated_data),
            at=clock.now(),
            by=principal_of(request).actor,
        )
        return Response(draft_shown(draft))


def _yes(request: Request, name: str) -> bool:
    text = asked(request, name).lower()
    if text not in ("", "true", "false"):
        raise ValidationError({name: "write true or false"})
    return text == "true"


def _uuid(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValidationError({name: "write the id as it was answered, such as a UUID"}) from None


def checked(kind: Any, request: Request) -> Mapping[str, Any]:
    """The body as `kind` understands it; raises field errors."""
    body = kind(data=request.data)
    body.is_valid(raise_exception=True)
    data: Mapping[str, Any] = body.validated_data
    return data


def event_shown(event: Any, *, at: datetime) -> dict[str, Any]:
    """An event as the API gives it."""
    names = ("modification_number", "modification_reason", "published_at", "delivered_at", "acknowledged_at")
    return {
        "event_id": event.event_id,
        "ven_id": event.ven.ven_id,
        **{name: getattr(event, name) for name in names},
        "state": desk.event_state(event, at=at),
        "delivery": desk.delivery(event),
        "opt": event.latest_opt,
        "cancelled_at": event.cancelled_at,
        "duration_seconds": event.duration_seconds,
        "is_owned": sending.is_owned(event),
        "content": fields.content_shown(notices.content_of_event(event)),
    }


def draft_shown(draft: EventDraft) -> dict[str, Any]:
    names = ("draft_id", "ven_ids", "content", "created_at", "published_at", "event_ids")
    return {name: getattr(draft, name) for name in names}
