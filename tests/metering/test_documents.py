"""Answers of metering services, wide trial files, the reject file: the same rows, whatever they come in."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.adapters import octopus, wide_csv
from metering.adapters.formats import Reject, Row
from metering.adapters.reading import FileUnusable, open_reading
from metering.checking import Refusals
from metering.ingest import import_file, readings_in
from metering.rejects import ADDED, reject_file
from metering.slots import start_of
from tests.metering.meters import held, wh_of
from tests.metering.samples import AT, AUTUMN, SPRING, half_hours, lines_of
from tests.samples import shared_data, shared_sample

LONDON = ZoneInfo("Europe/London")


def read(document: Any, **options: Any) -> tuple[list[tuple[datetime, int]], list[Reject], str]:
    """Starts and Wh of the rows, the refusals, and the adapter found."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    contents = open_reading(io.BytesIO(data), name="x.json", adapter=options.pop("adapter", None), **options)
    refusals = Refusals()
    rows = readings_in(contents, refusals)
    pairs = zip(rows.slot.tolist(), rows.import_wh.tolist(), strict=True)
    return sorted((start_of(slot), wh) for slot, wh in pairs), list(refusals.in_order()), contents.format.name


def octopus_page(starts: Iterable[datetime], zone: ZoneInfo = LONDON) -> dict[str, Any]:
    results = [
        {
            "consumption": number / 1000,
            "interval_start": start.astimezone(zone).isoformat(),
            "interval_end": (start + timedelta(minutes=30)).astimezone(zone).isoformat(),
        }
        for number, start in enumerate(starts)
    ]
    return {"count": len(results), "next": None, "previous": None, "results": results[::-1]}


def n3rgy_values(starts: Iterable[datetime]) -> list[dict[str, Any]]:
    return [
        {"timestamp": f"{start + timedelta(minutes=30):%Y-%m-%d %H:%M}", "value": number / 1000}
        for number, start in enumerate(starts)
    ]


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_both_clock_change_days_come_through_every_document(day):
    first = datetime(day.year, day.month, day.day, tzinfo=LONDON).astimezone(UTC)
    past = (datetime(day.year, day.month, day.day, tzinfo=LONDON) + timedelta(days=1)).astimezone(UTC)
    starts = half_hours(first, (past - first) // timedelta(minutes=30))
    wanted = [(start, number) for number, start in enumerate(starts)]
    n3rgy = {"resource": "/consumption", "granularity": "halfhour", "unit": "kWh"}
    pairs = [[int(start.timestamp()), number / 1000] for number, start in enumerate(starts)]

    for document in (
        octopus_page(starts),
        [octopus_page(starts[:20]), octopus_page(starts[20:])],
        {**n3rgy, "values": n3rgy_values(starts)},
        {
            **n3rgy,
            "devices": [
                {
                    "values": [
                        {
                            "timestamp": each["timestamp"].translate({45: None, 32: None, 58: None}),
                            "primaryValue": each["value"],
                        }
                        for each in n3rgy_values(starts)
                    ]
                }
            ],
        },
        {"units": "kWh", "query": {"nulls": 1}, "data": pairs},
    ):
        if isinstance(document, list):
            again = [(start, number if number < 20 else number - 20) for number, start in enumerate(starts)]
            assert read(document)[0] == again
        else:
            assert read(document)[:2] == (wanted, [])
    assert len(starts) == (46 if day is SPRING else 50)


def test_the_octopus_sample_of_a_day_of_fifty_half_hours_is_read_whole():
    path = shared_sample("market-samples/constructed-consumption-2026-10-25-50-periods.json")

    rows, rejects, adapter = read(path.read_bytes())

    assert (len(rows), rejects, adapter) == (50, [], "octopus")
    assert rows[0][0] == datetime(2026, 10, 24, 23, tzinfo=UTC)


def test_the_octopus_page_csv_is_read():
    lines = [
        "Consumption (kWh), Estimated Cost Inc. Tax (p), Standing Charge Inc. Tax (p), Start, End",
        "0.120, 3.1, , 2026-10-25T01:30:00+01:00, 2026-10-25T01:00:00+00:00",
        "0.130, 3.1, , 2026-10-25T01:00:00+00:00, 2026-10-25T01:30:00+00:00",
    ]

    rows = [row for row in octopus.parse(lines) if isinstance(row, Row)]

    assert [(row.starts_at.hour, row.starts_at.minute, row.import_wh) for row in rows] == [
        (0, 30, 120),
        (1, 0, 130),
    ]


def test_a_day_total_is_no_half_hour():
    page = octopus_page([AT])
    page["results"][0]["interval_end"] = (AT + timedelta(days=1)).isoformat()

    rows, (reject,), _ = read(page)

    assert rows == []
    assert (reject.line, reject.code) == (1, "not_a_row")


def test_glowmarkt_nulls_are_missing_and_zeros_in_doubt_are_refused():
    at = int(AT.timestamp())
    nulls = {"units": "kWh", "data": [[at, 0.0], [at + 1800, None], [at + 3600, 0.25]]}
    silent = {"units": "kWh", "data": [[at, 0.0], [at + 1800, 0.25]]}

    rows, rejects, adapter = read(nulls)
    assert ([wh for _, wh in rows], [reject.code for reject in rejects], adapter) == (
        [0, 250],
        ["null"],
        "glowmarkt_json",
    )
    rows, rejects, _ = read(silent)
    assert [wh for _, wh in rows] == [250]
    assert "nulls=1" in rejects[0].value


def test_glowmarkt_pence_and_pounds_are_no_energy():
    _, (reject,), _ = read({"units": "pence", "data": [[int(AT.timestamp()), 12.5]]})

    assert reject.code == "unit"


@pytest.mark.parametrize(
    "text",
    [
        b"{", b"[]", b"{}", b'{"a": 1}', b"[1, 2]", b'{"count": 1, "results": 5}', b"[" * 100_000,
        b'{"data": [], "units"', b'{"detail": "Authentication credentials were not provided."}',
    ],
)  # fmt: skip
def test_json_that_is_no_answer_is_said_so(text):
    with pytest.raises(FileUnusable) as unusable:
        read(text)

    assert "octopus" in str(unusable.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_whatever_stands_in_a_document_is_a_row_or_a_named_refusal(data):
    kind = data.draw(st.sampled_from(["octopus", "n3rgy_json", "glowmarkt_json"]))
    item = st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("interval_start", "interval_end", "consumption", "timestamp", "value"), json_values
        ),
    )
    items = data.draw(
        st.lists(item | json_values | st.lists(json_values, min_size=2, max_size=2), max_size=5)
    )
    document = {
        "octopus": {"count": 1, "results": items},
        "n3rgy_json": {"resource": "x", "values": items},
        "glowmarkt_json": {"units": "kWh", "data": items},
    }[kind]

    rows, rejects, adapter = read(document)

    assert adapter == kind
    assert len(rows) + len(rejects) <= len(items)
    assert all(reject.code and reject.reason for reject in rejects)


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_brace_are_read_or_refused_by_name(data):
    with contextlib.suppress(FileUnusable):
        read(b"{" + data)


