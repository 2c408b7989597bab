"""A file that staff upload, of readings or of rates: looked at first, imported when they say so.

The work is a row: a task claims it, moves its progress on and ends it; one that died is claimed again after a
while and starts over, which stores nothing twice. Whatever the outcome, the refused rows come out as a file.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from members.models import MeterStream, User
from metering import ingest, rates, rejects
from metering.adapters import rate_files, reading
from metering.adapters.formats import BadOption, Reject
from metering.checking import MOST_KEPT
from metering.intake_models import ImportJob, ImportPart
from metering.rates import RatesReport
from metering.report import ImportReport
from opendsr.kernel import clock, encryption
from opendsr.kernel.errors import DomainError, Invalid, NotFound

PART_BYTES: Final = 1 << 20
MOST_BYTES: Final = 512 << 20
AT_ONCE_BYTES: Final = 2 << 20
STALE: Final = timedelta(minutes=3)
MOST_ATTEMPTS: Final = 3
PROGRESS_SECONDS: Final = 1.0
SHOWN: Final = 200
KEPT: Final = timedelta(days=30)
State = ImportJob.State


class JobNotFound(NotFound):
    """No such import."""

    job_id: UUID


class FileTooLarge(Invalid):
    """An upload beyond what is taken in one file: `most_mb`."""

    most_mb: int


class JobBusy(DomainError):
    """The import is under way: its choices cannot change now."""

    job_id: UUID


@transaction.atomic
def upload(*, job_id: UUID, name: str, chunks: Iterable[bytes], at: datetime, by: User | None) -> ImportJob:
    """Keep a file; the same `job_id` again is the same upload. Raises FileTooLarge."""
    known = ImportJob.objects.filter(pk=job_id).first()
    if known is not None:
        return known
    job = ImportJob.objects.create(
        id=job_id, name=name.replace("\x00", "")[:200] or "upload", size_bytes=0, created_at=at,
        created_by=by, touched_wall_at=clock.wall_now(),
    )  # fmt: skip
    size = 0
    for number, data in enumerate(_parts(chunks)):
        size += len(data)
        if size > MOST_BYTES:
            raise FileTooLarge(most_mb=MOST_BYTES >> 20)
        part = ImportPart(job=job, number=number)
        part.fill(data)
        part.save()
    job.size_bytes = size
    job.save(update_fields=["size_bytes"])
    return job


@transaction.atomic
def choose(
    *, job_id: UUID, options: Mapping[str, Any], meters: Mapping[str, str], is_for_real: bool
) -> ImportJob:
    """Say how to read the file and which stream each meter fills, and ask for a preview or the import.

    Raises JobNotFound, JobBusy.
    """
    job = ImportJob.objects.select_for_update().filter(pk=job_id).first()
    if job is None:
        raise JobNotFound(job_id=job_id)
    if job.state == State.RUNNING and not _is_stale(job):
        raise JobBusy(job_id=job_id)
    if job.state == State.DONE:
        return job
    job.options, job.meters, job.is_for_real = dict(options), dict(meters), is_for_real
    job.state, job.error, job.done_bytes, job.attempts = State.RUNNING, "", 0, 0
    job.touched_wall_at = clock.wall_now() - STALE  # free to be claimed
    job.save()
    return job


def run(*, job_id: UUID, at: datetime) -> ImportJob:
    """Do the work of a job that waits for it; one that is over, or in other hands, is left alone."""
    with transaction.atomic():
        job = ImportJob.objects.select_for_update(skip_locked=True).filter(pk=job_id).first()
        if job is None or job.state != State.RUNNING or not _is_stale(job):
            return job or get(job_id)
        job.attempts += 1
        if job.attempts > MOST_ATTEMPTS:
            job.state, job.error = (
                State.FAILED,
                "the work stopped three times without a result; try a smaller file",
            )
            job.save()
            return job
        job.touched_wall_at = clock.wall_now()
        job.save(update_fields=["attempts", "touched_wall_at"])
    try:
        run_id, outcome = _imported(job, at)
    except DomainError as error:
        ImportJob.objects.filter(pk=job.pk).update(state=State.FAILED, error=str(error)[:400])
        return get(job.pk)
    job.rejects = outcome.pop("rejects")
    job.state = State.DONE if job.is_for_real else State.PREVIEWED
    job.outcome, job.run_id, job.done_bytes, job.error = outcome, run_id, job.size_bytes, ""
    job.save(update_fields=["rejects_told", "state", "outcome", "run", "done_bytes", "error"])
    return get(job.pk)


def waiting() -> list[UUID]:
    """Jobs whose work is due, oldest first."""
    free = clock.wall_now() - STALE
    rows = ImportJob.objects.filter(state=State.RUNNING, touched_wall_at__lte=free)
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:20])


def forget(*, at: datetime) -> int:
    """Drop the files of imports older than KEPT, and shred their keys; how many rows came stays."""
    old = ImportJob.objects.filter(created_at__lt=at - KEPT).exclude(state=State.RUNNING)
    parts = ImportPart.objects.filter(job__in=old)
    for job_id in list(parts.values_list("job_id", flat=True).distinct()):
        encryption.shred(job_id)
    return parts.delete()[0]


def get(job_id: UUID) -> ImportJob:
    """The job; raises JobNotFound."""
    job = ImportJob.objects.filter(pk=job_id).first()
    if job is None:
        raise JobNotFound(job_id=job_id)
    return job


def streams_of(job: ImportJob) -> dict[str, UUID] | None:
    """Which stream each meter fills, by the names given to it: a stream id, or a home's name or MPAN."""
    if not job.meters:
        return None
    return {meter: UUID(stream) for meter, stream in job.meters.items()}


