"""The one durable queue of what this VTN says to VENs of its own accord, whatever carries it.

A row of `QueuedMessage` is one message: its kind, protocol-neutral content, and the request id that the
VEN's reply echoes. Truth is the row; everything else only wakes somebody up.

    enqueue / enqueue_events      inside the caller's transaction; wakes listeners once that commits
    next_due                      the ONE message an oadrPoll is answered with now, or None
    claim                         rows for a transport that goes to the VEN, leased with SKIP LOCKED
    release                       a claimed row that could not be handed over: tried again later
    offer_again                   what a VEN that was away may have missed comes due at once
    mark_handed_over              it left; comes due again by itself when no reply comes (at least once)
    mark_answered / take_reply    the correlated reply came: the message counts as delivered
    withdraw, revive              staff change their mind; a dead letter is given another go
    sweep                         expires what is out of date, gives up what nobody answers
    pending                       VEN -> when it next has something, for a cache kept in memory

States: queued -> delivered (handed over, no reply yet) -> answered; or expired, withdrawn, dead.
Waking: `LISTEN vtn_pending`; the payload is a comma-separated list of `Ven.pk`. A notice lost costs one
sweep; `pending()` rebuilds the whole picture. `attempts`, leases and tries are wall time, `expires_at` is
world time.

Handing over: call `vtn.services.delivering.hand_over(queued=row, at=..., by="mqtt")`. It makes the message
afresh (events are never stored as sent), marks the row, and returns None when nothing is left to say.
Replies go to `vtn.services.answering.answer`, as if the VEN had posted them.

A poll takes no notice of leases, so pull works while a push hangs; a VEN may then see a message twice,
with the same request id. Rows of one VEN: events first, then the oldest. Lock order, here and in the
services: `Event` rows by pk, then the queue's row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F, Min, Q, QuerySet

from opendsr.kernel import clock, ids
from opendsr.kernel.interval import EPOCH
from vtn.models import MessageKind, MessageState, QueuedMessage, Ven

CHANNEL: Final = "vtn_pending"
EVENTS_KEY: Final = "events"
MOST_ATTEMPTS: Final = 10
"""Of anything but events, which are offered until they are over."""
LONGEST_WAIT_SECONDS: Final = 600
KEPT_FOR: Final = timedelta(days=90)
PRUNE_BATCH: Final = 5_000
_IDS_A_NOTICE: Final = 400
_RANKS: Final[Mapping[str, int]] = {MessageKind.EVENTS: 0}
_BATCH: Final = 20_000


# ---- putting in


def enqueue(
    *,
    ven: Ven,
    kind: MessageKind,
    at: datetime,
    content: Mapping[str, Any] | None = None,
    dedupe_key: str = "",
    request_id: str = "",
    expires_at: datetime | None = None,
) -> QueuedMessage:
    """Queue one message inside the caller's transaction; with a `dedupe_key`, the open one is returned.

    A repeated message keeps its request id and content, and is offered again at once.
    """
    request_id = request_id or f"RQ-{ids.random_token(64)}"
    _insert(
        [ven.pk],
        kind=kind,
        at=at,
        content=content or {},
        dedupe_key=dedupe_key,
        request_ids=[request_id],
        expires_at=[expires_at],
    )
    rows = QueuedMessage.objects.filter(ven=ven, finished_at=None)
    return rows.get(dedupe_key=dedupe_key) if dedupe_key else rows.get(request_id=request_id)


def enqueue_events(
    expires_at_by_ven: Mapping[int, datetime], *, at: datetime, is_resync: bool = False
) -> None:
    """Note that the full set of events of each VEN (by pk) has news, until the latest of them is over.

    One open row a VEN, however many events. A resync offers the set even when all of it was answered.
    """
    vens = sorted(expires_at_by_ven)
    for start in range(0, len(vens), _BATCH):
        some = vens[start : start + _BATCH]
        _insert(
            some,
            kind=MessageKind.EVENTS,
            at=at,
            content={"is_resync": True} if is_resync else {},
            dedupe_key=EVENTS_KEY,
            request_ids=[f"RQ-{token}" for token in ids.random_tokens(len(some))],
            expires_at=[expires_at_by_ven[ven] for ven in some],
        )


_INSERT: Final = """
    INSERT INTO vtn_queue (ven_id, kind, rank, content, request_id, dedupe_key, state, attempts, queued_at,
                           expires_at, next_try_wall_at, leased_by, delivered_by, note)
    SELECT ven, %(kind)s, %(rank)s, %(content)s::jsonb, request, %(key)s, 'queued', 0, %(at)s,
           expires, %(wall)s, '', '', ''
    FROM ROWS FROM (
        unnest(string_to_array(%(vens)s, ',')::bigint[]), json_array_elements_text(%(requests)s::json),
        unnest(string_to_array(%(expiries)s, ',', '')::timestamptz[])
    ) AS fresh (ven, request, expires)
    ORDER BY ven
    ON CONFLICT (ven_id, dedupe_key) WHERE finished_at IS NULL AND NOT dedupe_key = ''
    DO UPDATE SET state = 'queued', attempts = 0,
                  -- What waits already is due already: left as it is, no index is written again.
                  next_try_wall_at = CASE WHEN vtn_queue.state = 'queued'
                                          THEN least(vtn_queue.next_try_wall_at, excluded.next_try_wall_at)
                                          ELSE excluded.next_try_wall_at END,
                  content = CASE WHEN vtn_queue.kind = 'events' THEN vtn_queue.content || excluded.content
                                 ELSE vtn_queue.content END,
                  expires_at = CASE WHEN vtn_queue.expires_at IS NULL OR excluded.expires_at IS NULL
                                    THEN NULL ELSE greatest(vtn_queue.expires_at, excluded.expires_at) END
