"""Whole-import checks on columns of readings: what one row alone cannot tell.

Pure: arrays in, arrays out, each refusal noted in a `Refusals`. The order is that of `checked`: unknown
meters, the unit in doubt, the future, times that happen twice, gaps, duplicates, consent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import numpy as np

from metering.adapters.formats import Ambiguous, Flag, Reject
from metering.report import Gap
from metering.slots import MICROSECONDS, Bools, Ints, slot_of, start_of

Permission = Callable[[Ints, Ints, Ints], Bools]
"""Which stretches [starts, ends), in microseconds since 1970, of numbered streams may be kept."""
Bounds = Callable[[Ints], tuple[Ints, Ints]]
"""Start and end of the longer period each half-hour is in."""


@dataclass(frozen=True, slots=True)
class Coarser:
    """A longer period into which half-hours that may not be kept are summed, where that is consented."""

    granularity: str
    bounds: Bounds
    permission: Permission


MOST_KEPT: Final = 10_000
DOUBTFUL_ROWS: Final = 12
NO_STREAM: Final = -1


@dataclass(frozen=True, slots=True)
class Readings:
    """Columns of equal length; `stream` numbers a list of stream ids, `slot` half-hours since 1970 UTC."""

    line: Ints
    stream: Ints
    slot: Ints
    import_wh: Ints
    export_wh: Ints
    quality: Ints
    flags: Ints

    def __len__(self) -> int:
        return len(self.slot)

    def where(self, rows: Bools | Ints | slice) -> Readings:
        """The chosen rows, in the order given."""
        return Readings(*(getattr(self, column.name)[rows] for column in fields(self)))

    def same_values(self, rows: Ints, others: Ints) -> Bools:
        """Whether two choices of rows hold the same values."""
        same: Bools = self.import_wh[rows] == self.import_wh[others]
        same &= self.export_wh[rows] == self.export_wh[others]
        same &= self.quality[rows] == self.quality[others]
        return same


@dataclass(slots=True)
class Refusals:
    """Rows refused: all are counted, the first MOST_KEPT are kept with their reasons."""

    rows: int = 0
    kept: list[Reject] = field(default_factory=list)
    implausible: Counter[str] = field(default_factory=Counter)

    def add(self, rejects: Iterable[Reject]) -> None:
        """Note each refusal."""
        for reject in rejects:
            self.rows += reject.rows
            if reject.code == "implausible":
                self.implausible[reject.meter] += 1
            if len(self.kept) < MOST_KEPT:
                self.kept.append(reject)

    def add_rows(self, refused: Readings, code: str, reason: Callable[[int], str]) -> None:
        """Note refused rows; `reason` is asked with a row's place in `refused`."""
        room = MOST_KEPT - len(self.kept)
        self.rows += len(refused)
        for row in range(min(room, len(refused))):
            value = f"{start_of(refused.slot[row]):%Y-%m-%d %H:%M}Z {refused.import_wh[row]} Wh" + (
                f" export {refused.export_wh[row]} Wh" if refused.export_wh[row] else ""
            )
            self.kept.append(Reject(int(refused.line[row]), "half-hour", value, code, reason(row)))

    def in_order(self) -> tuple[Reject, ...]:
        """What was kept, by line."""
        return tuple(sorted(self.kept, key=lambda reject: reject.line))


@dataclass(frozen=True, slots=True)
class Checked:
    """Readings in order of (stream, slot), each pair once, all allowed to be stored.

    Those of `coarse` may be stored only as parts of a total of that granularity.
    """

    readings: Readings
    coarse: Mapping[str, Readings]
    gaps: tuple[Gap, ...]
    gap_half_hours: int


def checked(
    readings: Readings,
    *,
    meters: Sequence[str],
    streams: Sequence[UUID],
    stream_of_meter: Ints,
    permission: Permission,
    at: datetime,
    ambiguous: Ambiguous,
    refusals: Refusals,
    coarser: Sequence[Coarser] = (),
) -> Checked:
    """Everything that may be stored of the rows read; `readings.stream` comes in as a meter's number."""
    readings = _of_known_meters(readings, meters, stream_of_meter, refusals)
    readings = _without_doubtful_units(readings, meters, refusals)
    names = _meter_of_stream(meters, stream_of_meter, len(streams))
    readings = replace(readings, stream=stream_of_meter[readings.stream])
    readings = _finished(readings, at, refusals)
    readings = _resolved(readings, ambiguous, refusals)
    readings = _in_order(readings)
    gaps, gap_half_hours = _gaps(readings, names, streams)
    readings = _once_each(readings, refusals)
    readings, coarse = _consented(readings, names, permission, coarser, refusals)
    return Checked(readings, coarse, gaps, gap_half_hours)


