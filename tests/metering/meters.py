"""Short ways to offer readings to the store and to look at what it holds, for tests."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from metering.ingest import import_file
from metering.models import HalfHour
from metering.report import ImportReport
from tests.metering.samples import AT, half_hours

HEADER = "LCLid,tstp,energy_kWh"
START = datetime.fromisoformat("2026-01-05T00:00:00Z")


def lcl_lines(values: Sequence[object], *, start: datetime = START, meter: str = "ASH") -> list[str]:
    """Rows of the Low Carbon London form, one a half-hour from `start`, without the header."""
    ends = half_hours(start, len(values) + 1)[1:]
    return [f"{meter},{end:%Y-%m-%d %H:%M:%S},{value}" for end, value in zip(ends, values, strict=True)]


def offer(
    lines: Sequence[str],
    streams: Mapping[str, UUID] | None,
    *,
    header: str = HEADER,
    at: datetime = AT,
    **options: Any,
) -> ImportReport:
    """Import rows as a file with this header."""
    text = "\n".join([header, *lines]) + "\n"
    return import_file(file=io.BytesIO(text.encode()), name="offered.csv", at=at, streams=streams, **options)


def held() -> set[tuple[UUID, datetime, str, int, int, int, int]]:
    """Every row of the store: stream, start, source, revision, import, export, quality."""
    rows = HalfHour.objects.values_list(
        "stream_id", "starts_at", "source__code", "revision", "import_wh", "export_wh", "quality"
    )
    return set(rows)


def wh_of(stream_id: UUID) -> list[int]:
    """Import of the stream's rows by time and revision."""
    rows = HalfHour.objects.filter(stream_id=stream_id).order_by("starts_at", "revision")
    return list(rows.values_list("import_wh", flat=True))


def reasons(report: ImportReport) -> list[tuple[int, str]]:
    """Line and code of each refusal."""
    return [(reject.line, reject.code) for reject in report.rejects]


@contextmanager
def undone() -> Iterator[None]:
    """Let a block write and then take it all back, so that examples start alike."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
