"""An explanation names every day, survives storage, and knows the clock changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendsr.kernel.periods import period_count, period_of, period_starts
from settlement import baselines
from settlement.baselines import presets, rules
from settlement.baselines.clock import local_half_hour, slot_of
from settlement.baselines.explaining import LeftOut, as_json, explain, from_json
from tests.settlement.cubes import cube_of, half_hours
from tests.settlement.test_baselines import EVERY_RULE, homes

CLOCK_CHANGES = [date(2026, 3, 29), date(2026, 10, 25)]


def reasons(rule, event, readings, event_days=()):
    days = baselines.days_needed(rule, event, [event_days])
    result = baselines.baseline(rule, cube_of([readings], days), event, [event_days])
    explained = explain(result, 0)
    return explained, {out.day: out.reason for out in explained.left_out}


def evening(days, wh=lambda day: 100):
    return {
        start: wh(day)
        for day in days
        for start in period_starts(day)
        if local_half_hour(start)[1].ordinal >= 34
    }


@pytest.mark.parametrize("day", [*CLOCK_CHANGES, date(2026, 7, 1)])
def test_a_half_hour_of_a_day_is_its_own_cube_slot(day):
    for start in period_starts(day):
        assert slot_of(local_half_hour(start)[1], day) == period_of(start)[1] - 1


@pytest.mark.parametrize("day", CLOCK_CHANGES)
def test_seventeen_oclock_is_seventeen_oclock_whatever_the_clocks_did(day):
    ordinary = date(2026, 7, 1)
    found = {slot_of(local_half_hour(start)[1], day) for start in period_starts(ordinary)} - {None}

    assert len(found) == min(period_count(day), 48)
    assert slot_of(local_half_hour(period_starts(ordinary)[34])[1], day) == 34 + (period_count(day) - 48)


def test_readings_are_found_on_clock_change_days():
    streams = [{start: row for row, start in enumerate(period_starts(day))} for day in CLOCK_CHANGES]
    for day, readings in zip(CLOCK_CHANGES, streams, strict=True):
        wh, present = baselines.readings_at(cube_of([readings], [day]), list(readings))
        assert wh.tolist() == [list(readings.values())]
        assert present.all()


def test_bank_holidays_and_event_days_are_named():
    event = half_hours(datetime(2026, 5, 6, 16, tzinfo=UTC), 2)
    days = baselines.days_needed(presets.DFS_2023_DOMESTIC, event, [{date(2026, 5, 5)}])

    explained, out = reasons(presets.DFS_2023_DOMESTIC, event, evening(days), {date(2026, 5, 5)})

    assert out == {date(2026, 5, 5): LeftOut.EVENT_DAY, date(2026, 5, 4): LeftOut.BANK_HOLIDAY}
    assert len(explained.days_used) == 10


def test_the_day_the_clocks_change_is_named():
    event = half_hours(datetime(2026, 10, 31, 17, tzinfo=UTC), 2)
    days = baselines.days_needed(presets.DFS_2023_DOMESTIC, event, [()])

    explained, out = reasons(presets.DFS_2023_DOMESTIC, event, evening(days))

    assert out == {date(2026, 10, 25): LeftOut.CLOCK_CHANGE}
    assert explained.days_used == [date(2026, 10, day) for day in (24, 18, 17, 11)]


def test_the_highest_and_the_lowest_day_are_named():
    event = half_hours(datetime(2026, 11, 25, 17, tzinfo=UTC), 2)
    rule = presets.ENA_MID_8_OF_10
    like = baselines.candidate_days(rule, date(2026, 11, 25))
    use = {like[2]: 900, like[5]: 1}

    explained, out = reasons(rule, event, evening(like, lambda day: use.get(day, 100)))

    assert out == {like[2]: LeftOut.HIGHEST, like[5]: LeftOut.LOWEST}
    assert len(explained.days_used) == 8


def test_days_passed_over_for_want_of_a_reading_are_named():
    event = half_hours(datetime(2026, 11, 25, 17, tzinfo=UTC), 2)
    rule = replace(presets.DFS_2023_DOMESTIC, gaps=rules.Gaps.REACH_BACK)
    like = baselines.like_days(rule, date(2026, 11, 25))

    explained, out = reasons(rule, event, evening(like[1:12]))

    assert out == {like[0]: LeftOut.NO_READING}
    assert explained.days_used == like[1:11]


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_an_explanation_survives_storage(rule, data):
    streams, event_days, event, days = data.draw(homes(rule))
    result = baselines.baseline(rule, cube_of(streams, days), event, event_days)

    for row in range(len(streams)):
        explained = explain(result, row)
        assert from_json(as_json(explained)) == explained
        for part in explained.parts:
            used, out = {each.day for each in part.used}, {each.day for each in part.left_out}
            assert not used & out
            assert all(day < part.day for day in used | out)
