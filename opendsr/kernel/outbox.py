"""The transactional outbox: news travels upward as facts, each consumer's share done exactly once.

`record` writes a fact and one delivery per registered consumer in the caller's transaction. A sweep claims
one due delivery in a short transaction (lease on the wall clock, SKIP LOCKED), then runs the consumer and
marks the delivery done in one transaction under the row's lock: a worker killed at any instant leaves either
nothing or everything. See docs/decisions/0003-outbox.md.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Final, Protocol, TypeVar
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import DurationField, ExpressionWrapper, F, Max, Q, Value
from django.db.models.functions import Least

from opendsr.kernel import clock, encryption, plain, waking
from opendsr.kernel.broker import SWEPT_QUEUES
from opendsr.kernel.env import env_float
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import EPOCH
from opendsr.kernel.models import DeliveryState, OutboxDelivery, OutboxFact

DEFAULT_QUEUE: Final = "outbox"
LEASE_VARIABLE: Final = "OPENDSR_LEASE_SECONDS"
DEFAULT_LEASE_SECONDS: Final = 60.0
BACKOFF_SECONDS: Sequence[float] = (1, 2, 5, 15, 60, 300, 900)
ADOPTION_WINDOW: Final = timedelta(hours=1)
ERROR_CHARACTERS: Final = 2000
DRAIN_ROUND: Final = 1000

logger = logging.getLogger(__name__)


class NoTransaction(RuntimeError):
    """A fact was recorded outside a transaction, where it could part from what it tells of."""


class DeliveryFailed(DomainError):
    """A consumer raised while `drain` was running it; the cause is attached."""

    status = 500
    topic: str
    consumer: str
    fact_id: UUID


class DrainUnfinished(DomainError):
    """Consumers kept recording due facts for more rounds than `drain` was allowed."""

    status = 500
    rounds: int


@dataclass(frozen=True, slots=True)
class Fact:
    """What a consumer gets: `payload` is plain JSON (ids, dates and decimals as text)."""

    id: UUID
    topic: str
    key: str
    payload: dict[str, plain.Json]
    at: datetime
    due_at: datetime | None


class Consumer(Protocol):
    """Runs inside the delivery's transaction: no durable transaction in it, no call that cannot be undone."""

    def __call__(self, *, fact: Fact) -> None: ...


ConsumerFunction = TypeVar("ConsumerFunction", bound=Consumer)


