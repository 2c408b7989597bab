"""Power samples as a file: a time and the watts at it, every few seconds or whenever they change.

They become half-hours of energy (`halfhours.from_power`), estimated where part was not seen, gaps where most
was not. A sample holds until the next: for a minute or two steps of a regular log, for ten minutes of one
that is written on change. An empty value is a row without a sample. The samples themselves are not kept:
files are older than live power is.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import numpy as np

from metering.adapters.columns import Block
from metering.adapters.formats import CsvFormat, Layout, Reject, Role, Row, Stamp, Unit
from metering.adapters.rows import VALUE_CHARACTERS, find_layout, is_blank
from metering.adapters.stamps import FIRST_YEAR, LAST_YEAR, local_slots
from metering.halfhours import HOLD_SECONDS, LEAST_PCT, MEASURED_PCT, MOST_W, SECOND, from_power
from metering.models import Quality
from metering.slots import Ints, start_of
from opendsr.kernel.interval import EPOCH

FORMAT = CsvFormat(
    name="power_csv",
    columns={Role.STAMP: ("time_utc", "t"), Role.IMPORT: ("power_w", "w")},
    stamp=Stamp.START,
    tz="UTC",
    unit=Unit.WH,
    basis="a sample is an instant; columns time_utc,power_w or t,w",
    is_power=True,
)
ON_CHANGE_SECONDS: Final = 600
NAIVE_EPOCH: Final = datetime(1970, 1, 1)


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield a row for each half-hour of the file; options override the conventions of FORMAT."""
    reader = None
    for number, line in enumerate(lines, start=1):
        if reader is None:
            layout = find_layout(FORMAT.with_options(**options), line.removeprefix("\ufeff"))
            if layout is None:
                yield Reject(number, "header", line[:VALUE_CHARACTERS], "header", "no header of power_csv")
                return
            reader = PowerReader(layout)
            continue
        yield from reader.read(line.encode(), number).rejects
    if reader is not None:
        for block in reader.finish():
            columns = (block.line, block.slot, block.import_wh, block.export_wh, block.quality)
            for line_number, slot, import_wh, export_wh, quality in zip(
                *(column.tolist() for column in columns), strict=True
            ):
                yield Row(line_number, FORMAT.meter, start_of(slot), import_wh, export_wh, quality)


def hold_seconds(at: Ints) -> int:
    """How long a sample stands for the time after it, from the steps of the log. Pure."""
    steps = np.diff(np.unique(at))
    if not len(steps):
        return HOLD_SECONDS
    usual = int(np.median(steps))
    if np.count_nonzero(steps == usual) * 10 < len(steps) * 9:
        return ON_CHANGE_SECONDS
    return min(max(HOLD_SECONDS, 2 * usual // SECOND), ON_CHANGE_SECONDS)


class PowerReader:
    """Gathers a file's samples; its half-hours come at the end, each at the line of its first sample."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.meters = {layout.format.meter: 0}
        self.samples: list[tuple[int, int, int, bool]] = []

    def read(self, data: bytes, first_line: int) -> Block:
        """Note the samples in whole lines of text; the block holds what is none, and no reading yet."""
        rejects: list[Reject] = []
        stamp, watts = self.layout.places[Role.STAMP], self.layout.places[Role.IMPORT]
        lines = data.decode("utf-8", errors="replace").removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=first_line):
            if is_blank(line):
                continue
            fields = line.strip().split(self.layout.delimiter)
            if '"' in line:
                try:
                    fields = next(csv.reader([line.strip()], delimiter=self.layout.delimiter), [])
                except csv.Error as error:
                    shown = line[:VALUE_CHARACTERS]
                    rejects.append(Reject(number, "row", shown, "not_a_row", f"not a row: {error}"))
                    continue
            if len(fields) != len(self.layout.header):
                code = "too_few_columns" if len(fields) < len(self.layout.header) else "too_many_columns"
                reason = f"{len(fields)} columns where the header has {len(self.layout.header)}"
                rejects.append(Reject(number, "row", line[:VALUE_CHARACTERS], code, reason))
                continue
            taken = self._sample(number, fields[stamp].strip(), fields[watts].strip())
            if isinstance(taken, Reject):
                rejects.append(taken)
            else:
                self.samples.append(taken)
        return _block(np.zeros((0, 5), dtype=np.int64), rejects)

    def finish(self) -> Iterator[Block]:
        """The half-hours of everything read."""
        line, local, power_w, has_offset = np.array(self.samples, dtype=np.int64).reshape(-1, 4).T
        if not len(line):
            return
        is_sure = has_offset.astype(bool)
        minutes, twice, happens = local_slots(local // 60, self.layout.format.tz)
        minutes = np.where(is_sure, local // 60, minutes)
        twice, happens = twice & ~is_sure, happens | is_sure
        name = self.layout.field_name(Role.STAMP)
        rejects = [
            Reject(int(line[row]), name, _written(int(local[row])), code, reason)
            for is_wrong, code, reason in (
                (~happens, "no_such_time", "no such time: the clocks went forward"),
                (twice, "ambiguous_time", "this local time happened twice and the stamp has no offset"),
            )
            for row in np.flatnonzero(is_wrong).tolist()
        ]
        sure = happens & ~twice
        line, at, power_w = line[sure], (minutes[sure] * 60 + local[sure] % 60) * SECOND, power_w[sure]
        built = from_power(np.zeros_like(at), at, power_w, hold_seconds=hold_seconds(at))
        built = built.where(built.covered_pct >= LEAST_PCT)
        order = np.argsort(at, kind="stable")
        first = np.searchsorted(at[order], built.slot * 1800 * SECOND)
        is_whole = built.covered_pct >= MEASURED_PCT
        quality = np.where(is_whole, Quality.MEASURED.value, Quality.ESTIMATED.value)
        heads = line[order][np.minimum(first, len(line) - 1)]
        yield _block(
            np.stack([heads, built.slot, built.import_wh, built.export_wh, quality], axis=1), rejects
        )

    def _sample(self, number: int, stamp: str, watts: str) -> tuple[int, int, int, bool] | Reject:
        """Line, seconds since 1970 and W, or why it is none; seconds are UTC's with an offset, which is told.

        Without one they are of the file's own clock.
        """
        name = self.layout.field_name(Role.STAMP)
        try:
            at = datetime.fromisoformat(stamp)
        except ValueError:
            return Reject(number, name, stamp, "not_a_time", "not a time such as 2026-01-31 17:30:05")
        has_offset = at.tzinfo is not None
        if not FIRST_YEAR <= at.year < LAST_YEAR:
            reason = f"a year outside {FIRST_YEAR} to {LAST_YEAR - 1}"
            return Reject(number, name, stamp, "not_a_time", reason)
        name = self.layout.field_name(Role.IMPORT)
        if not watts:
            return Reject(number, name, watts, "null", "no value")
        try:
            power_w = float(watts)
        except ValueError:
            return Reject(number, name, watts, "not_a_number", "not a number")
        if not abs(power_w) <= MOST_W:
            return Reject(number, name, watts, "implausible", f"outside ±{MOST_W:,} W: is it in W?")
        since = at - EPOCH if has_offset else at - NAIVE_EPOCH
        return number, since.days * 86_400 + since.seconds, round(power_w), has_offset


def _written(seconds: int) -> str:
    return str(np.datetime64(seconds, "s")).replace("T", " ")


def _block(rows: Ints, rejects: list[Reject]) -> Block:
    line, slot, import_wh, export_wh, quality = rows.T
    nought = np.zeros(len(rows), dtype=np.int64)
    return Block(line, nought, slot, import_wh, export_wh, quality, nought, rejects)
