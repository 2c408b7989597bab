"""Baselines the slow way, for the property tests: one household at a time, readings by UTC instant.

Shares no code with `settlement.baselines` but the rule's own data and the calendar.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from settlement.baselines.rules import Adjustment, BaselineRule, Busy, DayType, Gaps, Keep, Method

LONDON = ZoneInfo("Europe/London")
HALF_HOUR = timedelta(minutes=30)
Readings = Mapping[datetime, int]


@dataclass(frozen=True)
class Chosen:
    """The days behind one civil day's half-hours, newest first: those looked at and those kept."""

    kind: DayType
    candidates: list[date]
    kept: list[date]


def baseline_wh(
    rule: BaselineRule,
    readings: Readings,
    event: Sequence[datetime],
    event_days: Collection[date],
    *,
    busy: Collection[datetime] = (),
    temperatures: Readings | None = None,
    nominated: Readings | None = None,
    units: int = 1,
) -> list[int | None]:
    """Whole Wh for each half-hour of the event, None where the rule makes no baseline."""
    if rule.method in (Method.ZERO, Method.NOMINATED, Method.PROFILE):
        return [_without_days(rule, at, nominated or {}, units) for at in event]
    window = window_of(rule, event)
    own = {_local(at).date() for at in [*event, *window]}
    out = own | set(event_days) if rule.leaves_out_event_days else own
    chosen = {day: _choose(rule, readings, day, event, window, out) for day in own}

    def usual(at: datetime) -> Fraction | None:
        day = _local(at).date()
        ranked = [each for each in event if _local(each).date() == day]
        ranked = ranked or [each for each in window if _local(each).date() == day]
        return _level(rule, chosen[day], readings, at, ranked, temperatures)

    compared = [
        (readings[at], level)
        for at in window
        if at in readings
        and (level := usual(at)) is not None
        and not (rule.busy_window is Busy.LEAVE_OUT and at in busy)
    ]
    result: list[int | None] = []
    for at in event:
        level = usual(at)
        result.append(None if level is None else round(_adjusted(rule, level, compared)))
    return result


def window_of(rule: BaselineRule, event: Sequence[datetime]) -> list[datetime]:
    ends_at = event[0] - HALF_HOUR * rule.window_ends_half_hours_before
    after = event[-1] + HALF_HOUR * (1 + rule.after_starts_half_hours_after)
    return [
        *(ends_at - HALF_HOUR * n for n in range(rule.window_half_hours, 0, -1)),
        *(after + HALF_HOUR * n for n in range(rule.after_half_hours)),
    ]


def same_clock_time(at: datetime, day: date) -> datetime | None:
    """The UTC half-hour of `day` at the wall-clock time of `at`; None when that day leaves the time out."""
    local = _local(at)
    wanted = datetime.combine(day, local.time().replace(fold=0), LONDON).replace(fold=local.fold)
    utc = wanted.astimezone(UTC)
    back = utc.astimezone(LONDON)
    return utc if (back.date(), back.time()) == (day, wanted.time()) else None