def stream_called(text: str, *, at: datetime) -> UUID | None:
    """The stream that a stream id, an MPAN or a home's name stands for now; None when it is not one."""
    text = text.strip()
    try:
        wanted = Q(stream_id=UUID(text))
    except ValueError:
        current = Q(starts_at__lte=at) & (Q(ends_at__isnull=True) | Q(ends_at__gt=at))
        wanted = (
            current
            & Q(name="electricity")
            & (Q(occupancy__home__mpan_index=text) | Q(occupancy__home__name_index=text))
        )
    found = list(MeterStream.objects.filter(wanted).values_list("stream_id", flat=True)[:2])
    return found[0] if len(found) == 1 else None


def reject_lines(job: ImportJob) -> Iterator[str]:
    """The refused rows of the job's latest preview or import as a file."""
    kept = [Reject(**{**each, "line": int(each["line"])}) for each in job.rejects]
    make = rates.reject_file if is_of_rates(job) else rejects.reject_file
    return make(FileOfParts(job.pk, job.size_bytes), kept, name=job.name, **job.options)


def is_of_rates(job: ImportJob) -> bool:
    """Whether the file is of prices or carbon intensity: by the adapter chosen, else by its header."""
    if chosen := job.options.get("adapter"):
        return chosen in rate_files.ADAPTERS
    known = job.outcome.get("adapter") if job.state == State.DONE else header_of(job)[0]
    return known in rate_files.ADAPTERS


def _imported(job: ImportJob, at: datetime) -> tuple[int | None, dict[str, Any]]:
    """Do what the job asks; the run that was recorded, and what came of it."""
    file = FileOfParts(job.pk, job.size_bytes)
    if not is_of_rates(job):
        report = ingest.import_file(
            file=file,
            name=job.name,
            at=at,
            streams=streams_of(job),
            dry_run=not job.is_for_real,
            progress=_Progress(job.pk),
            **job.options,
        )
        return report.run_id, _outcome_of_readings(report)
    for option in sorted(set(job.options) - {"adapter"}):
        expected = "nothing: prices and carbon intensity are read as their services write them"
        raise BadOption(option=option, value=job.options[option], expected=expected)
    adapter = job.options.get("adapter")
    return None, _outcome_of_rates(
        rates.import_rates(file=file, name=job.name, at=at, adapter=adapter, dry_run=not job.is_for_real)
    )


