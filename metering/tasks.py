"""Outbox consumers and Celery tasks of metering: thin wrappers around services."""

from __future__ import annotations

from typing import Final

from celery import shared_task

from metering import closing, registers
from opendsr.kernel import clock

MOST_PIECES: Final = 50


@shared_task(ignore_result=True)
def close_half_hours(**_: object) -> None:
    """Run twice, count once: a half-hour is due until it is closed, and claimed under its row's lock."""
    closing.close_half_hours(at=clock.now())


@shared_task(queue="metering")
def convert_registers(**_: object) -> None:
    """Turn registers of half-hours that are over into readings; run twice, the second finds nothing due."""
    for _piece in range(MOST_PIECES):
        if not registers.convert(at=clock.now()):
            return


@shared_task(queue="metering")
def forget_registers(**_: object) -> None:
    """Drop open registers that are older than anything that may still arrive."""
    registers.forget(at=clock.now())
