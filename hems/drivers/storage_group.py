"""Storage heaters as one asset: relays of any make, thermometers, and a model of the house above them.

Upstream it is one resource with one power. Each minute the house is foreseen (`hems.house`) and every heater
is given an order of a few minutes, which lapses by itself: its own driver then remembers how it was found,
sees the member's hand and leaves nothing off for long. What a limit leaves is given to the coldest rooms.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from typing import Final, Protocol

from hems.devices import LOCAL_URGENCY, DeviceState, Direction, Driver, Hold, Order, hold_at
from hems.drivers.bus import Bus, LocalBroker
from hems.drivers.manners import MEMBERS_OVERRIDE
from hems.drivers.real_device import AssetSettings, RealDevice
from hems.drivers.relay import Relay
from hems.drivers.sensors import Sensor, thermometer
from hems.files import write_atomically
from hems.house import (
    COMFORT_FIRST,
    MONTHLY_OUTDOOR_C,
    Comfort,
    Decision,
    House,
    Warmth,
    decide,
    learned,
    windows_after,
)
from hems.instants import LONDON, instant_of, second_of

DECIDE_SECONDS: Final = 60
LEARN_SECONDS: Final = 900
ORDER_SECONDS: Final = 600
"""A heater's order lapses after this, should nobody renew it."""
STAGGER_SECONDS: Final = 5
"""Between one relay of the house and the next."""
FULL_SHARE: Final = 0.05
"""Of its rating: a heater that is on and draws less than this has a full core."""
SHARE_UNKNOWN: Final = 0.5
"""The part of the cores that is thought to be full when nobody knows."""

log = logging.getLogger("hems")


@dataclass(frozen=True, slots=True)
class HeaterSettings:
    """One heater of the group; `core_wh` is what it stores when full."""

    name: str
    rated_w: int
    core_wh: float
    room_topic: str = ""


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """The house of a group, from the config."""

    heaters: tuple[HeaterSettings, ...]
    house: House
    comfort: Comfort = field(default_factory=Comfort)
    charge_hours: tuple[tuple[time, time], ...] = ((time(0, 30), time(7, 30)),)
    room_topics: tuple[str, ...] = ()
    outdoor_topic: str = ""


class SwitchDriver(Driver, Protocol):
    """A driver of an on/off device, with its relay to look at."""

    @property
    def relay(self) -> Relay:
        """What the switch shows."""

    def close(self) -> None:
        """Give the device back and hang up."""