def _outcome_of_rates(report: RatesReport) -> dict[str, Any]:
    return {
        "adapter": report.adapter,
        "convention": "a value a half-hour",
        "rows_read": report.values_read + len(report.rejects),
        "rows_landed": report.values_stored,
        "rows_corrected": report.values_corrected,
        "rows_unchanged": report.values_read - report.values_stored,
        "rows_rejected": len(report.rejects),
        "gap_half_hours": report.gap_half_hours,
        "starts_at": report.interval.starts_at.isoformat() if report.interval else "",
        "ends_at": report.interval.ends_at.isoformat() if report.interval else "",
        "rejects": _rejects(report.rejects[:MOST_KEPT]),
    }


def _rejects(refused: Iterable[Reject]) -> list[dict[str, Any]]:
    return [
        {
            name: value.replace("\x00", "\ufffd") if isinstance(value, str) else value
            for name, value in asdict(each).items()
        }
        for each in refused
    ]


def _outcome_of_readings(report: ImportReport) -> dict[str, Any]:
    return {
        "adapter": report.source,
        "convention": report.convention,
        "rows_read": report.rows_read,
        "rows_landed": report.rows_landed,
        "rows_corrected": report.rows_corrected,
        "rows_unchanged": report.rows_unchanged,
        "rows_rejected": report.rows_rejected,
        "gap_half_hours": report.gap_half_hours,
        "rows_expiring": report.rows_expiring,
        "kept_from": report.kept_from.isoformat() if report.kept_from else "",
        "starts_at": report.interval.starts_at.isoformat() if report.interval else "",
        "ends_at": report.interval.ends_at.isoformat() if report.interval else "",
        "rejects": _rejects(report.rejects),
    }


def header_of(job: ImportJob) -> tuple[str, list[str]]:
    """The adapter that reads the file and its column names, or an empty name when its header is not known."""
    try:
        contents = reading.open_reading(FileOfParts(job.pk, job.size_bytes), name=job.name, adapter=None)
    except reading.FileUnusable:
        with suppress(rate_files.RatesUnusable):
            file = FileOfParts(job.pk, job.size_bytes)
            table = rate_files.open_table(file, name=job.name, only_start=True)
            return table.adapter, list(table.header)
        part = ImportPart.objects.filter(job=job, number=0).first()
        first = part.opened() if part else b""
        line = first.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0][:2000].decode("utf-8", errors="replace")
        return "", [name.strip().strip('"') for name in line.split(",")][:100]
    return contents.format.name, list(contents.layout.header)


class FileOfParts(io.BytesIO):
    """A job's file, read a part at a time."""

    def __init__(self, job_id: UUID, size: int) -> None:
        super().__init__()
        self.size = size
        self._job_id = job_id
        self._number = 0
        self._rest = b""

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; everything that is left without a size."""
        wanted = self.size if size is None or size < 0 else size
        while len(self._rest) < wanted:
            part = ImportPart.objects.filter(job_id=self._job_id, number=self._number).first()
            if part is None:
                break
            self._rest += part.opened()
            self._number += 1
        given, self._rest = self._rest[:wanted], self._rest[wanted:]
        return given


class _Progress:
    """Writes how far the reading is, now and then, outside the import's transaction."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        self.told = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self.told >= PROGRESS_SECONDS:
            self.told = now
            most = done if total is None else min(done, total)
            ImportJob.objects.filter(pk=self.job_id).update(done_bytes=most, touched_wall_at=clock.wall_now())


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        rest += chunk
        while len(rest) >= PART_BYTES:
            yield rest[:PART_BYTES]
            rest = rest[PART_BYTES:]
    if rest:
        yield rest


def _is_stale(job: ImportJob) -> bool:
    return job.touched_wall_at <= clock.wall_now() - STALE
