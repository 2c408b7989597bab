"""A real home: `hub.toml`'s devices, its meter, and what the household sees of the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from hems.config import AssetConfig, Config, manners_in
from hems.config_fields import only
from hems.devices import Order
from hems.discovery import Discovery
from hems.drivers.bus import Bus
from hems.drivers.catalogue import MAKES, Around, RealDriver
from hems.drivers.real_device import RealDevice, commands
from hems.drivers.sensors import Sensor, power_meter
from hems.drivers.storage_group import StorageGroup, SwitchDriver
from hems.errors import BadHome
from hems.glow import GlowMeter
from hems.heating_config import comfort_in
from hems.instants import second_of
from hems.local_vtn import LocalVtn
from hems.simulation import METER_COLUMNS
from hems.solar import OwnSolar, Taker
from hems.status_page import StatusPage

CURTAILED_COLUMNS: Final = "resource_id,starts_at,without_wh,with_wh,curtailed_wh"

SUN_SECONDS: Final = 10
MOST_CONFIG: Final = 20_000
COMFORT_NEEDS: Final = ("wanted_c", "least_c", "most_c", "comfort_hours")

COMMANDS_LOG: Final = "commands.log"
COMMANDS_BYTES, COMMANDS_FILES = 1_000_000, 3

Server = TypeVar("Server")

log = logging.getLogger("hems")


class RealHome:
    """Everything that is plugged in. A device that is away keeps no other from being told."""

    def __init__(self, config: Config, folder: Path, *, hub: str) -> None:
        self._config = config
        self.local_vtn = _listening(LocalVtn, "local_vtn", config.local_vtn)
        self.status_page = _listening(StatusPage, "status_page", config.status_page)
        named = [each for asset in config.assets for each in (asset, *asset.heaters)]
        self._commands = _command_log(folder, {each.settings.resource_id for each in named})
        around = Around(hub, config.broker, "", self.local_vtn, folder)
        self.drivers: list[RealDriver] = [built(each, around) for each in config.assets]
        self._orders: tuple[Order, ...] = ()
        self._solar_orders: tuple[Order, ...] = ()
        self._sun_looked_s = -SUN_SECONDS
        self._solar: OwnSolar | None = None
        self._grid: Sensor | None = None
        if self.local_vtn is not None:
            self.local_vtn.start()
        self._meter: GlowMeter | None = None
        self._meter_bus: Bus | None = None
        self._discovery: Discovery | None = None
        self._was_available: dict[str, bool] = {}
        if config.broker is not None and config.grid_topic:
            self._solar, self._grid = own_solar(config), power_meter(config.grid_topic)
            self._grid_bus = Bus(config.broker, name=f"{hub}-grid"[:60])
            self._grid.listen(self._grid_bus)
            self._grid_bus.start()
        if config.broker is not None and config.glow:
            self._meter = GlowMeter(folder, config.meter)
            self._meter_bus = Bus(config.broker, name=f"{hub}-meter"[:60])
            self._meter.listen(self._meter_bus, config.glow)
            self._meter_bus.start()
        if config.broker is not None and config.discovery_prefix:
            self._discovery = Discovery(
                config.broker, hub=hub, prefix=config.discovery_prefix, earnings_url=config.earnings_url
            )
            self._discovery.bus.start()

    def plan(self, orders: Sequence[Order]) -> None:
        self._orders = tuple(orders)
        self._plan()

    def _plan(self) -> None:
        for driver in self.drivers:
            driver.plan((*self._orders, *self._solar_orders))

    def _look_at_the_sun(self, at: datetime) -> None:
        """Have what would be sold used, until the next look."""
        at_s = second_of(at)
        if self._solar is None or self._grid is None or 0 <= at_s - self._sun_looked_s < SUN_SECONDS:
            return
        self._sun_looked_s = self._grid.at_s = at_s
        self._grid_bus.take()
        states = [driver.telemetry(at) for driver in self.drivers]
        powers_w = {
            state.resource_id: state.power_w if state.is_measured else driver.rated_w
            for driver, state in zip(self.drivers, states, strict=True)
        }
        before = self._solar_orders
        self._solar_orders = self._solar.step(at_s, grid_w=self._grid.value_at(at_s), powers_w=powers_w)
        if before or self._solar_orders:
            self._plan()

    def apply(self, at: datetime) -> None:
        if self.local_vtn is not None:
            self.local_vtn.at = at
        self._look_at_the_sun(at)
        for driver in self.drivers:
            try:
                driver.apply(at)
            except Exception:  # one device that cannot be served must not cost the others their orders
                log.exception("%s could not be told", driver.resource_id)
            if driver.available != self._was_available.get(driver.resource_id):
                self._was_available[driver.resource_id] = driver.available
                log.info("%s: %s", driver.resource_id, "is there" if driver.available else "is away")
        if self._meter is not None and self._meter_bus is not None:
            self._meter.now = at
            self._meter_bus.take()
        if self._discovery is not None:
            self._discovery.bus.take()

    def words(self) -> Sequence[str]:
        return [] if self._discovery is None else self._discovery.words()

    def show(self, status: Mapping[str, Any]) -> None:
        if self.status_page is not None:
            self.status_page.show(status)
        if self._discovery is not None:
            self._discovery.show(status)

    def adopt(self, needs: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
        faults = []
        for asset, driver in zip(self._config.assets, self.drivers, strict=True):
            name = asset.settings.resource_id
            try:
                self._adopt(asset, driver, needs.get(name, {}))
            except BadHome as error:
                faults.append(str(error))
        return faults

    def _adopt(self, asset: AssetConfig, driver: RealDriver, needs: Mapping[str, Any]) -> None:
        where = f"{asset.settings.resource_id}.needs"
        if isinstance(driver, StorageGroup) and asset.group is not None:
            only(needs, COMFORT_NEEDS, where)
            driver.comfort = comfort_in(needs, where, usual=asset.group.comfort)
        elif isinstance(driver, RealDevice):
            manners = manners_in({**asset.needs, **needs}, where)
            driver.settings = replace(driver.settings, manners=manners)

    def described(self) -> Mapping[str, Any]:
        needs = {each.settings.resource_id: _plain(each.needs) for each in self._config.assets}
        drivers = {each.settings.resource_id: each.driver for each in self._config.assets}
        text = self._config.text[:MOST_CONFIG]
        return {"kind": "real", "hub_toml": text, "drivers": drivers, "needs": needs}

    def serve_file(self, name: str, body: bytes) -> str:
        if self.status_page is None or self._config.status_page is None:
            return ""
        self.status_page.files[name] = body
        return f"http://{self._config.status_page[0]}:{self.status_page.port}/firmware/{name}"

    def logged_until(self, at: datetime) -> int:
        return 0 if self._meter is None else self._meter.logged_until

    def readings_csv(self, until: datetime) -> str:
        return METER_COLUMNS + "\n" if self._meter is None else self._meter.readings_csv(until)

    def curtailed_csv(self, until: datetime) -> str:
        """Nobody knows what a real home would have used: that is the co-op's baseline."""
        return CURTAILED_COLUMNS + "\n"

    def close(self) -> None:
        for driver in self.drivers:
            driver.close()
        for server in (self.local_vtn, self.status_page):
            if server is not None:
                server.close()
        commands.removeHandler(self._commands)
        self._commands.close()
        if self._meter_bus is not None:
            self._meter_bus.close()
        if self._discovery is not None:
            self._discovery.close()
        if self._grid is not None:
            self._grid_bus.close()


