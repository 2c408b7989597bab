"""EiReport: what VENs offer is acknowledged; nothing is asked of them yet."""

from __future__ import annotations

from datetime import datetime

from oadr import messages as m
from oadr.messages import EiResponse
from vtn.models import Ven
from vtn.services.refusing import Refused

METADATA = "METADATA"


def register_report(*, ven: Ven, message: m.RegisterReport, at: datetime) -> m.RegisteredReport:
    """Acknowledge the VEN's METADATA reports, requesting none of them."""
    return m.RegisteredReport(
        response=EiResponse(description="OK", request_id=message.request_id), ven_id=ven.ven_id
    )


def update_report(*, ven: Ven, message: m.UpdateReport, at: datetime) -> m.UpdatedReport:
    """Refuse data nobody asked this VEN for; an update without reports is harmless."""
    if message.reports:
        raise Refused(m.INVALID_ID, "unknown reportRequestID")
    return m.UpdatedReport(
        response=EiResponse(description="OK", request_id=message.request_id), ven_id=ven.ven_id
    )


def create_report(*, ven: Ven, message: m.CreateReport, at: datetime) -> m.CreatedReport:
    """This VTN offers no report of its own; being asked for METADATA is answered with an empty list."""
    if any(request.report_specifier_id != METADATA for request in message.report_requests):
        raise Refused(m.REPORT_NOT_SUPPORTED, "this VTN offers no reports")
    return m.CreatedReport(
        response=EiResponse(description="OK", request_id=message.request_id), ven_id=ven.ven_id
    )


def cancel_report(*, ven: Ven, message: m.CancelReport, at: datetime) -> m.CanceledReport:
    """No report runs, so none can be cancelled."""
    raise Refused(m.INVALID_ID, "unknown reportRequestID")
