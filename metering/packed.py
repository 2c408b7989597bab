"""A week of half-hours of one stream from one source as one packed value, and back. Pure.

A block is the 336 half-hours whose slots divide to the same number. Each is 16 bits of Wh, 32 where a site is
too large for that; export and quality are written only where there is any, and so is who told which value
when (import run, instant, revision), which a block learned in one go says once.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from metering.slots import Bools, Ints

BLOCK: Final = 336
WIDE, EXPORT, QUALITY = 1, 2, 4
NONE: Final = -1
QUALITY_BYTES: Final = BLOCK // 4
SHIFTS: Final = np.arange(0, 8, 2, dtype=np.uint8)
INT64: Final = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class Blocks:
    """Values of blocks, each [block, 336]; `import_wh` is NONE where there is no reading, the others 0."""

    import_wh: Ints
    export_wh: Ints
    quality: Ints
    known_at: Ints
    run_id: Ints
    revision: Ints

    @classmethod
    def empty(cls, count: int) -> Blocks:
        """Blocks without a reading."""
        columns = [np.zeros((count, BLOCK), dtype=np.int64) for _ in fields(cls)]
        columns[0][:] = NONE
        return cls(*columns)


@dataclass(frozen=True, slots=True)
class Packed:
    """One block as it is stored, with a reading in places [first, past) and none outside.

    `detail` is empty when all of it was learned in one go.
    """

    form: int
    first: int
    past: int
    latest_known_at: int
    run_id: int
    payload: bytes
    detail: bytes


def pack(blocks: Blocks) -> list[Packed]:
    """Each block as it is stored; a block without a reading is a caller's mistake."""
    present = blocks.import_wh != NONE
    export_wh = np.where(present, blocks.export_wh, 0)
    quality = np.where(present, blocks.quality, 0)
    most = np.maximum(blocks.import_wh, export_wh).max(axis=1)
    forms = (most >= 0xFFFF) * WIDE + export_wh.any(axis=1) * EXPORT + quality.any(axis=1) * QUALITY
    latest = np.where(present, blocks.known_at, np.iinfo(np.int64).min).max(axis=1)
    first, past = present.argmax(axis=1), BLOCK - present[:, ::-1].argmax(axis=1)
    found = []
    for row, form in enumerate(forms.tolist()):
        kind = "<u4" if form & WIDE else "<u2"
        # A missing reading is all ones in either width.
        payload = blocks.import_wh[row].astype(kind).tobytes()
        if form & EXPORT:
            payload += export_wh[row].astype(kind).tobytes()
        if form & QUALITY:
            quarters = quality[row].astype(np.uint8).reshape(-1, 4) << SHIFTS
            payload += np.bitwise_or.reduce(quarters, axis=1).astype(np.uint8).tobytes()
        there = present[row]
        known_at, run_id = blocks.known_at[row][there], blocks.run_id[row][there]
        revision = blocks.revision[row][there]
        is_uniform = not revision.any() and (known_at == known_at[0]).all() and (run_id == run_id[0]).all()
        detail = b"" if is_uniform else _squeezed(known_at, run_id, revision)
        found.append(
            Packed(form, int(first[row]), int(past[row]), int(latest[row]), int(run_id[-1]), payload, detail)
        )
    return found


def payload_bytes(form: int) -> int:
    """How long the payload of a form is."""
    width = 4 if form & WIDE else 2
    return BLOCK * width * (2 if form & EXPORT else 1) + (QUALITY_BYTES if form & QUALITY else 0)


def values(
    form: int, payloads: bytes | NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.int32] | None, NDArray[np.uint8] | None]:
    """Import (NONE where missing), export and quality of payloads one after the other, each [block, 336].

    Export is None where there is none, quality where all is measured.
    """
    width = 4 if form & WIDE else 2
    kind = "<u4" if form & WIDE else "<u2"
    rows = np.frombuffer(payloads, dtype=np.uint8).reshape(-1, payload_bytes(form))
    edge = BLOCK * width
    told = np.ascontiguousarray(rows[:, :edge]).view(kind)
    import_wh = told.astype(np.int32)
    if not form & WIDE:
        import_wh[told == 0xFFFF] = NONE
    export_wh: NDArray[np.int32] | None = None
    quality: NDArray[np.uint8] | None = None
    if form & EXPORT:
        export_wh = np.ascontiguousarray(rows[:, edge : 2 * edge]).view(kind).astype(np.int32)
    if form & QUALITY:
        quality = (rows[:, -QUALITY_BYTES:, None] >> SHIFTS & 3).astype(np.uint8).reshape(-1, BLOCK)
    return import_wh, export_wh, quality


def unpack(packed: list[Packed]) -> Blocks:
    """The blocks again, exactly as they were packed."""
    blocks = Blocks.empty(len(packed))
    for row, one in enumerate(packed):
        import_wh, export_wh, quality = values(one.form, one.payload)
        there = import_wh[0] != NONE
        blocks.import_wh[row] = import_wh[0]
        if export_wh is not None:
            blocks.export_wh[row] = export_wh[0]
        if quality is not None:
            blocks.quality[row] = quality[0]
        known_at, run_id, revision = provenance(one, int(there.sum()))
        blocks.known_at[row, there], blocks.run_id[row, there] = known_at, run_id
        blocks.revision[row, there] = revision
    return blocks


def provenance(packed: Packed, count: int) -> tuple[Ints, Ints, Ints]:
    """When each of the `count` readings of a block was learned, from which run, as which revision."""
    if not packed.detail:
        return (
            np.full(count, packed.latest_known_at, dtype=np.int64),
            np.full(count, packed.run_id, dtype=np.int64),
            np.zeros(count, dtype=np.int64),
        )
    planes = np.frombuffer(zlib.decompress(packed.detail), dtype=np.uint8).reshape(-1, count)
    known_at, run_id, revision = (
        np.cumsum(np.ascontiguousarray(planes[at : at + 8].T).view(INT64).ravel()) for at in (0, 8, 16)
    )
    return known_at, run_id, revision


def _squeezed(*columns: Ints) -> bytes:
    """Differences from value to value, like bytes beside like bytes: what repeats then costs nothing."""
    planes = []
    for column in columns:
        steps = np.diff(column, prepend=np.int64(0)).astype(INT64)
        planes.append(steps.view(np.uint8).reshape(-1, 8).T)
    return zlib.compress(np.ascontiguousarray(np.concatenate(planes)).tobytes(), 6)


def is_there(blocks: Blocks) -> Bools:
    """Where there is a reading."""
    there: Bools = blocks.import_wh != NONE
    return there
