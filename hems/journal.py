"""When the hub could not do its work, and as far as it can tell why; kept in `journal.json` over power cuts.

    no_power     the machine began anew without having been stopped
    crashed      the program did, on a machine that ran on
    stopped      it was stopped, and started again later
    no_lan       no network in the home: no way out to take
    no_internet  a way out to take, and nobody answers
    refused      the site answers, and will not speak with this hub
    away         a device cannot be heard

The site puts it beside what it knows itself (`metering.causes`): many homes dark at once are no hub's fault.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hems.devices import Driver
from hems.errors import LinkError, NoContact
from hems.files import write_atomically
from hems.instants import read_instant, written

JOURNAL: Final = "journal.json"
MOST_KEPT: Final = 40
SHORTEST: Final = timedelta(minutes=2)
"""What is over sooner costs no reading."""
ALIVE_SECONDS: Final = 300.0
NO_POWER, CRASHED, STOPPED = "no_power", "crashed", "stopped"
NO_LAN, NO_INTERNET, REFUSED, AWAY = "no_lan", "no_internet", "refused", "away"
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
ROUTES: Final = (Path("/proc/net/route"), Path("/proc/net/ipv6_route"))

log = logging.getLogger("hems")


@dataclass(frozen=True, slots=True)
class Spell:
    """One stretch of time; open while `ends_at` is None. Times as text, as they are kept and told."""

    cause: str
    starts_at: str
    ends_at: str | None = None
    resource_id: str = ""

    def lasted(self, until: datetime) -> timedelta:
        return (until if self.ends_at is None else read_instant(self.ends_at)) - read_instant(self.starts_at)


class Journal:
    """The journal of the hub whose folder this is."""

    def __init__(
        self,
        folder: Path,
        *,
        at: datetime,
        boot_id: Callable[[], str] = lambda: _text(BOOT_ID),
        has_way_out: Callable[[], bool] = lambda: has_route(),
    ) -> None:
        self._path, self._has_way_out = folder / JOURNAL, has_way_out
        self._boot_id = boot_id()
        document = _kept(self._path)
        self._spells: list[Spell] = document["spells"]
        self._alive_at, self._is_stopped = at, False
        self._written_at = float("-inf")
        self._begin(document, at)

    def contact_failed(self, error: LinkError, at: datetime) -> None:
        """A round with the VTN did not come off."""
        self._open(cause_of(error, has_way_out=self._has_way_out), at)

    def contact_made(self, at: datetime) -> None:
        """There is contact again."""
        for cause in (NO_LAN, NO_INTERNET, REFUSED):
            self._close(cause, at)

    def look(self, drivers: Iterable[Driver], at: datetime) -> None:
        """Note which devices are away or back, and that the hub is alive."""
        for driver in drivers:
            if driver.available:
                self._close(AWAY, at, driver.resource_id)
            else:
                self._open(AWAY, at, driver.resource_id)
        self._alive_at = at
        if time.monotonic() - self._written_at >= ALIVE_SECONDS:
            self._write()

    def stop(self, at: datetime) -> None:
        """The hub is being stopped: what follows is no power cut."""
        self._alive_at, self._is_stopped = at, True
        self._write()

    def reported(self) -> list[dict[str, Any]]:
        """The newest spells that lasted, as the co-op is told."""
        lasting = [each for each in self._spells if each.lasted(self._alive_at) >= SHORTEST]
        lasting.sort(key=lambda each: read_instant(each.starts_at))
        return [
            {name: value for name, value in asdict(each).items() if value != ""}
            for each in lasting[-MOST_KEPT:]
        ]

    def _begin(self, document: dict[str, Any], at: datetime) -> None:
        alive_at = document.get("alive_at")
        if alive_at is not None and alive_at < at:
            is_same_boot = bool(self._boot_id) and document.get("boot_id") == self._boot_id
            cause = STOPPED if document.get("is_stopped") else CRASHED if is_same_boot else NO_POWER
            for spell in [each for each in self._spells if each.ends_at is None]:
                self._close(spell.cause, alive_at, spell.resource_id)
            self._spells.append(Spell(cause, written(alive_at), written(at)))
        self._write()

    def _open(self, cause: str, at: datetime, resource_id: str = "") -> None:
        if self._open_spell(cause, resource_id) is None:
            if not resource_id:
                self.contact_made(at)  # one reason at a time: the newest
            self._spells.append(Spell(cause, written(at), resource_id=resource_id))
            self._write()

    def _close(self, cause: str, at: datetime, resource_id: str = "") -> None:
        spell = self._open_spell(cause, resource_id)
        if spell is None:
            return
        self._spells.remove(spell)
        if spell.lasted(at) >= SHORTEST:
            self._spells.append(replace(spell, ends_at=written(at)))
        self._write()

    def _open_spell(self, cause: str, resource_id: str) -> Spell | None:
        wanted = (cause, None, resource_id)
        return next(
            (each for each in self._spells if (each.cause, each.ends_at, each.resource_id) == wanted), None
        )

    def _write(self) -> None:
        over = [each for each in self._spells if each.ends_at is not None][-MOST_KEPT:]
        self._spells = [each for each in self._spells if each.ends_at is None or each in over]
        document = {
            "alive_at": written(self._alive_at),
            "is_stopped": self._is_stopped,
            "boot_id": self._boot_id,
            "spells": [asdict(each) for each in self._spells],
        }
        self._written_at = time.monotonic()
        try:
            write_atomically(self._path, json.dumps(document).encode(), is_durable=False)
        except OSError as error:
            log.warning("%s is not written: %s", self._path, error)


def cause_of(error: LinkError, *, has_way_out: Callable[[], bool]) -> str:
    """Why an exchange did not come off, as far as can be told from here."""
    if not isinstance(error, NoContact) or isinstance(error.__cause__, ConnectionRefusedError):
        return REFUSED
    return NO_INTERNET if has_way_out() else NO_LAN


def has_route(paths: Iterable[Path] = ROUTES) -> bool:
    """True while the machine knows a way out of the home, or does not tell."""
    tables = [text for path in paths if (text := _text(path))]
    return not tables or any(_is_default(line.split()) for text in tables for line in text.splitlines())


def _is_default(fields: list[str]) -> bool:
    """A line of `/proc/net/route` or `ipv6_route` that leads anywhere, by another interface than `lo`."""
    if len(fields) >= 8 and fields[1] == "00000000" and fields[7] == "00000000":
        return True
    return len(fields) == 10 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _kept(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        spells = [Spell(**each) for each in document["spells"]]
        for each in spells:
            each.lasted(read_instant(each.starts_at))
        alive_at = read_instant(document["alive_at"])
        return {**document, "spells": spells, "alive_at": alive_at}
    except FileNotFoundError:
        return {"spells": []}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s cannot be read, a new one is begun: %s", path, error)
        return {"spells": []}
