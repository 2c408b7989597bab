"""EiReport as VENs speak it: what they offer is kept and asked for by rule; what they report is stored.

Values of repeated, late and out-of-order reports converge: the report dated latest has the last word on
each interval, in whatever order they come.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from oadr import messages as m
from oadr.messages import EiResponse
from vtn import queueing, reporting
from vtn.models import MessageKind, OfferedPoint, ReportOffer, ReportRequest, Ven
from vtn.reported import ACTIVE_REQUESTS, ReportRequestState
from vtn.services import measuring
from vtn.services.refusing import Refused

METADATA: Final = "METADATA"
_METADATA_PREFIX: Final = "METADATA_"
MOST_OFFERS: Final = 50
MOST_POINTS: Final = 500
LONGEST_ID: Final = 100
LONGEST_NOTE: Final = 200
_PREFIXES: Final = {
    "p": -12, "n": -9, "micro": -6, "m": -3, "c": -2, "d": -1, "none": 0, "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
_STILL_TAKEN: Final = frozenset(
    {
        ReportRequestState.ASKED,
        ReportRequestState.RUNNING,
        ReportRequestState.CANCELLING,
        ReportRequestState.DONE,  # the VEN may not have heard that its one report arrived
    }
)


@transaction.atomic
def register_report(*, ven: Ven, message: m.RegisterReport, at: datetime) -> m.RegisteredReport:
    """Keep what the VEN offers, in place of what it offered before, and ask for what the rules want.

    An offer that cannot be kept is left out and named in the reply; the others stand. When
    none can, nothing changes: what was offered before stands and is reported on.
    """
    if len(message.reports) > MOST_OFFERS:
        raise Refused(m.INVALID_DATA, f"more than {MOST_OFFERS} reports")
    Ven.objects.select_for_update(no_key=True).get(pk=ven.pk)
    faults: list[tuple[int, str]] = []
    kept: set[int] = set()
    for report in message.reports:
        fault = _fault_of_offer(report)
        if fault is not None:
            faults.append(fault)
        else:
            kept.add(_keep_offer(ven, report, at=at).pk)
    if faults and not kept:
        raise Refused(*faults[0])
    ReportOffer.objects.filter(ven=ven, withdrawn_at=None).exclude(pk__in=kept).update(withdrawn_at=at)
    for request in ReportRequest.objects.filter(
        ven=ven, offer__withdrawn_at__isnull=False, state__in=ACTIVE_REQUESTS
    ):
        reporting.end_request(request, state=ReportRequestState.WITHDRAWN, at=at, note="no longer offered")
    requests = reporting.requests_by_rule(ven, at=at)
    code, description = faults[0] if faults else (m.OK, "OK")
    return m.RegisteredReport(
        response=EiResponse(code, description, message.request_id),
        report_requests=tuple(wire_request(request) for request in requests),
        ven_id=ven.ven_id,
    )


def _fault_of_offer(report: m.Report) -> tuple[int, str] | None:
    if not report.report_name.startswith(_METADATA_PREFIX):
        return m.REPORT_NOT_SUPPORTED, f"no METADATA report: {report.report_name[:40] or 'no reportName'}"
    specifier = report.report_specifier_id
    if not specifier or len(specifier) > LONGEST_ID:
        return m.INVALID_ID, f"reportSpecifierID of one to {LONGEST_ID} characters"
    if len(report.descriptions) > MOST_POINTS:
        return m.INVALID_DATA, f"{specifier}: more than {MOST_POINTS} descriptions"
    r_ids = [description.r_id for description in report.descriptions]
    if not all(0 < len(r_id) <= LONGEST_ID for r_id in r_ids):
        return m.INVALID_ID, f"{specifier}: an rID of one to {LONGEST_ID} characters"
    if len(set(r_ids)) != len(r_ids):
        return m.INVALID_DATA, f"{specifier}: the same rID twice"
    return None


def _keep_offer(ven: Ven, report: m.Report, *, at: datetime) -> ReportOffer:
    offer, _ = ReportOffer.objects.update_or_create(
        ven=ven,
        specifier_id=report.report_specifier_id,
        defaults={
            "name": report.report_name.removeprefix(_METADATA_PREFIX),
            "lasting_seconds": report.duration_seconds,
            "offered_at": report.created_at,
            "received_at": at,
            "withdrawn_at": None,
        },
    )
    for description in report.descriptions:
        OfferedPoint.objects.update_or_create(
            offer=offer, r_id=description.r_id, defaults=_point_columns(description)
        )
    offered = [description.r_id for description in report.descriptions]
    offer.points.filter(withdrawn_at=None).exclude(r_id__in=offered).update(withdrawn_at=at)
    return offer


_SAID_IN_WORDS: Final = {
    "RealPower": ("powerReal", "W"),
    "RealEnergy": ("energyReal", "Wh"),
}
"""openleadr, told a measurement without a unit, names it in a customUnit whose unit is the word None."""


def _item_of(unit: m.Unit | None) -> tuple[str, str]:
    if unit is None:
        return "", ""
    if unit.name == "customUnit" and unit.description in _SAID_IN_WORDS:
        item, plain = _SAID_IN_WORDS[unit.description]
        return item, plain if unit.units in ("None", "", plain) else unit.units[:20]
    return unit.name, unit.units[:20]


def _point_columns(description: m.ReportDescription) -> dict[str, object]:
    unit, rate = description.unit, description.sampling_rate
    item, plain = _item_of(unit)
    targets = [target for target in (description.subject, description.data_source) if target is not None]
    resources = {resource for target in targets for resource in target.resource_ids}
    return {
        "report_type": description.report_type[:40],
        "reading_type": description.reading_type[:40],
        "item": item,
        "unit": plain,
        "exponent": _PREFIXES.get(unit.scale, 0) if unit else 0,
        "factor": (unit.pulse_factor if unit and unit.pulse_factor else 1.0),
        "resource_ids": sorted(resources)[:MOST_POINTS],
        "market_context": description.market_context[:200],
        "min_seconds": rate.min_seconds if rate else None,
        "max_seconds": rate.max_seconds if rate else None,
        "is_on_change": bool(rate and rate.is_on_change),
        "withdrawn_at": None,
    }


@transaction.atomic
def update_report(*, ven: Ven, message: m.UpdateReport, at: datetime) -> m.UpdatedReport:
    """Store each report by itself; the reply names the first that, or part of which, could not be.

    A report nobody asked this VEN for is 452. A report that is being cancelled is
    answered with the cancellation too.
    """
    faults: list[tuple[int, str]] = []
    for report in message.reports:
        request = (
            ReportRequest.objects.select_for_update(of=("self",))
            .select_related("offer")
            .filter(ven=ven, report_request_id=report.report_request_id)
            .first()
        )
        if request is None:
            faults.append((m.INVALID_ID, "unknown reportRequestID"))
        elif not _is_taken(request):
            faults.append((m.INVALID_ID, f"{request.report_request_id} is {request.state}"))
        else:
            fault = measuring.store(request, report, at=at)
            if fault is not None:
                faults.append(fault)
            _note_update(request, at=at)
    code, description = faults[0] if faults else (m.OK, "OK")
    return m.UpdatedReport(
        response=EiResponse(code, description, message.request_id),
        cancel_report=_due_cancellation(ven, at=at),
        ven_id=ven.ven_id,
    )


def _is_taken(request: ReportRequest) -> bool:
    if request.state in _STILL_TAKEN:
        return True
    return request.state == ReportRequestState.CANCELLED and request.is_report_to_follow


def _note_update(request: ReportRequest, *, at: datetime) -> None:
    request.latest_update_at = at
    if request.state == ReportRequestState.ASKED:
        request.state = ReportRequestState.RUNNING
    if request.state == ReportRequestState.CANCELLED:
        request.is_report_to_follow = False
    request.save(update_fields=["latest_update_at", "state", "is_report_to_follow"])
    if request.is_one_shot:
        reporting.end_request(request, state=ReportRequestState.DONE, at=at)


def _due_cancellation(ven: Ven, *, at: datetime) -> m.CancelReport | None:
    """Return the cancellation that waits for this VEN: an update is the first chance to hand it over."""
    from vtn.services import delivering  # it composes this module's messages

    row = queueing.first_queued(ven=ven, kind=MessageKind.CANCEL_REPORT, at=at)
    message = delivering.hand_over(queued=row, at=at, by="pull") if row is not None else None
    return message if isinstance(message, m.CancelReport) else None


@transaction.atomic
def create_report(*, ven: Ven, message: m.CreateReport, at: datetime) -> m.CreatedReport:
    """This VTN offers no report of its own; being asked for METADATA it says so, next (rules 301, 327)."""
    if any(request.report_specifier_id != METADATA for request in message.report_requests):
        raise Refused(m.REPORT_NOT_SUPPORTED, "this VTN offers no reports")
    queueing.enqueue(ven=ven, kind=MessageKind.REGISTER_REPORT, at=at, dedupe_key="register_report")
    return m.CreatedReport(
        response=EiResponse(description="OK", request_id=message.request_id), ven_id=ven.ven_id
    )


def cancel_report(*, ven: Ven, message: m.CancelReport, at: datetime) -> m.CanceledReport:
    """No report of this VTN's runs, so none can be cancelled."""
    raise Refused(m.INVALID_ID, "unknown reportRequestID")


