"""Power samples as files: to half-hours with what was not seen told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import ingest, store
from metering.adapters import power_csv
from metering.adapters.formats import Reject, Row
from opendsr.kernel.interval import Interval

START = datetime(2026, 1, 5, tzinfo=UTC)
HEADER = "time_utc,power_w"


def parsed(*rows: str, header: str = HEADER, **options: str) -> list[Row | Reject]:
    return list(power_csv.parse([header, *rows], **options))


def every(seconds: int, count: int, watts: float = 1_000) -> list[str]:
    return [f"{START + timedelta(seconds=seconds * n):%Y-%m-%d %H:%M:%S},{watts}" for n in range(count)]


def told(found: list[Row | Reject]) -> list[tuple[datetime, int, int, int]]:
    return [
        (row.starts_at, row.import_wh, row.export_wh, row.quality) for row in found if isinstance(row, Row)
    ]


def test_a_regular_log_is_held_for_a_minute():
    found = parsed(*every(10, 360, 800), *(f"2026-01-05 01:{minute}:00," for minute in range(30, 33)))

    half = timedelta(minutes=30)
    assert told(found) == [(START, 400, 0, 0), (START + half, 400, 0, 0)]
    assert [reject.code for reject in found if isinstance(reject, Reject)] == ["null"] * 3


def test_power_sent_out_is_export_and_half_seen_is_an_estimate():
    found = parsed(*every(10, 120, -600))  # 20 of 30 minutes

    assert told(found) == [(START, 0, 300, 1)]


def test_a_log_on_change_is_held_for_ten_minutes():
    rows = [f"2026-01-05 00:{minute:02}:0{minute % 7},1000" for minute in (0, 1, 2, 9, 17, 25, 26)]

    assert told(parsed(*rows, header="t,w")) == [(START, 500, 0, 0)]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2026-01-05 00:00:00,much", "not_a_number"),
        ("2026-01-05 00:00:00,nan", "implausible"),
        ("2026-01-05 00:00:00,9000000", "implausible"),
        ("2026-01-05 25:00:00,1", "not_a_time"),
        ("1970-01-05 00:00:00,1", "not_a_time"),
        ("2026-01-05 00:00:00", "too_few_columns"),
        (",1", "not_a_time"),
    ],
)
def test_each_row_that_is_none_says_why(row, code):
    (reject,) = parsed(row)

    assert isinstance(reject, Reject)
    assert (reject.line, reject.code) == (2, code)
    assert reject.reason


def test_local_times_of_both_clock_change_days():
    spring = parsed(
        "2026-03-29 01:10:00,5", *(f"2026-03-29 02:{n:02}:00,600" for n in range(30)), tz="Europe/London"
    )
    autumn = parsed(
        "2026-10-25 01:10:00,5", *(f"2026-10-25 02:{n:02}:00,600" for n in range(30)), tz="Europe/London"
    )

    assert [row[:2] for row in told(spring)] == [(datetime(2026, 3, 29, 1, tzinfo=UTC), 300)]
    assert [row[:2] for row in told(autumn)] == [(datetime(2026, 10, 25, 2, tzinfo=UTC), 300)]


def test_a_time_with_its_offset_is_sure_even_in_the_hour_that_happens_twice():
    rows = [f"2026-10-25T01:{n:02}:00{offset},600" for offset in ("+01:00", "Z") for n in range(30)]

    assert [row[:2] for row in told(parsed(*rows, tz="Europe/London"))] == [
        (datetime(2026, 10, 25, 0, tzinfo=UTC), 300),
        (datetime(2026, 10, 25, 1, tzinfo=UTC), 300),
    ]


@given(st.lists(st.integers(0, 86_400), min_size=1, max_size=50, unique=True))
def test_a_sample_is_held_for_a_minute_to_ten(seconds):
    held = power_csv.hold_seconds(np.array(seconds, dtype=np.int64) * 1_000_000)

    assert 60 <= held <= 600


@pytest.mark.django_db
def test_a_file_of_power_is_imported_once(alice, tmp_path):
    path = tmp_path / "power.csv"
    path.write_text("\n".join([HEADER, *every(10, 360)]))

    for landed in (2, 0):
        report = ingest.import_file(
            path=path, at=START + timedelta(days=1), streams={"meter": alice.stream_id}
        )
        assert (report.rows_landed, report.rows_rejected) == (landed, 0)

    rows = store.half_hours(alice.stream_id, Interval(START, START + timedelta(hours=1)))
    assert [(row.import_wh, row.source) for row in rows] == [(500, "power_csv"), (500, "power_csv")]
