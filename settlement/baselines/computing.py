"""Baselines: what each meter would have shown without the event, by a rule that is data (`rules.py`).

Pure numpy over whole Wh `int64[stream, day, 50]` with a mask: no ORM, no clock. Means are kept as exact
fractions over one common denominator and rounded once, to whole Wh, half to even.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from math import lcm
from typing import Final

import numpy as np

from settlement.baselines import adjusting
from settlement.baselines.arrays import (
    NOTHING_GIVEN,
    Cube,
    EventDays,
    Given,
    Mask,
    Places,
    Streams,
    Wh,
    readings_at,
)
from settlement.baselines.clock import LocalHalfHour, local_half_hour
from settlement.baselines.days import (
    excluded_days,
    like_days,
    own_days,
    reach,
    reaches_further,
    window_half_hours,
)
from settlement.baselines.errors import InputMissing
from settlement.baselines.estimating import Exact, History, estimate
from settlement.baselines.rules import BaselineRule, Busy, DayType, Method

# A block's readings fit the second-level cache; fewer streams would cost more in calls than they save.
BLOCK_READINGS: Final = 2**17
SPARE_DAYS: Final = 3  # looked at in the first pass, by rules whose readings decide how far they look
SMALLEST_BLOCK, LARGEST_BLOCK = 256, 2048


@dataclass(frozen=True, slots=True)
class Warmth:
    """Tenths of a degree below the rule's base, not under nought: of the like days, newest first, and of the
    day itself. The masks say where it is known.
    """

    days: Wh
    has_days: Mask
    own: Wh
    has_own: Mask


@dataclass(frozen=True, slots=True)
class DayPart:
    """The half-hours of one civil day (event first, then adjustment window) and the like days before it.

    Arrays run over [stream, like day newest first]: `candidate` days the rule looked at, `kept` those it did
    not drop as too high or too low, `is_low` those left out for low use; a kept day with a reading makes the
    mean of that half-hour. `day_count` is [stream, half-hour]; `warmth` [like day, half-hour] is there when a
    regression was given temperatures.
    """

    day: date
    kind: DayType
    starts: tuple[datetime, ...]
    half_hours: tuple[LocalHalfHour, ...]
    event_count: int
    pool: tuple[date, ...]
    is_event_day: Mask
    is_low: Mask
    candidate: Mask
    kept: Mask
    day_count: Wh
    cube: Cube
    places: Places
    warmth: Warmth | None = None

    @property
    def has_mean(self) -> Mask:
        """[stream, half-hour]: enough days with a reading."""
        return self.day_count >= self.kind.minimum

    def history(self, streams: Streams) -> tuple[Wh, Mask]:
        """Wh and mask [stream, like day, half-hour] of some of the streams."""
        return self.places.read_by_stream(self.cube, streams, len(self.pool))

    def counted(self) -> tuple[Wh, Mask]:
        """The same of every stream, of the days the rule looked at for it; nothing of the others."""
        days = np.flatnonzero(self.candidate.any(axis=0))
        wh, has = self.places.read_by_stream(self.cube, slice(None), len(self.pool), only=days.tolist())
        if not self.candidate[:, days].all():
            has &= self.candidate[:, :, None]
            wh[~has] = 0
        return wh, has

    @property
    def history_wh(self) -> Wh:
        """Wh [stream, like day, half-hour] of every stream; 0 without a reading."""
        return self.history(slice(None))[0]

    @property
    def has_history(self) -> Mask:
        """[stream, like day, half-hour]: there is a reading."""
        return self.history(slice(None))[1]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline of each stream in each event half-hour, whole Wh; `present` is False where there is none.

    The in-day adjustment of stream i is `adjustment_over[i] / adjustment_under[i]`: Wh a half-hour that are
    added, or for a ratio the factor. `window_counted` are the window half-hours it compares; `is_bounded`
    streams met the rule's floor or cap. `parts` are empty for rules that use no days.
    """

    rule: BaselineRule
    starts: tuple[datetime, ...]
    wh: Wh
    present: Mask
    adjustment_over: Exact
    adjustment_under: Exact
    is_bounded: Mask
    parts: tuple[DayPart, ...]
    window: tuple[datetime, ...]
    window_metered_wh: Wh
    window_has_reading: Mask
    window_counted: Mask


