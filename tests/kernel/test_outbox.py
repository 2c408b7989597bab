from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction

from opendsr.kernel import audit, clock, outbox
from opendsr.kernel.models import AuditEntry, DeliveryState, OutboxDelivery, OutboxFact
from tests.kernel.conftest import NOON

pytestmark = pytest.mark.django_db


def watch(topic="test.thing.happened", name="test.watch", **options):
    """A consumer that keeps what it is given."""
    seen: list[outbox.Fact] = []

    @outbox.consumer(topic, name, **options)
    def keep(*, fact: outbox.Fact) -> None:
        seen.append(fact)

    return seen


def fail_times(times, topic="test.thing.happened", name="test.fail"):
    """A consumer that writes an audit entry, then raises, until its `times` failures are used up."""
    calls: list[UUID] = []

    @outbox.consumer(topic, name)
    def fail(*, fact: outbox.Fact) -> None:
        audit.record(at=fact.at, actor="test", verb="tried", target=str(fact.id))
        calls.append(fact.id)
        if len(calls) <= times:
            raise RuntimeError(f"no luck at try {len(calls)}")

    return calls


def happen(**options):
    with transaction.atomic():
        return outbox.record("test.thing.happened", **{"at": NOON, **options})


def delivery():
    return OutboxDelivery.objects.get()


class TestRecord:
    def test_a_fact_reaches_every_consumer_of_its_topic_once(self, consumers):
        one, two, other = (
            watch(name="one"),
            watch(name="two", queue="settlement"),
            watch("test.other", "other"),
        )
        happen(home="H-1")

        assert outbox.drain() == 2
        assert outbox.drain() == 0
        assert [fact.payload for fact in one] == [fact.payload for fact in two] == [{"home": "H-1"}]
        assert other == []

    def test_the_payload_is_plain_json_and_exact(self, consumers):
        seen = watch()
        home = UUID(int=7)
        at = NOON + timedelta(microseconds=1)

        happen(
            at=at, home=home, rate=Decimal("0.10"), day=date(2026, 11, 2), seen_at=at, parts=(1, [2.5, None])
        )
        outbox.drain()

        assert seen[0].at == at
        assert seen[0].payload == {
            "home": str(home),
            "rate": "0.10",
            "day": "2026-11-02",
            "seen_at": "2026-11-02T12:00:00.000001+00:00",
            "parts": [1, [2.5, None]],
        }

    @pytest.mark.parametrize(
        "value", [object(), float("nan"), NOON.replace(tzinfo=None), {"deep": [object()]}]
    )
    def test_a_value_without_a_plain_form_is_refused_by_name(self, consumers, value):
        with pytest.raises(TypeError, match="thing"):
            happen(thing=value)
        assert not OutboxFact.objects.exists()

    def test_the_same_key_is_the_same_fact(self, consumers):
        seen = watch()

        first, again = happen(key="H-1/2026-11-02", n=1), happen(key="H-1/2026-11-02", n=2)
        other = happen(key="H-2/2026-11-02", n=3)

        assert again.pk == first.pk != other.pk
        outbox.drain()
        assert [fact.payload["n"] for fact in seen] == [1, 3]

    def test_the_same_key_of_another_topic_is_another_fact(self, consumers):
        with transaction.atomic():
            one = outbox.record("test.one", at=NOON, key="k")
            two = outbox.record("test.two", at=NOON, key="k")

        assert one.pk != two.pk

    def test_facts_without_a_key_are_all_different(self, consumers):
        assert happen().pk != happen().pk

    def test_a_fact_goes_with_its_transaction(self, consumers):
        seen = watch()
        with transaction.atomic():
            outbox.record("test.thing.happened", at=NOON)
            transaction.set_rollback(True)

        assert outbox.drain() == 0
        assert seen == []

    def test_recording_takes_two_queries(self, consumers, django_assert_num_queries):
        watch(name="one"), watch(name="two")

        with transaction.atomic(), django_assert_num_queries(2):
            outbox.record("test.thing.happened", at=NOON)

    def test_two_functions_cannot_share_a_name(self, consumers):
        watch()
        with pytest.raises(ValueError, match="registered twice"):
            watch()

    def test_a_queue_that_no_sweep_visits_is_refused(self, consumers):
        with pytest.raises(ValueError, match="no sweep visits queue 'default'"):
            watch(queue="default")


@pytest.mark.django_db(transaction=True)
def test_a_fact_outside_a_transaction_is_refused(consumers):
    with pytest.raises(outbox.NoTransaction, match=r"test\.thing\.happened"):
        outbox.record("test.thing.happened", at=NOON)


