"""Baselines the slow way, for the property tests: one household at a time, readings by UTC instant.

Shares no code with `settlement.baselines` but the rule's own data and the calendar.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from settlement.baselines.rules import Adjustment, BaselineRule, DayType, Gaps, Keep

LONDON = ZoneInfo("Europe/London")
Readings = Mapping[datetime, int]


@dataclass(frozen=True)
class Chosen:
    """The days behind one civil day's half-hours, newest first: those looked at and those kept."""

    kind: DayType
    candidates: list[date]
    kept: list[date]


def baseline_wh(
    rule: BaselineRule, readings: Readings, event: Sequence[datetime], event_days: Collection[date]
) -> list[int | None]:
    """Whole Wh for each half-hour of the event, None where the rule makes no baseline."""
    window = _window(rule, event)
    own = {_local(at).date() for at in [*event, *window]}
    out = own | set(event_days) if rule.leaves_out_event_days else own
    chosen = {day: _choose(rule, readings, day, event, window, out) for day in own}
    differences = []
    for at in window:
        usual = _mean(chosen[_local(at).date()], readings, at)
        if usual is not None and at in readings:
            differences.append(readings[at] - usual)
    adjustment = sum(differences, Fraction(0)) / len(differences) if differences else Fraction(0)
    if rule.adjustment is Adjustment.NONE:
        adjustment = Fraction(0)
    if rule.adjustment is Adjustment.ADDITIVE_UP_ONLY:
        adjustment = max(adjustment, Fraction(0))
    result: list[int | None] = []
    for at in event:
        usual = _mean(chosen[_local(at).date()], readings, at)
        result.append(None if usual is None else round(usual + adjustment))
    return result


def same_clock_time(at: datetime, day: date) -> datetime | None:
    """The UTC half-hour of `day` at the wall-clock time of `at`; None when that day leaves the time out."""
    local = _local(at)
    wanted = datetime.combine(day, local.time().replace(fold=0), LONDON).replace(fold=local.fold)
    utc = wanted.astimezone(UTC)
    back = utc.astimezone(LONDON)
    return utc if (back.date(), back.time()) == (day, wanted.time()) else None


def _choose(
    rule: BaselineRule,
    readings: Readings,
    day: date,
    event: Sequence[datetime],
    window: Sequence[datetime],
    out: Collection[date],
) -> Chosen:
    kind = rule.day_type(day)
    ranked_by = [at for at in event if _local(at).date() == day] or [
        at for at in window if _local(at).date() == day
    ]
    candidates: list[date] = []
    for back in range(1, rule.look_back_days + 1):
        past = day - timedelta(days=back)
        if rule.day_type(past) != kind or past in out:
            continue
        if rule.leaves_out_clock_change_days and _hours(past) != 24:
            continue
        found = [same_clock_time(at, past) in readings for at in ranked_by]
        if rule.gaps is Gaps.REACH_BACK and not all(found):
            continue
        candidates.append(past)
        if len(candidates) == kind.candidates:
            break
    if kind.keep is Keep.ALL:
        return Chosen(kind, candidates, candidates)
    use: dict[date, Fraction] = {}
    for past in candidates:
        values = [readings[when] for at in ranked_by if (when := same_clock_time(at, past)) in readings]
        if values:
            use[past] = Fraction(sum(values), len(values))
    assert kind.kept is not None
    newest = sorted(use, reverse=True)
    spare = max(len(newest) - kind.kept, 0)
    if kind.keep is Keep.HIGH:
        kept = sorted(newest, key=lambda past: -use[past])[: kind.kept]
    elif kind.keep is Keep.LOW:
        kept = sorted(newest, key=lambda past: use[past])[: kind.kept]
    else:
        lowest = spare // 2
        kept = sorted(newest, key=lambda past: use[past])[lowest : len(newest) - (spare - lowest)]
    return Chosen(kind, candidates, kept)


def _mean(chosen: Chosen, readings: Readings, at: datetime) -> Fraction | None:
    values = [readings[when] for day in chosen.kept if (when := same_clock_time(at, day)) in readings]
    return Fraction(sum(values), len(values)) if len(values) >= chosen.kind.minimum else None


def _window(rule: BaselineRule, event: Sequence[datetime]) -> list[datetime]:
    ends_at = event[0] - timedelta(minutes=30) * rule.window_ends_half_hours_before
    return [ends_at - timedelta(minutes=30) * n for n in range(rule.window_half_hours, 0, -1)]


def _local(at: datetime) -> datetime:
    return at.astimezone(LONDON)


def _hours(day: date) -> int:
    midnights = [datetime(d.year, d.month, d.day, tzinfo=LONDON) for d in (day, day + timedelta(days=1))]
    starts_at, ends_at = (midnight.astimezone(UTC) for midnight in midnights)
    return (ends_at - starts_at) // timedelta(hours=1)
