"""Workbooks: whole packages of well-formed parts that say what was written and no formula."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from opendsr.kernel import xlsx

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def written(rows: list[list[xlsx.Cell]], title: str = "Homes") -> zipfile.ZipFile:
    file = io.BytesIO()
    assert xlsx.write_sheet(file, title=title, rows=rows) == len(rows)
    return zipfile.ZipFile(file)


def cells(package: zipfile.ZipFile) -> list[list[xlsx.Cell]]:
    sheet = etree.fromstring(package.read("xl/worksheets/sheet1.xml"))
    found: list[list[xlsx.Cell]] = []
    for row in sheet.iter(f"{MAIN}row"):
        values: list[xlsx.Cell] = []
        for cell in row:
            text, number = cell.find(f"{MAIN}is/{MAIN}t"), cell.find(f"{MAIN}v")
            values.append(text.text if text is not None else int(number.text) if number is not None else None)
        found.append(values)
    return found


TEXTS = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff"), min_size=1
)


@given(rows=st.lists(st.lists(st.none() | st.integers(-(10**15), 10**15) | TEXTS, max_size=5), max_size=5))
def test_what_was_written_is_read(rows):
    assert cells(written(rows)) == rows


def test_every_part_is_well_formed_and_nothing_is_a_formula():
    rows: list[list[xlsx.Cell]] = [["=1+1", "@x", "<b>&\x00\x0b\ud800"], ["", None, 7]]
    package = written(rows, title='a/b[c]"<' + "x" * 60)
    assert package.testzip() is None
    for name in package.namelist():
        tree = etree.fromstring(package.read(name))
        assert not list(tree.iter(f"{MAIN}f"))
    assert cells(package) == [["=1+1", "@x", "<b>&"], [None, None, 7]]


def test_a_sheet_holds_no_more_rows_than_it_may(monkeypatch):
    monkeypatch.setattr(xlsx, "MOST_ROWS", 2)
    with pytest.raises(xlsx.TooManyRows):
        xlsx.write_sheet(io.BytesIO(), title="x", rows=[["a"]] * 3)
