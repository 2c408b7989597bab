"""Cubes from files of half-hourly readings that are in no store, for placebo studies at the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from metering.adapters import rate_files
from metering.adapters.reading import open_reading
from metering.adapters.temperatures import TEMPERATURE
from metering.slots import civil_day_slots, start_of
from opendsr.kernel.errors import Invalid
from opendsr.kernel.periods import MAX_PERIODS, civil_date
from settlement.baselines import Given
from settlement.gathering import LoadedCube


class TemperaturesUnreadable(Invalid):
    """A line of the temperatures is not a time with its zone and a number."""

    line: int
    reason: str


def cube_of_file(path: Path, *, adapter: str | None = None) -> tuple[list[str], LoadedCube]:
    """The meters of a file and their net Wh by day; rows that are no reading are left out.

    Of two readings of one half-hour the later row counts. Raises what `metering.adapters` raises.
    """
    with path.open("rb") as file:
        contents = open_reading(file, name=path.name, adapter=adapter)
        blocks = list(contents.blocks())
        meters = contents.meters
    meter, slot, net_wh = (
        np.concatenate([np.zeros(0, np.int64), *parts])
        for parts in zip(
            *((block.meter, block.slot, block.import_wh - block.export_wh) for block in blocks), strict=True
        )
    )
    days = _days(civil_date(start_of(int(slot.min()))), civil_date(start_of(int(slot.max()))))
    first, _ = civil_day_slots(days)
    day = np.searchsorted(first, slot, side="right") - 1
    shape = (len(meters), len(days), MAX_PERIODS)
    wh, present = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    wh[meter, day, slot - first[day]] = net_wh
    present[meter, day, slot - first[day]] = True
    return meters, LoadedCube(days=days, net_wh=wh, present=present)


def temperatures_of_file(path: Path, days: Sequence[date]) -> Given:
    """Outdoor temperatures of the days from a file that `manage.py import_rates` reads as such.

    Raises TemperaturesUnreadable naming the line, and what opening it raises.
    """
    table = rate_files.open_table(path, name=path.name)
    found, refused = rate_files.read(table)
    if refused:
        raise TemperaturesUnreadable(line=refused[0].line, reason=f"{refused[0].value}: {refused[0].reason}")
    told = {rate.slot: round(rate.value * 10) for rate in found if rate.kind == TEMPERATURE}
    first, count = civil_day_slots(days)
    tenths = np.zeros((len(days), MAX_PERIODS), np.int64)
    has = np.zeros(tenths.shape, np.bool_)
    for place in range(len(days)):
        for period in range(int(count[place])):
            known = told.get(int(first[place]) + period)
            if known is not None:
                tenths[place, period], has[place, period] = known, True
    return Given(temperature_tenths_c=tenths, has_temperature=has)


def _days(earliest: date, latest: date) -> list[date]:
    return [earliest + timedelta(days=n) for n in range((latest - earliest).days + 1)]
