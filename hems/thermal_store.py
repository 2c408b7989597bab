"""A heat store with an on/off element: immersion heater in its cylinder, or storage heater.

Pure: draws, the owner's hours and orders in, segments of constant power out. The state is one integer, how
many joules the store is short of its thermostat's set point (below zero: warmer than that). A decision at any
second depends only on what was known by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hems.devices import Hold, Segment, Trace, edges_of, hold_at

JOULES_PER_WH = 3600
HOT_WATER_MINIMUM = "hot water minimum"
WEEKLY_60C_CYCLE = "weekly 60 C cycle"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ThermalStore:
    """`band_wh`: how short it runs before the thermostat closes. `minimum_wh`: shorter than this is never
    turned down. `headroom_wh`: how far above the set point an "up" order may heat. `loss_w`: what leaks, or
    warms the room.
    """

    rated_w: int = 3000
    loss_w: int = 70
    band_wh: int = 600
    minimum_wh: int = 5_000
    headroom_wh: int = 900
    capacity_wh: int = 7_800

    def heat(
        self,
        starts_s: int,
        ends_s: int,
        *,
        hours: Sequence[Span],
        draws: Sequence[tuple[int, int]],
        cycles: Sequence[tuple[int, int]] = (),
        holds: Sequence[Hold] = (),
    ) -> list[Segment]:
        """Run the store over [starts_s, ends_s) from its set point.

        Within the owner's `hours` the thermostat rules. `draws` are (second, Wh) of hot water taken at once;
        `cycles` are (second, Wh above the set point) of the weekly 60 C cycle, which runs at any hour until
        it is done and which no order touches. Heat an order holds back is made up after it, whatever the
        hour.
        """
        run = _Run(self, hours, holds)
        takes = {second: sum(wh for at, wh in draws if at == second) for second, _ in draws}
        boosts = dict(cycles)
        edges = (
            {edge for span in hours for edge in span} | edges_of(holds) | set(takes) | set(boosts) | {ends_s}
        )
        at_s = starts_s
        for edge_s in sorted(edge for edge in edges if edge > starts_s and edge <= ends_s):
            run.until(at_s, edge_s)
            at_s = edge_s
            run.short_j = min(
                run.short_j + takes.get(at_s, 0) * JOULES_PER_WH, self.capacity_wh * JOULES_PER_WH
            )
            if at_s in boosts:
                run.cycle_j = -boosts[at_s] * JOULES_PER_WH
        return run.trace.segments


@dataclass(slots=True)
class _Run:
    """The store in time."""

    store: ThermalStore
    hours: Sequence[Span]
    holds: Sequence[Hold]
    short_j: int = 0
    cycle_j: int | None = None
    is_heating: bool = False
    is_owed: bool = False
    is_guarded: bool = False
    trace: Trace = field(default_factory=Trace)

    def until(self, at_s: int, edge_s: int) -> None:
        """Advance to an edge; between edges only the store's own thresholds switch the element."""
        hold = hold_at(self.holds, at_s)
        while at_s < edge_s:
            power_w, interlock, stop_j = self._decide(hold, at_s)
            net_w = power_w - self.store.loss_w
            if net_w > 0:
                seconds = (self.short_j - stop_j) // net_w
                if seconds == 0:
                    # The last second stops just where the thermostat does, so that every run-in ends alike.
                    power_w, seconds = self.short_j - stop_j + self.store.loss_w, 1
                    net_w = power_w - self.store.loss_w
            elif net_w < 0 and stop_j > self.short_j:
                seconds = -(-(stop_j - self.short_j) // -net_w)
            else:
                seconds = edge_s - at_s
            seconds = max(1, min(seconds, edge_s - at_s))
            self.trace.add(at_s, at_s + seconds, power_w, interlock)
            self.short_j = min(self.short_j - net_w * seconds, self.store.capacity_wh * JOULES_PER_WH)
            at_s += seconds

    def _decide(self, hold: Hold | None, at_s: int) -> tuple[int, str, int]:
        """Power now, the interlock that overrules an order, and the shortage at which to decide again."""
        store = self.store
        band_j, minimum_j = store.band_wh * JOULES_PER_WH, store.minimum_wh * JOULES_PER_WH
        if self.cycle_j is not None and self.short_j <= self.cycle_j:
            self.cycle_j = None
        is_raised = hold is not None and hold.direction == "up" and hold.limit_w > 0
        if self.cycle_j is not None:
            target_j = self.cycle_j
        else:
            target_j = -store.headroom_wh * JOULES_PER_WH if is_raised else 0
        if self.short_j <= target_j:
            self.is_heating = False
            self.is_owed = False
        is_open = (
            self.is_owed or is_raised or self.cycle_j is not None or any(a <= at_s < b for a, b in self.hours)
        )
        is_cold = self.short_j > target_j if is_raised or self.cycle_j is not None else self.short_j >= band_j
        self.is_heating = is_open and (
            is_cold or (self.short_j > target_j and (self.is_heating or self.is_owed))
        )
        if not self.is_heating:
            return 0, "", minimum_j if self.short_j >= band_j else band_j
        if hold is None or hold.direction == "up" or hold.limit_w >= store.rated_w:
            self.is_guarded = False
            return store.rated_w, "", target_j
        if self.cycle_j is not None:
            return store.rated_w, WEEKLY_60C_CYCLE, target_j
        if self.short_j >= minimum_j:
            self.is_guarded = True
        elif self.short_j <= minimum_j - band_j:
            self.is_guarded = False
        if self.is_guarded:
            return store.rated_w, HOT_WATER_MINIMUM, minimum_j - band_j
        self.is_owed, self.is_heating = True, False
        return 0, "", minimum_j
