"""Why a baseline is what it is: the days behind it, the days left out and the reason, in plain values.

Made from a `Baseline` for one stream; stored with the delivery, printed on the statement, and enough to
work the number out again by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from statistics import mean, stdev
from typing import Any

import numpy as np

from settlement.baselines.arrays import Mask, Wh
from settlement.baselines.clock import HALF_HOURS_A_DAY, ONE_DAY, period_count
from settlement.baselines.computing import Baseline, DayPart
from settlement.baselines.rules import Adjustment, BaselineRule, Gaps, Keep, Method


class LeftOut(StrEnum):
    """Why a day is not in the mean."""

    EVENT_DAY = "event_day"
    BANK_HOLIDAY = "bank_holiday"
    CLOCK_CHANGE = "clock_change"
    NO_READING = "no_reading"
    LOW_USE = "low_use"
    OLDER = "older"
    HIGHEST = "highest"
    LOWEST = "lowest"


LEFT_OUT_WORDS: Mapping[LeftOut, str] = {
    LeftOut.EVENT_DAY: "you took part in an event that day",
    LeftOut.BANK_HOLIDAY: "bank holiday",
    LeftOut.CLOCK_CHANGE: "the clocks changed that day",
    LeftOut.NO_READING: "no meter reading",
    LeftOut.LOW_USE: "far lower use than the days around it",
    LeftOut.OLDER: "older than the days the rule keeps",
    LeftOut.HIGHEST: "higher than the days the rule keeps",
    LeftOut.LOWEST: "lower than the days the rule keeps",
}


@dataclass(frozen=True, slots=True)
class UsedDay:
    """A day in the mean: net Wh in each half-hour of the part, None where the meter has none.

    For a regression `warmth` are tenths of a degree below its base, None where the temperature is not known.
    """

    day: date
    wh: tuple[int | None, ...]
    warmth: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOutDay:
    day: date
    reason: LeftOut


@dataclass(frozen=True, slots=True)
class PartExplanation:
    """The half-hours of one civil day: the event's first, then the adjustment window's.

    `warmth` is the day's own, for a regression that was given temperatures.
    """

    day: date
    day_type: str
    starts: tuple[datetime, ...]
    event_count: int
    minimum: int
    used: tuple[UsedDay, ...]
    left_out: tuple[LeftOutDay, ...]
    warmth: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowHalfHour:
    """A half-hour of the adjustment window: metered Wh, None where missing; whether the adjustment counts it.

    A half-hour is not counted without a reading, without enough like days, or in another event.
    """

    start: datetime
    wh: int | None
    is_counted: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """One stream's baseline explained.

    `adjustment_wh` is added to each half-hour, as an exact fraction; `adjustment_ratio` is the factor of a
    rule that scales instead. Both are None without a window; `is_bounded` says that the rule's floor or cap
    decided it.
    """

    rule: str
    parts: tuple[PartExplanation, ...]
    method: str = Method.MEAN.value
    adjustment_wh: Fraction | None = None
    adjustment_ratio: Fraction | None = None
    is_bounded: bool = False
    window: tuple[WindowHalfHour, ...] = ()

    @property
    def days_used(self) -> list[date]:
        """Every day with a reading in some half-hour's mean, newest first."""
        return sorted({used.day for part in self.parts for used in part.used}, reverse=True)

    @property
    def left_out(self) -> list[LeftOutDay]:
        """Every day left out, newest first."""
        return sorted((out for part in self.parts for out in part.left_out), key=_newest)

    def mean_wh(self, start: datetime) -> Fraction | None:
        """The mean of the days used at this half-hour of the event; None with too few."""
        for part in self.parts:
            if start in part.starts[: part.event_count]:
                column = part.starts.index(start)
                known = [used.wh[column] for used in part.used]
                values = [wh for wh in known if wh is not None]
                return Fraction(sum(values), len(values)) if len(values) >= part.minimum else None
        return None


