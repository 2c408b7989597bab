"""Half-hours under way: which have samples to be made a reading of, and those counted without being kept.

A household that consents to half-hours only has its samples added to the running sum of their half-hour, each
10-second tick once, and forgotten: what is left tells how much of the half-hour was seen, not when power was
used in it. Of two samples in one tick the one that came first counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Final
from uuid import UUID
from weakref import WeakSet

import numpy as np
from django.db import connection, transaction

from metering import revising
from metering.rosters import Roster
from metering.slots import MICROSECONDS, Ints, slot_of

TICK_SECONDS: Final = 10
TICK: Final = TICK_SECONDS * 1_000_000
TICKS: Final = MICROSECONDS // TICK
SEEN_BYTES: Final = -(-TICKS // 8)
GRACE: Final = timedelta(minutes=2)
MOST_REMEMBERED: Final = 500_000

MARK: Final = """
    INSERT INTO metering_open_half_hour AS held (stream_id, starts_at, source_id)
    SELECT stream_id, to_timestamp(slot * 1800), %s
    FROM unnest(%s::uuid[], %s::int8[]) AS told (stream_id, slot)
    ORDER BY stream_id, slot
    ON CONFLICT (stream_id, starts_at, source_id) DO UPDATE SET is_due = true WHERE NOT held.is_due
"""
HELD: Final = """
    SELECT asked.number, held.seen, held.imported_w_ticks, held.exported_w_ticks
    FROM unnest(%s::int4[], %s::uuid[], %s::int8[]) AS asked (number, stream_id, slot)
    JOIN metering_open_half_hour AS held
      ON held.stream_id = asked.stream_id AND held.starts_at = to_timestamp(asked.slot * 1800)
     AND held.source_id = %s
"""
ADD: Final = """
    INSERT INTO metering_open_half_hour AS held
        (stream_id, starts_at, source_id, seen, imported_w_ticks, exported_w_ticks)
    SELECT stream_id, to_timestamp(slot * 1800), %s, seen, imported, exported
    FROM unnest(%s::uuid[], %s::int8[], %s::bytea[], %s::int8[], %s::int8[])
      AS told (stream_id, slot, seen, imported, exported)
    ON CONFLICT (stream_id, starts_at, source_id) DO UPDATE
    SET seen = EXCLUDED.seen, imported_w_ticks = EXCLUDED.imported_w_ticks,
        exported_w_ticks = EXCLUDED.exported_w_ticks, is_due = true
"""

_lock = Lock()
_marked: dict[tuple[int, int], set[int]] = {}
_whole: dict[tuple[int, int], WeakSet[Roster]] = {}
"""Rosters of which every stream is marked: a fleet's next tick need not be looked through again."""


def mark(stream: Ints, at: Ints, streams: Roster, *, source_id: int, at_world: datetime) -> None:
    """Note which half-hours have raw samples to be made a reading of; those of now once a process."""
    slots = at // MICROSECONDS
    first_open = slot_of(at_world - GRACE)
    told: list[tuple[UUID, int]] = []
    for slot in np.unique(slots).tolist():
        key = (slot, source_id)
        if slot >= first_open and streams in _whole.get(key, ()):
            continue
        owners = [streams[number] for number in np.unique(stream[slots == slot]).tolist()]
        if slot >= first_open:
            marked = _marked.get(key, set())
            are_all = len(owners) == len(streams)
            owners = [owner for owner in owners if owner.int not in marked]
            if are_all and not owners:
                _whole.setdefault(key, WeakSet()).add(streams)
        told += [(owner, slot) for owner in owners]
    if not told:
        return
    with connection.cursor() as cursor:
        cursor.execute(MARK, [source_id, [owner for owner, _ in told], [slot for _, slot in told]])
    fresh = [(owner, slot) for owner, slot in told if slot >= first_open]
    transaction.on_commit(lambda: _remember(fresh, source_id, first_open))


def count(stream: Ints, at: Ints, power_w: Ints, streams: Sequence[UUID], *, source_id: int) -> int:
    """Add samples to the running sums of their half-hours, each tick once; how many were new."""
    order = np.lexsort((power_w, at // TICK, stream))
    stream, at, power_w = stream[order], at[order], power_w[order]
    last = np.ones(len(at), dtype=bool)
    last[:-1] = (stream[1:] != stream[:-1]) | (at[1:] // TICK != at[:-1] // TICK)
    stream, at, power_w = stream[last], at[last], power_w[last]
    slots, tick = at // MICROSECONDS, at % MICROSECONDS // TICK
    keys, place = np.unique(np.stack((stream, slots)), axis=1, return_inverse=True)
    place = place.ravel()
    owners = [streams[number] for number in keys[0].tolist()]
    with revising.turn_of(owners), connection.cursor() as cursor:
        seen = np.zeros((len(owners), SEEN_BYTES * 8), dtype=bool)
        sums = np.zeros((2, len(owners)), dtype=np.int64)
        cursor.execute(HELD, [list(range(len(owners))), owners, keys[1].tolist(), source_id])
        for number, bits, imported, exported in cursor.fetchall():
            seen[number] = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))
            sums[:, number] = imported, exported
        is_new = ~seen[place, tick]
        np.add.at(sums[0], place[is_new], np.maximum(power_w[is_new], 0))
        np.add.at(sums[1], place[is_new], np.maximum(-power_w[is_new], 0))
        seen[place[is_new], tick[is_new]] = True
        touched = np.unique(place[is_new]).tolist()
        if touched:
            packed = np.packbits(seen, axis=1)
            cursor.execute(
                ADD,
                [
                    source_id,
                    [owners[number] for number in touched],
                    keys[1][touched].tolist(),
                    [packed[number].tobytes() for number in touched],
                    sums[0][touched].tolist(),
                    sums[1][touched].tolist(),
                ],
            )
    return int(is_new.sum())


def _remember(told: Sequence[tuple[UUID, int]], source_id: int, first_open: int) -> None:
    with _lock:
        for key in [key for key in _marked if key[0] < first_open]:
            del _marked[key]
            _whole.pop(key, None)
        if sum(map(len, _marked.values())) > MOST_REMEMBERED:
            _marked.clear()
            _whole.clear()
        for owner, slot in told:
            _marked.setdefault((slot, source_id), set()).add(owner.int)
