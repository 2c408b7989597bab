"""Delivery, revenue and sharing: published numbers, and properties that must hold for any."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendsr.kernel.money import pounds, split_mp
from settlement import ledger, sharing
from settlement.baselines.presets import DFS_2023_DOMESTIC
from settlement.delivery import Cap, DeliveryRule, Floor, measure
from settlement.reckoning import Agreement, Household, Input, Reckoning, reckon
from settlement.revenue import Contract, RevenueImpossible, utilisation_mp
from settlement.sharing import SharePolicy, SharingImpossible, exact_share_mp, share
from tests.settlement.cubes import Cube, days_between, half_hours

EVENT = half_hours(datetime(2026, 11, 24, 17, tzinfo=UTC), 4)
DAYS = days_between(date(2026, 9, 25), date(2026, 11, 24))
RULES = [DeliveryRule(floor, cap) for floor in Floor for cap in Cap]


def measured(baseline, metered, **options):
    baseline, metered = np.array([baseline]), np.array([metered])
    given = {
        "baseline_wh": baseline,
        "has_baseline": np.ones(baseline.shape, np.bool_),
        "metered_wh": metered,
        "has_reading": np.ones(metered.shape, np.bool_),
        "direction": "turn_down",
        "instructed_half_hour_wh": np.array([10**9]),
        "takes_part": np.array([True]),
        "rule": DeliveryRule(),
    }
    return measure(**{**given, **options})


def test_the_p415_note():
    # Baseline 2.5 MWh, metered 1.0: 1.5 MWh delivered, at GBP 100 a MWh GBP 150.
    delivery = measured([2_500_000], [1_000_000])

    assert delivery.paid_wh.tolist() == [1_500_000]
    assert pounds(utilisation_mp(1_500_000, Decimal(10))) == "£150.00"


def test_the_ev_winter_of_a_network_operator():
    # 150 chargers x 0.083 kW x 129 h x GBP 1,812 a MWh = GBP 2,910.16.
    revenue_mp = utilisation_mp(150 * 83 * 129, Decimal("181.2"))

    assert revenue_mp == 291_016_260
    assert f"{revenue_mp / 100_000:.2f}" == "2910.16"


def test_a_thousand_pence_in_three():
    assert split_mp(1000, [1, 1, 1]) == [334, 333, 333]


def test_what_is_left_to_post_is_the_difference():
    # 412, 397, 397, 430 give postings of 412, -15, 0 and 33.
    participant = UUID(int=1)
    posted, postings = 0, []
    for due in (412, 397, 397, 430):
        moved = ledger.still_to_post_mp({participant: due}, {participant: posted})[participant]
        posted += moved
        postings.append(moved)

    assert postings == [412, -15, 0, 33]


@pytest.mark.parametrize(("paid_wh", "rate"), [(-1, Decimal(1)), (1, Decimal(-1))])
def test_revenue_below_zero_is_refused(paid_wh, rate):
    with pytest.raises(RevenueImpossible):
        utilisation_mp(paid_wh, rate)


@pytest.mark.parametrize(
    ("revenue_mp", "pct", "paid_wh"),
    [(-1, 35, [1]), (1, 35, [0, 0]), (1, 101, [1]), (1, -1, [1]), (1, 35, [-1])],
)
def test_a_share_that_makes_no_sense_is_refused(revenue_mp, pct, paid_wh):
    participants = [UUID(int=n) for n in range(len(paid_wh))]
    with pytest.raises(SharingImpossible):
        share(revenue_mp=revenue_mp, coop_share_pct=Decimal(pct), participants=participants, paid_wh=paid_wh)


arrays = st.integers(0, 2**32).map(np.random.default_rng)


@given(random=arrays, rule=st.sampled_from(RULES), direction=st.sampled_from(["turn_down", "turn_up"]))
@settings(max_examples=100, deadline=None)
def test_delivery_adds_up(random, rule, direction):
    shape = (random.integers(1, 6), random.integers(1, 7))
    baseline, metered = (random.integers(-3_000, 3_000, shape) for _ in range(2))
    has_baseline, has_reading = (random.random(shape) > 0.2 for _ in range(2))
    instructed = random.integers(0, 3_000, shape[0])
    takes_part = random.random(shape[0]) > 0.3

    delivery = measure(
        baseline_wh=baseline,
        has_baseline=has_baseline,
        metered_wh=metered,
        has_reading=has_reading,
        direction=direction,
        instructed_half_hour_wh=instructed,
        takes_part=takes_part,
        rule=rule,
    )

    sign = 1 if direction == "turn_down" else -1
    for row in range(shape[0]):
        each = [
            sign * int(baseline[row, column] - metered[row, column])
            for column in range(shape[1])
            if has_baseline[row, column] and has_reading[row, column]
        ]
        counted = [min(wh, instructed[row]) for wh in each] if rule.cap is Cap.INSTRUCTED else each
        counted = [max(wh, 0) for wh in counted] if rule.floor is Floor.HALF_HOUR else counted
        assert delivery.delivered_wh[row] == sum(each)
        assert delivery.paid_wh[row] == (max(sum(counted), 0) if takes_part[row] else 0)
    assert not delivery.half_hour_wh[~delivery.measured].any()


@given(
    revenue_mp=st.integers(0, 10**12),
    pct=st.decimals(0, 100, places=3),
    paid_wh=st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any),
    seed=st.randoms(use_true_random=False),
)
def test_every_millipenny_is_shared_and_order_does_not_matter(revenue_mp, pct, paid_wh, seed):
    participants = [UUID(int=n + 1) for n in range(len(paid_wh))]
    shares = share(revenue_mp=revenue_mp, coop_share_pct=pct, participants=participants, paid_wh=paid_wh)
    order = list(range(len(paid_wh)))
    seed.shuffle(order)
    shuffled = share(
        revenue_mp=revenue_mp,
        coop_share_pct=pct,
        participants=[participants[row] for row in order],
        paid_wh=[paid_wh[row] for row in order],
    )

    assert shares.coop_mp + sum(shares.earned_mp) == revenue_mp
    assert 0 <= Fraction(revenue_mp) * Fraction(pct) / 100 - shares.coop_mp < 1
    assert shuffled.earned_mp == tuple(shares.earned_mp[row] for row in order)
    for earned_mp, wh in zip(shares.earned_mp, paid_wh, strict=True):
        assert abs(earned_mp - exact_share_mp(shares.members_mp, wh, sum(paid_wh))) < 1
        assert wh or not earned_mp


def some_input(random: np.random.Generator, homes: int) -> Input:
    net_wh = random.integers(-500, 3_000, (homes, len(DAYS), 50))
    present = random.random(net_wh.shape) > 0.03
    return Input(
        campaign_id=UUID(int=9),
        direction="turn_down",
        event=tuple(EVENT),
        agreement=Agreement(
            terms="t v1",
            baseline_rule=DFS_2023_DOMESTIC,
            delivery_rule=DeliveryRule(),
            contract=Contract(Decimal(str(random.integers(0, 5_000) / 10))),
            share_policy=SharePolicy(coop_pct=Decimal(int(random.integers(0, 101)))),
        ),
        households=tuple(
            Household(
                occupancy_id=UUID(int=row + 1),
                stream_id=UUID(int=row + 1),
                standing="took_part",
                takes_part=bool(random.random() > 0.2),
                instructed_wh=1_000,
                event_days=frozenset({DAYS[-3]}) if random.random() > 0.5 else frozenset(),
            )
            for row in range(homes)
        ),
        cube=Cube(tuple(DAYS), net_wh, present),
    )


def with_rows(given: Input, order) -> Input:
    return Input(
        campaign_id=given.campaign_id,
        direction=given.direction,
        event=given.event,
        agreement=given.agreement,
        households=tuple(given.households[row] for row in order),
        cube=Cube(given.cube.days, given.cube.net_wh[order], given.cube.present[order]),
    )


def earned(result: Reckoning, given: Input) -> dict[UUID, int]:
    return {home.occupancy_id: mp for home, mp in zip(given.households, result.shares.earned_mp, strict=True)}


@given(random=arrays, homes=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_a_reckoning_conserves_money_whatever_the_order_of_homes(random, homes):
    given_input = some_input(random, homes)
    shuffled = with_rows(given_input, random.permutation(homes))

    result, other = reckon(given_input), reckon(shuffled)

    assert result.shares.revenue_mp == result.shares.coop_mp + sum(result.shares.earned_mp)
    assert earned(result, given_input) == earned(other, shuffled)
    for home, mp in zip(given_input.households, result.shares.earned_mp, strict=True):
        assert mp >= 0
        assert home.takes_part or mp == 0


@given(random=arrays)
@settings(max_examples=30, deadline=None)
def test_the_hash_follows_what_the_result_depends_on(random):
    given_input = some_input(random, 3)
    before = reckon(given_input)
    net_wh, present = given_input.cube.net_wh.copy(), given_input.cube.present.copy()
    used = before.baseline.parts[0].pool[0], 34
    net_wh[0, DAYS.index(used[0]), used[1]] += 1
    # 03:00 is in no baseline; what a masked slot holds is nothing.
    net_wh[1, :, 6] += 7
    net_wh[~present] = 12_345
    other = Input(
        **{
            field: getattr(given_input, field)
            for field in ("campaign_id", "direction", "event", "agreement", "households")
        },
        cube=Cube(given_input.cube.days, net_wh, present),
    )
    after = reckon(other)

    is_used = bool(present[0, DAYS.index(used[0]), used[1]]) and bool(
        before.baseline.parts[0].candidate[0, 0]
    )
    assert (before.input_sha256 != after.input_sha256) is is_used
    net_wh[0, DAYS.index(used[0]), used[1]] -= 1
    assert reckon(other).input_sha256 == before.input_sha256


def test_nobody_is_left_out_by_the_split_of_a_penny():
    shares = share(
        revenue_mp=1, coop_share_pct=Decimal(50), participants=[UUID(int=2), UUID(int=1)], paid_wh=[1, 1]
    )

    # The co-op's half is rounded down, and of two equal remainders the lower id comes first.
    assert (shares.coop_mp, shares.earned_mp) == (0, (0, 1))
    assert sharing.exact_share_mp(1, 1, 2) == Fraction(1, 2)
