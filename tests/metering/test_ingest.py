"""Imports through the one way in: good rows land, bad ones say why, the same again changes nothing."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from members import consenting
from metering import ingest, permits, revising
from metering.models import HalfHour, ImportGap, ImportReject, ImportRun, Quality
from metering.report import ImportReport
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import OutboxFact
from tests.factories import JOINED_AT
from tests.metering.meters import START, held, lcl_lines, offer, reasons, wh_of
from tests.metering.samples import AT, LCL, POWERSHAPER, half_hours
from tests.samples import shared_data

pytestmark = pytest.mark.django_db


def test_a_file_lands_and_the_same_file_again_changes_nothing(ash):
    lines = lcl_lines(["0.1", "0.25", "0", "1.5"])

    first = offer(lines, {"ASH": ash})
    again = offer(lines, {"ASH": ash}, at=AT + timedelta(days=1))

    assert (first.rows_read, first.rows_landed, first.rows_corrected) == (4, 4, 0)
    assert first.stream_ids == (ash,)
    assert first.interval == Interval(START, START + timedelta(hours=2))
    assert (again.rows_landed, again.rows_unchanged, again.changed_nothing) == (0, 4, True)
    assert wh_of(ash) == [100, 250, 0, 1500]


def test_every_kind_of_bad_row_is_reported_and_the_good_rows_land(ash):
    good = lcl_lines(["0.1"] * 48)
    ends = [line.split(",")[1] for line in good]
    lines = [
        *good[:10],
        f"ASH,{ends[10]},Null",
        f"ASH,{ends[11]},lots",
        good[5],
        "ASH,2026-01-05 06:37:27,0.1",
        f"ASH,{ends[12]},-0.2",
        f"ASH,{ends[13]},431",
        f"ASH,{ends[14]}",
        f"ASH,{ends[15]},inf",
        "ASH,2026-03-04 10:00:00,0.1",
        "",
        *good[16:],
    ]

    report = offer(lines, {"ASH": ash})

    assert reasons(report) == [
        (12, "null"),
        (13, "not_a_number"),
        (14, "duplicate"),
        (15, "off_grid"),
        (16, "negative"),
        (17, "implausible"),
        (18, "too_few_columns"),
        (19, "not_a_number"),
        (20, "future"),
    ]
    assert all(reject.value and reject.reason for reject in report.rejects)
    assert (report.rows_read, report.rows_landed, report.rows_rejected) == (51, 42, 9)
    assert [(gap.line, gap.starts_at, gap.half_hours) for gap in report.gaps] == [
        (11, START + timedelta(hours=5), 6),
    ]
    assert len(wh_of(ash)) == 42


def test_the_run_is_kept_with_its_refusals_and_gaps(ash):
    lines = lcl_lines(["0.1", "x", "0.3"])

    report = offer(lines, {"ASH": ash})

    run = ImportRun.objects.get()
    assert run.pk == report.run_id
    assert (run.source, run.name, run.imported_at) == ("lcl_csv", "offered.csv", AT)
    assert (run.rows_read, run.rows_landed, run.rows_rejected, run.gap_half_hours) == (3, 2, 1, 1)
    assert "end of the half-hour in UTC" in run.convention
    reject = ImportReject.objects.get(run=run)
    assert (reject.line, reject.field, reject.value, reject.code) == (3, "energy_kWh", "x", "not_a_number")
    gap = ImportGap.objects.get(run=run)
    assert (gap.line, gap.stream_id, gap.starts_at, gap.half_hours) == (
        2,
        ash,
        START + timedelta(minutes=30),
        1,
    )


def test_settlement_hears_which_streams_and_times_changed(ash, birch):
    report = offer(lcl_lines(["0.1"] * 3) + lcl_lines(["x"], meter="BIRCH"), {"ASH": ash, "BIRCH": birch})
    offer(lcl_lines(["0.1"] * 3), {"ASH": ash})

    fact = OutboxFact.objects.get(topic="metering.readings.stored")
    assert fact.at == AT
    assert fact.payload == {
        "run_id": report.run_id,
        "source": "lcl_csv",
        "streams": 1,
        "stream_ids": [str(ash)],
        "starts_at": START.isoformat(),
        "ends_at": (START + timedelta(minutes=90)).isoformat(),
    }


def test_a_correction_is_a_new_revision_and_nothing_is_edited(ash):
    offer(lcl_lines(["0.1", "0.2"]), {"ASH": ash})

    report = offer(lcl_lines(["0.1", "0.25"]), {"ASH": ash}, at=AT + timedelta(days=1))

    assert (report.rows_landed, report.rows_corrected, report.rows_unchanged) == (1, 1, 1)
    rows = HalfHour.objects.filter(stream_id=ash).order_by("starts_at", "revision")
    assert list(rows.values_list("import_wh", "revision", "known_at")) == [
        (100, 0, AT),
        (200, 0, AT),
        (250, 1, AT + timedelta(days=1)),
    ]


def test_a_large_import_goes_in_slices_and_nobody_can_tell(ash, birch, monkeypatch):
    monkeypatch.setattr(revising, "ROWS_A_SLICE", 7)
    streams = {"ASH": ash, "BIRCH": birch}
    lines = [*lcl_lines(["0.1"] * 20), *lcl_lines(["0.2"] * 20, meter="BIRCH")]
    offer(lines, streams)

    report = offer([*lines[:18], *lcl_lines(["0.3"] * 20, meter="BIRCH")], streams)

    assert (report.rows_corrected, report.rows_unchanged) == (20, 18)
    assert report.stream_ids == (birch,)
    assert report.interval == Interval(START, START + timedelta(hours=10))
    assert wh_of(ash) == [100] * 20
    assert wh_of(birch) == [200, 300] * 20


def test_an_estimate_that_is_confirmed_is_a_revision_too(ash):
    row = f"{ash},2026-01-05T00:00:00Z,431,0,"
    header = "meter,starts_at,import_wh,export_wh,quality"
    offer([row + "estimated"], None, header=header)

    report = offer([row + "measured"], None, header=header)

    assert report.rows_corrected == 1


def test_an_old_file_offered_again_does_not_undo_a_later_correction(ash):
    old, new = lcl_lines(["0.1"]), lcl_lines(["0.2"])
    offer(old, {"ASH": ash})
    offer(new, {"ASH": ash})

    again = offer(old, {"ASH": ash})

    assert again.changed_nothing
    assert wh_of(ash) == [100, 200]


def test_a_revision_is_never_known_before_the_one_it_replaces(ash):
    offer(lcl_lines(["0.1"]), {"ASH": ash}, at=AT)

    offer(lcl_lines(["0.2"]), {"ASH": ash}, at=AT - timedelta(days=3))

    assert set(HalfHour.objects.values_list("known_at", flat=True)) == {AT}


def test_two_sources_stand_side_by_side(ash):
    offer(lcl_lines(["0.1"]), {"ASH": ash})

    report = offer(lcl_lines(["0.3"]), {"ASH": ash}, source="cad")

    assert (report.source, report.rows_landed, report.rows_corrected) == ("cad", 1, 0)
    assert {row[2] for row in held()} == {"lcl_csv", "cad"}


def test_rows_that_differ_for_one_half_hour_are_all_refused(ash):
    lines = [*lcl_lines(["0.1", "0.2"]), *lcl_lines(["0.1", "0.3"])]

    report = offer(lines, {"ASH": ash})

    assert reasons(report) == [(3, "conflict"), (4, "duplicate"), (5, "conflict")]
    assert "line 5" in report.rejects[0].reason
    assert "line 3" in report.rejects[2].reason
    assert wh_of(ash) == [100]


def test_a_meter_nobody_knows_is_reported_once_with_its_count(ash):
    lines = lcl_lines(["0.1"] * 3) + lcl_lines(["0.1"] * 500, meter="ELSE")

    report = offer(lines, {"ASH": ash})

    (reject,) = report.rejects
    assert (reject.line, reject.value, reject.code, reject.rows) == (5, "ELSE", "unknown_meter", 500)
    assert "500 rows" in reject.reason
    assert (report.rows_rejected, report.rows_landed) == (500, 3)


def test_without_a_mapping_meters_are_stream_ids(ash):
    row = f"{ash},2026-01-05T00:00:00Z,431,0"

    report = offer([row, row.replace(str(ash), "MAC1")], None, header="meter,starts_at,import_wh,export_wh")

    assert (report.rows_landed, reasons(report)) == (1, [(3, "unknown_meter")])
    assert wh_of(ash) == [431]


def test_a_file_without_a_meter_column_fills_the_one_stream_given(ash, birch):
    header, lines = "halfhour ending at,usage", ["2026-01-05 00:30:00+00:00,0.058"]

    assert offer(lines, {"anything": ash}, header=header).rows_landed == 1
    assert offer(lines, {"one": ash, "two": birch}, header=header).rejects[0].code == "unknown_meter"
    assert offer(lines, {"one": ash, "two": birch}, header=header, meter="two").stream_ids == (birch,)


def test_wh_offered_as_kwh_are_refused_whole_even_where_a_value_looks_possible(ash, birch):
    wrong = lcl_lines([str(20 + 13 * slot % 700) for slot in range(48)])
    right = lcl_lines(["0.3"] * 48, meter="BIRCH")

    report = offer(wrong + right, {"ASH": ash, "BIRCH": birch})

    assert wh_of(ash) == []
    assert len(wh_of(birch)) == 48
    assert {reject.code for reject in report.rejects} == {"implausible", "unit_in_doubt"}
    assert report.rows_rejected == 48
    assert offer(wrong, {"ASH": ash}, unit="wh").rows_landed == 48


def test_kwh_offered_as_wh_are_refused_whole(ash):
    lines = [f"{ash},{at:%Y-%m-%dT%H:%M:%SZ},0.431,0" for at in half_hours(START, 48)]

    report = offer(lines, None, header="meter,starts_at,import_wh,export_wh")

    assert (report.rows_landed, report.rows_rejected) == (0, 48)
    assert report.rejects[0].code == "unit_in_doubt"


def test_a_dry_run_tells_the_same_and_keeps_nothing(ash):
    lines = lcl_lines(["0.1", "x", "0.3"])

    dry = offer(lines, {"ASH": ash}, dry_run=True)

    assert dry.run_id is None
    assert not held()
    assert not ImportRun.objects.exists()
    assert not OutboxFact.objects.exists()
    wet = offer(lines, {"ASH": ash})
    assert (dry.rows_landed, dry.rejects, dry.gaps) == (wet.rows_landed, wet.rejects, wet.gaps)


def test_a_header_alone_is_an_import_of_nothing(ash):
    report = offer([], {"ASH": ash})

    assert (report.rows_read, report.rows_landed, report.rejects) == (0, 0, ())


def test_refusals_beyond_the_first_ten_thousand_are_counted_and_not_kept(ash):
    report = offer(["ASH,2026-01-05 00:30:00,x"] * 10_050 + lcl_lines(["0.1"]), {"ASH": ash})

    assert (report.rows_rejected, len(report.rejects), report.rows_landed) == (10_050, 10_000, 1)
    assert ImportReject.objects.count() == 10_000


def test_text_that_postgresql_cannot_keep_does_not_stop_an_import(ash):
    lines = ["ASH,2026-01-05 00:30:00,0.1\x002", "A\x00B,2026-01-05 00:30:00,0.1", *lcl_lines(["0.5"])]

    report = offer(lines, {"ASH": ash})

    assert (report.rows_landed, report.rows_rejected) == (1, 2)


# Consent


def test_nothing_is_stored_without_consent(ash, alice):
    stranger = uuid4()

    report = offer(lcl_lines(["0.1"] * 10, meter="WHO"), {"WHO": stranger})

    assert not held()
    (reject,) = report.rejects
    assert (reject.code, reject.rows, reject.value) == ("no_consent", 10, "WHO")
    assert reject.reason.startswith("no consent")


def test_half_hours_before_and_after_the_consent_are_refused(ash, alice):
    before = JOINED_AT - timedelta(hours=1)  # 08:00, consent from 09:00
    consent = alice.occupancy.consents.get(purpose="settlement")
    withdrawn_at = JOINED_AT + timedelta(hours=2, minutes=10)  # 11:10
    consenting.withdraw_consent(consent_id=consent.pk, member=alice.member, at=withdrawn_at)

    report = offer(lcl_lines(["0.1"] * 8, start=before), {"ASH": ash})

    starts = HalfHour.objects.order_by("starts_at").values_list("starts_at", flat=True)
    assert list(starts) == half_hours(JOINED_AT, 4)
    assert [(reject.code, reject.rows) for reject in report.rejects] == [("no_consent", 4)]


def test_the_half_hour_in_which_consent_began_is_not_stored(ash, alice, carol):
    consent = alice.occupancy.consents.get(purpose="settlement")
    consenting.withdraw_consent(consent_id=consent.pk, member=alice.member, at=START + timedelta(minutes=20))

    offer(lcl_lines(["0.1"] * 2), {"ASH": ash})

    assert not held()


# Arrays


def table_of(ash: UUID, birch: UUID, values: Any, **options: Any) -> ImportReport:
    offered: dict[str, Any] = {"source": "hub", "name": "log 1", "at": AT, "starts_at": half_hours(START, 3)}
    return ingest.store_readings(stream_ids=[ash, birch], import_wh=values, **offered | options)


def test_a_table_of_streams_by_half_hours_lands_without_its_masked_places(ash, birch):
    values = np.ma.masked_equal([[1, 2, 3], [4, -1, 6]], -1)

    report = table_of(ash, birch, values)

    assert (report.rows_read, report.rows_landed, report.gap_half_hours) == (5, 5, 1)
    assert (wh_of(ash), wh_of(birch)) == ([1, 2, 3], [4, 6])


def test_rows_of_arrays_in_any_order_land(ash, birch):
    starts = [half_hours(START, 3)[slot] for slot in (2, 0, 1)]

    report = ingest.store_readings(
        source="cad",
        name="late",
        at=AT,
        stream_ids=[birch, ash, birch],
        starts_at=starts,
        import_wh=[3, 1, 2],
        export_wh=[30, 10, 20],
        quality=[0, 1, 0],
    )

    assert report.rows_landed == 3
    assert {(row[0], row[4], row[5], row[6]) for row in held()} == {
        (ash, 1, 10, Quality.ESTIMATED),
        (birch, 2, 20, Quality.MEASURED),
        (birch, 3, 30, Quality.MEASURED),
    }


def test_datetime64_and_datetimes_mean_the_same(ash, birch):
    starts = half_hours(START, 3)
    utc = np.array([at.replace(tzinfo=None) for at in starts], dtype="datetime64[s]")
    table_of(ash, birch, [[1, 2, 3], [4, 5, 6]])

    report = table_of(ash, birch, [[1, 2, 3], [4, 5, 6]], name="log 2", starts_at=utc)

    assert report.changed_nothing


def test_bad_values_in_arrays_are_refused_by_place(ash, birch):
    report = ingest.store_readings(
        source="cad",
        name="odd",
        at=AT,
        stream_ids=[ash] * 5,
        starts_at=[
            START,
            START + timedelta(minutes=10),
            START + timedelta(minutes=30),
            START + timedelta(hours=1),
            datetime(2026, 3, 4, 9, tzinfo=UTC),
        ],
        import_wh=[1, 2, -3, 2**40, 5],
    )

    assert reasons(report) == [(2, "off_grid"), (3, "negative"), (4, "implausible"), (5, "future")]
    assert wh_of(ash) == [1]


def test_the_same_message_again_changes_nothing_and_a_new_one_may_turn_back(ash, birch):
    one, two = [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 7]]
    table_of(ash, birch, one, name="message 1")
    table_of(ash, birch, two, name="message 2")

    assert table_of(ash, birch, one, name="message 1").changed_nothing
    assert table_of(ash, birch, one, name="message 3").rows_corrected == 1
    assert wh_of(birch) == [4, 5, 6, 7, 6]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"import_wh": [[1.5, 2, 3], [4, 5, 6]]}, TypeError),
        ({"import_wh": [[1, 2], [4, 5]]}, ValueError),
        ({"export_wh": [1, 2, 3]}, ValueError),
        ({"quality": [[0, 0, 0], [0, 0, 9]]}, ValueError),
    ],
)
def test_arrays_that_do_not_fit_are_a_callers_mistake(ash, birch, wrong, error):
    values = wrong.pop("import_wh", [[1, 2, 3], [4, 5, 6]])

    with pytest.raises(error):
        table_of(ash, birch, values, **wrong)


# Real files


def test_the_low_carbon_london_sample_lands_once(ash, birch, monkeypatch):
    windows = {ash: [(datetime(2010, 1, 1, tzinfo=UTC), None)]}
    monkeypatch.setattr(permits, "consent_windows", lambda stream_ids, **_: windows)
    streams = {"MAC000002": ash, "MAC000010": birch}

    report = ingest.import_file(path=shared_data(LCL), at=AT, streams=streams)
    again = ingest.import_file(path=shared_data(LCL), at=AT, streams=streams)

    assert (report.rows_read, report.rows_landed, report.rows_rejected) == (85_056, 24_140, 60_916)
    assert [(reject.code, reject.rows) for reject in report.rejects] == [
        ("off_grid", 1),
        ("no_consent", 20_305),
        ("unknown_meter", 20_305),
        ("unknown_meter", 20_305),
    ]
    assert [gap.half_hours for gap in report.gaps] == [1, 1, 48, 1, 1]
    assert report.gaps[2].starts_at == datetime(2012, 11, 8, tzinfo=UTC)
    assert (again.rows_landed, again.rows_unchanged) == (0, 24_140)


def test_the_powershaper_sample_lands_once_compressed_or_not(ash, monkeypatch, tmp_path):
    windows = {ash: [(datetime(2010, 1, 1, tzinfo=UTC), None)]}
    monkeypatch.setattr(permits, "consent_windows", lambda stream_ids, **_: windows)
    plain = tmp_path / "export.csv"
    plain.write_bytes(gzip.decompress(shared_data(POWERSHAPER).read_bytes()))

    report = ingest.import_file(path=shared_data(POWERSHAPER), at=AT, streams={"home": ash})
    again = ingest.import_file(path=plain, at=AT, streams={"home": ash})

    assert (report.rows_landed, report.rows_rejected, report.gap_half_hours) == (22_810, 0, 0)
    assert again.changed_nothing


# Clock changes in files of bare local time

LONG_DAY = [f"2025-10-26 {hour:02}:{minute}" for hour in (0, 1, 1, *range(2, 24)) for minute in ("00", "30")]
LOCAL: dict[str, Any] = {"adapter": "generic_csv", "columns": {"stamp": "when", "import": "kWh"}}


def long_day(order: int = 1) -> list[str]:
    """The 50 half-hours of 26 October 2025 by the clock on the wall, each with its number as Wh."""
    return [f"{stamp},0.0{number:02}" for number, stamp in enumerate(LONG_DAY)][::order]


def test_local_times_that_happen_twice_are_refused_unless_the_file_is_in_order(ash):
    report = offer(long_day(), {"home": ash}, header="when,kWh", **LOCAL)

    assert (report.rows_landed, report.rows_rejected, report.gap_half_hours) == (46, 4, 4)
    assert {reject.code for reject in report.rejects} == {"ambiguous_time"}


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_in_order_of_time_tells_the_two_hours_apart(ash, order):
    report = offer(long_day(order), {"home": ash}, header="when,kWh", ambiguous="in_order", **LOCAL)

    assert (report.rows_landed, report.rows_rejected, report.gap_half_hours) == (50, 0, 0)
    assert wh_of(ash) == list(range(50))
    starts = HalfHour.objects.order_by("starts_at").values_list("starts_at", flat=True)
    assert list(starts) == half_hours(datetime(2025, 10, 25, 23, tzinfo=UTC), 50)


def test_a_file_out_of_order_or_with_one_of_the_two_tells_nothing(ash):
    mixed = [*long_day()[10:20], *long_day()[:10], *long_day()[20:]]
    single = [row for row in long_day() if not row.endswith(("0.004", "0.005"))]

    for lines in (mixed, single):
        report = offer(lines, {"home": ash}, header="when,kWh", ambiguous="in_order", **LOCAL)
        assert {reject.code for reject in report.rejects} == {"ambiguous_time"}


def test_a_day_of_48_bare_local_rows_where_46_happened_lands_as_46(ash):
    lines = [f"2026-03-29 {slot // 2:02}:{slot % 2 * 30:02},0.1" for slot in range(48)]

    report = offer(lines, {"home": ash}, header="when,kWh", at=AT + timedelta(days=60), **LOCAL)

    assert reasons(report) == [(4, "no_such_time"), (5, "no_such_time")]
    assert report.rejects[0].value == "2026-03-29 01:00"
    assert (report.rows_landed, report.gap_half_hours) == (46, 0)
