"""Share policies: every way of splitting conserves the pool, follows its weights, and survives storage."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import lcm
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.sharing import (
    By,
    NegativePool,
    Participant,
    PolicyInvalid,
    SharePolicy,
    Step,
    ZeroWeights,
    policy_from,
    share_by,
)

DAY = date(2026, 11, 24)
pct = st.decimals(0, 100, places=2)
keeps = st.sampled_from([Fraction(1), Fraction(1), Fraction(0), Fraction(1, 2), Fraction(2, 3)])
splits = st.sampled_from(
    [
        {By.WH: Decimal(100)},
        {By.EQUAL: Decimal(100)},
        {By.AVAILABILITY: Decimal(100)},
        {By.WH: Decimal("66.7"), By.EQUAL: Decimal("33.3")},
        {By.WH: Decimal(50), By.AVAILABILITY: Decimal(30), By.EQUAL: Decimal(20)},
    ]
)
policies = st.builds(
    SharePolicy,
    coop_pct=st.decimals(0, 60, places=2),
    steps=st.sampled_from([(), (Step(date(2026, 1, 1), Decimal(40)), Step(date(2027, 1, 1), Decimal(30)))]),
    fund_pct=st.decimals(0, 20, places=2),
    split=splits,
    floor_mp=st.sampled_from([0, 1, 999, 10**9]),
    hardship_weight=st.sampled_from([Decimal(1), Decimal("1.5"), Decimal(2)]),
)


@st.composite
def homes(draw: st.DrawFn) -> list[Participant]:
    count = draw(st.integers(1, 12))
    return [
        Participant(
            id=UUID(int=number + 1),
            paid_wh=draw(st.integers(1, 5_000)),
            available_wh=draw(st.integers(1, 5_000)),
            takes_part=number == 0 or draw(st.booleans()),
            in_hardship=draw(st.booleans()),
            donates_pct=draw(pct),
            keeps=Fraction(1) if number == 0 else draw(keeps),
        )
        for number in range(count)
    ]


@given(policies, homes(), st.integers(0, 10**9))
def test_money_is_conserved_and_only_those_who_took_part_get_it(policy, participants, revenue_mp):
    shares = share_by(policy, revenue_mp=revenue_mp, participants=participants, day=DAY)

    assert revenue_mp == shares.coop_mp + shares.fund_mp + shares.members_mp
    assert shares.members_mp == sum(shares.earned_mp) == sum(pool for pool, _ in shares.pools.values())
    for home, part in zip(participants, shares.parts, strict=True):
        assert 0 <= part.gift_mp <= part.earned_mp
        assert home.takes_part or part.earned_mp == 0


@given(policies, homes(), st.integers(0, 10**9))
def test_each_part_is_pool_times_weight_rounded(policy, participants, revenue_mp):
    shares = share_by(policy, revenue_mp=revenue_mp, participants=participants, day=DAY)

    pool_mp, total = shares.pools.get("equal", (0, 0))
    for home, part in zip(participants, shares.parts, strict=True):
        if home.takes_part and total:
            times = 1
            if policy.hardship_weight != 1:
                numerator, denominator = policy.hardship_weight.as_integer_ratio()
                times = numerator if home.in_hardship else denominator
            under = lcm(*(each.keeps.denominator for each in participants))
            assert 0 <= part.equal_mp - pool_mp * times * int(home.keeps * under) // total <= 1


@given(policies, homes(), st.integers(0, 10**9))
def test_the_order_of_homes_changes_nothing(policy, participants, revenue_mp):
    forth = share_by(policy, revenue_mp=revenue_mp, participants=participants, day=DAY)
    back = share_by(policy, revenue_mp=revenue_mp, participants=participants[::-1], day=DAY)

    assert forth.parts == back.parts[::-1]


@given(policies)
def test_a_policy_survives_storage(policy):
    assert policy_from(policy.as_data()) == policy


def test_the_coops_share_falls_by_its_steps():
    policy = SharePolicy(
        Decimal(40), (Step(date(2026, 7, 1), Decimal(35)), Step(date(2027, 7, 1), Decimal(30)))
    )

    days = (date(2026, 6, 30), date(2026, 7, 1), date(2027, 6, 30), date(2027, 7, 1))
    assert [policy.coop_pct_on(day) for day in days] == [40, 35, 35, 30]


def test_a_floor_that_does_not_reach_is_cut_evenly():
    policy = SharePolicy(coop_pct=Decimal(0), floor_mp=500)
    both = [Participant(UUID(int=1), 9_000), Participant(UUID(int=2), 1)]

    shares = share_by(policy, revenue_mp=801, participants=both, day=DAY)

    assert shares.earned_mp == (401, 400)


def test_hardship_counts_more():
    policy = SharePolicy(coop_pct=Decimal(0), hardship_weight=Decimal(2))
    both = [Participant(UUID(int=1), 100), Participant(UUID(int=2), 100, in_hardship=True)]

    assert share_by(policy, revenue_mp=300, participants=both, day=DAY).earned_mp == (100, 200)


@pytest.mark.parametrize(
    ("policy", "revenue_mp", "error"),
    [
        (SharePolicy(), -1, NegativePool),
        (SharePolicy(), 100, ZeroWeights),
        (SharePolicy(split={By.AVAILABILITY: Decimal(100)}), 100, ZeroWeights),
    ],
)
def test_what_cannot_be_shared_has_a_name(policy, revenue_mp, error):
    with pytest.raises(error):
        share_by(policy, revenue_mp=revenue_mp, participants=[Participant(UUID(int=1), 0)], day=DAY)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"coop_pct": "101"}, "coop_pct"),
        ({"coop_pct": "x"}, "coop_pct"),
        ({"coop_pct": "NaN"}, "coop_pct"),
        ({"fund_pct": "66"}, "fund_pct"),
        ({"split": {"wh": "99"}}, "split"),
        ({"split": {"luck": "100"}}, "split"),
        ({"split": []}, "split"),
        ({"floor_mp": -1}, "floor_mp"),
        ({"hardship_weight": "0.5"}, "hardship_weight"),
        ({"steps": [["2027-01-01", "30"], ["2026-01-01", "35"]]}, "steps"),
        ({"generosity": 1}, "generosity"),
    ],
)
def test_a_wrong_field_is_named(data, field):
    with pytest.raises(PolicyInvalid) as refused:
        policy_from(data)

    assert refused.value.data["field"] == field


@given(policies, homes(), st.integers(0, 10**9))
def test_what_only_those_who_overrode_forgo_is_held_for_the_fund(policy, participants, revenue_mp):
    gone = [replace(home, paid_wh=0, available_wh=0, keeps=Fraction(0)) for home in participants]

    shares = share_by(policy, revenue_mp=revenue_mp, participants=gone, day=DAY)

    assert shares.earned_mp == (0,) * len(gone)
    assert shares.members_mp == 0
    assert revenue_mp == shares.coop_mp + shares.fund_mp
    assert shares.coop_mp == revenue_mp * Fraction(policy.coop_pct_on(DAY)) // 100


def test_a_part_that_others_earned_is_not_held():
    policy = SharePolicy(coop_pct=Decimal(0))
    both = [Participant(UUID(int=1), 0, keeps=Fraction(0)), Participant(UUID(int=2), 10)]

    assert share_by(policy, revenue_mp=300, participants=both, day=DAY).earned_mp == (0, 300)


def test_what_an_override_costs_it_costs_of_the_floor_and_the_equal_part():
    policy = SharePolicy(coop_pct=Decimal(0), split={By.EQUAL: Decimal(100)}, floor_mp=100)
    three = [
        Participant(UUID(int=1), 9),
        Participant(UUID(int=2), 9, keeps=Fraction(1, 2)),
        Participant(UUID(int=3), 9, keeps=Fraction(0)),
    ]

    shares = share_by(policy, revenue_mp=300, participants=three, day=DAY)

    assert [part.floor_mp for part in shares.parts] == [100, 50, 0]
    assert [part.equal_mp for part in shares.parts] == [100, 50, 0]


def test_what_no_home_earned_is_held_for_the_fund_when_somebody_chose_so() -> None:
    home = Participant(UUID(int=1), paid_wh=0, available_wh=9)

    shares = share_by(
        SharePolicy(fund_pct=Decimal(5)),
        revenue_mp=1_000,
        participants=[home],
        day=DAY,
        holds_unearned=True,
    )

    assert (shares.coop_mp, shares.fund_mp, shares.members_mp) == (350, 650, 0)
