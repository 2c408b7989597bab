"""The member's button, as files: `python -m hems override --dir D` presses it, the agent carries it out.

A press is kept until it has been carried out, so it holds even while the agent is down. Names sort by time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from hems.errors import BadFolder
from hems.files import write_atomically

BUTTON = "button"
Word = Literal["override", "resume"]
WORDS: tuple[Word, ...] = ("override", "resume")


def press(folder: Path, word: Word) -> Path:
    """Leave a press for the agent; it acts within a second of running."""
    if not folder.is_dir():
        raise BadFolder(f"{folder} is no hub's folder")
    (folder / BUTTON).mkdir(exist_ok=True)
    path = folder / BUTTON / f"{time.time_ns():020d}.{word}"
    write_atomically(path, b"")
    return path


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
