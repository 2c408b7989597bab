"""Baseline rules as data: what a rule may say, the named presets, where each comes from and how sure that is.

Pure values: no ORM, no clock. `baselines.py` applies them; published terms hold a preset's name and changes
to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from enum import StrEnum
from typing import Final

from opendsr.kernel.errors import Invalid
from opendsr.kernel.periods import bank_holidays_england_wales

# One common denominator carries every mean exactly; that of 1 to 22 days still fits int64 with room for the
# sum.
MOST_DAYS_KEPT: Final = 22
MOST_LOOK_BACK_DAYS: Final = 366


class UnknownRule(Invalid):
    """No preset of that name."""

    rule: str
    known: list[str]


class RuleInvalid(Invalid):
    """A baseline rule contradicts itself or has a parameter that does not exist."""

    rule: str
    parameter: str
    reason: str


class Calendar(StrEnum):
    """Which days count as bank holidays."""

    ENGLAND_WALES = "england_wales"
    NONE = "none"


class Keep(StrEnum):
    """Which of the candidate days make the mean."""

    ALL = "all"
    HIGH = "high"
    MID = "mid"
    LOW = "low"


class Adjustment(StrEnum):
    """How the event day's own use before the event moves the baseline."""

    NONE = "none"
    ADDITIVE = "additive"
    ADDITIVE_UP_ONLY = "additive_up_only"


class Gaps(StrEnum):
    """What a candidate day without a reading for a half-hour does to that half-hour."""

    DROP = "drop"
    REACH_BACK = "reach_back"


class Certainty(StrEnum):
    """How sure it is that the preset is the rule it is named after."""

    READ = "read"
    SECONDARY = "secondary"
    MIXED = "mixed"
    OURS = "ours"


