"""Messages of Hildebrand's Glow CAD and display over MQTT: the local form in kWh, and the cloud's raw Zigbee.

Topics `glow/<MAC>/SENSOR/electricitymeter`, `.../SENSOR/gasmeter`, `glow/<MAC>/STATE` about every ten
seconds; the cloud form is one document under `SMART/HILD/<id>`. What the device sends that is no reading is
passed over by name: `mpan` "read pending" after a start (nothing in the message is true yet), power -8388.608
(the Zigbee mark for "unknown"), an import register of 0 (a glitch). Day, week and month figures are not read:
they start again at local midnight and, for gas, may be in another unit than they say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from metering.adapters.formats import Reject
from metering.observations import (
    Health,
    Heard,
    MessageRefused,
    Observation,
    Power,
    Register,
    in_unit,
    instant,
    number,
    refused,
    unix_instant,
)

SOURCE: Final = "cad"
POWER_SOURCE: Final = "cad_power"
LOCAL_TOPIC: Final = re.compile(
    r"(?:[^/]+/)?glow/(?P<mac>[0-9A-Fa-f]{12})/(?P<what>STATE|SENSOR/electricitymeter|SENSOR/gasmeter)", re.A
)
CLOUD_TOPIC: Final = re.compile(r"(?:SMART/HILD|glow/cloud)/(?P<gid>[0-9A-Fa-f]{12,16})", re.A)
PENDING: Final = "read pending"
UNKNOWN_KW: Final = Decimal("-8388.6")
HEX: Final = re.compile(r"[0-9A-Fa-f]{1,14}", re.A)
KWH_UNIT, GAS_METER = "00", "gas"
MOST_BYTES: Final = 16_384
METERS: Final = {"electricitymeter": "electricity", "gasmeter": GAS_METER}


def read(topic: str, payload: bytes) -> Heard:
    """What the message says; raises MessageRefused."""
    return read_document(topic, document(payload))


def read_document(topic: str, body: dict[str, Any]) -> Heard:
    """What the decoded message says; raises MessageRefused."""
    local = LOCAL_TOPIC.fullmatch(topic)
    if local is not None:
        mac = local["mac"].upper()
        if local["what"] == "STATE":
            return Heard(mac, (_health(body),))
        return _local(mac, local["what"].removeprefix("SENSOR/"), body)
    cloud = CLOUD_TOPIC.fullmatch(topic)
    if cloud is not None:
        return _cloud(cloud["gid"].upper(), body)
    raise refused("unknown_topic", "topic", topic, "send to glow/<MAC>/SENSOR/electricitymeter")


def sender_of(topic: str) -> str:
    """The device that the topic names, empty when it names none."""
    found = LOCAL_TOPIC.fullmatch(topic) or CLOUD_TOPIC.fullmatch(topic)
    return found[1].upper() if found else ""


def document(payload: bytes) -> dict[str, Any]:
    """The message's JSON object; raises MessageRefused."""
    if len(payload) > MOST_BYTES:
        raise refused("too_large", "payload", f"{len(payload)} bytes", f"send at most {MOST_BYTES} bytes")
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        shown = payload[:80].decode("utf-8", errors="replace")
        raise refused("not_json", "payload", shown, "send a JSON object") from None
    if not isinstance(found, dict):
        raise refused("not_json", "payload", type(found).__name__, "send a JSON object")
    return found


def _local(mac: str, name: str, document: dict[str, Any]) -> Heard:
    body = _part(document, name)
    meter = METERS[name]
    energy = _part(body, "energy", path=name)
    imported = _part(energy, "import", path=f"{name}.energy")
    for point in ("mpan", "mprn"):
        if str(imported.get(point, "")).strip().casefold() == PENDING:
            pending = Reject(0, f"{name}.energy.import.{point}", PENDING, "read_pending", "not read yet")
            return Heard(mac, (), (pending,))
    at = instant(body.get("timestamp"), field=f"{name}.timestamp")
    found: list[Observation] = []
    passed_over: list[Reject] = []
    _register(found, passed_over, imported, at, meter, path=f"{name}.energy.import")
    exported = energy.get("export")
    if isinstance(exported, Mapping):
        _register(found, passed_over, exported, at, meter, path=f"{name}.energy.export", is_export=True)
    power = body.get("power")
    if isinstance(power, Mapping):
        try:
            _power(found, passed_over, power, at, meter, path=f"{name}.power")
        except MessageRefused as error:
            passed_over.append(_passed(error))
    return Heard(mac, tuple(found), tuple(passed_over))


def _register(
    found: list[Observation],
    passed_over: list[Reject],
    holder: Mapping[str, Any],
    at: datetime,
    meter: str,
    *,
    path: str,
    is_export: bool = False,
) -> None:
    value = number(holder, "cumulative", path=path)
    if value is None:
        return
    wh = in_unit(value, holder.get("units"), field=f"{path}.units", allowed=("kwh", "wh"))
    if wh < 0:
        raise refused("negative", f"{path}.cumulative", value, "a register counts upwards from 0")
    if wh == 0:
        if not is_export:
            passed_over.append(Reject(0, f"{path}.cumulative", "0", "zero_register", "0 is no reading"))
        return
    found.append(Register(at, wh, "export" if is_export else "import", meter))