def baseline(
    rule: BaselineRule,
    cube: Cube,
    event: Sequence[datetime],
    event_days: Sequence[Collection[date]] | EventDays,
    *,
    busy: Mask | None = None,
    given: Given = NOTHING_GIVEN,
) -> Baseline:
    """Baselines of every stream of the cube for the event's half-hours (UTC starts, in order).

    `event_days[i]` are the civil days on which stream i took part in any event; days of this event and later
    are never looked at. `busy` [stream, window half-hour] is True where the stream took part in another
    event. Every half-hour is taken with the like days before its own civil day. Raises DayNotLoaded unless
    the cube holds `days_needed(...)`, and InputMissing.
    """
    streams, window = len(cube.net_wh), window_half_hours(rule, event)
    plans = _plans(rule, cube, event, window, EventDays.of(event_days), given) if rule.uses_days else []
    result = _Result.empty(rule, cube, tuple(event), tuple(window), busy)
    size = _block_size(rule, plans)
    for start in range(0, streams, size):
        block = slice(start, min(start + size, streams))
        if rule.uses_days:
            estimates = [plan.estimate(rule, block) for plan in plans]
        else:
            estimates = [_without_days(rule, event, block, given)]
        result.finish(block, estimates)
    return result.baseline([plan.part() for plan in plans])


def _block_size(rule: BaselineRule, plans: Sequence[_Plan]) -> int:
    readings = max((plan.reached * len(plan.half_hours) for plan in plans), default=1)
    if rule.method is Method.ROLLING:  # goes through the days one by one, so only one of them has to fit
        return LARGEST_BLOCK // 2
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, BLOCK_READINGS // max(readings, 1)))


@dataclass(frozen=True, slots=True)
class _Level:
    """Unadjusted `over / scale` [half-hour, stream] of some half-hours (columns) of event and window."""

    columns: tuple[int, ...]
    over: Exact
    scale: int
    has: Mask


