"""The hub's two documents: what the co-op wants it to be, and what it is. Kept over restarts.

    desired     assets with their kind, state, needs and longest hold; updates; the config it had
    reported    software, config, assets as they are, certificate, updates, what could not be followed, how
                often relays switched, and when the hub could not do its work

What is desired holds from the moment it is on disk, contact or no contact. What is wrong in it is reported
and changes nothing; the rest is followed.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from hems.devices import Order
from hems.errors import BadHome
from hems.files import write_atomically
from hems.home import CONFIG
from hems.link import Link

SHADOW: Final = "shadow.json"
COUNTS: Final = "counts"
SYNC_SECONDS: Final = 900.0
NEWS_SECONDS: Final = 60.0
"""News wait this long after the last telling: a device that comes and goes is no storm."""
LONGEST_MINUTES: Final = 240
IN_SERVICE: Final = "active"

log = logging.getLogger("hems")


class BadAnswer(ValueError):
    """What came is no shadow."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is desired of one asset. `needs`: as in the config, in its words; they go before it."""

    resource_id: str
    kind: str = ""
    is_in_service: bool = True
    longest_minutes: int = LONGEST_MINUTES
    needs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Desired:
    """The document, read. `faults`: what of it means nothing to this hub."""

    assets: tuple[Wanted, ...] = ()
    updates: tuple[Mapping[str, Any], ...] = ()
    update_key_pem: str = ""
    faults: tuple[str, ...] = ()

    def of(self, resource_id: str) -> Wanted:
        return next((each for each in self.assets if each.resource_id == resource_id), Wanted(resource_id))


class Shadow:
    """Both documents of the hub whose folder this is."""

    def __init__(self, folder: Path, *, sync_seconds: float = SYNC_SECONDS) -> None:
        self._path = folder / SHADOW
        self._sync_seconds, self._news_seconds = sync_seconds, min(NEWS_SECONDS, sync_seconds)
        self.version, document = _kept(self._path)
        self.desired = read_desired(document)
        self._told = ""
        self._told_at = float("-inf")
        self._wait_seconds = 0.0
        self._dice = Random()  # noqa: S311 - spreads hubs

    @property
    def is_resting(self) -> bool:
        """True while nothing could be told, news or not."""
        return time.monotonic() - self._told_at < min(self._wait_seconds, self._news_seconds)

    def is_due(self, reported: Mapping[str, Any]) -> bool:
        """True when the co-op should be told: at first, at news, and now and then."""
        since = time.monotonic() - self._told_at
        return since >= self._wait_seconds or (since >= self._news_seconds and _text(reported) != self._told)

    def message(self, reported: Mapping[str, Any]) -> bytes:
        return json.dumps({"version": self.version, "reported": reported}).encode()

    def told(self, reported: Mapping[str, Any], answer: bytes) -> bool:
        """Take the answer; True when something else is desired from now on. Raises BadAnswer, OSError."""
        version, document = _answer(answer)
        self._told, self._told_at = _text(reported), time.monotonic()
        self._wait_seconds = self._sync_seconds * self._dice.uniform(0.9, 1.1)
        if document is None:
            return False
        write_atomically(
            self._path, json.dumps({"version": version, "desired": document}).encode(), mode=0o600
        )
        self.version = version
        self.desired = read_desired(document)
        self._wait_seconds = 0.0  # that it was taken in is news
        for fault in self.desired.faults:
            log.warning("what the co-op wants of this hub: %s", fault)
        return True

    def not_told(self) -> None:
        """The telling did not come off: try again in a while."""
        self._told_at, self._wait_seconds = time.monotonic(), self._news_seconds


def read_desired(document: Mapping[str, Any]) -> Desired:
    """Return what a document asks; what it says wrongly is among the faults, and left out."""
    faults: list[str] = []
    wanted = []
    entries = document.get("assets", [])
    for entry in entries if isinstance(entries, list) else []:
        try:
            wanted.append(_wanted(entry))
        except ValueError as error:
            faults.append(str(error))
    updates = document.get("updates", [])
    listed = updates if isinstance(updates, list) else []
    return Desired(
        assets=tuple(wanted),
        updates=tuple(each for each in listed if isinstance(each, dict)),
        update_key_pem=str(document.get("update_key_pem", "")),
        faults=tuple(faults),
    )


