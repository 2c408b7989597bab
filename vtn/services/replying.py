"""A VEN's replies to what this VTN began: each closes the row of the queue that it answers.

The same functions serve a reply posted after a poll and one that came back over a push or MQTT. A reply
that answers nothing open is a duplicate, or odd, and is acknowledged without effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from oadr import messages as m
from oadr.messages import EiResponse
from vtn import queueing
from vtn.models import MessageKind, QueuedMessage, Ven
from vtn.services import registration, reports


@transaction.atomic
def take_response(*, ven: Ven, message: m.Response, at: datetime) -> m.Response:
    """oadrResponse: to oadrRequestReregistration, or an error where another reply was due."""
    row = take(ven, message.response, (MessageKind.REQUEST_REREGISTRATION,), at=at)
    if row is not None and not message.response.is_ok:
        if row.kind == MessageKind.CREATE_REPORT:
            reports.note_refused(ven, _requests_of(row), message.response, at=at)
        elif row.kind == MessageKind.CANCEL_REPORT:
            _note_not_cancelled(ven, row, message.response, at=at)
    return acknowledged(ven, message.response)


@transaction.atomic
def take_canceled_registration(*, ven: Ven, message: m.CanceledPartyRegistration, at: datetime) -> m.Response:
    """oadrCanceledPartyRegistration: the VEN has ended the registration this VTN cancelled."""
    row = take(ven, message.response, (MessageKind.CANCEL_REGISTRATION,), at=at)
    if row is not None and message.response.is_ok:
        registration.end(ven, at=at, note="cancelled by this VTN")
    return acknowledged(ven, message.response)


@transaction.atomic
def take_registered_report(*, ven: Ven, message: m.RegisteredReport, at: datetime) -> m.Message:
    """oadrRegisteredReport: to our own, empty list; a request in it asks for what is not offered."""
    take(ven, message.response, (MessageKind.REGISTER_REPORT,), at=at)
    if not message.report_requests:
        return acknowledged(ven, message.response)
    refusal = EiResponse(m.REPORT_NOT_SUPPORTED, "this VTN offers no reports", message.response.request_id)
    return m.CreatedReport(response=refusal, ven_id=ven.ven_id)


@transaction.atomic
def take_created_report(*, ven: Ven, message: m.CreatedReport, at: datetime) -> m.Response:
    """oadrCreatedReport: the VEN runs the requests, or says why not.

    It may answer an oadrCreateReport, or the requests in an oadrRegisteredReport.
    """
    row = take(ven, message.response, (MessageKind.CREATE_REPORT,), at=at)
    reports.note_created(ven, message, _requests_of(row), at=at)
    return acknowledged(ven, message.response)


@transaction.atomic
def take_canceled_report(*, ven: Ven, message: m.CanceledReport, at: datetime) -> m.Response:
    """oadrCanceledReport: the VEN has stopped; or does not know the report, which comes to the same.

    Any other refusal leaves the report running, so that staff may cancel it again.
    """
    row = take(ven, message.response, (MessageKind.CANCEL_REPORT,), at=at)
    if message.response.is_ok:
        reports.note_cancelled(ven, _requests_of(row), at=at)
    else:
        _note_not_cancelled(ven, row, message.response, at=at)
    return acknowledged(ven, message.response)


def _note_not_cancelled(ven: Ven, row: QueuedMessage | None, response: EiResponse, *, at: datetime) -> None:
    if response.code == m.INVALID_ID:
        reports.note_cancelled(ven, _requests_of(row), at=at)
    else:
        reports.note_running_on(ven, _requests_of(row), response)


def _requests_of(row: QueuedMessage | None) -> tuple[str, ...]:
    return tuple(row.content.get("report_request_ids", ())) if row is not None else ()


def take(
    ven: Ven, response: EiResponse, kinds: Sequence[MessageKind], *, at: datetime
) -> QueuedMessage | None:
    """Close the row that a reply belongs to; returns it."""
    row = queueing.answered_by(ven=ven, kinds=kinds, request_id=response.request_id)
    if row is None:
        return None
    note = "" if response.is_ok else response.description
    queueing.mark_answered(queued=row, at=at, code=response.code, note=note)
    return row


def acknowledged(ven: Ven, response: EiResponse) -> m.Response:
    return m.Response(
        response=EiResponse(description="OK", request_id=response.request_id), ven_id=ven.ven_id
    )
