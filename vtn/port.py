"""What the rooms above need from a VTN; nothing here knows XML, HTTP or OpenADR versions.

Frozen: completing the VTN behind it changes nothing in front. All datetimes are
world time, aware UTC. `vtn.service` has the implementation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType, Protocol

from opendsr.kernel.errors import DomainError, Invalid, NotFound
from opendsr.kernel.interval import Interval

VenId = NewType("VenId", str)
VtnEventId = NewType("VtnEventId", str)
Cursor = NewType("Cursor", int)
"""A place in a feed. START is before everything; otherwise only what a feed call returned."""

START = Cursor(0)

OptChoice = Literal["in", "out", "none"]
OptSource = Literal["created_event", "create_opt"]
AcknowledgementState = Literal["queued", "delivered", "acknowledged", "cancelled", "expired"]
SignalUnit = Literal["", "w", "kw", "wh", "kwh", "gbp_per_kwh", "gbp_per_kw", "pct"]


@dataclass(frozen=True, slots=True)
class SignalInterval:
    """One value, held for `duration_seconds`."""

    duration_seconds: int
    value: float


@dataclass(frozen=True, slots=True)
class Signal:
    """One line of instruction over the event: SIMPLE/level, ELECTRICITY_PRICE/price, LOAD_DISPATCH/setpoint.

    The interval durations sum to the event's (rule 8). SIMPLE carries 0..3 (rule 9).
    """

    name: str
    type: str
    intervals: tuple[SignalInterval, ...]
    unit: SignalUnit = ""


@dataclass(frozen=True, slots=True)
class EventNotice:
    """What one VEN is to be told.

    `start_tolerance_seconds`: the VEN moves start and end by a random 0..tolerance.
    `priority`: 1 is the most urgent, larger is less, 0 (none) the least of all.
    `response_required` False asks the VEN for silence, which is then no non-response.
    `resource_ids`: the only resources of the VEN it is for (eiTarget/resourceID beside the
    venID on the wire); empty means the VEN as a whole.
    """

    ven_id: VenId
    market_context: str
    interval: Interval
    signals: tuple[Signal, ...]
    notification_seconds: int = 0
    ramp_up_seconds: int = 0
    recovery_seconds: int = 0
    start_tolerance_seconds: int = 0
    priority: int = 0
    response_required: bool = True
    test: bool = False
    comment: str = ""
    resource_ids: tuple[str, ...] = ()


Addressee = tuple[str, VenId, tuple[str, ...]]
"""One of many who are told the same: the caller's key, the VEN, and its resources, as in a notice."""


@dataclass(frozen=True, slots=True)
class Opt:
    """What a VEN said about one event; the one with the highest `sequence` of an event holds.

    "none" is a client that has the event and has not decided.
    """

    event_id: VtnEventId
    ven_id: VenId
    opt: OptChoice
    modification_number: int
    source: OptSource
    reason: str
    received_at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class ReportPoint:
    """One reported value over [starts_at, starts_at + duration_seconds); 0 seconds is an instant."""

    r_id: str
    starts_at: datetime
    duration_seconds: int
    value: float
    quality: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    ven_id: VenId
    name: str
    points: tuple[ReportPoint, ...]
    received_at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """How far one event has come.

    queued: no VEN has it yet. delivered: handed to the VEN at `delivered_at`, in
    the version `delivered_modification`. acknowledged: the VEN answered the version
    in force. cancelled: called off here (`is_current_delivered` says whether the VEN
    knows). expired: over before it was ever delivered.
    """

    event_id: VtnEventId
    ven_id: VenId
    state: AcknowledgementState
    modification_number: int
    delivered_modification: int | None
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    opt: OptChoice | None

    @property
    def is_current_delivered(self) -> bool:
        return self.delivered_modification == self.modification_number


class UnknownVen(NotFound):
    """No VEN of that id: `ven_id`."""


class UnknownEvent(NotFound):
    """No event of that id: `event_id`."""


class EventClosed(DomainError):
    """The event is over or cancelled and can no longer change: `event_id`, `state`."""


class NoticeInvalid(Invalid):
    """The notice breaks a rule of the protocol: `field`, `reason`."""


class Vtn(Protocol):
    """Every call opens its own transaction, or joins the caller's."""

    def publish(self, notice: EventNotice, *, key: str, at: datetime) -> VtnEventId:
        """Queue one event. The same `key` again is the same event: the first notice stands."""

    def publish_many(self, notices: Mapping[str, EventNotice], *, at: datetime) -> dict[str, VtnEventId]:
        """Queue many events, by caller's key, in one go; all or none. Returns the id by key."""

    def publish_alike(
        self, alike: Iterable[tuple[EventNotice, Sequence[Addressee]]], *, at: datetime
    ) -> dict[str, VtnEventId]:
        """As `publish_many`, of notices each for many VENs; their own VEN and resources do not count."""

    def amend(self, event_id: VtnEventId, notice: EventNotice, *, at: datetime, reason: str = "") -> int:
        """Replace the event's content; returns the new modification number, the same when nothing changed."""

    def cancel(self, event_id: VtnEventId, *, at: datetime, reason: str = "") -> None:
        """Call the event off. Cancelling it again, or after its end, changes nothing."""

    def cancel_many(self, event_ids: Iterable[VtnEventId], *, at: datetime, reason: str = "") -> None:
        """Call many events off in one go; all or none."""

    def opts_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Opt], Cursor]:
        """Return opts committed after the cursor, oldest first, none ever skipped; and the next cursor."""

    def reports_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Report], Cursor]:
        """Return reports committed after the cursor, as `opts_since` does."""

    def acknowledgement(self, event_id: VtnEventId, *, at: datetime) -> Acknowledgement:
        """Return how far the event has come."""

    def acknowledgements(
        self, event_ids: Iterable[VtnEventId], *, at: datetime
    ) -> dict[VtnEventId, Acknowledgement]:
        """Return how far many events have come; unknown ids are left out."""

    def trusted(self, ven_ids: Iterable[VenId]) -> set[VenId]:
        """Return those of the VENs that a certificate speaks for now: in date (wall clock), not revoked."""
