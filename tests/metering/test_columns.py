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
STAMPS = st.one_of(
    st.datetimes().map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
    st.builds(
        "{}{} {:02}:{}{}".format,
        st.sampled_from(["2025-03-30", "2025-10-26", "30/03/2025", "2025-02-30", "2025-1-1", "1999-12-31"]),
        st.sampled_from(["", "", "", "T", " "]),
        st.integers(0, 24),
        st.sampled_from(["00", "30", "15", "60"]),
        st.sampled_from(["", ":00", ":00Z", "Z", "+01:00", ":00+00:00", ":01", ":00.0000000", " GMT", "x"]),
    ),
    st.sampled_from(["", "now", "2025-01-01"]),
)
NUMBERS = st.one_of(
    st.decimals(0, 45, places=4).map(str),
    st.floats().map(repr),
    st.integers(-5, 50_000).map(str),
    st.sampled_from(
        ["", "Null", "0.0005", "0,5", "1.", ".5", ".", "+1", "1e2", "  1 ", '"2"', "00000000000000001"]
    ),
)
WORDS = st.one_of(
    st.sampled_from(
        ["MAC000002", "MAC000010", "", " MAC1", "Zoë", '"a ""b"""', "é" * 40, "kWh", "KWH", "wh"]
    ),
    st.sampled_from(["measured", "ESTIMATED", "substituted", "guess"]),
    st.text(max_size=5).filter(
        lambda text: not set(text) & set("\n\r\x00,;\t|\x85\u2028\u2029\x1c\x1d\x1e\x0b\x0c")
    ),
)


@st.composite
def files(draw: st.DrawFn) -> tuple[CsvFormat, list[str]]:
    which = draw(st.integers(0, len(FORMATS) - 1))
    header = HEADERS[which]
    delimiter = ";" if ";" in header else ","
    kinds = [
        {"tstp": STAMPS, "starts_at": STAMPS}.get(name, NUMBERS if "Wh" in name or "wh" in name else WORDS)
        for name in header.split(delimiter)
    ]
    row = st.tuples(*(st.one_of(kind, kind, kind.map('"{}"'.format)) for kind in kinds)).map(delimiter.join)
    wild = st.one_of(row, row, row, row.map(lambda text: text + ","), st.just(""), WORDS)
    return FORMATS[which], [header, *draw(st.lists(wild, max_size=30))]


@given(files())
@example((lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh"]))
@example((lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", "MAC1,2013-01-01 00:30:00,0.1\x002"]))
@example(
    (lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", "MAC1,2013-01-01 00:30:00,1\r2", "MAC1,2013-01-01 01:00,1\r"])
)
@example(
    (lcl_csv.FORMAT, ["LCLid,tstp,energy_kWh", "\t,2013-01-01 00:30:00,1", "\xa0,2013-01-01 01:00:00,1"])
)
@settings(deadline=None, max_examples=300)
def test_columns_and_rows_read_alike(file):
    format, lines = file

    assert by_columns(format, lines) == list(parse_lines(format, lines))