class StorageGroup(RealDevice):
    """`heaters` are the drivers of `group.heaters`, in that order."""

    def __init__(
        self,
        settings: AssetSettings,
        group: GroupSettings,
        heaters: Sequence[SwitchDriver],
        *,
        broker: LocalBroker,
        folder: Path,
        hub: str,
    ) -> None:
        super().__init__(settings)
        self.group, self.heaters = group, list(heaters)
        self.comfort = group.comfort
        self._rooms = {topic: thermometer(topic) for topic in _topics(group)}
        self._outdoor: Sensor | None = thermometer(group.outdoor_topic) if group.outdoor_topic else None
        self._bus = Bus(broker, name=f"{hub}-{self.resource_id}"[:60])
        self._sensors = [*self._rooms.values(), *([self._outdoor] if self._outdoor else [])]
        for sensor in self._sensors:
            sensor.listen(self._bus)
        self._bus.start()
        self._path = folder / f"heat-{self.resource_id}.json"
        self.core_wh, self.gains_w = _read(self._path, group)
        self._seen_s = 0
        self._is_due = False
        self._learned: Warmth | None = None
        self._decision = Decision()
        self._decided_s = -DECIDE_SECONDS
        self._decided_for: Hold | None = None
        self._given_up: Hold | None = None
        self._told: dict[int, tuple[Direction, int] | None] = {}

    # ---- what a driver does

    @property
    def available(self) -> bool:
        return any(heater.available for heater in self.heaters)

    def apply(self, at: datetime) -> None:
        self.at_s = at_s = second_of(at)
        for sensor in self._sensors:
            sensor.at_s = at_s
        # Within the hours in which the heaters have current.
        self._is_due = any(opens <= at_s for opens, _ in windows_after(at_s, self.group.charge_hours))
        self._bus.take()
        self._count_heat(at)
        hold = hold_at(self._holds, at_s)
        if hold != self._decided_for or not 0 <= at_s - self._decided_s < DECIDE_SECONDS:
            self._decide(hold, at_s)
        for heater in self.heaters:
            heater.apply(at)

    def safe_state(self) -> None:
        self._holds = ()
        for heater in self.heaters:
            heater.safe_state()

    def telemetry(self, at: datetime) -> DeviceState:
        states = [heater.telemetry(at) for heater in self.heaters]
        energies = [state.energy_wh for state in states]
        known_wh = [wh for wh in energies if wh is not None]
        interlock = self._decision.interlock
        if not interlock and any(state.interlock == MEMBERS_OVERRIDE for state in states):
            interlock = MEMBERS_OVERRIDE
        return DeviceState(
            self.resource_id,
            self.kind,
            sum(self._power_w(number, state) for number, state in enumerate(states)),
            self.is_ordered(at),
            interlock,
            self._said(second_of(at)),
            sum(known_wh) if len(known_wh) == len(energies) else None,
            self.available,
            all(state.is_measured for state in states),
        )

    def close(self) -> None:
        self._keep()
        for heater in self.heaters:
            heater.close()
        self._bus.close()

    # ---- what is known of the house

    @property
    def outdoor_c(self) -> float:
        heard = self._outdoor.value_at(self.at_s) if self._outdoor else None
        month = instant_of(self.at_s).astimezone(LONDON).month
        return MONTHLY_OUTDOOR_C[month - 1] if heard is None else heard

    def warmth(self, at_s: int) -> Warmth | None:
        """What is known of the house now; None while no thermometer in it speaks."""
        heard = [c for sensor in self._rooms.values() if (c := sensor.value_at(at_s)) is not None]
        if not heard:
            return None
        return Warmth(at_s, sum(heard) / len(heard), sum(self.core_wh), self.gains_w)

    def _count_heat(self, at: datetime) -> None:
        """What each core took in and let go since the last look."""
        hours = (self.at_s - self._seen_s) / 3600
        if self._seen_s and 0 < hours < 1:
            for number, heater in enumerate(self.heaters):
                state = heater.telemetry(at)
                power_w = self._power_w(number, state)
                most_wh = self.group.heaters[number].core_wh
                held_wh = self.core_wh[number]
                held_wh += (power_w - held_wh / self.group.house.release_hours) * hours
                is_full = state.is_measured and heater.relay.shown and self._is_due
                if is_full and power_w < FULL_SHARE * self.group.heaters[number].rated_w:
                    held_wh = most_wh
                self.core_wh[number] = min(max(held_wh, 0.0), most_wh)
        self._seen_s = self.at_s
        self._learn()

    def _power_w(self, number: int, state: DeviceState) -> int:
        """Measured, or what it draws when nobody measures: in its hours, switched on, until it is full."""
        if state.is_measured:
            return state.power_w
        heater = self.group.heaters[number]
        is_taking = self.heaters[number].relay.shown and self._is_due
        return heater.rated_w if is_taking and self.core_wh[number] < heater.core_wh else 0

    def _learn(self) -> None:
        now, before = self.warmth(self.at_s), self._learned
        if now is None or (before is not None and 0 <= self.at_s - before.at_s < LEARN_SECONDS):
            return
        if before is not None and self.at_s - before.at_s <= 2 * LEARN_SECONDS:
            fresh = learned(
                self.group.house,
                before,
                outdoor_c=self.outdoor_c,
                core_wh=now.core_wh,
                room_c=now.room_c,
                at_s=self.at_s,
            )
            self.gains_w = fresh.gains_w
            now = fresh
        self._learned = now
        self._keep()

    # ---- what is done about it

    def _decide(self, hold: Hold | None, at_s: int) -> None:
        before = self._decision
        decision = decide(
            hold,
            house=self.group.house,
            comfort=self.comfort,
            warmth=self.warmth(at_s),
            outdoor_c=self.outdoor_c,
            charge_hours=self.group.charge_hours,
            was_enough=self._decided_for is None and before.budget_w == 0,
        )
        if hold is not None and hold == self._given_up:
            # A house let go of because it would grow cold is not held again by the same order.
            decision = Decision(interlock=COMFORT_FIRST)
        elif decision.interlock == COMFORT_FIRST:
            self._given_up = hold
        self._decision, self._decided_s, self._decided_for = decision, at_s, hold
        if decision.interlock and decision.interlock != before.interlock:
            log.info("%s: %s", self.resource_id, decision.interlock)
        for number, asked in enumerate(self._shared_out(decision)):
            self._order(number, asked, at_s)

    def _shared_out(self, decision: Decision) -> list[tuple[Direction, int] | None]:
        """Return each heater's part of the budget: whole heaters, the coldest rooms first."""
        if decision.budget_w is None:
            return [None] * len(self.heaters)
        left_w = decision.budget_w
        asked: list[tuple[Direction, int] | None] = [("down", 0)] * len(self.heaters)
        for number in sorted(range(len(self.heaters)), key=lambda each: (self._room_c(each), each)):
            rated_w = self.group.heaters[number].rated_w
            is_begun = decision.is_raised and left_w > 0  # "no less than": the last one may go over
            if rated_w <= left_w or is_begun:
                asked[number] = ("up", rated_w) if decision.is_raised else None
                left_w -= rated_w
            elif decision.is_raised:
                asked[number] = None
        return asked

    def _room_c(self, number: int) -> float:
        sensor = self._rooms.get(self.group.heaters[number].room_topic)
        heard = sensor.value_at(self.at_s) if sensor else None
        return 99.0 if heard is None else heard

    def _order(self, number: int, asked: tuple[Direction, int] | None, at_s: int) -> None:
        """Give a heater its order for the next minutes; a change comes a few seconds after the one before."""
        heater = self.heaters[number]
        delay_s = 0 if self._told.get(number) == asked else number * STAGGER_SECONDS
        orders = []
        was = self._told.get(number)
        if delay_s and was is not None:
            orders.append(self._made(heater, was, at_s - 1, at_s + delay_s))
        if asked is not None:
            orders.append(self._made(heater, asked, at_s + delay_s, at_s + ORDER_SECONDS))
        self._told[number] = asked
        heater.plan(orders)

    def _made(self, heater: SwitchDriver, asked: tuple[Direction, int], since_s: int, until_s: int) -> Order:
        direction, limit_w = asked
        since, until = instant_of(since_s), instant_of(until_s)
        return Order("house", heater.resource_id, since, until, until, direction, limit_w, LOCAL_URGENCY)

    def _said(self, at_s: int) -> str:
        """For people: what is known of the house, and what is done about it."""
        known = self.warmth(at_s)
        if known is None:
            return self._decision.detail
        kwh = known.core_wh / 1000
        told = f"{known.room_c:.1f} C in the rooms, {kwh:.1f} kWh stored"
        return f"{told}, {self._decision.detail}" if self._decision.detail else told

    def _keep(self) -> None:
        document = {"core_wh": [round(wh) for wh in self.core_wh], "gains_w": round(self.gains_w, 1)}
        try:
            write_atomically(self._path, json.dumps(document).encode(), is_durable=False)
        except OSError as error:
            log.warning("%s: what is known of the house is not kept: %s", self.resource_id, error)


def _topics(group: GroupSettings) -> list[str]:
    own = [heater.room_topic for heater in group.heaters if heater.room_topic]
    return list(dict.fromkeys([*own, *group.room_topics]))


def _read(path: Path, group: GroupSettings) -> tuple[list[float], float]:
    """What was known when the hub stopped; half full cores when nothing is."""
    try:
        document = json.loads(path.read_text())
        core_wh = [float(wh) for wh in document["core_wh"]]
        if len(core_wh) == len(group.heaters) and all(wh >= 0 for wh in core_wh):
            return core_wh, float(document["gains_w"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return [heater.core_wh * SHARE_UNKNOWN for heater in group.heaters], 0.0
