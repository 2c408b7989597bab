"""The streams of a batch, each once, and what every step of a write needs of them. Pure.

A fleet's ticks name the same thousands of streams every time; the last few rosters are kept, so that only the
first tick pays for looking each stream up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from threading import Lock
from typing import Final, overload
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from metering.slots import Ints

ROSTERS_KEPT: Final = 8

_lock = Lock()
_kept: dict[tuple[int, ...], tuple[Roster, Ints]] = {}


class Roster(Sequence[UUID]):
    """Streams, each once; equal to itself alone, so that what is found out about one can be kept by it."""

    def __init__(self, streams: Sequence[UUID]) -> None:
        self._streams = tuple(streams)

    @overload
    def __getitem__(self, index: int) -> UUID: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[UUID, ...]: ...

    def __getitem__(self, index: int | slice) -> UUID | tuple[UUID, ...]:
        return self._streams[index]

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._streams)

    @cached_property
    def ids(self) -> NDArray[np.uint8]:
        """The ids as bytes, [stream, 16]."""
        return np.frombuffer(_joined(self._streams), dtype=np.uint8).reshape(-1, 16)

    @cached_property
    def rank(self) -> Ints:
        """The place of each stream in order of id."""
        rank = np.empty(len(self), dtype=np.int64)
        rank[np.lexsort(self.ids.T[::-1])] = np.arange(len(self))
        return rank

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The ids as text."""
        return tuple(map(str, self._streams))


def numbered(stream_ids: Sequence[UUID]) -> tuple[Roster, Ints]:
    """The streams, each once, and the number of each entry's stream among them."""
    key = tuple([stream_id.int for stream_id in stream_ids])
    with _lock:
        found = _kept.pop(key, None)
        if found is None:
            numbers: dict[int, int] = {}  # a whole number is hashed several times faster than a UUID
            stream = np.fromiter(
                (numbers.setdefault(number, len(numbers)) for number in key),
                np.int64,
                len(stream_ids),
            )
            stream.flags.writeable = False
            is_once = len(numbers) == len(stream_ids)
            found = (Roster(stream_ids if is_once else [UUID(int=number) for number in numbers]), stream)
        _kept[key] = found
        while len(_kept) > ROSTERS_KEPT:
            del _kept[next(iter(_kept))]
    return found


def uuids(streams: Sequence[UUID]) -> NDArray[np.uint8]:
    """A column of the ids, 16 bytes each, as `copying.UUID16` takes it."""
    if isinstance(streams, Roster):
        return streams.ids
    return np.frombuffer(_joined(streams), dtype=np.uint8).reshape(-1, 16)


def _joined(streams: Sequence[UUID]) -> bytes:
    return b"".join([stream.int.to_bytes(16, "big") for stream in streams])
