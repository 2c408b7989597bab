"""One row at a time: what is read, and the reason for what is not."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.adapters import generic_csv, lcl_csv, opendsr_csv
from metering.adapters.formats import CsvFormat, Flag, Reject, Row
from metering.adapters.rows import parse_lines

COLUMNS = {
    "meter": "Site",
    "stamp": "When",
    "import": "Used",
    "export": "Sent",
    "unit": "Unit",
    "quality": "How",
}
GENERIC = generic_csv.FORMAT.with_options(columns=COLUMNS, tz="UTC")
HEADER = "Site,When,Used,Sent,Unit,How"


def only(format: CsvFormat, header: str, line: str) -> Row | Reject:
    (row,) = parse_lines(format, [header, line])
    return row


def lcl(value: str) -> Row | Reject:
    return only(lcl_csv.FORMAT, "LCLid,tstp,energy_kWh", f"MAC000002,2013-01-01 00:30:00,{value}")


def test_a_row_is_read_whole():
    row = only(GENERIC, HEADER, "12,2025-01-01 00:30,0.4315,0.0005,kWh,Estimated")

    assert isinstance(row, Row)
    assert (row.line, row.meter, row.import_wh, row.export_wh, row.quality) == (2, "12", 432, 0, 1)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "null"),
        ("Null", "null"),
        ("NaN", "null"),
        ("n/a", "null"),
        ("twelve", "not_a_number"),
        ("0.1.2", "not_a_number"),
        ("0x10", "not_a_number"),
        ("1_000", "not_a_number"),
        ("٣", "not_a_number"),
        ("inf", "not_a_number"),
        ("-Infinity", "not_a_number"),
        ("-0.001", "negative"),
        ("1e999", "implausible"),
        ("431", "implausible"),
        ("40.001", "implausible"),
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_with_line_value_and_reason(value, code):
    reject = lcl(value)

    assert isinstance(reject, Reject)
    assert (reject.line, reject.field, reject.value, reject.code) == (2, "energy_kWh", value, code)
    assert reject.reason


@pytest.mark.parametrize(
    ("value", "wh"),
    [
        ("0", 0),
        ("-0.0", 0),
        ("+.5", 500),
        ("1.", 1000),
        ("1e-1", 100),
        ("40", 40_000),
        ("0.0005", 0),
        ("0.0015", 2),
        ("0.00050000001", 1),
        (" 0.1 ", 100),
    ],
)
def test_kwh_become_whole_wh_half_to_even(value, wh):
    row = lcl(value)

    assert isinstance(row, Row)
    assert row.import_wh == wh


@given(st.decimals(0, 39, places=6))
def test_rounding_is_that_of_decimal(value):
    row = lcl(str(value))

    assert isinstance(row, Row)
    assert row.import_wh == int((value * 1000).quantize(Decimal(1), ROUND_HALF_EVEN))


@pytest.mark.parametrize(
    ("line", "field", "code"),
    [
        (",2025-01-01 00:30,1,0,kWh,measured", "Site", "null"),
        ("12,,1,0,kWh,measured", "When", "null"),
        ("12,2025-01-01 00:30,1,,kWh,measured", "Sent", "null"),
        ("12,2025-01-01 00:30,1,-1,kWh,measured", "Sent", "negative"),
        ("12,2025-01-01 00:30,1,0,Wh,measured", "Unit", "unit"),
        ("12,2025-01-01 00:30,1,0,,measured", "Unit", "null"),
        ("12,2025-01-01 00:30,1,0,kWh,guessed", "How", "not_a_quality"),
        ("12,2025-01-01 00:30,1", "line", "too_few_columns"),
        ("12;2025-01-01 00:30;1;0;kWh;measured", "line", "too_few_columns"),
        ("12,2025-01-01 00:30,0,431,0,kWh,measured", "line", "too_many_columns"),
        ('12,2025-01-01 00:30,1,0,kWh,"measured', "line", "not_a_row"),
    ],
)
def test_every_column_is_checked(line, field, code):
    reject = only(GENERIC, HEADER, line)

    assert isinstance(reject, Reject)
    assert (reject.field, reject.code) == (field, code)


def test_blank_lines_and_spare_commas_are_passed_over():
    lines = ["", "LCLid,tstp,energy_kWh", "", ",,", "MAC1,2013-01-01 00:30:00,1,,", "   "]

    rows = list(parse_lines(lcl_csv.FORMAT, lines))

    assert [row.line for row in rows] == [5]


def test_a_comma_may_be_the_decimal_sign_when_the_caller_says_so():
    european = lcl_csv.FORMAT.with_options(decimal=",")

    row = only(european, "LCLid;tstp;energy_kWh", "MAC1;2013-01-01 00:30:00;0,431")

    assert isinstance(row, Row)
    assert row.import_wh == 431
    assert isinstance(lcl('"0,431"'), Reject)


def test_a_fraction_in_a_wh_column_is_flagged_for_the_import_to_judge():
    header = "meter,starts_at,import_wh"

    small = only(opendsr_csv.FORMAT, header, "12,2025-01-01 00:30,0.431")
    large = only(opendsr_csv.FORMAT, header, "12,2025-01-01 00:30,431.5")

    assert isinstance(small, Row)
    assert isinstance(large, Row)
    assert (small.flags, small.import_wh) == (Flag.FRACTION, 0)
    assert (large.flags, large.import_wh) == (0, 432)


def test_a_file_of_another_kind_gives_one_refusal():
    (reject,) = parse_lines(lcl_csv.FORMAT, ["name,age", "Ann,7"])

    assert isinstance(reject, Reject)
    assert reject.code == "header"
