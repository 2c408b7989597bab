"""Which days a rule looks at: days like the event's, how far back, and all that have to be loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache

import numpy as np

from settlement.baselines.arrays import EventDays, Mask
from settlement.baselines.clock import HALF_HOUR, HALF_HOURS_A_DAY, ONE_DAY, local_half_hour, period_count
from settlement.baselines.estimating import running
from settlement.baselines.rules import BaselineRule, DayType, Gaps, Method


def like_days(rule: BaselineRule, day: date) -> list[date]:
    """Days of the same type before `day` within the look-back, newest first; event days still among them."""
    return list(_like_days(rule, day))


@lru_cache(maxsize=4096)
def _like_days(rule: BaselineRule, day: date) -> tuple[date, ...]:
    kind = rule.day_type(day)
    back = (day - ONE_DAY * n for n in range(1, rule.look_back_days + 1))
    return tuple(
        past
        for past in back
        if rule.day_type(past) == kind
        and not (rule.leaves_out_clock_change_days and period_count(past) != HALF_HOURS_A_DAY)
    )


def candidate_days(rule: BaselineRule, day: date, left_out: Collection[date] = ()) -> list[date]:
    """The days the rule looks at for one household, newest first, were every reading there.

    `left_out` are the civil days on which it took part in an event.
    """
    kind = rule.day_type(day)
    return [past for past in _like_days(rule, day) if past not in left_out][: kind.candidates]


def window_half_hours(rule: BaselineRule, event: Sequence[datetime]) -> list[datetime]:
    """Starts of the adjustment window's half-hours, in order; none for a rule without adjustment."""
    before = rule.window_ends_half_hours_before + rule.window_half_hours
    after = 1 + rule.after_starts_half_hours_after
    return [
        *(event[0] + HALF_HOUR * (n - before) for n in range(rule.window_half_hours)),
        *(event[-1] + HALF_HOUR * (n + after) for n in range(rule.after_half_hours)),
    ]


def own_days(rule: BaselineRule, event: Sequence[datetime]) -> frozenset[date]:
    """Civil days of the event and its window: never among their own like days."""
    return frozenset(local_half_hour(at)[0] for at in [*event, *window_half_hours(rule, event)])


def days_needed(
    rule: BaselineRule,
    event: Sequence[datetime],
    event_days: Iterable[Collection[date]] | EventDays,
) -> list[date]:
    """Every civil day whose readings the rule may look at, for any of the streams, oldest first."""
    own = own_days(rule, event)
    needed = set(own)
    if not rule.uses_days:
        return sorted(needed)
    took_part = EventDays.of(event_days if isinstance(event_days, EventDays) else list(event_days))
    for day in own:
        pool = _like_days(rule, day)
        reached = len(pool)
        if not reaches_further(rule):
            reached = reach(rule.day_type(day), excluded_days(rule, pool, own, took_part))
        needed.update(pool[:reached])
    return sorted(needed)


def reaches_further(rule: BaselineRule) -> bool:
    """True when readings decide how far back the rule looks."""
    return rule.gaps is Gaps.REACH_BACK or rule.low_use_pct > 0 or rule.method is not Method.MEAN


def excluded_days(
    rule: BaselineRule, pool: Sequence[date], own: Collection[date], event_days: EventDays
) -> Mask:
    """[pool day, stream]: the household took part in an event that day; the event's own days always count."""
    if rule.leaves_out_event_days:
        mask = event_days.on(pool)
    else:
        mask = np.zeros((len(pool), len(event_days.took_part)), np.bool_)
    for place, day in enumerate(pool):
        if day in own:
            mask[place] = True
    return mask


def reach(kind: DayType, excluded: Mask) -> int:
    """How many like days have to be looked at so that every stream has its candidates, were all read."""
    days, streams = excluded.shape
    if not days or not streams:
        return min(int(days), kind.candidates)
    enough = running(~excluded) >= kind.candidates
    if not enough[-1].all():
        return int(days)
    return int(enough.argmax(axis=0).max()) + 1
