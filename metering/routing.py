"""Whose meter a device reads: from the name it sends to the random stream that its reading belongs to.

The way leads through the home: a CAD's serial number, the household that lived there at the reading's time,
that household's stream of the meter's name. So a reading never crosses a move, and nothing here is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from assets.models import Cad, Hub
from members.models import Granularity, MeterStream, Purpose
from members.queries import Window, consent_windows

NO_SENDER: Final = "unknown_sender"
NO_STREAM: Final = "no_stream"
NO_CONSENT: Final = "no_consent"
PURPOSES: Final = (Purpose.SETTLEMENT, Purpose.ADVICE)


@dataclass(frozen=True, slots=True)
class Stay:
    """A stream of a meter in a home, while it runs."""

    stream_id: UUID
    meter: str
    starts_at: datetime
    ends_at: datetime | None


@dataclass(slots=True)
class Routes:
    """Homes of senders, their streams, and what may be stored of these, as of one moment."""

    home_of: Mapping[str, UUID] = field(default_factory=dict)
    stays: Mapping[UUID, list[Stay]] = field(default_factory=dict)
    half_hourly: Mapping[UUID, list[Window]] = field(default_factory=dict)
    live: Mapping[UUID, list[Window]] = field(default_factory=dict)

    def stream_at(self, sender: str, meter: str, at: datetime) -> UUID | str:
        """The stream that the sender's meter filled at `at`, or the code of why there is none."""
        home = self.home_of.get(sender)
        return NO_SENDER if home is None else self.stream_of_home(home, meter, at)

    def electricity_at(self, sender: str, at: datetime) -> UUID | str:
        """The stream of the sender's electricity meter, as `stream_at` says it."""
        return self.stream_at(sender, "electricity", at)

    def stream_of_home(self, home: UUID, meter: str, at: datetime) -> UUID | str:
        """The stream of the home's meter at `at`, or the code of why nothing of it may be kept."""
        for stay in self.stays.get(home, ()):
            if stay.meter == meter and stay.starts_at <= at and (stay.ends_at is None or at < stay.ends_at):
                return stay.stream_id if _within(self.half_hourly, stay.stream_id, at) else NO_CONSENT
        return NO_STREAM

    def may_keep_live(self, stream_id: UUID, at: datetime) -> bool:
        """Whether the household consents to readings finer than the half-hour."""
        return _within(self.live, stream_id, at)


def routes_of_cads() -> Routes:
    """Routes of every CAD that is or was in a home; the newest pairing of a serial number counts."""
    serials = Cad.objects.filter(retired_at__isnull=True).values_list("serial", "home_id")
    return routes({plain_mac(serial): home for serial, home in serials})


def routes_of_hubs() -> Routes:
    """Routes of the commissioned hubs, by VEN id."""
    hubs = Hub.objects.filter(state=Hub.State.COMMISSIONED).values_list("ven_id", "home_id")
    return routes({str(ven_id): home for ven_id, home in hubs})


def routes(home_of: Mapping[str, UUID]) -> Routes:
    """Routes of senders whose homes are known."""
    stays: dict[UUID, list[Stay]] = defaultdict(list)
    rows = MeterStream.objects.filter(occupancy__home_id__in=set(home_of.values())).values_list(
        "occupancy__home_id", "stream_id", "name", "starts_at", "ends_at", "occupancy__ends_at"
    )
    streams = []
    for home, stream_id, name, starts_at, ends_at, moved_at in rows:
        ends = [end for end in (ends_at, moved_at) if end is not None]
        stays[home].append(Stay(stream_id, name, starts_at, min(ends, default=None)))
        streams.append(stream_id)
    return Routes(
        home_of,
        stays,
        _windows(streams, Granularity.HALF_HOURLY),
        _windows(streams, Granularity.LIVE),
    )


def plain_mac(serial: str) -> str:
    """A MAC address or EUI without separators, in capitals."""
    return "".join(mark for mark in serial if mark.isalnum()).upper()


def _windows(streams: Iterable[UUID], granularity: Granularity) -> dict[UUID, list[Window]]:
    found: dict[UUID, list[Window]] = defaultdict(list)
    streams = list(streams)
    for purpose in PURPOSES:
        for stream_id, windows in consent_windows(
            streams, purpose=purpose, granularity=granularity, to_store=True
        ).items():
            found[stream_id] += windows
    return found


def _within(windows: Mapping[UUID, list[Window]], stream_id: UUID, at: datetime) -> bool:
    return any(
        starts_at <= at and (ends_at is None or at < ends_at)
        for starts_at, ends_at in windows.get(stream_id, ())
    )