"""


def _insert(
    vens: Sequence[int],
    *,
    kind: MessageKind,
    at: datetime,
    content: Mapping[str, Any],
    dedupe_key: str,
    request_ids: Sequence[str],
    expires_at: Sequence[datetime | None],
) -> None:
    if not connection.in_atomic_block:
        raise RuntimeError("a message is queued inside the transaction that makes it true")
    written = {each: each.isoformat() if each else "" for each in set(expires_at)}
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "kind": kind.value,
                "rank": _RANKS.get(kind, 1),
                "content": json.dumps(dict(content)),
                "key": dedupe_key,
                "at": at,
                "wall": clock.wall_now(),
                "vens": ",".join(map(str, vens)),
                "requests": json.dumps(request_ids),
                "expiries": ",".join(written[expires] for expires in expires_at),
            },
        )
    notify(vens)


def notify(vens: Sequence[int]) -> None:
    """Tell listeners, once the transaction commits, that these VENs (by pk) may have something new."""
    payloads = [
        ",".join(map(str, vens[start : start + _IDS_A_NOTICE]))
        for start in range(0, len(vens), _IDS_A_NOTICE)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload", [CHANNEL, payloads]
        )


# ---- taking out


def next_due(*, ven_pk: int, at: datetime, wall: datetime, but: Iterable[int] = ()) -> QueuedMessage | None:
    """Return the message a poll gets now, unlocked; `but` leaves out those found to have nothing left."""
    return (
        _current(at)
        .filter(Q(state=MessageState.QUEUED) | Q(next_try_wall_at__lte=wall), ven_id=ven_pk)
        .exclude(pk__in=list(but))
        .order_by("rank", "id")
        .first()
    )


def first_queued(*, ven: Ven, kind: MessageKind, at: datetime) -> QueuedMessage | None:
    """Return the oldest message of a kind that this VEN has not been handed yet."""
    rows = _current(at).filter(ven=ven, kind=kind, state=MessageState.QUEUED).select_related("ven")
    return rows.order_by("id").first()


_CLAIM: Final = """
    WITH head AS (
        SELECT one.id FROM vtn_queue AS one
        WHERE one.finished_at IS NULL AND one.next_try_wall_at <= %(wall)s
          AND (one.lease_until_wall_at IS NULL OR one.lease_until_wall_at <= %(wall)s)
          AND (one.expires_at IS NULL OR one.expires_at > %(at)s)
          AND (%(vens)s::bigint[] IS NULL OR one.ven_id = ANY(%(vens)s::bigint[]))
          AND NOT EXISTS (
              SELECT 1 FROM vtn_queue AS other
              WHERE other.ven_id = one.ven_id AND other.finished_at IS NULL
                AND (other.lease_until_wall_at > %(wall)s
                     OR (other.next_try_wall_at <= %(wall)s
                         AND (other.expires_at IS NULL OR other.expires_at > %(at)s)
                         AND (other.rank, other.id) < (one.rank, one.id))))
        ORDER BY one.rank, one.id
        LIMIT %(limit)s
        FOR UPDATE OF one SKIP LOCKED
    )
    UPDATE vtn_queue AS queue SET leased_by = %(holder)s, lease_until_wall_at = %(until)s
    FROM head WHERE queue.id = head.id
    RETURNING queue.id
