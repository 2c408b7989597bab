"""What the hub reports of its assets: offered, asked for, sampled, kept while nobody listens.

    assets-usage    power of each asset in W, rID the asset's resource id
    assets-status   each asset: on line, under the member's hand, its load now and at most; rID with /status

A request runs until it is cancelled or its time is over, across restarts. What has waited for five minutes to
be told goes to the backlog on disk, and so does the rest when the hub is stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hems.backlog import Backlog, Sample, Value
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
NAMES: Final = {USAGE: "TELEMETRY_USAGE", STATUS: "TELEMETRY_STATUS"}
STATUS_SUFFIX: Final = "/status"
LEAST_SECONDS: Final = 10
"""Finer than this no device tells."""
SAVE_SECONDS: Final = 300.0
"""Wall time between flushes to disk of what waits: a power cut costs no more of it than this."""
MOST_UNSAVED: Final = 2_000
"""Samples of a request in memory, where the disk takes none."""
MOST_TOLD_BYTES: Final = 100_000
"""Of one oadrUpdateReport, about: brokers in the cloud carry 128 kB."""
NUMBER_BYTES, STATUS_BYTES = 350, 650
"""Of an interval with one such value, without its rID."""
_WATTS: Final = Unit("powerReal", "RealPower", "W", "none", hertz="50", voltage="230", is_ac=True)

log = logging.getLogger("hems")


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

    def __init__(self, wanted: Sequence[Wanted] = (), *, backlog: Backlog) -> None:
        self._wanted = {each.report_request_id: each for each in wanted}
        self._backlog = backlog
        self._backlog.open(list(self._wanted))
        self._samples: dict[str, list[Sample]] = {each.report_request_id: [] for each in wanted}
        self._told_at: dict[str, datetime] = {}
        self._sampled_at: dict[str, datetime] = {}
        self._is_more_due: set[str] = set()
        self._saved_at = time.monotonic()
        self._is_disk_full = False
        self._thinned = 0

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        return tuple(self._wanted.values())

    @property
    def waiting(self) -> int:
        """Samples that have not been told yet."""
        return len(self._backlog) + sum(map(len, self._samples.values()))

    @property
    def thinned(self) -> int:
        """Samples given up since the start, because the backlog was full."""
        return self._thinned + self._backlog.thinned

    def run(self, wanted: Wanted) -> None:
        """Begin a request, or carry one on that is asked for again."""
        self._wanted[wanted.report_request_id] = wanted
        self._samples.setdefault(wanted.report_request_id, [])

    def cancel(self, report_request_ids: Collection[str]) -> None:
        """End requests; what was sampled for them and not told is dropped."""
        for each in report_request_ids:
            self._wanted.pop(each, None)
            self._samples.pop(each, None)
            self._told_at.pop(each, None)
            self._sampled_at.pop(each, None)
            self._is_more_due.discard(each)
            self._backlog.drop(each)

    def save(self, *, is_last: bool = False) -> None:
        """Move to disk what has waited, every five minutes of an outage; all of it when the hub stops."""
        now = time.monotonic()
        if not any(self._samples.values()):
            self._saved_at = now
        if not is_last and now - self._saved_at < SAVE_SECONDS:
            return
        self._saved_at = now
        given_up = self.thinned
        for name, samples in self._samples.items():
            if samples:
                self._save(name, samples)
        if self.thinned > given_up:
            log.warning(
                "the backlog of reports is full: %d samples thinned out of it", self.thinned - given_up
            )

    def _save(self, name: str, samples: list[Sample]) -> None:
        try:
            self._backlog.append(name, samples)
        except OSError as error:
            if not self._is_disk_full:
                log.warning("the backlog of reports stays in memory: %s", error)
            self._is_disk_full = True
            if len(samples) > MOST_UNSAVED:
                older = samples[: len(samples) // 2]
                self._thinned += len(older) // 2
                samples[: len(older)] = older[::2]
        else:
            self._is_disk_full = False
            samples.clear()

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
            if each.ends_at is not None and at >= each.ends_at and not self._has(each.report_request_id)
        ]
        self.cancel(over)

    def due(self, at: datetime, *, of: Collection[str] | None = None) -> tuple[Report, ...]:
        """Return the data reports to be told now, as much as one message carries, the oldest of it first.

        `of` some requests: whatever is there for them.
        """
        asked = [
            each
            for each in self._wanted.values()
            if self._has(each.report_request_id)
            and (each.report_request_id in of if of is not None else self._is_report_due(each, at))
        ]
        reports = []
        for each in asked:
            samples = self._oldest(each.report_request_id, MOST_TOLD_BYTES // len(asked))
            newest = max(sample.at for sample in samples)
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
                    duration_seconds=int((newest - samples[0].at + each.step).total_seconds()),
                    intervals=intervals,
                )
            )
        return tuple(reports)

    def heard(self, reports: Sequence[Report], at: datetime) -> None:
        """Forget what the VTN has taken, and the requests that ended with it."""
        for report in reports:
            name = report.report_request_id
            samples = self._samples.get(name)
            if samples is None or report.starts_at is None or report.duration_seconds is None:
                continue
            end = report.starts_at + timedelta(seconds=report.duration_seconds)
            self._backlog.told(name, end)
            self._samples[name] = [sample for sample in samples if sample.at >= end]
            self._told_at[name] = at
            if self._has(name):
                self._is_more_due.add(name)
                continue
            self._is_more_due.discard(name)
            if _is_over(self._wanted[name], at):
                self.cancel([name])

    def _has(self, name: str) -> bool:
        return bool(self._samples[name]) or self._backlog.has(name)

    def _oldest(self, name: str, most_bytes: int) -> list[Sample]:
        """Return the samples that wait longest, one at least, of so many bytes as XML."""
        waiting = [*self._backlog.head(name, most_bytes // NUMBER_BYTES + 1), *self._samples[name]]
        taken: list[Sample] = []
        for sample in waiting:
            most_bytes -= sum(
                len(r_id) + (STATUS_BYTES if isinstance(value, ResourceStatus) else NUMBER_BYTES)
                for r_id, value in sample.values.items()
            )
            if taken and most_bytes < 0:
                break
            taken.append(sample)
        return taken

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
        if wanted.report_request_id in self._is_more_due:
            return True
        since = self._told_at.get(wanted.report_request_id, wanted.starts_at)
        return at >= since + timedelta(seconds=wanted.report_back_seconds)


def _is_over(wanted: Wanted, at: datetime) -> bool:
    """True past the end of a request; one asked once and for no time is over with its first sample."""
    if wanted.ends_at is not None:
        return at >= wanted.ends_at
    return wanted.is_one_shot
