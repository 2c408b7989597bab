"""Fans: in order, never above what there is, exact for a few, honest for many, and learning from misses."""

from __future__ import annotations

from datetime import date
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.forecasting import fans, likelihood
from campaigns.forecasting.fans import UNKNOWN, Misses
from campaigns.forecasting.likelihood import History, Now, Things
from opendsr.kernel.periods import day_interval

SEEDS = st.integers(0, 2**32 - 1)


def _assets(seed: int, count: int, slots: int = 6) -> tuple[fans.Floats, fans.Floats]:
    random = np.random.default_rng(seed)
    power_w = random.integers(0, 8_000, (count, slots)).astype(np.float64)
    return power_w, np.clip(random.uniform(-0.3, 1.2, (count, slots)), 0, 1)


@given(seed=SEEDS, count=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_quantiles_are_in_order_and_never_above_the_sum_of_flexible_power(seed: int, count: int) -> None:
    power_w, chance = _assets(seed, count)
    is_in = np.random.default_rng(seed).random((4, count)) < 0.6

    fan = fans.fans_of(power_w, chance, is_in)

    most_w = is_in @ np.where(chance > 0, power_w, 0)
    assert (np.diff(fan, axis=1) >= 0).all()
    assert (fan >= 0).all()
    assert (fan <= most_w[:, None] + 1e-6).all()


@given(seed=SEEDS, count=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_nothing_is_there_when_nobody_has_a_chance_and_all_when_all_are_sure(seed: int, count: int) -> None:
    power_w, chance = _assets(seed, count)
    everybody = np.ones((1, count), bool)

    assert not fans.fans_of(power_w, np.zeros_like(chance), everybody).any()
    sure = fans.fans_of(power_w, np.ones_like(chance), everybody)[0]
    assert np.abs(sure - power_w.sum(axis=0)).max() <= power_w.sum(axis=0).max() * count / fans.GRID + 1


@given(seed=SEEDS, count=st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_a_few_assets_are_exact_to_the_grid(seed: int, count: int) -> None:
    power_w, chance = _assets(seed, count, slots=2)
    fan = fans.fans_of(power_w, chance, np.ones((1, count), bool))[0]

    for slot in range(2):
        sums = sorted(
            (
                sum(power for power, comes in zip(power_w[:, slot], who, strict=True) if comes),
                np.prod(np.where(who, chance[:, slot], 1 - chance[:, slot])),
            )
            for who in product((True, False), repeat=count)
        )
        reached = np.cumsum([each for _, each in sums])
        slack_w = power_w[:, slot].sum() / fans.GRID * (count + 1) / 2 + 2
        for row, level in enumerate(fans.QUANTILES):
            low = sums[int((reached >= level - 1e-6).argmax())][0]
            high = sums[min(len(sums) - 1, int((reached > level + 1e-6).argmax()))][0]
            assert low - slack_w <= fan[row, slot] <= high + slack_w


def test_many_assets_hold_what_they_say() -> None:
    random = np.random.default_rng(5)
    power_w = random.choice([2_500.0, 3_000.0, 7_360.0], (400, 1))
    chance = random.uniform(0.05, 0.4, (400, 1))
    low, middle, high = fans.fans_of(power_w, chance, np.ones((1, 400), bool))[0, :, 0]

    drawn = (random.random((20_000, 400)) < chance[:, 0]) @ power_w[:, 0]

    for value, level in zip((low, middle, high), fans.QUANTILES, strict=True):
        assert float((drawn <= value).mean()) == pytest.approx(level, abs=0.012)


@given(seed=SEEDS, bias=st.integers(-3_000, 3_000))
@settings(max_examples=30, deadline=None)
def test_what_is_learnt_would_have_held_the_past(seed: int, bias: int) -> None:
    random = np.random.default_rng(seed)
    middle = random.integers(4_000, 20_000, 300)
    past = np.stack([middle - 500, middle, middle + 500])
    was = np.maximum(0, middle + bias + random.normal(0, 1_500, 300).astype(np.int64))

    misses = fans.misses_of(past, was, 40_000, np.arange(300) // 48)
    again = fans.moved(past, misses, np.full(300, 40_000))

    assert (np.diff(again, axis=0) >= 0).all()
    assert float((again[0] <= was).mean()) >= 0.88
    assert float((was <= again[2]).mean()) >= 0.88
    assert fans.pinball_w(again, was).mean() <= fans.pinball_w(past, was).mean() + 1


def _moods(random: np.random.Generator, days: int, carried: float) -> fans.Floats:
    """What all homes of a day share, as they would of weather that stays for `carried` of it."""
    mood = random.normal(0, 1, days)
    for day in range(1, days):
        mood[day] = carried * mood[day - 1] + np.sqrt(1 - carried**2) * mood[day]
    return mood


@pytest.mark.parametrize(
    ("days", "carried", "shared"), [(24, 0, 1), (24, 0, 0.1), (24, 0.6, 1), (10, 0, 1), (7, 0, 0.5)]
)
def test_fans_hold_eight_in_ten_of_the_days_to_come_however_much_homes_have_in_common(
    days: int, carried: float, shared: float
) -> None:
    """Told from normal days of a known make, five days ahead; the sum itself knows nothing of the mood."""
    random = np.random.default_rng(11)
    held, plain = [], []
    fan = np.array([[9_000], [10_000], [11_000]]).repeat(48, axis=1)
    day = np.arange(days).repeat(48)
    for _ in range(800):
        mood = _moods(random, days + 5, carried)[:, None]
        off = np.sqrt(shared) * mood + np.sqrt(1 - shared) * random.normal(0, 1, (days + 5, 48))
        was = np.rint(10_000 + 2_000 * off).astype(np.int64)
        misses = fans.misses_of(np.tile(fan, days), was[:days].ravel(), 20_000, day)
        told = fans.moved(fan, misses, np.full(48, 20_000))
        held.append(((told[0] <= was[-1]) & (was[-1] <= told[2])).mean())
        low, high = np.quantile(was[:days], (0.1, 0.9))
        plain.append(((low <= was[-1]) & (was[-1] <= high)).mean())

    assert np.mean(held) == pytest.approx(0.8, abs=0.045)
    assert np.mean(plain) < np.mean(held)


@given(seed=SEEDS, days=st.integers(2, 28))
@settings(max_examples=40, deadline=None)
def test_misses_are_worth_no_more_than_there_are_and_less_the_more_days_are_alike(
    seed: int, days: int
) -> None:
    random = np.random.default_rng(seed)
    day = np.arange(days).repeat(48)
    noise, mood = random.normal(0, 1, 48 * days), np.where(np.arange(days) % 2, 1, -1).repeat(48)

    alone, alike = fans.worth(noise, day), fans.worth(mood + noise / 1_000, day)
    slowly = fans.worth(np.linspace(0, 5, 48 * days) + noise / 1_000, day)

    assert fans.LEAST_WORTH <= alike <= max(fans.LEAST_WORTH, days) + 0.01
    assert alike <= alone <= 48 * days + 1e-6
    if days >= 6:
        assert slowly <= 1.1 * max(fans.LEAST_WORTH, days / 2)
    assert fans.worth(noise, np.zeros(48 * days, np.int64)) == fans.LEAST_WORTH
    assert fans.worth(np.zeros(48 * days), day) == 48 * days


def test_student_s_quantile_is_as_in_the_tables() -> None:
    tables = {2: 1.8856, 3: 1.6377, 6: 1.4398, 9: 1.3830, 24: 1.3178, 120: 1.2886}
    for freedom, quantile in tables.items():
        assert fans._student(freedom) == pytest.approx(quantile, rel=0.003)


def test_too_little_past_teaches_nothing_and_what_is_moved_stays_within() -> None:
    past = np.array([[1], [2], [3]]).repeat(fans.LEAST_PAST, axis=1)
    was = np.full(fans.LEAST_PAST, 5)
    was[0] = UNKNOWN

    assert fans.misses_of(past, was, 10, np.arange(fans.LEAST_PAST) // 48) == Misses()
    wild = fans.moved(past, Misses(50, 50, 50), np.zeros(fans.LEAST_PAST, np.int64))
    assert not wild.any()


def test_a_score_counts_what_is_known_and_perfect_is_one() -> None:
    was = np.array([100, 200, UNKNOWN, 400])
    before = np.array([150, 250, 350, UNKNOWN])
    fan = np.stack([was, was, was])

    perfect = fans.score(fan, was, before)
    same = fans.score(np.stack([before] * 3), was, before)

    assert (perfect.half_hours, perfect.pinball_w, perfect.coverage, perfect.skill) == (2, 0.0, 1.0, 1.0)
    assert (same.skill, same.coverage) == (0.0, 0.0)
    # 50 W above at each of 10, 50 and 90 in 100: 0.9, 0.5 and 0.1 of it.
    assert same.persistence_pinball_w == pytest.approx(50 * 1.5 / 3)
    assert fans.score(fan, np.full(4, UNKNOWN), before).skill is None


@pytest.mark.parametrize(
    ("day", "count"), [(date(2026, 3, 29), 46), (date(2026, 1, 14), 48), (date(2026, 10, 25), 50)]
)
def test_a_day_on_which_the_clocks_change_keeps_its_half_hours(day: date, count: int) -> None:
    starts = list(day_interval(day).half_hours())
    axis = likelihood.axis_of(starts)
    told = np.zeros((1, 48))
    # It drew from 18:00 to 19:00 by London's clock, whenever that is in UTC.
    drew = told.copy()
    drew[0, 36:38] = 1_000
    history = History(told + 1_000, drew, told + 3_000, told, told)

    there = likelihood.there(
        _things("immersion_heater"), axis, history, _silent(1), np.zeros((1, count), np.int64),
        is_turn_down=True,
    )  # fmt: skip

    assert there.chance.shape == (1, count)
    local = [start.astimezone(likelihood.LONDON).hour for start in starts]
    assert [hour for hour, chance in zip(local, there.chance[0], strict=True) if chance > 0.5] == [18, 18]
    assert sorted(set(axis.slot.tolist())) == [
        slot for slot in range(48) if count != 46 or slot not in (2, 3)
    ]


@given(seed=SEEDS, is_turn_down=st.booleans())
@settings(max_examples=40, deadline=None)
def test_chances_are_chances_and_a_home_is_not_asked_for_more_than_its_fuse(
    seed: int, is_turn_down: bool
) -> None:
    random = np.random.default_rng(seed)
    seen = random.integers(0, 28, (5, 48)).astype(np.float64)
    told = random.integers(0, 28, (5, 48)).astype(np.float64)
    history = History(
        seen, np.floor(seen * random.random((5, 48))), random.uniform(0, 9_000, (5, 48)),
        told, np.floor(told * random.random((5, 48))),
    )  # fmt: skip
    maybe = np.where(random.random((2, 5)) < 0.3, np.nan, random.integers(0, 2, (2, 5)))
    things = Things(
        ("ev_charger", "immersion_heater", "storage_heater", "battery", "ev_charger"),
        np.array([7_360.0, 3_000, 2_500, 3_600, 22_080]), np.array([1_500.0, 700, 900, 1_000, 3_000]),
        np.array([0, 0, 1, 1, 1]),
    )  # fmt: skip
    usual_w = random.integers(-1, 9_000, (2, 48))
    axis = likelihood.axis_of(list(day_interval(date(2026, 7, 1)).half_hours()))

    there = likelihood.there(things, axis, history, Now(*maybe), usual_w, is_turn_down=is_turn_down)

    assert ((there.chance >= 0) & (there.chance <= 1)).all()
    assert ((there.power_w >= 0) & (there.power_w <= things.rated_w[:, None] + 1e-6)).all()
    assert not there.chance[2].any()  # no heat is stored in July
    if not is_turn_down:
        for home in (0, 1):
            together = there.power_w[things.home == home].sum(axis=0)
            assert (together <= likelihood.SERVICE_W - np.maximum(usual_w[home], 0) + 1e-6).all()


def test_a_car_that_is_plugged_in_now_counts_now_and_less_later() -> None:
    starts = list(day_interval(date(2026, 1, 14)).half_hours())
    axis = likelihood.axis_of(starts)
    nothing = np.zeros((1, 48))
    history = History(nothing + 20, nothing, nothing, nothing + 20, nothing + 10)
    usual = np.zeros((1, 48), np.int64)

    def chance(plugged: float) -> fans.Floats:
        now = Now(np.array([0.0]), np.array([plugged]))
        told = likelihood.there(_things("ev_charger"), axis, history, now, usual, is_turn_down=False)
        return told.chance[0]

    assert chance(1.0)[0] == pytest.approx(1)
    assert chance(0.0)[0] == pytest.approx(0)
    later = chance(1.0) - chance(0.0)
    assert (np.diff(later) < 0).all()
    assert later[-1] < 0.001


def _things(kind: str) -> Things:
    return Things((kind,), np.array([3_000.0]), np.array([700.0]), np.array([0]))


def _silent(count: int) -> Now:
    return Now(np.full(count, np.nan), np.full(count, np.nan))
