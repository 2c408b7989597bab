"""The refused rows of a file as a file again: each as it came, with line, field, value, reason and the fix.

The added columns stand behind the file's own, whose names the adapter knows, so that a corrected copy imports
like the first file. A wide file's cells come out one a row, for `generic_csv`.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, Final

from metering.adapters import reading
from metering.adapters.formats import Reject, Role
from opendsr.kernel.spreadsheets import inert

ADDED: Final = ("reject_line", "reject_field", "reject_value", "reject_reason", "reject_fix")
LONG_HEADER: Final = ("meter", "stamp", "import")
FIXES: Final = {
    "ambiguous_time": "Write the offset behind the time (+01:00 before the clocks go back, +00:00 after), or "
    "import the file in order of time with ambiguous=in_order.",
    "conflict": "Keep the row that is right and remove the others of this half-hour.",
    "damaged_file": "Get the file again and import it whole; what is stored already stays as it is.",
    "duplicate": "Nothing to do: the first row of this half-hour counts.",
    "future": "Wait until the half-hour is over, or correct the date or the zone.",
    "implausible": "Check the unit of the column (kWh or Wh), or raise the limit for a large site.",
    "negative": "Put export into a column of its own; import and export are each zero or more.",
    "no_consent": "Nothing to correct in the file: the household has to consent before this may be stored.",
    "no_such_time": "The clocks went forward: write the time with its offset, or name the zone of the file.",
    "not_a_number": "Write the value as a plain number, such as 0.25.",
    "not_a_quality": "Write measured, estimated or substituted, or leave it empty.",
    "not_a_row": "Write the reading with a time and a value, as the other rows have them.",
    "not_a_time": "Write date and time as 2026-01-31 17:30, with the offset when you know it.",
    "null": "Fill in the value, or leave the row out: a missing reading stays missing.",
    "off_grid": "Write the time of the whole half-hour the value is for; nothing in between can be stored.",
    "too_few_columns": "Fill in the missing columns; an empty one still needs its delimiter.",
    "too_many_columns": "Remove the extra columns, or put values with a delimiter in quotes.",
    "unit": "Convert the value, or import rows of this unit apart with that unit named.",
    "unit_in_doubt": "Import again with the right unit named.",
    "unknown_meter": "Say which home's stream this meter fills, and import the file again.",
}
OTHERWISE: Final = "Correct the row, or leave it out."


def fix_for(code: str) -> str:
    """What to do about a refusal of this code."""
    return FIXES.get(code, OTHERWISE)


def reject_file(
    file: str | os.PathLike[str] | IO[Any],
    rejects: Iterable[Reject],
    *,
    name: str,
    adapter: str | None = None,
    **options: Any,
) -> Iterator[str]:
    """Yield the lines of the reject file, header first; `file` and options are those of the import.

    Raises FileUnusable when the file cannot be read any more.
    """
    by_line: dict[int, list[Reject]] = {}
    for reject in rejects:
        by_line.setdefault(reject.line, []).append(reject)
    contents = reading.open_reading(file, name=name, adapter=adapter, **options)
    layout = contents.layout
    is_wide = layout.format.is_wide
    write = _Writer(layout.delimiter)
    yield write.line([*(LONG_HEADER if is_wide else layout.header), *ADDED])
    if not by_line:
        return
    seen = set()
    for line, text in contents.lines():
        if line not in by_line:
            continue
        seen.add(line)
        fields = _fields(text, layout.delimiter)
        for reject in by_line[line]:
            if is_wide:
                place = layout.places[Role.STAMP]
                stamp = fields[place] if place < len(fields) else ""
                own: Sequence[str] = (reject.meter, stamp, reject.value if reject.meter else "")
            else:
                own = _fitted(fields, len(layout.header))
            yield write.line([*own, *_told(reject)])
    for line in sorted(set(by_line) - seen):
        blank = [""] * len(LONG_HEADER if is_wide else layout.header)
        for reject in by_line[line]:
            yield write.line([*blank, *_told(reject)])


def told_rows(
    header: Sequence[str], rows: Iterable[tuple[Sequence[str], Reject]], *, delimiter: str = ","
) -> Iterator[str]:
    """The header and the rows, behind each what was refused of it."""
    write = _Writer(delimiter)
    yield write.line([*header, *ADDED])
    for fields, reject in rows:
        yield write.line([*_fitted(fields, len(header)), *_told(reject)])


def _told(reject: Reject) -> list[str]:
    return [str(reject.line), inert(reject.field), inert(reject.value), reject.reason, fix_for(reject.code)]


def _fields(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return [text]


def _fitted(fields: Sequence[str], width: int) -> list[str]:
    """So many fields; what does not fit stays together in the last one, to be looked at."""
    if len(fields) <= width:
        return [*fields, *[""] * (width - len(fields))]
    return [*fields[: width - 1], " ".join(fields[width - 1 :])]


class _Writer:
    """Fields to one line of text."""

    def __init__(self, delimiter: str) -> None:
        self.buffer = io.StringIO()
        self.writer = csv.writer(self.buffer, delimiter=delimiter, lineterminator="\n")

    def line(self, fields: Sequence[str]) -> str:
        self.buffer.seek(0)
        self.buffer.truncate()
        self.writer.writerow([field.replace("\x00", "\ufffd").replace("\r", " ") for field in fields])
        return self.buffer.getvalue()
