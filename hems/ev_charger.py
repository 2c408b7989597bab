"""An EV charger that behaves: legal power steps, stays, and a car that is charged by its departure.

Pure: stays, the owner's hours and orders in, segments of constant power out. A decision at any second depends
only on what was known by then, so that a later order never changes the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hems.devices import Hold, Segment, Trace, edges_of, hold_at
from hems.instants import seconds_of

JOULES_PER_WH = 3600
LEAST_CHARGE_PCT = 30
"""A battery below this is not turned down."""

NEEDED_BY_DEPARTURE = "needed by departure"
BATTERY_LOW = "battery low"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stay:
    """A car plugged in over [arrives_at, departs_at) that takes `energy_wh` if its owner's hours allow."""

    arrives_at: datetime
    departs_at: datetime
    energy_wh: int
    battery_wh: int = 58_000
    arrives_with_pct: float = 50.0

    @property
    def first_wh(self) -> int:
        """What brings the battery to LEAST_CHARGE_PCT: never turned down."""
        short_pct = max(0.0, LEAST_CHARGE_PCT - self.arrives_with_pct)
        return min(self.energy_wh, int(self.battery_wh * short_pct / 100))


@dataclass(frozen=True, slots=True)
class EvCharger:
    """What the charger can do: off, or `minimum_w` to `rated_w` in steps (6 to 32 A at 230 V)."""

    rated_w: int = 7360
    minimum_w: int = 1380
    step_w: int = 230

    def at_most(self, power_w: int) -> int:
        """The largest legal power not above `power_w`; 0 is off."""
        if power_w < self.minimum_w:
            return 0
        return self.minimum_w + (min(power_w, self.rated_w) - self.minimum_w) // self.step_w * self.step_w

    def at_least(self, power_w: int) -> int:
        """The smallest legal power not below `power_w`, or the rated power."""
        if power_w <= 0:
            return 0
        steps = -(-max(0, power_w - self.minimum_w) // self.step_w)
        return min(self.rated_w, self.minimum_w + steps * self.step_w)

    def charge(self, stay: Stay, hours: Sequence[Span], holds: Sequence[Hold]) -> list[Segment]:
        """Lay one stay out in time.

        Within the owner's `hours` (epoch seconds) the car charges at rated power until it has its energy.
        What an order holds back is made up as soon as it lapses, whatever the hour; orders neither add to nor
        take from what the stay delivers, save that an "up" order may go on to all the car can take.
        """
        free = self._run(stay, hours, (), stay.energy_wh * JOULES_PER_WH)
        if not holds:
            return free
        return self._run(stay, hours, holds, sum(segment.energy_j for segment in free))

    def _run(self, stay: Stay, hours: Sequence[Span], holds: Sequence[Hold], goal_j: int) -> list[Segment]:
        trace = Trace()
        at_s, departs_s = seconds_of(stay.arrives_at), seconds_of(stay.departs_at)
        edges = sorted({edge for span in hours for edge in span} | edges_of(holds) | {departs_s})
        first_j, done_j, is_owed = stay.first_wh * JOULES_PER_WH, 0, False
        while at_s < departs_s:
            edge_s = min(departs_s, next(edge for edge in edges if edge > at_s))
            hold = hold_at(holds, at_s)
            is_raised = hold is not None and hold.direction == "up"
            left_j = (stay.energy_wh * JOULES_PER_WH if is_raised else goal_j) - done_j
            wants = is_owed or any(start <= at_s < end for start, end in hours)
            power_w, interlock = self.rated_w if wants else 0, ""
            if hold is not None and hold.direction == "up":
                power_w = max(power_w, self.at_least(hold.limit_w))
            elif hold is not None and power_w and left_j > 0:
                if done_j < first_j:
                    interlock = BATTERY_LOW
                else:
                    power_w, interlock = self._held_w(hold, at_s, departs_s, left_j)
                    is_owed = True
            if left_j <= 0 or power_w == 0:
                trace.add(at_s, edge_s, 0)
                at_s = edge_s
                continue
            seconds = min(edge_s - at_s, left_j // power_w)
            if interlock == BATTERY_LOW:
                seconds = min(seconds, -(-(first_j - done_j) // power_w))
            if seconds == 0:
                # The last second takes what is left, so that a stay ends with exactly its energy.
                power_w, seconds = left_j, 1
            trace.add(at_s, at_s + seconds, power_w, interlock)
            done_j += power_w * seconds
            at_s += seconds
        return trace.segments

    def _held_w(self, hold: Hold, at_s: int, departs_s: int, left_j: int) -> tuple[int, str]:
        """The power under a turn-down, and why it is more than ordered when it is.

        All the car still needs must fit into what the order leaves and full power afterwards until departure.
        """
        power_w = self.at_most(hold.limit_w)
        lifts_s = min(hold.planned_ends_s, departs_s)
        must_j = left_j - self.rated_w * (departs_s - lifts_s)
        if must_j <= power_w * (lifts_s - at_s):
            return power_w, ""
        return max(power_w, self.at_least(-(-must_j // (lifts_s - at_s)))), NEEDED_BY_DEPARTURE
