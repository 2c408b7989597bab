"""A house that storage heaters warm: what it will feel like, and what charge it can spare. Pure.

One room temperature, one heat capacity, one loss; heaters whose cores let go of their heat by themselves, a
fixed part of what they hold each hour. What the model leaves out (people, sun, a damper, an open window) is
one figure, `gains_w`, learned from how the room differed from what was foreseen.

    C dT/dt = sum(core / release_hours) + gains - loss (T - T_outdoor)
    d core/dt = charging - core / release_hours
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import time
from typing import Final

from hems.devices import Hold
from hems.instants import DAY, LONDON, civil_date, instant_of, local_instant, seconds_of

STEP_SECONDS: Final = 600
HOUR_SECONDS: Final = 3600
COMFORT_FIRST: Final = "the house would grow cold"
WARM_ENOUGH: Final = "warm enough"
NO_TEMPERATURE: Final = "no room temperature is heard"
LEARNED_SHARE: Final = 0.2
MOST_GAINS_W: Final = 3_000.0
LEAST_GAINS_W: Final = -2_000.0
UNFELT_K: Final = 0.1
RESTART_SHARE: Final = 0.05
"""A charge that was enough begins again when this part of the cores is missing: relays are spared."""

MONTHLY_OUTDOOR_C: Final = (4.0, 4.0, 6.0, 8.0, 11.0, 14.0, 16.0, 16.0, 13.5, 10.5, 7.0, 4.5)
"""Round figures for Great Britain, January first, for a home without an outdoor sensor."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class House:
    """`core_wh`, `rated_w`: all heaters together. Defaults suit a two-bedroom flat."""

    core_wh: float
    rated_w: int
    loss_w_per_k: float = 130.0
    capacity_wh_per_k: float = 3_500.0
    release_hours: float = 14.0


@dataclass(frozen=True, slots=True)
class Comfort:
    """`wanted_c` within `hours` (London), `least_c` at any other time; above `most_c` nothing is stored."""

    wanted_c: float = 19.0
    least_c: float = 15.0
    most_c: float = 23.0
    hours: tuple[tuple[time, time], ...] = ((time(6, 30), time(22, 30)),)

    def at(self, second: int) -> float:
        """Return the temperature the room may not fall below at a second."""
        wall = instant_of(second).astimezone(LONDON).time()
        return self.wanted_c if any(_within(wall, span) for span in self.hours) else self.least_c


@dataclass(frozen=True, slots=True)
class Warmth:
    """What is known of the house at a second."""

    at_s: int
    room_c: float
    core_wh: float
    gains_w: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """`budget_w`: the most the heaters may draw now; None: as the owner has them. `is_raised`: they have to.

    `interlock`: why an order is not followed; `detail`: for people.
    """

    budget_w: int | None = None
    is_raised: bool = False
    interlock: str = ""
    detail: str = ""


def foreseen(
    house: House, warmth: Warmth, *, outdoor_c: float, charging_w: Callable[[int], float], until_s: int
) -> Iterator[Warmth]:
    """Yield the house step by step until `until_s`; a charge never fills the cores above what they hold."""
    at_s, room_c, core_wh = warmth.at_s, warmth.room_c, warmth.core_wh
    while at_s < until_s:
        hours = min(STEP_SECONDS, until_s - at_s) / HOUR_SECONDS
        released_w = core_wh / house.release_hours
        net_w = released_w + warmth.gains_w - house.loss_w_per_k * (room_c - outdoor_c)
        core_wh = min(core_wh + (charging_w(at_s) - released_w) * hours, house.core_wh)
        core_wh = max(core_wh, 0.0)
        room_c += net_w * hours / house.capacity_wh_per_k
        at_s += round(hours * HOUR_SECONDS)
        yield Warmth(at_s, room_c, core_wh, warmth.gains_w)


def learned(
    house: House, before: Warmth, *, outdoor_c: float, core_wh: float, room_c: float, at_s: int
) -> Warmth:
    """Return what is known now that the room is measured again: the surprise moves `gains_w` a little."""
    hours = (at_s - before.at_s) / HOUR_SECONDS
    if hours <= 0:
        return replace(before, room_c=room_c, core_wh=core_wh)
    mean_core_wh = (before.core_wh + core_wh) / 2
    mean_room_c = (before.room_c + room_c) / 2
    explained_w = mean_core_wh / house.release_hours - house.loss_w_per_k * (mean_room_c - outdoor_c)
    seen_w = (room_c - before.room_c) * house.capacity_wh_per_k / hours - explained_w
    gains_w = before.gains_w + LEARNED_SHARE * min(1.0, hours) * (seen_w - before.gains_w)
    return Warmth(at_s, room_c, core_wh, min(max(gains_w, LEAST_GAINS_W), MOST_GAINS_W))


