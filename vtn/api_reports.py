"""The API's reports: what VENs offer, what is asked of them, what they have told, as JSON and CSV."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import clock
from vtn import api_fields as fields
from vtn import report_pages, reporting
from vtn.api import VtnView, created_once, principal_of
from vtn.api_events import KEY, checked
from vtn.api_queue import queued_shown
from vtn.api_vens import asked, instant, only_ven
from vtn.models import ReportOffer, ReportRequest
from vtn.policy import Deed

DATA_PARAMETERS = [
    OpenApiParameter("specifier_id", OpenApiTypes.STR),
    OpenApiParameter("r_id", OpenApiTypes.STR),
    OpenApiParameter("starts_from", OpenApiTypes.DATETIME),
    OpenApiParameter("starts_before", OpenApiTypes.DATETIME),
]


class OfferList(VtnView):
    """Reports on offer."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="vens_reports_available", responses=fields.OfferSerializer(many=True))
    def get(self, request: Request, ven_id: str) -> Response:
        """What the VEN says it can report, with every series."""
        rows = ReportOffer.objects.filter(ven=only_ven(ven_id)).prefetch_related("points").order_by("pk")
        return self.page(request, rows, offer_shown)


class RequestList(VtnView):
    """Reports asked of a VEN."""

    deeds: ClassVar = {"GET": Deed.SEE, "POST": Deed.MANAGE_REPORTS}

    @extend_schema(
        operation_id="vens_report_requests_list", responses=fields.ReportRequestSerializer(many=True)
    )
    def get(self, request: Request, ven_id: str) -> Response:
        """Requests, newest first, what is over included."""
        rows = ReportRequest.objects.filter(ven=only_ven(ven_id)).select_related("offer").order_by("-pk")
        return self.page(request, rows, request_shown)

    @extend_schema(
        operation_id="vens_report_requests_create",
        request=fields.ReportAskSerializer,
        responses={201: fields.ReportRequestSerializer},
        parameters=[KEY],
    )
    def post(self, request: Request, ven_id: str) -> Response:
        """Subscribe to a report, or ask once with `report_back_seconds` 0."""
        data, by = checked(fields.ReportAskSerializer, request), principal_of(request).actor
        return created_once(
            request,
            lambda: request_shown(reporting.ask_for_report(ven_id=ven_id, **data, at=clock.now(), by=by)),
        )


class RequestCancel(VtnView):
    """Calling a report off."""

    deeds: ClassVar = {"POST": Deed.MANAGE_REPORTS}

    @extend_schema(
        operation_id="vens_report_requests_cancel",
        request=fields.ReportCancelSerializer,
        responses={202: fields.QueuedSerializer},
    )
    def post(self, request: Request, ven_id: str, report_request_id: str) -> Response:
        """Tell the VEN to report this no more."""
        data = checked(fields.ReportCancelSerializer, request)
        queued = reporting.cancel_reports(
            ven_id=ven_id,
            report_request_ids=[report_request_id],
            is_report_to_follow=data["report_to_follow"],
            at=clock.now(),
            by=principal_of(request).actor,
        )
        return Response(queued_shown(queued), status=202)


class MetadataAsk(VtnView):
    """Asking what there is."""

    deeds: ClassVar = {"POST": Deed.MANAGE_REPORTS}

    @extend_schema(
        operation_id="vens_reports_ask_metadata", request=None, responses={202: fields.QueuedSerializer}
    )
    def post(self, request: Request, ven_id: str) -> Response:
        """Ask the VEN to register its reports again."""
        queued = reporting.ask_for_metadata(ven_id=ven_id, at=clock.now(), by=principal_of(request).actor)
        return Response(queued_shown(queued), status=202)


class DataList(VtnView):
    """Reported values."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(
        operation_id="vens_report_data_list",
        parameters=DATA_PARAMETERS,
        responses=fields.ValueSerializer(many=True),
    )
    def get(self, request: Request, ven_id: str) -> Response:
        """Values by time, oldest first, a page at a time."""
        return self.page(request, _values(request, ven_id), report_pages.value_shown)


class DataCsv(VtnView):
    """Reported values as CSV."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(
        operation_id="vens_report_data_csv",
        parameters=DATA_PARAMETERS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, ven_id: str) -> StreamingHttpResponse:
        """The same values as one file."""
        return report_pages.csv_response(_values(request, ven_id), ven_id=ven_id)


def _values(request: Request, ven_id: str) -> Any:
    return report_pages.values_of(
        only_ven(ven_id),
        specifier_id=asked(request, "specifier_id"),
        r_id=asked(request, "r_id"),
        starts_from=instant(request, "starts_from"),
        starts_before=instant(request, "starts_before"),
    )


def offer_shown(offer: ReportOffer) -> dict[str, Any]:
    point_names = (
        "r_id", "report_type", "reading_type", "item", "unit", "resource_ids", "min_seconds", "max_seconds",
    )  # fmt: skip
    return {
        "specifier_id": offer.specifier_id,
        "name": offer.name,
        "received_at": offer.received_at,
        "withdrawn_at": offer.withdrawn_at,
        "points": [
            {name: getattr(point, name) for name in point_names}
            for point in offer.points.all()
            if point.withdrawn_at is None
        ],
    }


def request_shown(row: ReportRequest) -> dict[str, Any]:
    names = (
        "report_request_id", "r_ids", "granularity_seconds", "report_back_seconds", "state", "asked_at",
        "latest_update_at", "ended_at",
    )  # fmt: skip
    return {
        "specifier_id": row.offer.specifier_id,
        "rule": row.configuration_name,
        **{name: getattr(row, name) for name in names},
    }
