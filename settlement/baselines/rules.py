"""Baseline rules as data: what a rule may say, checked when it is made, and its form as plain JSON.

Pure values. `presets.py` has the named ones, `computing.py` applies them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from enum import StrEnum
from typing import Final

from settlement.baselines.calendars import Calendar, bank_holidays
from settlement.baselines.clock import HALF_HOURS_A_DAY
from settlement.baselines.errors import RuleInvalid

# One common denominator carries every mean exactly; that of 1 to 22 days still fits int64 with room for the
# sum.
MOST_DAYS_KEPT: Final = 22
MOST_LOOK_BACK_DAYS: Final = 366
MOST_WINDOW_HALF_HOURS: Final = 12


class Method(StrEnum):
    """How the days, or something else, make the unadjusted baseline."""

    MEAN = "mean"
    ROLLING = "rolling"
    REGRESSION = "regression"
    PROFILE = "profile"
    NOMINATED = "nominated"
    ZERO = "zero"


class Keep(StrEnum):
    """Which of the candidate days make the mean."""

    ALL = "all"
    RECENT = "recent"
    HIGH = "high"
    MID = "mid"
    LOW = "low"


class Adjustment(StrEnum):
    """How the event day's own use outside the event moves the baseline."""

    NONE = "none"
    ADDITIVE = "additive"
    ADDITIVE_UP_ONLY = "additive_up_only"
    RATIO = "ratio"


class Gaps(StrEnum):
    """What a candidate day without a reading for a half-hour of the event does.

    DROP leaves it out of that half-hour's mean, WHOLE_DAY out of every one, REACH_BACK takes an earlier day
    in its place. None ever counts the gap as zero.
    """

    DROP = "drop"
    WHOLE_DAY = "whole_day"
    REACH_BACK = "reach_back"


class Busy(StrEnum):
    """What the adjustment does with window half-hours in which the home took part in another event."""

    LEAVE_OUT = "leave_out"
    KEEP = "keep"


class Certainty(StrEnum):
    """How sure it is that the preset is the rule it is named after."""

    READ = "read"
    MIXED = "mixed"
    SECONDARY = "secondary"
    UNCONFIRMED = "unconfirmed"
    OURS = "ours"


CERTAINTY_WORDS: Final[Mapping[Certainty, str]] = {
    Certainty.READ: "read in the named public source",
    Certainty.MIXED: "partly read, partly our choice where the text is silent",
    Certainty.SECONDARY: "from a secondary source",
    Certainty.UNCONFIRMED: "general knowledge: compare with the operator's own document before relying on it",
    Certainty.OURS: "our own rule",
}


