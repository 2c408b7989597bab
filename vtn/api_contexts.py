"""The API's market contexts: listed with what runs in them, named, renamed, forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import clock
from vtn import api_fields as fields
from vtn import contexts
from vtn.api import VtnView, created_once, principal_of
from vtn.models import MarketContext
from vtn.policy import Deed


class ContextList(VtnView):
    """Market contexts."""

    deeds: ClassVar = {"GET": Deed.SEE, "POST": Deed.MANAGE_VENS}

    @extend_schema(operation_id="market_contexts_list", responses=fields.MarketContextSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Every market context that is named, that the house runs, or that events of 31 days were sent in."""
        return self.page(request, contexts.every_context(at=clock.now()), _listed)

    @extend_schema(
        operation_id="market_contexts_create",
        request=fields.ContextNameSerializer,
        responses={201: fields.MarketContextSerializer},
        parameters=[OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request) -> Response:
        """Name a market context."""
        return created_once(request, lambda: _saved(request))


class ContextDetail(VtnView):
    """One named market context."""

    deeds: ClassVar = {"GET": Deed.SEE, "PUT": Deed.MANAGE_VENS, "DELETE": Deed.MANAGE_VENS}

    @extend_schema(operation_id="market_contexts_retrieve", responses=fields.MarketContextSerializer)
    def get(self, request: Request, context_id: int) -> Response:
        """A market context and what runs in it."""
        return Response(_shown(contexts.context(context_id)))

    @extend_schema(
        operation_id="market_contexts_replace",
        request=fields.ContextNameSerializer,
        responses=fields.MarketContextSerializer,
    )
    def put(self, request: Request, context_id: int) -> Response:
        """Say anew what a market context is called; events keep the URI that they were sent with."""
        contexts.context(context_id)
        return Response(_saved(request, replacing=context_id))

    @extend_schema(operation_id="market_contexts_delete", responses={204: None})
    def delete(self, request: Request, context_id: int) -> Response:
        """Forget a market context's name; events keep its URI."""
        contexts.forget_context(context_id=context_id, at=clock.now(), by=principal_of(request).actor)
        return Response(status=204)


def _shown(row: MarketContext) -> Mapping[str, Any]:
    return next(_listed(each) for each in contexts.every_context(at=clock.now()) if each.pk == row.pk)


def _listed(each: contexts.Shown) -> Mapping[str, Any]:
    return {
        "id": each.pk,
        "market_context": each.uri,
        "name": each.name,
        "description": each.description,
        "programme": each.programme,
        "events": each.events,
        "latest_starts_at": each.latest_starts_at,
    }


def _saved(request: Request, replacing: int | None = None) -> Mapping[str, Any]:
    body = fields.ContextNameSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    by = principal_of(request).actor
    row = contexts.save_context(**body.validated_data, at=clock.now(), by=by, replacing=replacing)
    return _shown(row)
