"""State of devices in homes, in our units: OpenEVSE, Tasmota, Shelly of both generations, EmonESP, myenergi.

Every maker counts otherwise: mA and tenths of a degree, kWh and watt-minutes, volts times ten, local clocks
without a zone. Figures that mean "not fitted" are left out, never zero; what is not told stays None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from metering.observations import instant, number, refused, unix_instant

MOST_BYTES: Final = 65_536
NOT_FITTED_DC: Final = -2560
EVSE_STATES: Final = {
    0: "starting",
    1: "ready",
    2: "connected",
    3: "charging",
    254: "sleeping",
    255: "disabled",
}
EDDI_STATES: Final = {1: "paused", 3: "diverting", 4: "boosting", 5: "at_temperature", 6: "stopped"}
ZAPPI_STATES: Final = {1: "paused", 3: "diverting", 4: "boosting", 5: "complete"}
NO_PROBE: Final = (-1, 127)
COUNT_LIMIT: Final = 2**62
INT_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Said:
    """What a device said of its asset; `at` is its own time where it tells one it can know, else None."""

    at: datetime | None = None
    device: str = ""
    power_w: int | None = None
    energy_wh: int | None = None
    session_wh: int | None = None
    current_ma: int | None = None
    voltage_mv: int | None = None
    temperature_dc: int | None = None
    is_on: bool | None = None
    state: str = ""

    @property
    def is_empty(self) -> bool:
        """True when nothing is told."""
        return self == Said(at=self.at, device=self.device)


def read(kind: str, tail: str, payload: bytes, *, tz: str, received_at: datetime) -> tuple[Said, ...]:
    """What the message says; `tail` is the topic below the device's name. Raises MessageRefused."""
    if len(payload) > MOST_BYTES:
        raise refused("too_large", "payload", f"{len(payload)} bytes", f"send at most {MOST_BYTES} bytes")
    reader = READERS.get(kind)
    if reader is None:
        raise refused("unknown_kind", "kind", kind, f"one of {', '.join(READERS)}")
    text = payload.decode("utf-8", errors="replace").strip()
    body: Any = text
    if text[:1] in ("{", "["):
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            raise refused("not_json", "payload", text[:80], "send a JSON object") from None
    found = reader(tail.strip("/"), body, tz, received_at)
    said = tuple(each for each in found if not each.is_empty)
    if not said:
        raise refused("no_reading", "topic", tail, "nothing in it is a figure this kind of device tells")
    return said


