"""Durations and date-times of the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oadr.errors import InvalidValue
from oadr.timeformat import format_datetime, format_duration, parse_datetime, parse_duration
from tests.oadr.samples import datetimes


@given(seconds=st.integers(-(10**9), 10**9))
def test_durations_survive(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0),
        ("P", 0),
        ("PT", 0),
        ("PT120M", 7200),
        ("PT1H30M", 5400),
        ("P1DT1H", 90_000),
        ("+PT5M", 300),
        ("-PT5M", -300),
        ("P1M", 30 * 86_400),
        ("P1Y", 365 * 86_400),
        ("P2W", 14 * 86_400),
        ("2W", 14 * 86_400),
    ],
)
def test_durations_as_the_schema_lets_them_be(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "PT5", "PTS", "P-5M", "PT1.5S", "PT５M", "P101Y", "-P101Y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_duration(text)


@given(at=datetimes)
def test_datetimes_survive(at: datetime) -> None:
    assert parse_datetime(format_datetime(at)) == at


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-24T17:00:00Z", datetime(2026, 11, 24, 17, tzinfo=UTC)),
        ("2026-11-24T17:00:00", datetime(2026, 11, 24, 17, tzinfo=UTC)),
        ("2026-11-24T17:00:00.5Z", datetime(2026, 11, 24, 17, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-24T17:00:00.1234567891Z", datetime(2026, 11, 24, 17, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-11-24T24:00:00Z", datetime(2026, 11, 25, tzinfo=UTC)),
        ("  2026-11-24T17:00:00.Z\n", datetime(2026, 11, 24, 17, tzinfo=UTC)),
    ],
)
def test_datetimes_as_the_schema_lets_them_be(text: str, at: datetime) -> None:
    assert parse_datetime(text) == at


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-24", "2026-11-24T17:00:00+01:00", "0000-01-01T00:00:00Z", "9999-12-31T24:00:00Z", "２026"],
)
def test_what_is_no_utc_datetime_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_datetime(text)


def test_local_time_leaves_as_utc() -> None:
    summer = timezone(timedelta(hours=1))

    assert format_datetime(datetime(2026, 7, 1, 12, tzinfo=summer)) == "2026-07-01T11:00:00Z"


def test_a_naive_datetime_never_leaves() -> None:
    with pytest.raises(ValueError, match="aware"):
        format_datetime(datetime(2026, 7, 1, 12))