"""


@transaction.atomic
def claim(
    *,
    holder: str,
    limit: int,
    lease_seconds: float,
    at: datetime,
    wall: datetime,
    ven_pks: Iterable[int] | None = None,
) -> list[QueuedMessage]:
    """Lease up to `limit` due messages, at most one a VEN, each VEN's next; for the VENs given, or all.

    A holder that dies loses its lease by the wall clock; the row is then claimed again.
    """
    if not holder:
        raise ValueError("a lease needs a holder")
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "at": at,
                "wall": wall,
                "vens": None if ven_pks is None else list(ven_pks),
                "limit": limit,
                "holder": holder[:100],
                "until": wall + timedelta(seconds=lease_seconds),
            },
        )
        claimed = [pk for (pk,) in cursor.fetchall()]
    return list(QueuedMessage.objects.filter(pk__in=claimed).select_related("ven").order_by("rank", "id"))


def release(*, queued: QueuedMessage, wall: datetime, reason: str, retry_seconds: float) -> None:
    """Give a claimed row back unsent: other transports may have it at once, this one after a while."""
    QueuedMessage.objects.filter(pk=queued.pk, finished_at=None, leased_by=queued.leased_by).update(
        leased_by="",
        lease_until_wall_at=None,
        next_try_wall_at=wall + timedelta(seconds=retry_seconds),
        note=reason[:300],
    )


_OFFER_AGAIN: Final = """
    UPDATE vtn_queue
    SET next_try_wall_at = %(wall)s,
        content = CASE WHEN kind = 'events' THEN content || '{"is_resync": true}'::jsonb ELSE content END
    WHERE ven_id IN (SELECT id FROM ven WHERE ven_id = ANY(%(ven_ids)s))
      AND finished_at IS NULL AND state = 'delivered' AND next_try_wall_at > %(wall)s
      AND (lease_until_wall_at IS NULL OR lease_until_wall_at <= %(wall)s)
"""


def offer_again(ven_ids: Iterable[str], *, wall: datetime) -> None:
    """Make what these VENs (by venID) were handed and did not answer due now: they were away, and are back.

    Without it a message said into the void would wait for its retry, up to ten minutes.
    """
    if wanted := sorted(ven_ids):
        with connection.cursor() as cursor:
            cursor.execute(_OFFER_AGAIN, {"wall": wall, "ven_ids": wanted})


# ---- what became of it


def mark_handed_over(*, queued: QueuedMessage, at: datetime, by: str, next_try_wall_at: datetime) -> bool:
    """Note that the message left by a transport; False when it is no longer open. Ends any lease."""
    return bool(
        QueuedMessage.objects.filter(pk=queued.pk, finished_at=None).update(
            state=MessageState.DELIVERED,
            attempts=F("attempts") + 1,
            delivered_at=queued.delivered_at or at,
            delivered_by=by[:12],
            next_try_wall_at=next_try_wall_at,
            leased_by="",
            lease_until_wall_at=None,
        )
    )


def wait_seconds(*, poll_seconds: int, attempts: int) -> int:
    """How long a reply is waited for: doubling from the VEN's poll interval, ten minutes at most."""
    return min(poll_seconds * 2 ** min(attempts, 10), LONGEST_WAIT_SECONDS)


def finish(
    rows: QuerySet[QueuedMessage],
    *,
    state: MessageState,
    at: datetime,
    code: int | None = None,
    note: str | None = None,
) -> int:
    """Close open rows; how many were open."""
    changes: dict[str, Any] = {
        "state": state,
        "finished_at": at,
        "leased_by": "",
        "lease_until_wall_at": None,
    }
    if code is not None:
        changes["answer_code"] = code
    if note is not None:
        changes["note"] = note[:300]
    return rows.filter(finished_at=None).update(**changes)