CERTAINTY_WORDS: Final[Mapping[Certainty, str]] = {
    Certainty.READ: "read in the named public source",
    Certainty.SECONDARY: "from a secondary source",
    Certainty.MIXED: "partly read, partly our choice where the text is silent",
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


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """A baseline rule: everything that decides which days and which half-hours make the mean."""

    name: str
    title: str
    day_types: tuple[DayType, ...]
    calendar: Calendar
    look_back_days: int
    source: str
    certainty: Certainty
    leaves_out_event_days: bool = True
    leaves_out_clock_change_days: bool = True
    gaps: Gaps = Gaps.DROP
    adjustment: Adjustment = Adjustment.NONE
    window_half_hours: int = 0
    window_ends_half_hours_before: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise RuleInvalid(rule=self.name, parameter=problem[0], reason=problem[1])

    def is_holiday(self, day: date) -> bool:
        """True on a bank holiday of the rule's calendar, whatever the weekday."""
        return self.calendar is Calendar.ENGLAND_WALES and day in bank_holidays_england_wales(day.year)

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
        return asdict(self)


def _problems(rule: BaselineRule) -> list[tuple[str, str]]:
    found = []
    weekdays = sorted(day for kind in rule.day_types for day in kind.weekdays)
    if weekdays != list(range(7)):
        found.append(("day_types", "every weekday belongs to exactly one day type"))
    if sum(kind.has_holidays for kind in rule.day_types) != 1:
        found.append(("day_types", "bank holidays belong to exactly one day type"))
    if not 1 <= rule.look_back_days <= MOST_LOOK_BACK_DAYS:
        found.append(("look_back_days", f"1 to {MOST_LOOK_BACK_DAYS}"))
    for kind in rule.day_types:
        kept = kind.candidates if kind.keep is Keep.ALL else kind.kept
        if kept is None or not 1 <= kept <= kind.candidates:
            found.append(("day_types", f"{kind.name}: keep between one and all candidates"))
        elif kept > MOST_DAYS_KEPT:
            found.append(
                ("day_types", f"{kind.name}: a mean of more than {MOST_DAYS_KEPT} days is not exact")
            )
        elif not 1 <= kind.minimum <= kept:
            found.append(("day_types", f"{kind.name}: the minimum is between one and the days kept"))
        if (kind.kept is None) != (kind.keep is Keep.ALL):
            found.append(("day_types", f"{kind.name}: `kept` goes with high, mid or low"))
    has_window = rule.window_half_hours > 0
    if has_window != (rule.adjustment is not Adjustment.NONE):
        found.append(("window_half_hours", "an adjustment has a window, and only an adjustment has"))
    if not 0 <= rule.window_half_hours <= 12 or not 0 <= rule.window_ends_half_hours_before <= 48:
        found.append(("window_half_hours", "at most 12, ending at most 48 before the event"))
    return found


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _yes_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


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
    kept = item.get("kept")
    return DayType(
        name=str(item["name"]),
        weekdays=tuple(_whole(day) for day in item["weekdays"]),
        has_holidays=_yes_no(item["has_holidays"]),
        candidates=_whole(item["candidates"]),
        minimum=_whole(item["minimum"]),
        keep=Keep(str(item.get("keep", Keep.ALL))),
        kept=None if kept is None else _whole(kept),
    )


CHANGEABLE: Final = {
    "day_types": _day_types,
    "calendar": lambda value: Calendar(str(value)),
    "look_back_days": _whole,
    "leaves_out_event_days": _yes_no,
    "leaves_out_clock_change_days": _yes_no,
    "gaps": lambda value: Gaps(str(value)),
    "adjustment": lambda value: Adjustment(str(value)),
    "window_half_hours": _whole,
    "window_ends_half_hours_before": _whole,
}

WORKING_WEEK: Final = (0, 1, 2, 3, 4)
WEEKEND: Final = (5, 6)
TEN_WORKING: Final = DayType("working day", WORKING_WEEK, has_holidays=False, candidates=10, minimum=5)
FOUR_OTHER: Final = DayType("non-working day", WEEKEND, has_holidays=True, candidates=4, minimum=2)

DFS_2023_DOMESTIC: Final = BaselineRule(
    name="dfs_2023_domestic",
    title="DFS 2023/24, domestic: 10 most recent working or 4 non-working days, no in-day adjustment",
    day_types=(TEN_WORKING, FOUR_OTHER),
    calendar=Calendar.ENGLAND_WALES,
    look_back_days=60,
    source="NESO Demand Flexibility Service 2023/24 changes (current-news.co.uk); counts from supplier texts",
    certainty=Certainty.MIXED,
    note="Read: event days out, no adjustment, 10 and 4. Secondary: 60 days, clock-change days out. "
    "Ours: minimum 5 and 2.",
)
DFS_2022: Final = replace(
    DFS_2023_DOMESTIC,
    name="dfs_2022",
    title="DFS 2022/23 (P376 text): 10 or 4 days, additive in-day adjustment",
    adjustment=Adjustment.ADDITIVE,
    window_half_hours=6,
    window_ends_half_hours_before=2,
    source="DFS Procurement Rules 2022/23 as quoted at forums.moneysavingexpert.com/discussion/6403242 p4",
    note="Read: formula and window. Secondary: 60 days. Ours: minimum 5 and 2; a window half-hour without a "
    "reading is left out of the mean. The window was gamed in its first winter.",
)
OCTOPUS_SAVING_SESSION: Final = BaselineRule(
    name="octopus_saving_session",
    title="Octopus saving session: 10 most recent weekdays or 4 weekend days, bank holidays are weekdays",
    day_types=(
        DayType("weekday", WORKING_WEEK, has_holidays=False, candidates=10, minimum=5),
        DayType("weekend day", WEEKEND, has_holidays=True, candidates=4, minimum=2),
    ),
    calendar=Calendar.NONE,
    look_back_days=60,
    leaves_out_clock_change_days=False,
    source="BottlecapDave/HomeAssistant-OctopusEnergy, octoplus (MIT): customer's code, no official rule",
    certainty=Certainty.SECONDARY,
    note="Ours: look-back of 60 days, minimum 5 and 2.",
)
MID_8_OF_10: Final = replace(
    DFS_2023_DOMESTIC,
    name="mid_8_of_10",
    title="Mid 8 of 10: the highest and the lowest of 10 like days left out, no same-day adjustment",
    day_types=(replace(TEN_WORKING, keep=Keep.MID, kept=8), replace(FOUR_OTHER, keep=Keep.MID, kept=2)),
    source="Method name from the ENA list; details unread",
    certainty=Certainty.OURS,
    note="Ours: everything but the name. Days are ranked by their mean use in the event's half-hours.",
)

PRESETS: Final[Mapping[str, BaselineRule]] = {
    rule.name: rule for rule in (DFS_2023_DOMESTIC, DFS_2022, OCTOPUS_SAVING_SESSION, MID_8_OF_10)
}


def preset(name: str, parameters: Mapping[str, object] | None = None) -> BaselineRule:
    """The preset of that name with parameters changed; raises UnknownRule, RuleInvalid."""
    try:
        rule = PRESETS[name]
    except KeyError:
        raise UnknownRule(rule=name, known=sorted(PRESETS)) from None
    return rule.with_parameters(parameters) if parameters else rule
