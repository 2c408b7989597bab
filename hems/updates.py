"""Updates of the hub and of its controllers: verified, never during an event, taken back when they fail.

One is done at a time. The hub's own software is put beside the old and started by the launcher on trial; a
controller fetches its firmware from the hub, inside the home, and is asked for its version until it tells it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from hems import VERSION, versions
from hems.errors import HubError, LinkError
from hems.files import write_atomically
from hems.manifest import HUB, Manifest, UpdateRefused, parts_of, verified
from hems.versions import LAUNCHED, Versions

KEY: Final = "update-key.pem"
NOTES: Final = "updates.json"
KEPT: Final = "firmware"
QUIET: Final = timedelta(minutes=30)
"""No update begins this close before an event."""
CONTROLLER_MINUTES: Final = 10
INSTALLED, WAITING, UNDER_WAY, FAILED, TAKEN_BACK, REFUSED = (
    "installed",
    "waiting",
    "under_way",
    "failed",
    "taken_back",
    "refused",
)

log = logging.getLogger("hems")

Fetch = Callable[[str], bytes]


@runtime_checkable
class Answering(Protocol):
    """A driver, as far as a trial looks at it."""

    @property
    def resource_id(self) -> str: ...

    @property
    def available(self) -> bool: ...


@runtime_checkable
class Updatable(Protocol):
    """A driver whose device takes firmware from an address."""

    @property
    def resource_id(self) -> str: ...

    @property
    def available(self) -> bool: ...

    @property
    def make(self) -> str:
        """The component that its updates are made for, such as `tasmota`."""

    @property
    def firmware(self) -> str:
        """The version it tells, "" while it has not."""

    def take_firmware(self, url: str) -> bool:
        """Tell the device to install what is at an address; False when it was not told."""


@dataclass(frozen=True, slots=True)
class Note:
    """How an update of one component stands. `told_at`: epoch seconds at which a controller was told."""

    version: str
    state: str
    why: str = ""
    told_at: float = 0.0


class Updates:
    """What the co-op wants installed, against what is. `serve` puts bytes where controllers find them."""

    def __init__(
        self,
        folder: Path,
        *,
        fetch: Fetch,
        serve: Callable[[str, bytes], str],
    ) -> None:
        self._folder, self._fetch, self._serve = folder, fetch, serve
        self._notes = _read(folder / NOTES)
        self._held = versions.read(folder)  # the launcher writes only while no agent runs
        self.wants_restart = False

    @property
    def key_pem(self) -> str:
        try:
            return (self._folder / KEY).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return ""

    def trust(self, key_pem: str) -> None:
        """Take the co-op's key when the installer put none there; one that is there is never replaced."""
        if key_pem and not (self._folder / KEY).exists():
            write_atomically(self._folder / KEY, key_pem.encode(), mode=0o600)
            log.info("updates are verified by a key that came from the co-op: compare it with the jobsheet's")

    def consider(
        self, wanted: Sequence[Mapping[str, Any]], *, drivers: Sequence[object], at: datetime, is_busy: bool
    ) -> None:
        """Carry what is wanted a step further. `is_busy`: an event runs or is near, so nothing begins.

        What cannot be done is noted with its reason, and never raises.
        """
        for update in wanted:
            try:
                manifest = verified(update, key_pem=self.key_pem)
            except UpdateRefused as error:
                self._note(str(update.get("component", "?"))[:40], "?", REFUSED, str(error))
                continue
            if manifest.component == HUB:
                self._consider_hub(manifest, drivers, is_busy=is_busy)
            else:
                self._consider_controllers(manifest, drivers, at, is_busy=is_busy)

    def prove(self, drivers: Sequence[object]) -> None:
        """There was a contact: once every device is heard that was heard before, this version is kept."""
        held = self._held
        if held.is_trial and held.version == VERSION and set(held.heard) <= set(heard_of(drivers)):
            log.info("%s has proved itself", VERSION)
            self._hold(held.proven())
            for file in (self._folder / versions.FOLDER).glob("hems-*.zip"):
                if file.name not in (held.file, held.previous_file):
                    file.unlink(missing_ok=True)

    def reported(self, drivers: Sequence[object]) -> dict[str, Any]:
        """Return what is installed and how updates stand, for the reported document."""
        held = self._held
        controllers = {
            driver.resource_id: {"make": driver.make, "version": driver.firmware}
            for driver in drivers
            if isinstance(driver, Updatable)
        }
        taken_back = {
            f"{HUB} {version}": {"state": TAKEN_BACK, "why": why} for version, why in held.failed.items()
        }
        noted = {
            name: {"version": note.version, "state": note.state, "why": note.why}
            for name, note in sorted(self._notes.items())
        }
        return {
            "hub": VERSION,
            "is_trial": held.is_trial,
            "controllers": controllers,
            "updates": {**taken_back, **noted},
        }

    # ---- the hub itself

    def _consider_hub(self, manifest: Manifest, drivers: Sequence[object], *, is_busy: bool) -> None:
        held = self._held
        if manifest.version == VERSION:
            if not held.is_trial:
                self._note(HUB, manifest.version, INSTALLED)
            return
        if manifest.version in held.failed:
            self._note(HUB, manifest.version, TAKEN_BACK, held.failed[manifest.version])
            return
        newest = max((VERSION, held.highest or VERSION), key=parts_of)
        if parts_of(manifest.version) < parts_of(newest) and not manifest.may_go_back:
            self._note(HUB, manifest.version, REFUSED, f"older than {newest}, which ran here")
        elif LAUNCHED not in os.environ:
            self._note(HUB, manifest.version, FAILED, "this hub runs without its launcher: update it by hand")
        elif is_busy:
            self._note(HUB, manifest.version, WAITING, "an event runs or is near")
        elif (body := self._fetched(manifest)) is not None:
            file = f"hems-{manifest.version}-{manifest.sha256[:8]}.zip"
            try:
                (self._folder / versions.FOLDER).mkdir(exist_ok=True)
                write_atomically(self._folder / versions.FOLDER / file, body)
                self._hold(held.begun(manifest.version, file, heard=heard_of(drivers)))
            except OSError as error:
                self._note(HUB, manifest.version, FAILED, f"it cannot be kept: {error}")
                return
            self._note(HUB, manifest.version, UNDER_WAY)
            self.wants_restart = True

    def _hold(self, held: Versions) -> None:
        versions.write(self._folder, held)
        self._held = held

    # ---- controllers

    def _consider_controllers(
        self, manifest: Manifest, drivers: Sequence[object], at: datetime, *, is_busy: bool
    ) -> None:
        ours = [each for each in drivers if isinstance(each, Updatable) and each.make == manifest.component]
        for driver in ours:
            self._consider_controller(manifest, driver, at, is_busy=is_busy)

    def _consider_controller(
        self, manifest: Manifest, driver: Updatable, at: datetime, *, is_busy: bool
    ) -> None:
        name = driver.resource_id
        note = self._notes.get(name)
        if driver.firmware and parts_of(driver.firmware) == parts_of(manifest.version):
            self._note(name, manifest.version, INSTALLED)
            self._keep_for_later(manifest)
        elif note is not None and note.version == manifest.version and note.state == UNDER_WAY:
            if at.timestamp() - note.told_at > CONTROLLER_MINUTES * 60:
                why = f"it tells {driver.firmware or 'no version'} after {CONTROLLER_MINUTES} minutes"
                self._take_back(manifest, driver, why)
        elif note is not None and note.version == manifest.version and note.state in (FAILED, TAKEN_BACK):
            return
        elif driver.firmware and not manifest.may_go_back and _is_older(manifest.version, driver.firmware):
            self._note(name, manifest.version, REFUSED, f"older than {driver.firmware}, which it runs")
        elif is_busy or not driver.available or not driver.firmware or self._is_any_under_way():
            why = "an event runs or is near" if is_busy else "its turn or its answer"
            self._note(name, manifest.version, WAITING, why)
        elif (body := self._fetched(manifest, name=name)) is None:
            return
        elif not (url := self._serve(manifest.sha256, body)):
            why = "controllers fetch it from the hub: give [status_page] in hub.toml"
            self._note(name, manifest.version, FAILED, why)
        elif driver.take_firmware(url):
            self._notes[name] = Note(manifest.version, UNDER_WAY, told_at=at.timestamp())
            self._save()

    def _take_back(self, manifest: Manifest, driver: Updatable, why: str) -> None:
        """The firmware installed before goes on again, where the hub still has it."""
        before = self._folder / KEPT / f"{manifest.component}.bin"
        state = FAILED
        if before.exists():
            body = before.read_bytes()
            url = self._serve(sha256(body).hexdigest(), body)
            if url and driver.take_firmware(url):
                state = TAKEN_BACK
        log.warning("%s: %s %s: %s", driver.resource_id, manifest.version, state, why)
        self._note(driver.resource_id, manifest.version, state, why)

    def _keep_for_later(self, manifest: Manifest) -> None:
        """What works is kept, to go back to."""
        fresh = self._folder / KEPT / f"{manifest.sha256}.bin"
        if fresh.exists():
            fresh.replace(self._folder / KEPT / f"{manifest.component}.bin")

    def _is_any_under_way(self) -> bool:
        return any(note.state == UNDER_WAY for name, note in self._notes.items() if name != HUB)

    # ---- both

    def _fetched(self, manifest: Manifest, *, name: str = HUB) -> bytes | None:
        """Return the bytes of a manifest, or note why they are not to be had; those are tried again."""
        kept = self._folder / KEPT / f"{manifest.sha256}.bin"
        if kept.exists() and sha256(body := kept.read_bytes()).hexdigest() == manifest.sha256:
            return body
        try:
            body = self._fetch(manifest.sha256)
        except (HubError, LinkError, OSError) as error:  # tried again at the next contact
            self._note(name, manifest.version, WAITING, f"it cannot be fetched: {error}"[:200])
            return None
        if len(body) != manifest.size or sha256(body).hexdigest() != manifest.sha256:
            self._note(name, manifest.version, REFUSED, "what was fetched is not what was signed")
            return None
        if name != HUB:
            try:
                kept.parent.mkdir(exist_ok=True)
                write_atomically(kept, body)
            except OSError as error:
                self._note(name, manifest.version, WAITING, f"it cannot be kept: {error}")
                return None
        return body

    def _note(self, name: str, version: str, state: str, why: str = "") -> None:
        note = Note(version, state, why)
        before = self._notes.get(name)
        if before is not None and (before.version, before.state, before.why) == (version, state, why):
            return
        log.info("%s: update to %s: %s%s", name, version, state, f", {why}" if why else "")
        self._notes[name] = note
        self._save()

    def _save(self) -> None:
        document = {name: asdict(note) for name, note in self._notes.items()}
        try:
            write_atomically(self._folder / NOTES, json.dumps(document, indent=1).encode())
        except OSError as error:
            log.warning("how updates stand is not kept: %s", error)


def heard_of(drivers: Sequence[object]) -> list[str]:
    """Return the resource ids of the devices that answer."""
    return [driver.resource_id for driver in drivers if isinstance(driver, Answering) and driver.available]


def _is_older(version: str, than: str) -> bool:
    try:
        return parts_of(version) < parts_of(than)
    except UpdateRefused:
        return False  # a device that tells no version of numbers


def _read(path: Path) -> dict[str, Note]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): Note(**note) for name, note in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
