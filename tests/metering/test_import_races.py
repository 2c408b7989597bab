"""Imports at the same moment, as processes do them: nothing doubles, nothing is lost, nothing deadlocks."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from metering import ingest, revising
from metering.ingest import import_file, store_readings
from metering.models import HalfHour
from metering.report import ImportReport
from tests import cast
from tests.metering.meters import HEADER, START, lcl_lines, wh_of
from tests.metering.samples import AT, half_hours
from tests.racing import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def reports_of(*imports: Callable[[], ImportReport]) -> list[ImportReport]:
    """What imports that set off together report."""
    done = at_once(*imports)
    reports = [each for each in done if isinstance(each, ImportReport)]
    assert len(reports) == len(done), done
    return reports


def test_the_same_file_imported_at_once_lands_once():
    ash, birch = cast.alice().stream_id, cast.carol().stream_id
    lines = [*lcl_lines(["0.1"] * 500, meter="ASH"), *lcl_lines(["0.2"] * 500, meter="BIRCH")]
    streams = {"ASH": ash, "BIRCH": birch}

    def run() -> ImportReport:
        text = "\n".join([HEADER, *lines]).encode()
        return import_file(file=io.BytesIO(text), name="same", at=AT, streams=streams)

    reports = reports_of(run, run, run)

    assert sorted(report.rows_landed for report in reports) == [0, 0, 1000]
    assert sorted(report.rows_unchanged for report in reports) == [0, 1000, 1000]
    assert HalfHour.objects.count() == 1000


def test_different_values_at_once_become_one_line_of_revisions():
    ash = cast.alice().stream_id
    starts = half_hours(START, 48)

    def run(wh: int) -> ImportReport:
        return store_readings(
            source="cad",
            name=f"{wh}",
            at=AT,
            stream_ids=[ash],
            starts_at=starts,
            import_wh=[[wh] * 48],
        )

    reports = reports_of(lambda: run(1), lambda: run(2), lambda: run(3))

    assert [report.rows_landed for report in reports] == [48, 48, 48]
    revisions = HalfHour.objects.filter(starts_at=START).order_by("revision")
    assert [(row.revision, row.import_wh) for row in revisions] == [
        (revision, row.import_wh) for revision, row in enumerate(revisions)
    ]
    assert sorted(set(wh_of(ash))) == [1, 2, 3]


def test_imports_of_the_same_streams_in_any_order_do_not_deadlock():
    residents = [cast.alice().stream_id, cast.carol().stream_id]

    def run(streams: list[UUID], wh: int) -> ImportReport:
        return store_readings(
            source="cad",
            name=f"{wh}",
            at=AT,
            stream_ids=streams,
            starts_at=half_hours(START, 100),
            import_wh=[[wh] * 100] * 2,
        )

    reports = reports_of(
        *(lambda turn=turn: run(residents[:: 1 - 2 * (turn % 2)], turn) for turn in range(6))
    )

    assert [report.rows_landed for report in reports] == [200] * 6


def test_an_import_that_fails_half_way_leaves_nothing(monkeypatch):
    ash = cast.alice().stream_id

    def fail(*args: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(ingest, "_keep", fail)
    with pytest.raises(RuntimeError):
        store_readings(
            source="cad",
            name="x",
            at=AT,
            stream_ids=[ash],
            starts_at=half_hours(START, 2),
            import_wh=[[1, 2]],
        )

    assert not HalfHour.objects.exists()


def test_a_stream_that_stays_busy_is_an_answer_and_not_a_crash(monkeypatch):
    monkeypatch.setattr(revising, "LOCK_WAIT", "50ms")
    ash = cast.alice().stream_id
    starts = half_hours(START, 1)

    def store(name: str) -> object:
        return store_readings(
            source="cad", name=name, at=AT, stream_ids=[ash], starts_at=starts, import_wh=[[1]]
        )

    with transaction.atomic():
        store("first")
        (busy,) = at_once(lambda: store("second"))

    assert isinstance(busy, revising.ImportBusy)
    assert busy.status == 503


def test_the_usual_patience_for_locks_returns_after_an_import():
    ash = cast.alice().stream_id
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        (before,) = cursor.fetchone()
        store_readings(
            source="cad",
            name="x",
            at=AT + timedelta(days=1),
            stream_ids=[ash],
            starts_at=half_hours(START, 1),
            import_wh=[[1]],
        )
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == (before,)
