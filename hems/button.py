"""The member's button, as files: `python -m hems override --dir D` presses it, the agent carries it out.

A press is kept until it has been carried out, so it holds even while the agent is down. Names sort by time.
Only `away` says more than its name: from when, until when, and of which assets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from hems.absence import LONGEST_ABSENCE
from hems.errors import BadFolder, BadTime
from hems.files import write_atomically
from hems.instants import read_instant, written

BUTTON = "button"
Word = Literal["override", "resume", "away", "back"]
WORDS: tuple[Word, ...] = ("override", "resume", "away", "back")


def press(folder: Path, word: Word, content: bytes = b"") -> Path:
    """Leave a press for the agent; it acts within a second of running."""
    if not folder.is_dir():
        raise BadFolder(f"{folder} is no hub's folder")
    (folder / BUTTON).mkdir(exist_ok=True)
    path = folder / BUTTON / f"{time.time_ns():020d}.{word}"
    write_atomically(path, content)
    return path


def press_away(
    folder: Path, starts_at: datetime, ends_at: datetime, *, resource_ids: Sequence[str] = ()
) -> Path:
    """Say an absence ahead; raises BadTime for one that does not run forward or is too long."""
    if not starts_at < ends_at <= starts_at + LONGEST_ABSENCE:
        raise BadTime(f"--until: after --from, and at most {LONGEST_ABSENCE.days} days after it")
    document = [written(starts_at), written(ends_at), list(resource_ids)]
    return press(folder, "away", json.dumps(document).encode())


def absence_of(folder: Path, name: str) -> tuple[datetime, datetime, tuple[str, ...]]:
    """Return what a press of `away` says; raises BadTime when it cannot be read."""
    try:
        starts_at, ends_at, resource_ids = json.loads((folder / BUTTON / name).read_bytes())
        return read_instant(starts_at), read_instant(ends_at), tuple(map(str, resource_ids))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadTime(f"{name} says no time: {error}") from error


def presses(folder: Path, *, after: str) -> Iterator[tuple[str, Word]]:
    """Yield (name, word) of presses later than `after`, oldest first."""
    place = folder / BUTTON
    if not place.is_dir():
        return
    for path in sorted(place.iterdir()):
        word = path.suffix.removeprefix(".")
        if path.name > after and word in WORDS and not path.name.startswith("."):
            yield path.name, word


def forget(folder: Path, *, until: str) -> None:
    """Remove presses that have been carried out."""
    place = folder / BUTTON
    if not place.is_dir():
        return
    for path in place.iterdir():
        if path.name <= until and not path.name.startswith("."):
            path.unlink(missing_ok=True)
