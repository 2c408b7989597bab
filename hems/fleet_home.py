"""The home behind a virtual hub: what it draws now, by its seed, its day, the weather and what it is asked.

The assets are those of `simulation` (cars that come and go, tanks, storage heaters), so that what an event
puts off is made up later. Kept small: of the day a mean power a half-hour, worked out when first asked for.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from hems.devices import Order
from hems.home import EV_CHARGER, IMMERSION_HEATER, STORAGE_HEATER, Asset, make_asset
from hems.household import base_load_wh
from hems.instants import DAY, LONDON, half_hours
from hems.signals import SignalUnsupported, ends_of, slices_of
from hems.simulation import asset_segments, joules_of
from hems.weather import day_mean_c, outdoor_c
from oadr.messages import Event

SHARES: Final = ((EV_CHARGER, 0.55), (IMMERSION_HEATER, 0.6), (STORAGE_HEATER, 0.12))
WEEKS_AWAY_A_YEAR: Final = 4
EMPTY_SHARE: Final = 0.35
"""Of a home's base load that runs on while nobody is there: fridge, router, standby."""
WARM_ENOUGH_C: Final = 15.5
HEATER_W_PER_C: Final = 45
"""What a heater has to give for every degree that it is colder than that outside."""
RUN_IN_DAYS: Final = 3
LONGEST_KEPT: Final = timedelta(days=2)


class FleetHome:
    """One home; a few hundred bytes."""

    __slots__ = ("_day", "_orders", "_power_w", "_weather", "kinds", "seed")

    def __init__(self, seed: str, *, weather: str = "") -> None:
        dice = Random(f"{seed}|assets")  # noqa: S311 - invents, hides nothing
        kinds = tuple(kind for kind, share in SHARES if dice.random() < share)
        self.seed = seed
        self.kinds: tuple[str, ...] = kinds or (IMMERSION_HEATER,)
        self._weather = weather
        self._orders: tuple[Order, ...] = ()
        self._day: date | None = None
        self._power_w = array("H")

    def ask(self, event: Event) -> None:
        """Carry an event out: its version replaces what is known; a cancelled one is forgotten."""
        kept = tuple(order for order in self._orders if order.event_id != event.event_id)
        fresh = () if event.status == "cancelled" else self._orders_of(event)
        self._orders, self._day = kept + fresh, None

    def let_go(self, event_id: str, at: datetime) -> None:
        """The member's word: out of the event from `at`."""
        cut = (replace(each, ends_at=min(each.ends_at, at)) if each.event_id == event_id else each
               for each in self._orders)  # fmt: skip
        self._orders, self._day = tuple(each for each in cut if each.ends_at > each.starts_at), None

    def power_w(self, at: datetime) -> int:
        """Return the mean power of the half-hour that `at` lies in."""
        day = at.astimezone(LONDON).date()
        if day != self._day:
            self._orders = tuple(each for each in self._orders if each.ends_at + LONGEST_KEPT > at)
            self._power_w, self._day = self._worked_out(day), day
        return self._power_w[int((at - half_hours(day)[0]) // timedelta(minutes=30))]

    def is_empty(self, day: date) -> bool:
        """True in the weeks that the household is away."""
        year, week, _ = day.isocalendar()
        dice = Random(f"{self.seed}|away|{year}|{week}")  # noqa: S311 - invents, hides nothing
        return dice.random() < WEEKS_AWAY_A_YEAR / 52

    def _worked_out(self, day: date) -> array[int]:
        base = base_load_wh(day, seed=self.seed)
        share = EMPTY_SHARE if self.is_empty(day) else 1.0
        totals_j = [wh * 3600 * share for wh in base]
        for kind in self.kinds:
            segments = asset_segments(self._asset(kind, day), day, day, self._orders)
            for number, joules in enumerate(joules_of(segments, half_hours(day))):
                totals_j[number] += joules
        return array("H", [min(round(joules / 1800), 65_535) for joules in totals_j])

    def _asset(self, kind: str, day: date) -> Asset:
        """The asset with what weather and absence make of the days that `day` rests on."""
        asset = make_asset(kind, kind, seed=f"{self.seed}|{kind}")
        days = [day - number * DAY for number in range(-1, RUN_IN_DAYS + 1)]
        if kind == STORAGE_HEATER:
            return replace(asset, draws={each: self._warmth(each) for each in days})
        empty = [each for each in days if self.is_empty(each)]
        return replace(asset, stays=dict.fromkeys(empty, ()), draws=dict.fromkeys(empty, ()))

    def _warmth(self, day: date) -> tuple[tuple[datetime, int], ...]:
        """What a heater gives off, half-hour by half-hour; nothing on a day that is warm enough."""
        if day_mean_c(day, seed=self._weather) >= WARM_ENOUGH_C:
            return ()
        return tuple(
            (
                start,
                round(HEATER_W_PER_C * max(0.0, WARM_ENOUGH_C - outdoor_c(start, seed=self._weather)) / 2),
            )
            for start in half_hours(day)
        )

    def _orders_of(self, event: Event) -> tuple[Order, ...]:
        try:
            slices = slices_of(event)
        except SignalUnsupported:
            return ()
        assets = [make_asset(kind, kind) for kind in self.kinds]
        together_w = sum(asset.rated_w for asset in assets)
        return tuple(
            Order(
                event_id=event.event_id,
                resource_id=asset.resource_id,
                starts_at=part.starts_at,
                ends_at=part.ends_at,
                planned_ends_at=part.ends_at if part.is_plan else ends_of(event),
                direction=part.action.direction,
                limit_w=part.action.limit_w(asset.rated_w, together_w=together_w),
                is_plan=part.is_plan,
            )
            for part in slices
            for asset in assets
        )
