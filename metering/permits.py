"""What may be kept of a stream, and how finely: the household's consents as windows, asked once a change.

Storing needs a consent to any purpose that covers the granularity; what it is read for is asked again when it
is read (`reading_for.py`). Windows are kept in the process under the mark that every change of a consent, a
stream or a stay renews, so they are never older than the transaction that asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final
from uuid import UUID

import numpy as np

from members import consent_changes
from members.models import Granularity, Purpose
from members.queries import Window, consent_windows
from metering.slots import Bools, Ints, micros

Windows = Mapping[UUID, Sequence[Window]]
Kind = tuple[str, str | None]

FOREVER: Final = np.iinfo(np.int64).max

_lock = Lock()
_mark: UUID | None = None
_known: dict[Kind, dict[UUID, Sequence[Window]]] = {}


def windows(
    stream_ids: Sequence[UUID],
    *,
    granularity: Granularity = Granularity.HALF_HOURLY,
    purpose: Purpose | None = None,
) -> Windows:
    """When each stream may be kept this finely, for the purpose or for any; every asked stream has a key."""
    global _mark
    mark = consent_changes.mark()
    kind = (granularity.value, None if purpose is None else purpose.value)
    with _lock:
        if mark != _mark or mark is None:
            _known.clear()
            _mark = mark
        known = _known.setdefault(kind, {})
    missing = [stream_id for stream_id in stream_ids if stream_id not in known]
    if missing:
        known.update(consent_windows(missing, purpose=purpose, granularity=granularity))
    return known


def permitted(stream: Ints, starts: Ints, ends: Ints, streams: Sequence[UUID], allowed: Windows) -> Bools:
    """Which of the stretches [starts, ends), in microseconds since 1970, lie wholly inside a window. Pure.

    `stream` numbers `streams`.
    """
    found = np.zeros(len(stream), dtype=bool)
    spans = [allowed.get(stream_id, ()) for stream_id in streams]
    for turn in range(max(map(len, spans), default=0)):
        opens, closes = _bounds(spans, turn)
        found |= (starts >= opens[stream]) & (ends <= closes[stream])
    return found


def _bounds(spans: Sequence[Sequence[Window]], turn: int) -> tuple[Ints, Ints]:
    """Start and end of each stream's window of this number; an empty stretch for those with fewer."""
    opens = np.full(len(spans), FOREVER, dtype=np.int64)
    closes = np.full(len(spans), -FOREVER, dtype=np.int64)
    having = [number for number, span in enumerate(spans) if turn < len(span)]
    opens[having] = micros([spans[number][turn][0] for number in having])
    ending = [(number, end) for number in having if (end := spans[number][turn][1]) is not None]
    closes[having] = FOREVER
    closes[[number for number, _ in ending]] = micros([end for _, end in ending])
    return opens, closes


__all__ = ["Windows", "permitted", "windows"]