def _without_days(rule: BaselineRule, at: datetime, nominated: Readings, units: int) -> int | None:
    if rule.method is Method.ZERO:
        return 0
    if rule.method is Method.NOMINATED:
        return nominated.get(at)
    local = _local(at)
    watts = dict(rule.profile_w)[rule.day_type(local.date()).name][local.hour * 2 + local.minute // 30]
    return round(Fraction(watts * units, 2))


def _adjusted(rule: BaselineRule, level: Fraction, compared: list[tuple[int, Fraction]]) -> Fraction:
    if rule.adjustment is Adjustment.NONE or not compared:
        return level
    metered = sum(wh for wh, _ in compared)
    unadjusted = sum((usual for _, usual in compared), Fraction(0))
    if rule.adjustment is Adjustment.RATIO:
        if unadjusted <= 0:
            return level
        ratio = max(metered / unadjusted, Fraction(0))
        if rule.cap_pct is not None:
            ratio = min(ratio, Fraction(rule.cap_pct, 100))
        if rule.floor_pct is not None:
            ratio = max(ratio, Fraction(rule.floor_pct, 100))
        return level * ratio
    shift = (metered - unadjusted) / len(compared)
    size = abs(unadjusted) / len(compared)
    if rule.cap_pct is not None:
        shift = min(shift, size * Fraction(rule.cap_pct - 100, 100))
    if rule.floor_pct is not None:
        shift = max(shift, size * Fraction(rule.floor_pct - 100, 100))
    if rule.adjustment is Adjustment.ADDITIVE_UP_ONLY:
        shift = max(shift, Fraction(0))
    return level + shift


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

    def values(past: date) -> list[int]:
        return [readings[when] for at in ranked_by if (when := same_clock_time(at, past)) in readings]

    def use(past: date) -> Fraction:
        return Fraction(sum(values(past)), len(values(past)))

    eligible: list[date] = []
    for back in range(1, rule.look_back_days + 1):
        past = day - timedelta(days=back)
        if rule.day_type(past) != kind or past in out:
            continue
        if rule.leaves_out_clock_change_days and _hours(past) != 24:
            continue
        if rule.gaps is Gaps.REACH_BACK and len(values(past)) < len(ranked_by):
            continue
        eligible.append(past)
    if rule.low_use_pct:
        newest = [past for past in eligible[: kind.candidates] if values(past)]
        usual = sum((use(past) for past in newest), Fraction(0)) / max(len(newest), 1)
        eligible = [
            past
            for past in eligible
            if not (usual > 0 and values(past) and use(past) < usual * Fraction(rule.low_use_pct, 100))
        ]
    candidates = eligible[: kind.candidates]
    kept = candidates
    if kind.keep is not Keep.ALL:
        assert kind.kept is not None
        kept = [past for past in candidates if values(past)]
        spare = max(len(kept) - kind.kept, 0)
        if kind.keep is Keep.RECENT:
            kept = kept[: kind.kept]
        elif kind.keep is Keep.HIGH:
            kept = sorted(kept, key=lambda past: -use(past))[: kind.kept]
        elif kind.keep is Keep.LOW:
            kept = sorted(kept, key=use)[: kind.kept]
        else:
            lowest = spare // 2
            kept = sorted(kept, key=use)[lowest : len(kept) - (spare - lowest)]
    if rule.gaps is Gaps.WHOLE_DAY:
        kept = [past for past in kept if len(values(past)) == len(ranked_by)]
    return Chosen(kind, candidates, kept)


def _level(
    rule: BaselineRule,
    chosen: Chosen,
    readings: Readings,
    at: datetime,
    ranked: Sequence[datetime],
    temperatures: Readings | None,
) -> Fraction | None:
    def pairs(when: datetime) -> list[tuple[int, int]]:
        """(heating tenths, Wh) of the kept days at that time of the clock, oldest first."""
        found = []
        for day in sorted(chosen.kept):
            past = same_clock_time(when, day)
            if past in readings and (temperatures is None or past in temperatures):
                heat = 0 if temperatures is None else _heat(rule, temperatures[past])
                found.append((heat, readings[past]))
        return found

    if rule.method is not Method.REGRESSION:
        temperatures = None
    values = [wh for _, wh in pairs(at)]
    if len(values) < chosen.kind.minimum:
        return None
    if rule.method is Method.MEAN:
        return Fraction(sum(values), len(values))
    if rule.method is Method.ROLLING:
        seed = values[: rule.seed_days]
        level = Fraction(sum(seed), len(seed))
        for wh in values[rule.seed_days :]:
            level += (wh - level) * Fraction(rule.newest_weight_pct, 100)
        return round(level, 6)
    level = Fraction(sum(values), len(values))
    together = spread = Fraction(0)
    for when in ranked:
        known = pairs(when)
        if known:
            mean_x, mean_y = (Fraction(sum(side), len(known)) for side in zip(*known, strict=True))
            together += sum((x - mean_x) * (y - mean_y) for x, y in known)
            spread += sum((x - mean_x) ** 2 for x, _ in known)
    if temperatures is None or at not in temperatures or not spread:
        return round(level, 6)
    mean_heat = Fraction(sum(heat for heat, _ in pairs(at)), len(values))
    return round(level + together / spread * (_heat(rule, temperatures[at]) - mean_heat), 6)


def _heat(rule: BaselineRule, tenths_c: int) -> int:
    return max(rule.heating_base_tenths_c - tenths_c, 0)


def _local(at: datetime) -> datetime:
    return at.astimezone(LONDON)


def _hours(day: date) -> int:
    midnights = [datetime(d.year, d.month, d.day, tzinfo=LONDON) for d in (day, day + timedelta(days=1))]
    starts_at, ends_at = (midnight.astimezone(UTC) for midnight in midnights)
    return (ends_at - starts_at) // timedelta(hours=1)
