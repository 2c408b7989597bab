"""What a driver is, and the values that pass between the hub and an asset.

An order is a timetable entry with its own end. A simulated asset keeps the timetable itself, to the second;
a real one is told at each edge by `apply`, and whatever holds it down lapses by itself should the hub die.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from hems.instants import seconds_of

Direction = Literal["down", "up", "at"]

SAFE_STATE = "owner_schedule"
"""Without orders every asset runs as its owner set it."""

LOCAL_URGENCY = 10_000_000
"""Orders that the home gives itself (its own solar, its storage heaters): every event goes before them."""


@dataclass(frozen=True, slots=True)
class Order:
    """Over [starts_at, ends_at) run at no more than `limit_w` ("down"), no less ("up") or just so ("at").

    `planned_ends_at` is the end as it was known when the order began: an order cut short (cancelled,
    overridden) keeps it, because the device decided by it. `urgency` settles overlaps: the lowest wins.
    `is_plan`: one stretch of a plan of hours.
    """

    event_id: str
    resource_id: str
    starts_at: datetime
    ends_at: datetime
    planned_ends_at: datetime
    direction: Direction
    limit_w: int
    urgency: int = 0
    is_plan: bool = False


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What an asset is doing. `interlock` says why it does not follow its order, "" when it does.
    `is_measured`: its power is told by the device, not unknown and counted as 0.
    """

    resource_id: str
    kind: str
    power_w: int
    is_ordered: bool = False
    interlock: str = ""
    detail: str = ""
    energy_wh: int | None = None
    is_available: bool = True
    is_measured: bool = True


class Driver(Protocol):
    """One asset. Without orders, and after the last one lapses, it is in SAFE_STATE: its owner's schedule."""

    @property
    def resource_id(self) -> str:
        """The asset's name on the OpenADR wire."""

    @property
    def kind(self) -> str:
        """Code of the kind of asset, such as `ev_charger`."""

    @property
    def rated_w(self) -> int:
        """The most it draws."""

    @property
    def available(self) -> bool:
        """True while it can be heard and told."""

    def plan(self, orders: Sequence[Order]) -> None:
        """Take the whole timetable; it replaces the one before. The same timetable twice changes nothing."""

    def apply(self, at: datetime) -> None:
        """Tell the device what is due at world time `at`; called often, says only what is news."""

    def safe_state(self) -> None:
        """Let go of the device: back to its owner's schedule now, whatever is planned."""

    def telemetry(self, at: datetime) -> DeviceState:
        """What it is doing at world time `at`."""


class Place(Protocol):
    """A home as the hub sees it: simulated (`simulation`) or real (`real_home`)."""

    @property
    def drivers(self) -> Sequence[Driver]:
        """One for each asset."""

    def logged_until(self, at: datetime) -> int:
        """The half-hour (epoch seconds / 1800) before which the CAD's log is complete at `at`."""

    def plan(self, orders: Sequence[Order]) -> None:
        """Give every asset its timetable."""

    def apply(self, at: datetime) -> None:
        """Tell every device what is due, and take in what they say."""

    def words(self) -> Sequence[str]:
        """What the member said since the last call, at a switch in the home: `override` or `resume`."""

    def show(self, status: Mapping[str, Any]) -> None:
        """Show the household what the hub is doing."""

    def adopt(self, needs: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
        """Take what assets need from the co-op, by resource id, before what the config says.

        Return what could not be taken: that asset's needs stay as they were.
        """

    def described(self) -> Mapping[str, Any]:
        """What this home is, for the co-op's registry: the config, without secrets, and the drivers."""

    def serve_file(self, name: str, body: bytes) -> str:
        """Put bytes where the home's devices can fetch them; return the address, "" where none can."""

    def readings_csv(self, until: datetime) -> str:
        """The CAD's log of half-hours that have ended by `until`."""

    def curtailed_csv(self, until: datetime) -> str:
        """What each asset used and would have used; only a simulated home knows."""

    def close(self) -> None:
        """Let go of every device and hang up."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Constant power over whole epoch seconds [starts_s, ends_s); never empty."""

    starts_s: int
    ends_s: int
    power_w: int
    interlock: str = ""

    @property
    def energy_j(self) -> int:
        return self.power_w * (self.ends_s - self.starts_s)


@dataclass(frozen=True, slots=True)
class Hold:
    """An order in the device's own terms, whole epoch seconds."""

    starts_s: int
    ends_s: int
    planned_ends_s: int
    direction: Direction
    limit_w: int
    urgency: int

    @property
    def is_local(self) -> bool:
        """The home's own order, not an event's."""
        return self.urgency >= LOCAL_URGENCY


def holds_of(orders: Iterable[Order], resource_id: str) -> tuple[Hold, ...]:
    """The orders for one asset, most urgent first; those that never take effect are left out."""
    holds = (
        Hold(
            seconds_of(order.starts_at),
            seconds_of(order.ends_at),
            seconds_of(order.planned_ends_at),
            order.direction,
            order.limit_w,
            order.urgency,
        )
        for order in orders
        if order.resource_id == resource_id
    )
    return tuple(
        sorted(
            (hold for hold in holds if hold.ends_s > hold.starts_s),
            key=lambda hold: (hold.urgency, hold.starts_s),
        )
    )


def hold_at(holds: Sequence[Hold], at_s: int) -> Hold | None:
    """The most urgent order in force at a second."""
    return next((hold for hold in holds if hold.starts_s <= at_s < hold.ends_s), None)


def edges_of(holds: Iterable[Hold]) -> set[int]:
    """The seconds at which an order begins or ends."""
    return {edge for hold in holds for edge in (hold.starts_s, hold.ends_s)}


class Trace:
    """Segments laid end to end, alike neighbours joined."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def add(self, starts_s: int, ends_s: int, power_w: int, interlock: str = "") -> None:
        if ends_s <= starts_s:
            return
        newest = self.segments[-1] if self.segments else None
        if newest and (newest.ends_s, newest.power_w, newest.interlock) == (starts_s, power_w, interlock):
            self.segments[-1] = Segment(newest.starts_s, ends_s, power_w, interlock)
        else:
            self.segments.append(Segment(starts_s, ends_s, power_w, interlock))
