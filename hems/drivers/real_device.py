"""What every driver of a real device shares: the timetable, the guards, the word said and why."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from hems.devices import DeviceState, Hold, Order, hold_at, holds_of
from hems.drivers.manners import Manners, Seen, Wish, wish
from hems.drivers.relay import Command, Relay
from hems.instants import second_of

FREE: Final = Wish()

commands = logging.getLogger("hems.commands")
"""Every word said to a device."""


@dataclass(frozen=True, slots=True)
class AssetSettings:
    """One asset of the hub's config file."""

    resource_id: str
    kind: str
    rated_w: int
    manners: Manners
    options: dict[str, Any]


class RealDevice:
    """The driver's frame: orders to a wish, second by second. What is done about it is the make's affair."""

    def __init__(self, settings: AssetSettings) -> None:
        self.settings = settings
        self._holds: tuple[Hold, ...] = ()
        self.wished = FREE
        self._hold: Hold | None = None
        self.at_s = 0

    @property
    def resource_id(self) -> str:
        return self.settings.resource_id

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def rated_w(self) -> int:
        return self.settings.rated_w

    def plan(self, orders: Sequence[Order]) -> None:
        self._holds = holds_of(orders, self.resource_id)

    def note(self, said: str, *, is_said: bool = True) -> bool:
        """Write down what was said to the device, and why; returns whether it left."""
        why = self.wished.interlock
        if not why and self.wished.limit_w is not None:
            why = "own order" if self._hold is not None and self._hold.is_local else "order"
        why = why or "own schedule"
        left = "" if is_said else " (did not leave)"
        commands.info("%s %s: %s%s", self.resource_id, why, said, left)
        return is_said

    def wish_at(self, at: datetime, seen: Seen) -> Wish:
        """Return what is wanted of the device now, and remember it."""
        self.at_s = second_of(at)
        self._hold = hold_at(self._holds, self.at_s)
        self.wished = wish(
            self._hold, at_s=self.at_s, rated_w=self.rated_w, manners=self.settings.manners, seen=seen
        )
        return self.wished

    def is_ordered(self, at: datetime) -> bool:
        """True while an event holds it."""
        hold = hold_at(self._holds, second_of(at))
        return hold is not None and not hold.is_local

    def state(
        self, at: datetime, *, power_w: float | None, energy_wh: float | None = None, detail: str = "",
        is_available: bool,
    ) -> DeviceState:  # fmt: skip
        """Return the state in the hub's terms; what the device does not tell is 0 W, and `detail` says so."""
        return DeviceState(
            self.resource_id,
            self.kind,
            round(power_w or 0),
            self.is_ordered(at),
            self.wished.interlock,
            detail or ("" if power_w is not None else "the device does not tell its power"),
            None if energy_wh is None else round(energy_wh),
            is_available,
            power_w is not None,
        )


class SwitchedDevice(RealDevice):
    """A device that is on or off. The make says how it is told (`switch`), whether it goes back by itself
    (`has_timer`), and feeds `relay.hear`.
    """

    has_timer: ClassVar[bool] = True

    def __init__(self, settings: AssetSettings, switch: Callable[[Command], bool]) -> None:
        super().__init__(settings)
        self.relay = Relay(is_on_when_free=bool(settings.options.get("is_on_when_free", True)))
        self._switch = switch
        self._guarded = False

    def settle(self, at: datetime, *, temperature_c: float | None = None) -> None:
        """Ask of the device what is wanted now."""
        seen = Seen(
            temperature_c=temperature_c,
            is_on=self.relay.shown,
            switched_s=self.relay.switched_s,
            is_overridden=self.relay.is_overridden,
            was_guarded=self._guarded,
        )
        wanted = self.wish_at(at, seen)
        if seen.is_overridden and self._hold is not None:
            return  # the member's hand: not even the relay is told anything until the order is over
        self._guarded = bool(wanted.interlock)
        target = None if wanted.limit_w is None else not wanted.is_off(self.rated_w)
        command = self.relay.step(target, self.at_s)
        if command is not None and not self._tell(command):
            self.relay.was_not_said()

    def safe_state(self) -> None:
        """Give it back at once."""
        self._holds = ()
        command = self.relay.step(None, self.at_s)
        if command is not None:
            self._tell(command)

    def _tell(self, command: Command) -> bool:
        said = "on" if command.is_on else "off"
        if command.flips_after_seconds and self.has_timer:
            said += f", back after {command.flips_after_seconds} s"
        return self.note(said, is_said=self._switch(command))


def number_of(payload: bytes) -> float:
    """Return a payload that is one number; ValueError otherwise, also for what is no finite number."""
    number = float(payload)
    if number != number or abs(number) == float("inf"):
        raise ValueError(f"{payload!r:.40} is no number")
    return number


def object_of(payload: bytes) -> dict[str, Any]:
    """Return a payload that is a JSON object; ValueError otherwise."""
    document = json.loads(payload)
    if not isinstance(document, dict):
        raise ValueError(f"{payload!r:.40} is no JSON object")
    return document
