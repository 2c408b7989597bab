"""`hub.toml`: a real home in one file, read and checked; every fault names its place and the fix.

[broker]                              the home's own MQTT broker; never without a password
host = "localhost"
port = 1883                           8883 with `ca`
username = "hub"
password_file = "broker.password"     beside this file, readable by the hub alone (0600)
ca = "broker-ca.pem"                  optional: then TLS

[meter]
name = "CAD-0001"                     in readings.csv
glow = "BCDDC2C6A91C"                 the Glow display's MAC address

[home_assistant]                      optional: show the event, and take the household's word
prefix = "homeassistant"
earnings_url = "https://coop.example/earnings"

[local_vtn]                           optional: for devices that speak OpenADR 2.0a themselves
host = "192.168.1.10"                 this hub's own address in the home
port = 8090

[status_page]                         optional: what the hub does, to look at in the home
host = "192.168.1.10"
port = 8080

[[assets]]
resource_id = "r1"                    as the co-op's registry knows it
kind = "ev_charger"
rated_w = 7360                        optional, by kind
driver = "openevse"                   its options beside it: see `drivers.catalogue`
base = "openevse-7b2c"
[assets.needs]                        optional, all of it
ready_by = "07:00"                    with charge_wh: charging is not held back once it has to go on
charge_wh = 10000
minimum_c = 45.0                      with a driver that tells a temperature: never held back when colder
maximum_c = 65.0
weekly_cycle = "sunday 03:00"         the hour at 60 C
least_on_seconds = 600                a compressor's
least_off_seconds = 300
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any, Final

from hems.drivers.bus import LocalBroker
from hems.drivers.catalogue import KINDS, MAKES
from hems.drivers.manners import Manners, WeeklyCycle
from hems.drivers.real_device import AssetSettings
from hems.errors import BadHome
from hems.home import CONFIG
from hems.instants import read_local_time

PORT, TLS_PORT, LOCAL_VTN_PORT, STATUS_PAGE_PORT = 1883, 8883, 8090, 8080
PUBLIC_PASSWORDS: Final = frozenset({"", "emonpimqtt2016", "mqtt", "password", "admin", "hub"})
"""Passwords that are printed in manuals keep nobody out."""
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEEDS: Final = (
    "ready_by",
    "charge_wh",
    "minimum_c",
    "maximum_c",
    "weekly_cycle",
    "least_on_seconds",
    "least_off_seconds",
)
_OF_EVERY_ASSET: Final = ("resource_id", "kind", "rated_w", "driver", "needs")


@dataclass(frozen=True, slots=True)
class AssetConfig:
    """One asset, the name of its driver, and the secret that the driver shows its device."""

    settings: AssetSettings
    driver: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """A real home."""

    assets: tuple[AssetConfig, ...]
    broker: LocalBroker | None = None
    meter: str = ""
    glow: str = ""
    discovery_prefix: str = ""
    earnings_url: str = ""
    local_vtn: tuple[str, int] | None = None
    status_page: tuple[str, int] | None = None


def read_config(folder: Path) -> Config:
    """Return what `hub.toml` in the hub's folder says; raises BadHome saying where it is wrong."""
    path = folder / CONFIG
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadHome(f"{path} is missing: the hub does not know what it drives") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadHome(f"{path}: {error}") from error
    _only(document, ("broker", "meter", "home_assistant", "local_vtn", "status_page", "assets"), CONFIG)
    broker = _broker(_table(document, "broker", CONFIG), folder) if "broker" in document else None
    meter = _table(document, "meter", CONFIG)
    _only(meter, ("name", "glow"), "meter")
    shown = _table(document, "home_assistant", CONFIG)
    _only(shown, ("prefix", "earnings_url"), "home_assistant")
    local_vtn = _address(document, "local_vtn", LOCAL_VTN_PORT)
    entries = document.get("assets", [])
    if not isinstance(entries, list) or not entries:
        raise BadHome(f"{CONFIG}: give at least one [[assets]]")
    assets = tuple(_asset(entry, f"assets[{number}]", folder, broker) for number, entry in enumerate(entries))
    names = [each.settings.resource_id for each in assets]
    if len(set(names)) != len(names):
        raise BadHome(f"{CONFIG}: a resource_id is given twice")
    glow = _text(meter, "glow", "meter") if "glow" in meter else ""
    for each in assets:
        if MAKES[each.driver].needs_local_vtn and local_vtn is None:
            raise BadHome(f"{each.settings.resource_id}: {each.driver} asks the hub itself: give [local_vtn]")
    ven_ids = [each.settings.options["ven_id"] for each in assets if MAKES[each.driver].needs_local_vtn]
    if len(set(ven_ids)) != len(ven_ids):
        raise BadHome(f"{CONFIG}: a ven_id is given twice")
    if (glow or "home_assistant" in document) and broker is None:
        raise BadHome(f"{CONFIG}: the meter and Home Assistant speak over the home's broker: give [broker]")
    return Config(
        assets=assets,
        broker=broker,
        meter=_text(meter, "name", "meter") if meter else "",
        glow=glow.replace(":", "").upper(),
        discovery_prefix=str(shown.get("prefix", "homeassistant")) if "home_assistant" in document else "",
        earnings_url=str(shown.get("earnings_url", "")),
        local_vtn=local_vtn,
        status_page=_address(document, "status_page", STATUS_PAGE_PORT),
    )


