"""What may be kept of a stream, and how finely: the household's consents as windows, asked once a change.

Storing needs a consent to any purpose that covers the granularity; what it is read for is asked again when it
is read (`purposes.py`). Windows are kept in the process under the mark that every change of a consent, a
stream or a stay renews, so they are never older than the transaction that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from threading import RLock
from typing import Final
from uuid import UUID

import numpy as np

from members import consent_changes
from members.models import Granularity, Purpose
from members.queries import consent_windows
from metering.rosters import ROSTERS_KEPT, Roster
from metering.slots import Bools, Ints, micros
from opendsr.kernel.interval import Interval

Window = tuple[datetime, datetime | None]
Permission = Callable[[Ints, Ints, Ints], Bools]
"""Which stretches [starts, ends), in microseconds since 1970, of numbered streams may be kept."""

FOREVER: Final = np.iinfo(np.int64).max

_lock = RLock()
_mark: UUID | None = None
_books: dict[tuple[str, str | None], Book] = {}


class Book:
    """Windows of many streams in columns: the n-th window of each opens and closes at `turns[n]`."""

    def __init__(self) -> None:
        self.place: dict[int, int] = {}
        self.rosters: dict[Roster, Ints] = {}
        self.turns: list[tuple[Ints, Ints]] = []

    def add(self, windows: Mapping[UUID, Sequence[Window]]) -> None:
        """Note the windows of streams not known yet."""
        count = len(self.place)
        fresh = list(windows.values())
        for number, stream_id in enumerate(windows):
            self.place[stream_id.int] = count + number
        for turn in range(max(len(self.turns), *map(len, fresh), 1)):
            opens, closes = self.turns[turn] if turn < len(self.turns) else _never(count)
            more = _bounds(fresh, turn)
            columns = (np.concatenate((opens, more[0])), np.concatenate((closes, more[1])))
            self.turns[turn : turn + 1] = [columns]

    def missing(self, streams: Sequence[UUID]) -> list[UUID]:
        """Streams not known yet."""
        if isinstance(streams, Roster) and streams in self.rosters:
            return []
        return [stream_id for stream_id in streams if stream_id.int not in self.place]

    def permission(self, streams: Sequence[UUID]) -> Permission:
        """Whether stretches lie wholly inside a window of their stream."""
        places = self.rosters.get(streams) if isinstance(streams, Roster) else None
        if places is None:
            places = np.fromiter((self.place[each.int] for each in streams), np.int64, len(streams))
            if isinstance(streams, Roster):
                self.rosters[streams] = places
                while len(self.rosters) > ROSTERS_KEPT:
                    del self.rosters[next(iter(self.rosters))]
        turns = [(opens[places], closes[places]) for opens, closes in self.turns]

        def permitted(stream: Ints, starts: Ints, ends: Ints) -> Bools:
            found = np.zeros(len(stream), dtype=bool)
            for opens, closes in turns:
                found |= (starts >= opens[stream]) & (ends <= closes[stream])
            return found

        return permitted


def permission(
    streams: Sequence[UUID],
    *,
    granularity: Granularity = Granularity.HALF_HOURLY,
    purpose: Purpose | None = None,
) -> Permission:
    """What may be kept of these streams this finely, for the purpose or for any, as consents now stand."""
    global _mark
    mark = consent_changes.mark()
    with _lock:
        if mark is None or mark != _mark:
            _books.clear()
            _mark = mark
        book = _books.setdefault((granularity.value, None if purpose is None else purpose.value), Book())
        missing = book.missing(streams)
        if missing:
            found = consent_windows(missing, purpose=purpose, granularity=granularity)
            book.add({stream_id: found.get(stream_id, ()) for stream_id in missing})
        return book.permission(streams)


def throughout(streams: Sequence[UUID], interval: Interval) -> list[UUID]:
    """The streams whose household lets half-hours of the whole interval be kept, in their order."""
    if not streams:
        return []
    edges = micros([interval.starts_at, interval.ends_at])
    starts, ends = (np.full(len(streams), edge) for edge in edges.tolist())
    allowed = permission(streams)(np.arange(len(streams)), starts, ends)
    return [stream for stream, is_in in zip(streams, allowed.tolist(), strict=True) if is_in]


def by_windows(streams: Sequence[UUID], windows: Mapping[UUID, Sequence[Window]]) -> Permission:
    """The same of windows given. Pure."""
    book = Book()
    book.add({stream_id: windows.get(stream_id, ()) for stream_id in streams})
    return book.permission(streams)


def _bounds(spans: Sequence[Sequence[Window]], turn: int) -> tuple[Ints, Ints]:
    """Start and end of each stream's window of this number; an empty stretch for those with fewer."""
    opens, closes = _never(len(spans))
    having = [number for number, span in enumerate(spans) if turn < len(span)]
    opens[having] = micros([spans[number][turn][0] for number in having])
    closes[having] = FOREVER
    ending = [(number, end) for number in having if (end := spans[number][turn][1]) is not None]
    closes[[number for number, _ in ending]] = micros([end for _, end in ending])
    return opens, closes


def _never(count: int) -> tuple[Ints, Ints]:
    return np.full(count, FOREVER, dtype=np.int64), np.full(count, -FOREVER, dtype=np.int64)