class TestTime:
    def test_consumers_wait_for_due_at_in_world_time(self, consumers, pass_time):
        clock.configure(NOON, speed=60)
        seen = watch()
        happen(due_at=NOON + timedelta(hours=1))

        assert outbox.sweep() == 0
        pass_time(59)
        assert outbox.sweep() == 0
        pass_time(1)
        assert outbox.sweep() == 1
        assert seen[0].due_at == NOON + timedelta(hours=1)

    def test_a_crashed_workers_claim_is_taken_over_once_its_lease_ran_out(
        self, consumers, pass_time, monkeypatch
    ):
        monkeypatch.setenv(outbox.LEASE_VARIABLE, "30")
        seen = watch()
        happen()
        assert outbox._claim("outbox") is not None

        pass_time(29)
        assert outbox.sweep() == 0
        pass_time(1)
        assert outbox.sweep() == 1
        assert (len(seen), delivery().attempts) == (1, 2)

    def test_a_worker_that_lost_its_lease_does_nothing(self, consumers, pass_time, monkeypatch):
        monkeypatch.setenv(outbox.LEASE_VARIABLE, "30")
        seen = watch()
        happen()
        slow = outbox._claim("outbox")
        pass_time(30)
        quick = outbox._claim("outbox")
        assert slow is not None
        assert quick is not None

        outbox._run(slow, is_strict=True)
        assert seen == []
        outbox._run(quick, is_strict=True)
        outbox._run(slow, is_strict=True)
        assert (len(seen), delivery().state) == (1, DeliveryState.DONE)

    @pytest.mark.parametrize("seconds", ["0", "-5", "soon"])
    def test_a_lease_that_holds_nothing_is_loud(self, consumers, monkeypatch, seconds):
        monkeypatch.setenv(outbox.LEASE_VARIABLE, seconds)

        with pytest.raises(ImproperlyConfigured, match=outbox.LEASE_VARIABLE):
            outbox.sweep(queue="outbox")

    def test_the_oldest_goes_first(self, consumers, pass_time):
        seen = watch()
        for n in range(5):
            happen(n=n)
            pass_time(1)
        outbox.sweep()

        assert [fact.payload["n"] for fact in seen] == [0, 1, 2, 3, 4]

    def test_a_sweep_ends_at_its_limits(self, consumers):
        watch()
        for _ in range(5):
            happen()

        assert outbox.sweep(limit=3) == 3
        assert outbox.sweep(seconds=0) == 0
        assert outbox.sweep(queue="settlement") == 0
        assert outbox.sweep() == 2


class TestFailure:
    def test_a_failure_leaves_no_effect_and_is_tried_again_later(self, consumers, pass_time):
        calls = fail_times(1)
        happen()

        assert outbox.sweep() == 1
        assert not AuditEntry.objects.exists()
        assert delivery().last_error == "RuntimeError: no luck at try 1"
        assert outbox.sweep() == 0
        pass_time(outbox.BACKOFF_SECONDS[0])
        assert outbox.sweep() == 1
        assert (len(calls), delivery().state, AuditEntry.objects.count()) == (2, DeliveryState.DONE, 1)

    def test_one_failing_consumer_does_not_hold_up_another(self, consumers, pass_time):
        fail_times(99)
        seen = watch()
        happen(), happen()

        outbox.sweep()

        assert len(seen) == 2

    def test_pauses_grow_and_the_end_is_dead_visible_and_reversible(self, consumers, pass_time):
        calls = fail_times(len(outbox.BACKOFF_SECONDS) + 1)
        happen()

        for pause_seconds in outbox.BACKOFF_SECONDS:
            assert outbox.sweep() == 1
            pass_time(pause_seconds - 0.5)
            assert outbox.sweep() == 0
            pass_time(0.5)
        assert outbox.sweep() == 1

        assert delivery().state == DeliveryState.DEAD
        assert delivery().last_error == f"RuntimeError: no luck at try {len(calls)}"
        assert outbox.backlog() == outbox.Backlog(due=0, dead=1, oldest_due_seconds=0)
        pass_time(10**6)
        assert outbox.sweep() == 0

        assert outbox.revive(delivery_id=delivery().pk)
        assert outbox.sweep() == 1
        assert (delivery().state, AuditEntry.objects.count()) == (DeliveryState.DONE, 1)
        assert not outbox.revive(delivery_id=delivery().pk)

    def test_a_delivery_that_kills_its_worker_each_time_ends_dead(self, consumers, pass_time):
        seen = watch()
        happen()
        for _ in range(len(outbox.BACKOFF_SECONDS) + 1):
            assert outbox._claim("outbox") is not None
            pass_time(outbox.DEFAULT_LEASE_SECONDS)

        assert outbox.sweep() == 0
        assert (seen, delivery().state) == ([], DeliveryState.DEAD)
        assert "the worker died or was killed" in delivery().last_error

    def test_an_error_with_a_nul_or_of_any_length_can_be_kept(self, consumers):
        @outbox.consumer("test.thing.happened", "test.noisy")
        def noisy(*, fact: outbox.Fact) -> None:
            raise RuntimeError("\x00" + "x" * 10_000)

        happen()
        outbox.sweep()

        assert delivery().last_error.startswith("RuntimeError: xxx")
        assert len(delivery().last_error) == outbox.ERROR_CHARACTERS

    def test_a_consumer_that_breaks_its_transaction_is_a_failure_like_any(self, consumers):
        @outbox.consumer("test.thing.happened", "test.broken")
        def broken(*, fact: outbox.Fact) -> None:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            except DatabaseError:
                pass

        happen()
        outbox.sweep()

        assert delivery().state == DeliveryState.DUE
        assert "current transaction is aborted" in delivery().last_error

    def test_drain_stops_at_the_first_failure_and_names_it(self, consumers):
        fail_times(1)
        fact = happen()

        with pytest.raises(outbox.DeliveryFailed, match=r"test\.fail.*no luck") as caught:
            outbox.drain()
        assert caught.value.fact_id == fact.pk
        assert isinstance(caught.value.__cause__, RuntimeError)

    def test_drain_follows_what_consumers_record_but_not_for_ever(self, consumers, monkeypatch):
        @outbox.consumer("test.thing.happened", "test.echo")
        def echo(*, fact: outbox.Fact) -> None:
            n = int(str(fact.payload["n"]))
            outbox.record("test.thing.happened", at=fact.at, n=n - 1) if n else None

        happen(n=4)
        assert outbox.drain() == 5

        monkeypatch.setattr(outbox, "DRAIN_ROUND", 10)
        happen(n=10**9)
        with pytest.raises(outbox.DrainUnfinished):
            outbox.drain(max_rounds=3)


