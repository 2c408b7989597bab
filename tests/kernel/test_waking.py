"""What a commit sends to the broker, and that a broker in trouble costs nothing but time."""

from __future__ import annotations

import pytest
from celery import current_app
from django.db import transaction

from opendsr.kernel import clock, heartbeat, outbox, tasks, waking
from opendsr.kernel.models import OutboxFact
from tests.kernel.conftest import NOON
from tests.kernel.test_outbox import watch


@pytest.fixture
def sent(monkeypatch):
    """Task messages, kept from the broker."""
    messages: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(
        current_app, "send_task", lambda name, **options: messages.append((name, options["kwargs"]))
    )
    return messages


@pytest.mark.django_db(transaction=True)
def test_a_commit_wakes_each_queue_once(consumers, sent):
    watch(name="one"), watch(name="two"), watch(name="three", queue="settlement")
    with transaction.atomic():
        for _ in range(3):
            with transaction.atomic():
                outbox.record("test.thing.happened", at=NOON)
        assert sent == []

    assert sent == [(waking.SWEEP_TASK, {"queue": "outbox"}), (waking.SWEEP_TASK, {"queue": "settlement"})]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_woken_for_later_or_for_nobody(consumers, sent, pass_time):
    with transaction.atomic():
        outbox.record("test.thing.happened", at=NOON)
    watch()
    clock.configure(NOON)
    with transaction.atomic():
        outbox.record("test.thing.happened", at=NOON, due_at=NOON.replace(hour=13))

    assert sent == []


@pytest.mark.django_db(transaction=True)
def test_a_consumers_own_facts_wake_only_other_queues(consumers, sent):
    watch("test.next", "here"), watch("test.next", "there", queue="settlement")

    @outbox.consumer("test.thing.happened", "test.chain")
    def chain(*, fact: outbox.Fact) -> None:
        outbox.record("test.next", at=fact.at)

    with transaction.atomic():
        outbox.record("test.thing.happened", at=NOON)
    sent.clear()

    assert outbox.sweep(queue="outbox") == 2
    assert sent == [(waking.SWEEP_TASK, {"queue": "settlement"})]


@pytest.mark.django_db(transaction=True)
def test_a_broker_in_trouble_does_not_undo_or_fail_the_commit(consumers, monkeypatch, caplog):
    def refuse(name, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(current_app, "send_task", refuse)
    seen = watch()
    with transaction.atomic():
        outbox.record("test.thing.happened", at=NOON)

    assert OutboxFact.objects.count() == 1
    assert "No space left on device" in caplog.text
    assert outbox.sweep() == 1
    assert len(seen) == 1


@pytest.mark.django_db
def test_the_task_sweeps_its_queue_and_only_beat_is_a_sign_of_life(consumers, pass_time):
    seen = watch()
    with transaction.atomic():
        outbox.record("test.thing.happened", at=NOON)

    tasks.sweep_outbox(queue="outbox", from_a_newer_release=1)
    assert len(seen) == 1
    assert heartbeat.age_seconds("beat") is None

    tasks.sweep_outbox(queue="outbox", by="beat")
    pass_time(7)
    assert heartbeat.age_seconds("beat") == 7
    tasks.sweep_outbox(queue="outbox", by="beat")
    assert heartbeat.age_seconds("beat") == 0


@pytest.mark.django_db
def test_the_task_adopts_facts(consumers):
    with transaction.atomic():
        outbox.record("test.thing.happened", at=NOON)
    seen = watch()

    tasks.adopt_facts()

    assert outbox.drain() == 1
    assert len(seen) == 1
