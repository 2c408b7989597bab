"""The API's groups of VENs: listed, made, changed, dissolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import clock
from vtn import api_fields as fields
from vtn import grouping
from vtn.api import VtnView, created_once, principal_of
from vtn.models import VenGroup
from vtn.policy import Deed


class GroupList(VtnView):
    """Groups of VENs."""

    deeds: ClassVar = {"GET": Deed.SEE, "POST": Deed.MANAGE_VENS}

    @extend_schema(operation_id="groups_list", responses=fields.GroupSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Every group by name."""
        return self.page(request, VenGroup.objects.prefetch_related("vens").order_by("name"), group_shown)

    @extend_schema(
        operation_id="groups_create",
        request=fields.GroupSerializer,
        responses={201: fields.GroupSerializer},
        parameters=[OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request) -> Response:
        """Make a group."""
        return created_once(request, lambda: _saved(request))


class GroupDetail(VtnView):
    """One group."""

    deeds: ClassVar = {"GET": Deed.SEE, "PUT": Deed.MANAGE_VENS, "DELETE": Deed.MANAGE_VENS}

    @extend_schema(operation_id="groups_retrieve", responses=fields.GroupSerializer)
    def get(self, request: Request, name: str) -> Response:
        """A group and its VENs."""
        return Response(group_shown(grouping.group(name)))

    @extend_schema(
        operation_id="groups_replace", request=fields.GroupSerializer, responses=fields.GroupSerializer
    )
    def put(self, request: Request, name: str) -> Response:
        """Say anew which VENs a group has; a new name renames it."""
        grouping.group(name)
        return Response(_saved(request, replacing=name))

    @extend_schema(operation_id="groups_delete", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Dissolve a group; its VENs stay."""
        grouping.dissolve_group(name=name, at=clock.now(), by=principal_of(request).actor)
        return Response(status=204)


def group_shown(group: VenGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "description": group.description,
        "ven_ids": sorted(ven.ven_id for ven in group.vens.all()),
    }


def _saved(request: Request, replacing: str | None = None) -> Mapping[str, Any]:
    body = fields.GroupSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    by = principal_of(request).actor
    return group_shown(grouping.save_group(**body.validated_data, at=clock.now(), by=by, replacing=replacing))
