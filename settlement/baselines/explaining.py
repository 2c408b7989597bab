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
from typing import Any

from opendsr.kernel.periods import period_count
from settlement.baselines.computing import ONE_DAY, Baseline, DayPart
from settlement.baselines.rules import BaselineRule, Keep


class LeftOut(StrEnum):
    """Why a day is not in the mean."""

    EVENT_DAY = "event_day"
    BANK_HOLIDAY = "bank_holiday"
    CLOCK_CHANGE = "clock_change"
    NO_READING = "no_reading"
    HIGHEST = "highest"
    LOWEST = "lowest"


LEFT_OUT_WORDS: Mapping[LeftOut, str] = {
    LeftOut.EVENT_DAY: "you took part in an event that day",
    LeftOut.BANK_HOLIDAY: "bank holiday",
    LeftOut.CLOCK_CHANGE: "the clocks changed that day",
    LeftOut.NO_READING: "no meter reading",
    LeftOut.HIGHEST: "higher than the days the rule keeps",
    LeftOut.LOWEST: "lower than the days the rule keeps",
}


@dataclass(frozen=True, slots=True)
class UsedDay:
    """A day in the mean: net Wh in each half-hour of the part, None where the meter has none."""

    day: date
    wh: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class LeftOutDay:
    day: date
    reason: LeftOut


@dataclass(frozen=True, slots=True)
class PartExplanation:
    """The half-hours of one civil day: the event's first, then the adjustment window's."""

    day: date
    day_type: str
    starts: tuple[datetime, ...]
    event_count: int
    minimum: int
    used: tuple[UsedDay, ...]
    left_out: tuple[LeftOutDay, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One stream's baseline explained; `adjustment_wh` a half-hour as an exact fraction, None without a
    window.

    `window` are the metered Wh before the event that the adjustment compares, None where missing.
    """

    rule: str
    parts: tuple[PartExplanation, ...]
    adjustment_wh: Fraction | None = None
    window: tuple[tuple[datetime, int | None], ...] = ()

    @property
    def days_used(self) -> list[date]:
        """Every day with a reading in some half-hour's mean, newest first."""
        return sorted({used.day for part in self.parts for used in part.used}, reverse=True)

    @property
    def left_out(self) -> list[LeftOutDay]:
        """Every day left out, newest first."""
        return sorted((out for part in self.parts for out in part.left_out), key=_newest)


def explain(baseline: Baseline, stream: int) -> Explanation:
    """The explanation of one stream (row) of the baseline."""
    window = [start for part in baseline.parts for start in part.starts[part.event_count :]]
    metered = baseline.window_metered_wh[stream].tolist()
    has_reading = baseline.window_has_reading[stream].tolist()
    return Explanation(
        rule=baseline.rule.name,
        parts=tuple(_part(baseline.rule, part, stream) for part in baseline.parts),
        adjustment_wh=Fraction(int(baseline.adjustment_over[stream]), int(baseline.adjustment_under[stream]))
        if window
        else None,
        window=tuple(
            (start, wh if has else None) for start, wh, has in zip(window, metered, has_reading, strict=True)
        ),
    )


def as_json(explanation: Explanation) -> dict[str, object]:
    """Plain JSON for `HomeDelivery.explanation`; `from_json` reads it back unchanged."""
    return {
        "rule": explanation.rule,
        "parts": [
            {
                "day": part.day.isoformat(),
                "day_type": part.day_type,
                "starts": [_stamp(start) for start in part.starts],
                "event_count": part.event_count,
                "minimum": part.minimum,
                "used": [[used.day.isoformat(), list(used.wh)] for used in part.used],
                "left_out": [[out.day.isoformat(), out.reason.value] for out in part.left_out],
            }
            for part in explanation.parts
        ],
        "adjustment_wh": None if explanation.adjustment_wh is None else str(explanation.adjustment_wh),
        "window": [[_stamp(start), wh] for start, wh in explanation.window],
    }


def from_json(data: Mapping[str, Any]) -> Explanation:
    """What `as_json` wrote."""
    return Explanation(
        rule=data["rule"],
        parts=tuple(
            PartExplanation(
                day=date.fromisoformat(part["day"]),
                day_type=part["day_type"],
                starts=tuple(datetime.fromisoformat(start) for start in part["starts"]),
                event_count=part["event_count"],
                minimum=part["minimum"],
                used=tuple(UsedDay(date.fromisoformat(day), tuple(wh)) for day, wh in part["used"]),
                left_out=tuple(
                    LeftOutDay(date.fromisoformat(day), LeftOut(reason)) for day, reason in part["left_out"]
                ),
            )
            for part in data["parts"]
        ),
        adjustment_wh=None if data["adjustment_wh"] is None else Fraction(data["adjustment_wh"]),
        window=tuple((datetime.fromisoformat(start), wh) for start, wh in data["window"]),
    )


def _part(rule: BaselineRule, part: DayPart, stream: int) -> PartExplanation:
    is_event_day = part.is_event_day[stream].tolist()
    candidate = part.candidate[stream].tolist()
    kept = part.kept[stream].tolist()
    history = part.history_wh[stream].tolist()
    has_history = part.has_history[stream].tolist()
    used: list[UsedDay] = []
    dropped: list[UsedDay] = []
    left_out: list[LeftOutDay] = []
    looked_at = _looked_at(part, candidate)
    for row in range(looked_at):
        day = part.pool[row]
        values = zip(history[row], has_history[row], strict=True)
        reading = UsedDay(day, tuple(value if has else None for value, has in values))
        if is_event_day[row]:
            left_out.append(LeftOutDay(day, LeftOut.EVENT_DAY))
        elif not candidate[row] or not any(has_history[row]):
            left_out.append(LeftOutDay(day, LeftOut.NO_READING))
        elif kept[row]:
            used.append(reading)
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
    )


def _looked_at(part: DayPart, candidate: list[bool]) -> int:
    """How many like days it took to find the candidates: all of them when there are too few."""
    if sum(candidate) < part.kind.candidates:
        return len(part.pool)
    return len(candidate) - candidate[::-1].index(True)


def _rank_reason(part: DayPart, day: UsedDay, used: list[UsedDay]) -> LeftOut:
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
        elif rule.leaves_out_clock_change_days and period_count(past) != 48 and rule.day_type(past) == kind:
            found.append(LeftOutDay(past, LeftOut.CLOCK_CHANGE))
        past -= ONE_DAY
    return tuple(found)


def _newest(out: LeftOutDay) -> int:
    return -out.day.toordinal()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