def mark_answered(*, queued: QueuedMessage, at: datetime, code: int = 200, note: str = "") -> bool:
    """Note the correlated reply; False when another copy of it was first."""
    rows = QueuedMessage.objects.filter(pk=queued.pk)
    return bool(finish(rows, state=MessageState.ANSWERED, at=at, code=code, note=note))


def answered_by(*, ven: Ven, kinds: Iterable[MessageKind], request_id: str) -> QueuedMessage | None:
    """Return the open row, locked, that a reply belongs to.

    By its request id; else the oldest of these kinds handed over: some clients echo nothing or something
    of their own.
    """
    waiting = QueuedMessage.objects.select_for_update().filter(ven=ven, finished_at=None)
    exact = waiting.filter(request_id=request_id).first() if request_id else None
    if exact is not None:
        return exact
    return waiting.filter(state=MessageState.DELIVERED, kind__in=list(kinds)).order_by("id").first()


def withdraw(*, queued_pk: int, at: datetime, note: str = "") -> bool:
    """Take a message back; False when it is no longer open. One already handed over may still be acted on."""
    rows = QueuedMessage.objects.filter(pk=queued_pk)
    return bool(finish(rows, state=MessageState.WITHDRAWN, at=at, note=note))


def drop_all(*, ven: Ven, at: datetime, note: str) -> int:
    """Withdraw everything queued for a VEN: its registration has ended."""
    rows = QueuedMessage.objects.filter(ven=ven)
    return finish(rows, state=MessageState.WITHDRAWN, at=at, note=note)


@transaction.atomic
def revive(*, queued_pk: int, at: datetime) -> QueuedMessage | None:
    """Queue a dead letter's message again, as a new row with a new request id; None when it is not dead."""
    dead = QueuedMessage.objects.select_related("ven").filter(pk=queued_pk, state=MessageState.DEAD).first()
    if dead is None:
        return None
    return enqueue(
        ven=dead.ven,
        kind=MessageKind(dead.kind),
        at=at,
        content=dead.content,
        dedupe_key=dead.dedupe_key,
        expires_at=dead.expires_at,
    )


def sweep(*, at: datetime, wall: datetime) -> int:
    """Expire what is out of date, give up what nobody answers, forget what is long over; how many ended.

    Safe to run at any time, by several processes at once.
    """
    open_ones = QueuedMessage.objects.filter(finished_at=None)
    ended = finish(open_ones.filter(expires_at__lte=at), state=MessageState.EXPIRED, at=at)
    ended += finish(
        open_ones.filter(
            ~Q(kind=MessageKind.EVENTS), attempts__gte=MOST_ATTEMPTS, next_try_wall_at__lte=wall
        ),
        state=MessageState.DEAD,
        at=at,
        note=f"no reply after {MOST_ATTEMPTS} times",
    )
    while some := _oldest(at - KEPT_FOR):
        QueuedMessage.objects.filter(pk__in=some)._raw_delete(using="default")
    return ended


def _oldest(before: datetime) -> list[int]:
    """The keys of some rows that ended before that, found by their keys, which grow with time."""
    oldest = QueuedMessage.objects.order_by("pk").values_list("pk", "finished_at")[:PRUNE_BATCH]
    return [pk for pk, finished_at in oldest if finished_at is not None and finished_at < before]


def pending(ven_pks: Iterable[int] | None = None) -> dict[int, datetime]:
    """Return, by VEN pk, the wall time from which a poll gets something; a past time means now.

    VENs with nothing waiting are left out. One query, for the start of a cache and for its repair.
    """
    rows = QueuedMessage.objects.filter(finished_at=None)
    if ven_pks is not None:
        rows = rows.filter(ven_id__in=list(ven_pks))
    fresh = rows.filter(state=MessageState.QUEUED).values_list("ven_id", flat=True)
    again = rows.filter(state=MessageState.DELIVERED).values_list("ven_id").annotate(Min("next_try_wall_at"))
    return dict(again) | dict.fromkeys(fresh, EPOCH)


def _current(at: datetime) -> QuerySet[QueuedMessage]:
    return QueuedMessage.objects.filter(Q(expires_at=None) | Q(expires_at__gt=at), finished_at=None)