@dataclass(slots=True)
class _Plan:
    """One civil day's half-hours, planned once and worked out block by block."""

    day: date
    kind: DayType
    starts: tuple[datetime, ...]
    columns: tuple[int, ...]
    half_hours: tuple[LocalHalfHour, ...]
    event_count: int
    pool: tuple[date, ...]
    cube: Cube
    places: Places
    excluded: Mask
    reached: int
    low: Mask
    candidate: Mask
    kept: Mask
    count: Wh
    warmth: Warmth | None

    def estimate(self, rule: BaselineRule, block: slice) -> _Level:
        """The block's levels; streams that have to look further back than the rest are done again."""
        over, scale = self._estimate(rule, block, self.reached)
        if len(self.pool) > self.reached:
            found = self.candidate[: self.reached, block].sum(axis=0)
            short = np.flatnonzero(found < self.kind.candidates) + block.start
            if len(short):
                again, other = self._estimate(rule, short, len(self.pool))
                common = lcm(scale, other)
                over = over * (common // scale)
                over[:, short - block.start] = again * (common // other)
                scale = common
        return _Level(self.columns, over, scale, self.count[:, block] >= self.kind.minimum)

    def _estimate(self, rule: BaselineRule, streams: Streams, days: int) -> tuple[Exact, int]:
        wh, has = self.places.read(self.cube, streams, days)
        history = History(wh, has, self.excluded[:days, streams], self.event_count or len(self.half_hours))
        warmth = self.warmth
        if warmth is not None:
            history = replace(
                history,
                warmth=warmth.days[:days, :, None],
                has_warmth=warmth.has_days[:days, :, None],
                event_warmth=warmth.own[:, None],
                has_event_warmth=warmth.has_own[:, None],
            )
        found = estimate(rule, self.kind, history)
        self.low[:days, streams] = found.low
        self.candidate[:days, streams] = found.candidate
        self.kept[:days, streams] = found.kept
        self.count[:, streams] = found.count
        return found.over, found.scale

    def part(self) -> DayPart:
        """The part as it was worked out, with no more of the pool than somebody needed."""
        used = self.candidate.any(axis=1) | self.low.any(axis=1)
        days = max(self.reached, int(np.flatnonzero(used).max(initial=-1)) + 1)
        if days > self.reached:
            days = len(self.pool)
        return DayPart(
            day=self.day,
            kind=self.kind,
            starts=self.starts,
            half_hours=self.half_hours,
            event_count=self.event_count,
            pool=self.pool[:days],
            is_event_day=self.excluded[:days].T,
            is_low=self.low[:days].T,
            candidate=self.candidate[:days].T,
            kept=self.kept[:days].T,
            day_count=self.count.T,
            cube=self.cube,
            places=self.places,
            warmth=self.warmth,
        )


@dataclass(frozen=True, slots=True)
class _Temperatures:
    """Temperatures in the shape of a cube of one stream."""

    days: Sequence[date]
    net_wh: Wh
    present: Mask


@dataclass(slots=True)
class _Result:
    """Arrays of the result, filled block by block."""

    rule: BaselineRule
    starts: tuple[datetime, ...]
    window: tuple[datetime, ...]
    wh: Wh
    present: Mask
    over: Exact
    under: Exact
    is_bounded: Mask
    metered_wh: Wh
    has_reading: Mask
    free: Mask
    counted: Mask

    @classmethod
    def empty(
        cls,
        rule: BaselineRule,
        cube: Cube,
        starts: tuple[datetime, ...],
        window: tuple[datetime, ...],
        busy: Mask | None,
    ) -> _Result:
        streams = len(cube.net_wh)
        metered_wh, has_reading = readings_at(cube, window)
        is_free = busy is None or rule.busy_window is Busy.KEEP
        return cls(
            rule=rule,
            starts=starts,
            window=window,
            wh=np.zeros((streams, len(starts)), np.int64),
            present=np.zeros((streams, len(starts)), np.bool_),
            over=np.zeros(streams, np.int64),
            under=np.ones(streams, np.int64),
            is_bounded=np.zeros(streams, np.bool_),
            metered_wh=metered_wh,
            has_reading=has_reading,
            free=has_reading if is_free else has_reading & ~np.asarray(busy, np.bool_),
            counted=np.zeros((streams, len(window)), np.bool_),
        )

    def finish(self, block: slice, levels: Sequence[_Level]) -> None:
        """Adjust and round the block's levels."""
        event, width = len(self.starts), len(self.starts) + len(self.window)
        scale = lcm(*(level.scale for level in levels))
        is_object = any(level.over.dtype == object for level in levels)
        count = block.stop - block.start
        over = np.zeros((width, count), object if is_object else np.int64)
        has = np.zeros((width, count), np.bool_)
        for level in levels:
            over[list(level.columns)] = level.over * (scale // level.scale)
            has[list(level.columns)] = level.has
        counted = has[event:] & self.free[block].T
        done = adjusting.adjust(
            self.rule, over[:event], over[event:], scale, self.metered_wh[block].T, counted
        )
        self.present[block] = has[:event].T
        self.wh[block] = np.where(has[:event], done.wh, 0).T
        self.counted[block] = counted.T
        self.is_bounded[block] = done.is_bounded
        if done.over.dtype == object and self.over.dtype != object:
            self.over, self.under = self.over.astype(object), self.under.astype(object)
        self.over[block], self.under[block] = done.over, done.under

    def baseline(self, parts: Iterable[DayPart]) -> Baseline:
        return Baseline(
            rule=self.rule,
            starts=self.starts,
            wh=self.wh,
            present=self.present,
            adjustment_over=self.over,
            adjustment_under=self.under,
            is_bounded=self.is_bounded,
            parts=tuple(parts),
            window=self.window,
            window_metered_wh=self.metered_wh,
            window_has_reading=self.has_reading,
            window_counted=self.counted,
        )


def _plans(
    rule: BaselineRule,
    cube: Cube,
    event: Sequence[datetime],
    window: Sequence[datetime],
    event_days: EventDays,
    given: Given,
) -> list[_Plan]:
    """One plan a civil day: an event over midnight has two, and each takes its own like days."""
    own = own_days(rule, event)
    located = [
        (*local_half_hour(at), column >= len(event), at, column)
        for column, at in enumerate([*event, *window])
    ]
    located.sort(key=lambda item: (item[0], item[2], item[3]))
    plans = []
    for day, group in groupby(located, key=lambda item: item[0]):
        items = list(group)
        kind, pool = rule.day_type(day), like_days(rule, day)
        excluded = excluded_days(rule, pool, own, event_days)
        reached = reach(kind, excluded)
        if reaches_further(rule):
            reached = min(len(pool), reached + SPARE_DAYS)
        else:
            pool, excluded = pool[:reached], excluded[:reached]
        half_hours = tuple(half_hour for _, half_hour, _, _, _ in items)
        places = Places.of(cube, pool, half_hours)
        starts = tuple(at for _, _, _, at, _ in items)
        plans.append(
            _Plan(
                day=day,
                kind=kind,
                starts=starts,
                columns=tuple(column for _, _, _, _, column in items),
                half_hours=half_hours,
                event_count=sum(not is_window for _, _, is_window, _, _ in items),
                pool=tuple(pool),
                cube=cube,
                places=places,
                excluded=excluded,
                reached=reached,
                low=np.zeros(excluded.shape, np.bool_),
                candidate=np.zeros(excluded.shape, np.bool_),
                kept=np.zeros(excluded.shape, np.bool_),
                count=np.zeros((len(items), excluded.shape[1]), np.int64),
                warmth=_warmth(rule, cube, places, starts, given),
            )
        )
    return plans


def _warmth(
    rule: BaselineRule, cube: Cube, places: Places, starts: Sequence[datetime], given: Given
) -> Warmth | None:
    """What a regression goes by, None for another rule or without temperatures."""
    if rule.method is not Method.REGRESSION or given.temperature_tenths_c is None:
        return None
    tenths = np.asarray(given.temperature_tenths_c)[None]
    has = np.ones(tenths.shape, np.bool_) if given.has_temperature is None else given.has_temperature[None]
    temperatures = _Temperatures(cube.days, tenths, has)
    wh, has_days = places.read(temperatures, slice(None), len(places.rows))
    own, has_own = readings_at(temperatures, starts)
    base = rule.heating_base_tenths_c
    return Warmth(
        np.where(has_days, np.maximum(base - wh, 0), 0)[:, :, 0],
        has_days[:, :, 0],
        np.where(has_own, np.maximum(base - own, 0), 0)[0],
        has_own[0],
    )


def _without_days(rule: BaselineRule, event: Sequence[datetime], block: slice, given: Given) -> _Level:
    """Levels of the rules that use no days of the meter; they have no window in common use."""
    count = block.stop - block.start
    starts = [*event, *window_half_hours(rule, event)]
    columns = tuple(range(len(starts)))
    has = np.ones((len(starts), count), np.bool_)
    if rule.method is Method.ZERO:
        return _Level(columns, np.zeros(has.shape, np.int64), 1, has)
    if rule.method is Method.PROFILE:
        profiles = dict(rule.profile_w)
        where = [local_half_hour(at) for at in starts]
        watts = np.array([profiles[rule.day_type(day).name][at.ordinal] for day, at in where], np.int64)
        units = np.ones(count, np.int64) if given.units is None else given.units[block]
        return _Level(columns, watts[:, None] * units[None, :], 2, has)
    if given.nominated_wh is None or given.has_nominated is None:
        raise InputMissing(rule=rule.name, input="nominated_wh")
    over = np.zeros(has.shape, np.int64)
    has = np.zeros(has.shape, np.bool_)
    over[: len(event)] = given.nominated_wh[block].T
    has[: len(event)] = given.has_nominated[block].T
    return _Level(columns, over, 1, has)
