"""The machine-readable door: problem+json errors and the version 1 resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

import campaigns.policy
import campaigns.queries
import settlement.queries
from campaigns import reporting
from campaigns.models import Campaign
from members.models import Role
from members.policy import has_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.problem import MEDIA_TYPE, problem
from opendsr.web.refusals import sentence

LONGEST_VALUE: Final = 100


def problem_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Answer every refusal as RFC 9457 problem+json by its status; the unanticipated stays a fault."""
    if isinstance(exception, DomainError):
        said = sentence(exception)
        return _problem(exception.status, exception.code, said, list(_of_field(exception, said, context)))
    response = exception_handler(exception, context)
    if response is None:
        return None
    if isinstance(exception, ValidationError):
        given = getattr(context.get("request"), "data", None)
        errors = list(_flat(exception.detail, "", given))
        detail = "; ".join(f"{each['field']}: {each['fix']}" for each in errors[:3])
        return _problem(response.status_code, "invalid", detail, errors)
    told = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    answer = _problem(response.status_code, str(getattr(told, "code", "")) or "refused", str(told))
    for header in ("Allow", "WWW-Authenticate", "Retry-After"):
        if header in response.headers:
            answer[header] = response.headers[header]
    return answer


def _of_field(error: DomainError, said: str, context: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The field that the error names, if it names one, as `_flat` tells of others."""
    name = error.data.get("field")
    if isinstance(name, str):
        given = getattr(context.get("request"), "data", None)
        value = error.data.get("value", given.get(name) if isinstance(given, dict) else None)
        yield {"field": name, "value": None if value is None else str(value)[:LONGEST_VALUE], "fix": said}


def _flat(detail: Any, path: str, given: Any) -> Iterator[dict[str, Any]]:
    """Each fault by itself: the field, what stood there, and what to write instead."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            value = given.get(name) if isinstance(given, dict) else None
            yield from _flat(inner, f"{path}.{name}" if path else str(name), value)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flat(inner, path, given)
    else:
        value = None if given is None else str(given)[:LONGEST_VALUE]
        yield {"field": path or "body", "value": value, "fix": str(detail)}


def _problem(status: int, code: str, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> Response:
    return Response(problem(status, code, detail, errors), status=status, content_type=MEDIA_TYPE)


class InUtc(APIView):
    """Answers with times in UTC, and takes one without a zone for UTC, whatever the site's own zone."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As usual, with UTC in force."""
        with timezone.override(UTC):
            return super().dispatch(request, *args, **kwargs)


class SeesCampaigns(BasePermission):
    """Staff, and API applications acting for the co-op."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the account holds one of the roles."""
        return has_role(request.user, *campaigns.policy.SEES_CAMPAIGNS, Role.API_APPLICATION)


class HeldField(serializers.IntegerField):
    """The count of `campaigns.queries.Held` of this field's name, counted for the whole page at once."""

    def __init__(self) -> None:
        super().__init__(read_only=True)

    def get_attribute(self, instance: Campaign) -> int:
        """What this campaign holds."""
        count: int = getattr(self.context["held"][instance.pk], str(self.field_name))
        return count


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    """A campaign as machines read it; times are UTC, power in watts."""

    assets = HeldField()
    homes = HeldField()
    expected_w = HeldField()

    class Meta:
        model = Campaign
        fields = (
            "id",
            "name",
            "programme",
            "direction",
            "zone_kind",
            "zone",
            "size_w",
            "starts_at",
            "ends_at",
            "state",
            "assets",
            "homes",
            "expected_w",
        )


class ByInstant(CursorPagination):
    """Pages by an instant; a cursor that was made up is no page, and no fault."""

    def decode_cursor(self, request: Request) -> Any:
        """The cursor; raises NotFound where it names no instant."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                at = parse_datetime(str(cursor.position))
                is_instant = at is not None and at.tzinfo is not None and bool(at.astimezone(UTC))
            except (ValueError, OverflowError):
                is_instant = False
            if not is_instant:
                raise NotFound(self.invalid_cursor_message)
        return cursor


class NewestFirst(ByInstant):
    """Newest first; ties by creation. The parts of a page's campaigns are counted, so it is not long."""

    page_size = 25
    ordering = ("-starts_at", "-created_at")


class CampaignList(InUtc, ListAPIView[Campaign]):
    """Campaigns, newest first, by cursor."""

    permission_classes = (SeesCampaigns,)
    serializer_class = CampaignSerializer
    pagination_class = NewestFirst
    queryset = Campaign.objects.all()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer with a page of them, each with what it holds."""
        page = self.paginate_queryset(self.get_queryset()) or ()
        held = campaigns.queries.held_by(page, at=clock.now())
        rows = CampaignSerializer(page, many=True, context={"held": held})
        return self.get_paginated_response(rows.data)


class CampaignReport(APIView):
    """The event report: counts and energies, never a household's name or profile."""

    permission_classes = (SeesCampaigns,)

    def get(self, request: Request, campaign_id: UUID) -> Response:
        """Answer with the report, the measured half once it is settled; 404 for an unknown campaign."""
        report = asdict(reporting.event_report(campaign_id, has_lines=False))
        report.pop("lines")
        run = settlement.queries.newest_run(campaign_id)
        report["settlement"] = run and {
            "run": run.sequence,
            "delivered_wh": run.delivered_wh,
            "paid_wh": run.paid_wh,
            "revenue_mp": run.revenue_mp,
            "coop_mp": run.coop_mp,
            "members_mp": run.members_mp,
            "missing_half_hours": run.missing_half_hours,
            "input_sha256": run.input_sha256,
        }
        return Response(report)
