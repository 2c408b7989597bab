"""The makes a config file may name: what each has to be told, and how its driver is made.

A new kind of asset is a line in KINDS; a new make is a module here and a line in MAKES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from hems.devices import Driver
from hems.drivers.bus import LocalBroker
from hems.drivers.emonesp import EmonEsp
from hems.drivers.home_assistant import HomeAssistantNumber, HomeAssistantSwitch
from hems.drivers.myenergi import MyEnergi
from hems.drivers.openevse import OpenEvse
from hems.drivers.real_device import AssetSettings
from hems.drivers.sg_ready import SgReady
from hems.drivers.shelly import ShellyGen1, ShellyGen2
from hems.drivers.storage_group import GroupSettings, StorageGroup, SwitchDriver
from hems.drivers.tasmota import Tasmota
from hems.home import RATED_W
from hems.local_vtn import LocalVtn, OadrDevice

STORAGE_GROUP: Final = "storage_group"
HEAT_PUMP, BATTERY = "heat_pump", "battery"
KINDS: Final[dict[str, int]] = {**RATED_W, HEAT_PUMP: 3000, BATTERY: 5000}
"""Kinds of assets and the rating in W of one that does not say."""


class RealDriver(Driver, Protocol):
    """A driver that holds a connection."""

    def close(self) -> None:
        """Give the device back and hang up."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a driver needs of the hub: its name, the home's broker, and the secret its config points to."""

    hub: str
    broker: LocalBroker | None
    secret: str
    local_vtn: LocalVtn | None = None
    folder: Path = Path()
    group: GroupSettings | None = None
    heaters: tuple[SwitchDriver, ...] = ()


@dataclass(frozen=True, slots=True)
class Make:
    """Options that must and may be given, the one that names the file of its key, and how it is made.

    `is_switch`: an on/off device, which may be a heater of a storage group; `is_stepless`: takes any power.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    build: Callable[[AssetSettings, Around], RealDriver]
    key_file: str = ""
    is_key_required: bool = False
    needs_broker: bool = False
    needs_local_vtn: bool = False
    is_switch: bool = False
    is_stepless: bool = False


def _broker(around: Around) -> LocalBroker:
    if around.broker is None:
        raise ValueError("this driver speaks over the home's broker: give [broker]")
    return around.broker


def _local_vtn(around: Around) -> LocalVtn:
    if around.local_vtn is None:
        raise ValueError("this driver speaks OpenADR on the home's network: give [local_vtn]")
    return around.local_vtn


def _storage_group(settings: AssetSettings, around: Around) -> StorageGroup:
    if around.group is None:
        raise ValueError("a storage group has heaters and a house")
    return StorageGroup(
        settings,
        around.group,
        around.heaters,
        broker=_broker(around),
        folder=around.folder,
        hub=around.hub,
    )


MAKES: Final[dict[str, Make]] = {
    "openevse": Make(
        ("base",),
        ("phases", "charge_topic"),
        lambda settings, around: OpenEvse(settings, _broker(around), hub=around.hub),
        needs_broker=True,
        is_stepless=True,
    ),
    "tasmota": Make(
        ("topic",),
        ("channel", "full_topic", "is_on_when_free"),
        lambda settings, around: Tasmota(settings, _broker(around), hub=around.hub),
        needs_broker=True,
        is_switch=True,
    ),
    "shelly_gen1": Make(
        ("url",),
        ("channel", "username", "is_on_when_free"),
        lambda settings, around: ShellyGen1(settings, password=around.secret),
        key_file="password_file",
        is_switch=True,
    ),
    "shelly_gen2": Make(
        ("prefix",),
        ("channel", "is_on_when_free"),
        lambda settings, around: ShellyGen2(settings, _broker(around), hub=around.hub),
        needs_broker=True,
        is_switch=True,
    ),
    "emonesp": Make(
        ("device",),
        ("free_mode", "is_on_when_free"),
        lambda settings, around: EmonEsp(settings, _broker(around), hub=around.hub),
        needs_broker=True,
        is_switch=True,
    ),
    "sg_ready": Make(
        ("topic",),
        ("full_topic",),
        lambda settings, around: SgReady(settings, _broker(around), hub=around.hub),
        needs_broker=True,
    ),
    "oadr2a": Make(
        ("ven_id",),
        (),
        lambda settings, around: OadrDevice(settings, _local_vtn(around), password=around.secret),
        key_file="password_file",
        is_key_required=True,
        needs_local_vtn=True,
    ),
    "home_assistant": Make(
        ("url", "entity"),
        ("power_entity", "is_on_when_free"),
        lambda settings, around: HomeAssistantSwitch(settings, token=around.secret),
        key_file="token_file",
        is_key_required=True,
        is_switch=True,
    ),
    "home_assistant_number": Make(
        ("url", "entity"),
        ("power_entity", "free_w"),
        lambda settings, around: HomeAssistantNumber(settings, token=around.secret),
        key_file="token_file",
        is_key_required=True,
        is_stepless=True,
    ),
    "myenergi": Make(
        ("serial", "hub_serial"),
        ("url",),
        lambda settings, around: MyEnergi(settings, api_key=around.secret),
        key_file="api_key_file",
        is_key_required=True,
    ),
    STORAGE_GROUP: Make(
        ("heaters",),
        ("house",),
        _storage_group,
        needs_broker=True,
    ),
}