@dataclass(frozen=True, slots=True)
class DayType:
    """Days taken to be alike: these weekdays (Monday is 0), with or without the calendar's bank holidays.

    Of the `candidates` most recent like days `keep` says which make the mean, `kept` of them unless it is
    ALL; fewer than `minimum` days with a reading make no baseline for that half-hour.
    """

    name: str
    weekdays: tuple[int, ...]
    has_holidays: bool
    candidates: int
    minimum: int
    keep: Keep = Keep.ALL
    kept: int | None = None

    @property
    def most_days(self) -> int:
        """The most days that can make one half-hour's mean."""
        return self.candidates if self.kept is None else self.kept


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """A baseline rule: everything that decides which days and which half-hours make the baseline.

    The adjustment window is `window_half_hours` half-hours ending `window_ends_half_hours_before` half-hours
    before the event, and `after_half_hours` that start `after_starts_half_hours_after` after it.
    `floor_pct` and `cap_pct` bound the adjusted use of the window in percent of the unadjusted.
    `low_use_pct`: a like day whose mean use in the event's half-hours is under this share of the mean of the
    most recent `candidates` is left out and an earlier one taken; no day is while that mean is not positive.
    `newest_weight_pct` and `seed_days` are ROLLING's; `heating_base_tenths_c` is REGRESSION's; `profile_w`
    PROFILE's: for each day type 48 values of W a unit, by the wall clock. `unsure` names the parameters that
    no source confirms.
    """

    name: str
    title: str
    day_types: tuple[DayType, ...]
    calendar: Calendar
    look_back_days: int
    source: str
    certainty: Certainty
    method: Method = Method.MEAN
    leaves_out_event_days: bool = True
    leaves_out_clock_change_days: bool = True
    extra_holidays: tuple[date, ...] = ()
    not_holidays: tuple[date, ...] = ()
    gaps: Gaps = Gaps.DROP
    low_use_pct: int = 0
    adjustment: Adjustment = Adjustment.NONE
    window_half_hours: int = 0
    window_ends_half_hours_before: int = 0
    after_half_hours: int = 0
    after_starts_half_hours_after: int = 0
    floor_pct: int | None = None
    cap_pct: int | None = None
    busy_window: Busy = Busy.LEAVE_OUT
    newest_weight_pct: int = 10
    seed_days: int = 1
    heating_base_tenths_c: int = 155
    profile_w: tuple[tuple[str, tuple[int, ...]], ...] = ()
    unsure: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for parameter, reason in _problems(self):
            raise RuleInvalid(rule=self.name, parameter=parameter, reason=reason)

    @property
    def uses_days(self) -> bool:
        """True when the baseline is made from the meter's own like days."""
        return self.method in (Method.MEAN, Method.ROLLING, Method.REGRESSION)

    def is_holiday(self, day: date) -> bool:
        """True on a bank holiday of the rule's calendar, whatever the weekday."""
        if day in self.extra_holidays:
            return True
        return day in bank_holidays(self.calendar, day.year) and day not in self.not_holidays

    def day_type(self, day: date) -> DayType:
        """The one day type the civil day belongs to."""
        if self.is_holiday(day):
            return next(kind for kind in self.day_types if kind.has_holidays)
        return next(kind for kind in self.day_types if day.weekday() in kind.weekdays)

    def with_parameters(self, parameters: Mapping[str, object]) -> BaselineRule:
        """The rule with top-level parameters changed, such as {"look_back_days": 45}; day types as mappings.

        Raises RuleInvalid for a parameter that does not exist or a value that makes no sense.
        """
        changes: dict[str, object] = {}
        for name, value in parameters.items():
            if name not in CHANGEABLE:
                raise RuleInvalid(rule=self.name, parameter=name, reason="no such parameter")
            try:
                changes[name] = CHANGEABLE[name](value)
            except (TypeError, ValueError, KeyError) as error:
                raise RuleInvalid(rule=self.name, parameter=name, reason=str(error)) from error
        return replace(self, **changes)  # type: ignore[arg-type]

    def as_data(self) -> dict[str, object]:
        """The whole rule as plain JSON values: goes into a run's input hash and onto exports."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> BaselineRule:
        """What `as_data` wrote, as a rule again; raises RuleInvalid."""
        try:
            values = {name: CHANGEABLE[name](data[name]) for name in CHANGEABLE if name in data}
            texts = {name: str(data[name]) for name in ("name", "title", "source", "note") if name in data}
            unsure = tuple(str(name) for name in _listed(data.get("unsure", ())))
            certainty = Certainty(str(data["certainty"]))
            return cls(**texts, **values, certainty=certainty, unsure=unsure)  # type: ignore[arg-type]
        except RuleInvalid:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise RuleInvalid(rule=str(data.get("name")), parameter="data", reason=str(error)) from error


def _problems(rule: BaselineRule) -> list[tuple[str, str]]:
    return [*_calendar_problems(rule), *_day_problems(rule), *_window_problems(rule), *_method_problems(rule)]


def _calendar_problems(rule: BaselineRule) -> list[tuple[str, str]]:
    found = []
    if sorted(day for kind in rule.day_types for day in kind.weekdays) != list(range(7)):
        found.append(("day_types", "every weekday belongs to exactly one day type"))
    if sum(kind.has_holidays for kind in rule.day_types) != 1:
        found.append(("day_types", "bank holidays belong to exactly one day type"))
    if len({kind.name for kind in rule.day_types}) != len(rule.day_types):
        found.append(("day_types", "each day type has a name of its own"))
    if not 1 <= rule.look_back_days <= MOST_LOOK_BACK_DAYS:
        found.append(("look_back_days", f"1 to {MOST_LOOK_BACK_DAYS}"))
    return found


def _day_problems(rule: BaselineRule) -> list[tuple[str, str]]:
    found = []
    for kind in rule.day_types:
        kept = kind.candidates if kind.keep is Keep.ALL else kind.kept
        if kept is None or not 1 <= kept <= kind.candidates:
            found.append(("day_types", f"{kind.name}: keep between one and all candidates"))
        elif rule.method is Method.MEAN and kept > MOST_DAYS_KEPT:
            found.append(
                ("day_types", f"{kind.name}: a mean of more than {MOST_DAYS_KEPT} days is not exact")
            )
        elif not 1 <= kind.minimum <= kept:
            found.append(("day_types", f"{kind.name}: the minimum is between one and the days kept"))
        if (kind.kept is None) != (kind.keep is Keep.ALL):
            found.append(("day_types", f"{kind.name}: `kept` goes with recent, high, mid or low"))
        if rule.method is not Method.MEAN and kind.keep is not Keep.ALL:
            found.append(("day_types", f"{kind.name}: only a mean keeps some of its candidates"))
    if not 0 <= rule.low_use_pct <= 99:
        found.append(("low_use_pct", "0 to 99 percent of the mean"))
    return found


def _window_problems(rule: BaselineRule) -> list[tuple[str, str]]:
    found = []
    has_window = rule.window_half_hours + rule.after_half_hours > 0
    if has_window != (rule.adjustment is not Adjustment.NONE):
        found.append(("window_half_hours", "an adjustment has a window, and only an adjustment has"))
    for name in ("window_half_hours", "after_half_hours"):
        if not 0 <= getattr(rule, name) <= MOST_WINDOW_HALF_HOURS:
            found.append((name, f"at most {MOST_WINDOW_HALF_HOURS}"))
    for name in ("window_ends_half_hours_before", "after_starts_half_hours_after"):
        if not 0 <= getattr(rule, name) <= HALF_HOURS_A_DAY:
            found.append((name, f"at most {HALF_HOURS_A_DAY} half-hours from the event"))
    for name, low, high in (("floor_pct", 0, 100), ("cap_pct", 100, 1000)):
        value = getattr(rule, name)
        if value is not None and not low <= value <= high:
            found.append((name, f"{low} to {high} percent"))
        if value is not None and rule.adjustment is Adjustment.NONE:
            found.append((name, "bounds an adjustment, and there is none"))
    return found


def _method_problems(rule: BaselineRule) -> list[tuple[str, str]]:
    found = []
    if not 1 <= rule.newest_weight_pct <= 99:
        found.append(("newest_weight_pct", "1 to 99 percent"))
    if rule.method is Method.ROLLING and not 1 <= rule.seed_days <= MOST_DAYS_KEPT:
        found.append(("seed_days", f"1 to {MOST_DAYS_KEPT}"))
    names = [name for name, _ in rule.profile_w]
    if (rule.method is Method.PROFILE) != bool(rule.profile_w):
        found.append(("profile_w", "a profile goes with the method `profile`, and only with it"))
    elif rule.profile_w and sorted(names) != sorted(kind.name for kind in rule.day_types):
        found.append(("profile_w", "one profile for each day type, by its name"))
    for name, watts in rule.profile_w:
        if len(watts) != HALF_HOURS_A_DAY:
            found.append(("profile_w", f"{name}: 48 half-hours from local midnight, not {len(watts)}"))
    return found


def _plain(value: object) -> object:
    if isinstance(value, DayType):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _whole_or_none(value: object) -> int | None:
    return None if value is None else _whole(value)


def _yes_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _listed(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is not a list")
    return list(value)


def _dates(value: object) -> tuple[date, ...]:
    return tuple(date.fromisoformat(str(item)) for item in _listed(value))


def _profiles(value: object) -> tuple[tuple[str, tuple[int, ...]], ...]:
    pairs = list(value.items()) if isinstance(value, Mapping) else [_listed(pair) for pair in _listed(value)]
    return tuple((str(name), tuple(_whole(watts) for watts in _listed(profile))) for name, profile in pairs)


def _day_types(value: object) -> tuple[DayType, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError("a list of day types")
    return tuple(_day_type(item) for item in value)


def _day_type(item: object) -> DayType:
    if isinstance(item, DayType):
        return item
    if not isinstance(item, Mapping):
        raise TypeError(f"{item!r} is not a day type")
    unknown = sorted(set(item) - {field.name for field in fields(DayType)})
    if unknown:
        raise ValueError(f"a day type has no {', '.join(unknown)}")
    return DayType(
        name=str(item["name"]),
        weekdays=tuple(_whole(day) for day in item["weekdays"]),
        has_holidays=_yes_no(item["has_holidays"]),
        candidates=_whole(item["candidates"]),
        minimum=_whole(item["minimum"]),
        keep=Keep(str(item.get("keep", Keep.ALL))),
        kept=_whole_or_none(item.get("kept")),
    )


CHANGEABLE: Final[Mapping[str, Callable[[object], object]]] = {
    "method": lambda value: Method(str(value)),
    "day_types": _day_types,
    "calendar": lambda value: Calendar(str(value)),
    "extra_holidays": _dates,
    "not_holidays": _dates,
    "look_back_days": _whole,
    "leaves_out_event_days": _yes_no,
    "leaves_out_clock_change_days": _yes_no,
    "gaps": lambda value: Gaps(str(value)),
    "low_use_pct": _whole,
    "adjustment": lambda value: Adjustment(str(value)),
    "window_half_hours": _whole,
    "window_ends_half_hours_before": _whole,
    "after_half_hours": _whole,
    "after_starts_half_hours_after": _whole,
    "floor_pct": _whole_or_none,
    "cap_pct": _whole_or_none,
    "busy_window": lambda value: Busy(str(value)),
    "newest_weight_pct": _whole,
    "seed_days": _whole,
    "heating_base_tenths_c": _whole,
    "profile_w": _profiles,
}