@dataclass(frozen=True, slots=True)
class Registration:
    """A consumer of a topic and the queue whose workers run it."""

    topic: str
    name: str
    queue: str
    run: Consumer


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: for the health check and the staff's board. Ages are wall seconds."""

    due: int
    dead: int
    oldest_due_seconds: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased delivery; `attempt` is the fencing token that a later claim changes."""

    delivery_id: int
    attempt: int
    consumer: str
    fact: Fact


_registry: dict[tuple[str, str], Registration] = {}
_sweeping: ContextVar[frozenset[str]] = ContextVar("outbox_sweeping", default=frozenset())


def consumer(
    topic: str, name: str, *, queue: str = DEFAULT_QUEUE
) -> Callable[[ConsumerFunction], ConsumerFunction]:
    """Register `fn(*, fact: Fact) -> None` for a topic; deliveries store `name`, so never reuse it."""
    if queue not in SWEPT_QUEUES:
        raise ValueError(f"no sweep visits queue {queue!r}: choose one of {', '.join(SWEPT_QUEUES)}")

    def register(function: ConsumerFunction) -> ConsumerFunction:
        known = _registry.get((topic, name))
        if known is not None and known.run is not function:
            raise ValueError(f"consumer {name!r} of {topic!r} is registered twice")
        _registry[topic, name] = Registration(topic=topic, name=name, queue=queue, run=function)
        return function

    return register


def record(
    topic: str,
    *,
    at: datetime,
    due_at: datetime | None = None,
    key: str | None = None,
    **payload: object,
) -> OutboxFact:
    """Write a fact inside the caller's transaction; its consumers run once that commits, not before `due_at`.

    `at` and `due_at` are world time. With a `key`, the same topic and key again is the same fact: the first
    stands and is returned, whatever the second payload says.
    """
    if not connection.in_atomic_block:
        raise NoTransaction(f"record {topic!r} inside the transaction that makes it true")
    wall = clock.wall_now()
    fact = OutboxFact(
        topic=topic,
        key=key or "",
        payload=plain.json_object(payload),
        at=at,
        due_at=due_at,
        recorded_wall_at=wall,
    )
    if key:
        OutboxFact.objects.bulk_create([fact], ignore_conflicts=True)
        if not OutboxFact.objects.filter(pk=fact.pk).exists():
            return OutboxFact.objects.get(topic=topic, key=key)
    else:
        fact.save(force_insert=True)
    registrations = [entry for entry in _registry.values() if entry.topic == topic]
    OutboxDelivery.objects.bulk_create(
        OutboxDelivery(
            fact=fact, consumer=entry.name, queue=entry.queue, due_at=due_at or EPOCH, next_try_at=wall
        )
        for entry in registrations
    )
    if due_at is None or due_at <= clock.now():
        waking.wake_on_commit({entry.queue for entry in registrations} - _sweeping.get())
    return fact


def record_many(topic: str, payloads: Sequence[tuple[str, dict[str, object]]], *, at: datetime) -> None:
    """Write many facts of one topic, as pairs of key ("" for none) and payload, in one statement.

    Inside the caller's transaction; due at once. A key met before is left as it stands.
    """
    if not connection.in_atomic_block:
        raise NoTransaction(f"record {topic!r} inside the transaction that makes it true")
    if not payloads:
        return
    registrations = [entry for entry in _registry.values() if entry.topic == topic]
    wall = clock.wall_now()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH fresh AS (
                INSERT INTO outbox_fact (id, topic, key, payload, at, due_at, recorded_wall_at)
                SELECT gen_random_uuid(), %(topic)s, told.key, told.payload, %(at)s, NULL, %(wall)s
                FROM ROWS FROM (
                    json_array_elements_text(%(keys)s::json), jsonb_array_elements(%(payloads)s::jsonb)
                ) AS told (key, payload)
                ON CONFLICT DO NOTHING
                RETURNING id
            )
            INSERT INTO outbox_delivery
                (fact_id, consumer, queue, state, due_at, next_try_at, attempts, last_error)
            SELECT fresh.id, known.consumer, known.queue, 'due', %(epoch)s, %(wall)s, 0, ''
            FROM fresh, unnest(%(consumers)s::text[], %(queues)s::text[]) AS known (consumer, queue)
            """,
            {
                "topic": topic,
                "at": at,
                "wall": wall,
                "epoch": EPOCH,
                "keys": json.dumps([key for key, _ in payloads]),
                "payloads": json.dumps([plain.json_object(payload) for _, payload in payloads]),
                "consumers": [entry.name for entry in registrations],
                "queues": [entry.queue for entry in registrations],
            },
        )
    waking.wake_on_commit({entry.queue for entry in registrations} - _sweeping.get())


def sweep(*, limit: int = 200, seconds: float = 60.0, queue: str | None = None) -> int:
    """Run due deliveries of one queue, or of all, up to `limit` or for `seconds`; how many were tried.

    A consumer that raises is rolled back, counted and tried again later (BACKOFF_SECONDS), then parked dead.
    """
    return _run_due(limit=limit, seconds=seconds, queue=queue, is_strict=False)


def drain(*, max_rounds: int = 100) -> int:
    """Run every due delivery in this process, those that consumers record too; how many.

    For tests and the demo: a consumer that raises ends it with DeliveryFailed, and too many rounds with
    DrainUnfinished. Deliveries due later in world time, or waiting after a failure, are left.
    """
    total = 0
    for _ in range(max_rounds):
        done = _run_due(limit=DRAIN_ROUND, seconds=inf, queue=None, is_strict=True)
        if not done:
            return total
        total += done
    raise DrainUnfinished(rounds=max_rounds)