def window_z(explanation: Explanation, *, fewest_days: int = 5) -> float | None:
    """How unusual the adjustment window was, against the same half-hours of the days used.

    (mean of the window - mean of the days) / standard deviation of the days; positive is more use than usual.
    None without a window, or with fewer days that have every counted half-hour.
    """
    metered = {each.start: each.wh for each in explanation.window if each.is_counted and each.wh is not None}
    parts = [
        (part, [column for column, start in enumerate(part.starts) if start in metered])
        for part in explanation.parts
    ]
    part, columns = max(parts, key=lambda each: len(each[1]), default=(None, []))
    if part is None or not columns:
        return None
    days = [[used.wh[column] for column in columns] for used in part.used]
    means = [
        sum(wh) / len(wh) for day in days if len(wh := [v for v in day if v is not None]) == len(columns)
    ]
    if len(means) < fewest_days:
        return None
    on_day = sum(metered[part.starts[column]] for column in columns) / len(columns)
    return (on_day - mean(means)) / max(stdev(means), 1.0)


def explain(baseline: Baseline, stream: int) -> Explanation:
    """The explanation of one stream (row) of the baseline."""
    rule = baseline.rule
    adjustment = None
    if baseline.window:
        over, under = int(baseline.adjustment_over[stream]), int(baseline.adjustment_under[stream])
        adjustment = Fraction(over, under)
    is_ratio = rule.adjustment is Adjustment.RATIO
    return Explanation(
        rule=rule.name,
        parts=tuple(_part(rule, part, stream) for part in baseline.parts),
        method=rule.method.value,
        adjustment_wh=None if is_ratio else adjustment,
        adjustment_ratio=adjustment if is_ratio else None,
        is_bounded=bool(baseline.is_bounded[stream]),
        window=tuple(
            WindowHalfHour(start, wh if has else None, counted)
            for start, wh, has, counted in zip(
                baseline.window,
                baseline.window_metered_wh[stream].tolist(),
                baseline.window_has_reading[stream].tolist(),
                baseline.window_counted[stream].tolist(),
                strict=True,
            )
        ),
    )


def as_json(explanation: Explanation) -> dict[str, object]:
    """Plain JSON for `HomeDelivery.explanation`; `from_json` reads it back unchanged."""
    return {
        "rule": explanation.rule,
        "method": explanation.method,
        "parts": [
            {
                "day": part.day.isoformat(),
                "day_type": part.day_type,
                "starts": [_stamp(start) for start in part.starts],
                "event_count": part.event_count,
                "minimum": part.minimum,
                "used": [[used.day.isoformat(), list(used.wh)] for used in part.used],
                "left_out": [[out.day.isoformat(), out.reason.value] for out in part.left_out],
                **_warmth_as_json(part),
            }
            for part in explanation.parts
        ],
        "adjustment_wh": _text(explanation.adjustment_wh),
        "adjustment_ratio": _text(explanation.adjustment_ratio),
        "is_bounded": explanation.is_bounded,
        "window": [[_stamp(each.start), each.wh, each.is_counted] for each in explanation.window],
    }


def from_json(data: Mapping[str, Any]) -> Explanation:
    """What `as_json` wrote."""
    return Explanation(
        rule=data["rule"],
        method=data["method"],
        parts=tuple(
            PartExplanation(
                day=date.fromisoformat(part["day"]),
                day_type=part["day_type"],
                starts=tuple(datetime.fromisoformat(start) for start in part["starts"]),
                event_count=part["event_count"],
                minimum=part["minimum"],
                used=tuple(
                    UsedDay(
                        date.fromisoformat(day), tuple(wh), tuple(part.get("warmth_used", {}).get(day, ()))
                    )
                    for day, wh in part["used"]
                ),
                left_out=tuple(
                    LeftOutDay(date.fromisoformat(day), LeftOut(reason)) for day, reason in part["left_out"]
                ),
                warmth=tuple(part.get("warmth", ())),
            )
            for part in data["parts"]
        ),
        adjustment_wh=_fraction(data["adjustment_wh"]),
        adjustment_ratio=_fraction(data["adjustment_ratio"]),
        is_bounded=data["is_bounded"],
        window=tuple(
            WindowHalfHour(datetime.fromisoformat(start), wh, is_counted)
            for start, wh, is_counted in data["window"]
        ),
    )


