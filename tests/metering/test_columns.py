"""The column reader against the row reader: the same rows, the same refusals, on anything."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from metering.adapters import generic_csv, lcl_csv, opendsr_csv
from metering.adapters.formats import CsvFormat
from metering.adapters.rows import parse_lines
from tests.metering.samples import by_columns

FORMATS = [
    lcl_csv.FORMAT,
    lcl_csv.FORMAT.with_options(tz="Europe/London", stamp="start"),
    opendsr_csv.FORMAT,
    generic_csv.FORMAT.with_options(
        columns={"meter": "LCLid", "stamp": "tstp", "import": "energy_kWh", "unit": "unit"}
    ),
    generic_csv.FORMAT.with_options(columns={"stamp": "tstp", "import": "energy_kWh"}, decimal=","),
]
HEADERS = [
    "LCLid,tstp,energy_kWh",
    "LCLid,tstp,energy_kWh",
    "meter,starts_at,import_wh,export_wh,quality",
    "unit,LCLid,note,tstp,energy_kWh",
    "tstp;energy_kWh",
]
GOOD = {
    "stamp": st.builds(
        "{} {:02}:{}{}".format,
        st.sampled_from(["2025-03-30", "2025-10-26", "2024-02-29", "30/03/2025", "2026-01-01"]),
        st.integers(0, 23),
        st.sampled_from(["00", "30"]),
        st.sampled_from(["", ":00", ":00Z", "+01:00", ":00+00:00", ":00.0000000"]),
    ),
    "number": st.one_of(
        st.decimals(0, 39, places=4).map(str),
        st.integers(0, 78).map(lambda half: f"0.{half:03}5"),
        st.integers(0, 39).map(str),
    ),
    "meter": st.sampled_from(["MAC000002", "MAC000010", " MAC1 ", "Zoë", "é" * 40, "9"]),
    "unit": st.sampled_from(["kWh", "KWH"]),
    "quality": st.sampled_from(["measured", "ESTIMATED", "substituted", ""]),
    "note": st.sampled_from(["", "a note"]),
}
ODD = {
    "stamp": st.one_of(
        st.datetimes().map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
        st.builds(
            "{}{}{:02}:{}{}".format,
            st.sampled_from(
                ["2025-02-30", "2025-1-1", "1999-12-31", "2025-04-31", "00/01/2025", "2025-13-01"]
            ),
            st.sampled_from(["T", " ", "  "]),
            st.integers(0, 25),
            st.sampled_from(["00", "15", "60"]),
            st.sampled_from(["", ":01", " GMT", "+00:10", "+25:00", "x"]),
        ),
        st.sampled_from(
            ["", "now", "2025-01-01", "2025-01-01 00:15", "2025-06-31 00:00", "2025-02-29 00:00:00"]
        ),
    ),
    "number": st.one_of(
        st.floats().map(repr),
        st.integers(-5, 50_000).map(str),
        st.sampled_from(
            [
                "",
                "Null",
                "0,5",
                "1.",
                ".5",
                ".",
                "+1",
                "1e2",
                "  1 ",
                "00000000000000001",
                "0.00050000000000001",
                "1.2.3",
                "1..",
                "39.000499999999999999999",
                "0.1234567890123456789",
                "00000000000000000000012",
            ]
        ),
    ),
    "text": st.one_of(
        st.sampled_from(["", 'a"b', '"', '""', "Wh", "guess"]),
        st.text(max_size=5).filter(lambda text: not set(text) & set("\n\r\x00,;\t|")),
    ),
}
KINDS = {"LCLid": "meter", "tstp": "stamp", "starts_at": "stamp", "energy_kWh": "number"}
KINDS |= {"import_wh": "number", "export_wh": "number"}


def field(name: str) -> st.SearchStrategy[str]:
    """Mostly what belongs there, now and then something else, sometimes in quotes."""
    kind = KINDS.get(name, name)
    good, odd = GOOD[kind], ODD.get(kind, ODD["text"])
    return st.one_of(good, good, good, good, good.map('"{}"'.format), odd, odd.map('"{}"'.format))


@st.composite
def files(draw: st.DrawFn) -> tuple[CsvFormat, list[str]]:
    which = draw(st.integers(0, len(FORMATS) - 1))
    header = HEADERS[which]
    delimiter = ";" if ";" in header else ","
    row = st.tuples(*map(field, header.split(delimiter))).map(delimiter.join)
    line = st.one_of(row, row, row, row.map(lambda text: text + ","), st.just(""), ODD["text"])
    return FORMATS[which], [header, *draw(st.lists(line, max_size=30))]


@given(files())
@example((lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh"]))
@example(
    (lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", *(f"M,2025-01-01 0{n}:00:00,0.{n}0{n}5" for n in range(9))])
)
@example((FORMATS[4], ["tstp;energy_kWh", "2025-02-30 00:00;1", "2025-01-01 00:15;1", "2025-01-01 00:30;,"]))
@example((lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", '"a,b",2025-01-01 00:30', '"M"x,2025-01-01 00:30,"1"']))
@example((lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", "MAC1,2013-01-01 00:30:00,0.1\x002"]))
@example(
    (lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", "MAC1,2013-01-01 00:30:00,1\r2", "MAC1,2013-01-01 01:00,1\r"])
)
@example(
    (lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", "\t,2013-01-01 00:30:00,1", "\xa0,2013-01-01 01:00:00,1"])
)
@settings(deadline=None, max_examples=300, derandomize=True)
def test_columns_and_rows_read_alike(file):
    format, lines = file

    assert by_columns(format, lines) == list(parse_lines(format, lines))
