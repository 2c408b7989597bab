"""`hub.toml`: a real home in one file, read and checked; every fault names its place and the fix.

[broker]                              the home's own MQTT broker; never without a password
host = "localhost"
port = 1883                           8883 with `ca`
username = "hub"
password_file = "broker.password"     beside this file, readable by the hub alone (0600)
ca = "broker-ca.pem"                  optional: then TLS

[vtn]                                 optional
transport = "mqtt"                    or "https", which is polling; over MQTT the hub is told at once
broker = "mqtts://vtn.coop.example"   optional, with vtn_id: to register over MQTT too, else the VTN names its
vtn_id = "COOP-VTN"                   broker over HTTPS
signed = true                         high security: sign, and believe the VTN only what it signs; without it
                                      the hub does so once the VTN asks for it

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

[solar]                               optional: power of the home's own roof is used before it is sold
grid_topic = "emon/emontx/grid"       W at the home's connection, sold below 0

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
solar_from_w = 1500                   with [solar]: runs when this much would be sold

[[assets]]                            storage heaters: one asset upstream, any number of relays in the home
resource_id = "r3"
kind = "storage_heater"
driver = "storage_group"
[[assets.heaters]]
name = "lounge"
driver = "tasmota"                    any driver of an on/off device, its options beside it
topic = "heater-lounge"
rated_w = 2500
core_wh = 17000                       what it stores when full
room_topic = "zigbee2mqtt/lounge"     optional: its room's thermometer
[assets.house]                        optional, as is every line of it, but for one thermometer
room_topics = ["zigbee2mqtt/hall"]
outdoor_topic = "zigbee2mqtt/garden"
charge_hours = [["00:30", "07:30"]]   the tariff's, when the heaters have current
comfort_hours = [["06:30", "22:30"]]
wanted_c = 19.0                       within comfort_hours
least_c = 15.0                        at any other time
most_c = 23.0
loss_w_per_k = 130
capacity_wh_per_k = 3500
release_hours = 14
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hems.config_fields import celsius, hours, only, table, tables, text, wall, whole
from hems.drivers.bus import LocalBroker
from hems.drivers.catalogue import KINDS, MAKES, STORAGE_GROUP
from hems.drivers.manners import Manners, WeeklyCycle
from hems.drivers.real_device import AssetSettings
from hems.drivers.storage_group import GroupSettings
from hems.errors import BadHome
from hems.heating_config import HEATER_FIELDS, group_in
from hems.home import CONFIG, STORAGE_HEATER
from hems.lines import HTTPS, MQTT, Way

SOLAR_HOURS: Final = ((time(9), time(17)),)
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
    "solar_from_w",
)
_TOP: Final = ("broker", "vtn", "meter", "home_assistant", "local_vtn", "status_page", "solar", "assets")
_OF_EVERY_ASSET: Final = ("resource_id", "kind", "rated_w", "driver", "needs")


@dataclass(frozen=True, slots=True)
class AssetConfig:
    """One asset, the name of its driver, and the secret that the driver shows its device."""

    settings: AssetSettings
    driver: str
    secret: str = ""
    heaters: tuple[AssetConfig, ...] = ()
    group: GroupSettings | None = None
    needs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """A real home; `text` is the file it was read from."""

    assets: tuple[AssetConfig, ...]
    text: str = ""
    broker: LocalBroker | None = None
    meter: str = ""
    glow: str = ""
    discovery_prefix: str = ""
    earnings_url: str = ""
    local_vtn: tuple[str, int] | None = None
    status_page: tuple[str, int] | None = None
    grid_topic: str = ""
    solar_hours: tuple[tuple[time, time], ...] = SOLAR_HOURS
    way: Way = field(default_factory=Way)


def read_config(folder: Path) -> Config:
    """Return what `hub.toml` in the hub's folder says; raises BadHome saying where it is wrong."""
    path = folder / CONFIG
    try:
        written = path.read_text(encoding="utf-8")
        document = tomllib.loads(written)
    except FileNotFoundError:
        raise BadHome(f"{path} is missing: the hub does not know what it drives") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadHome(f"{path}: {error}") from error
    only(document, _TOP, CONFIG)
    broker = _broker(table(document, "broker", CONFIG), folder) if "broker" in document else None
    meter = table(document, "meter", CONFIG)
    only(meter, ("name", "glow"), "meter")
    shown = table(document, "home_assistant", CONFIG)
    only(shown, ("prefix", "earnings_url"), "home_assistant")
    local_vtn = _address(document, "local_vtn", LOCAL_VTN_PORT)
    entries = document.get("assets", [])
    if not isinstance(entries, list) or not entries:
        raise BadHome(f"{CONFIG}: give at least one [[assets]]")
    assets = tuple(_asset(entry, f"assets[{index}]", folder, broker) for index, entry in enumerate(entries))
    names = [each.settings.resource_id for each in assets]
    if len(set(names)) != len(names):
        raise BadHome(f"{CONFIG}: a resource_id is given twice")
    glow = text(meter, "glow", "meter") if "glow" in meter else ""
    for each in assets:
        if MAKES[each.driver].needs_local_vtn and local_vtn is None:
            raise BadHome(f"{each.settings.resource_id}: {each.driver} asks the hub itself: give [local_vtn]")
    ven_ids = [each.settings.options["ven_id"] for each in assets if MAKES[each.driver].needs_local_vtn]
    if len(set(ven_ids)) != len(ven_ids):
        raise BadHome(f"{CONFIG}: a ven_id is given twice")
    solar = table(document, "solar", CONFIG)
    only(solar, ("grid_topic", "hours"), "solar")
    grid_topic = text(solar, "grid_topic", "solar") if "solar" in document else ""
    if (glow or grid_topic or "home_assistant" in document) and broker is None:
        raise BadHome(f"{CONFIG}: meters and Home Assistant speak over the home's broker: give [broker]")
    for each in assets:
        if each.settings.manners.solar_from_w and not grid_topic:
            raise BadHome(f"{each.settings.resource_id}: solar_from_w needs a meter: give [solar]")
    return Config(
        text=written,
        assets=assets,
        broker=broker,
        meter=text(meter, "name", "meter") if meter else "",
        glow=glow.replace(":", "").upper(),
        discovery_prefix=str(shown.get("prefix", "homeassistant")) if "home_assistant" in document else "",
        earnings_url=str(shown.get("earnings_url", "")),
        local_vtn=local_vtn,
        status_page=_address(document, "status_page", STATUS_PAGE_PORT),
        grid_topic=grid_topic,
        solar_hours=hours(solar, "hours", "solar", default=SOLAR_HOURS),
        way=_way(table(document, "vtn", CONFIG)),
    )