def adopt(*, window: timedelta = ADOPTION_WINDOW) -> int:
    """Make the deliveries that facts of the last `window` (wall) lack for consumers known here; how many.

    Covers facts recorded by a process that did not know the consumer: a roll-out under way, or a VTN that
    runs without the rooms above it.
    """
    if not _registry:
        return 0
    rows = ", ".join(["(%s, %s, %s)"] * len(_registry))
    values = [text for entry in _registry.values() for text in (entry.topic, entry.name, entry.queue)]
    wall = clock.wall_now()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO outbox_delivery
                (fact_id, consumer, queue, state, due_at, next_try_at, attempts, last_error)
            SELECT fact.id, known.consumer, known.queue, 'due', COALESCE(fact.due_at, %s), %s, 0, ''
            FROM outbox_fact AS fact
            JOIN (VALUES {rows}) AS known (topic, consumer, queue) USING (topic)
            WHERE fact.recorded_wall_at >= %s
            ON CONFLICT (fact_id, consumer) DO NOTHING
            """,  # noqa: S608
            [EPOCH, wall, *values, wall - window],
        )
        return int(cursor.rowcount)


def backlog() -> Backlog:
    """How much is due now and dead, and how long the oldest has waited since it was recorded and fell due."""
    now, wall = clock.now(), clock.wall_now()
    since_recorded = ExpressionWrapper(Value(wall) - F("fact__recorded_wall_at"), DurationField())
    since_due = ExpressionWrapper(Value(now) - F("due_at"), DurationField())
    due = OutboxDelivery.objects.filter(state=DeliveryState.DUE, due_at__lte=now)
    waited = due.aggregate(longest=Max(Least(since_recorded, since_due)))["longest"]
    return Backlog(
        due=due.count(),
        dead=OutboxDelivery.objects.filter(state=DeliveryState.DEAD).count(),
        oldest_due_seconds=waited.total_seconds() if waited else 0.0,
    )


def revive(*, delivery_id: int) -> bool:
    """Put a dead delivery back in line with its attempts forgotten; False when it is not dead."""
    return bool(
        OutboxDelivery.objects.filter(pk=delivery_id, state=DeliveryState.DEAD).update(
            state=DeliveryState.DUE,
            attempts=0,
            next_try_at=clock.wall_now(),
            lease_until=None,
            finished_wall_at=None,
        )
    )


def lease() -> timedelta:
    """How long a claim holds a delivery before another worker may take it: OPENDSR_LEASE_SECONDS, 60."""
    seconds = env_float(LEASE_VARIABLE, DEFAULT_LEASE_SECONDS)
    if seconds <= 0:
        raise ImproperlyConfigured(f"{LEASE_VARIABLE}={seconds:g} holds nothing: set it above 0, such as 60.")
    return timedelta(seconds=seconds)


def _run_due(*, limit: int, seconds: float, queue: str | None, is_strict: bool) -> int:
    queues = [queue] if queue is not None else sorted({entry.queue for entry in _registry.values()})
    token = _sweeping.set(frozenset(queues))
    stop_at = monotonic() + seconds
    tried = 0
    try:
        for name in queues:
            while tried < limit and monotonic() < stop_at and (claim := _claim(name)) is not None:
                _run(claim, is_strict=is_strict)
                tried += 1
    finally:
        _sweeping.reset(token)
    return tried


def _claim(queue: str) -> Claim | None:
    """Lease the next due delivery of the queue, in a transaction of its own."""
    names = sorted({entry.name for entry in _registry.values() if entry.queue == queue})
    held_for = lease()
    while True:
        wall = clock.wall_now()
        with transaction.atomic():
            row = (
                OutboxDelivery.objects.select_for_update(skip_locked=True, of=("self",))
                .select_related("fact")
                .filter(
                    Q(lease_until__isnull=True) | Q(lease_until__lte=wall),
                    queue=queue,
                    state=DeliveryState.DUE,
                    due_at__lte=clock.now(),
                    next_try_at__lte=wall,
                    consumer__in=names,
                )
                .order_by("due_at", "next_try_at", "id")
                .first()
            )
            if row is None:
                return None
            if row.attempts > len(BACKOFF_SECONDS):
                reason = f"no result after {row.attempts} attempts: the worker died or was killed each time"
                row.state, row.last_error = DeliveryState.DEAD, row.last_error or reason
                row.lease_until, row.finished_wall_at = None, wall
                row.save(update_fields=["state", "last_error", "lease_until", "finished_wall_at"])
                logger.error("outbox delivery %s to %s is dead: %s", row.pk, row.consumer, reason)
                continue
            row.attempts += 1
            row.lease_until = wall + held_for
            row.save(update_fields=["attempts", "lease_until"])
        return _claim_of(row)


def _claim_of(row: OutboxDelivery) -> Claim:
    fact = row.fact
    return Claim(
        delivery_id=row.pk,
        attempt=row.attempts,
        consumer=row.consumer,
        fact=Fact(
            id=fact.pk, topic=fact.topic, key=fact.key, payload=fact.payload, at=fact.at, due_at=fact.due_at
        ),
    )


def _run(claim: Claim, *, is_strict: bool) -> None:
    """Effects and the done mark in one transaction, under the row's lock; a failure is noted in another."""
    try:
        with transaction.atomic():
            # A later claim has moved `attempts` on: no match, nothing to wait for. SKIP LOCKED would be
            # wrong here, because a sweeper looking for its next claim holds this row for a moment too.
            held = OutboxDelivery.objects.select_for_update().filter(
                pk=claim.delivery_id, state=DeliveryState.DUE, attempts=claim.attempt
            )
            if held.first() is None:
                return
            with encryption.remembering():
                _registered(claim).run(fact=claim.fact)
            OutboxDelivery.objects.filter(pk=claim.delivery_id).update(
                state=DeliveryState.DONE, lease_until=None, finished_wall_at=clock.wall_now()
            )
    except Exception as error:  # one bad delivery must not stop the others; it is kept and shown
        _note_failure(claim, error)
        if is_strict:
            raise DeliveryFailed(
                topic=claim.fact.topic, consumer=claim.consumer, fact_id=claim.fact.id, error=error
            ) from error


