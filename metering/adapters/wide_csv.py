"""One column a meter and one row a half-hour, as trial data is often published (EDRP: `ts,X1,X2,...`).

Every column but the time is a meter, called by its heading. EDRP states neither zone nor stamp; each day has
48 rows from 00:00, the day the clocks go forward too, so a stamp is the START of its half-hour in GMT.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np

from metering.adapters.columns import Block
from metering.adapters.formats import CsvFormat, Layout, Reject, Role, Row, Stamp, Unit
from metering.adapters.rows import VALUE_CHARACTERS, find_layout, is_blank, read_wh
from metering.adapters.stamps import Refused, read_stamp
from metering.slots import Ints, start_of

FORMAT = CsvFormat(
    name="wide_csv",
    columns={Role.STAMP: ("ts", "tstp", "timestamp", "datetime", "date_time", "time", "stamp")},
    stamp=Stamp.START,
    tz="UTC",
    unit=Unit.KWH,
    basis="EDRP: 48 rows every day from 00:00, on clock-change days too",
    is_wide=True,
)
MOST_CACHED: Final = 200_000


def parse(lines: Iterable[str], **options: Any) -> Iterator[Row | Reject]:
    """Yield a row for each cell of the file; options override the conventions of FORMAT."""
    layout = None
    for number, line in enumerate(lines, start=1):
        if layout is None:
            layout = find_layout(FORMAT.with_options(**options), line.removeprefix("\ufeff"))
            if layout is None:
                yield Reject(number, "header", line[:VALUE_CHARACTERS], "header", "no header of wide_csv")
                return
            reader = WideReader(layout)
            continue
        block = reader.read(line.encode(), number)
        yield from block.rejects
        names = list(reader.meters)
        columns = (block.meter, block.slot, block.import_wh, block.flags)
        for meter, slot, import_wh, flags in zip(*(column.tolist() for column in columns), strict=True):
            yield Row(number, names[meter], start_of(slot), import_wh, flags=flags)


class WideReader:
    """Reads the blocks of one file in turn; every heading but the time's is a meter from the start."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.stamp_place = layout.places[Role.STAMP]
        self.places = [
            place for place, name in enumerate(layout.header) if place != self.stamp_place and name
        ]
        self.meters = {layout.header[place]: number for number, place in enumerate(self.places)}
        self._known: dict[str, tuple[int, int]] = {}

    def read(self, data: bytes, first_line: int) -> Block:
        """The readings in whole lines of text; `first_line` is the number of the first of them."""
        rejects: list[Reject] = []
        rows: list[Ints] = []
        for line, text in enumerate(_text(data).split("\n"), start=first_line):
            text = text.rstrip("\r")
            if not is_blank(text):
                rows += self._row(line, text, rejects)
        table = np.concatenate(rows, axis=1) if rows else np.zeros((5, 0), dtype=np.int64)
        line, meter, slot, import_wh, flags = table
        zeros = np.zeros(len(slot), dtype=np.int64)
        return Block(line, meter, slot, import_wh, zeros, zeros, flags, rejects)

    def _row(self, line: int, text: str, rejects: list[Reject]) -> list[Ints]:
        """The cells of one line as a table of (line, meter, slot, Wh, flags); its faults are noted."""
        format, header = self.layout.format, self.layout.header
        try:
            fields = next(
                csv.reader([text], delimiter=self.layout.delimiter, skipinitialspace=True, strict=True)
            )
        except csv.Error as error:
            rejects.append(Reject(line, "line", text[:VALUE_CHARACTERS], "not_a_row", f"not a row: {error}"))
            return []
        if len(fields) != len(header):
            code = "too_few_columns" if len(fields) < len(header) else "too_many_columns"
            reason = f"{len(fields)} columns where the header has {len(header)}"
            rejects.append(Reject(line, "line", text[:VALUE_CHARACTERS], code, reason))
            return []
        try:
            slot, flag = read_stamp(fields[self.stamp_place].strip(), stamp=format.stamp, tz=format.tz)
        except Refused as error:
            shown = fields[self.stamp_place][:VALUE_CHARACTERS]
            rejects.append(Reject(line, header[self.stamp_place], shown, error.code, error.reason))
            return []
        found: list[tuple[int, int, int]] = []
        for meter, place in enumerate(self.places):
            value = fields[place].strip()
            try:
                found.append((meter, *self._wh(value)))
            except Refused as error:
                name = header[place]
                shown = value[:VALUE_CHARACTERS]
                rejects.append(Reject(line, name, shown, error.code, error.reason, meter=name))
        table = np.zeros((5, len(found)), dtype=np.int64)
        if found:
            table[1], table[3], table[4] = np.array(found, dtype=np.int64).T
        table[0], table[2] = line, slot
        table[4] |= flag
        return [table]

    def _wh(self, text: str) -> tuple[int, int]:
        known = self._known.get(text)
        if known is None:
            known = read_wh(text, self.layout.format)
            if len(self._known) < MOST_CACHED:
                self._known[text] = known
        return known


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
