"""Every real file beside the checkout: what a format covers is read, each bad row told; the rest refused."""

from __future__ import annotations

import pytest

from metering.adapters import rate_files
from metering.adapters.reading import FileUnusable, open_reading
from metering.checking import Refusals
from metering.ingest import readings_in
from tests.samples import shared_data


@pytest.mark.parametrize(
    ("name", "adapter", "rows", "codes"),
    [
        ("lcl_4homes_halfhourly.csv.gz", None, 85_055, {"null"}),
        ("powershaper_export_1home_halfhourly_2022-09_2023-12.csv.gz", None, 22_810, set()),
        ("edrp_60homes_halfhourly_2009-03_05.csv.gz", "wide_csv", 4_416 * 60, set()),
    ],
)
def test_files_of_readings_are_read_whole(name, adapter, rows, codes):
    contents = open_reading(shared_data(name), name=name, adapter=adapter)
    refusals = Refusals()

    readings = readings_in(contents, refusals)

    assert len(readings) + refusals.rows == rows + len(codes)
    assert len(readings) >= rows - 1
    assert {reject.code for reject in refusals.in_order()} <= codes | {"off_grid"}


@pytest.mark.parametrize(
    ("name", "adapter", "values", "codes"),
    [
        ("agile_halfhourly_2022-11_2023-12.csv.gz", "agile_prices", 39_832, {"ambiguous_time"}),
        ("gb_carbon_intensity_2023.csv.gz", "carbon_intensity", 17_430, set()),
    ],
)
def test_files_of_rates_are_read_whole(name, adapter, values, codes):
    table = rate_files.open_table(shared_data(name), name=name)
    found, rejects = rate_files.read(table)

    assert (table.adapter, len(found), {reject.code for reject in rejects}) == (adapter, values, codes)


@pytest.mark.parametrize(
    "name",
    [
        "acn_ev_sessions.csv.gz",
        "agile_halfhourly_2022-11_2023-12.csv.gz",
        "gb_carbon_intensity_2023.csv.gz",
    ],
)
def test_files_of_other_things_are_refused_with_what_is_known(name):
    with pytest.raises(FileUnusable) as unusable:
        open_reading(shared_data(name), name=name, adapter=None)

    assert "lcl_csv" in unusable.value.expected


@pytest.mark.parametrize(
    ("name", "days", "empty"),
    [
        ("gjw_home_10s_2013-12-09_15.csv.gz", 7, 3_369),
        ("gjw_home_1min_2013-11_2014-01.csv.gz", 60, 5_034),
        ("gjw_home_power_events_2013-11_2014-01.csv.gz", 60, 0),
    ],
)
def test_files_of_power_become_half_hours(name, days, empty):
    contents = open_reading(shared_data(name), name=name, adapter=None)
    refusals = Refusals()

    readings = readings_in(contents, refusals)

    assert contents.format.name == "power_csv"
    assert 0.9 * days * 48 < len(readings) <= days * 48
    assert {reject.code for reject in refusals.in_order()} == ({"null"} if empty else set())
    assert refusals.rows == empty
    assert 19_000 < readings.import_wh.sum() * 48 / len(readings) < 23_000  # Wh a day
