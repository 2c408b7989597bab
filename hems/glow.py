"""The consumer access device: a Glow display's messages on the home's broker, made half-hours of.

The register is read, never the power. A half-hour counts when the register is known close to both its ends;
what lies between messages too far apart stays a gap. Known faults of the display are passed over: a pending
read at its start, a register of 0, a power of -8388.608, a clock that is minutes off.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hems.drivers.bus import Bus
from hems.drivers.real_device import object_of
from hems.files import write_atomically
from hems.instants import HALF_HOUR, HALF_HOUR_SECONDS, instant_of, read_instant, written
from hems.simulation import METER_COLUMNS

KEPT: Final = timedelta(days=62)
FURTHEST_APART_SECONDS: Final = 120
"""Two messages that may speak for the register between them; they come every 10 seconds."""
MOST_SKEW: Final = timedelta(minutes=5)
READ_PENDING: Final = "read pending"
FAULTY_KW: Final = -8388.608
EDGE: Final = "meter.json"

log = logging.getLogger("hems")


@dataclass(frozen=True, slots=True)
class Registers:
    """What the meter had counted at an instant, Wh."""

    at: datetime
    import_wh: int
    export_wh: int


class GlowMeter:
    """Half-hours of one meter, kept in the hub's folder over restarts."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._newest: Registers | None = None
        self._edge: Registers | None = _read_edge(folder)
        self.half_hours: dict[datetime, tuple[int, int]] = _read_rows(folder / "readings.csv", name)
        self.power_w: int | None = None
        self.passed_over: dict[str, int] = {}
        self.now = instant_of(0)

    def listen(self, bus: Bus, mac: str) -> None:
        bus.listen(f"glow/{mac}/SENSOR/electricitymeter", self._told)

    def _told(self, _topic: str, payload: bytes, is_retained: bool) -> None:
        if is_retained:
            return
        told = object_of(payload)["electricitymeter"]
        power_kw = told.get("power", {}).get("value")
        if isinstance(power_kw, int | float) and power_kw != FAULTY_KW:
            self.power_w = round(power_kw * 1000)
        registers = registers_of(told)
        if isinstance(registers, str):
            self._pass_over(registers)
        elif abs(registers.at - self.now) > MOST_SKEW:
            self._pass_over("clock")
        else:
            self.take(registers)

    def take(self, registers: Registers) -> None:
        """Take one reading of the registers; those that come late change nothing."""
        before, self._newest = self._newest, registers
        if before is None:
            return
        if registers.at <= before.at:
            self._newest = before
            return
        if registers.import_wh < before.import_wh or registers.export_wh < before.export_wh:
            self._pass_over("register went back")
            self._edge = None
            return
        self._pass_edges(before, registers)

    def _pass_edges(self, before: Registers, after: Registers) -> None:
        first = int(before.at.timestamp()) // HALF_HOUR_SECONDS + 1
        last = int(after.at.timestamp()) // HALF_HOUR_SECONDS
        is_close = (after.at - before.at).total_seconds() <= FURTHEST_APART_SECONDS
        for number in range(first, last + 1):
            at = instant_of(number * HALF_HOUR_SECONDS)
            edge = _between(before, after, at) if is_close else None
            if edge is not None and self._edge is not None and at - self._edge.at == HALF_HOUR:
                used = edge.import_wh - self._edge.import_wh, edge.export_wh - self._edge.export_wh
                self.half_hours[self._edge.at] = used
                for old in [start for start in self.half_hours if start < at - KEPT]:
                    del self.half_hours[old]
            self._edge = edge
        if first <= last:
            self._keep_edge()

    @property
    def logged_until(self) -> int:
        """The end of the newest half-hour, in half-hours since the epoch; 0 before there is one."""
        newest = max(self.half_hours, default=None)
        return 0 if newest is None else int((newest + HALF_HOUR).timestamp()) // HALF_HOUR_SECONDS

    def readings_csv(self, until: datetime) -> str:
        """The log of half-hours that have ended by `until`, in time order."""
        rows = [METER_COLUMNS]
        for start, (import_wh, export_wh) in sorted(self.half_hours.items()):
            if start + HALF_HOUR <= until:
                rows.append(f"{self._name},{start:%Y-%m-%dT%H:%M:%SZ},{import_wh},{export_wh}")
        return "\n".join(rows) + "\n"

    def _pass_over(self, reason: str) -> None:
        self.passed_over[reason] = self.passed_over.get(reason, 0) + 1

    def _keep_edge(self) -> None:
        edge = self._edge
        kept = None if edge is None else [written(edge.at), edge.import_wh, edge.export_wh]
        try:
            write_atomically(self._folder / EDGE, json.dumps(kept).encode(), is_durable=False)
        except OSError as error:
            log.warning("the meter's state is not kept: %s", error)


def registers_of(told: dict[str, Any]) -> Registers | str:
    """Return the registers of a message's `electricitymeter`, or why it is passed over."""
    energy = told["energy"]
    imported = energy["import"]
    if str(imported.get("mpan", "")).lower() == READ_PENDING:
        return READ_PENDING
    if imported.get("units", "kWh") != "kWh":
        return f"units {imported.get('units')!r:.20}"
    import_kwh, export_kwh = (
        float(imported["cumulative"]),
        float(energy.get("export", {}).get("cumulative", 0)),
    )
    if import_kwh <= 0:
        return "register of 0"
    return Registers(read_instant(told["timestamp"]), round(import_kwh * 1000), round(export_kwh * 1000))


def _between(before: Registers, after: Registers, at: datetime) -> Registers:
    share = (at - before.at) / (after.at - before.at)
    return Registers(
        at,
        before.import_wh + round((after.import_wh - before.import_wh) * share),
        before.export_wh + round((after.export_wh - before.export_wh) * share),
    )


def _read_edge(folder: Path) -> Registers | None:
    try:
        at, import_wh, export_wh = json.loads((folder / EDGE).read_text())
        return Registers(read_instant(at), int(import_wh), int(export_wh))
    except (OSError, ValueError, TypeError):
        return None


def _read_rows(path: Path, name: str) -> dict[datetime, tuple[int, int]]:
    """Return the half-hours of an earlier run; what cannot be read is left out."""
    found: dict[datetime, tuple[int, int]] = {}
    try:
        lines = path.read_text().splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        return found
    for line in lines:
        try:
            meter, start, import_wh, export_wh = line.split(",")
            if meter == name:
                found[read_instant(start)] = (int(import_wh), int(export_wh))
        except ValueError:
            continue
    return found
