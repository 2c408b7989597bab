"""Baselines: what each meter would have shown without the event, by a rule that is data (`rules.py`).

Pure numpy over whole Wh `int64[stream, day, 50]` with a mask: no ORM, no clock. Means are kept as exact
fractions over one common denominator and rounded once, to whole Wh, half to even. A missing reading is
never a zero: its day drops out of that half-hour's mean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from math import lcm
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.periods import period_count
from settlement.baselines.alignment import LocalHalfHour, local_half_hour, slot_of
from settlement.baselines.rules import Adjustment, BaselineRule, DayType, Gaps, Keep

Wh = NDArray[np.int64]
Mask = NDArray[np.bool_]

ONE_DAY: Final = timedelta(days=1)


class Cube(Protocol):
    """Net Wh of streams by civil day and slot (settlement period less one), as `metering.store` gives."""

    @property
    def days(self) -> Sequence[date]: ...
    @property
    def net_wh(self) -> Wh: ...
    @property
    def present(self) -> Mask: ...


class DayNotLoaded(LookupError):
    """The cube lacks a day the rule has to look at; an empty day must be there, masked."""


@dataclass(frozen=True, slots=True)
class DayPart:
    """The half-hours of one civil day (event first, then adjustment window) and the like days before it.

    Arrays run over [stream, like day newest first, half-hour]: `candidate` days the rule looked at, `kept`
    those it did not drop as too high or too low; a kept day with a reading makes the mean of that half-hour.
    """

    day: date
    kind: DayType
    starts: tuple[datetime, ...]
    half_hours: tuple[LocalHalfHour, ...]
    event_count: int
    pool: tuple[date, ...]
    is_event_day: Mask
    candidate: Mask
    kept: Mask
    history_wh: Wh
    has_history: Mask
    day_count: Wh
    sum_wh: Wh

    @property
    def has_mean(self) -> Mask:
        """[stream, half-hour]: enough days with a reading."""
        return self.day_count >= self.kind.minimum


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline of each stream in each event half-hour, whole Wh; `present` is False where there is none.

    The in-day adjustment of stream i is `adjustment_over[i] / adjustment_under[i]` Wh a half-hour.
    """

    rule: BaselineRule
    starts: tuple[datetime, ...]
    wh: Wh
    present: Mask
    adjustment_over: Wh
    adjustment_under: Wh
    parts: tuple[DayPart, ...]
    window_metered_wh: Wh
    window_has_reading: Mask


