"""Cubes for the tests of calculations: the shape `metering.store` gives, from readings by UTC instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from opendsr.kernel.periods import period_of


@dataclass(frozen=True)
class Cube:
    days: tuple[date, ...]
    net_wh: NDArray[np.int64]
    present: NDArray[np.bool_]


def cube_of(streams: Sequence[Mapping[datetime, int]], days: Sequence[date]) -> Cube:
    """Readings on the days, masked elsewhere; masked slots hold rubbish that nothing may look at."""
    row_of = {day: row for row, day in enumerate(days)}
    net_wh = np.full((len(streams), len(days), 50), -987_654_321, np.int64)
    present = np.zeros(net_wh.shape, np.bool_)
    for stream, readings in enumerate(streams):
        for at, wh in readings.items():
            day, period = period_of(at)
            if day in row_of:
                net_wh[stream, row_of[day], period - 1] = wh
                present[stream, row_of[day], period - 1] = True
    return Cube(tuple(days), net_wh, present)


def days_between(earliest: date, latest: date) -> list[date]:
    """All civil days of the closed span."""
    return [earliest + timedelta(days=n) for n in range((latest - earliest).days + 1)]


def half_hours(starts_at: datetime, count: int) -> list[datetime]:
    return [starts_at + timedelta(minutes=30) * n for n in range(count)]
