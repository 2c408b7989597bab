"""The one way in for readings: a file through its adapter, or arrays from a hub, a simulation or a service.

Each import is one transaction: check, take turns with other writers of the same streams, store what is news,
record the run with its refusals and gaps, and the fact `metering.readings.stored`. Nothing is stored for a
half-hour outside the household's consent to half-hourly readings.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import IO, Any, Final
from uuid import UUID

import numpy as np
from django.db import transaction
from numpy.typing import ArrayLike, NDArray

from members.models import Granularity
from metering import permits, retention_rules, revising, rosters, sources, totals
from metering.adapters import reading
from metering.adapters.formats import Ambiguous, Reject, Role
from metering.checking import NO_STREAM, Checked, Coarser, Readings, Refusals, checked, kept
from metering.models import ImportGap, ImportReject, ImportRun, Quality
from metering.report import ImportReport
from metering.slots import Bools, Ints, from_times, slot_of
from opendsr.kernel import outbox
from opendsr.kernel.ids import uuid_or_none

STORED: Final = "metering.readings.stored"
STREAMS_TOLD: Final = 200
MOST_WH: Final = 2**31 - 1
NAME_CHARACTERS: Final = 200
VALUE_CHARACTERS: Final = 200
REASON_CHARACTERS: Final = 300
MPAN: Final = re.compile(r"(?<![0-9])[0-9]{9}([0-9]{4})(?![0-9])")


def import_file(
    *,
    at: datetime,
    streams: Mapping[str, UUID] | None = None,
    path: str | os.PathLike[str] | None = None,
    file: IO[Any] | None = None,
    adapter: str | None = None,
    name: str | None = None,
    source: str | None = None,
    dry_run: bool = False,
    progress: reading.Progress | None = None,
    **options: object,
) -> ImportReport:
    """Read a file of readings into the store and account for every row of it.

    `streams` maps the file's meter names to streams; without it meters are named by stream id. In a file
    without a meter column, a mapping of one is that meter. The adapter is found by the header unless named;
    `options` override its conventions (stamp, tz, unit, meter, columns, decimal, delimiter, ambiguous,
    max_kwh). `source` is what the readings are filed under, the adapter's name unless given. Bad rows are
    refused one by one; raises FileUnusable, UnknownAdapter or BadOption when nothing can be read.
    """
    opened = path if file is None else file
    if opened is None:
        raise ValueError("import_file needs a path or a file")
    given = name or (str(getattr(file, "name", "") or "upload") if path is None else PurePath(path).name)
    contents = reading.open_reading(opened, name=given, adapter=adapter, progress=progress, **options)
    refusals = Refusals()
    readings = readings_in(contents, refusals)
    stream_ids, stream_of_meter = _streams_of(contents, streams)
    offer = Offer(
        readings=readings,
        meters=contents.meters,
        stream_ids=stream_ids,
        stream_of_meter=stream_of_meter,
        refusals=refusals,
        rows_read=len(readings) + refusals.rows,
        source=source or contents.format.name,
        name=given,
        convention=contents.format.convention,
        content_sha256=contents.content_sha256,
        ambiguous=contents.format.ambiguous,
        kept_from=retention_rules.half_hours_kept_from(at),
    )
    return _store(offer, at=at, dry_run=dry_run)


def store_readings(
    *,
    source: str,
    name: str,
    at: datetime,
    stream_ids: Sequence[UUID],
    starts_at: Sequence[datetime] | NDArray[np.datetime64],
    import_wh: ArrayLike,
    export_wh: ArrayLike | None = None,
    quality: ArrayLike | Quality | None = None,
) -> ImportReport:
    """Store arrays of whole Wh; a line in the report is a place in the arrays, from 1.

    Either all arrays have one entry a reading, or `import_wh` (and the other values) is a table of streams by
    half-hours and `stream_ids`, `starts_at` name its sides. Values missing from a table are masked
    (numpy.ma). `starts_at` are aware datetimes or datetime64 in UTC. The same `name` and content again is a
    replay and changes nothing.
    """
    imports, missing = _whole_numbers(import_wh, "import_wh")
    exports = np.zeros_like(imports) if export_wh is None else _whole_numbers(export_wh, "export_wh")[0]
    qualities = _qualities(quality, imports.shape)
    slots, on_grid = from_times(starts_at)
    is_table = imports.ndim == 2
    if imports.shape != ((len(stream_ids), len(slots)) if is_table else (len(slots),)):
        raise ValueError(
            f"import_wh has shape {imports.shape} for {len(stream_ids)} streams, {len(slots)} times"
        )
    if exports.shape != imports.shape or (not is_table and len(stream_ids) != len(slots)):
        raise ValueError("stream_ids, starts_at and the values differ in length")
    known, stream = rosters.numbered(stream_ids)
    if is_table:
        stream, slots = np.repeat(stream, len(slots)), np.tile(slots, len(stream))
        on_grid = np.tile(on_grid, len(stream_ids))
    readings = Readings(
        line=np.arange(1, imports.size + 1, dtype=np.int64),
        stream=stream,
        slot=slots,
        import_wh=imports.ravel(),
        export_wh=exports.ravel(),
        quality=qualities.ravel(),
        flags=np.zeros(imports.size, dtype=np.int64),
    )
    if missing.any():
        readings, on_grid = readings.where(~missing.ravel()), on_grid[~missing.ravel()]
    refusals = Refusals()
    offered = len(readings)
    readings = _storable(readings, on_grid, refusals)
    digest = hashlib.sha256(name.encode())
    digest.update(known.ids.data)
    for column in (readings.stream, readings.slot, readings.import_wh, readings.export_wh, readings.quality):
        digest.update(np.ascontiguousarray(column).data)
    offer = Offer(
        readings=readings,
        meters=known.names,
        stream_ids=known,
        stream_of_meter=np.arange(len(known), dtype=np.int64),
        refusals=refusals,
        rows_read=offered,
        source=source,
        name=name,
        convention="half-hours by their start in UTC, values in wh",
        content_sha256=digest.hexdigest(),
    )
    return _store(offer, at=at)


@dataclass(frozen=True, slots=True)
class Offer:
    """Readings on their way in; `readings.stream` numbers `meters`, each of a stream or of NO_STREAM."""

    readings: Readings
    meters: Sequence[str]
    stream_ids: Sequence[UUID]
    stream_of_meter: Ints
    refusals: Refusals
    rows_read: int
    source: str
    name: str
    convention: str
    content_sha256: str
    ambiguous: Ambiguous = Ambiguous.REJECT
    kept_from: datetime | None = None

    def expiring(self, outcome: Checked) -> int:
        """Good rows that the retention rules remove again."""
        if self.kept_from is None:
            return 0
        first = slot_of(self.kept_from)
        return sum(int((rows.slot < first).sum()) for rows in (outcome.readings, *outcome.coarse.values()))


def _store(offer: Offer, *, at: datetime, dry_run: bool = False) -> ImportReport:
    with transaction.atomic(), revising.turn_of([] if dry_run else offer.stream_ids):
        outcome = checked(
            offer.readings,
            meters=offer.meters,
            streams=offer.stream_ids,
            stream_of_meter=offer.stream_of_meter,
            permission=permits.permission(offer.stream_ids),
            at=at,
            ambiguous=offer.ambiguous,
            refusals=offer.refusals,
            coarser=_coarser(offer.stream_ids),
        )
        earlier = ImportRun.objects.filter(content_sha256=offer.content_sha256, source=offer.source)
        is_replay = earlier.exists()
        run = ImportRun(
            source=offer.source,
            name=offer.name[:NAME_CHARACTERS],
            convention=offer.convention,
            content_sha256=offer.content_sha256,
            imported_at=at,
            rows_read=offer.rows_read,
            rows_unchanged=len(outcome.readings) + sum(map(len, outcome.coarse.values())),
            rows_rejected=offer.refusals.rows,
            gap_half_hours=outcome.gap_half_hours,
        )
        if not dry_run:
            run.save()
        news = revising.revise(
            outcome.readings,
            offer.stream_ids,
            source_id=sources.source_id(offer.source),
            run_id=run.pk,
            at=at,
            is_replay=is_replay,
        )
        run.rows_landed, run.rows_corrected = news.landed, news.corrected
        if not dry_run:
            run.rows_summed = sum(
                totals.add(
                    some,
                    offer.stream_ids,
                    granularity=granularity,
                    source_id=sources.source_id(offer.source),
                    at=at,
                )
                for granularity, some in outcome.coarse.items()
            )
        run.rows_unchanged -= news.landed + run.rows_summed
        is_all = len(news.streams) == len(offer.stream_ids)
        changed = tuple(offer.stream_ids if is_all else (offer.stream_ids[each] for each in news.streams))
        if not dry_run:
            run.save()
            _keep(run, offer.refusals, outcome)
            if news.interval is not None:
                outbox.record(
                    STORED,
                    at=at,
                    run_id=run.pk,
                    source=offer.source,
                    streams=len(changed),
                    stream_ids=changed[:STREAMS_TOLD],
                    starts_at=news.interval.starts_at,
                    ends_at=news.interval.ends_at,
                )
    return ImportReport(
        run_id=run.pk,
        source=offer.source,
        name=offer.name,
        convention=offer.convention,
        rows_read=run.rows_read,
        rows_landed=run.rows_landed,
        rows_corrected=run.rows_corrected,
        rows_summed=run.rows_summed,
        rows_unchanged=run.rows_unchanged,
        rows_rejected=run.rows_rejected,
        gap_half_hours=run.gap_half_hours,
        rows_expiring=offer.expiring(outcome),
        kept_from=offer.kept_from,
        rejects=offer.refusals.in_order(),
        gaps=tuple(sorted(outcome.gaps, key=lambda gap: gap.line)),
        stream_ids=changed,
        interval=news.interval,
    )


def _coarser(streams: Sequence[UUID]) -> list[Coarser]:
    """Days and months, for households that consent to these and to nothing finer."""
    return [
        Coarser(
            granularity=granularity.value,
            bounds=partial(totals.bounds, granularity=granularity.value),
            # Asked only when something lies outside the consent to half-hours.
            permission=lambda *stretches, granularity=granularity: permits.permission(
                streams, granularity=granularity
            )(*stretches),
        )
        for granularity in (Granularity.DAILY, Granularity.MONTHLY)
    ]


def readings_in(contents: reading.Reading, refusals: Refusals) -> Readings:
    """All readings of the file, numbered by meter; rows that are none are noted."""
    blocks = []
    for block in contents.blocks():
        refusals.add(block.rejects)
        blocks.append(block)
    refusals.add(contents.rejects)
    names = ("line", "meter", "slot", "import_wh", "export_wh", "quality", "flags")
    empty = np.zeros(0, dtype=np.int64)
    return Readings(*(np.concatenate([empty, *(getattr(block, name) for block in blocks)]) for name in names))


def _streams_of(contents: reading.Reading, streams: Mapping[str, UUID] | None) -> tuple[list[UUID], Ints]:
    """Stream ids and the number of each meter's stream among them, or NO_STREAM."""
    is_single = Role.METER not in contents.layout.places and not contents.format.is_wide
    if streams is not None and len(streams) == 1 and is_single:
        streams = dict.fromkeys(contents.meters, *streams.values())
    stream_ids: dict[UUID, int] = {}
    numbers = []
    for meter in contents.meters:
        stream = uuid_or_none(meter) if streams is None else streams.get(meter)
        numbers.append(NO_STREAM if stream is None else stream_ids.setdefault(stream, len(stream_ids)))
    return list(stream_ids), np.array(numbers, dtype=np.int64)


