"""Gaming detector: did a home use unusually much (or little) in the adjustment window, to move its baseline?

The statistic compares a home's mean Wh in the window with the same half-hours of its own like days:
z = (event day - mean of the days) / standard deviation of the days, signed so that a positive z favours the
home. It is a reason to look, not a proof: `false_alarms` says how often innocent days pass a threshold. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from settlement.baselines.arrays import NOTHING_GIVEN, Cube, EventDays, Given, Mask, Wh
from settlement.baselines.clock import LocalHalfHour
from settlement.baselines.computing import Baseline, baseline
from settlement.baselines.placebo import pretend_event
from settlement.baselines.rules import MOST_DAYS_KEPT, Adjustment, BaselineRule, Keep, Method

THRESHOLD: Final = 3.0
FEWEST_DAYS: Final = 5
LIKE_DAYS: Final = 10
WINDOW_HALF_HOURS: Final = 6
WINDOW_ENDS_BEFORE: Final = 2
LEAST_SPREAD_WH: Final = 1.0


@dataclass(frozen=True, slots=True)
class Judged:
    """By stream: z (0 where not `known`), and the window's mean Wh on the day and usually.

    `known` needs a reading in every counted half-hour of the window and FEWEST_DAYS like days with as many.
    """

    z: NDArray[np.float64]
    known: Mask
    window_wh: NDArray[np.float64]
    usual_wh: NDArray[np.float64]

    def flagged(self, threshold: float = THRESHOLD) -> Mask:
        """Streams whose window is past the threshold."""
        return np.asarray(self.known & (self.z > threshold), np.bool_)


@dataclass(frozen=True, slots=True)
class WindowScores:
    """How each stream's watched window is judged, and its baseline with the rule's adjustment and without."""

    judged: Judged
    with_adjustment: Baseline
    without_adjustment: Baseline


def watched(rule: BaselineRule) -> BaselineRule:
    """The rule's window before the event, or that of DFS 2022/23, against ten like days or more.

    A rule that uses no days has no window to push and is never judged.
    """
    kinds = [
        replace(
            kind, candidates=min(max(kind.candidates, LIKE_DAYS), MOST_DAYS_KEPT), keep=Keep.ALL, kept=None
        )
        for kind in rule.day_types
    ]
    return replace(
        unadjusted(rule),
        method=Method.MEAN,
        profile_w=(),
        day_types=tuple(replace(kind, minimum=1) for kind in kinds),
        adjustment=Adjustment.ADDITIVE,
        window_half_hours=rule.window_half_hours or WINDOW_HALF_HOURS,
        window_ends_half_hours_before=rule.window_ends_half_hours_before
        if rule.window_half_hours
        else WINDOW_ENDS_BEFORE,
    )


def unadjusted(rule: BaselineRule) -> BaselineRule:
    """The rule without its same-day adjustment."""
    return replace(
        rule,
        adjustment=Adjustment.NONE,
        window_half_hours=0,
        window_ends_half_hours_before=0,
        after_half_hours=0,
        after_starts_half_hours_after=0,
        floor_pct=None,
        cap_pct=None,
    )


def window_scores(
    rule: BaselineRule,
    cube: Cube,
    event: Sequence[datetime],
    event_days: Sequence[Collection[date]] | EventDays,
    *,
    is_turn_up: bool = False,
    busy: Mask | None = None,
    given: Given = NOTHING_GIVEN,
) -> WindowScores:
    """z of every stream in the watched window before the event; a rule that uses no days cannot be watched.

    `busy` is of the watched window. The cube holds the days that `days_needed` names for the rule and for
    `watched(rule)`.
    """
    watching = watched(rule)
    took_part = EventDays.of(event_days)
    found = baseline(watching, cube, event, took_part, busy=busy)
    plain = baseline(unadjusted(rule), cube, event, took_part, given=given)
    own = plain if rule.adjustment is Adjustment.NONE else baseline(rule, cube, event, took_part, given=given)
    return WindowScores(
        judged=judge(found, is_turn_up=is_turn_up), with_adjustment=own, without_adjustment=plain
    )


def judge(found: Baseline, *, is_turn_up: bool = False) -> Judged:
    """The window of each stream of a baseline that has one, against the days the rule looked at.

    A turn-up event is favoured by a low window, so its sign is turned.
    """
    counted = found.window_counted
    on_day = _mean(found.window_metered_wh, counted)
    usual, spread, days = _like_days(found, counted)
    known = (counted.sum(axis=1) > 0) & (days >= FEWEST_DAYS)
    z = np.where(known, (on_day - usual) / np.maximum(spread, LEAST_SPREAD_WH), 0.0)
    return Judged(-z if is_turn_up else z, np.asarray(known, np.bool_), on_day, usual)


def combined_z(z: Sequence[float]) -> float:
    """One z for a home over several events (Stouffer): small pushes each time add up, noise does not."""
    return float(sum(z) / np.sqrt(len(z))) if len(z) else 0.0


def innocent_z(
    rule: BaselineRule,
    cube: Cube,
    days: Sequence[date],
    half_hours: Sequence[LocalHalfHour],
    event_days: Sequence[Collection[date]] | EventDays,
    *,
    is_turn_up: bool = False,
) -> NDArray[np.float64]:
    """z of every home on every event-free day, where nobody had a reason to move anything."""
    took_part = EventDays.of(event_days)
    found = [np.zeros(0)]
    for day in days:
        event = pretend_event(day, half_hours)
        if event:
            scores = window_scores(rule, cube, event, took_part, is_turn_up=is_turn_up).judged
            found.append(scores.z[scores.known & ~took_part.on([day])[0]])
    return np.concatenate(found)


def false_alarms(innocent: NDArray[np.float64], threshold: float = THRESHOLD) -> float | None:
    """Share of innocent home-days past the threshold; None without any."""
    return float((innocent > threshold).mean()) if len(innocent) else None


def threshold_for(innocent: NDArray[np.float64], false_alarm_share: float) -> float | None:
    """The threshold that at most this share of innocent home-days pass; None without any."""
    if not len(innocent):
        return None
    return float(np.quantile(innocent, 1 - false_alarm_share, method="higher"))


def _mean(wh: Wh, counted: Mask) -> NDArray[np.float64]:
    return np.asarray((wh * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1), np.float64)


def _like_days(found: Baseline, counted: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64], Wh]:
    """Mean, standard deviation and number of candidate days, of their mean Wh in the counted half-hours.

    A window over midnight is judged by the day that has more of it.
    """
    streams = len(found.wh)
    nothing = np.zeros(streams)
    parts = [
        (part, [column for column, start in enumerate(part.starts) if start in found.window])
        for part in found.parts
    ]
    if not parts or not max(len(columns) for _, columns in parts):
        return nothing, nothing, np.zeros(streams, np.int64)
    part, columns = max(parts, key=lambda each: len(each[1]))
    wh, has = part.history(slice(None))
    places = [found.window.index(part.starts[column]) for column in columns]
    wanted = counted[:, places]
    use = has[:, :, columns] & wanted[:, None, :]
    is_whole = (use.sum(axis=2) == wanted.sum(axis=1)[:, None]) & (wanted.sum(axis=1)[:, None] > 0)
    is_day = part.candidate & is_whole
    mean = (wh[:, :, columns] * use).sum(axis=2) / np.maximum(use.sum(axis=2), 1)
    days = is_day.sum(axis=1)
    usual = (mean * is_day).sum(axis=1) / np.maximum(days, 1)
    squares = (((mean - usual[:, None]) * is_day) ** 2).sum(axis=1)
    return usual, np.sqrt(squares / np.maximum(days - 1, 1)), np.asarray(days, np.int64)