def _way(entry: Mapping[str, Any]) -> Way:
    only(entry, ("transport", "broker", "vtn_id", "signed"), "vtn")
    transport, is_signed = entry.get("transport", HTTPS), entry.get("signed", False)
    if transport not in (HTTPS, MQTT):
        raise BadHome(f'vtn.transport: {transport!r:.40}: write "{HTTPS}" or "{MQTT}"')
    if not isinstance(is_signed, bool):
        raise BadHome(f"vtn.signed: {is_signed!r:.40}: write true or false")
    if ("broker" in entry) != ("vtn_id" in entry):
        raise BadHome("vtn: broker and vtn_id go together")
    if "broker" not in entry:
        return Way(transport, is_signed=is_signed)
    broker = text(entry, "broker", "vtn")
    parts = urlsplit(broker)
    if parts.scheme != "mqtts" or not parts.hostname:
        raise BadHome(f"vtn.broker: {broker!r:.60}: give mqtts://HOST[:PORT]; it is never spoken without TLS")
    return Way(transport, broker, text(entry, "vtn_id", "vtn"), is_signed)


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
    entry = table(document, name, CONFIG)
    only(entry, ("host", "port"), name)
    return text(entry, "host", name), whole(entry, "port", name, most=65_535, default=default)


def _broker(entry: Mapping[str, Any], folder: Path) -> LocalBroker:
    only(entry, ("host", "port", "username", "password_file", "ca"), "broker")
    ca = folder / text(entry, "ca", "broker") if "ca" in entry else None
    if ca is not None and not ca.exists():
        raise BadHome(f"broker.ca: {ca} is missing")
    password = secret_in(folder, text(entry, "password_file", "broker"), "broker.password_file")
    if password.lower() in PUBLIC_PASSWORDS:
        raise BadHome("broker.password_file: this password is public: choose another, here and at the broker")
    port = whole(entry, "port", "broker", most=65_535, default=PORT if ca is None else TLS_PORT)
    return LocalBroker(text(entry, "host", "broker"), port, text(entry, "username", "broker"), password, ca)


