"""Results that take long to work out, kept in the cache for whoever asks next; always with when that was.

The cache may forget at any time, and two who ask at once both work: what is kept is never the only copy of
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.core.cache import cache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
KEPT: Final = "kept:"
NEVER_AHEAD: Final = timedelta(0)


def kept_each(
    key: str,
    wanted: Iterable[K],
    *,
    at: datetime,
    lasts: timedelta,
    work: Callable[[Sequence[K]], Mapping[K, V]],
) -> dict[K, tuple[V, datetime]]:
    """Each of `wanted` with its result and when that was worked out, in their order.

    `work` is given those that are not kept, or not of the time `lasts` before `at`, and has to give all of
    them. What else is kept under `key`, and recent, stays. A result of None counts as one.
    """
    asked = list(dict.fromkeys(wanted))
    found: dict[K, tuple[V, datetime]] = cache.get(KEPT + key, {})
    known = {name: each for name, each in found.items() if NEVER_AHEAD <= at - each[1] < lasts}
    missing = [name for name in asked if name not in known]
    if missing:
        results = work(missing)
        known |= {name: (results[name], at) for name in missing}
        cache.set(KEPT + key, known, lasts.total_seconds())
    return {name: known[name] for name in asked}


def kept(key: str, *, at: datetime, lasts: timedelta, work: Callable[[], V]) -> tuple[V, datetime]:
    """One result and when it was worked out, at most `lasts` before `at`."""
    return kept_each(key, [""], at=at, lasts=lasts, work=lambda _: {"": work()})[""]


def forget(key: str) -> None:
    """The next to ask has it worked out anew."""
    cache.delete(KEPT + key)