def _whole_numbers(values: ArrayLike, name: str) -> tuple[Ints, Bools]:
    array: np.ma.MaskedArray[Any, np.dtype[Any]] = np.ma.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} must be whole Wh, not {array.dtype}")
    return array.filled(0).astype(np.int64), np.ma.getmaskarray(array)


def _qualities(quality: ArrayLike | Quality | None, shape: tuple[int, ...]) -> Ints:
    if quality is None or isinstance(quality, Quality):
        return np.full(shape, quality or Quality.MEASURED, dtype=np.int64)
    array = np.asarray(quality, dtype=np.int64)
    if array.shape != shape or not np.isin(array, Quality.values).all():
        raise ValueError("quality must be a Quality for each reading")
    return array


def _storable(readings: Readings, on_grid: Bools, refusals: Refusals) -> Readings:
    """Rows that a file's adapter would have passed."""
    readings = kept(readings, on_grid, refusals, "off_grid", "not on the hour or half-hour")
    least = np.minimum(readings.import_wh, readings.export_wh)
    reason = "negative: import and export are each zero or more"
    readings = kept(readings, least >= 0, refusals, "negative", reason)
    most = np.maximum(readings.import_wh, readings.export_wh)
    return kept(readings, most <= MOST_WH, refusals, "implausible", "more than any meter can record")


def _keep(run: ImportRun, refusals: Refusals, outcome: Checked) -> None:
    ImportReject.objects.bulk_create(
        [
            ImportReject(
                run=run,
                line=reject.line,
                field=reject.field[:40],
                value=_storable_text(reject.value)[:VALUE_CHARACTERS],
                code=reject.code,
                reason=_storable_text(reject.reason)[:REASON_CHARACTERS],
                rows=reject.rows,
            )
            for reject in refusals.in_order()
        ],
        batch_size=2_000,
    )
    ImportGap.objects.bulk_create(
        [
            ImportGap(
                run=run,
                line=gap.line,
                stream_id=gap.stream_id,
                starts_at=gap.starts_at,
                half_hours=gap.half_hours,
            )
            for gap in outcome.gaps
        ],
        batch_size=2_000,
    )


def _storable_text(text: str) -> str:
    """PostgreSQL keeps any character but NUL; of an MPAN the record of an import keeps its end."""
    return MPAN.sub(r"…\1", text.replace("\x00", "\ufffd"))


__all__ = ["ImportReport", "Reject", "import_file", "store_readings"]