def _part(rule: BaselineRule, part: DayPart, stream: int) -> PartExplanation:
    is_event_day = part.is_event_day[stream].tolist()
    candidate = part.candidate[stream].tolist()
    kept = part.kept[stream].tolist()
    is_low = part.is_low[stream].tolist()
    wh, has = part.history(np.array([stream]))
    history, has_history = wh[0].tolist(), has[0].tolist()
    ranked = part.event_count or len(part.half_hours)
    used: list[UsedDay] = []
    dropped: list[UsedDay] = []
    left_out: list[LeftOutDay] = []
    looked_at = _looked_at(part, candidate)
    for row in range(looked_at):
        day = part.pool[row]
        values = zip(history[row], has_history[row], strict=True)
        reading = UsedDay(day, tuple(value if has else None for value, has in values), _warmth_of(part, row))
        if is_event_day[row]:
            left_out.append(LeftOutDay(day, LeftOut.EVENT_DAY))
        elif is_low[row]:
            left_out.append(LeftOutDay(day, LeftOut.LOW_USE))
        elif not candidate[row] or not any(has_history[row]):
            left_out.append(LeftOutDay(day, LeftOut.NO_READING))
        elif kept[row]:
            used.append(reading)
        elif rule.gaps is Gaps.WHOLE_DAY and not all(has_history[row][:ranked]):
            left_out.append(LeftOutDay(day, LeftOut.NO_READING))
        else:
            dropped.append(reading)
    left_out.extend(LeftOutDay(day.day, _rank_reason(part, day, used)) for day in dropped)
    if looked_at:
        left_out.extend(_calendar_left_out(rule, part.day, part.pool[looked_at - 1]))
    return PartExplanation(
        day=part.day,
        day_type=part.kind.name,
        starts=part.starts,
        event_count=part.event_count,
        minimum=part.kind.minimum,
        used=tuple(used),
        left_out=tuple(sorted(left_out, key=_newest)),
        warmth=() if part.warmth is None else _known(part.warmth.own, part.warmth.has_own),
    )


def _warmth_of(part: DayPart, row: int) -> tuple[int | None, ...]:
    if part.warmth is None:
        return ()
    return _known(part.warmth.days[row], part.warmth.has_days[row])


def _known(values: Wh, has: Mask) -> tuple[int | None, ...]:
    return tuple(
        value if is_known else None for value, is_known in zip(values.tolist(), has.tolist(), strict=True)
    )


def _warmth_as_json(part: PartExplanation) -> dict[str, object]:
    if not part.warmth:
        return {}
    return {
        "warmth": list(part.warmth),
        "warmth_used": {used.day.isoformat(): list(used.warmth) for used in part.used},
    }


def _looked_at(part: DayPart, candidate: list[bool]) -> int:
    """How many like days it took to find the candidates: all of them when there are too few."""
    if sum(candidate) < part.kind.candidates:
        return len(part.pool)
    return len(candidate) - candidate[::-1].index(True)


def _rank_reason(part: DayPart, day: UsedDay, used: list[UsedDay]) -> LeftOut:
    if part.kind.keep is Keep.RECENT:
        return LeftOut.OLDER
    if part.kind.keep is not Keep.MID:
        return LeftOut.LOWEST if part.kind.keep is Keep.HIGH else LeftOut.HIGHEST
    below = min((_mean(part, kept) for kept in used), default=Fraction(0))
    return LeftOut.LOWEST if _mean(part, day) <= below else LeftOut.HIGHEST


def _mean(part: DayPart, day: UsedDay) -> Fraction:
    ranked = day.wh[: part.event_count] or day.wh
    values = [wh for wh in ranked if wh is not None]
    return Fraction(sum(values), max(len(values), 1))


@lru_cache(maxsize=1024)
def _calendar_left_out(rule: BaselineRule, day: date, oldest: date) -> tuple[LeftOutDay, ...]:
    """Days of the same weekdays that the calendar takes out between the oldest day looked at and `day`."""
    kind = rule.day_type(day)
    found = []
    past = day - ONE_DAY
    while past >= oldest:
        if rule.is_holiday(past) and past.weekday() in kind.weekdays and not kind.has_holidays:
            found.append(LeftOutDay(past, LeftOut.BANK_HOLIDAY))
        elif (
            rule.leaves_out_clock_change_days
            and period_count(past) != HALF_HOURS_A_DAY
            and rule.day_type(past) == kind
        ):
            found.append(LeftOutDay(past, LeftOut.CLOCK_CHANGE))
        past -= ONE_DAY
    return tuple(found)


def _newest(out: LeftOutDay) -> int:
    return -out.day.toordinal()


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
