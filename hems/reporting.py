"""What the hub reports of its assets: offered, asked for, sampled, kept while nobody listens. Pure: no I/O.

    assets-usage    power of each asset in W, rID the asset's resource id
    assets-status   each asset: on line, under the member's hand, its load now and at most; rID with /status

A request runs until it is cancelled or its time is over. What could not be told is kept in memory, the oldest
given up first; after a restart a request runs on from state.json.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hems.devices import DeviceState
from hems.drivers.manners import MEMBERS_OVERRIDE
from oadr.messages import (
    LoadControlState,
    Report,
    ReportDescription,
    ReportInterval,
    ReportRequest,
    ReportValue,
    ResourceStatus,
    SamplingRate,
    Target,
    Unit,
)

USAGE, STATUS = "assets-usage", "assets-status"
METADATA: Final = "METADATA"
NAMES: Final = {USAGE: "TELEMETRY_USAGE", STATUS: "TELEMETRY_STATUS"}
STATUS_SUFFIX: Final = "/status"
LEAST_SECONDS: Final = 10
"""Finer than this no device tells."""
MOST_KEPT: Final = 20_000
"""Samples of a request: two days of one a ten seconds."""
MOST_TOLD: Final = 500
"""Samples in one oadrUpdateReport."""
_WATTS: Final = Unit("powerReal", "RealPower", "W", "none", hertz="50", voltage="230", is_ac=True)

Value = float | ResourceStatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that runs. `report_back_seconds` 0: once, when its time is over."""

    report_request_id: str
    specifier_id: str
    r_ids: tuple[str, ...]
    granularity_seconds: int
    report_back_seconds: int
    starts_at: datetime
    ends_at: datetime | None = None

    @property
    def is_one_shot(self) -> bool:
        return self.report_back_seconds == 0

    @property
    def step(self) -> timedelta:
        return timedelta(seconds=max(self.granularity_seconds or self.report_back_seconds, LEAST_SECONDS))


@dataclass(frozen=True, slots=True)
class Sample:
    at: datetime
    values: Mapping[str, Value]


def offers(states: Sequence[DeviceState], *, at: datetime) -> tuple[Report, ...]:
    """Return the METADATA reports of a home with these assets; none without assets."""
    if not states:
        return ()
    sampling = SamplingRate(LEAST_SECONDS, 86_400, False)
    usage = tuple(
        ReportDescription(
            r_id=state.resource_id,
            report_type="usage",
            reading_type="Direct Read",
            unit=_WATTS,
            data_source=Target(resource_ids=(state.resource_id,)),
            sampling_rate=sampling,
        )
        for state in states
    )
    status = tuple(
        ReportDescription(
            r_id=state.resource_id + STATUS_SUFFIX,
            report_type="x-resourceStatus",
            reading_type="x-notApplicable",
            data_source=Target(resource_ids=(state.resource_id,)),
            sampling_rate=sampling,
        )
        for state in states
    )
    return tuple(
        Report(
            report_request_id="0",
            report_specifier_id=specifier,
            created_at=at,
            report_name=f"METADATA_{NAMES[specifier]}",
            duration_seconds=86_400,
            descriptions=descriptions,
        )
        for specifier, descriptions in ((USAGE, usage), (STATUS, status))
    )


def wanted_of(request: ReportRequest, *, at: datetime, r_ids: Collection[str]) -> Wanted | None:
    """Return a request as it runs here, or None when it asks for what is not offered."""
    asked = tuple(payload.r_id for payload in request.payloads)
    if request.report_specifier_id not in NAMES or not asked or not set(asked) <= set(r_ids):
        return None
    period = request.interval
    starts_at = at if period is None else max(period.starts_at, at - timedelta(days=1))
    lasting = 0 if period is None else period.duration_seconds
    return Wanted(
        report_request_id=request.report_request_id,
        specifier_id=request.report_specifier_id,
        r_ids=asked,
        granularity_seconds=max(0, request.granularity_seconds),
        report_back_seconds=max(0, request.report_back_seconds),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(seconds=lasting) if lasting else None,
    )


def values_of(states: Sequence[DeviceState], *, rated_w: Mapping[str, int]) -> dict[str, Value]:
    """Return every rID's value now; the power of an asset that is away is not known and left out."""
    values: dict[str, Value] = {}
    for state in states:
        most_w = rated_w.get(state.resource_id)
        if state.is_available:
            values[state.resource_id] = float(state.power_w)
        values[state.resource_id + STATUS_SUFFIX] = ResourceStatus(
            is_online=state.is_available,
            is_manual_override=state.interlock == MEMBERS_OVERRIDE,
            capacity=LoadControlState(float(state.power_w), 0.0, None if most_w is None else float(most_w)),
        )
    return values


