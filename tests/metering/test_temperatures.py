"""Outdoor temperatures: hours hold for an hour, days for a day, and what is no temperature is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from io import BytesIO, StringIO

import pytest
from django.core.management import call_command

from metering import rates
from metering.adapters import rate_files
from metering.models import HalfHourlyRate
from metering.slots import slot_of

AT = datetime(2026, 4, 8, 12, tzinfo=UTC)


def read(text: str) -> tuple[str, dict[int, float], list[tuple[int, str]]]:
    table = rate_files.open_table(BytesIO(text.encode()), name="t.csv")
    found, refused = rate_files.read(table)
    assert {rate.kind for rate in found} <= {"temperature"}
    told = {rate.slot: float(rate.value) for rate in found}
    return table.adapter, told, [(each.line, each.code) for each in refused]


def test_an_hourly_value_holds_an_hour_unless_the_half_hour_tells_its_own():
    adapter, told, refused = read(
        "time,celsius\n2026-01-05T00:00Z,4.5\n2026-01-05 01:00,-1\n2026-01-05T01:30+00:00,-1.55\n"
    )

    first = slot_of(datetime(2026, 1, 5, tzinfo=UTC))
    assert (adapter, refused) == ("temperatures", [])
    assert told == {first: 4.5, first + 1: 4.5, first + 2: -1.0, first + 3: -1.55, first + 4: -1.55}


@pytest.mark.parametrize(("day", "half_hours"), [("2026-03-29", 46), ("29/03/2026", 46), ("2026-10-25", 50)])
def test_a_daily_mean_holds_all_day_clock_changes_too(day: str, half_hours: int):
    adapter, told, refused = read(f"date,mean_celsius\n{day},7\n")

    assert (adapter, refused) == ("daily_temperatures", [])
    assert list(told.values()) == [7.0] * half_hours
    assert max(told) - min(told) == half_hours - 1


def test_what_is_no_temperature_is_refused_by_line():
    _, told, refused = read(
        "time,celsius\n2026-01-05T00:00Z,mild\n2026-01-05T00:10Z,3\n2026-01-05T01:00Z,77\n2026-01-05T02:00Z,\n"
    )
    _, _, days = read("date,mean_celsius\n31/02/2026,3\n2026-01-05,\n")

    assert told == {}
    assert refused == [(2, "not_a_number"), (3, "off_grid"), (4, "implausible"), (5, "null")]
    assert days == [(2, "not_a_date"), (3, "null")]


@pytest.mark.django_db
def test_they_are_stored_beside_prices_and_come_back_by_day(tmp_path):
    path = tmp_path / "warm.csv"
    path.write_text("time,celsius\n2026-10-25T00:00Z,8.26\n2026-10-25T23:30Z,-0.04\n")

    out = StringIO()
    call_command("import_rates", str(path), stdout=out)

    assert "as temperatures" in out.getvalue()
    assert HalfHourlyRate.objects.filter(kind="temperature").count() == 4
    tenths, known = rates.temperatures_of([date(2026, 10, 24), date(2026, 10, 25)])
    assert known.sum(axis=1).tolist() == [0, 3]
    assert tenths[1, [2, 3, 49]].tolist() == [83, 83, 0]
    assert rates.temperatures_of([])[1].size == 0