# ---- what this VTN asks, and the replies


def wire_request(request: ReportRequest) -> m.ReportRequest:
    """Return a request as it goes on the wire."""
    reading_types = dict(request.offer.points.values_list("r_id", "reading_type"))
    return m.ReportRequest(
        report_request_id=request.report_request_id,
        report_specifier_id=request.offer.specifier_id,
        granularity_seconds=request.granularity_seconds,
        report_back_seconds=request.report_back_seconds,
        payloads=tuple(
            m.SpecifierPayload(r_id, reading_types.get(r_id) or "x-notApplicable") for r_id in request.r_ids
        ),
        interval=m.ActivePeriod(request.starts_at.replace(microsecond=0), request.duration_seconds),
    )


def metadata_request(report_request_id: str) -> m.ReportRequest:
    """Return the request that a VEN register its reports again: METADATA, once, nothing in particular."""
    return m.ReportRequest(
        report_request_id=report_request_id,
        report_specifier_id=METADATA,
        granularity_seconds=0,
        report_back_seconds=0,
        payloads=(m.SpecifierPayload(METADATA, "x-notApplicable"),),
    )


def note_created(ven: Ven, message: m.CreatedReport, asked: tuple[str, ...], *, at: datetime) -> None:
    """Note which requests the VEN now runs (rule 329: it lists all of them), or that it refused `asked`."""
    active = ReportRequest.objects.filter(ven=ven, state=ReportRequestState.ASKED)
    active.filter(report_request_id__in=message.pending_report_ids).update(state=ReportRequestState.RUNNING)
    if not message.response.is_ok:
        note_refused(ven, asked, message.response, at=at)