def kept(readings: Readings, is_right: Bools, refusals: Refusals, code: str, reason: str) -> Readings:
    """The rows that are right; the others are noted."""
    if is_right.all():
        return readings
    refusals.add_rows(readings.where(~is_right), code, lambda row: reason)
    return readings.where(is_right)


def _of_known_meters(
    readings: Readings, meters: Sequence[str], stream_of_meter: Ints, refusals: Refusals
) -> Readings:
    known = stream_of_meter[readings.stream] != NO_STREAM
    if known.all():
        return readings
    refusals.add(
        _one_a_meter(
            readings.where(~known),
            meters,
            "unknown_meter",
            partial(_not_stored, "meter not known:"),
        )
    )
    return readings.where(known)


def _without_doubtful_units(readings: Readings, meters: Sequence[str], refusals: Refusals) -> Readings:
    """Leave out meters whose other rows show that the unit is not what the import was told.

    Wh read as kWh are mostly beyond what a home can use, kWh read as Wh mostly small fractions.
    """
    count = np.bincount(readings.stream, minlength=len(meters))
    fractions = np.bincount(readings.stream[readings.flags & Flag.FRACTION > 0], minlength=len(meters))
    beyond = np.zeros(len(meters), dtype=np.int64)
    if refusals.implausible:
        beyond[:] = [refusals.implausible[name] for name in meters]
    too_large = (beyond >= DOUBTFUL_ROWS) & (beyond > count)
    too_small = (fractions >= DOUBTFUL_ROWS) & (2 * fractions > count)
    if not (too_large | too_small).any():
        return readings
    for doubtful, reason in (
        (too_large, "most values of this meter are more than a home can use: is the unit Wh, not kWh?"),
        (too_small, "most values of this meter are fractions of a Wh: is the unit kWh, not Wh?"),
    ):
        refused = readings.where(doubtful[readings.stream])
        refusals.add(_one_a_meter(refused, meters, "unit_in_doubt", partial(_not_stored, reason)))
    return readings.where(~(too_large | too_small)[readings.stream])


def _finished(readings: Readings, at: datetime, refusals: Refusals) -> Readings:
    """Only half-hours that had ended at `at`."""
    reason = f"in the future: the half-hour had not ended at {at:%Y-%m-%d %H:%M}Z"
    return kept(readings, readings.slot < slot_of(at), refusals, "future", reason)


def _resolved(readings: Readings, ambiguous: Ambiguous, refusals: Refusals) -> Readings:
    """Local times that happened twice: refused, or told apart by the order of a file in order of time."""
    twice = readings.flags & Flag.AMBIGUOUS > 0
    if not twice.any():
        return readings
    slot = readings.slot.copy()
    open_question = twice.copy()
    if ambiguous is Ambiguous.IN_ORDER:
        for stream in np.unique(readings.stream[twice]):
            rows = np.flatnonzero(readings.stream == stream)
            rows = rows[np.argsort(readings.line[rows], kind="stable")]
            steps = np.diff(readings.slot[rows[~twice[rows]]])
            if not ((steps > 0).all() or (steps < 0).all()):
                continue
            doubled = rows[twice[rows]]
            for moment in np.unique(readings.slot[doubled]):
                pair = doubled[readings.slot[doubled] == moment]
                if len(pair) == 2:
                    slot[pair[0 if (steps < 0).any() else 1]] += 2
                    open_question[pair] = False
    reason = "this local time happened twice (the clocks went back) and the stamp has no offset"
    return kept(replace(readings, slot=slot), ~open_question, refusals, "ambiguous_time", reason)


def _in_order(readings: Readings) -> Readings:
    """By stream, half-hour, then line."""
    same_stream = readings.stream[1:] == readings.stream[:-1]
    forward = np.where(
        same_stream, readings.slot[1:] > readings.slot[:-1], readings.stream[1:] > readings.stream[:-1]
    )
    if forward.all():
        return readings
    return readings.where(np.lexsort((readings.line, readings.slot, readings.stream)))


