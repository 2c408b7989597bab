"""An event's signals as orders to assets.

    SIMPLE level                             0 as usual, 1 to 3 off: an asset in a home is no use by halves
    LOAD_CONTROL x-loadControlCapacity       at most this share of its rating; above 1, up
    LOAD_CONTROL x-loadControlPercentOffset  this many per cent of its rating less; above 0, up
    LOAD_DISPATCH setpoint                   at most this power each; of several powers, a plan of hours
    LOAD_DISPATCH delta                      below 0, this much less than its rating; above 0, up at it

Of several signals the first of LOAD_CONTROL, LOAD_DISPATCH and SIMPLE is followed; an event with none of them
is not supported (460).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hems.devices import Direction
from oadr.messages import Event, Signal, Unit

LONGEST = timedelta(hours=4)
"""No event holds an asset longer, whatever it says, unless it is a plan."""
LONGEST_PLAN = timedelta(hours=24)
"""A plan says itself when its asset gets what it needs: a car waits longer than LONGEST for cheap hours."""


class SignalUnsupported(Exception):
    """No signal of the event means anything to this hub."""


@dataclass(frozen=True, slots=True)
class Action:
    """What is asked of assets: at most (down) or at least (up) `share` of the rating plus `offset_w`.

    Watts on the wire are the hub's; its assets that take part carry them by their rating.
    """

    direction: Direction
    share: float
    offset_w: int = 0

    def limit_w(self, rated_w: int, *, together_w: int) -> int:
        """The limit of an asset of `rated_w` among assets of `together_w` in all."""
        part_w = int(self.offset_w * rated_w / together_w)
        return min(max(int(rated_w * self.share) + part_w, 0), rated_w)


@dataclass(frozen=True, slots=True)
class Slice:
    """An action over [starts_at, ends_at), before any randomisation; `is_plan`: one stretch of a plan."""

    starts_at: datetime
    ends_at: datetime
    action: Action
    is_plan: bool = False


def slices_of(event: Event) -> tuple[Slice, ...]:
    """Return what the event asks, in time order, to `ends_of` at most; raises SignalUnsupported."""
    followed = _followed(event)
    if followed is None:
        names = ", ".join(f"{signal.name}/{signal.type}" for signal in event.signals)
        raise SignalUnsupported(names or "no signal")
    return _laid_out(event, *followed)


def ends_of(event: Event) -> datetime:
    """When the event is over for this hub: what is open-ended or overlong is cut at LONGEST, a plan at
    LONGEST_PLAN.
    """
    followed = _followed(event)
    longest = LONGEST_PLAN if followed is not None and _is_plan(followed[0]) else LONGEST
    seconds = event.active_period.duration_seconds or LONGEST.total_seconds()
    return event.active_period.starts_at + timedelta(seconds=min(max(0, seconds), longest.total_seconds()))


ActionOf = Callable[[float], Action | None]


def _followed(event: Event) -> tuple[Signal, ActionOf] | None:
    for reads in (_load_control, _load_dispatch, _simple):
        for signal in event.signals:
            action_of = reads(signal)
            if action_of is not None:
                return signal, action_of
    return None


def _is_plan(signal: Signal) -> bool:
    """Setpoints that change: one power throughout only holds, whatever it is called."""
    is_setpoint = (signal.name, signal.type) == ("LOAD_DISPATCH", "setpoint")
    return is_setpoint and len({interval.value for interval in signal.intervals}) > 1


def _laid_out(event: Event, signal: Signal, action_of: ActionOf) -> tuple[Slice, ...]:
    starts_at, event_ends_at = event.active_period.starts_at, ends_of(event)
    is_plan = _is_plan(signal)
    slices = []
    for interval in signal.intervals:
        seconds = interval.duration_seconds
        if seconds < 0 or not math.isfinite(interval.value):
            raise SignalUnsupported(f"{signal.name}: an interval of {seconds} s with value {interval.value}")
        ends_at = min(starts_at + timedelta(seconds=seconds), event_ends_at) if seconds else event_ends_at
        action = action_of(interval.value)
        if action is not None and ends_at > starts_at:
            slices.append(Slice(starts_at, ends_at, action, is_plan))
        starts_at = ends_at
    return tuple(slices)


def _simple(signal: Signal) -> ActionOf | None:
    if signal.name.upper() != "SIMPLE" or signal.type != "level":
        return None
    return lambda level: Action("down", 0.0) if level >= 1 else None


def _load_control(signal: Signal) -> ActionOf | None:
    if signal.name != "LOAD_CONTROL":
        return None
    if signal.type == "x-loadControlCapacity":
        return lambda share: _relative(share)
    if signal.type == "x-loadControlPercentOffset":
        return lambda percent: _relative(1 + percent / 100)
    return None


def _load_dispatch(signal: Signal) -> ActionOf | None:
    if signal.name != "LOAD_DISPATCH":
        return None
    scale = (signal.unit or Unit("")).factor
    if signal.type == "setpoint":
        return lambda power: Action("down", 0.0, max(0, int(power * scale)))
    if signal.type == "delta":

        def changed(power: float) -> Action | None:
            power_w = int(power * scale)
            if not power_w:
                return None
            return Action("down", 1.0, power_w) if power_w < 0 else Action("up", 0.0, power_w)

        return changed
    return None


def _relative(share: float) -> Action | None:
    if share > 1:
        return Action("up", 1.0)
    return Action("down", max(0.0, share)) if share < 1 else None
