"""How often each relay of the home has switched on and off again, kept in `counts.json` over restarts.

What wears out a relay is told to the co-op, so that it is replaced in time. An on/off device counts itself
(`Relay.cycles`); of others a run that ends is one cycle, as its power shows.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hems.devices import Driver
from hems.files import write_atomically
from hems.instants import written

COUNTS: Final = "counts.json"
SAVE_SECONDS: Final = 300.0
"""Wall time between flushes to disk: a power cut costs no more of it than this."""
LOOK_SECONDS: Final = 5.0
RUNS_FROM_W: Final = 20

log = logging.getLogger("hems")


class Tally:
    """The counts of the hub whose folder this is."""

    def __init__(self, folder: Path, *, at: datetime) -> None:
        self._path = folder / COUNTS
        self._since, self.cycles = _kept(self._path, at)
        self._seen: dict[int, int] = {}
        self._running: dict[str, bool] = {}
        self._is_saved, self._saved_at = True, float("-inf")
        self._looked_at = float("-inf")

    def look(self, drivers: Iterable[Driver], at: datetime) -> None:
        """Take in what was switched since the last look. A group of heaters counts its busiest relay."""
        is_time = time.monotonic() - self._looked_at >= LOOK_SECONDS
        for driver in drivers:
            heaters = getattr(driver, "heaters", None) or [driver]
            relays = [relay for each in heaters if (relay := getattr(each, "relay", None)) is not None]
            if relays:
                self._add(driver.resource_id, max(map(self._news_of, relays)))
            elif is_time:
                is_running = driver.telemetry(at).power_w >= RUNS_FROM_W
                has_ended = self._running.get(driver.resource_id, False) and not is_running
                self._running[driver.resource_id] = is_running
                self._add(driver.resource_id, int(has_ended))
        if is_time:
            self._looked_at = time.monotonic()
        self.save()

    def save(self, *, is_last: bool = False) -> None:
        """Flush to disk what is not there, now and then, or when the hub stops."""
        if self._is_saved or not (is_last or time.monotonic() - self._saved_at >= SAVE_SECONDS):
            return
        try:
            write_atomically(self._path, json.dumps(self.reported()).encode())
        except OSError as error:
            log.warning("%s is not written: %s", self._path, error)
        else:
            self._is_saved = True
        self._saved_at = time.monotonic()

    def reported(self) -> dict[str, Any]:
        """The counts as the co-op is told."""
        return {"since": self._since, "cycles": dict(self.cycles)}

    def _news_of(self, relay: Any) -> int:
        """What a relay counted since it was looked at last; the first look takes all since the start."""
        before, self._seen[id(relay)] = self._seen.get(id(relay), 0), relay.cycles
        return int(relay.cycles - before)

    def _add(self, resource_id: str, more: int) -> None:
        if more or resource_id not in self.cycles:
            self.cycles[resource_id] = self.cycles.get(resource_id, 0) + more
            self._is_saved = False


def _kept(path: Path, at: datetime) -> tuple[str, dict[str, int]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        cycles = document["cycles"]
        if not isinstance(cycles, Mapping):
            raise TypeError(f"cycles: {cycles!r:.40}")
        return str(document["since"]), {str(name): int(count) for name, count in cycles.items()}
    except FileNotFoundError:
        return written(at), {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read, counting begins anew: %s", path, error)
        return written(at), {}