def _registered(claim: Claim) -> Registration:
    try:
        return _registry[claim.fact.topic, claim.consumer]
    except KeyError:
        raise LookupError(f"no consumer {claim.consumer!r} of {claim.fact.topic!r} is registered") from None


def _note_failure(claim: Claim, error: Exception) -> None:
    wall = clock.wall_now()
    shown = f"{type(error).__name__}: {error}".replace("\x00", "")[:ERROR_CHARACTERS]
    claimed = OutboxDelivery.objects.filter(
        pk=claim.delivery_id, state=DeliveryState.DUE, attempts=claim.attempt
    )
    if claim.attempt > len(BACKOFF_SECONDS):
        claimed.update(state=DeliveryState.DEAD, last_error=shown, lease_until=None, finished_wall_at=wall)
        fate = "dead"
    else:
        pause_seconds = BACKOFF_SECONDS[claim.attempt - 1]
        claimed.update(
            last_error=shown, lease_until=None, next_try_at=wall + timedelta(seconds=pause_seconds)
        )
        fate = f"tried again in {pause_seconds:g} s"
    logger.error(
        "outbox delivery %s of %s to %s failed (attempt %s, %s)",
        claim.delivery_id,
        claim.fact.topic,
        claim.consumer,
        claim.attempt,
        fate,
        exc_info=error,
    )
