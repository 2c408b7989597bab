"""Cubes of readings and how they are looked into: net Wh by stream, civil day and slot, with a mask.

A missing reading is never a zero: what the mask hides is never read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from settlement.baselines.clock import LocalHalfHour, local_half_hour, slot_of
from settlement.baselines.errors import DayNotLoaded

Wh = NDArray[np.int64]
Mask = NDArray[np.bool_]
Streams = slice | NDArray[np.intp]


class Cube(Protocol):
    """Net Wh (import less export) [stream, day, 50] by civil day and slot (settlement period less one).

    `present` is False where there is no reading, and past the last slot of a day.
    """

    @property
    def days(self) -> Sequence[date]: ...
    @property
    def net_wh(self) -> Wh: ...
    @property
    def present(self) -> Mask: ...


@dataclass(frozen=True, slots=True)
class Given:
    """What some rules need besides readings; all [stream, event half-hour] unless said otherwise.

    `nominated_wh` is masked by `has_nominated`; `units` [stream] are assets behind a fixed profile (1 when
    None); temperatures in tenths of a degree are [day of the cube, 50], the same for all streams, masked by
    `has_temperature`.
    """

    nominated_wh: Wh | None = None
    has_nominated: Mask | None = None
    units: Wh | None = None
    temperature_tenths_c: Wh | None = None
    has_temperature: Mask | None = None


NOTHING_GIVEN = Given()


@dataclass(frozen=True, slots=True)
class EventDays:
    """On which civil days each stream took part in any event: `took_part` is [stream, day]."""

    days: tuple[date, ...]
    took_part: Mask

    @classmethod
    def of(cls, event_days: Sequence[Collection[date]] | EventDays) -> EventDays:
        """From one collection of days a stream; streams that share a collection are looked at once."""
        if isinstance(event_days, EventDays):
            return event_days
        rows_of: dict[int, list[int]] = {}
        for row, own in enumerate(event_days):
            rows_of.setdefault(id(own), []).append(row)
        different = [(event_days[rows[0]], rows) for rows in rows_of.values()]
        days = tuple(sorted(set().union(*(own for own, _ in different))))
        column = {day: number for number, day in enumerate(days)}
        took_part = np.zeros((len(event_days), len(days)), np.bool_)
        for own, rows in different:
            if own:
                mask = np.zeros(len(days), np.bool_)
                mask[[column[day] for day in own]] = True
                took_part[rows] = mask
        return cls(days, took_part)

    def of_stream(self, row: int) -> frozenset[date]:
        """The days on which one stream took part."""
        return frozenset(self.days[column] for column in np.flatnonzero(self.took_part[row]).tolist())

    def on(self, pool: Sequence[date]) -> Mask:
        """[pool day, stream]."""
        row_of = {day: number for number, day in enumerate(self.days)}
        mask = np.zeros((len(pool), len(self.took_part)), np.bool_)
        for place, day in enumerate(pool):
            if day in row_of:
                mask[place] = self.took_part[:, row_of[day]]
        return mask


def readings_at(cube: Cube, starts: Sequence[datetime]) -> tuple[Wh, Mask]:
    """Net Wh and mask [stream, half-hour] at these UTC half-hours; a masked value reads 0."""
    streams = len(cube.net_wh)
    wh, present = np.empty((streams, len(starts)), np.int64), np.zeros((streams, len(starts)), np.bool_)
    located = [local_half_hour(at) for at in starts]
    for day in dict.fromkeys(day for day, _ in located):
        columns = [column for column, (own, _) in enumerate(located) if own == day]
        (row,) = day_rows(cube, [day])
        for first, past, slot in _runs([slot_of(located[column][1], day) for column in columns]):
            where = slice(columns[first], columns[first] + past - first)
            wh[:, where] = cube.net_wh[:, row, slot : slot + past - first]
            present[:, where] = cube.present[:, row, slot : slot + past - first]
    wh[~present] = 0
    return wh, present


def day_rows(cube: Cube, days: Iterable[date]) -> list[int]:
    """Rows of the days in the cube; raises DayNotLoaded."""
    row_of = {day: row for row, day in enumerate(cube.days)}
    found = []
    for day in days:
        if day not in row_of:
            raise DayNotLoaded(day=day)
        found.append(row_of[day])
    return found


@dataclass(frozen=True, slots=True)
class Places:
    """Where half-hours of like days lie in the cube, as runs that can be copied at once."""

    rows: tuple[int, ...]
    half_hours: int
    runs: tuple[tuple[tuple[int, int, int], ...], ...]

    @classmethod
    def of(cls, cube: Cube, pool: Sequence[date], half_hours: Sequence[LocalHalfHour]) -> Places:
        """For each day of the pool the half-hours that it has: (first, past, slot of the first)."""
        runs = [_runs([slot_of(half_hour, day) for half_hour in half_hours]) for day in pool]
        return cls(tuple(day_rows(cube, pool)), len(half_hours), tuple(runs))

    def read(self, cube: Cube, streams: Streams, days: int) -> tuple[Wh, Mask]:
        """Wh (0 where there is no reading) and mask [day, half-hour, stream] of the first `days` days."""
        net_wh, present = cube.net_wh, cube.present
        count = len(net_wh[streams]) if isinstance(streams, slice) else len(streams)
        wh = np.empty((days, self.half_hours, count), np.int64)
        has = np.zeros((days, self.half_hours, count), np.bool_)
        for place in range(days):
            row = self.rows[place]
            for first, past, slot in self.runs[place]:
                wh[place, first:past] = net_wh[streams, row, slot : slot + past - first].T
                has[place, first:past] = present[streams, row, slot : slot + past - first].T
        if not has.all():
            wh[~has] = 0
        return wh, has

    def read_by_stream(
        self, cube: Cube, streams: Streams, days: int, *, only: Sequence[int] | None = None
    ) -> tuple[Wh, Mask]:
        """The same as [stream, day, half-hour]; of `only` some of the days, the others left empty."""
        count = len(cube.net_wh[streams]) if isinstance(streams, slice) else len(streams)
        wh = np.zeros((count, days, self.half_hours), np.int64)
        has = np.zeros(wh.shape, np.bool_)
        for place in range(days) if only is None else only:
            row = self.rows[place]
            for first, past, slot in self.runs[place]:
                wh[:, place, first:past] = cube.net_wh[streams, row, slot : slot + past - first]
                has[:, place, first:past] = cube.present[streams, row, slot : slot + past - first]
        if not has.all():
            wh[~has] = 0
        return wh, has


def _runs(slots: Sequence[int | None]) -> tuple[tuple[int, int, int], ...]:
    """Stretches of consecutive slots as (first, past, slot of the first)."""
    found: list[tuple[int, int, int]] = []
    for place, slot in enumerate(slots):
        if slot is None:
            continue
        if found and found[-1][1] == place and found[-1][2] + place - found[-1][0] == slot:
            found[-1] = (found[-1][0], place + 1, found[-1][2])
        else:
            found.append((place, place + 1, slot))
    return tuple(found)
