"""Outbox consumers and Celery tasks of metering: thin wrappers around services."""

from __future__ import annotations

from typing import Final, cast
from uuid import UUID

from celery import shared_task

from metering import (
    asset_states,
    closing,
    first_data,
    health,
    import_jobs,
    packing,
    partitions,
    partner_totals,
    registers,
    retention,
    telemetry,
)
from metering.ingest import STORED
from metering.live import COUNTED_FOR
from opendsr.kernel import clock, outbox
from opendsr.kernel.outbox import Fact

MOST_PIECES: Final = 50


@outbox.consumer(STORED, "metering.first_data", queue="metering")
def note_first_data(*, fact: Fact) -> None:
    """Homes just fitted are live by their first reading."""
    named = [UUID(str(each)) for each in cast(list[str], fact.payload["stream_ids"])]
    is_all = len(named) == int(str(fact.payload["streams"]))
    first_data.note(stream_ids=named, is_all=is_all, at=fact.at)


@outbox.consumer("members.member.erased", "metering.forget_readings", queue="metering")
def forget_readings(*, fact: Fact) -> None:
    """Nobody of a household is left: its readings go."""
    streams = fact.payload["stream_ids"]
    if isinstance(streams, list) and streams:
        retention.forget_streams(stream_ids=[UUID(str(each)) for each in streams], at=clock.now())


@shared_task(ignore_result=True)
def close_half_hours(**_: object) -> None:
    """Run twice, count once: a half-hour is due until it is closed, and claimed under its row's lock."""
    closing.close_half_hours(at=clock.now())


@shared_task(ignore_result=True)
def convert_registers(**_: object) -> None:
    """Turn registers of half-hours that are over into readings; run twice, the second finds nothing due."""
    for _piece in range(MOST_PIECES):
        if not registers.convert(at=clock.now()):
            return


@shared_task(ignore_result=True)
def forget_registers(**_: object) -> None:
    """Drop open registers that are older than anything that may still arrive."""
    registers.forget(at=clock.now())
    asset_states.forget(at=clock.now())
    import_jobs.forget(at=clock.now())


@shared_task(ignore_result=True)
def run_import(*, job_id: str, **_: object) -> None:
    """Do an import; one that another worker is at, or that is over, is left alone."""
    import_jobs.run(job_id=UUID(job_id), at=clock.now())


@shared_task(ignore_result=True)
def run_waiting_imports(**_: object) -> None:
    """Do imports whose task was lost or whose worker died."""
    for job_id in import_jobs.waiting():
        import_jobs.run(job_id=job_id, at=clock.now())


@shared_task(ignore_result=True)
def read_reports(**_: object) -> None:
    """Take OpenADR reports in; the cursor moves with what is stored."""
    telemetry.read_reports(at=clock.now())


@shared_task(ignore_result=True)
def tend_store(**_: object) -> None:
    """Make partitions ahead, pack closed days, remove what was kept long enough, tell partners."""
    at = clock.now()
    partitions.make_partitions(at=at)
    packing.pack_closed(at=at)
    retention.apply(at=at)
    closing.forget_closed(before=at - COUNTED_FOR)
    health.measure(at=at)
    partner_totals.tell_due(at=at)
    partner_totals.forget(at=at)