def _power(
    found: list[Observation],
    passed_over: list[Reject],
    holder: Mapping[str, Any],
    at: datetime,
    meter: str,
    *,
    path: str,
) -> None:
    value = number(holder, "value", path=path)
    if value is None:
        return
    power_w = in_unit(value, holder.get("units"), field=f"{path}.units", allowed=("kw", "w"))
    if power_w <= UNKNOWN_KW * 1000:
        passed_over.append(Reject(0, f"{path}.value", str(value), "power_unknown", "the meter's error value"))
        return
    found.append(Power(at, power_w, meter))


def _health(document: dict[str, Any]) -> Health:
    han = document.get("han")
    han = han if isinstance(han, Mapping) else {}
    at = instant(document["timestamp"], field="timestamp") if document.get("timestamp") else None
    return Health(
        at=at,
        rssi_dbm=_small(han, "rssi"),
        lqi=_small(han, "lqi"),
        han_status=str(han.get("status", ""))[:16],
        software=str(document.get("software", ""))[:16],
    )


def _small(holder: Mapping[str, Any], name: str) -> int | None:
    try:
        value = number(holder, name, path="han")
    except MessageRefused:
        return None
    return int(value) if value is not None and -1000 <= value <= 1000 else None


def _cloud(gid: str, document: dict[str, Any]) -> Heard:
    """Raw Zigbee attributes in hexadecimal; the demand is signed, registers are not."""
    at = unix_instant(document.get("gmtime"), field="gmtime")
    found: list[Observation] = []
    passed_over: list[Reject] = []
    for name, meter in (("elecMtr", "electricity"), ("gasMtr", GAS_METER)):
        cluster = document.get(name)
        cluster = cluster.get("0702") if isinstance(cluster, Mapping) else None
        if not isinstance(cluster, Mapping):
            continue
        try:
            _cluster(found, passed_over, cluster, at, meter, path=f"{name}.0702")
        except MessageRefused as error:
            passed_over.append(_passed(error))
    pan = document.get("pan")
    if isinstance(pan, Mapping):
        rssi, lqi = _hex(pan, "rssi", path="pan", signed=True), _hex(pan, "lqi", path="pan")
        found.append(
            Health(at, rssi, lqi, str(pan.get("status", ""))[:16], str(document.get("zbSoftVer", ""))[:16])
        )
    if not found and not passed_over:
        raise refused("no_reading", "payload", ", ".join(document)[:80], "send elecMtr with cluster 0702")
    return Heard(gid, tuple(found), tuple(passed_over))


def _cluster(
    found: list[Observation],
    passed_over: list[Reject],
    cluster: Mapping[str, Any],
    at: datetime,
    meter: str,
    *,
    path: str,
) -> None:
    formats, sums, demands = (_group(cluster, key) for key in ("03", "00", "04"))
    unit = str(formats.get("00", ""))
    if unit != KWH_UNIT:
        reason = "not in kWh: volume needs a calorific value"
        passed_over.append(Reject(0, f"{path}.03.00", unit, "unit", reason))
        return
    scale = Decimal(_hex(formats, "01", path=path) or 1) / Decimal(_hex(formats, "02", path=path) or 1)
    for key, is_export in (("00", False), ("01", True)):
        digits = _hex(sums, key, path=f"{path}.00")
        if not digits:
            if digits == 0 and not is_export:
                passed_over.append(Reject(0, f"{path}.00.00", "0", "zero_register", "0 is no reading"))
            continue
        if set(str(sums[key]).upper()) == {"F"}:
            passed_over.append(Reject(0, f"{path}.00.{key}", str(sums[key]), "register_unknown", "not read"))
            continue
        wh = in_unit(digits * scale, "kwh", field=f"{path}.00.{key}", allowed=("kwh",))
        found.append(Register(at, wh, "export" if is_export else "import", meter))
    demand = _hex(demands, "00", path=f"{path}.04", signed=True)
    if demand is None:
        return
    kilowatts = demand * scale
    if kilowatts <= UNKNOWN_KW:
        passed_over.append(Reject(0, f"{path}.04.00", str(demands["00"]), "power_unknown", "error value"))
        return
    found.append(Power(at, in_unit(kilowatts, "kw", field=f"{path}.04.00", allowed=("kw",)), meter))


def _hex(holder: Mapping[str, Any], name: str, *, path: str, signed: bool = False) -> int | None:
    text = holder.get(name)
    if text in (None, ""):
        return None
    if not isinstance(text, str) or not HEX.fullmatch(text):
        raise refused("not_a_number", f"{path}.{name}", text, "send hexadecimal digits")
    value, bits = int(text, 16), 4 * len(text)
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _group(cluster: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    group = cluster.get(key)
    return group if isinstance(group, Mapping) else {}


def _part(document: Mapping[str, Any], name: str, *, path: str = "") -> Mapping[str, Any]:
    found = document.get(name)
    if not isinstance(found, Mapping):
        field = f"{path}.{name}".lstrip(".")
        raise refused("missing", field, type(found).__name__, "send the whole object")
    return found


def _passed(error: MessageRefused) -> Reject:
    return Reject(0, error.field, error.value, error.reason_code, error.fix)