WIDE = [
    "ts,ASH,BIRCH",
    "2026-01-05 00:00,0.1,0.2",
    "2026-01-05 00:30,,0.4",
    "2026-01-05 00:31,0.5,0.6",
    "2026-01-05 01:00,x,0.0005",
]


def test_a_wide_file_is_a_row_a_cell_and_a_refusal_a_bad_cell():
    rows = list(wide_csv.parse(WIDE))

    good = [(row.line, row.meter, row.import_wh) for row in rows if isinstance(row, Row)]
    bad = [(row.line, row.field, row.code) for row in rows if isinstance(row, Reject)]
    assert good == [(2, "ASH", 100), (2, "BIRCH", 200), (3, "BIRCH", 400), (5, "BIRCH", 0)]
    assert bad == [(3, "ASH", "null"), (4, "ts", "off_grid"), (5, "ASH", "not_a_number")]


@pytest.mark.django_db
def test_rejects_come_out_as_a_file_that_imports_once_corrected(ash, birch):
    streams = {"ASH": ash, "BIRCH": birch}
    data = "\n".join(WIDE).encode()
    report = import_file(file=io.BytesIO(data), name="w.csv", at=AT, streams=streams, adapter="wide_csv")
    assert (report.rows_landed, report.rows_rejected) == (4, 3)

    text = "".join(reject_file(io.BytesIO(data), report.rejects, name="w.csv", adapter="wide_csv"))
    lines = text.splitlines()
    assert lines[0] == ",".join(["meter", "stamp", "import", *ADDED])
    corrected = text.replace(",2026-01-05 00:30,,", ",2026-01-05 00:30,0.3,").replace(
        ",2026-01-05 01:00,x,", ",2026-01-05 01:00,0.7,"
    )
    again = import_file(
        file=io.BytesIO(corrected.encode()),
        name="r.csv",
        at=AT,
        streams=streams,
        adapter="generic_csv",
        columns={"meter": "meter", "stamp": "stamp", "import": "import"},
        tz="UTC",
        source="wide_csv",
    )

    assert (again.rows_landed, again.rows_rejected) == (2, 1)
    assert wh_of(ash) == [100, 300, 700]


@pytest.mark.django_db
def test_a_csv_comes_back_with_its_own_columns(ash):
    header = "LCLid,tstp,energy_kWh"
    data = f"{header}\nASH,2026-01-05 00:30:00,0.5\nASH,2026-01-05 01:00:00,=1+1\n"
    data = (data + "ASH,05.01.2026,0.5\nASH,x,y,z\n").encode()
    report = import_file(file=io.BytesIO(data), name="l.csv", at=AT, streams={"ASH": ash})

    lines = "".join(reject_file(io.BytesIO(data), report.rejects, name="l.csv")).splitlines()

    assert lines[0] == f"{header},{','.join(ADDED)}"
    assert lines[1].startswith("ASH,2026-01-05 01:00:00,=1+1,3,energy_kWh,'=1+1,not a number,")
    assert len(lines) == 4
    corrected = "\n".join(lines[:2]).replace(",=1+1,", ",0.75,", 1).encode()
    assert import_file(file=io.BytesIO(corrected), name="r.csv", at=AT, streams={"ASH": ash}).rows_landed == 1
    assert {row[4] for row in held()} == {500, 750}


def test_the_edrp_file_is_read_whole():
    lines = lines_of(shared_data("edrp_60homes_halfhourly_2009-03_05.csv.gz"))

    contents = open_reading(io.BytesIO("\n".join(lines).encode()), name="edrp.csv", adapter="wide_csv")
    refusals = Refusals()
    rows = readings_in(contents, refusals)

    assert (len(rows), refusals.rows, len(contents.meters)) == (4416 * 60, 0, 60)
    assert (start_of(rows.slot.min()), start_of(rows.slot.max())) == (
        datetime(2009, 3, 1, tzinfo=UTC),
        datetime(2009, 5, 31, 23, 30, tzinfo=UTC),
    )
