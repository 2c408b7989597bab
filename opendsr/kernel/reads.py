"""What of whom was read in a block, such as a request: told by the doors through which it is read.

Whoever opens a sealed text passes `encryption.unseal_bytes`, whoever reads half-hours `metering.store`; both
say so here, so that no page can forget to. Who looked, and what for, is the caller's to know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

MOST_AT_ONCE: Final = 50
"""What is read of more at once is a total, and nobody's."""


@dataclass(slots=True)
class Reads:
    """Subjects read, and which kinds of thing of theirs, such as `members_member.full_name`."""

    subjects: set[UUID] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)


_current: ContextVar[Reads | None] = ContextVar("reads", default=None)


@contextmanager
def collecting(into: Reads | None = None) -> Iterator[Reads]:
    """Collect what is read in the block; what is read in a block within it is not the outer one's."""
    reads = into if into is not None else Reads()
    token = _current.set(reads)
    try:
        yield reads
    finally:
        _current.reset(token)


def are_collected() -> bool:
    """Whether anybody asks what is read here."""
    return _current.get() is not None


def note(kind: str, subject_ids: Collection[UUID]) -> None:
    """Say that something of theirs is read; outside of any block it is nobody's concern."""
    reads = _current.get()
    if reads is not None and len(subject_ids) > 0:
        reads.subjects.update(subject_ids)
        reads.kinds.add(kind)


def note_readings(stream_ids: Collection[UUID]) -> None:
    """Say that half-hours are read, unless they are of so many that only a total comes of them."""
    if len(stream_ids) <= MOST_AT_ONCE:
        note("readings", stream_ids)