def differences(
    wanted: Sequence[Wanted], driven: Mapping[str, str], kinds: Mapping[str, str]
) -> tuple[str, ...]:
    """Say where the registry and the home differ: assets of one that the other does not know, other kinds.

    `driven` are the kinds of the assets in the home, `kinds` those of the registry, by resource id.
    """
    registered = {each.resource_id for each in wanted}
    said = [f"{name} is in the registry and not in this home" for name in sorted(registered - set(driven))]
    said += [f"{name} is in this home and not in the registry" for name in sorted(set(driven) - registered)]
    said += [
        f"{name} is a {kinds[name]} in the registry and a {driven[name]} here"
        for name in sorted(registered & set(driven))
        if kinds.get(name) and kinds[name] != driven[name]
    ]
    return tuple(said)


def within_limits(orders: Iterable[Order], desired: Desired) -> tuple[Order, ...]:
    """Return the orders that may be given: none to what is out of service, none longer than its limit.

    The longest hold counts from the first order of an event for an asset, so that its slices share it. A
    plan of hours, made to what the household needs, is no hold: it is followed as it was laid out. A set
    power ("at") is held to a limit of the household's own, not to the one that everybody has.
    """
    kept = []
    firsts: dict[tuple[str, str], datetime] = {}
    for order in sorted(orders, key=lambda each: each.starts_at):
        wanted = desired.of(order.resource_id)
        if not wanted.is_in_service:
            continue
        if order.is_plan or (order.direction == "at" and wanted.longest_minutes == LONGEST_MINUTES):
            kept.append(order)
            continue
        first = firsts.setdefault((order.event_id, order.resource_id), order.starts_at)
        latest = first + timedelta(minutes=wanted.longest_minutes)
        if order.starts_at < latest:
            ends_at = min(order.ends_at, latest)
            planned = min(order.planned_ends_at, latest)
            kept.append(replace(order, ends_at=ends_at, planned_ends_at=max(planned, ends_at)))
    return tuple(sorted(kept, key=lambda order: (order.resource_id, order.starts_at, order.event_id)))


def _wanted(entry: object) -> Wanted:
    if not isinstance(entry, dict) or not isinstance(entry.get("resource_id"), str):
        raise ValueError(f"assets: {entry!r:.40} names no resource_id")
    name = entry["resource_id"]
    longest = entry.get("longest_minutes", LONGEST_MINUTES)
    if isinstance(longest, bool) or not isinstance(longest, int) or not 0 <= longest <= LONGEST_MINUTES:
        raise ValueError(f"{name}.longest_minutes: {longest!r:.40} is no number from 0 to {LONGEST_MINUTES}")
    needs = entry.get("needs")
    if needs is not None and not isinstance(needs, dict):
        raise ValueError(f"{name}.needs: {needs!r:.40} is no object")
    is_in_service = entry.get("state", IN_SERVICE) == IN_SERVICE
    return Wanted(name, str(entry.get("kind", "")), is_in_service, longest, needs or None)


def asked_config(link: Link) -> str:
    """Return the config that the co-op keeps of this hub, asked anew. Raises LinkError, BadHome."""
    try:
        _, document = _answer(link.tell_shadow(b'{"version": 0, "reported": {}}'))
    except BadAnswer as error:
        raise BadHome(str(error)) from error
    restore = (document or {}).get("restore")
    return str(restore.get("hub_toml", "")) if isinstance(restore, dict) else ""


def restored_config(folder: Path, hub_toml: str) -> str:
    """Write a config where there is none; return its path. Raises BadHome."""
    path = folder / CONFIG
    if path.exists():
        raise BadHome(f"{path} is there already: move it away to have the one the co-op keeps")
    if not hub_toml:
        raise BadHome(f"the co-op keeps no {CONFIG} of this hub")
    write_atomically(path, hub_toml.encode())
    return str(path)


def _answer(answer: bytes) -> tuple[int, dict[str, Any] | None]:
    try:
        document = json.loads(answer)
    except ValueError as error:
        raise BadAnswer(f"the VTN's answer about the shadow: {error}") from error
    version = document.get("version") if isinstance(document, dict) else None
    desired = document.get("desired") if isinstance(document, dict) else None
    if isinstance(version, bool) or not isinstance(version, int) or not isinstance(desired, dict | None):
        raise BadAnswer(f"the VTN's answer about the shadow is none: {answer!r:.80}")
    return version, desired


def _kept(path: Path) -> tuple[int, dict[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return int(document["version"]), dict(document["desired"])
    except FileNotFoundError:
        return 0, {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read, the co-op is asked anew: %s", path, error)
        return 0, {}


def _text(document: Mapping[str, Any]) -> str:
    """What is compared: counts that go up are no news, and go along with the next telling."""
    return json.dumps({name: each for name, each in document.items() if name != COUNTS}, sort_keys=True)
