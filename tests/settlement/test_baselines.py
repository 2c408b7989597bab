"""Baselines against published vectors, and against a slow hand-written oracle on generated homes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendsr.kernel.periods import period_starts
from settlement import baselines
from settlement.baselines import presets, rules
from settlement.baselines.arrays import Given
from settlement.baselines.clock import local_half_hour
from settlement.baselines.explaining import Explanation, explain
from settlement.baselines.rules import Adjustment, BaselineRule, Busy, DayType, Gaps, Keep, Method
from settlement.delivery import DeliveryRule, measure
from tests.settlement import oracle
from tests.settlement.cubes import Cube, cube_of, days_between, half_hours

UTC_17 = datetime(2023, 12, 25, 17, tzinfo=UTC)
BY_DAYS = [rule for rule in presets.PRESETS.values() if rule.uses_days]
WITHOUT_DAYS = [rule for rule in presets.PRESETS.values() if not rule.uses_days]
MIXED = [
    replace(presets.DFS_2023_DOMESTIC, name="reach_back", gaps=Gaps.REACH_BACK),
    replace(presets.PJM_4_OF_5, name="reach_back_low_use", gaps=Gaps.REACH_BACK),
    replace(presets.ENA_MID_8_OF_10, name="whole_day", gaps=Gaps.WHOLE_DAY),
    replace(presets.ISO_NE_90_10, name="rolling_whole_day", gaps=Gaps.WHOLE_DAY, seed_days=1),
    replace(presets.DFS_2022, name="bounded", floor_pct=80, cap_pct=130, busy_window=Busy.KEEP),
    replace(presets.DFS_2023_DOMESTIC, name="event_days_in", leaves_out_event_days=False),
    BaselineRule(
        name="three_types",
        title="high 3 of 5, low 2 of 3, most recent 2 of 3; up only; before and after",
        day_types=(
            DayType("weekday", (0, 1, 2, 3, 4), False, candidates=5, minimum=2, keep=Keep.HIGH, kept=3),
            DayType("saturday", (5,), False, candidates=3, minimum=1, keep=Keep.LOW, kept=2),
            DayType("sunday", (6,), True, candidates=3, minimum=1, keep=Keep.RECENT, kept=2),
        ),
        calendar=rules.Calendar.SCOTLAND,
        look_back_days=45,
        leaves_out_clock_change_days=False,
        extra_holidays=(date(2026, 4, 21),),
        not_holidays=(date(2026, 5, 4),),
        adjustment=Adjustment.ADDITIVE_UP_ONLY,
        window_half_hours=2,
        after_half_hours=3,
        after_starts_half_hours_after=1,
        source="tests",
        certainty=rules.Certainty.OURS,
    ),
]
EVERY_RULE = [*BY_DAYS, *MIXED]
MEANS = [rule for rule in EVERY_RULE if rule.method is Method.MEAN]


def one_home(rule: BaselineRule, readings: dict[datetime, int], event: list[datetime]) -> baselines.Baseline:
    days = baselines.days_needed(rule, event, [()])
    return baselines.baseline(rule, cube_of([readings], days), event, [()])


def dates(*days: str) -> list[date]:
    return [date.fromisoformat(day) for day in days]


def test_the_peers_weekday_mean():
    # Values 1.1, 1.2, 1.3 kWh in turn over ten weekdays: 1.19 a half-hour, 2.38 in all.
    history = dates(
        "2023-12-22", "2023-12-21", "2023-12-20", "2023-12-19", "2023-12-18",
        "2023-12-15", "2023-12-14", "2023-12-13", "2023-12-12", "2023-12-11",
    )  # fmt: skip
    event = half_hours(UTC_17, 2)
    readings = {
        datetime(day.year, day.month, day.day, 17, minute, tzinfo=UTC): 1100 + 100 * (row % 3)
        for row, day in enumerate(history)
        for minute in (0, 30)
    }

    result = one_home(presets.OCTOPUS_SAVING_SESSION, readings, event)

    assert result.wh.tolist() == [[1190, 1190]]
    assert [used.day for used in baselines_explained(result).parts[0].used] == history


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("2023-12-31", ["2023-12-30", "2023-12-24", "2023-12-23", "2023-12-17"]),
        ("2023-12-30", ["2023-12-24", "2023-12-23", "2023-12-17", "2023-12-16"]),
        (
            "2023-12-29",
            ["2023-12-28", "2023-12-27", "2023-12-26", "2023-12-25", "2023-12-22",
             "2023-12-21", "2023-12-20", "2023-12-19", "2023-12-18", "2023-12-15"],
        ),
    ],
)  # fmt: skip
def test_the_peers_days(event, expected):
    found = baselines.candidate_days(presets.OCTOPUS_SAVING_SESSION, date.fromisoformat(event))

    assert found == dates(*expected)


def test_a_working_day_calendar_drops_christmas():
    found = baselines.candidate_days(presets.DFS_2023_DOMESTIC, date(2023, 12, 29))

    assert found == dates(
        "2023-12-28", "2023-12-27", "2023-12-22", "2023-12-21", "2023-12-20",
        "2023-12-19", "2023-12-18", "2023-12-15", "2023-12-14", "2023-12-13",
    )  # fmt: skip


def test_a_bank_holiday_is_like_a_weekend():
    found = baselines.candidate_days(presets.DFS_2023_DOMESTIC, date(2023, 12, 25))

    assert found == dates("2023-12-24", "2023-12-23", "2023-12-17", "2023-12-16")


def test_the_in_day_adjustment_is_not_halved():
    # 0.5 kWh a half-hour usually, 0.25 in the window and in the event: nothing was delivered.
    event = half_hours(datetime(2023, 2, 14, 17, 30, tzinfo=UTC), 2)
    readings = {
        at: 500 for day in days_between(date(2022, 12, 1), date(2023, 2, 13)) for at in period_starts(day)
    }
    readings |= dict.fromkeys(half_hours(datetime(2023, 2, 14, 13, 30, tzinfo=UTC), 6), 250)
    readings |= dict.fromkeys(event, 250)
    # The half-hours between the window and the event are not looked at.
    readings |= dict.fromkeys(half_hours(datetime(2023, 2, 14, 16, 30, tzinfo=UTC), 2), 9_999)

    result = one_home(presets.DFS_2022, readings, event)
    cube = cube_of([readings], [date(2023, 2, 14)])
    metered, present = baselines.readings_at(cube, event)
    delivery = measure(
        baseline_wh=result.wh,
        has_baseline=result.present,
        metered_wh=metered,
        has_reading=present,
        direction="turn_down",
        instructed_half_hour_wh=np.array([500]),
        takes_part=np.array([True]),
        rule=DeliveryRule(),
    )

    assert result.wh.tolist() == [[250, 250]]
    assert baselines_explained(result).adjustment_wh == -250
    assert delivery.half_hour_wh.tolist() == [[0, 0]]


@pytest.mark.parametrize(("event_day_wh", "expected_wh"), [(600, 600), (400, 500)])
def test_an_up_only_adjustment_never_lowers(event_day_wh, expected_wh):
    # The US agreement: 500 against 600 adds 100, 500 against 400 adds nothing; one hour starting 2 h before.
    rule = replace(
        presets.DFS_2022,
        adjustment=Adjustment.ADDITIVE_UP_ONLY,
        window_half_hours=2,
        window_ends_half_hours_before=2,
    )
    event = half_hours(datetime(2023, 2, 14, 17, tzinfo=UTC), 1)
    readings = {
        at: 500 for day in days_between(date(2022, 12, 1), date(2023, 2, 13)) for at in period_starts(day)
    }
    readings |= dict.fromkeys(half_hours(datetime(2023, 2, 14, 15, tzinfo=UTC), 2), event_day_wh)

    assert one_home(rule, readings, event).wh.tolist() == [[expected_wh]]


def baselines_explained(result: baselines.Baseline, stream: int = 0) -> Explanation:
    return explain(result, stream)


@st.composite
def homes(draw, rule: BaselineRule):
    """A few homes around a clock change or an ordinary spell: patchy readings, event days, an event.

    Readings exist only at times of the clock that the event or its window touch.
    """
    day = draw(
        st.sampled_from(
            [date(2026, 3, 29), date(2026, 3, 30), date(2026, 10, 25), date(2026, 10, 26), date(2026, 5, 4)]
        )
    ) + timedelta(days=draw(st.integers(0, 20)))
    starts_at = draw(st.sampled_from(period_starts(day)))
    event = half_hours(starts_at, draw(st.integers(1, 6)))
    days = baselines.days_needed(replace(rule, gaps=Gaps.REACH_BACK), event, [()])
    times = {local_half_hour(at)[1].ordinal for at in [*event, *oracle.window_of(rule, event)]}
    every_half_hour = [
        at for one in days for at in period_starts(one) if local_half_hour(at)[1].ordinal in times
    ]
    streams, event_days = [], []
    for _ in range(draw(st.integers(1, 3))):
        random = np.random.default_rng(draw(st.integers(0, 2**32)))
        spread = draw(st.sampled_from([1, 3, 5_000]))
        lowest = draw(st.sampled_from([-spread, 0]))
        values = random.integers(lowest, spread + 1, len(every_half_hour)).tolist()
        gaps = draw(st.sampled_from([0.0, 0.1, 0.6]))
        kept = random.random(len(every_half_hour)) >= gaps
        streams.append(
            {at: wh for at, wh, is_kept in zip(every_half_hour, values, kept, strict=True) if is_kept}
        )
        share = draw(st.sampled_from([0.0, 0.3]))
        event_days.append({one for one in days if random.random() < share})
    return streams, event_days, event, days


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_agrees_with_the_oracle(rule, data):
    streams, event_days, event, days = data.draw(homes(rule))
    window = oracle.window_of(rule, event)
    is_busy = data.draw(st.lists(st.booleans(), min_size=len(window), max_size=len(window)))
    busy = np.tile(np.array(is_busy, np.bool_), (len(streams), 1))
    temperatures, given_more = None, Given()
    if rule.method is Method.REGRESSION and data.draw(st.booleans()):
        temperatures, given_more = weather(days, data.draw(st.integers(0, 2**16)))

    result = baselines.baseline(rule, cube_of(streams, days), event, event_days, busy=busy, given=given_more)

    for row, readings in enumerate(streams):
        expected = oracle.baseline_wh(
            rule,
            readings,
            event,
            event_days[row],
            busy=[at for at, busy_then in zip(window, is_busy, strict=True) if busy_then],
            temperatures=temperatures,
        )
        found = [wh if has else None for wh, has in zip(result.wh[row], result.present[row], strict=True)]
        assert found == expected


@pytest.mark.parametrize("rule", WITHOUT_DAYS, ids=lambda rule: rule.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_rule_without_days_agrees_with_the_oracle(rule, data):
    _, _, event, days = data.draw(homes(presets.DFS_2023_DOMESTIC))
    nominated = {at: number * 7 - 5 for number, at in enumerate(event) if data.draw(st.booleans())}
    units = data.draw(st.integers(0, 150))
    given_more = Given(
        nominated_wh=np.array([[nominated.get(at, 0) for at in event]]),
        has_nominated=np.array([[at in nominated for at in event]]),
        units=np.array([units]),
    )

    result = baselines.baseline(rule, cube_of([{}], days), event, [()], given=given_more)

    found = [wh if has else None for wh, has in zip(result.wh[0], result.present[0], strict=True)]
    assert found == oracle.baseline_wh(rule, {}, event, (), nominated=nominated, units=units)


def weather(days: list[date], seed: int) -> tuple[dict[datetime, int], Given]:
    """Temperatures in tenths around 15.5 C, a few missing, as readings and as the rules are given them."""
    random = np.random.default_rng(seed)
    known = {
        at: int(random.integers(-50, 220))
        for day in days
        for at in period_starts(day)
        if random.random() > 0.1
    }
    cube = cube_of([known], days)
    return known, Given(temperature_tenths_c=cube.net_wh[0], has_temperature=cube.present[0])


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_needs_no_more_days_than_it_says(rule, data):
    streams, event_days, event, days = data.draw(homes(rule))
    needed = baselines.days_needed(rule, event, event_days)

    assert set(needed) <= set(days)
    some = baselines.baseline(rule, cube_of(streams, needed), event, event_days)
    everything = baselines.baseline(rule, cube_of(streams, days), event, event_days)
    np.testing.assert_array_equal(some.wh, everything.wh)
    np.testing.assert_array_equal(some.present, everything.present)


@pytest.mark.parametrize("rule", MEANS, ids=lambda rule: rule.name)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_can_be_worked_out_by_hand_from_its_explanation(rule, data):
    streams, event_days, event, days = data.draw(homes(rule))
    result = baselines.baseline(rule, cube_of(streams, days), event, event_days)

    for row in range(len(streams)):
        explained = explain(result, row)
        by_hand = {}
        for part in explained.parts:
            for column, start in enumerate(part.starts[: part.event_count]):
                values = [used.wh[column] for used in part.used if used.wh[column] is not None]
                if len(values) >= part.minimum:
                    mean = Fraction(sum(values), len(values))
                    if explained.adjustment_ratio is not None:
                        mean *= explained.adjustment_ratio
                    by_hand[start] = round(mean + (explained.adjustment_wh or 0))
        assert [by_hand.get(start) for start in event] == [
            wh if has else None for wh, has in zip(result.wh[row], result.present[row], strict=True)
        ]


def shifts(rule: BaselineRule) -> bool:
    """A ratio, a share for low use and bounds in percent are about size: they do not move with a shift."""
    is_free = rule.floor_pct is None and rule.cap_pct is None
    return rule.adjustment is not Adjustment.RATIO and not rule.low_use_pct and is_free


def ordinary(seed: int, streams: int = 5) -> tuple[Cube, list[datetime], list[set[date]]]:
    random = np.random.default_rng(seed)
    event = half_hours(datetime(2026, 11, 24, 17, tzinfo=UTC), 4)
    days = days_between(date(2026, 8, 20), date(2026, 11, 24))
    present = random.random((streams, len(days), 50)) > 0.05
    present[:, :, 48:] = False
    cube = Cube(tuple(days), random.integers(0, 4000, present.shape), present)
    return cube, event, [{days[-4]} if row % 2 else set() for row in range(streams)]


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
@given(seed=st.integers(0, 2**16))
@settings(max_examples=8, deadline=None)
def test_order_of_homes_does_not_matter(rule, seed):
    cube, event, event_days = ordinary(seed)
    order = np.random.default_rng(seed).permutation(len(event_days))

    straight = baselines.baseline(rule, cube, event, event_days)
    shuffled = baselines.baseline(
        rule,
        Cube(cube.days, cube.net_wh[order], cube.present[order]),
        event,
        [event_days[row] for row in order],
    )

    np.testing.assert_array_equal(straight.wh[order], shuffled.wh)
    np.testing.assert_array_equal(straight.present[order], shuffled.present)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
@given(seed=st.integers(0, 2**16), factor=st.integers(1, 50))
@settings(max_examples=8, deadline=None)
def test_scales_with_use(rule, seed, factor):
    cube, event, event_days = ordinary(seed)

    once = baselines.baseline(rule, cube, event, event_days)
    scaled = baselines.baseline(rule, Cube(cube.days, cube.net_wh * factor, cube.present), event, event_days)

    # Each side is rounded once, to the nearest Wh.
    assert np.abs(scaled.wh - once.wh * factor).max() <= (factor + 1) / 2
    np.testing.assert_array_equal(scaled.present, once.present)


SHIFTING = [rule for rule in EVERY_RULE if shifts(rule)]


@pytest.mark.parametrize("rule", SHIFTING, ids=lambda rule: rule.name)
@given(seed=st.integers(0, 2**16), shift_wh=st.integers(-2000, 2000).map(lambda wh: 2 * wh))
@settings(max_examples=8, deadline=None)
def test_shifts_with_a_constant_load(rule, seed, shift_wh):
    # An even shift keeps the parity, so that half to even falls the same way.
    cube, event, event_days = ordinary(seed)

    plain = baselines.baseline(rule, cube, event, event_days)
    shifted = baselines.baseline(
        rule, Cube(cube.days, cube.net_wh + shift_wh, cube.present), event, event_days
    )

    np.testing.assert_array_equal(shifted.wh, np.where(plain.present, plain.wh + shift_wh, 0))


@given(seed=st.integers(0, 2**16), column=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_lost_reading_never_changes_another_half_hour(seed, column):
    cube, event, event_days = ordinary(seed)
    slot = 34 + column
    present = cube.present.copy()
    present[:, np.random.default_rng(seed).random(present.shape[1]) < 0.3, slot] = False

    whole = baselines.baseline(presets.DFS_2023_DOMESTIC, cube, event, event_days)
    gappy = baselines.baseline(
        presets.DFS_2023_DOMESTIC, Cube(cube.days, cube.net_wh, present), event, event_days
    )

    others = [other for other in range(4) if other != column]
    np.testing.assert_array_equal(whole.wh[:, others], gappy.wh[:, others])
    np.testing.assert_array_equal(whole.present[:, others], gappy.present[:, others])


def test_too_few_days_make_no_baseline():
    event = half_hours(datetime(2026, 11, 24, 17, tzinfo=UTC), 1)
    like = baselines.candidate_days(presets.DFS_2023_DOMESTIC, date(2026, 11, 24))
    readings = {datetime(day.year, day.month, day.day, 17, tzinfo=UTC): 100 for day in like[:4]}

    result = one_home(presets.DFS_2023_DOMESTIC, readings, event)

    assert not result.present.any()
    assert result.wh.tolist() == [[0]]


def test_half_a_watt_hour_goes_to_the_even_one():
    assert baselines.half_even(np.array([5, 7, -5, -7, 15]), np.array([10, 2, 10, 2, 10])).tolist() == [
        0, 4, 0, -4, 2,
    ]  # fmt: skip


def test_a_day_that_was_not_loaded_is_refused():
    event = half_hours(datetime(2026, 11, 24, 17, tzinfo=UTC), 1)
    with pytest.raises(baselines.DayNotLoaded, match="day=2026-11-"):
        baselines.baseline(presets.DFS_2023_DOMESTIC, cube_of([{}], []), event, [()])


def test_an_event_over_midnight_takes_each_day_for_itself():
    # Friday 27 November 23:00 to Saturday 01:00: working days before, then non-working days.
    event = half_hours(datetime(2026, 11, 27, 23, tzinfo=UTC), 4)
    readings = {
        at: 300 if at.weekday() < 5 else 700
        for day in days_between(date(2026, 9, 27), date(2026, 11, 28))
        for at in period_starts(day)
    }

    result = one_home(presets.DFS_2023_DOMESTIC, readings, event)

    assert result.wh.tolist() == [[300, 300, 700, 700]]
    assert [part.day_type for part in baselines_explained(result).parts] == ["working day", "non-working day"]