def _gaps(readings: Readings, names: Sequence[str], streams: Sequence[UUID]) -> tuple[tuple[Gap, ...], int]:
    """Half-hours that nothing offered fills, between a stream's earliest and latest."""
    steps = np.diff(readings.slot)
    before = np.flatnonzero((readings.stream[1:] == readings.stream[:-1]) & (steps > 1))
    gaps = tuple(
        Gap(
            line=int(readings.line[row]),
            meter=names[readings.stream[row]],
            stream_id=streams[readings.stream[row]],
            starts_at=start_of(readings.slot[row] + 1),
            half_hours=int(steps[row]) - 1,
        )
        for row in before[:MOST_KEPT].tolist()
    )
    return gaps, int((steps[before] - 1).sum())


def _once_each(readings: Readings, refusals: Refusals) -> Readings:
    """Each half-hour once: of equal rows the earliest line stays, of rows that differ none does.

    So the outcome does not depend on the order of the rows.
    """
    repeats = (
        np.concatenate(
            (
                [False],
                (readings.stream[1:] == readings.stream[:-1]) & (readings.slot[1:] == readings.slot[:-1]),
            )
        )
        if len(readings)
        else np.zeros(0, dtype=bool)
    )
    if not repeats.any():
        return readings
    heads = np.flatnonzero(~repeats)
    group = np.cumsum(~repeats) - 1
    head = heads[group]
    differs = ~readings.same_values(np.arange(len(readings)), head)
    in_conflict = np.bincount(group, weights=differs, minlength=len(heads))[group] > 0
    spare = repeats & ~in_conflict
    head_line = readings.line[head]
    spare_lines = head_line[spare]
    refusals.add_rows(
        readings.where(spare), "duplicate", lambda row: f"the same half-hour as line {spare_lines[row]}"
    )
    other_line = np.where(repeats, head_line, readings.line[np.minimum(head + 1, len(readings) - 1)])[
        in_conflict
    ]
    refusals.add_rows(
        readings.where(in_conflict),
        "conflict",
        lambda row: f"another value for this half-hour is in line {other_line[row]}: neither is stored",
    )
    return readings.where(~spare & ~in_conflict)


def _consented(
    readings: Readings,
    names: Sequence[str],
    permission: Permission,
    coarser: Sequence[Coarser],
    refusals: Refusals,
) -> tuple[Readings, dict[str, Readings]]:
    """Half-hours that lie wholly within the household's consent, and those of periods that do."""
    starts = readings.slot * MICROSECONDS
    allowed = permission(readings.stream, starts, starts + MICROSECONDS)
    if allowed.all():
        return readings, {}
    coarse: dict[str, Readings] = {}
    rest = readings.where(~allowed)
    for kind in coarser:
        summed = kind.permission(rest.stream, *kind.bounds(rest.slot))
        if summed.any():
            coarse[kind.granularity] = rest.where(summed)
            rest = rest.where(~summed)
    if len(rest):
        refusals.add(_one_a_meter(rest, names, "no_consent", _no_consent))
    return readings.where(allowed), coarse


def _no_consent(count: int, rows: Readings) -> str:
    earliest, latest = start_of(rows.slot.min()), start_of(rows.slot.max())
    return (
        f"no consent: {_rows(count)} from {earliest:%Y-%m-%d %H:%M}Z to {latest:%Y-%m-%d %H:%M}Z lie outside "
        "the household's consent to half-hourly readings"
    )


def _one_a_meter(
    refused: Readings, names: Sequence[str], code: str, reason: Callable[[int, Readings], str]
) -> Iterable[Reject]:
    """One refusal for each meter (or stream) of the rows, at its earliest line."""
    order = np.lexsort((refused.line, refused.stream))
    numbers, starts, counts = np.unique(refused.stream[order], return_index=True, return_counts=True)
    for number, start, count in zip(numbers.tolist(), starts.tolist(), counts.tolist(), strict=True):
        rows = refused.where(order[start : start + count])
        yield Reject(
            int(rows.line[0]), "meter", names[number], code, reason(count, rows), count, names[number]
        )


def _meter_of_stream(meters: Sequence[str], stream_of_meter: Ints, streams: int) -> Sequence[str]:
    if len(meters) == streams and np.array_equal(stream_of_meter, np.arange(streams)):
        return meters
    names = [""] * streams
    for meter, stream in enumerate(stream_of_meter.tolist()):
        if stream != NO_STREAM:
            names[stream] = names[stream] or meters[meter]
    return names


def _not_stored(why: str, count: int, rows: Readings) -> str:
    return f"{why} {_rows(count)} not stored"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
