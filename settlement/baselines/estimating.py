"""Unadjusted baselines of a block of streams from their like days: mean, rolling mean, regression.

Arrays are [like day newest first, half-hour, stream], so that every step runs along streams. Results are
whole numbers over a common `scale`: means exactly, the other two to a millionth of a Wh.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from settlement.baselines.arrays import Mask, Wh
from settlement.baselines.rules import BaselineRule, DayType, Gaps, Keep, Method

MILLIONTHS: Final = 1_000_000
SAFE: Final = 2**62
MOST_COMPARED: Final = 24

Exact = NDArray[Any]  # int64, or Python integers where int64 could overflow


@dataclass(frozen=True, slots=True)
class History:
    """Like days of one civil day's half-hours for a block of streams; the first `ranked` decide the rank."""

    wh: Wh
    has: Mask
    excluded: Mask
    ranked: int
    warmth: Wh | None = None
    has_warmth: Mask | None = None
    event_warmth: Wh | None = None
    has_event_warmth: Mask | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """`over / scale` Wh [half-hour, stream] where `count` days make it; which days, and which were low."""

    over: Exact
    scale: int
    count: Wh
    candidate: Mask
    kept: Mask
    low: Mask


def estimate(rule: BaselineRule, kind: DayType, history: History) -> Estimate:
    """The unadjusted baseline by the rule's method."""
    eligible = ~history.excluded
    if rule.gaps is Gaps.REACH_BACK:
        eligible &= history.has[:, : history.ranked].all(axis=1)
    low = np.zeros_like(eligible)
    if rule.low_use_pct:
        low = _low_use(rule, kind, history, eligible)
        eligible &= ~low
    candidate = first_of(eligible, kind.candidates)
    kept = _kept(kind, history, candidate)
    if rule.gaps is Gaps.WHOLE_DAY:
        kept = kept & history.has[:, : history.ranked].all(axis=1)
    if rule.method is Method.ROLLING:
        over, count = _rolling(rule, history, kept)
        return Estimate(over, MILLIONTHS, count, candidate, kept, low)
    if rule.method is Method.REGRESSION:
        over, count = _regression(history, kept)
        return Estimate(over, MILLIONTHS, count, candidate, kept, low)
    total, count = _sums(history, kept)
    scale = lcm(*_denominators(count))
    if largest(total) * scale >= SAFE:
        total = total.astype(object)
    return Estimate(total * (scale // np.maximum(count, 1)), scale, count, candidate, kept, low)


def first_of(eligible: Mask, count: int) -> Mask:
    """The first `count` True along the days."""
    return np.asarray(eligible & (running(eligible) <= count), np.bool_)


def running(mask: Mask) -> NDArray[np.int16]:
    """How many True there are up to and with each row; a row at a time is faster here than cumsum."""
    count = np.empty(mask.shape, np.int16)
    if len(mask):
        count[0] = mask[0]
    for row in range(1, len(mask)):
        np.add(count[row - 1], mask[row].view(np.int8), out=count[row])
    return count


def _denominators(count: Wh) -> list[int]:
    """The different counts above nought."""
    return [int(number) for number in np.flatnonzero(np.bincount(count.ravel())) if number]


def largest(values: Exact) -> int:
    """The largest absolute value, as a Python integer; 0 of none."""
    return max(int(values.max()), -int(values.min())) if values.size else 0


def _sums(history: History, kept: Mask) -> tuple[Exact, Wh]:
    """Sum and number of readings of the kept days, [half-hour, stream]."""
    if kept.all() and history.has.all():
        days, half_hours, streams = history.wh.shape
        return history.wh.sum(axis=0), np.full((half_hours, streams), days, np.int64)
    used = kept[:, None, :] & history.has
    counted = np.uint8 if len(used) < 256 else np.int64
    count = np.add.reduce(used.view(np.uint8), axis=0, dtype=counted).astype(np.int64)
    return (history.wh * used).sum(axis=0), count


def _use(history: History) -> tuple[Exact, Wh]:
    """Each day's mean use in the ranked half-hours, over a common denominator, and its readings there."""
    total = history.wh[:, : history.ranked].sum(axis=1)
    has = history.has[:, : history.ranked]
    if has.all():
        return total, np.full(total.shape, history.ranked, np.int64)
    readings = has.sum(axis=1)
    scale = lcm(*_denominators(readings))
    if largest(total) * scale >= SAFE // 2**16:
        total = total.astype(object)
    return total * (scale // np.maximum(readings, 1)), readings


def _low_use(rule: BaselineRule, kind: DayType, history: History, eligible: Mask) -> Mask:
    """Days under the rule's share of the mean of the most recent candidates; none unless that is positive."""
    use, readings = _use(history)
    rankable = eligible & (readings > 0)
    reference = first_of(eligible, kind.candidates) & rankable
    total = (use * reference).sum(axis=0)
    low = use * (100 * reference.sum(axis=0)) < rule.low_use_pct * total
    return np.asarray(rankable & low & (total > 0), np.bool_)


def _kept(kind: DayType, history: History, candidate: Mask) -> Mask:
    """Candidates that make the mean; ranked by their use, the newer of two equals first."""
    if kind.kept is None:
        return candidate
    if kind.keep is Keep.RECENT:
        return first_of(candidate & history.has[:, : history.ranked].any(axis=1), kind.kept)
    use, readings = _use(history)
    rankable = candidate & (readings > 0)
    count = rankable.sum(axis=0)
    spare = np.maximum(count - kind.kept, 0)
    rank = _rank(-use if kind.keep is Keep.HIGH else use, rankable)
    lowest = spare // 2 if kind.keep is Keep.MID else np.zeros_like(spare)
    return np.asarray(rankable & (rank >= lowest) & (rank < lowest + count - spare), np.bool_)


def _rank(key: Exact, rankable: Mask) -> NDArray[np.int16]:
    """Place of each rankable day in ascending order of key, the earlier row first among equals."""
    days = len(key)
    rank = np.empty(key.shape, np.int16)
    if days <= MOST_COMPARED and key.dtype != object:
        key = np.where(rankable, key, np.iinfo(np.int64).max)
        # All older days come before each until it is seen not to come after them.
        rank[:] = np.arange(days - 1, -1, -1, dtype=np.int16)[:, None]
        for newer in range(days - 1):
            is_before = (key[newer] <= key[newer + 1 :]).view(np.int8)
            rank[newer + 1 :] += is_before
            rank[newer] -= np.add.reduce(is_before, axis=0, dtype=np.int16)
        return rank
    order = np.lexsort((np.broadcast_to(np.arange(days)[:, None], key.shape), key, ~rankable), axis=0)
    np.put_along_axis(rank, order, np.arange(days, dtype=np.int16)[:, None], axis=0)
    return rank


def _rolling(rule: BaselineRule, history: History, kept: Mask) -> tuple[Wh, Wh]:
    """The oldest `seed_days` readings' mean, then each later reading with its weight; to a millionth."""
    weight = rule.newest_weight_pct / 100
    shape = history.wh.shape[1:]
    if not len(kept):
        return np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    level, total, step = np.zeros(shape), np.zeros(shape), np.empty(shape)
    count, is_used, is_seeded = np.zeros(shape, np.int16), np.empty(shape, np.bool_), False
    for wh, has, is_kept in zip(history.wh[::-1], history.has[::-1], kept[::-1], strict=True):
        np.logical_and(has, is_kept, out=is_used)
        count += is_used.view(np.int8)
        is_seeded = is_seeded or int(count.min()) > rule.seed_days
        if is_seeded:
            np.subtract(wh, level, out=step)
            step *= weight
            if not is_used.all():
                step *= is_used
            level += step
            continue
        is_seed = is_used & (count <= rule.seed_days)
        total += wh * is_seed
        rolled = level + (wh - level) * weight
        level = np.where(is_seed, total / np.maximum(count, 1), np.where(is_used, rolled, level))
    return _in_millionths(level), count.astype(np.int64)


def _regression(history: History, kept: Mask) -> tuple[Wh, Wh]:
    """A level for each half-hour and one slope a stream against warmth; the mean without temperatures.

    The slope is fitted over the ranked half-hours; where the event's own temperature is unknown it is nought.
    """
    used = kept[:, None, :] & history.has
    if history.warmth is None or history.has_warmth is None:
        total, count = _sums(history, kept)
        return _in_millionths(total / np.maximum(count, 1)), count
    used &= history.has_warmth
    count = used.sum(axis=0)
    days = np.maximum(count, 1)
    x = np.where(used, history.warmth, 0)
    y = np.where(used, history.wh, 0)
    sum_x, sum_y = x.sum(axis=0), y.sum(axis=0)
    ranked = slice(0, history.ranked)
    together = ((x * y).sum(axis=0) - sum_x * sum_y / days)[ranked].sum(axis=0)
    spread = ((x * x).sum(axis=0) - sum_x * sum_x / days)[ranked].sum(axis=0)
    slope = np.divide(together, spread, out=np.zeros_like(together), where=spread > 1e-9)
    event = np.where(history.has_event_warmth, history.event_warmth, sum_x / days)  # type: ignore[arg-type]
    return _in_millionths(sum_y / days + slope * (event - sum_x / days)), count


def _in_millionths(level: NDArray[np.float64]) -> Wh:
    return np.asarray(np.rint(level * MILLIONTHS), np.int64)
