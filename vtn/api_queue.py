"""The API's queue: what this VTN began with a VEN, taken back, or given another go."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import clock
from vtn import api_fields as fields
from vtn import outgoing
from vtn.api import VtnView, principal_of
from vtn.models import QueuedMessage, Ven
from vtn.policy import Deed
from vtn.port import UnknownVen


class VenQueue(VtnView):
    """Messages that this VTN began with a VEN."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="vens_queue_list", responses=fields.QueuedSerializer(many=True))
    def get(self, request: Request, ven_id: str) -> Response:
        """The queue, newest first, what is over included."""
        if "\0" in ven_id or not Ven.objects.filter(ven_id=ven_id).exists():
            raise UnknownVen(ven_id=ven_id)
        rows = QueuedMessage.objects.filter(ven__ven_id=ven_id).order_by("-pk")
        return self.page(request, rows, queued_shown)


class MessageWithdraw(VtnView):
    """Taking a message back."""

    deeds: ClassVar = {"POST": Deed.MANAGE_VENS}

    @extend_schema(operation_id="vens_queue_withdraw", request=None, responses=fields.QueuedSerializer)
    def post(self, request: Request, ven_id: str, queued_id: int) -> Response:
        """Take a message back that the VEN has not answered; never its set of events."""
        by = principal_of(request).actor
        outgoing.withdraw_message(ven_id=ven_id, queued_pk=queued_id, at=clock.now(), by=by)
        return Response(queued_shown(QueuedMessage.objects.get(pk=queued_id)))


class MessageRetry(VtnView):
    """Giving a dead message another go."""

    deeds: ClassVar = {"POST": Deed.MANAGE_VENS}

    @extend_schema(operation_id="vens_queue_retry", request=None, responses={202: fields.QueuedSerializer})
    def post(self, request: Request, ven_id: str, queued_id: int) -> Response:
        """Queue a message again that was given up."""
        by = principal_of(request).actor
        fresh = outgoing.retry_message(ven_id=ven_id, queued_pk=queued_id, at=clock.now(), by=by)
        return Response(queued_shown(fresh), status=202)


def queued_shown(row: QueuedMessage) -> dict[str, Any]:
    names = ("kind", "state", "queued_at", "delivered_at", "finished_at", "attempts", "answer_code")
    return {"id": row.pk} | {name: getattr(row, name) for name in names}
