"""Reports asked of VENs: by rule when they are offered, by staff at any time; and called off again.

The VEN's side of the talk is `vtn.services.reports`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from opendsr.kernel import audit, ids
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from vtn import queueing
from vtn.models import (
    MessageKind,
    OfferedPoint,
    QueuedMessage,
    ReportConfiguration,
    ReportOffer,
    ReportRequest,
    Ven,
)
from vtn.port import UnknownVen
from vtn.reported import ACTIVE_REQUESTS, ReportRequestState

STANDARD: Final = (
    ReportConfiguration(
        name="usage",
        report_name="TELEMETRY_USAGE",
        granularity_seconds=300,
        report_back_seconds=900,
    ),
    ReportConfiguration(
        name="status",
        report_name="TELEMETRY_STATUS",
        granularity_seconds=900,
        report_back_seconds=900,
    ),
)
"""Asked for while staff have made no rule of their own; a rule that is switched off counts as one."""
METERED_ITEMS: Final = frozenset({"powerReal", "energyReal", "powerItem", "energyItem"})
LONGEST_SECONDS: Final = 2**31 - 1


class VenUnregistered(DomainError):
    """The VEN has no registration to speak of: `ven_id`."""


class UnknownOffer(NotFound):
    """The VEN offers no such report: `specifier_id`."""


class UnknownReportRequest(NotFound):
    """No such report is asked of the VEN: `report_request_id`."""


class ReportUnavailable(Invalid):
    """The VEN cannot report this: `field`, `reason`."""


def configurations() -> list[ReportConfiguration]:
    """Return the rules in force: the staff's own, or the standard ones while there are none."""
    own = list(ReportConfiguration.objects.order_by("pk"))
    return [rule for rule in own if rule.is_active] if own else list(STANDARD)


def requests_by_rule(ven: Ven, *, at: datetime) -> list[ReportRequest]:
    """Return what is to be asked of a VEN for all it offers now; inside the caller's transaction.

    A request that runs already is repeated under its own id; one whose offer or rule has
    changed is ended and asked anew.
    """
    offers = list(ReportOffer.objects.filter(ven=ven, withdrawn_at=None).order_by("pk"))
    running = {
        (request.offer_id, request.configuration_name): request
        for request in ReportRequest.objects.select_for_update()
        .filter(ven=ven, state__in=(ReportRequestState.ASKED, ReportRequestState.RUNNING))
        .exclude(configuration_name="")
        .order_by("pk")
    }
    wanted: list[ReportRequest] = []
    for rule in configurations():
        for offer in offers:
            points = _matching(rule, offer)
            if not points:
                continue
            known = running.pop((offer.pk, rule.name), None)
            fresh = _request(
                offer,
                points,
                granularity_seconds=rule.granularity_seconds,
                report_back_seconds=rule.report_back_seconds,
                starts_at=at,
                at=at,
                configuration_name=rule.name,
            )
            if known is not None and _asks_the_same(known, fresh):
                wanted.append(known)
                continue
            if known is not None:
                end_request(known, state=ReportRequestState.WITHDRAWN, at=at, note="asked anew")
            fresh.save()
            wanted.append(fresh)
    for request in running.values():
        end_request(request, state=ReportRequestState.WITHDRAWN, at=at, note="no longer wanted")
    return wanted


@transaction.atomic
def ask_for_report(
    *,
    ven_id: str,
    specifier_id: str,
    at: datetime,
    by: str,
    r_ids: Sequence[str] = (),
    granularity_seconds: int = 0,
    report_back_seconds: int = 0,
    starts_at: datetime | None = None,
    duration_seconds: int = 0,
) -> ReportRequest:
    """Queue oadrCreateReport for points of an offered report (all of them when none is named).

    `report_back_seconds` 0 asks once, for [starts_at, starts_at + duration). Raises
    UnknownVen, VenUnregistered, UnknownOffer, ReportUnavailable.
    """
    ven = _registered(ven_id)
    offer = ReportOffer.objects.filter(ven=ven, specifier_id=specifier_id, withdrawn_at=None).first()
    if offer is None:
        raise UnknownOffer(specifier_id=specifier_id)
    points = list(offer.points.filter(withdrawn_at=None).order_by("pk"))
    if r_ids:
        missing = set(r_ids) - {point.r_id for point in points}
        if missing:
            raise ReportUnavailable(field="r_ids", reason=f"not offered: {', '.join(sorted(missing))}")
        points = [point for point in points if point.r_id in set(r_ids)]
    if not points:
        raise ReportUnavailable(field="r_ids", reason="the report has no points")
    for name, seconds in (
        ("granularity_seconds", granularity_seconds),
        ("report_back_seconds", report_back_seconds),
        ("duration_seconds", duration_seconds),
    ):
        if not 0 <= seconds <= LONGEST_SECONDS:
            raise ReportUnavailable(field=name, reason="not negative, and no longer than 68 years")
    request = _request(
        offer,
        points,
        granularity_seconds=granularity_seconds,
        report_back_seconds=report_back_seconds,
        starts_at=starts_at or at,
        at=at,
        duration_seconds=duration_seconds,
    )
    request.save()
    queueing.enqueue(
        ven=ven,
        kind=MessageKind.CREATE_REPORT,
        at=at,
        content={"report_request_ids": [request.report_request_id]},
    )
    _record("vtn.report.asked", ven, request.report_request_id, at=at, by=by)
    return request


