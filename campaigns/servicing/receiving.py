"""A signal's way through: written down, decided once, answered; decided later where somebody died meanwhile.

`receive` writes the signal with an outbox fact due a few seconds on, then decides it. Whoever decides holds
the row: the fact's consumer, or the client's own repeat, finds a signal decided or decides it in its turn, so
that every signal ends as sent, waiting, stopped or refused with a reason.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import OperationalError, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from campaigns.models import ServicingClient, ServicingSignal
from campaigns.servicing import acting, running
from campaigns.servicing.admitting import Admitted
from campaigns.servicing.port import Ask, ask_from
from campaigns.servicing.signatures import Message
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError, Invalid, NotFound

logger = logging.getLogger(__name__)
RECEIVED: Final = "campaigns.servicing.received"
LEFT_BEHIND: Final = timedelta(seconds=5)
TRIES: Final = 3
State = ServicingSignal.State
Kind = ServicingSignal.Kind


class IdempotencyKeyInvalid(Invalid):
    """Every signal carries a key of 1 to 120 printable letters: `field`, `reason`."""

    field: str
    reason: str


class IdempotencyKeyReused(Invalid):
    """The key came before with another request: `field`, `reason`."""

    field: str
    reason: str


class SignalNotFound(NotFound):
    """The client has sent no such signal: `signal_id`."""

    signal_id: str


class Delayed(DomainError):
    """The signal is written down, and others hold what it needs: `signal_id`.

    It is decided within `retry_after_seconds`; the same key again is answered by then.
    """

    status = 503
    signal_id: str
    retry_after_seconds: int


def receive(
    *, admitted: Admitted, ask: Ask, message: Message, at: datetime, wall: datetime
) -> tuple[ServicingSignal, bool]:
    """The signal, decided, and whether it is new; the same key again is answered as the first time.

    Raises IdempotencyKeyInvalid, IdempotencyKeyReused and Delayed. What cannot be done is no error: it is
    decided as refused, with the reason.
    """
    signal, is_new = _write_down(admitted, ask, message, at=at, wall=wall)
    return decide(signal_id=signal.pk, at=at), is_new


def decide(*, signal_id: UUID, at: datetime) -> ServicingSignal:
    """Decide the signal, once; one decided already is returned as it is.

    Where the database ends it because it and others wait for each other, it is decided anew, TRIES times in
    all; then, or when a lock is not to be had, it raises Delayed and the outbox decides it.
    """
    for number in range(TRIES):
        try:
            return _decide(signal_id, at=at)
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected | LockNotAvailable):
                raise
            is_over = number + 1 == TRIES or isinstance(error.__cause__, LockNotAvailable)
            logger.warning("servicing: signal %s met a lock: %s", signal_id, type(error.__cause__).__name__)
            if is_over:
                seconds = int(LEFT_BEHIND.total_seconds())
                raise Delayed(signal_id=str(signal_id), retry_after_seconds=seconds) from error
    raise AssertionError("the last try returns or raises")


def _decide(signal_id: UUID, *, at: datetime) -> ServicingSignal:
    try:
        with transaction.atomic():
            signal = _locked(signal_id)
            if signal.state == State.RECEIVED:
                acting.act(signal, ask_from(signal.asked), at=at)
                running.close(signal, at=at)
    except DomainError as error:
        # Whatever was begun is undone with its transaction; the refusal stands in one of its own.
        with transaction.atomic():
            signal = _locked(signal_id)
            if signal.state == State.RECEIVED:
                signal.state, signal.reason = State.REFUSED, error.code[:60]
                signal.answer = {"reason": error.code, "detail": _plain(error)}
                running.close(signal, at=at)
    return signal


def signal_of(client: ServicingClient, signal_id: UUID) -> ServicingSignal:
    """The client's own signal with its campaign; raises SignalNotFound."""
    found = client.signals.select_related("campaign", "contract").filter(pk=signal_id).first()
    if found is None:
        raise SignalNotFound(signal_id=str(signal_id))
    return found


@transaction.atomic
def _write_down(
    admitted: Admitted, ask: Ask, message: Message, *, at: datetime, wall: datetime
) -> tuple[ServicingSignal, bool]:
    key = message.headers.get("idempotency-key", "")
    if not 0 < len(key) <= 120 or not key.isprintable():
        raise IdempotencyKeyInvalid(field="Idempotency-Key", reason="send one of 1 to 120 printable letters")
    digest = hashlib.sha256(message.body).hexdigest()
    signal, is_new = ServicingSignal.objects.get_or_create(
        client=admitted.client,
        idempotency_key=key,
        defaults={
            "key_id": admitted.key_id,
            "digest": digest,
            "kind": ask.kind,
            "asked": ask.shown(),
            "received_at": at,
            "received_wall_at": wall,
        },
    )
    if signal.digest != digest:
        raise IdempotencyKeyReused(
            field="Idempotency-Key", reason="this key came with another request: take a new one"
        )
    if is_new:
        outbox.record(RECEIVED, at=at, due_at=at + LEFT_BEHIND, key=str(signal.pk), signal_id=signal.pk)
    return signal, is_new


def _locked(signal_id: UUID) -> ServicingSignal:
    return (
        ServicingSignal.objects.select_for_update(of=("self",))
        .select_related("client", "campaign")
        .get(pk=signal_id)
    )


def _plain(error: DomainError) -> dict[str, object]:
    """The error's data as JSON can hold it."""
    return {
        name: value if isinstance(value, int | float | bool) or value is None else str(value)
        for name, value in error.data.items()
    }