class Reporting:
    """The requests that run, and what has been sampled for them."""

    def __init__(self, wanted: Sequence[Wanted] = ()) -> None:
        self._wanted = {each.report_request_id: each for each in wanted}
        self._samples: dict[str, deque[Sample]] = {
            each.report_request_id: deque(maxlen=MOST_KEPT) for each in wanted
        }
        self._told_at: dict[str, datetime] = {}
        self._sampled_at: dict[str, datetime] = {}

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        return tuple(self._wanted.values())

    def run(self, wanted: Wanted) -> None:
        """Begin a request, or carry one on that is asked for again."""
        self._wanted[wanted.report_request_id] = wanted
        self._samples.setdefault(wanted.report_request_id, deque(maxlen=MOST_KEPT))

    def cancel(self, report_request_ids: Collection[str]) -> None:
        """End requests; what was sampled for them and not told is dropped."""
        for each in report_request_ids:
            self._wanted.pop(each, None)
            self._samples.pop(each, None)
            self._told_at.pop(each, None)
            self._sampled_at.pop(each, None)

    def look(self, values: Mapping[str, Value], at: datetime) -> None:
        """Sample what is due at `at`, stamped with the step of its request that has begun."""
        for each in self._wanted.values():
            if self._is_sample_due(each, at):
                stamp = each.starts_at + (at - each.starts_at) // each.step * each.step
                mine = {r_id: values[r_id] for r_id in each.r_ids if r_id in values}
                self._samples[each.report_request_id].append(Sample(stamp, mine))
                self._sampled_at[each.report_request_id] = stamp
        over = [
            each.report_request_id
            for each in self._wanted.values()
            if each.ends_at is not None and at >= each.ends_at and not self._samples[each.report_request_id]
        ]
        self.cancel(over)

    def due(self, at: datetime, *, of: Collection[str] | None = None) -> tuple[Report, ...]:
        """Return the data reports that are to be told now; `of` some requests: whatever is there for them."""
        reports = []
        for each in self._wanted.values():
            samples = list(self._samples[each.report_request_id])[:MOST_TOLD]
            is_asked = each.report_request_id in of if of is not None else self._is_report_due(each, at)
            if not is_asked or not samples:
                continue
            # A value an interval: openleadr's VTN breaks over two in one.
            told = [(sample.at, r_id, value) for sample in samples for r_id, value in sample.values.items()]
            intervals = tuple(
                ReportInterval(
                    (ReportValue(r_id, value),),
                    starts_at=starts_at,
                    duration_seconds=int(each.step.total_seconds()),
                    uid=str(number),
                )
                for number, (starts_at, r_id, value) in enumerate(told)
            )
            reports.append(
                Report(
                    report_request_id=each.report_request_id,
                    report_specifier_id=each.specifier_id,
                    created_at=at,
                    report_name=NAMES[each.specifier_id],
                    starts_at=samples[0].at,
                    duration_seconds=int((samples[-1].at - samples[0].at + each.step).total_seconds()),
                    intervals=intervals,
                )
            )
        return tuple(reports)

    def heard(self, reports: Sequence[Report], at: datetime) -> None:
        """Forget what the VTN has taken, and the requests that ended with it."""
        for report in reports:
            samples = self._samples.get(report.report_request_id)
            if samples is None or report.starts_at is None or report.duration_seconds is None:
                continue
            end = report.starts_at + timedelta(seconds=report.duration_seconds)
            while samples and samples[0].at < end:
                samples.popleft()
            self._told_at[report.report_request_id] = at
            wanted = self._wanted[report.report_request_id]
            if not samples and _is_over(wanted, at):
                self.cancel([report.report_request_id])

    def _is_sample_due(self, wanted: Wanted, at: datetime) -> bool:
        if at < wanted.starts_at or (wanted.ends_at is not None and at >= wanted.ends_at):
            return False
        newest = self._sampled_at.get(wanted.report_request_id)
        if newest is None:
            return True
        is_done = wanted.is_one_shot and wanted.ends_at is None
        return not is_done and at >= newest + wanted.step

    def _is_report_due(self, wanted: Wanted, at: datetime) -> bool:
        if wanted.is_one_shot or wanted.ends_at is not None:
            if _is_over(wanted, at):
                return True
            if wanted.is_one_shot:
                return False
        since = self._told_at.get(wanted.report_request_id, wanted.starts_at)
        return at >= since + timedelta(seconds=wanted.report_back_seconds)


def _is_over(wanted: Wanted, at: datetime) -> bool:
    """True past the end of a request; one asked once and for no time is over with its first sample."""
    if wanted.ends_at is not None:
        return at >= wanted.ends_at
    return wanted.is_one_shot