def secret_in(folder: Path, name: str, where: str) -> str:
    """Return the one line of a file beside the config; raises BadHome when others may read it."""
    path = folder / name
    try:
        mode = path.stat().st_mode
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadHome(f"{where}: {path} cannot be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadHome(f"{where}: others may read {path}: chmod 600 {path}")
    if not secret:
        raise BadHome(f"{where}: {path} is empty")
    return secret


def _address(document: Mapping[str, Any], name: str, default: int) -> tuple[str, int] | None:
    """Return where a server of the hub listens, None where it is not wanted."""
    if name not in document:
        return None
    entry = _table(document, name, CONFIG)
    _only(entry, ("host", "port"), name)
    return _text(entry, "host", name), _whole(entry, "port", name, most=65_535, default=default)


def _broker(entry: Mapping[str, Any], folder: Path) -> LocalBroker:
    _only(entry, ("host", "port", "username", "password_file", "ca"), "broker")
    ca = folder / _text(entry, "ca", "broker") if "ca" in entry else None
    if ca is not None and not ca.exists():
        raise BadHome(f"broker.ca: {ca} is missing")
    password = secret_in(folder, _text(entry, "password_file", "broker"), "broker.password_file")
    if password.lower() in PUBLIC_PASSWORDS:
        raise BadHome("broker.password_file: this password is public: choose another, here and at the broker")
    port = _whole(entry, "port", "broker", most=65_535, default=PORT if ca is None else TLS_PORT)
    return LocalBroker(_text(entry, "host", "broker"), port, _text(entry, "username", "broker"), password, ca)


def _asset(entry: object, where: str, folder: Path, broker: LocalBroker | None) -> AssetConfig:
    if not isinstance(entry, dict):
        raise BadHome(f"{where}: write [[assets]], not {entry!r:.40}")
    kind, driver = _text(entry, "kind", where), _text(entry, "driver", where)
    if kind not in KINDS:
        raise BadHome(f"{where}.kind: {kind!r} is none of {', '.join(KINDS)}")
    if driver not in MAKES:
        raise BadHome(f"{where}.driver: {driver!r} is none of {', '.join(MAKES)}")
    make = MAKES[driver]
    allowed = (*_OF_EVERY_ASSET, *make.required, *make.optional, *((make.key_file,) if make.key_file else ()))
    _only(entry, allowed, where)
    for name in make.required:
        if name not in entry:
            raise BadHome(f"{where}.{name}: {driver} has to be told")
    if make.needs_broker and broker is None:
        raise BadHome(f"{where}: {driver} speaks over the home's broker: give [broker]")
    secret = ""
    if make.key_file and (make.is_key_required or make.key_file in entry):
        secret = secret_in(folder, _text(entry, make.key_file, where), f"{where}.{make.key_file}")
    settings = AssetSettings(
        resource_id=_text(entry, "resource_id", where),
        kind=kind,
        rated_w=_whole(entry, "rated_w", where, least=1, most=100_000, default=KINDS[kind]),
        manners=_manners(_table(entry, "needs", where), f"{where}.needs"),
        options={name: entry[name] for name in (*make.required, *make.optional) if name in entry},
    )
    return AssetConfig(settings, driver, secret)


def _manners(entry: Mapping[str, Any], where: str) -> Manners:
    _only(entry, _NEEDS, where)
    ready_by = _wall(entry["ready_by"], f"{where}.ready_by") if "ready_by" in entry else None
    if (ready_by is None) != ("charge_wh" not in entry):
        raise BadHome(f"{where}: ready_by and charge_wh go together")
    return Manners(
        least_on_seconds=_whole(entry, "least_on_seconds", where, most=7200, default=0),
        least_off_seconds=_whole(entry, "least_off_seconds", where, most=7200, default=0),
        ready_by=ready_by,
        charge_wh=_whole(entry, "charge_wh", where, most=200_000, default=0),
        minimum_c=_celsius(entry, "minimum_c", where),
        maximum_c=_celsius(entry, "maximum_c", where),
        weekly_cycle=_cycle(entry["weekly_cycle"], where) if "weekly_cycle" in entry else None,
    )


def _cycle(value: object, where: str) -> WeeklyCycle:
    day, _, wall = str(value).lower().partition(" ")
    if day not in WEEKDAYS:
        raise BadHome(f'{where}.weekly_cycle: {value!r:.40}: write it as "sunday 03:00"')
    return WeeklyCycle(WEEKDAYS.index(day), _wall(wall, f"{where}.weekly_cycle"))


def _wall(value: object, where: str) -> time:
    try:
        return value if isinstance(value, time) else read_local_time(str(value))
    except ValueError:
        raise BadHome(f"{where}: {value!r:.40} is no HH:MM") from None


def _celsius(entry: Mapping[str, Any], name: str, where: str) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 95:
        raise BadHome(f"{where}.{name}: {value!r:.40} is no temperature from 0 to 95 C")
    return float(value)


def _table(entry: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = entry.get(name, {})
    if not isinstance(value, dict):
        raise BadHome(f"{where}: [{name}] is a table, not {value!r:.40}")
    return value


def _only(entry: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    if unknown := sorted(set(entry) - set(allowed)):
        raise BadHome(f"{where}: {unknown[0]!r} means nothing here: it is one of {', '.join(allowed)}")


def _text(entry: Mapping[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise BadHome(f"{where}.{name}: text is expected, not {value!r:.40}")
    return value


def _whole(
    entry: Mapping[str, Any], name: str, where: str, *, least: int = 0, most: int, default: int
) -> int:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadHome(f"{where}.{name}: {value!r:.40} is no whole number from {least} to {most}")
    return value