def local_instant(text: str, tz: str, received_at: datetime) -> datetime:
    """A bare local time as UTC; of the hour that happens twice, the instant nearer to when it came."""
    try:
        zone = ZoneInfo(tz)
        told = datetime.fromisoformat(text)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise refused("not_a_time", "Time", text, "send local time as 2026-01-31T17:30:00") from None
    if told.tzinfo is not None:
        return told.astimezone(UTC)
    both = [told.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return min(both, key=lambda at: abs(at - received_at))


def _openevse(tail: str, body: Any, tz: str, received_at: datetime) -> tuple[Said, ...]:
    if not isinstance(body, dict):
        name = tail.rsplit("/", 1)[-1]
        if name not in ("amp", "wh", "power", "state", "temp1", "session_energy", "total_energy", "voltage"):
            return ()
        body = {name: body}
    at = None
    if body.get("time"):
        text, offset = str(body["time"]), str(body.get("offset") or "")
        at = instant(text if text[-1:] == "Z" or "+" in text else f"{text}{offset or 'Z'}", field="time")
    session = _count(body, "session_energy")
    state = _count(body, "state")
    temperature = _count(body, "temp1")
    current = _count(body, "amp")
    return (
        Said(
            at=at,
            power_w=_count(body, "power"),
            energy_wh=_count(body, "total_energy", 1000),
            session_wh=session if session is not None else _count(body, "wh"),
            current_ma=current,
            voltage_mv=_count(body, "voltage", 1000),
            temperature_dc=None if temperature == NOT_FITTED_DC else temperature,
            is_on=None if state is None else state == 3,
            state=""
            if state is None
            else EVSE_STATES.get(state, "fault" if 4 <= state <= 11 else f"state_{state}"),
        ),
    )


def _tasmota(tail: str, body: Any, tz: str, received_at: datetime) -> tuple[Said, ...]:
    name = tail.rsplit("/", 1)[-1].upper()
    if not isinstance(body, dict):
        if name == "LWT":
            return (Said(state="offline" if str(body).casefold() == "offline" else "online"),)
        return (Said(is_on=_on(body)),) if name.startswith("POWER") else ()
    body = body.get("StatusSNS", body)
    if not isinstance(body, dict):
        return ()
    at = local_instant(str(body["Time"]), tz, received_at) if body.get("Time") else None
    said = Said(at=at, is_on=_on(body["POWER"]) if "POWER" in body else None)
    energy = body.get("ENERGY")
    if isinstance(energy, Mapping):
        said = replace(
            said,
            power_w=_summed(energy, "Power"),
            energy_wh=_summed(energy, "Total", 1000),
            current_ma=_summed(energy, "Current", 1000),
            voltage_mv=_first(energy, "Voltage", 1000),
        )
    for probe in body.values():
        if isinstance(probe, Mapping) and "Temperature" in probe:
            told = number(probe, "Temperature", path="Temperature")
            if told is not None:
                celsius = (told - 32) * 5 / 9 if body.get("TempUnit") == "F" else told
                said = replace(said, temperature_dc=_fit(celsius * 10, 32_767))
            break
    return (said,)


def _shelly_1(tail: str, body: Any, tz: str, received_at: datetime) -> tuple[Said, ...]:
    """Energy counts watt-minutes; `meters.timestamp` is local time dressed as Unix time, not `unixtime`."""
    if not isinstance(body, dict):
        name = tail.rsplit("/", 1)[-1]
        if name == "power":
            return (Said(power_w=_count({"power": body}, "power")),)
        if name == "energy":
            told = number({"energy": body}, "energy", path=tail)
            return (Said(energy_wh=None if told is None else _fit(told / 60, COUNT_LIMIT)),)
        return (Said(is_on=_on(body)),) if "relay" in tail else ()
    meters, relays = body.get("meters"), body.get("relays")
    meter = meters[0] if isinstance(meters, list) and meters and isinstance(meters[0], Mapping) else {}
    relay = relays[0] if isinstance(relays, list) and relays and isinstance(relays[0], Mapping) else {}
    if meter.get("is_valid") is False:
        meter = {}
    total = number(meter, "total", path="meters")
    return (
        Said(
            at=unix_instant(body["unixtime"], field="unixtime") if body.get("unixtime") else None,
            power_w=_count(meter, "power"),
            energy_wh=None if total is None else _fit(total / 60, COUNT_LIMIT),
            temperature_dc=_count(body, "temperature", 10),
            is_on=relay.get("ison") if isinstance(relay.get("ison"), bool) else None,
        ),
    )


def _shelly_2(tail: str, body: Any, tz: str, received_at: datetime) -> tuple[Said, ...]:
    """Energy in Wh; by_minute in mWh is not read. The JSON-RPC notification wraps the same objects."""
    if not isinstance(body, dict):
        return ()
    body = body.get("params", body)
    if not isinstance(body, dict):
        return ()
    switch = body.get("switch:0", body if "apower" in body or "output" in body else None)
    if not isinstance(switch, Mapping):
        return ()
    energy, system, heat = (
        each if isinstance(each, Mapping) else {}
        for each in (switch.get("aenergy"), body.get("sys"), switch.get("temperature"))
    )
    when = body.get("ts") or system.get("unixtime") or energy.get("minute_ts")
    return (
        Said(
            at=unix_instant(when, field="unixtime") if when else None,
            power_w=_count(switch, "apower"),
            energy_wh=_count(energy, "total"),
            current_ma=_count(switch, "current", 1000),
            voltage_mv=_count(switch, "voltage", 1000),
            temperature_dc=_count(heat, "tC", 10),
            is_on=switch.get("output") if isinstance(switch.get("output"), bool) else None,
        ),
    )


def _emonesp(tail: str, body: Any, tz: str, received_at: datetime) -> tuple[Said, ...]:
    """The relay's state; its flow temperature is vout * 0.0371 + 7.14."""
    if not isinstance(body, dict):
        return ()
    vout = number(body, "vout", path="out")
    mode = str(body.get("ctrlmode", ""))[:24]
    return (
        Said(
            state=mode.casefold(),
            is_on=None if mode not in ("On", "Off") else mode == "On",
            temperature_dc=None
            if not vout
            else _fit((vout * Decimal("0.0371") + Decimal("7.14")) * 10, 32_767),
        ),
    )


def _myenergi(tail: str, body: Any, tz: str, received_at: datetime) -> tuple[Said, ...]:
    """Each eddi and zappi of a `jstatus` answer, called by its serial number; its clock is UTC.

    `vol` is volts in some firmware and tenths in others; a field that is absent is zero.
    """
    groups = body if isinstance(body, list) else [body]
    found = []
    for group in groups:
        if not isinstance(group, Mapping):
            continue
        for kind, states in (("eddi", EDDI_STATES), ("zappi", ZAPPI_STATES)):
            devices = group.get(kind)
            for device in devices if isinstance(devices, list) else []:
                if isinstance(device, Mapping):
                    found.append(_myenergi_device(device, kind, states))
    return tuple(found)


def _myenergi_device(device: Mapping[str, Any], kind: str, states: Mapping[int, str]) -> Said:
    at = None
    if device.get("dat") and device.get("tim"):
        try:
            at = datetime.strptime(f"{device['dat']} {device['tim']}", "%d-%m-%Y %H:%M:%S").replace(
                tzinfo=UTC
            )
        except ValueError:
            raise refused(
                "not_a_time", "dat", device["dat"], "send dat as 31-01-2026 and tim as 17:30:00"
            ) from None
    volts = number(device, "vol", path=kind)
    state = _count(device, "sta")
    session = number(device, "che", path=kind)
    probe = _count(device, "tp1")
    power = _count(device, "div")
    return Said(
        at=at,
        device=str(device.get("sno", ""))[:64],
        power_w=power or 0,
        session_wh=None if session is None else _fit(session * 1000, INT_LIMIT),
        voltage_mv=None if not volts else _fit(volts * (100 if volts > 1000 else 1000), INT_LIMIT),
        temperature_dc=None if probe is None or probe in NO_PROBE else probe * 10,
        is_on=bool(power),
        state="" if state is None else states.get(state, f"state_{state}"),
    )


READERS: Final = {
    "openevse": _openevse,
    "tasmota": _tasmota,
    "shelly_1": _shelly_1,
    "shelly_2": _shelly_2,
    "emonesp": _emonesp,
    "myenergi": _myenergi,
}


def _count(holder: Mapping[str, Any], name: str, scale: int = 1) -> int | None:
    """The number in whole units; False is how some devices write "not fitted"."""
    if holder.get(name) is False:
        return None
    told = number(holder, name, path="")
    return (
        None
        if told is None
        else _fit(told * scale, COUNT_LIMIT if "energy" in name or name == "total" else INT_LIMIT)
    )


def _fit(value: Decimal, most: int) -> int:
    if abs(value) > most:
        raise refused("implausible", "value", value, "check the unit")
    return int(value.to_integral_value())


def _summed(holder: Mapping[str, Any], name: str, scale: int = 1) -> int | None:
    """One figure, or the sum of several channels'."""
    told = holder.get(name)
    if isinstance(told, list):
        parts = [_count({"energy": each}, "energy", scale) for each in told]
        known = [part for part in parts if part is not None]
        return sum(known) if known else None
    return _count(holder, name, scale)


def _first(holder: Mapping[str, Any], name: str, scale: int = 1) -> int | None:
    """One figure, or that of the first of several channels."""
    told = holder.get(name)
    if isinstance(told, list):
        return _count({name: told[0]}, name, scale) if told else None
    return _count(holder, name, scale)


def _on(value: Any) -> bool | None:
    folded = str(value).strip().casefold()
    return {"on": True, "1": True, "true": True, "off": False, "0": False, "false": False}.get(folded)
