"""What an event says, free of any protocol: the whole of what this VTN can send, wider than its port.

Staff and tests publish these; the port's notices become these. `vtn.notices` puts them on the 2.0b wire,
and another wire would read the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

from vtn.port import EventNotice, Signal, VenId

FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""When an open-ended event closes: it runs until it is called off."""

TargetKind = Literal[
    "group_id",
    "group_name",
    "party_id",
    "pnode",
    "aggregated_pnode",
    "meter_asset",
    "end_device_asset",
    "service_delivery_point",
    "service_area",
    "service_location",
    "transport_interface",
]
Target = tuple[TargetKind, str]
"""A kind and its id; an area or location is its ring of coordinates, an interface `from -> to`."""


@dataclass(frozen=True, slots=True)
class SignalContent:
    """One line of instruction; `intervals` are (seconds, value), one of 0 seconds when open-ended.

    `device_classes` narrows it to kinds of device (Thermostat, Water_Heater).
    """

    name: str
    type: str
    intervals: tuple[tuple[int, float], ...]
    unit: str = ""
    device_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventContent:
    """What one VEN is to be told; `duration_seconds` 0 runs until cancelled.

    Priority 1 is the most urgent, larger is less, 0 the least of all.
    """

    ven_id: VenId
    market_context: str
    starts_at: datetime
    duration_seconds: int
    signals: tuple[SignalContent, ...]
    notification_seconds: int = 0
    ramp_up_seconds: int = 0
    recovery_seconds: int = 0
    start_tolerance_seconds: int = 0
    priority: int = 0
    is_response_required: bool = True
    is_test: bool = False
    comment: str = ""
    resource_ids: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()

    @property
    def closes_at(self) -> datetime:
        """When the last VEN has ended it: end plus start tolerance."""
        if not self.duration_seconds:
            return FOREVER
        lasting = timedelta(seconds=self.duration_seconds + self.start_tolerance_seconds)
        return min(self.starts_at + lasting, FOREVER)

    @property
    def digest(self) -> str:
        """The same for every VEN that is told the same: what is rendered once."""
        return hashlib.blake2b(repr(self.same_for_all).encode(), digest_size=16).hexdigest()

    @property
    def same_for_all(self) -> tuple[object, ...]:
        """What is said, whichever VEN and resources it is said to."""
        return (
            self.market_context,
            self.starts_at.isoformat(),
            self.duration_seconds,
            self.signals,
            self.notification_seconds,
            self.ramp_up_seconds,
            self.recovery_seconds,
            self.start_tolerance_seconds,
            self.priority,
            self.is_response_required,
            self.is_test,
            self.comment,
            self.targets,
        )


def content_of(notice: EventNotice) -> EventContent:
    """Return a notice of the port as content."""
    return EventContent(
        ven_id=notice.ven_id,
        market_context=notice.market_context,
        starts_at=notice.interval.starts_at,
        duration_seconds=int(notice.interval.duration.total_seconds()),
        signals=_signals(notice.signals),
        notification_seconds=notice.notification_seconds,
        ramp_up_seconds=notice.ramp_up_seconds,
        recovery_seconds=notice.recovery_seconds,
        start_tolerance_seconds=notice.start_tolerance_seconds,
        priority=notice.priority,
        is_response_required=notice.response_required,
        is_test=notice.test,
        comment=notice.comment,
        resource_ids=notice.resource_ids,
    )


@lru_cache(maxsize=64)
def _signals(signals: tuple[Signal, ...]) -> tuple[SignalContent, ...]:
    """Ten thousand VENs are told the same few."""
    return tuple(
        SignalContent(
            signal.name,
            signal.type,
            tuple((interval.duration_seconds, float(interval.value)) for interval in signal.intervals),
            signal.unit,
        )
        for signal in signals
    )
