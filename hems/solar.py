"""Own solar first: what would be sold runs the home's own appliances. Pure, but for what it remembers.

Surplus is measured at the home's connection and given to the appliances in the order of the config. It has to
last before one starts and to be short for a while before it stops, so that no cloud wears out a relay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Final

from hems.devices import LOCAL_URGENCY, Order
from hems.instants import LONDON, instant_of

OWN_SOLAR: Final = "own solar"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 120
ORDER_SECONDS: Final = 180
"""An order of the sun lapses after this, should nobody renew it."""
SHORT_W: Final = 200
"""So much may be bought while an appliance runs on the sun before it counts as short."""


@dataclass(frozen=True, slots=True)
class Taker:
    """An appliance that takes surplus from `from_w` on. `waits`: in the hours of sun it takes no other."""

    resource_id: str
    rated_w: int
    from_w: int
    waits: bool = False
    is_stepless: bool = False


class OwnSolar:
    """Who runs on the sun now."""

    def __init__(
        self, takers: Sequence[Taker], *, hours: tuple[tuple[time, time], ...] = ((time(9), time(17)),)
    ) -> None:
        self._takers, self._hours = tuple(takers), hours
        self._running: dict[str, int] = {}
        self._enough_since: dict[str, int] = {}
        self._short_since: dict[str, int] = {}

    def step(self, at_s: int, *, grid_w: float | None, powers_w: Mapping[str, int]) -> tuple[Order, ...]:
        """Return the orders of the sun for the next minutes. `grid_w` None: nobody measures, so none.

        `grid_w`: W at the home's connection, below 0 sold. `powers_w`: what each appliance draws now.
        """
        if grid_w is None:
            self._running.clear()
            self._enough_since.clear()
            self._short_since.clear()
            return ()
        spare_w = -grid_w + sum(powers_w.get(name, 0) for name in self._running)
        orders = []
        for taker in self._takers:
            takes_w = self._taken_w(taker, spare_w, at_s)
            if takes_w:
                spare_w -= takes_w
                orders.append(_order(taker, "at", takes_w, at_s))
            elif taker.waits and self._is_sunny(at_s):
                orders.append(_order(taker, "down", 0, at_s))
        return tuple(orders)

    def _taken_w(self, taker: Taker, spare_w: float, at_s: int) -> int:
        name = taker.resource_id
        takes_w = min(int(spare_w), taker.rated_w) if taker.is_stepless else taker.rated_w
        if name in self._running:
            if spare_w >= taker.from_w - SHORT_W:
                self._short_since.pop(name, None)
            elif at_s - self._short_since.setdefault(name, at_s) >= STOP_SECONDS:
                del self._running[name]
                self._short_since.pop(name)
                return 0
            self._running[name] = max(takes_w, taker.from_w if taker.is_stepless else 0)
            return self._running[name]
        if spare_w < taker.from_w:
            self._enough_since.pop(name, None)
        elif at_s - self._enough_since.setdefault(name, at_s) >= START_SECONDS:
            self._enough_since.pop(name)
            self._running[name] = takes_w
            return takes_w
        return 0

    def _is_sunny(self, at_s: int) -> bool:
        wall = instant_of(at_s).astimezone(LONDON).time()
        return any(opens <= wall < closes for opens, closes in self._hours)


def _order(taker: Taker, direction: str, limit_w: int, at_s: int) -> Order:
    since, until = instant_of(at_s), instant_of(at_s + ORDER_SECONDS)
    return Order(
        OWN_SOLAR,
        taker.resource_id,
        since,
        until,
        until,
        "at" if direction == "at" else "down",
        limit_w,
        LOCAL_URGENCY,
    )
