"""Waking a worker once a transaction commits; a lost wake costs one sweep, so a failure is only logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from celery import current_app
from django.db import connection, transaction

SWEEP_TASK: Final = "opendsr.kernel.tasks.sweep_outbox"
WAKE_EXPIRES_SECONDS: Final = 30


def wake_on_commit(queues: Iterable[str]) -> None:
    """Ask a worker of each queue to sweep when the current transaction commits, once a queue."""
    waiting = [entry[1] for entry in connection.run_on_commit]
    for queue in sorted(queues):
        if _waker(queue) not in waiting:
            transaction.on_commit(_waker(queue), robust=True)


def warm() -> None:
    """Load what a wake needs, so that the first transaction that wakes somebody does not wait for it."""
    current_app.connection_for_write().transport_cls  # noqa: B018 - found, and so imported
    current_app.amqp.queues  # noqa: B018 - made when they are looked at
    current_app.backend  # noqa: B018 - each task sent is given it, whether results are kept or not


@cache
def _waker(queue: str) -> Callable[[], None]:
    def wake() -> None:
        current_app.send_task(
            SWEEP_TASK, kwargs={"queue": queue}, queue=queue, expires=WAKE_EXPIRES_SECONDS, ignore_result=True
        )

    return wake
