"""What a VTN is told of its zones: net power minute by minute, as the door's metering has it.

One METADATA report, `zones-usage`, has a data point for each contract in force. What is asked for runs until
it is cancelled or its time is over, kept in a row; a minute that too few meters told is left out, never zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from campaigns.models import OperatorReport, OperatorVtn
from campaigns.servicing import telling
from campaigns.servicing_models import Scope
from campaigns.ven import taking
from oadr.messages import (
    Report,
    ReportDescription,
    ReportInterval,
    ReportRequest,
    ReportValue,
    SamplingRate,
    Target,
    Unit,
)
from opendsr.kernel.interval import Interval

SPECIFIER: Final = "zones-usage"
NAME: Final = "TELEMETRY_USAGE"
MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
SETTLED_AFTER: Final = timedelta(seconds=60)
"""So long after its end a minute is told: by then meters have told theirs."""
MOST_STEPS: Final = 120
"""In one report; the rest follows in the next."""
MOST_REPORTS: Final = 50
_WATTS: Final = Unit("powerReal", "RealPower", "W", "none", hertz="50", voltage="230", is_ac=True)


def offered(vtn: OperatorVtn, *, at: datetime) -> list[str]:
    """The rIDs of what can be reported now: none without the scope for metering."""
    if Scope.METER not in vtn.client.scopes:
        return []
    return [str(contract.pk) for contract in taking.contracts_of(vtn, at=at)]


def offers(vtn: OperatorVtn, *, at: datetime) -> tuple[Report, ...]:
    """The METADATA report of the zones; none where there is nothing to report."""
    r_ids = offered(vtn, at=at)
    if not r_ids:
        return ()
    return (
        Report(
            report_request_id="0",
            report_specifier_id=SPECIFIER,
            created_at=at,
            report_name=f"METADATA_{NAME}",
            duration_seconds=int(DAY.total_seconds()),
            descriptions=tuple(
                ReportDescription(
                    r_id=str(contract.pk),
                    report_type="usage",
                    reading_type="Mean",
                    unit=_WATTS,
                    data_source=Target(resource_ids=(contract.zone,)),
                    market_context=contract.programme.market_context,
                    sampling_rate=SamplingRate(60, 3_600, False),
                )
                for contract in taking.contracts_of(vtn, at=at).select_related("programme")
            ),
        ),
    )


@transaction.atomic
def take_requests(vtn: OperatorVtn, requests: Sequence[ReportRequest], *, at: datetime) -> list[str]:
    """Run the requests, one that runs already anew; the ids of those that ask for what is not offered."""
    good, refused = set(offered(vtn, at=at)), []
    for request in requests:
        asked = list(dict.fromkeys(payload.r_id for payload in request.payloads))
        is_good = request.report_specifier_id == SPECIFIER and asked and set(asked) <= good
        is_new = not vtn.reports.filter(request_id=request.report_request_id[:255]).exists()
        if not is_good or (is_new and vtn.reports.count() >= MOST_REPORTS):
            refused.append(request.report_request_id)
            continue
        _run(vtn, request, asked, at=at)
    return refused


def running(vtn: OperatorVtn) -> tuple[str, ...]:
    """The ids of the requests that run."""
    return tuple(vtn.reports.order_by("pk").values_list("request_id", flat=True))


def cancel(vtn: OperatorVtn, request_ids: Collection[str]) -> None:
    """End requests."""
    vtn.reports.filter(request_id__in=request_ids).delete()


def due(vtn: OperatorVtn, *, of: Collection[str] | None, at: datetime) -> tuple[Report, ...]:
    """The reports to be told now; `of` some requests: whatever there is for them. Empty ones are left."""
    rows = vtn.reports.filter(due_at__lte=at) if of is None else vtn.reports.filter(request_id__in=of)
    reports = []
    for row in rows.order_by("pk"):
        until = _told_to(row, at=at)
        if until <= row.told_until:
            continue
        values = list(_values(vtn, row, Interval(row.told_until, until), at=at))
        if values:
            reports.append(_report(row, values, until, at=at))
        else:
            _told(row, until, at=at)
    return tuple(reports)


def heard(vtn: OperatorVtn, reports: Sequence[Report], *, at: datetime) -> None:
    """The VTN has them: go on from there, and end what is over."""
    for report in reports:
        row = vtn.reports.filter(request_id=report.report_request_id).first()
        if row is None or report.starts_at is None or report.duration_seconds is None:
            continue
        _told(row, report.starts_at + timedelta(seconds=report.duration_seconds), at=at)


def _run(vtn: OperatorVtn, request: ReportRequest, r_ids: list[str], *, at: datetime) -> None:
    period, back_seconds = request.interval, max(0, request.report_back_seconds)
    minute = at.replace(second=0, microsecond=0)
    wanted_at = minute if period is None else period.starts_at.replace(second=0, microsecond=0)
    starts_at = max(wanted_at, minute - DAY)
    lasting = 0 if period is None else max(0, period.duration_seconds)
    step_seconds = max(60, (request.granularity_seconds or back_seconds) // 60 * 60)
    if lasting:
        ends_at: datetime | None = starts_at + timedelta(seconds=max(lasting, step_seconds))
    else:
        ends_at = None if back_seconds else starts_at + timedelta(seconds=step_seconds)
    first_back = timedelta(seconds=back_seconds) if back_seconds else (ends_at or starts_at) - starts_at
    OperatorReport.objects.update_or_create(
        vtn=vtn,
        request_id=request.report_request_id[:255],
        defaults={
            "r_ids": r_ids,
            "step_seconds": min(step_seconds, 86_400),
            "report_back_seconds": min(back_seconds, 7 * 86_400),
            "starts_at": starts_at,
            "ends_at": ends_at,
            "told_until": starts_at,
            "due_at": starts_at + first_back + SETTLED_AFTER,
        },
    )


def _told_to(row: OperatorReport, *, at: datetime) -> datetime:
    """Up to when the row can be told now, in whole steps from its start, as many as one report carries."""
    step = timedelta(seconds=row.step_seconds)
    latest = at - SETTLED_AFTER
    if row.ends_at is not None:
        latest = min(latest, row.ends_at)
    whole = row.starts_at + max(0, (latest - row.starts_at) // step) * step
    return min(whole, row.told_until + MOST_STEPS * step)


def _values(
    vtn: OperatorVtn, row: OperatorReport, interval: Interval, *, at: datetime
) -> Iterator[tuple[datetime, str, float]]:
    """Start of the step, rID and mean W; a step of which a minute is missing is left out."""
    step = row.step_seconds // 60
    still = set(row.r_ids) & set(offered(vtn, at=at))  # a contract or a scope may have ended meanwhile
    for contract in taking.contracts_of(vtn, at=at).filter(pk__in=[UUID(each) for each in still]):
        minutes = [each["mean_w"] for each in telling.metering(contract, interval=interval, at=at)]
        for number in range(0, len(minutes) - step + 1, step):
            told = [each for each in minutes[number : number + step] if each is not None]
            if len(told) == step:
                yield interval.starts_at + number * MINUTE, str(contract.pk), sum(told) / step


def _report(
    row: OperatorReport, values: Sequence[tuple[datetime, str, float]], until: datetime, *, at: datetime
) -> Report:
    return Report(
        report_request_id=row.request_id,
        report_specifier_id=SPECIFIER,
        created_at=at,
        report_name=NAME,
        starts_at=row.told_until,
        duration_seconds=int((until - row.told_until).total_seconds()),
        # A value an interval: openleadr's VTN breaks over two in one.
        intervals=tuple(
            ReportInterval(
                (ReportValue(r_id, mean_w),),
                starts_at=starts_at,
                duration_seconds=row.step_seconds,
                uid=str(number),
            )
            for number, (starts_at, r_id, mean_w) in enumerate(values)
        ),
    )


def _told(row: OperatorReport, until: datetime, *, at: datetime) -> None:
    if row.ends_at is not None and until >= row.ends_at:
        row.delete()
        return
    row.told_until = max(row.told_until, until)
    is_behind = _told_to(row, at=at) > row.told_until
    back = timedelta(seconds=row.report_back_seconds)
    row.due_at = at if is_behind else max(row.told_until + back + SETTLED_AFTER, at)
    row.save(update_fields=["told_until", "due_at"])
