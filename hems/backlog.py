"""Samples that could not be told, on disk: they outlive a power cut, and a long outage in bounded space.

    backlog/<name>   one file a request; a line a sample, or `T` and the byte up to which all has been told

Appended to in batches with one flush each, for an SD card's sake. A full file is thinned: of its older half
every other sample goes, so that the whole outage stays in it, ever coarser towards its beginning.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from hems.files import flush_folder
from hems.instants import read_instant, written
from oadr.messages import LoadControlState, ResourceStatus

FOLDER: Final = "backlog"
MOST_KEPT: Final = 20_000
"""Samples of a request: two days of one every ten seconds, then four of one every twenty, and so on."""
_TOLD: Final = b"T "

Value = float | ResourceStatus


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment, by rID."""

    at: datetime
    values: Mapping[str, Value]


@dataclass(slots=True)
class _Pile:
    path: Path
    count: int = 0
    told_bytes: int = 0


class Backlog:
    """The piles of one hub's folder."""

    def __init__(self, folder: Path, *, most_kept: int = MOST_KEPT) -> None:
        self._folder, self._most_kept = folder / FOLDER, most_kept
        self._piles: dict[str, _Pile] = {}
        self.thinned = 0
        """Samples given up since the start."""

    def __len__(self) -> int:
        return sum(pile.count for pile in self._piles.values())

    def open(self, names: Sequence[str]) -> None:
        """Take up what an earlier run left for these requests, and drop what it left for others."""
        wanted = {self._path(name): name for name in names}
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            if path not in wanted:
                path.unlink(missing_ok=True)
            elif pile := _taken_up(path):
                self._piles[wanted[path]] = pile

    def has(self, name: str) -> bool:
        return name in self._piles

    def append(self, name: str, samples: Sequence[Sample]) -> None:
        """Keep samples; on return they outlive a power cut. Raises OSError, and then keeps none of them."""
        pile = self._piles.get(name) or _Pile(self._path(name))
        is_new = not pile.path.exists()
        if is_new:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        before = 0 if is_new else pile.path.stat().st_size
        try:
            _write(pile.path, b"".join(_line_of(sample) for sample in samples), is_durable=True)
        except OSError:
            if pile.path.exists():  # half a line would spoil the next one
                os.truncate(pile.path, before)
            raise
        if is_new:
            flush_folder(self._folder)
        pile.count += len(samples)
        self._piles[name] = pile
        if pile.count > self._most_kept:
            self._thin(pile)

    def head(self, name: str, most: int) -> list[Sample]:
        """Return up to so many samples of a request, the oldest first."""
        pile = self._piles.get(name)
        if pile is None:
            return []
        samples: list[Sample] = []
        for _, sample in _samples_in(pile):
            samples.append(sample)
            if len(samples) == most:
                break
        return samples

    def told(self, name: str, until: datetime) -> None:
        """Forget the samples before `until`: noted without a flush, for to be told twice is harmless."""
        pile = self._piles.get(name)
        if pile is None:
            return
        for ends_at, sample in _samples_in(pile):
            if sample.at >= until:
                break
            pile.count -= 1
            pile.told_bytes = ends_at
        if pile.count <= 0:
            self.drop(name)
        else:
            _write(pile.path, _TOLD + b"%d\n" % pile.told_bytes, is_durable=False)

    def drop(self, name: str) -> None:
        """Forget a request."""
        pile = self._piles.pop(name, None)
        if pile is not None:
            pile.path.unlink(missing_ok=True)

    def _thin(self, pile: _Pile) -> None:
        fresh = pile.path.with_suffix(".thinned")
        kept = 0
        with fresh.open("wb") as file:
            for number, (_, sample) in enumerate(_samples_in(pile)):
                if number >= pile.count // 2 or number % 2 == 0:
                    file.write(_line_of(sample))
                    kept += 1
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(pile.path)
        flush_folder(self._folder)
        self.thinned += pile.count - kept
        pile.count, pile.told_bytes = kept, 0

    def _path(self, name: str) -> Path:
        return self._folder / sha256(name.encode()).hexdigest()[:16]


def _write(path: Path, content: bytes, *, is_durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if is_durable:
            os.fsync(file.fileno())


def _taken_up(path: Path) -> _Pile | None:
    """Return what a file holds, its torn end cut off; None, and the file gone, when that is nothing."""
    pile = _Pile(path)
    whole_bytes = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole_bytes += len(line)
            if line.startswith(_TOLD) and line[2:-1].isdigit():
                pile.told_bytes = int(line[2:-1])
    os.truncate(path, whole_bytes)
    pile.told_bytes = min(pile.told_bytes, whole_bytes)
    pile.count = sum(1 for _ in _samples_in(pile))
    if pile.count:
        return pile
    path.unlink()
    return None


def _samples_in(pile: _Pile) -> Iterator[tuple[int, Sample]]:
    """Yield the samples not told yet, each with the byte where its line ends; what is none is passed over."""
    at = pile.told_bytes
    with pile.path.open("rb") as file:
        file.seek(at)
        for line in file:
            at += len(line)
            sample = None if line.startswith(_TOLD) else _sample_of(line)
            if sample is not None:
                yield at, sample


def _line_of(sample: Sample) -> bytes:
    values = {
        r_id: asdict(value) if isinstance(value, ResourceStatus) else value
        for r_id, value in sample.values.items()
    }
    return json.dumps([written(sample.at), values], separators=(",", ":")).encode() + b"\n"


def _sample_of(line: bytes) -> Sample | None:
    try:
        at, values = json.loads(line)
        return Sample(
            read_instant(at),
            {
                r_id: _status_of(each) if isinstance(each, dict) else float(each)
                for r_id, each in values.items()
            },
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _status_of(fields: Mapping[str, object]) -> ResourceStatus:
    capacity = fields["capacity"]
    return ResourceStatus(
        is_online=bool(fields["is_online"]),
        is_manual_override=bool(fields["is_manual_override"]),
        capacity=LoadControlState(**capacity) if isinstance(capacity, dict) else None,
    )
