"""A real home: `hub.toml`'s devices, its meter, and what the household sees of the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, TypeVar

from hems.config import Config
from hems.devices import Order
from hems.discovery import Discovery
from hems.drivers.bus import Bus
from hems.drivers.catalogue import MAKES, Around, RealDriver
from hems.drivers.real_device import commands
from hems.errors import BadHome
from hems.glow import GlowMeter
from hems.local_vtn import LocalVtn
from hems.simulation import METER_COLUMNS
from hems.status_page import StatusPage

CURTAILED_COLUMNS: Final = "resource_id,starts_at,without_wh,with_wh,curtailed_wh"

COMMANDS_LOG: Final = "commands.log"
COMMANDS_BYTES, COMMANDS_FILES = 1_000_000, 3

Server = TypeVar("Server")

log = logging.getLogger("hems")


class RealHome:
    """Everything that is plugged in. A device that is away keeps no other from being told."""

    def __init__(self, config: Config, folder: Path, *, hub: str) -> None:
        self.local_vtn = _listening(LocalVtn, "local_vtn", config.local_vtn)
        self.status_page = _listening(StatusPage, "status_page", config.status_page)
        self._commands = _command_log(folder, {each.settings.resource_id for each in config.assets})
        self.drivers: list[RealDriver] = [
            MAKES[each.driver].build(each.settings, Around(hub, config.broker, each.secret, self.local_vtn))
            for each in config.assets
        ]
        if self.local_vtn is not None:
            self.local_vtn.start()
        self._meter: GlowMeter | None = None
        self._meter_bus: Bus | None = None
        self._discovery: Discovery | None = None
        self._was_available: dict[str, bool] = {}
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
        for driver in self.drivers:
            driver.plan(orders)

    def apply(self, at: datetime) -> None:
        if self.local_vtn is not None:
            self.local_vtn.at = at
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
