"""Overrides in pence, surplus by legal form, savings, and what assets drew where nothing measures them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.models import HalfHourlyRate
from settlement.beside import event_savings
from settlement.estimating import AssetState, estimate_assets, half_hour_kw
from settlement.overriding import (
    OverrideCost,
    OverrideInvalid,
    OverridePolicy,
    effect_of_override,
    paid_after_override,
)
from settlement.savings import Saving, carbon_saved_g, tariff_saved_mp
from settlement.surplus import (
    DividendNotAllowed,
    LegalForm,
    NoTransactions,
    Resolution,
    ResolutionInvalid,
    split_surplus,
)
from tests.settlement.staging import AFTER, EVENT, event_of, make_measured, settle

override_policies = st.builds(
    OverridePolicy, st.sampled_from(list(OverrideCost)), st.decimals(0, 100, places=1)
)


@given(override_policies, st.integers(-5_000, 5_000))
def test_an_override_takes_at_most_all_and_never_more(policy, paid_wh):
    assert 0 <= paid_after_override(paid_wh, policy) <= max(paid_wh, 0)


@given(override_policies, st.integers(-100, 5_000), st.fractions(-1, 2), st.integers(0, 500))
def test_what_is_shown_before_confirming_adds_up(policy, expected_wh, elapsed, pence):
    effect = effect_of_override(
        policy,
        expected_wh=expected_wh,
        elapsed=elapsed,
        pence_per_kwh=Decimal(pence),
        coop_share_pct=Decimal(35),
    )

    assert 0 <= effect.lost_mp <= effect.expected_mp
    assert effect.kept_mp + effect.lost_mp == effect.expected_mp


@pytest.mark.parametrize(
    ("policy", "lost_mp"),
    [
        (OverridePolicy(), 65_000),
        (OverridePolicy(OverrideCost.REDUCED, Decimal(50)), 97_500),
        (OverridePolicy(OverrideCost.NO_PAYMENT), 130_000),
    ],
)
def test_halfway_through_an_override_costs_the_rest_and_what_the_policy_takes(policy, lost_mp):
    effect = effect_of_override(
        policy,
        expected_wh=2_000,
        elapsed=Fraction(1, 2),
        pence_per_kwh=Decimal(100),
        coop_share_pct=Decimal(35),
    )

    assert (effect.expected_mp, effect.lost_mp) == (130_000, lost_mp)


def test_a_reduction_is_a_percentage():
    with pytest.raises(OverrideInvalid):
        OverridePolicy(OverrideCost.REDUCED, Decimal(101))


def voted(reserves=50, fund=20, dividend=30, votes=(40, 2)):
    return Resolution(Decimal(reserves), Decimal(fund), Decimal(dividend), *votes)


ACCOUNTS = {UUID(int=1): 600, UUID(int=2): 300, UUID(int=3): 0}


def test_a_cooperative_pays_what_was_voted_by_transactions():
    split = split_surplus(LegalForm.COOPERATIVE, 10_000, voted(), ACCOUNTS)

    assert (split.reserves_mp, split.fund_mp) == (5_000, 2_000)
    assert split.dividends_mp == {UUID(int=1): 2_000, UUID(int=2): 1_000}


def test_a_community_benefit_society_pays_no_dividend():
    with pytest.raises(DividendNotAllowed):
        split_surplus(LegalForm.COMMUNITY_BENEFIT, 10_000, voted(), ACCOUNTS)

    split = split_surplus(LegalForm.COMMUNITY_BENEFIT, 10_000, voted(70, 30, 0), ACCOUNTS)
    assert (split.reserves_mp, split.fund_mp, dict(split.dividends_mp)) == (
        7_000,
        3_000,
        dict.fromkeys(split.dividends_mp, 0),
    )


@pytest.mark.parametrize(
    ("surplus", "vote", "error"),
    [
        (0, voted(), ResolutionInvalid),
        (100, voted(50, 20, 31), ResolutionInvalid),
        (100, voted(votes=(2, 2)), ResolutionInvalid),
        (100, voted(130, -30, 0), ResolutionInvalid),
    ],
)
def test_a_vote_that_cannot_be_applied_is_refused(surplus, vote, error):
    with pytest.raises(error):
        split_surplus(LegalForm.COOPERATIVE, surplus, vote, ACCOUNTS)


def test_a_dividend_needs_somebody_to_go_to():
    with pytest.raises(NoTransactions):
        split_surplus(LegalForm.COOPERATIVE, 100, voted(), {UUID(int=1): 0})


@given(st.integers(1, 10**9), st.dictionaries(st.uuids(), st.integers(1, 10**6), min_size=1, max_size=8))
def test_no_surplus_is_lost(surplus_mp, transactions):
    split = split_surplus(LegalForm.COOPERATIVE, surplus_mp, voted(), transactions)

    assert surplus_mp == split.reserves_mp + split.fund_mp + sum(split.dividends_mp.values())


def test_savings_count_the_rebound_and_leave_out_what_is_not_known():
    usual, used = [1_000, 1_000, None, 500], [200, 1_000, 300, 900]

    carbon = carbon_saved_g(usual, used, [200, None, 200, 100])
    tariff = tariff_saved_mp(usual, used, [Decimal("30"), Decimal("30"), Decimal("30"), Decimal("10")])

    assert (carbon.amount, carbon.half_hours, carbon.left_out) == (160 - 40, 2, 2)
    assert (tariff.amount, tariff.left_out) == (24_000 - 4_000, 1)


def test_a_switched_asset_is_seen_as_a_step():
    home = np.full(60, 400)
    home[20:40] += 3_050
    commanded = np.zeros(60, np.int64)
    commanded[20:40] = 3_000

    found = estimate_assets(home, np.ones(60, bool), [AssetState(3_200, commanded)])

    assert found.power_w[0, 25] == 3_050
    assert found.power_w[0, 50] == 0
    assert found.confidence[0, 25] == pytest.approx(0.9)


def test_a_command_nothing_followed_is_not_believed_much():
    home = np.full(60, 400)
    commanded = np.zeros(60, np.int64)
    commanded[20:40] = 3_000

    found = estimate_assets(home, np.ones(60, bool), [AssetState(3_200, commanded)])

    assert found.power_w[0, 25] <= 400
    assert found.confidence[0, 25] < 0.5


@given(st.data())
def test_assets_never_draw_more_than_the_home_nor_less_than_nothing(data):
    samples = data.draw(st.integers(2, 40))
    home = np.array(data.draw(st.lists(st.integers(-3_000, 9_000), min_size=samples, max_size=samples)))
    seen = np.array(data.draw(st.lists(st.booleans(), min_size=samples, max_size=samples)))
    levels = st.lists(st.sampled_from([0, 1_500, 3_000, 9_000]), min_size=samples, max_size=samples)
    assets = [
        AssetState(data.draw(st.sampled_from([1_500, 3_000, 7_360])), np.array(data.draw(levels)))
        for _ in range(data.draw(st.integers(0, 3)))
    ]

    found = estimate_assets(home, seen, assets)

    assert (found.power_w >= 0).all()
    for row, asset in enumerate(assets):
        assert (found.power_w[row] <= asset.rated_w).all()
    assert (found.power_w.sum(axis=0)[seen] <= np.maximum(home, 0)[seen]).all()
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    power_kw, confidence = half_hour_kw(found, 2)
    assert power_kw.shape == confidence.shape == (len(assets), samples // 2)


def put(kind, values):
    HalfHourlyRate.objects.bulk_create(
        HalfHourlyRate(kind=kind, starts_at=at, value=Decimal(value), source="test", known_at=AFTER)
        for at, value in zip(EVENT, values, strict=False)
    )


@pytest.mark.django_db
def test_an_events_savings_are_what_it_used_less_times_the_rates():
    stage = make_measured(700)
    event = event_of(settle(stage).run, stage.residents[0])
    put("carbon", ["250", "100"])
    put("import_price", ["30.5", "1", "1", "1"])

    (saved,) = event_savings([event])

    # 0.7 kWh less in the first half-hour, as usual in the others.
    assert saved.carbon == Saving(amount=175, half_hours=2, left_out=2)
    assert saved.bill == Saving(amount=21_350, half_hours=4, left_out=0)


@pytest.mark.django_db
def test_what_is_sent_out_has_no_price_of_use_and_no_rate_is_no_zero():
    stage = make_measured(1_500)
    event = event_of(settle(stage).run, stage.residents[0])

    assert event_savings([event])[0].carbon == Saving(amount=0, half_hours=0, left_out=4)
    put("import_price", ["30", "30", "30", "30"])
    assert event_savings([event])[0].bill == Saving(amount=0, half_hours=3, left_out=1)
    assert event_savings([]) == []
