"""One row of a delimited file to a `Row`, or to the `Reject` that says what is wrong with it.

The slow and exact reading: `columns.py` does the clean rows of a file by the thousand and sends the rest
here, so only this module words a refusal.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from metering.adapters.formats import (
    DELIMITERS,
    CsvFormat,
    Flag,
    Layout,
    Reject,
    Role,
    Row,
    Unit,
    match,
)
from metering.adapters.stamps import Refused, read_stamp
from metering.slots import start_of

NULLS: Final = frozenset({"", "null", "none", "na", "n/a", "#n/a", "nan", "-", "--", "nil", "missing"})
INFINITIES: Final = frozenset({"inf", "infinity"})
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.A)
QUALITIES: Final = {"measured": 0, "estimated": 1, "substituted": 2}
VALUE_CHARACTERS: Final = 200
NOTHING: Final = "".join(DELIMITERS) + " \r\n\f\v\xa0"
LIKELY_KWH: Final = 40


def parse_lines(format: CsvFormat, lines: Iterable[str]) -> Iterator[Row | Reject]:
    """Yield a Row or Reject for each line after the header; blank lines are passed over.

    Without a header of this format there is one Reject, and nothing else is read.
    """
    layout: Layout | None = None
    for number, text in enumerate(lines, start=1):
        line = text.rstrip("\r\n")
        if number == 1:
            line = line.removeprefix("\ufeff")
        if layout is None:
            if is_blank(line):
                continue
            layout = find_layout(format, line)
            if layout is None:
                yield Reject(
                    number, "header", line[:VALUE_CHARACTERS], "header", f"no header of {format.name}"
                )
                return
            continue
        parsed = parse_line(layout, number, line)
        if parsed is not None:
            yield parsed


def find_layout(format: CsvFormat, line: str) -> Layout | None:
    """The layout of a header line in this format, whatever delimiter it uses."""
    for delimiter in (format.delimiter,) if format.delimiter else DELIMITERS:
        try:
            header = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
        except csv.Error:
            continue
        layout = match(format, header, delimiter)
        if layout is not None:
            return layout
    return None


def column_twice(line: str) -> str:
    """The first name that stands twice in a header line, by its commonest delimiter; empty if none does."""
    delimiter = max(DELIMITERS, key=line.count)
    try:
        names = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return ""
    folded = [" ".join(name.split()).casefold() for name in names]
    return next((name for place, name in enumerate(folded) if name and name in folded[:place]), "")


def is_blank(text: str) -> bool:
    """True for a line of nothing but spaces and delimiters, as spreadsheets leave at the end."""
    return not text.strip(NOTHING)


def parse_line(layout: Layout, number: int, text: str) -> Row | Reject | None:
    """The row in a line of text, None when it is blank."""
    if is_blank(text):
        return None
    try:
        fields = next(csv.reader([text], delimiter=layout.delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        return Reject(number, "line", text[:VALUE_CHARACTERS], "not_a_row", f"not a row: {error}")
    return parse_fields(layout, number, fields)


def parse_fields(layout: Layout, number: int, fields: Sequence[str]) -> Row | Reject:
    """The row in a line's fields."""
    wanted = len(layout.header)
    if len(fields) < wanted or any(field.strip() for field in fields[wanted:]):
        shown = layout.delimiter.join(fields)[:VALUE_CHARACTERS]
        few = len(fields) < wanted
        return Reject(
            number,
            "line",
            shown,
            "too_few_columns" if few else "too_many_columns",
            f"{len(fields)} columns where the header has {wanted}",
        )
    values = {role: fields[place].strip() for role, place in layout.places.items()}
    meter = values.get(Role.METER, layout.format.meter)
    role = Role.METER
    try:
        if not meter:
            raise Refused("null", "no meter")
        role = Role.STAMP
        slot, flags = read_stamp(values[role], stamp=layout.format.stamp, tz=layout.format.tz)
        role = Role.UNIT
        _check_unit(values.get(role), layout.format.unit)
        role = Role.IMPORT
        import_wh, import_flags = read_wh(values[role], layout.format)
        role = Role.EXPORT
        export_wh, export_flags = read_wh(values[role], layout.format) if role in values else (0, 0)
        role = Role.QUALITY
        quality = _read_quality(values[role]) if role in values else 0
    except Refused as error:
        value = meter if role is Role.METER else values.get(role, "")
        return Reject(
            number, layout.field_name(role), value[:VALUE_CHARACTERS], error.code, error.reason, meter=meter
        )
    return Row(
        number, meter, start_of(slot), import_wh, export_wh, quality, flags | import_flags | export_flags
    )


def read_wh(text: str, format: CsvFormat) -> tuple[int, int]:
    """Whole Wh, rounded half to even, and flags."""
    folded = text.casefold()
    if folded in NULLS:
        raise Refused("null", "no value")
    plain = folded.replace(",", ".") if format.decimal == "," else folded
    if not NUMBER.fullmatch(plain):
        if plain.lstrip("+-") in INFINITIES:
            raise Refused("not_a_number", "not a finite number")
        raise Refused("not_a_number", "not a number")
    number = Decimal(plain)
    unit = "kWh" if format.unit is Unit.KWH else "Wh"
    if number < 0:
        raise Refused("negative", "negative: import and export are each zero or more")
    limit = Decimal(str(format.max_kwh)) * (1 if format.unit is Unit.KWH else 1000)
    if number > limit:
        hint = "; is the column in Wh?" if format.unit is Unit.KWH else ""
        raise Refused("implausible", f"more than {limit:f} {unit} in half an hour{hint}")
    wh = number * 1000 if format.unit is Unit.KWH else number
    whole = int(wh.quantize(Decimal(1), ROUND_HALF_EVEN))
    return whole, Flag.FRACTION if format.unit is Unit.WH and number != whole and number < LIKELY_KWH else 0


def _check_unit(written: str | None, unit: Unit) -> None:
    if written is None or written.casefold() == unit:
        return
    if not written:
        raise Refused("null", "no unit")
    raise Refused("unit", f"the unit is {written}, this import reads {unit}")


def _read_quality(text: str) -> int:
    if not text:
        return 0
    try:
        return QUALITIES[text.casefold()]
    except KeyError:
        raise Refused("not_a_quality", f"not one of {', '.join(QUALITIES)}") from None
