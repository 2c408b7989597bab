"""Each preset against its own text, written out by hand with its numbers, slowly and without the rule's data.

One household, an event within one civil day of 2026; holidays typed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendsr.kernel.periods import civil_date, period_starts
from settlement import baselines
from settlement.baselines import presets
from settlement.baselines.arrays import Given
from settlement.baselines.clock import local_half_hour
from tests.settlement.cubes import cube_of, half_hours
from tests.settlement.oracle import Readings, same_clock_time

HOLIDAYS = {
    date(2025, 12, 25), date(2025, 12, 26), date(2026, 1, 1), date(2026, 4, 3), date(2026, 4, 6),
    date(2026, 5, 4), date(2026, 5, 25), date(2026, 8, 31), date(2026, 12, 25), date(2026, 12, 28),
}  # fmt: skip
CLOCKS_CHANGE = {date(2025, 10, 26), date(2026, 3, 29), date(2026, 10, 25)}
HALF_HOUR = timedelta(minutes=30)
HOUR = timedelta(hours=1)

Out = Collection[date]
Event = Sequence[datetime]
Found = list[int | None]


class Home:
    """One household's readings, asked in the words of the rules' texts."""

    def __init__(self, readings: Readings, event: Event, out: Out) -> None:
        self.readings, self.event, self.out = readings, event, out
        self.day = civil_date(event[0])

    def days(
        self, look_back: int, is_like: Callable[[date], bool], *, event_days: bool = False
    ) -> list[date]:
        found = [self.day - timedelta(days=n) for n in range(1, look_back + 1)]
        return [day for day in found if is_like(day) and (event_days or day not in self.out)]

    def at(self, when: datetime, day: date) -> int | None:
        return self.readings.get(same_clock_time(when, day))

    def use(self, day: date) -> Fraction | None:
        found = [wh for when in self.event if (wh := self.at(when, day)) is not None]
        return Fraction(sum(found), len(found)) if found else None

    def mean(self, when: datetime, days: Sequence[date], fewest: int) -> Fraction | None:
        found = [wh for day in days if (wh := self.at(when, day)) is not None]
        return Fraction(sum(found), len(found)) if len(found) >= fewest else None

    def ranked(self, days: Sequence[date]) -> list[date]:
        """Days with a reading in the event's half-hours, the lowest use first, newer first among equals."""
        return sorted((day for day in days if self.use(day) is not None), key=self.use)

    def highest(self, days: Sequence[date], count: int) -> list[date]:
        known = [day for day in days if self.use(day) is not None]
        return sorted(known, key=lambda day: -self.use(day))[:count]

    def not_low(self, days: Sequence[date], newest: int, count: int) -> list[date]:
        """The newest `count` days at a quarter of the newest days' mean or more."""
        uses = [self.use(day) for day in days[:newest] if self.use(day) is not None]
        usual = sum(uses, Fraction(0)) / len(uses) if uses else Fraction(0)
        fine = [day for day in days if usual <= 0 or self.use(day) is None or self.use(day) * 4 >= usual]
        return fine[:count]

    def whole(
        self, days: Sequence[date], fewest: int, window: Sequence[datetime] = (), how: str = ""
    ) -> Found:
        pairs = [
            (self.readings[when], usual)
            for when in window
            if when in self.readings and (usual := self.mean(when, days, fewest)) is not None
        ]
        metered, usually = sum(m for m, _ in pairs), sum((u for _, u in pairs), Fraction(0))
        result: Found = []
        for when in self.event:
            level = self.mean(when, days, fewest)
            if level is not None and pairs and how == "add":
                level += (metered - usually) / len(pairs)
            elif level is not None and pairs and how == "up":
                level += max((metered - usually) / len(pairs), Fraction(0))
            elif level is not None and pairs and usually > 0 and how:
                low, high = (Fraction(part) for part in how.split(".."))
                level *= min(max(metered / usually, low), high)
            result.append(None if level is None else round(level))
        return result

    def before(self, starts: timedelta, ends: timedelta) -> list[datetime]:
        """Half-hours from `starts` to `ends` before the event."""
        return [self.event[0] - starts + HALF_HOUR * n for n in range((starts - ends) // HALF_HOUR)]

    def after(self, starts: timedelta, ends: timedelta) -> list[datetime]:
        first = self.event[-1] + HALF_HOUR + starts
        return [first + HALF_HOUR * n for n in range((ends - starts) // HALF_HOUR)]


def is_working(day: date) -> bool:
    return day.weekday() < 5 and day not in HOLIDAYS


def like_working(home: Home) -> Callable[[date], bool]:
    return lambda day: is_working(day) == is_working(home.day) and day not in CLOCKS_CHANGE


def like_weekday(home: Home) -> Callable[[date], bool]:
    return lambda day: (day.weekday() < 5) == (home.day.weekday() < 5)


def of_three(day: date) -> str:
    if day in HOLIDAYS or day.weekday() == 6:
        return "sunday"
    return "saturday" if day.weekday() == 5 else "weekday"


def ten_or_four(home: Home) -> tuple[list[date], int]:
    count, fewest = (10, 5) if is_working(home.day) else (4, 2)
    return home.days(60, like_working(home))[:count], fewest


def dfs_2023_domestic(home: Home) -> Found:
    return home.whole(*ten_or_four(home))


def dfs_2022(home: Home) -> Found:
    # Six half-hours that end one hour before the first event period.
    return home.whole(*ten_or_four(home), home.before(4 * HOUR, HOUR), "add")


def elexon_bl01(home: Home) -> Found:
    days, fewest = ten_or_four(home)
    newest = [day for day in days if home.use(day) is not None]
    return home.whole(newest, fewest, home.before(4 * HOUR, HOUR), "add")


def elexon_bl01_unadjusted(home: Home) -> Found:
    days, fewest = ten_or_four(home)
    return home.whole([day for day in days if home.use(day) is not None], fewest)


def octopus_saving_session(home: Home) -> Found:
    count, fewest = (10, 5) if home.day.weekday() < 5 else (4, 2)
    return home.whole(home.days(60, like_weekday(home))[:count], fewest)


def mid_eight(home: Home) -> tuple[list[date], int]:
    days, fewest = ten_or_four(home)
    kept = 8 if is_working(home.day) else 2
    ranked = home.ranked(days)
    spare = max(len(ranked) - kept, 0)
    return ranked[spare // 2 : len(ranked) - (spare - spare // 2)], fewest


def ena_mid_8_of_10(home: Home) -> Found:
    return home.whole(*mid_eight(home))


def ena_mid_8_of_10_same_day(home: Home) -> Found:
    return home.whole(*mid_eight(home), home.before(4 * HOUR, HOUR), "add")


def ercot_mid_8_of_10(home: Home) -> Found:
    # Eight quarter-hours from four hours before; no bounds, never below zero.
    return home.whole(*mid_eight(home), home.before(4 * HOUR, 2 * HOUR), f"0..{10**9}")


def caiso_10_in_10(home: Home) -> Found:
    count, fewest = (10, 5) if is_working(home.day) else (4, 2)
    days = home.days(45, like_working(home))[:count]
    return home.whole(days, fewest, home.before(4 * HOUR, HOUR), "4/5..6/5")


def caiso_5_in_10_residential(home: Home) -> Found:
    count, kept, fewest = (10, 5, 3) if is_working(home.day) else (5, 3, 2)
    days = home.highest(home.days(45, like_working(home))[:count], kept)
    window = home.before(4 * HOUR, 2 * HOUR) + home.after(2 * HOUR, 4 * HOUR)
    return home.whole(days, fewest, window, "3/5..7/5")


def nyiso_average_day(home: Home) -> Found:
    kind = of_three(home.day)
    count, kept, fewest = (10, 5, 3) if kind == "weekday" else (3, 2, 1)
    like = home.days(30, lambda day: of_three(day) == kind and day not in CLOCKS_CHANGE)
    days = home.highest(home.not_low(like, count, count), kept)
    return home.whole(days, fewest, home.before(4 * HOUR, 2 * HOUR), "4/5..6/5")


def pjm_4_of_5(home: Home) -> Found:
    kind = of_three(home.day)
    count, kept, fewest = (5, 4, 3) if kind == "weekday" else (3, 2, 1)
    like = home.days(45, lambda day: of_three(day) == kind and day not in CLOCKS_CHANGE)
    days = home.highest(home.not_low(like, count, count), kept)
    return home.whole(days, fewest, home.before(4 * HOUR, HOUR), "add")


def iso_ne_90_10(home: Home) -> Found:
    kind = of_three(home.day)
    count, fewest = {"weekday": (44, 5), "saturday": (10, 3), "sunday": (16, 3)}[kind]
    days = home.days(60, lambda day: of_three(day) == kind)[:count]

    def rolled(when: datetime) -> Fraction | None:
        found = [wh for day in reversed(days) if (wh := home.at(when, day)) is not None]
        if len(found) < fewest:
            return None
        level = Fraction(sum(found[:5]), len(found[:5]))
        for wh in found[5:]:
            level = level * Fraction(9, 10) + Fraction(wh, 10)
        return round(level, 6)

    pairs = [
        home.readings[when] - usual
        for when in home.before(HOUR * 5 / 2, HALF_HOUR)
        if when in home.readings and (usual := rolled(when)) is not None
    ]
    shift = sum(pairs, Fraction(0)) / len(pairs) if pairs else Fraction(0)
    return [None if (level := rolled(when)) is None else round(level + shift) for when in home.event]


def us_flexibility_agreement(home: Home) -> Found:
    return home.whole(*ten_or_four(home), home.before(2 * HOUR, HOUR), "up")


def powershaper_three_weeks(home: Home) -> Found:
    fewest = 5 if home.day.weekday() < 5 else 2
    return home.whole(home.days(21, like_weekday(home), event_days=True), fewest)


def temperature_regression(home: Home) -> Found:
    # Without temperatures: the mean of the like days of 60, to a millionth before it is rounded.
    count, fewest = (44, 8) if is_working(home.day) else (24, 4)
    days = home.days(60, like_working(home))[:count]
    means = [home.mean(when, days, fewest) for when in home.event]
    return [None if level is None else round(round(level, 6)) for level in means]


def zero(home: Home) -> Found:
    return [0 for _ in home.event]


def nominated(home: Home) -> Found:
    return [100 * number if number % 2 else None for number, _ in enumerate(home.event)]


def fixed_reference(home: Home) -> Found:
    # 83 W an asset is 41.5 Wh a half-hour; three assets make 124.5, half to even 124.
    return [124 for _ in home.event]


BY_HAND = {
    each.__name__: each
    for each in (
        dfs_2023_domestic, dfs_2022, elexon_bl01, elexon_bl01_unadjusted, octopus_saving_session,
        ena_mid_8_of_10, ena_mid_8_of_10_same_day, caiso_10_in_10, caiso_5_in_10_residential,
        nyiso_average_day, pjm_4_of_5, ercot_mid_8_of_10, iso_ne_90_10, us_flexibility_agreement,
        powershaper_three_weeks, temperature_regression, nominated, zero, fixed_reference,
    )
}  # fmt: skip


def test_every_preset_is_written_out():
    assert set(BY_HAND) == set(presets.PRESETS)


@pytest.mark.parametrize("name", BY_HAND)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_the_preset_is_its_text(name, data):
    rule = presets.PRESETS[name]
    day = data.draw(
        st.sampled_from([date(2026, 3, 29), date(2026, 10, 25), date(2026, 5, 4), date(2026, 1, 1)])
    ) + timedelta(days=data.draw(st.integers(0, 15)))
    # From 10:00 to 13:00 at the earliest and latest, so that every window stays on the event's own day.
    starts = [at for at in period_starts(day) if 20 <= local_half_hour(at)[1].ordinal <= 26]
    event = half_hours(data.draw(st.sampled_from(starts)), data.draw(st.integers(1, 5)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    days = baselines.days_needed(rule.with_parameters({"gaps": "reach_back"}), event, [()])
    spread, share = data.draw(st.sampled_from([4, 3000])), data.draw(st.sampled_from([0.0, 0.15, 0.5]))
    lowest = data.draw(st.sampled_from([0, -spread // 2]))
    times = range(12, 42)
    readings = {
        at: int(random.integers(lowest, spread))
        for one in days
        for at in period_starts(one)
        if local_half_hour(at)[1].ordinal in times and random.random() >= share
    }
    out = {one for one in days if one != day and random.random() < 0.2}
    given_more = Given(
        nominated_wh=np.array([[100 * number for number in range(len(event))]]),
        has_nominated=np.array([[number % 2 == 1 for number in range(len(event))]]),
        units=np.array([3]),
    )

    result = baselines.baseline(rule, cube_of([readings], days), event, [out], given=given_more)

    found = [wh if has else None for wh, has in zip(result.wh[0], result.present[0], strict=True)]
    assert found == BY_HAND[name](Home(readings, event, out))
