"""The queue's rows that offer VENs their events, for many at once: read unlocked, written if unchanged.

A VEN has one open row for its events. What a group decides of it was decided from an unlocked reading;
`write_down` therefore changes only rows that nobody has written since (their `version` stands), and says
which those were. A publisher always writes the row: one that came between is never overlooked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from django.db import connection

from oadr import messages as m

Becomes = Literal["delivered", "offered", "answered", "withdrawn", "kept"]


class Offer(NamedTuple):
    """The open row of one VEN's events; `version` is another after every write to it."""

    pk: int
    ven_pk: int
    version: str
    is_queued: bool
    attempts: int
    next_try_wall: float
    is_resync: bool

    def is_due(self, *, wall: datetime) -> bool:
        return self.is_queued or self.next_try_wall <= wall.timestamp()


class Fate(NamedTuple):
    """What becomes of an offer: handed over, only put off, ended, or `kept` as it waits; decided `at`.

    `left_at` is when the set was handed over, where that is written with it.
    """

    offer: Offer
    becomes: Becomes
    at: datetime
    next_try_wall_at: datetime | None = None
    is_resync_over: bool = False
    left_at: datetime | None = None


OFFER_COLUMNS: Final = """
    queue.id, queue.ven_id, queue.xmin::text, queue.state = 'queued', queue.attempts,
    extract(epoch FROM queue.next_try_wall_at)::float8, coalesce((queue.content->'is_resync')::boolean, false)
"""
_READ: Final = f"""
    SELECT {OFFER_COLUMNS} FROM vtn_queue AS queue
    WHERE queue.ven_id = ANY(string_to_array(%s, ',')::bigint[])
      AND queue.kind = 'events' AND queue.finished_at IS NULL
    ORDER BY queue.ven_id
"""  # noqa: S608


def open_offers(ven_pks: Iterable[int], *, is_locked: bool = False) -> dict[int, Offer]:
    """Return by VEN (pk) the open row of its events; VENs without one are left out."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_READ} FOR UPDATE" if is_locked else _READ, [",".join(map(str, ven_pks))])
        return {offer.ven_pk: offer for offer in map(Offer._make, cursor.fetchall())}


# A row of that version is open, as it was when read. To ask for that would offer the planner the index of
# open rows, which it reads from end to end for each row where statistics of a quiet hour call it empty; nor
# must it read the table to find again the rows that are held.
_WRITE: Final = """
    WITH held AS MATERIALIZED (
        SELECT queue.id, fate.becomes, fate.next_try, fate.is_resync_over, fate.left_at, fate.decided_at
        FROM unnest(string_to_array(%(pks)s, ',')::bigint[], string_to_array(%(versions)s, ','),
                    string_to_array(%(becomes)s, ','), string_to_array(%(tries)s, ',', '')::timestamptz[],
                    string_to_array(%(overs)s, ',')::boolean[],
                    string_to_array(%(lefts)s, ',', '')::timestamptz[],
                    string_to_array(%(ats)s, ',')::timestamptz[])
             AS fate (pk, version, becomes, next_try, is_resync_over, left_at, decided_at)
        CROSS JOIN LATERAL ( -- one by one, in the order given
            SELECT id FROM vtn_queue WHERE id = fate.pk AND xmin::text = fate.version FOR UPDATE
        ) AS queue
    )
    UPDATE vtn_queue AS queue
    SET state = CASE held.becomes WHEN 'kept' THEN state WHEN 'offered' THEN 'delivered'
                                  ELSE held.becomes END,
        next_try_wall_at = coalesce(held.next_try, next_try_wall_at),
        content = CASE WHEN held.is_resync_over THEN '{}'::jsonb ELSE content END,
        attempts = attempts + (held.left_at IS NOT NULL)::int,
        delivered_at = coalesce(delivered_at, held.left_at,
                                CASE WHEN held.becomes = 'offered' THEN held.decided_at END),
        delivered_by = CASE WHEN held.left_at IS NULL THEN delivered_by ELSE %(by)s END,
        leased_by = CASE WHEN held.becomes IN ('offered', 'kept') THEN leased_by ELSE '' END,
        lease_until_wall_at = CASE WHEN held.becomes IN ('offered', 'kept') THEN lease_until_wall_at END,
        finished_at = CASE WHEN held.becomes IN ('answered', 'withdrawn') THEN held.decided_at END,
        answer_code = CASE held.becomes WHEN 'answered' THEN %(code)s ELSE answer_code END
    FROM held WHERE queue.id = held.id AND queue.id = ANY(ARRAY(SELECT id FROM held))
    RETURNING queue.ven_id
"""


def write_down(fates: Sequence[Fate], *, by: str) -> set[int]:
    """Write what became of the offers in one statement; returns the VENs (pk) whose row had been changed.

    The rows are locked in the order of their VENs, as publishers lock them.
    """
    if not fates:
        return set()
    fates = sorted(fates, key=lambda fate: fate.offer.ven_pk)
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            {
                "pks": ",".join(str(fate.offer.pk) for fate in fates),
                "versions": ",".join(fate.offer.version for fate in fates),
                "becomes": ",".join(fate.becomes for fate in fates),
                "tries": ",".join(_written([fate.next_try_wall_at for fate in fates])),
                "overs": ",".join("t" if fate.is_resync_over else "f" for fate in fates),
                "lefts": ",".join(_written([fate.left_at for fate in fates])),
                "ats": ",".join(_written([fate.at for fate in fates])),
                "by": by[:12],
                "code": m.OK,
            },
        )
        written = {ven for (ven,) in cursor.fetchall()}
    return {fate.offer.ven_pk for fate in fates} - written


def _written(times: Collection[datetime | None]) -> list[str]:
    texts = {each: "" if each is None else each.isoformat() for each in set(times)}
    return [texts[each] for each in times]
