"""Stamps of files to half-hours, on ordinary and on clock-change days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.adapters.formats import Flag, Stamp
from metering.adapters.stamps import NAIVE_EPOCH, Refused, local_slots, read_stamp
from metering.slots import start_of
from tests.metering.samples import AUTUMN, SPRING, half_hours

LONDON = "Europe/London"


def read(text: str, *, stamp: Stamp = Stamp.START, tz: str = "UTC") -> datetime:
    slot, _ = read_stamp(text, stamp=stamp, tz=tz)
    return start_of(slot)


def outcome_of(text: str, tz: str) -> object:
    """Slot and flags, or the code of the refusal."""
    try:
        return read_stamp(text, stamp=Stamp.START, tz=tz)
    except Refused as refused:
        return refused.code


@pytest.mark.parametrize(
    "text",
    [
        "2025-07-01 17:30",
        "2025-07-01T17:30",
        "2025-07-01 17:30:00",
        "2025-07-01T17:30:00Z",
        "2025-07-01 17:30:00.0000000",
        "2025-07-01 17:30:00+00:00",
        "2025-07-01 18:30:00+01:00",
        "2025-07-01T18:30+0100",
        "2025-07-01 12:00:00-05:30",
        "2025-7-1 17:30",
        "01/07/2025 17:30",
        "1/7/2025 17:30",
        "01/07/2025 17:30:00 UTC",
    ],
)
def test_the_usual_ways_to_write_a_time_are_read(text):
    assert read(text) == datetime(2025, 7, 1, 17, 30, tzinfo=UTC)


def test_a_bare_stamp_follows_the_zone_and_an_offset_wins():
    assert read("2025-07-01 17:30", tz=LONDON) == datetime(2025, 7, 1, 16, 30, tzinfo=UTC)
    assert read("2025-07-01 17:30Z", tz=LONDON) == datetime(2025, 7, 1, 17, 30, tzinfo=UTC)


def test_an_end_stamp_names_the_half_hour_before_it():
    assert read("2025-01-01 00:00", stamp=Stamp.END) == datetime(2024, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "null"),
        ("yesterday", "not_a_time"),
        ("2025-01-01", "not_a_time"),
        ("01/02/2025", "not_a_time"),
        ("2025-13-01 00:00", "not_a_time"),
        ("2025-02-29 00:00", "not_a_time"),
        ("2025-01-01 24:00", "not_a_time"),
        ("2025-01-01 12:60", "not_a_time"),
        ("1970-01-01 00:00", "not_a_time"),
        ("9999-01-01 00:00", "not_a_time"),
        ("2025-01-01 00:00+99:00", "not_a_time"),
        ("２０２５-01-01 00:00", "not_a_time"),
        ("2012-12-19 12:37:27", "off_grid"),
        ("2025-01-01 00:15", "off_grid"),
        ("2025-01-01 00:00:01", "off_grid"),
        ("2025-01-01 00:00:00.5", "off_grid"),
        ("2025-01-01 00:00+00:10", "off_grid"),
    ],
)
def test_what_names_no_half_hour_is_refused_with_its_reason(text, code):
    with pytest.raises(Refused) as refused:
        read(text)

    assert refused.value.code == code


@pytest.mark.parametrize("text", ["2025-03-30 01:00", "30/03/2025 01:30"])
def test_a_local_time_that_the_clocks_skip_does_not_exist(text):
    with pytest.raises(Refused) as refused:
        read(text, tz=LONDON)

    assert refused.value.code == "no_such_time"
    assert "clocks went forward" in refused.value.reason


@pytest.mark.parametrize("text", ["2025-10-26 01:00", "2025-10-26 01:30"])
def test_a_local_time_that_happens_twice_is_flagged(text):
    slot, flags = read_stamp(text, stamp=Stamp.START, tz=LONDON)

    assert flags == Flag.AMBIGUOUS
    assert start_of(slot).astimezone(ZoneInfo(LONDON)).fold == 0


def test_the_rest_of_a_clock_change_day_is_plain():
    assert read("2025-03-30 00:30", tz=LONDON) == SPRING + timedelta(minutes=30)
    assert read("2025-03-30 02:00", tz=LONDON) == SPRING + timedelta(hours=1)
    assert read("2025-10-26 00:30", tz=LONDON) == AUTUMN - timedelta(minutes=30)
    assert read("2025-10-26 02:00", tz=LONDON) == AUTUMN + timedelta(hours=2)


@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)),
    st.sampled_from([LONDON, "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_columns_of_local_times_agree_with_single_ones(at, tz):
    minutes = (at - NAIVE_EPOCH) // timedelta(minutes=1)
    text = f"{at:%Y-%m-%d %H:%M}"

    utc_minutes, is_twice, is_real = local_slots(np.array([minutes]), tz)

    if not is_real[0]:
        outcome: object = "no_such_time"
    elif utc_minutes[0] % 30:
        outcome = "off_grid"
    else:
        outcome = utc_minutes[0] // 30, Flag.AMBIGUOUS if is_twice[0] else 0
    assert outcome == outcome_of(text, tz)


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_every_half_hour_of_a_clock_change_day_round_trips_with_its_offset(day):
    for at in half_hours(day - timedelta(hours=3), 60):
        assert read(at.astimezone(ZoneInfo(LONDON)).isoformat(), tz=LONDON) == at
