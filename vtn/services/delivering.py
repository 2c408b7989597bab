"""From a row of the queue to the message it stands for, made afresh and marked as handed over.

The one place where every transport gets what it carries; a poll asks for the next, the others bring the
row they have claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from oadr import messages as m
from opendsr.kernel import clock
from vtn import queueing
from vtn.models import MessageKind, MessageState, QueuedMessage, ReportRequest, Ven
from vtn.reported import ReportRequestState
from vtn.services import distributing, reports
from vtn.services.registration import poll_seconds

SERVICE_OF: Final[dict[str, str]] = {
    MessageKind.EVENTS: "EiEvent",
    MessageKind.REQUEST_REREGISTRATION: "EiRegisterParty",
    MessageKind.CANCEL_REGISTRATION: "EiRegisterParty",
    MessageKind.REGISTER_REPORT: "EiReport",
    MessageKind.CREATE_REPORT: "EiReport",
    MessageKind.CANCEL_REPORT: "EiReport",
}
"""The service a pushed message is addressed to."""


def next_message(*, ven: Ven, at: datetime, by: str = "pull") -> m.Message | None:
    """Return the one next message for a VEN that asks, noted as handed over; None when there is nothing."""
    empty: list[int] = []
    while row := queueing.next_due(ven_pk=ven.pk, at=at, wall=clock.wall_now(), but=empty):
        row.ven = ven
        message = hand_over(queued=row, at=at, by=by)
        if message is not None:
            return message
        empty.append(row.pk)
    return None


@transaction.atomic
def hand_over(*, queued: QueuedMessage, at: datetime, by: str) -> m.Message | None:
    """Return the message as it is true now, noted as handed over by the transport `by`.

    None, and the row closed or put off, when nothing is left to say. Called again for the
    same row it says the same with the same request id: a VEN can tell a duplicate.
    """
    ven = queued.ven
    if queued.kind == MessageKind.EVENTS:
        if not distributing.is_anything_left(ven, at=at, queued=queued):
            distributing.settle([ven], at=at)
            return None
        return distributing.distribute(ven, at=at, request_id="", by=by)
    row = QueuedMessage.objects.select_for_update().get(pk=queued.pk)
    message = _COMPOSERS[MessageKind(row.kind)](ven, row) if row.is_open else None
    if message is None:
        queueing.finish(QueuedMessage.objects.filter(pk=row.pk), state=MessageState.WITHDRAWN, at=at)
        return None
    wait = queueing.wait_seconds(poll_seconds=poll_seconds(ven), attempts=row.attempts + 1)
    queueing.mark_handed_over(
        queued=row, at=at, by=by, next_try_wall_at=clock.wall_now() + timedelta(seconds=wait)
    )
    return message


def _request_reregistration(ven: Ven, row: QueuedMessage) -> m.RequestReregistration:
    return m.RequestReregistration(ven.ven_id)


def _cancel_registration(ven: Ven, row: QueuedMessage) -> m.CancelPartyRegistration | None:
    if not ven.is_registered:
        return None
    return m.CancelPartyRegistration(row.request_id, ven.registration_id, ven.ven_id)


def _register_report(ven: Ven, row: QueuedMessage) -> m.RegisterReport:
    """This VTN offers no report of its own; saying so is what a full VTN owes a VEN (EiReport)."""
    return m.RegisterReport(row.request_id, (), ven.ven_id)


def _create_report(ven: Ven, row: QueuedMessage) -> m.CreateReport | None:
    """The requests as they stand now; those called off meanwhile are left out."""
    if row.content.get("is_metadata"):
        wanted: tuple[m.ReportRequest, ...] = (reports.metadata_request(row.request_id),)
    else:
        requests = ReportRequest.objects.select_related("offer").filter(
            ven=ven,
            report_request_id__in=row.content["report_request_ids"],
            state__in=(ReportRequestState.ASKED, ReportRequestState.RUNNING),
        )
        wanted = tuple(reports.wire_request(request) for request in requests.order_by("pk"))
    return m.CreateReport(row.request_id, wanted, ven.ven_id) if wanted else None


def _cancel_report(ven: Ven, row: QueuedMessage) -> m.CancelReport:
    return m.CancelReport(
        row.request_id,
        tuple(row.content["report_request_ids"]),
        row.content["is_report_to_follow"],
        ven.ven_id,
    )


_COMPOSERS: Final[dict[MessageKind, Callable[[Ven, QueuedMessage], m.Message | None]]] = {
    MessageKind.REQUEST_REREGISTRATION: _request_reregistration,
    MessageKind.CANCEL_REGISTRATION: _cancel_registration,
    MessageKind.REGISTER_REPORT: _register_report,
    MessageKind.CREATE_REPORT: _create_report,
    MessageKind.CANCEL_REPORT: _cancel_report,
}
