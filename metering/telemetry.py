"""OpenADR reports into the store: a hub's usage as half-hours or registers, its assets' power and state.

What an rID means is a `ReportLink` of the hub; an rID that is an asset's resource id is that asset's power in
W. A link's unit counts only where the hub declares none: what it declares the VTN has converted to W or Wh.
Reading moves a cursor in the transaction that stores, so that each report counts once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import transaction

from assets.models import Asset, Hub
from metering import asset_states, ingest, intake, registers, routing, rules, ruling
from metering.adapters.devices import Said
from metering.intake_models import FeedCursor, Message, ReportLink
from metering.letters import Desk
from metering.models import Quality
from metering.vtn_door import Cursor, Report, ReportPoint, declared_units, vtn
from opendsr.kernel.periods import is_half_hour

SOURCE: Final = "openadr"
FEED: Final = "openadr_reports"
PIECE: Final = 500
HALF_HOUR: Final = timedelta(minutes=30)
MOST_PIECES: Final = 40
SCALE: Final = {"Wh": 1, "kWh": 1000, "W": 1, "kW": 1000, "": 1}
MOST_W: Final = 10_000_000
Role = ReportLink.Role
UNITS: Final[Mapping[str, str]] = {
    Role.IMPORT_ENERGY: "Wh",
    Role.EXPORT_ENERGY: "Wh",
    Role.IMPORT_REGISTER: "Wh",
    Role.EXPORT_REGISTER: "Wh",
    Role.ASSET_POWER: "W",
}
"""What a role counts in; a state counts in anything."""
NO_VALUE: Final = ("quality bad", "no quality - no value", "no new value")
FIXES: Final = {
    "unknown_sender": "no commissioned hub has this VEN id",
    "no_link": "say what this rID is, in the records under report links",
    "bad_quality": "the hub itself marks the value as bad",
    "negative": "a register or an energy counts from 0 up",
    "implausible": "check the unit of the rID",
    "unit_unfit": "the hub declares power for an energy, or energy for a power: link this rID as the other",
    "off_grid": "ask the hub for half-hours, 30 minutes from the hour or half-hour",
    "clock_ahead": "set the hub's clock",
    "too_late": "older than a week",
}


@dataclass(slots=True)
class Read:
    """What a piece of the feed came to."""

    reports: int = 0
    points: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def read_reports(*, at: datetime) -> Read:
    """Take in every report that came since the last time."""
    total = Read()
    for _piece in range(MOST_PIECES):
        done = read_piece(at=at)
        total.reports += done.reports
        total.points += done.points
        total.refused += done.refused
        if done.reports < PIECE:
            return total
    return total


@transaction.atomic
def read_piece(*, at: datetime) -> Read:
    """Take in the next reports and move the cursor, together or not at all."""
    FeedCursor.objects.get_or_create(name=FEED)
    cursor = FeedCursor.objects.select_for_update().get(name=FEED)
    reports, moved = vtn().reports_since(Cursor(cursor.cursor), limit=PIECE)
    if not reports:
        return Read()
    told = Read(reports=len(reports))
    _Piece(at, told).store(reports)
    cursor.cursor, cursor.read_at = int(moved), at
    cursor.save(update_fields=["cursor", "read_at"])
    return told


@transaction.atomic
def read_again(report: Report, *, at: datetime) -> Read:
    """Take in one report of before, whatever the cursor says: what is known already changes nothing."""
    told = Read(reports=1)
    _Piece(at, told).store([report])
    return told


class _Piece:
    """Points of some reports, sorted by what they are, then stored together."""

    def __init__(self, at: datetime, told: Read) -> None:
        self.at = at
        self.told = told
        self.routes = routing.routes_of_hubs()
        self.desk = Desk(SOURCE, ruling.book_in_force(), stream_at=self.routes.electricity_at)
        self.half_hours: dict[tuple[UUID, datetime], dict[str, int]] = {}
        self.samples: list[registers.Sample] = []
        self.states: list[asset_states.State] = []

    def store(self, reports: list[Report]) -> None:
        vens = {report.ven_id for report in reports}
        self.units = declared_units(vens)
        hubs = dict(Hub.objects.filter(ven_id__in=vens).values_list("ven_id", "pk"))
        self.links = {
            (link.hub_id, link.r_id): link for link in ReportLink.objects.filter(hub__in=list(hubs.values()))
        }
        assets = Asset.objects.filter(hub__in=list(hubs.values())).values_list("hub_id", "resource_id", "pk")
        self.assets = {(hub, resource): asset for hub, resource, asset in assets}
        for report in reports:
            hub = hubs.get(str(report.ven_id))
            for given in report.points:
                self.told.points += 1
                point = self._ruled(report, given)
                if point is None:
                    continue
                code = (
                    "unknown_sender"
                    if hub is None
                    else self._take(hub, report, point, self.units.get((report.ven_id, given.r_id), ""))
                )
                if code:
                    self._refuse(code, report, given)
        registers.take_in(self.samples)
        asset_states.store(self.states)
        self._store_half_hours(reports)
        self.desk.store(at=self.at)

    def _ruled(self, report: Report, point: ReportPoint) -> ReportPoint | None:
        """The point after the rules, None when one drops it; they change its rID, value and quality."""
        if not self.desk.has_rules:
            return point
        told = self.desk.ruled(
            str(report.ven_id), _topic(report, point), _body(point), received_at=report.received_at
        )
        if told is None:
            return None
        value = rules.as_number(told.get("value"))
        return replace(
            point,
            r_id=str(told.get("r_id")),
            value=float("nan") if value is None else value,
            quality=str(told.get("quality") or ""),
        )

    def _take(self, hub: UUID, report: Report, point: ReportPoint, declared: str) -> str:
        """Sort one point; returns the code of why it cannot be, empty when it can.

        `declared` is the unit the value is in already, empty where the hub declares none.
        """
        link = self.links.get((hub, point.r_id))
        asset = self.assets.get((hub, point.r_id)) if link is None else link.asset_id
        if link is None and asset is None:
            # `<resource id>/status/online` and its like: the state of a known asset, which the VTN keeps.
            is_status = (hub, point.r_id.partition("/")[0]) in self.assets
            return "" if is_status else "no_link"
        if point.quality.strip().casefold().startswith(NO_VALUE):
            return "bad_quality"
        role = Role.ASSET_POWER if link is None else Role(link.role)
        if declared and declared != UNITS.get(role, declared):
            return "unit_unfit"
        value = point.value * SCALE["" if link is None or declared else link.unit]
        if not abs(value) < 2**50:
            return "implausible"
        if role in (Role.ASSET_POWER, Role.ASSET_STATE):
            if abs(value) > MOST_W:
                return "implausible"
            is_power = role == Role.ASSET_POWER
            said = Said(
                at=point.starts_at,
                power_w=round(value) if is_power else None,
                is_on=None if is_power else value > 0,
            )
            assert asset is not None  # noqa: S101 - the link's constraint
            self.states.append(asset_states.State(asset, "openadr", said, report.received_at))
            return ""
        if value < 0:
            return "negative"
        stream = self.routes.stream_at(str(report.ven_id), "electricity", point.starts_at)
        if isinstance(stream, str):
            return stream
        if role in (Role.IMPORT_REGISTER, Role.EXPORT_REGISTER):
            if not registers.is_timely(point.starts_at, self.at):
                return "clock_ahead" if point.starts_at > self.at else "too_late"
            channel = registers.IMPORT if role == Role.IMPORT_REGISTER else registers.EXPORT
            if round(value):
                self.samples.append(registers.Sample(stream, SOURCE, channel, point.starts_at, round(value)))
            return ""
        if point.duration_seconds != HALF_HOUR.total_seconds() or not is_half_hour(point.starts_at):
            return "off_grid"
        if value > ingest.MOST_WH:
            return "implausible"
        name = "import" if role == Role.IMPORT_ENERGY else "export"
        self.half_hours.setdefault((stream, point.starts_at), {})[name] = round(value)
        return ""

    def _store_half_hours(self, reports: list[Report]) -> None:
        keys = sorted(key for key, told in self.half_hours.items() if "import" in told)
        if not keys:
            return
        told = [self.half_hours[key] for key in keys]
        ingest.store_readings(
            source=SOURCE,
            name=f"reports {reports[0].sequence} to {reports[-1].sequence}",
            at=self.at,
            stream_ids=[stream for stream, _ in keys],
            starts_at=[starts_at for _, starts_at in keys],
            import_wh=np.array([each["import"] for each in told], dtype=np.int64),
            export_wh=np.array([each.get("export", 0) for each in told], dtype=np.int64),
            quality=Quality.MEASURED,
        )

    def _refuse(self, code: str, report: Report, point: ReportPoint) -> None:
        self.told.refused[code] += 1
        self.desk.note(
            Message.Outcome.DEAD,
            str(report.ven_id),
            _topic(report, point),
            code,
            FIXES.get(code, intake.FIXES.get(code, code)),
            received_at=report.received_at,
            body=json.dumps(_body(point)),
        )


def _topic(report: Report, point: ReportPoint) -> str:
    return f"{report.name}/{point.r_id}"


def _body(point: ReportPoint) -> dict[str, object]:
    return {
        "r_id": point.r_id,
        "value": point.value,
        "starts_at": point.starts_at.isoformat(),
        "duration_seconds": point.duration_seconds,
        "quality": point.quality,
    }