def _asset(entry: object, where: str, folder: Path, broker: LocalBroker | None) -> AssetConfig:
    if not isinstance(entry, dict):
        raise BadHome(f"{where}: write [[assets]], not {entry!r:.40}")
    kind, driver = text(entry, "kind", where), text(entry, "driver", where)
    if kind not in KINDS:
        raise BadHome(f"{where}.kind: {kind!r} is none of {', '.join(KINDS)}")
    if driver not in MAKES:
        raise BadHome(f"{where}.driver: {driver!r} is none of {', '.join(MAKES)}")
    make = MAKES[driver]
    allowed = (*_OF_EVERY_ASSET, *make.required, *make.optional, *((make.key_file,) if make.key_file else ()))
    only(entry, allowed, where)
    for name in make.required:
        if name not in entry:
            raise BadHome(f"{where}.{name}: {driver} has to be told")
    if make.needs_broker and broker is None:
        raise BadHome(f"{where}: {driver} speaks over the home's broker: give [broker]")
    secret = ""
    if make.key_file and (make.is_key_required or make.key_file in entry):
        secret = secret_in(folder, text(entry, make.key_file, where), f"{where}.{make.key_file}")
    group, heaters = (None, ()) if driver != STORAGE_GROUP else _group(entry, where, folder, broker)
    usual_w = KINDS[kind] if group is None else group.house.rated_w
    settings = AssetSettings(
        resource_id=text(entry, "resource_id", where),
        kind=kind,
        rated_w=whole(entry, "rated_w", where, least=1, most=100_000, default=usual_w),
        manners=manners_in(table(entry, "needs", where), f"{where}.needs"),
        options={name: entry[name] for name in (*make.required, *make.optional) if name in entry},
    )
    return AssetConfig(settings, driver, secret, heaters, group, table(entry, "needs", where))


def _group(
    entry: Mapping[str, Any], where: str, folder: Path, broker: LocalBroker | None
) -> tuple[GroupSettings, tuple[AssetConfig, ...]]:
    """Each heater is an asset of its own, named after the group, with the group's least times."""
    group = group_in(entry, where)
    heaters = []
    for index, raw in enumerate(tables(entry, "heaters", where)):
        place = f"{where}.heaters[{index}]"
        make = MAKES.get(text(raw, "driver", place))
        if make is None or not make.is_switch:
            switches = ", ".join(name for name, each in MAKES.items() if each.is_switch)
            raise BadHome(f"{place}.driver: {raw['driver']!r:.40} is none of {switches}")
        heaters.append(
            _asset(
                {
                    **{name: value for name, value in raw.items() if name not in HEATER_FIELDS},
                    "resource_id": f"{entry.get('resource_id')}/{group.heaters[index].name}",
                    "kind": STORAGE_HEATER,
                    "rated_w": group.heaters[index].rated_w,
                    "needs": {
                        name: value
                        for name, value in table(entry, "needs", where).items()
                        if name in ("least_on_seconds", "least_off_seconds")
                    },
                },
                place,
                folder,
                broker,
            )
        )
    return group, tuple(heaters)


def manners_in(entry: Mapping[str, Any], where: str) -> Manners:
    """Return what an appliance needs, from the words of `[assets.needs]`; raises BadHome."""
    only(entry, _NEEDS, where)
    ready_by = wall(entry["ready_by"], f"{where}.ready_by") if "ready_by" in entry else None
    if (ready_by is None) != ("charge_wh" not in entry):
        raise BadHome(f"{where}: ready_by and charge_wh go together")
    return Manners(
        least_on_seconds=whole(entry, "least_on_seconds", where, most=7200, default=0),
        least_off_seconds=whole(entry, "least_off_seconds", where, most=7200, default=0),
        solar_from_w=whole(entry, "solar_from_w", where, most=100_000, default=0),
        ready_by=ready_by,
        charge_wh=whole(entry, "charge_wh", where, most=200_000, default=0),
        minimum_c=celsius(entry, "minimum_c", where),
        maximum_c=celsius(entry, "maximum_c", where),
        weekly_cycle=_cycle(entry["weekly_cycle"], where) if "weekly_cycle" in entry else None,
    )


def _cycle(value: object, where: str) -> WeeklyCycle:
    day, _, at = str(value).lower().partition(" ")
    if day not in WEEKDAYS:
        raise BadHome(f'{where}.weekly_cycle: {value!r:.40}: write it as "sunday 03:00"')
    return WeeklyCycle(WEEKDAYS.index(day), wall(at, f"{where}.weekly_cycle"))
