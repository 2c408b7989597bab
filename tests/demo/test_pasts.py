"""Real readings on the demo's days: every adapter's stamps agree, bad rows are told, gaps stay gaps."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from metering.adapters.reading import FileUnusable
from opendsr.demo import pasts
from opendsr.demo.days import TooLittleHistory, history_days
from opendsr.kernel.periods import period_starts
from tests.samples import shared_data

EVENT_DAY = date(2026, 11, 23)
FIRST = datetime(2025, 8, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def wh_of(number: int) -> int:
    """A value that names its half-hour."""
    return 100 + number % 48 + 100 * (number // 48 % 7)


def lcl(count: int, meter: str = "MAC1") -> str:
    """LCL rows: stamped at the period's end."""
    rows = (
        f"{meter},{FIRST + (n + 1) * HALF_HOUR:%Y-%m-%d %H:%M:%S},{wh_of(n) / 1000}" for n in range(count)
    )
    return "\n".join(["LCLid,tstp,energy_kWh", *rows, ""])


def powershaper(count: int) -> str:
    """A PowerShaper export: newest first, period end, explicit UTC."""
    rows = [f"{FIRST + (n + 1) * HALF_HOUR:%Y-%m-%d %H:%M:%S}+00:00,{wh_of(n) / 1000}" for n in range(count)]
    return "\n".join(["halfhour ending at,usage", *reversed(rows), ""])


def opendsr(count: int) -> str:
    """Our own log: period start."""
    rows = (f"CAD1,{FIRST + n * HALF_HOUR:%Y-%m-%dT%H:%M:%SZ},{wh_of(n)},0" for n in range(count))
    return "\n".join(["meter,starts_at,import_wh,export_wh", *rows, ""])


@pytest.mark.parametrize("write", [lcl, powershaper, opendsr])
def test_a_reading_lands_on_its_weekday_and_time_whatever_the_stamp(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "homes.csv"
    path.write_text(write(48 * 400))

    found = pasts.from_file(path, EVENT_DAY)

    (past,) = found.pasts
    for day in [*history_days(EVENT_DAY), EVENT_DAY]:
        for start, wh in zip(period_starts(day), past.base_wh(day), strict=True):
            source = start - past.moved
            assert source.weekday() == start.weekday()
            assert wh == wh_of((source - FIRST) // HALF_HOUR)


def test_bad_rows_are_told_and_the_good_ones_kept(tmp_path: Path) -> None:
    lines = lcl(48 * 90).splitlines()
    lines[100] = "MAC1,2025-08-03 02:07:11,0.2"
    lines[200] = "MAC1,2025-08-05 04:00:00,Null"
    path = tmp_path / "homes.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))

    found = pasts.from_file(path, EVENT_DAY)

    assert [reject.line for reject in found.rejects] == [101, 201]
    assert found.rejected == 2
    assert len(found.pasts) == 1


def test_a_half_hour_that_comes_twice_is_told_whether_it_agrees_or_not(tmp_path: Path) -> None:
    lines = lcl(48 * 90).splitlines()
    lines.insert(51, lines[50])
    lines.append(lines[200].rsplit(",", 1)[0] + ",0.999")
    path = tmp_path / "homes.csv"
    path.write_text("\n".join(lines))

    found = pasts.from_file(path, EVENT_DAY)

    assert {(reject.line, reject.code) for reject in found.rejects} == {
        (52, "duplicate"),
        (201, "conflict"),
        (len(lines), "conflict"),
    }


def test_a_stated_convention_can_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "homes.csv"
    path.write_text(lcl(48 * 90))

    (as_stated,) = pasts.from_file(path, EVENT_DAY).pasts
    (as_told,) = pasts.from_file(path, EVENT_DAY, stamp="start").pasts

    assert as_told.first_slot == as_stated.first_slot + 1


def test_a_half_hour_that_is_missing_stays_missing(tmp_path: Path) -> None:
    lines = lcl(48 * 90).splitlines()
    gone = lines.pop(48 * 60 + 10)
    path = tmp_path / "homes.csv"
    path.write_text("\n".join(lines))

    (past,) = pasts.from_file(path, EVENT_DAY).pasts
    missing = [
        start - past.moved + HALF_HOUR
        for day in [*history_days(EVENT_DAY), EVENT_DAY]
        for start, wh in zip(period_starts(day), past.base_wh(day), strict=True)
        if wh is None
    ]

    assert [f"{end:%Y-%m-%d %H:%M:%S}" for end in missing] == [gone.split(",")[1]]


def test_a_home_without_a_complete_day_is_left_out_by_name(tmp_path: Path) -> None:
    path = tmp_path / "homes.csv"
    path.write_text(lcl(48 * 90) + "MAC2,2025-08-01 00:30:00,0.1\n")

    found = pasts.from_file(path, EVENT_DAY)

    assert found.left_out == ("MAC2",)


def test_a_file_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    short, alien = tmp_path / "short.csv", tmp_path / "alien.csv"
    short.write_text(lcl(40))
    alien.write_text("a,b\n1,2\n")

    with pytest.raises(TooLittleHistory, match=r"short\.csv"):
        pasts.from_file(short, EVENT_DAY)
    with pytest.raises(FileUnusable, match=r"alien\.csv"):
        pasts.from_file(alien, EVENT_DAY)
    with pytest.raises(pasts.HomesFileMissing, match="nowhere"):
        pasts.from_file(tmp_path / "nowhere.csv", EVENT_DAY)


def test_the_london_sample_gives_four_homes_and_its_known_bad_row() -> None:
    found = pasts.from_file(shared_data("lcl_4homes_halfhourly.csv.gz"), EVENT_DAY)

    assert [past.meter for past in found.pasts] == ["MAC000002", "MAC000010", "MAC004391", "MAC004929"]
    assert [(reject.line, reject.value) for reject in found.rejects] == [(3240, "2012-12-19 12:37:27")]


def test_the_same_day_gives_the_same_generated_homes() -> None:
    first, again = (pasts.generated(3, EVENT_DAY) for _ in range(2))

    assert [past.base_wh(EVENT_DAY) for past in first] == [past.base_wh(EVENT_DAY) for past in again]
    assert first[0].base_wh(EVENT_DAY) != first[1].base_wh(EVENT_DAY)
