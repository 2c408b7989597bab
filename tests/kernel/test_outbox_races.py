"""Several workers at once, as threads with database connections of their own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.db import connection, connections, transaction

from opendsr.kernel import audit, outbox, waking
from opendsr.kernel.models import AuditEntry, DeliveryState, OutboxDelivery, OutboxFact
from tests.kernel.conftest import NOON

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 60
Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)


def in_thread(work: Callable[[], Result]) -> Callable[[], Result]:
    def run() -> Result:
        try:
            return work()
        finally:
            connections.close_all()

    return run


def test_sweepers_at_once_share_the_work_and_never_double_it(consumers):
    together = threading.Barrier(4)
    swept_by: Counter[int] = Counter()

    @outbox.consumer("test.thing.happened", "test.effect")
    def effect(*, fact: outbox.Fact) -> None:
        swept_by[threading.get_ident()] += 1
        audit.record(at=fact.at, actor="test", verb="did", target=str(fact.id))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.005)")

    with transaction.atomic():
        for _ in range(60):
            outbox.record("test.thing.happened", at=NOON)

    def sweep() -> int:
        together.wait(PATIENCE_SECONDS)
        return outbox.sweep()

    with ThreadPoolExecutor(4) as pool:
        tried = [future.result() for future in [pool.submit(in_thread(sweep)) for _ in range(4)]]

    assert sum(tried) == 60
    assert len(swept_by) > 1
    assert AuditEntry.objects.count() == AuditEntry.objects.values("target").distinct().count() == 60
    assert set(OutboxDelivery.objects.values_list("state", "attempts")) == {(DeliveryState.DONE, 1)}


def test_a_lease_that_runs_out_under_a_running_consumer_does_not_double_it(consumers, monkeypatch):
    monkeypatch.setenv(outbox.LEASE_VARIABLE, "0.01")
    started, finish = threading.Event(), threading.Event()
    runs: list[int] = []

    @outbox.consumer("test.thing.happened", "test.slow")
    def slow(*, fact: outbox.Fact) -> None:
        runs.append(threading.get_ident())
        started.set()
        assert finish.wait(PATIENCE_SECONDS)

    with transaction.atomic():
        outbox.record("test.thing.happened", at=NOON)

    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(in_thread(outbox.sweep))
        assert started.wait(PATIENCE_SECONDS)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.05), lease_until < clock_timestamp() FROM outbox_delivery")
            assert cursor.fetchone()[1]
        assert outbox.sweep() == 0
        finish.set()
        assert sweeping.result() == 1

    assert outbox.sweep() == 0
    assert len(runs) == 1
    assert OutboxDelivery.objects.get().state == DeliveryState.DONE


def test_the_same_key_recorded_twice_at_once_is_one_fact(consumers):
    together = threading.Barrier(4)

    @outbox.consumer("test.thing.happened", "test.effect")
    def effect(*, fact: outbox.Fact) -> None:
        pass

    def record() -> object:
        together.wait(PATIENCE_SECONDS)
        with transaction.atomic():
            return outbox.record("test.thing.happened", at=NOON, key="once").pk

    with ThreadPoolExecutor(4) as pool:
        facts = {future.result() for future in [pool.submit(in_thread(record)) for _ in range(4)]}

    assert len(facts) == OutboxFact.objects.count() == OutboxDelivery.objects.count() == 1
