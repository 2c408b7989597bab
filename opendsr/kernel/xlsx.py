"""Rows as a workbook of one sheet (Office Open XML), written as they come and never held all at once.

Every text is an inline string, which no spreadsheet takes for a formula, and every whole number a number.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from io import TextIOWrapper
from typing import IO, Final
from xml.sax.saxutils import escape

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS: Final = 1_048_576
MOST_CHARACTERS: Final = 32_767
Cell = str | int | None

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET: Final = "xl/worksheets/sheet1.xml"


class TooManyRows(ValueError):
    """A sheet has no more rows than MOST_ROWS."""


def write_sheet(file: IO[bytes], *, title: str, rows: Iterable[Iterable[Cell]]) -> int:
    """Write the rows, the first of them the header, to a seekable file; return how many. Raises TooManyRows.

    What XML cannot hold is left out of a text; what is longer than a cell holds is cut.
    """
    count = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in _parts(title).items():
            package.writestr(name, _HEAD + text)
        with package.open(_SHEET, "w", force_zip64=True) as raw, TextIOWrapper(raw, "utf-8") as sheet:
            sheet.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>')
            for count, row in enumerate(rows, start=1):
                if count > MOST_ROWS:
                    raise TooManyRows
                sheet.write(f'<row r="{count}">{"".join(map(_cell, row))}</row>')
            sheet.write("</sheetData></worksheet>")
    return count


def _cell(value: Cell) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, int):
        return f"<c><v>{value:d}</v></c>"
    text = escape(_NOT_XML.sub("", value)[:MOST_CHARACTERS])
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _parts(title: str) -> dict[str, str]:
    name = escape(re.sub(r"[][*?/\\:]", " ", _NOT_XML.sub("", title))[:31], {'"': "&quot;"})
    return {
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
            f'<Override PartName="/{_SHEET}" ContentType="{_TYPES}.worksheet+xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
            f' Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
            f'<sheet name="{name}" sheetId="1" r:id="r1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
            f' Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
        ),
    }