@transaction.atomic
def ask_for_metadata(*, ven_id: str, at: datetime, by: str) -> QueuedMessage:
    """Queue the request that a VEN register its reports again (rules 301 and 327)."""
    ven = _registered(ven_id)
    queued = queueing.enqueue(
        ven=ven,
        kind=MessageKind.CREATE_REPORT,
        at=at,
        content={"is_metadata": True},
        dedupe_key="metadata",
    )
    _record("vtn.report.metadata_asked", ven, "", at=at, by=by)
    return queued


@transaction.atomic
def offer_own_reports(*, ven_id: str, at: datetime, by: str) -> QueuedMessage:
    """Queue this VTN's own oadrRegisterReport, which is empty: it offers none."""
    ven = _registered(ven_id)
    queued = queueing.enqueue(ven=ven, kind=MessageKind.REGISTER_REPORT, at=at, dedupe_key="register_report")
    _record("vtn.report.offered", ven, "", at=at, by=by)
    return queued


@transaction.atomic
def cancel_reports(
    *,
    ven_id: str,
    report_request_ids: Iterable[str],
    at: datetime,
    by: str,
    is_report_to_follow: bool = False,
) -> QueuedMessage:
    """Queue oadrCancelReport; with a report to follow, the VEN sends what it has once more.

    Raises UnknownVen, VenUnregistered, UnknownReportRequest.
    """
    ven = _registered(ven_id)
    wanted = sorted(set(report_request_ids))
    requests = list(
        ReportRequest.objects.select_for_update()
        .filter(ven=ven, report_request_id__in=wanted, state__in=ACTIVE_REQUESTS)
        .order_by("pk")
    )
    missing = set(wanted) - {request.report_request_id for request in requests}
    if missing or not wanted:
        raise UnknownReportRequest(report_request_id=min(missing, default=""))
    for request in requests:
        request.state = ReportRequestState.CANCELLING
        request.is_report_to_follow = is_report_to_follow
        request.save(update_fields=["state", "is_report_to_follow"])
    queued = queueing.enqueue(
        ven=ven,
        kind=MessageKind.CANCEL_REPORT,
        at=at,
        content={"report_request_ids": wanted, "is_report_to_follow": is_report_to_follow},
    )
    for report_request_id in wanted:
        _record("vtn.report.cancelling", ven, report_request_id, at=at, by=by)
    return queued


def end_request(request: ReportRequest, *, state: ReportRequestState, at: datetime, note: str = "") -> None:
    """Close one request; a closed one stays as it is."""
    if request.is_active:
        request.state, request.ended_at, request.note = state, at, note[:200]
        request.save(update_fields=["state", "ended_at", "note"])


def end_all(ven: Ven, *, at: datetime, note: str) -> None:
    """Close whatever is asked of a VEN and withdraw what it offers: its registration has ended."""
    ReportRequest.objects.filter(ven=ven, state__in=ACTIVE_REQUESTS).update(
        state=ReportRequestState.WITHDRAWN, ended_at=at, note=note[:200]
    )
    ReportOffer.objects.filter(ven=ven, withdrawn_at=None).update(withdrawn_at=at)


def _matching(rule: ReportConfiguration, offer: ReportOffer) -> list[OfferedPoint]:
    if offer.name != rule.report_name:
        return []
    return [
        point
        for point in offer.points.filter(withdrawn_at=None).order_by("pk")
        if rule.item in ("", point.item)
        and rule.report_type in ("", point.report_type)
        and rule.reading_type in ("", point.reading_type)
        and (rule.item or rule.report_name != "TELEMETRY_USAGE" or point.item in METERED_ITEMS)
    ]


def _request(
    offer: ReportOffer,
    points: Sequence[OfferedPoint],
    *,
    granularity_seconds: int,
    report_back_seconds: int,
    starts_at: datetime,
    at: datetime,
    duration_seconds: int = 0,
    configuration_name: str = "",
) -> ReportRequest:
    """Return an unsaved request; the granularity is brought within what every point can do."""
    shortest = max((point.min_seconds or 0 for point in points), default=0)
    longest = min((point.max_seconds for point in points if point.max_seconds), default=LONGEST_SECONDS)
    granularity = min(max(granularity_seconds, shortest), max(longest, shortest), LONGEST_SECONDS)
    return ReportRequest(
        ven_id=offer.ven_id,
        offer=offer,
        report_request_id=f"RR-{ids.random_token(64)}",
        configuration_name=configuration_name,
        r_ids=[point.r_id for point in points],
        granularity_seconds=granularity,
        report_back_seconds=max(report_back_seconds, granularity) if report_back_seconds else 0,
        starts_at=starts_at,
        duration_seconds=duration_seconds,
        asked_at=at,
    )


def _asks_the_same(known: ReportRequest, fresh: ReportRequest) -> bool:
    return (known.r_ids, known.granularity_seconds, known.report_back_seconds) == (
        fresh.r_ids,
        fresh.granularity_seconds,
        fresh.report_back_seconds,
    )


def _registered(ven_id: str) -> Ven:
    ven = Ven.objects.filter(ven_id=ven_id).first()
    if ven is None:
        raise UnknownVen(ven_id=ven_id)
    if not ven.is_registered:
        raise VenUnregistered(ven_id=ven_id)
    return ven


def _record(verb: str, ven: Ven, what: str, *, at: datetime, by: str) -> None:
    audit.record(at=at, actor=by, verb=verb, target=f"ven:{ven.ven_id}", detail={"report_request_id": what})