def baseline(
    rule: BaselineRule, cube: Cube, event: Sequence[datetime], event_days: Sequence[Collection[date]]
) -> Baseline:
    """Baselines of every stream of the cube for the event's half-hours (UTC starts, in order).

    `event_days[i]` are the civil days on which stream i took part in any event; days of this event and later
    are never looked at. Every half-hour is taken with the like days before its own civil day. Raises
    DayNotLoaded unless the cube holds `days_needed(...)`.
    """
    window = window_half_hours(rule, event)
    parts = tuple(_day_parts(rule, cube, event, window, event_days))
    scale = lcm(*range(1, 1 + max(_most_days(kind) for kind in rule.day_types)))
    streams = len(cube.net_wh)
    unadjusted = np.zeros((streams, len(event)), np.int64)
    present = np.zeros((streams, len(event)), np.bool_)
    window_over = np.zeros((streams, len(window)), np.int64)
    window_present = np.zeros((streams, len(window)), np.bool_)
    for part in parts:
        over = part.sum_wh * (scale // np.maximum(part.day_count, 1))
        for column, start in enumerate(part.starts):
            if column < part.event_count:
                unadjusted[:, event.index(start)] = over[:, column]
                present[:, event.index(start)] = part.has_mean[:, column]
            else:
                window_over[:, window.index(start)] = over[:, column]
                window_present[:, window.index(start)] = part.has_mean[:, column]
    metered, has_reading = readings_at(cube, window)
    differing = window_present & has_reading
    half_hours = differing.sum(axis=1)
    adjustment_over = np.where(differing, metered * scale - window_over, 0).sum(axis=1)
    if rule.adjustment is Adjustment.ADDITIVE_UP_ONLY:
        adjustment_over = np.maximum(adjustment_over, 0)
    adjustment_under = scale * np.maximum(half_hours, 1)
    numerator = unadjusted * np.maximum(half_hours, 1)[:, None] + adjustment_over[:, None]
    wh = np.where(present, half_even(numerator, adjustment_under[:, None]), 0)
    return Baseline(
        rule=rule,
        starts=tuple(event),
        wh=wh,
        present=present,
        adjustment_over=adjustment_over,
        adjustment_under=adjustment_under,
        parts=parts,
        window_metered_wh=metered,
        window_has_reading=has_reading,
    )


def like_days(rule: BaselineRule, day: date) -> list[date]:
    """Days of the same type before `day` within the look-back, newest first; event days still among them."""
    kind = rule.day_type(day)
    back = (day - ONE_DAY * n for n in range(1, rule.look_back_days + 1))
    return [
        past
        for past in back
        if rule.day_type(past) == kind
        and not (rule.leaves_out_clock_change_days and period_count(past) != 48)
    ]


def candidate_days(rule: BaselineRule, day: date, left_out: Collection[date] = ()) -> list[date]:
    """The days the rule looks at for one household, newest first, were every reading there.

    `left_out` are the civil days on which it took part in an event.
    """
    kind = rule.day_type(day)
    return [past for past in like_days(rule, day) if past not in left_out][: kind.candidates]


def days_needed(
    rule: BaselineRule, event: Sequence[datetime], event_days: Iterable[Collection[date]]
) -> list[date]:
    """Every civil day whose readings the rule may look at, for any of the streams, oldest first."""
    own = frozenset(local_half_hour(at)[0] for at in [*event, *window_half_hours(rule, event)])
    is_used = rule.leaves_out_event_days
    left_out = {own | frozenset(days) if is_used else own for days in event_days} or {own}
    needed = set(own)
    for day in own:
        pool = like_days(rule, day)
        if rule.gaps is Gaps.DROP:
            found = [candidate_days(rule, day, days) for days in left_out]
            is_enough = all(len(days) == rule.day_type(day).candidates for days in found)
            oldest = min(days[-1] for days in found) if is_enough else date.min
            pool = [past for past in pool if past >= oldest]
        needed.update(pool)
    return sorted(needed)


def window_half_hours(rule: BaselineRule, event: Sequence[datetime]) -> list[datetime]:
    """Starts of the adjustment window's half-hours, in order; none for a rule without adjustment."""
    before = rule.window_ends_half_hours_before + rule.window_half_hours
    return [event[0] + HALF_HOUR * (n - before) for n in range(rule.window_half_hours)]


def readings_at(cube: Cube, starts: Sequence[datetime]) -> tuple[Wh, Mask]:
    """Net Wh and mask [stream, half-hour] at these UTC half-hours; a masked value reads 0."""
    where = [local_half_hour(at) for at in starts]
    rows = _day_rows(cube, [day for day, _ in where])
    slots = np.array([slot_of(half_hour, day) or 0 for day, half_hour in where], np.int64)
    present = cube.present[:, rows, slots]
    return np.where(present, cube.net_wh[:, rows, slots], 0), present


def half_even(numerator: Wh, denominator: Wh) -> Wh:
    """Integer division rounded half to even; the denominator is positive."""
    whole, rest = np.divmod(numerator, denominator)
    up = (2 * rest > denominator) | ((2 * rest == denominator) & (whole % 2 == 1))
    return np.asarray(whole + up, np.int64)


def _most_days(kind: DayType) -> int:
    return kind.candidates if kind.kept is None else kind.kept


def _day_rows(cube: Cube, days: Iterable[date]) -> NDArray[np.intp]:
    row_of = {day: row for row, day in enumerate(cube.days)}
    try:
        return np.array([row_of[day] for day in days], np.intp)
    except KeyError as missing:
        raise DayNotLoaded(f"the cube has no {missing.args[0]}") from None


def _day_parts(
    rule: BaselineRule,
    cube: Cube,
    event: Sequence[datetime],
    window: Sequence[datetime],
    event_days: Sequence[Collection[date]],
) -> Iterable[DayPart]:
    """One part a civil day: an event over midnight has two, and each takes its own like days."""
    located = [(*local_half_hour(at), is_window, at) for is_window, at in _tagged(event, window)]
    located.sort(key=lambda item: (item[0], item[2], item[3]))
    own_days = {day for day, _, _, _ in located}
    for day, group in groupby(located, key=lambda item: item[0]):
        items = list(group)
        yield _day_part(
            rule,
            cube,
            day,
            starts=tuple(at for _, _, _, at in items),
            half_hours=tuple(half_hour for _, half_hour, _, _ in items),
            event_count=sum(not is_window for _, _, is_window, _ in items),
            own_days=own_days,
            event_days=event_days,
        )


def _tagged(event: Sequence[datetime], window: Sequence[datetime]) -> Iterable[tuple[bool, datetime]]:
    yield from ((False, at) for at in event)
    yield from ((True, at) for at in window)


def _day_part(
    rule: BaselineRule,
    cube: Cube,
    day: date,
    *,
    starts: tuple[datetime, ...],
    half_hours: tuple[LocalHalfHour, ...],
    event_count: int,
    own_days: Collection[date],
    event_days: Sequence[Collection[date]],
) -> DayPart:
    kind = rule.day_type(day)
    pool = like_days(rule, day)
    excluded = _event_day_mask(pool, own_days, event_days, is_used=rule.leaves_out_event_days)
    reached = _reach(rule, kind, excluded)
    pool, excluded = pool[:reached], excluded[:, :reached]
    history_wh, has_history = _history(cube, pool, half_hours)
    ranked = slice(0, event_count or None)
    eligible = ~excluded
    if rule.gaps is Gaps.REACH_BACK:
        eligible &= has_history[:, :, ranked].all(axis=2)
    candidate = eligible & (np.cumsum(eligible, axis=1) <= kind.candidates)
    kept = _kept(kind, candidate, history_wh[:, :, ranked], has_history[:, :, ranked])
    used = kept[:, :, None] & has_history
    return DayPart(
        day=day,
        kind=kind,
        starts=starts,
        half_hours=half_hours,
        event_count=event_count,
        pool=tuple(pool),
        is_event_day=excluded,
        candidate=candidate,
        kept=kept,
        history_wh=history_wh,
        has_history=has_history,
        day_count=used.sum(axis=1),
        sum_wh=np.where(used, history_wh, 0).sum(axis=1),
    )


def _event_day_mask(
    pool: Sequence[date], own_days: Collection[date], event_days: Sequence[Collection[date]], *, is_used: bool
) -> Mask:
    """[stream, like day]: the household took part in an event that day; the event's own days always count."""
    column_of = {day: column for column, day in enumerate(pool)}
    mask = np.zeros((len(event_days), len(pool)), np.bool_)
    for day in own_days & column_of.keys():
        mask[:, column_of[day]] = True
    if is_used:
        for stream, days in enumerate(event_days):
            for day in days:
                column = column_of.get(day)
                if column is not None:
                    mask[stream, column] = True
    return mask


def _reach(rule: BaselineRule, kind: DayType, excluded: Mask) -> int:
    """How many like days have to be looked at: all when gaps reach back, else to the last candidate."""
    days: int = excluded.shape[1]
    if rule.gaps is Gaps.REACH_BACK:
        return days
    if not len(excluded):
        return min(days, kind.candidates)
    done = np.cumsum(~excluded, axis=1) >= kind.candidates
    reached: list[int] = np.where(done.any(axis=1), done.argmax(axis=1) + 1, days).tolist()
    return max(reached)


def _history(cube: Cube, pool: Sequence[date], half_hours: Sequence[LocalHalfHour]) -> tuple[Wh, Mask]:
    rows = _day_rows(cube, pool)
    slots = [[slot_of(half_hour, day) for half_hour in half_hours] for day in pool]
    exists = np.array([[slot is not None for slot in day] for day in slots], np.bool_)
    index = np.array([[slot or 0 for slot in day] for day in slots], np.intp)
    shape = (len(pool), len(half_hours))
    where = (slice(None), rows[:, None], index.reshape(shape))
    return cube.net_wh[where], cube.present[where] & exists.reshape(shape)


def _kept(kind: DayType, candidate: Mask, history_wh: Wh, has_history: Mask) -> Mask:
    """Candidates that make the mean; ranked by their mean over the half-hours, the newer of two equals
    first.
    """
    if kind.kept is None:
        return candidate
    readings = has_history.sum(axis=2)
    scale = lcm(*range(1, 1 + has_history.shape[2]))
    mean = np.where(has_history, history_wh, 0).sum(axis=2) * (scale // np.maximum(readings, 1))
    rankable = candidate & (readings > 0)
    count = rankable.sum(axis=1)[:, None]
    key = -mean if kind.keep is Keep.HIGH else mean
    order = np.argsort(np.where(rankable, key, np.iinfo(np.int64).max), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
    spare = np.maximum(count - kind.kept, 0)
    lowest_rank = spare // 2 if kind.keep is Keep.MID else np.zeros_like(spare)
    return np.asarray(rankable & (rank >= lowest_rank) & (rank < lowest_rank + count - spare), np.bool_)
