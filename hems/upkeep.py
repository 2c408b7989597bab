"""What the co-op keeps of this hub and asks of it: the shadow told and taken, updates carried on. Wall time.

Called after a contact, beside OpenADR: nothing here stands between an event and its devices.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hems.book import Book
from hems.devices import Driver, Order, Place
from hems.errors import LinkError, Refused
from hems.journal import Journal
from hems.keys import CERTIFICATE
from hems.link import Link
from hems.shadow import SYNC_SECONDS, BadAnswer, Desired, Shadow, differences, within_limits
from hems.tally import Tally
from hems.updates import QUIET, Updates

log = logging.getLogger("hems")


class Upkeep:
    """The hub's side of its shadow."""

    def __init__(
        self,
        folder: Path,
        link: Link,
        place: Place,
        *,
        serial: str,
        at: datetime,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        self._folder, self._link, self._place, self._serial = folder, link, place, serial
        self._shadow = Shadow(folder, sync_seconds=sync_seconds)
        self.updates = Updates(folder, fetch=link.fetch_file, serve=self._serve)
        self.tally = Tally(folder, at=at)
        self.journal = Journal(folder, at=at)
        self._faults: tuple[str, ...] = ()
        self._certificate: tuple[float, dict[str, str]] = (0.0, {})
        self._is_unknown = False
        self._adopt()

    @property
    def desired(self) -> Desired:
        return self._shadow.desired

    @property
    def wants_restart(self) -> bool:
        return self.updates.wants_restart

    def within_limits(self, orders: Sequence[Order]) -> tuple[Order, ...]:
        """Return the orders that the co-op's registry allows to be given in this home."""
        return within_limits(orders, self.desired)

    def look(self, at: datetime) -> None:
        """Take in what was switched, and which devices are away."""
        self.tally.look(self._place.drivers, at)
        self.journal.look(self._place.drivers, at)

    def close(self, at: datetime) -> None:
        """The hub is being stopped."""
        self.tally.save(is_last=True)
        self.journal.stop(at)

    def tend(self, at: datetime, *, book: Book) -> bool:
        """Tell the co-op what is news and take what it wants; True when the timetable has to be made anew."""
        drivers = self._devices()
        self.updates.prove(drivers)
        is_busy = any(entry.is_live(at) and entry.starts_at - QUIET <= at for entry in book.entries.values())
        self.updates.trust(self.desired.update_key_pem)
        self.updates.consider(self.desired.updates, drivers=drivers, at=at, is_busy=is_busy)
        if self._is_unknown or self._shadow.is_resting:
            return False
        reported = self.reported()
        if not self._shadow.is_due(reported):
            return False
        try:
            is_new = self._shadow.told(reported, self._link.tell_shadow(self._shadow.message(reported)))
        except Refused as error:
            self._is_unknown = error.status in (404, 405)  # a VTN that keeps no shadows
            self._shadow.not_told()
            return False
        except (LinkError, BadAnswer, OSError) as error:
            log.info("%s: its shadow is not told: %s", self._serial, error)
            self._shadow.not_told()
            return False
        if is_new:
            log.info("%s: the co-op wants version %d of it", self._serial, self._shadow.version)
            self._adopt()
        return is_new

    def reported(self) -> dict[str, Any]:
        """What this hub is."""
        described = dict(self._place.described())
        drivers, needs = described.pop("drivers"), described.pop("needs")
        software = self.updates.reported(self._devices())
        return {
            "serial": self._serial,
            "software": {**software, "python": platform.python_version()},
            "config": described,
            "assets": [
                {
                    "resource_id": driver.resource_id,
                    "kind": driver.kind,
                    "rated_w": driver.rated_w,
                    "driver": drivers.get(driver.resource_id, "simulated"),
                    "is_available": driver.available,
                    "is_in_service": self.desired.of(driver.resource_id).is_in_service,
                    "needs": {
                        **needs.get(driver.resource_id, {}),
                        **(self.desired.of(driver.resource_id).needs or {}),
                    },
                }
                for driver in self._place.drivers
            ],
            "counts": self.tally.reported(),
            "journal": self.journal.reported(),
            "certificate": self._own_certificate(),
            "faults": [*self._faults, *self._differences()],
        }

    def _adopt(self) -> None:
        wanted = {each.resource_id: each.needs for each in self.desired.assets if each.needs}
        self._faults = (*self.desired.faults, *self._place.adopt(wanted))

    def _differences(self) -> tuple[str, ...]:
        if not self._shadow.version:
            return ()
        driven = {driver.resource_id: driver.kind for driver in self._place.drivers}
        kinds = {each.resource_id: each.kind for each in self.desired.assets}
        return differences(self.desired.assets, driven, kinds)

    def _devices(self) -> list[Driver]:
        """Every device, the heaters of a group one by one."""
        devices: list[Driver] = []
        for driver in self._place.drivers:
            devices += getattr(driver, "heaters", None) or [driver]
        return devices

    def _serve(self, name: str, body: bytes) -> str:
        return self._place.serve_file(name, body)

    def _own_certificate(self) -> Mapping[str, str]:
        """Serial number and end of the certificate in force; read again only when the file is another."""
        path = self._folder / CERTIFICATE
        changed_at = path.stat().st_mtime
        if changed_at != self._certificate[0]:
            from cryptography import x509

            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            held = {
                "serial_number": f"{certificate.serial_number:x}",
                "not_after": certificate.not_valid_after_utc.isoformat(),
            }
            self._certificate = (changed_at, held)
        return self._certificate[1]
