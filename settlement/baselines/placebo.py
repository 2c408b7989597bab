"""Placebo studies: how far rules are off on days without an event, where the truth is what the meter shows.

A pretend event is laid on every event-free day of a stretch; the error of a half-hour is baseline less
metered, so a positive bias pays too much for turning down. Method: CAISO baseline working group 2017. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from settlement.baselines.arrays import (
    NOTHING_GIVEN,
    Cube,
    EventDays,
    Given,
    Mask,
    Places,
    Wh,
    readings_at,
)
from settlement.baselines.clock import LocalHalfHour, half_hours_of, slot_of
from settlement.baselines.computing import baseline
from settlement.baselines.control_group import ControlGroup, control_baseline, hold_out
from settlement.baselines.days import days_needed, like_days
from settlement.baselines.rules import BaselineRule, Method

Progress = Callable[[int, int], None]

RESAMPLES: Final = 1000
INTERVAL: Final = (2.5, 97.5)
EVENT_INTERVAL: Final = (5.0, 95.0)
MOST_BIAS_PCT: Final = 2.0
ENOUGH_COVERAGE: Final = 0.9
REGRESSION: Final = Method.REGRESSION
NEEDS_MORE: Final = frozenset({Method.NOMINATED, REGRESSION})


@dataclass(frozen=True, slots=True)
class HomeScore:
    """One home under one rule, in percent of its mean use in the pretend events; None where that is nought.

    `measured` half-hours have both a baseline and a reading.
    """

    stream: int
    measured: int
    bias_pct: float | None
    rrmse_pct: float | None


@dataclass(frozen=True, slots=True)
class RuleScore:
    """One rule over all homes and pretend events.

    `coverage` is the share of read half-hours that got a baseline. Of the portfolio, all homes summed in each
    half-hour: `bias_pct` with a 95 % interval by bootstrap over days, `rrmse_pct` by half-hour, and the range
    in which nine events of ten fell. Of single homes: the medians.
    """

    rule: BaselineRule | ControlGroup
    homes: int
    events: int
    coverage: float
    bias_pct: float | None
    bias_low_pct: float | None
    bias_high_pct: float | None
    rrmse_pct: float | None
    event_low_pct: float | None
    event_high_pct: float | None
    home_bias_pct: float | None
    home_rrmse_pct: float | None
    by_home: tuple[HomeScore, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """Scores of the rules in the order asked; `days` carried a pretend event that some home measured."""

    days: tuple[date, ...]
    half_hours: tuple[LocalHalfHour, ...]
    seed: int
    scores: tuple[RuleScore, ...]
    has_temperatures: bool = False

    @property
    def best(self) -> RuleScore | None:
        """The rule to suggest: see `best_of`."""
        return best_of(self.scores, has_temperatures=self.has_temperatures)


def best_of(scores: Sequence[RuleScore], *, has_temperatures: bool = False) -> RuleScore | None:
    """Of the rules that cover nearly as much as any, the least RRMSE among those with a bias within 2 %.

    A control group and a rule that needs more than was there are measured and never best: nothing is settled
    by them. Where none is within, the least bias: what is wrong on the whole is paid every time, noise evens
    out.
    """
    wanting = NEEDS_MORE - {REGRESSION} if has_temperatures else NEEDS_MORE
    ruled = [
        score for score in scores if isinstance(score.rule, BaselineRule) and score.rule.method not in wanting
    ]
    widest = max((score.coverage for score in ruled), default=0.0)
    able = [
        (score, abs(score.bias_pct), score.rrmse_pct)
        for score in ruled
        if score.bias_pct is not None
        and score.rrmse_pct is not None
        and score.coverage >= ENOUGH_COVERAGE * widest
    ]
    fair = [each for each in able if each[1] <= MOST_BIAS_PCT]
    if fair:
        return min(fair, key=lambda each: each[2])[0]
    return min(able, key=lambda each: each[1])[0] if able else None


def pretend_days(
    rules: Sequence[BaselineRule | ControlGroup],
    cube: Cube,
    half_hours: Sequence[LocalHalfHour],
    *,
    earliest: date | None = None,
    latest: date | None = None,
) -> list[date]:
    """Days of the cube in the stretch on which every rule has all the days it may look at."""
    found = []
    loaded = set(cube.days)
    for day in sorted(loaded):
        if (earliest and day < earliest) or (latest and day > latest):
            continue
        event = pretend_event(day, half_hours)
        ruled = [rule for rule in rules if isinstance(rule, BaselineRule)]
        needed = (days_needed(rule, event, [()]) for rule in ruled) if event else iter(([date.min],))
        if all(loaded.issuperset(days) for days in needed):
            found.append(day)
    return found


def pretend_event(day: date, half_hours: Sequence[LocalHalfHour]) -> list[datetime]:
    """UTC starts of these times of the clock on the day; empty when the day leaves one of them out."""
    starts, slots = half_hours_of(day), [slot_of(half_hour, day) for half_hour in half_hours]
    return [] if None in slots else [starts[slot] for slot in slots if slot is not None]


def study(
    rules: Sequence[BaselineRule | ControlGroup],
    cube: Cube,
    days: Sequence[date],
    half_hours: Sequence[LocalHalfHour],
    event_days: Sequence[Collection[date]] | EventDays,
    *,
    given: Given = NOTHING_GIVEN,
    seed: int = 0,
    progress: Progress | None = None,
) -> Study:
    """Lay a pretend event on each day and score every rule.

    A home's own event days are not measured and, as its rule says, not used; a control group covers the homes
    it did not hold out. Raises DayNotLoaded when the
    cube lacks days a rule looks at, which it does not on `pretend_days`. The same seed gives the same
    intervals.
    """
    took_part = EventDays.of(event_days)
    events = [(day, pretend_event(day, half_hours)) for day in days]
    events = [(day, event) for day, event in events if event]
    read = []
    for day, event in events:
        wh, has = readings_at(cube, event)
        has &= ~took_part.on([day])[0][:, None]
        if has.any():
            read.append((day, event, wh, has))
    shape = (len(read), len(cube.net_wh), len(half_hours))
    metered, measured = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for place, (_, _, wh, has) in enumerate(read):
        metered[place], measured[place] = wh, has
    scores = []
    total = len(rules) * len(read)
    for number, rule in enumerate(rules):
        error, known = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        for place, (_, event, _, _) in enumerate(read):
            if isinstance(rule, ControlGroup):
                wh, has = _by_control(rule, cube, read[place], took_part, half_hours, turn=place, seed=seed)
            else:
                found = baseline(rule, cube, event, took_part, given=given)
                wh, has = found.wh, found.present
            known[place] = has & measured[place]
            error[place] = (wh - metered[place]) * known[place]
            if progress is not None:
                progress(number * len(read) + place + 1, total)
        scores.append(_score(rule, error, metered, known, int(measured.sum()), seed))
    has_temperatures = given.temperature_tenths_c is not None
    return Study(
        tuple(day for day, _, _, _ in read), tuple(half_hours), seed, tuple(scores), has_temperatures
    )


def _by_control(
    design: ControlGroup,
    cube: Cube,
    event: tuple[date, list[datetime], Wh, Mask],
    took_part: EventDays,
    half_hours: Sequence[LocalHalfHour],
    *,
    turn: int,
    seed: int,
) -> tuple[Wh, Mask]:
    """The control group's baseline of one pretend event; a new draw from the seed each turn."""
    day, _, wh, has = event
    loaded = set(cube.days)
    pool = [past for past in like_days(design.like, day) if past in loaded][: design.days]
    before_wh, before = Places.of(cube, pool, half_hours).read(cube, slice(None), len(pool))
    before &= ~took_part.on(pool)[:, None, :]
    homes = [str(stream) for stream in range(len(wh))]
    drawn = hold_out(homes, share_pct=design.share_pct, seed=str(seed), turn=turn)
    return control_baseline(
        event_wh=wh,
        event_present=has,
        before_wh=before_wh.transpose(2, 0, 1),
        before_present=before.transpose(2, 0, 1),
        is_held_out=np.array([home in drawn for home in homes], np.bool_),
    )


