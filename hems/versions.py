"""Which version of its own software the hub runs: `versions/current.json`, read by the launcher.

    {"version": "1.2.0", "file": "hems-1.2.0.zip", "trial": true, "highest": "1.2.0",
     "previous": {"version": "1.0.0", "file": ""}, "failed": {"1.1.0": "it did not start"},
     "heard": ["r1"]}

`file` "" is what came with the machine. A version on trial is taken back unless it proves itself: by a whole
contact with its VTN, and by hearing every device in `heard`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hems import VERSION
from hems.files import write_atomically

FOLDER: Final = "versions"
CURRENT: Final = "current.json"
BUILT_IN: Final = ""
RESTART: Final = 75
"""The agent's exit status that asks the launcher to start what is current now."""
LAUNCHED: Final = "HEMS_LAUNCHED"
"""In the environment of an agent that a launcher watches."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What runs, what ran before, and what did not prove itself (by version, why)."""

    version: str
    file: str = BUILT_IN
    is_trial: bool = False
    highest: str = ""
    previous_version: str = ""
    previous_file: str = BUILT_IN
    failed: Mapping[str, str] = field(default_factory=dict)
    heard: tuple[str, ...] = ()

    def begun(self, version: str, file: str, *, heard: Sequence[str] = ()) -> Versions:
        """Another version on trial, in a home where the devices `heard` answer."""
        names = tuple(heard)
        return Versions(version, file, True, self.highest, self.version, self.file, self.failed, names)

    def proven(self) -> Versions:
        return replace(self, is_trial=False, highest=self.version)

    def taken_back(self, why: str) -> Versions:
        """The one before runs again."""
        failed = {**self.failed, self.version: why}
        return Versions(self.previous_version, self.previous_file, False, self.highest, failed=failed)


def read(folder: Path) -> Versions:
    """Return what runs in a hub's folder; what came with the machine when nothing is noted."""
    path = folder / FOLDER / CURRENT
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        previous = document.get("previous", {})
        return Versions(
            version=str(document["version"]),
            file=str(document.get("file", BUILT_IN)),
            is_trial=document.get("trial") is True,
            highest=str(document.get("highest", "")),
            previous_version=str(previous.get("version", "")),
            previous_file=str(previous.get("file", BUILT_IN)),
            failed={str(name): str(why) for name, why in document.get("failed", {}).items()},
            heard=tuple(str(name) for name in document.get("heard", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Versions(VERSION)


def write(folder: Path, versions: Versions) -> None:
    """Note what runs, whole, and out of reach of a power cut."""
    (folder / FOLDER).mkdir(exist_ok=True)
    document = {
        "version": versions.version,
        "file": versions.file,
        "trial": versions.is_trial,
        "highest": versions.highest,
        "previous": {"version": versions.previous_version, "file": versions.previous_file},
        "failed": dict(versions.failed),
        "heard": list(versions.heard),
    }
    write_atomically(folder / FOLDER / CURRENT, json.dumps(document, indent=1).encode())
