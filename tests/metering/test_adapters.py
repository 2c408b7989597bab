"""The kinds of file: found by header, their conventions, and the real samples."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import adapters
from metering.adapters import generic_csv, lcl_csv, n3rgy_csv, opendsr_csv, powershaper_csv
from metering.adapters.formats import BadOption, Reject, Row
from tests.metering.samples import AUTUMN, LCL, POWERSHAPER, SPRING, by_columns, half_hours, lines_of
from tests.samples import shared_data


def starts_of(rows: Iterable[Row | Reject]) -> list[datetime]:
    """Of the rows that were read."""
    return [row.starts_at for row in rows if isinstance(row, Row)]


MODULES = [lcl_csv, powershaper_csv, n3rgy_csv, opendsr_csv]


@pytest.mark.parametrize(
    ("header", "adapter"),
    [
        ("LCLid,tstp,energy_kWh", "lcl_csv"),
        ("LCLid,stdorToU,DateTime,KWH/hh (per half hour) ", "lcl_csv"),
        ("LCLid,tstp,energy(kWh/hh)", "lcl_csv"),
        ("halfhour ending at,usage", "powershaper_csv"),
        ("timestamp (UTC),energyConsumption (kWh)", "n3rgy_csv"),
        ('"timestamp (UTC)";"energyConsumption (kWh)"', "n3rgy_csv"),
        ("METER\tSTARTS_AT\tIMPORT_WH\tEXPORT_WH", "opendsr_csv"),
        ("\ufeffmeter,starts_at,import_wh,export_wh", "opendsr_csv"),
        (["meter", "starts_at", "import_wh"], "opendsr_csv"),
    ],
)
def test_a_header_says_which_adapter_reads_the_file(header, adapter):
    assert adapters.detect(header) == adapter


@pytest.mark.parametrize(
    "header", ["", "a,b,c", "timestamp (UTC),energyConsumption (m3)", "LCLid,tstp,tstp,energy_kWh"]
)
def test_a_header_nobody_knows_is_said_so_with_what_is_known(header):
    with pytest.raises(adapters.UnknownHeader) as unknown:
        adapters.detect(header)

    assert "lcl_csv" in str(unknown.value)


def test_an_adapter_is_asked_for_by_name():
    assert adapters.format_named("lcl_csv") is lcl_csv.FORMAT
    with pytest.raises(adapters.UnknownAdapter):
        adapters.format_named("edrp_csv")


@pytest.mark.parametrize("module", [*MODULES, generic_csv])
def test_each_adapter_says_how_it_reads_stamps_and_why(module):
    format = module.FORMAT

    assert format.name == module.__name__.rpartition(".")[2]
    assert format.stamp in format.convention
    assert format.tz in format.convention
    assert format.basis


@pytest.mark.parametrize(
    "options",
    [
        {"stamp": "middle"},
        {"tz": "Europe/Londinium"},
        {"unit": "MWh"},
        {"decimal": "-"},
        {"max_kwh": 0},
        {"max_kwh": "lots"},
        {"columns": {"stamp": "when"}},
        {"columns": {"when": "stamp"}},
        {"delimiter": "x"},
        {"ambiguous": "guess"},
        {"colour": "blue"},
        {"tz": "../../etc/passwd"},
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(options):
    with pytest.raises(BadOption) as bad:
        lcl_csv.FORMAT.with_options(**options)

    assert bad.value.data["option"] == next(iter(options))


@pytest.mark.parametrize("module", [lcl_csv, powershaper_csv, n3rgy_csv])
def test_end_stamps_and_start_stamps_of_the_same_half_hours_are_the_same_rows(module):
    format = module.FORMAT
    header = ",".join(names[0] for names in format.columns.values())
    meter = "MAC1," if module is lcl_csv else ""
    starts = half_hours(datetime(2025, 3, 29, tzinfo=UTC), 200)

    def text(shift: timedelta) -> list[str]:
        return [header, *(f"{meter}{start + shift:%Y-%m-%d %H:%M:%S},0.1" for start in starts)]

    by_end = list(module.parse(text(timedelta(minutes=30))))
    by_start = list(module.parse(text(timedelta(0)), stamp="start"))

    assert by_end == by_start
    assert starts_of(by_end) == starts


quantities = st.integers(0, 40_000)


@given(
    st.sampled_from([SPRING, AUTUMN]),
    st.lists(st.tuples(quantities, quantities, st.integers(0, 2)), min_size=100, max_size=100),
)
def test_our_own_format_round_trips_on_both_clock_change_days(day, values):
    rows = [
        Row(line, "12345678-1234-5678-1234-567812345678", at, import_wh, export_wh, quality)
        for line, (at, (import_wh, export_wh, quality)) in enumerate(
            zip(half_hours(day - timedelta(days=1), 100), values, strict=True), start=2
        )
    ]

    text = list(opendsr_csv.format_rows(rows))

    assert list(opendsr_csv.parse(text)) == rows
    assert by_columns(opendsr_csv.FORMAT, text) == rows


@pytest.mark.parametrize(("day", "periods"), [(SPRING, 46), (AUTUMN, 50)])
@pytest.mark.parametrize("stamp", ["start", "end"])
def test_a_local_time_file_with_offsets_gives_all_46_or_50_periods(day, periods, stamp):
    london = ZoneInfo("Europe/London")
    midnight = datetime(day.year, day.month, day.day, tzinfo=london).astimezone(UTC)
    starts = half_hours(midnight, periods)
    shift = timedelta(minutes=30 if stamp == "end" else 0)
    text = ["when,kWh", *(f"{(start + shift).astimezone(london).isoformat()},0.25" for start in starts)]
    options = {"columns": {"stamp": "when", "import": "kWh"}, "stamp": stamp}

    rows = list(generic_csv.parse(text, **options))

    assert starts_of(rows) == starts
    assert by_columns(generic_csv.FORMAT.with_options(**options), text) == rows


def test_forty_eight_bare_local_rows_on_a_46_period_day_leave_two_that_never_happened():
    text = ["when,kWh", *(f"2025-03-30 {slot // 2:02}:{slot % 2 * 30:02},1" for slot in range(48))]

    rows = list(generic_csv.parse(text, columns={"stamp": "when", "import": "kWh"}))

    refused = [row for row in rows if isinstance(row, Reject)]
    assert [row.value for row in refused] == ["2025-03-30 01:00", "2025-03-30 01:30"]
    assert {row.code for row in refused} == {"no_such_time"}
    assert len(rows) - len(refused) == 46


def test_the_low_carbon_london_sample_reads_whole_but_for_its_bad_row():
    lines = lines_of(shared_data(LCL))

    rows = list(lcl_csv.parse(lines))

    assert len(rows) == 85_056
    assert [row for row in rows if isinstance(row, Reject)] == [
        Reject(
            line=3240,
            field="tstp",
            value="2012-12-19 12:37:27",
            code="off_grid",
            reason="not on the hour or half-hour",
            meter="MAC000002",
        )
    ]
    assert by_columns(lcl_csv.FORMAT, lines) == rows


def test_low_carbon_london_days_are_whole_only_when_stamps_are_ends():
    lines = [line for line in lines_of(shared_data(LCL)) if line.startswith(("LCLid", "MAC000002"))]

    of_one_home = starts_of(lcl_csv.parse(lines))

    assert of_one_home[0] == datetime(2012, 10, 12, tzinfo=UTC)
    assert of_one_home[-1] + timedelta(minutes=30) == datetime(2014, 2, 28, tzinfo=UTC)


def test_the_powershaper_sample_is_newest_first_and_begins_at_a_period_start():
    lines = lines_of(shared_data(POWERSHAPER))

    rows = list(powershaper_csv.parse(lines))

    starts = starts_of(rows)
    assert (len(starts), starts[0]) == (22_810, datetime(2023, 12, 20, 4, tzinfo=UTC))
    assert starts[-1] == datetime(2022, 8, 31, 23, 30, tzinfo=UTC)
    assert by_columns(powershaper_csv.FORMAT, lines) == rows