def _score(
    rule: BaselineRule | ControlGroup, error: Wh, metered: Wh, known: Mask, read: int, seed: int
) -> RuleScore:
    """Arrays are [event, home, half-hour]; `error` is 0 where it is not known."""
    use = np.abs(metered) * known
    homes = tuple(_homes(error, use, known))
    by_half_hour, use_by_half_hour = error.sum(axis=1), (metered * known).sum(axis=1)
    is_known = known.any(axis=1)
    by_event, use_by_event = by_half_hour.sum(axis=1), np.abs(use_by_half_hour).sum(axis=1)
    together = float(use_by_event.sum())
    bias = rrmse = low = high = event_low = event_high = None
    if together:
        bias = 100 * float(by_event.sum()) / together
        rms = float(np.sqrt((by_half_hour[is_known].astype(np.float64) ** 2).mean()))
        rrmse = 100 * rms / (together / int(is_known.sum()))
        low, high = _bias_interval(by_event, use_by_event, seed)
        counted = use_by_event > 0
        shares = 100 * by_event[counted] / use_by_event[counted]
        event_low, event_high = (float(value) for value in np.percentile(shares, EVENT_INTERVAL))
    return RuleScore(
        rule=rule,
        homes=sum(home.measured > 0 for home in homes),
        events=int(known.any(axis=(1, 2)).sum()),
        coverage=int(known.sum()) / read if read else 0.0,
        bias_pct=bias,
        bias_low_pct=low,
        bias_high_pct=high,
        rrmse_pct=rrmse,
        event_low_pct=event_low,
        event_high_pct=event_high,
        home_bias_pct=_median([abs(home.bias_pct) for home in homes if home.bias_pct is not None]),
        home_rrmse_pct=_median([home.rrmse_pct for home in homes if home.rrmse_pct is not None]),
        by_home=homes,
    )


def _homes(error: Wh, use: Wh, known: Mask) -> Iterator[HomeScore]:
    counts = known.sum(axis=(0, 2))
    sums = error.sum(axis=(0, 2))
    squares = (error.astype(np.float64) ** 2).sum(axis=(0, 2))
    uses = use.sum(axis=(0, 2))
    for stream, (count, total, square, used) in enumerate(
        zip(counts.tolist(), sums.tolist(), squares.tolist(), uses.tolist(), strict=True)
    ):
        if not used:
            yield HomeScore(stream, count, None, None)
            continue
        mean = used / count
        yield HomeScore(stream, count, 100 * total / used, 100 * float(np.sqrt(square / count)) / mean)


def _bias_interval(by_event: Wh, use: Wh, seed: int) -> tuple[float, float]:
    """Percentiles of the bias over days drawn again with replacement; the same for the same seed."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(by_event), (RESAMPLES, len(by_event)))
    errors, uses = by_event[drawn].sum(axis=1), use[drawn].sum(axis=1)
    shares: NDArray[np.float64] = 100 * errors[uses > 0] / uses[uses > 0]
    if not len(shares):
        return 0.0, 0.0
    low, high = np.percentile(shares, INTERVAL)
    return float(low), float(high)


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