def _plain(needs: Mapping[str, Any]) -> dict[str, Any]:
    """TOML knows times, JSON does not."""
    return {name: str(value) if isinstance(value, time) else value for name, value in needs.items()}


def built(asset: AssetConfig, around: Around) -> RealDriver:
    """Return the driver of an asset, connected; a group's heaters with it."""
    heaters = [built(each, around) for each in asset.heaters]
    switches = tuple(cast("SwitchDriver", each) for each in heaters)  # the config takes no other
    its_own = replace(around, secret=asset.secret, group=asset.group, heaters=switches)
    return MAKES[asset.driver].build(asset.settings, its_own)


def own_solar(config: Config) -> OwnSolar:
    """Return who takes what the roof gives, in the order of the config."""
    takers = [
        Taker(
            each.settings.resource_id,
            each.settings.rated_w,
            from_w=each.settings.manners.solar_from_w,
            waits=each.settings.manners.ready_by is not None,
            is_stepless=MAKES[each.driver].is_stepless,
        )
        for each in config.assets
        if each.settings.manners.solar_from_w
    ]
    return OwnSolar(takers, hours=config.solar_hours)


def _listening(
    make: Callable[[str, int], Server], name: str, address: tuple[str, int] | None
) -> Server | None:
    if address is None:
        return None
    try:
        return make(*address)
    except OSError as error:
        raise BadHome(f"{name}: {address[0]}:{address[1]} cannot be listened on: {error}") from error


def _command_log(folder: Path, resource_ids: set[str]) -> logging.Handler:
    """Keep every word said to a device in `commands.log`, the last three million bytes of it."""
    handler = RotatingFileHandler(
        folder / COMMANDS_LOG,
        maxBytes=COMMANDS_BYTES,
        backupCount=COMMANDS_FILES - 1,
        encoding="utf-8",
        delay=True,
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handler.addFilter(lambda record: record.getMessage().partition(" ")[0] in resource_ids)
    commands.addHandler(handler)
    commands.setLevel(logging.INFO)
    return handler