def decide(
    hold: Hold | None,
    *,
    house: House,
    comfort: Comfort,
    warmth: Warmth | None,
    outdoor_c: float,
    charge_hours: Sequence[tuple[time, time]],
    was_enough: bool = False,
) -> Decision:
    """Return what the heaters may draw under the order in force. Comfort comes first, then the order.

    Without an order they charge within the owner's hours until the house will keep warm up to the next ones
    (`was_enough`: so it was a moment ago). `warmth` None: no sensor speaks, so nothing is held back.
    """
    if warmth is None:
        return Decision(interlock=NO_TEMPERATURE if hold is not None else "", detail=NO_TEMPERATURE)
    at_s = warmth.at_s
    if hold is not None and hold.direction == "up" and hold.limit_w > 0:
        if warmth.room_c >= comfort.most_c:
            return Decision(interlock=WARM_ENOUGH)
        return Decision(hold.limit_w, is_raised=True)
    windows = windows_after(at_s, charge_hours)
    if hold is not None:
        limit_w = min(hold.limit_w, house.rated_w)
        if _is_spared(
            house, comfort, warmth, outdoor_c, windows, limit_w=limit_w, free_s=hold.planned_ends_s
        ):
            return Decision(limit_w)
        return Decision(interlock=COMFORT_FIRST)
    if not any(opens <= at_s for opens, _ in windows):
        return Decision()
    spare_wh = 0.0 if was_enough else RESTART_SHARE * house.core_wh
    without = replace(warmth, core_wh=max(0.0, warmth.core_wh - spare_wh))
    again_s = next(opens for opens, _ in windows if opens > at_s)
    course = foreseen(house, without, outdoor_c=outdoor_c, charging_w=lambda _: 0.0, until_s=again_s)
    if all(step.room_c >= comfort.at(step.at_s) for step in course):
        return Decision(0, detail=f"enough heat until {instant_of(again_s).astimezone(LONDON):%H:%M}")
    return Decision()


def windows_after(at_s: int, charge_hours: Sequence[tuple[time, time]]) -> list[Span]:
    """Return the owner's hours that end after a second, as epoch seconds, for the days around it."""
    today = civil_date(instant_of(at_s))
    spans = []
    for day in (today - DAY, today, today + DAY, today + 2 * DAY):
        for opens, closes in charge_hours:
            ends_on = day if closes > opens else day + DAY
            spans.append((seconds_of(local_instant(day, opens)), seconds_of(local_instant(ends_on, closes))))
    return sorted(span for span in spans if span[1] > at_s)


def _is_spared(
    house: House,
    comfort: Comfort,
    warmth: Warmth,
    outdoor_c: float,
    windows: Sequence[Span],
    *,
    limit_w: int,
    free_s: int,
) -> bool:
    """True when a limit until `free_s`, made up in what is left of the hours after it, leaves nobody cold.

    A house that cannot be kept warm anyway is held only if nobody feels the difference.
    """
    at_s = warmth.at_s
    if limit_w >= house.rated_w or all(opens >= free_s for opens, _ in windows):
        return True
    made_up_by_s = next(closes for _, closes in windows if closes > free_s)

    def charging_w(second: int) -> float:
        if not any(opens <= second < closes for opens, closes in windows):
            return 0.0
        return float(limit_w if at_s <= second < free_s else house.rated_w)

    def unheld_w(second: int) -> float:
        return float(house.rated_w if any(opens <= second < closes for opens, closes in windows) else 0)

    again_s = next(opens for opens, _ in windows if opens >= made_up_by_s)
    held = foreseen(house, warmth, outdoor_c=outdoor_c, charging_w=charging_w, until_s=again_s)
    unheld = foreseen(house, warmth, outdoor_c=outdoor_c, charging_w=unheld_w, until_s=again_s)
    return all(
        step.room_c >= min(comfort.at(step.at_s), without.room_c - UNFELT_K)
        for step, without in zip(held, unheld, strict=True)
    )


def _within(wall: time, span: tuple[time, time]) -> bool:
    opens, closes = span
    return opens <= wall < closes if opens < closes else wall >= opens or wall < closes
