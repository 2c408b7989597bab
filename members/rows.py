"""Rows that people send as CSV: read whatever the spreadsheet made of them, and given back refused ones.

A row is taken or refused for itself. Refused rows go back as a file with reason and fix behind each, without
anything that a spreadsheet would take for a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from opendsr.kernel.errors import Invalid
from opendsr.kernel.spreadsheets import inert

DELIMITERS: Final = ",;\t"
ADDED: Final = ("reject_line", "reject_field", "reject_value", "reject_fix")


class RowsUnusable(Invalid):
    """Nothing of the text can be read as rows: what was found and what is expected."""

    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken: its line, the field and value at fault, why, what to do, and the row."""

    line: int
    field: str
    value: str
    code: str
    fix: str
    row: tuple[str, ...]


def read_rows(
    text: str, *, required: Sequence[str], optional: Sequence[str], most_rows: int
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each row's line and its cells in the order of `required`, then `optional`; no others.

    Raises RowsUnusable while it is read.
    """
    columns = (*required, *optional)
    expected = f"a header with {', '.join(required)}"
    expected += f", and maybe {', '.join(optional)}" if optional else ""
    text = text.removeprefix("\ufeff").replace("\x00", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        names: list[str] = []
        count = 0
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if not names:
                names = [field.strip().casefold() for field in fields]
                if any(name not in names for name in required):
                    raise RowsUnusable(found=header[:80], expected=expected)
                continue
            count += 1
            if count > most_rows:
                raise RowsUnusable(
                    found=f"more than {most_rows:,} rows", expected="a file of fewer: split it"
                )
            given = dict(zip(names, fields, strict=False))
            yield reader.line_num, tuple(given.get(name, "").strip() for name in columns)
        if not names:
            raise RowsUnusable(found="nothing", expected=expected)
    except csv.Error as error:
        raise RowsUnusable(found=f"line {reader.line_num}: {error}", expected=expected) from None


def reject_lines(columns: Sequence[str], rejects: Iterable[Reject]) -> Iterator[str]:
    """Yield the refused rows as lines of a file, to correct and offer again."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in [
        (*columns, *ADDED),
        *(
            (*map(inert, each.row), str(each.line), each.field, inert(each.value), each.fix)
            for each in rejects
        ),
    ]:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(row)
        yield buffer.getvalue()