class TestOtherProcesses:
    def test_a_consumer_nobody_here_knows_is_left_to_those_who_do(self, consumers):
        watch()
        happen()
        registration = consumers.pop(("test.thing.happened", "test.watch"))
        watch("test.other", "other")

        assert outbox.sweep() == 0
        consumers["test.thing.happened", "test.watch"] = registration
        assert outbox.sweep() == 1

    def test_facts_recorded_without_the_consumer_are_adopted_once(self, consumers, pass_time):
        happen(n=1, due_at=NOON + timedelta(hours=2))
        happen(n=2)
        seen, late = watch(), watch(name="late", queue="settlement")

        assert outbox.adopt() == 4
        assert outbox.adopt() == 0
        assert outbox.sweep() == 2
        assert [fact.payload["n"] for fact in seen] == [fact.payload["n"] for fact in late] == [2]
        assert OutboxDelivery.objects.filter(consumer="late", queue="settlement").count() == 2

    def test_old_facts_are_adopted_only_when_asked_for(self, consumers, pass_time):
        happen()
        pass_time(3601)
        watch()

        assert outbox.adopt() == 0
        assert outbox.adopt(window=timedelta(days=1)) == 1

    def test_the_backlog_counts_what_waits(self, consumers, pass_time):
        watch()
        happen()
        happen(due_at=NOON + timedelta(days=1))
        pass_time(42)

        assert outbox.backlog() == outbox.Backlog(due=1, dead=0, oldest_due_seconds=42)

    def test_what_was_recorded_long_before_it_fell_due_has_not_waited_that_long(self, consumers, pass_time):
        watch()
        happen(due_at=NOON + timedelta(hours=1))
        pass_time(3607)

        assert outbox.backlog() == outbox.Backlog(due=1, dead=0, oldest_due_seconds=7)


def test_the_claim_reads_its_index(consumers, django_assert_num_queries):
    watch()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO outbox_fact (id, topic, key, payload, at, recorded_wall_at)
            SELECT gen_random_uuid(), 'test.thing.happened', '', '{}', now(), now()
            FROM generate_series(1, 20000);
            INSERT INTO outbox_delivery
                (fact_id, consumer, queue, state, due_at, next_try_at, attempts, last_error, finished_wall_at)
            SELECT id, 'test.watch', 'outbox', CASE WHEN n % 100 = 0 THEN 'due' ELSE 'done' END,
                CASE WHEN n % 200 = 0 THEN 'epoch'::timestamptz ELSE now() + interval '1 day' END,
                now(), 0, '', CASE WHEN n % 100 = 0 THEN NULL ELSE now() END
            FROM (SELECT id, row_number() OVER () AS n FROM outbox_fact) AS numbered;
            ANALYZE outbox_fact, outbox_delivery;
            """
        )
    with django_assert_num_queries(4) as captured:
        assert outbox._claim("outbox") is not None

    select = next(query["sql"] for query in captured.captured_queries if "FOR UPDATE" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {select}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index Scan using outbox_delivery_due" in plan
    assert "Sort" not in plan