def note_refused(ven: Ven, asked: tuple[str, ...], response: EiResponse, *, at: datetime) -> None:
    """Note that the VEN does not run these requests, and in which words it said so."""
    for request in ReportRequest.objects.filter(
        ven=ven, report_request_id__in=asked, state=ReportRequestState.ASKED
    ):
        reporting.end_request(request, state=ReportRequestState.REFUSED, at=at, note=_words(response))


def note_running_on(ven: Ven, asked: tuple[str, ...], response: EiResponse) -> None:
    """Note that the VEN refused to stop these reports: they run on, and may be cancelled again."""
    ReportRequest.objects.filter(
        ven=ven, report_request_id__in=asked, state=ReportRequestState.CANCELLING
    ).update(
        state=ReportRequestState.RUNNING,
        is_report_to_follow=False,
        note=f"not cancelled: {_words(response)}"[:LONGEST_NOTE],
    )


def _words(response: EiResponse) -> str:
    return f"{response.code} {response.description}".strip()


def note_cancelled(ven: Ven, asked: tuple[str, ...], *, at: datetime) -> None:
    """Note that the VEN has stopped these reports; one may still follow where that was wanted."""
    for request in ReportRequest.objects.filter(
        ven=ven, report_request_id__in=asked, state=ReportRequestState.CANCELLING
    ):
        reporting.end_request(request, state=ReportRequestState.CANCELLED, at=at, note="cancelled")
