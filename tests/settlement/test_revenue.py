"""What the buyer pays: curves, capping, availability; and the published vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel.money import split_mp
from settlement.ledger import still_to_post_mp
from settlement.pay_curves import (
    CURVES,
    FLEXIBLE_POWER_2018,
    CurveInvalid,
    UnknownCurve,
    curve_from,
    delivered_share,
)
from settlement.revenue import Basis, Contract, PriceMissing, RevenueImpossible, earned_revenue

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "market-samples" / "test-vectors.json"
ACCOUNT = "account"


def vector(name):
    if not VECTORS.is_file():
        pytest.skip("no market-samples/test-vectors.json beside the checkout")
    return next(each for each in json.loads(VECTORS.read_text()) if each["id"] == name)


def test_the_performance_factor_of_2018():
    for share, paid in vector("flexible-power-2018-factor")["points"]:
        assert float(FLEXIBLE_POWER_2018.factor(Fraction(str(share)))) == pytest.approx(paid, abs=1e-9)


@pytest.mark.parametrize(
    ("pct", "factor"), [("100", 1), ("95", 1), ("94", "0.97"), ("63", "0.04"), ("62.999", 0), ("250", 1)]
)
def test_the_curve_cuts_off_where_it_was_published(pct, factor):
    assert FLEXIBLE_POWER_2018.factor(Fraction(pct) / 100) == Fraction(str(factor))


def test_a_winter_of_150_chargers():
    case = vector("nged-ev-150")
    watts = round(case["units"] * case["baseline_kw_per_unit"] * 1000)
    half_hours = 2 * case["hours"]
    contract = Contract(Decimal(case["price_gbp_per_mwh"]) / 10, basis=Basis.PORTFOLIO)

    owed = earned_revenue(
        contract,
        sold_wh=0,
        portfolio_wh=[watts // 2] * half_hours,
        instructed_wh=[watts // 2] * half_hours,
        declared_w=watts,
    )

    assert watts == round(case["expected_mw"] * 1_000_000)
    assert owed.sold_wh == watts // 2 * half_hours
    assert owed.total_mp / 100_000 == pytest.approx(case["expected_gbp"], abs=0.005)


def test_a_delivered_volume_at_a_price():
    case = vector("p415-chp")
    delivered_wh = round((case["baseline"] - case["metered"]) * 1_000_000)

    owed = earned_revenue(
        Contract(Decimal(case["price_gbp_per_mwh"]) / 10),
        sold_wh=delivered_wh,
        portfolio_wh=[delivered_wh],
        instructed_wh=[delivered_wh],
        declared_w=0,
    )

    assert delivered_wh == case["expected_delivered"] * 1_000_000
    assert owed.total_mp == case["expected_payment_gbp"] * 100_000


def test_a_pool_among_three():
    case = vector("largest-remainder-split")

    assert split_mp(case["pool_pence"], case["weights"]) == case["expected_pence"]


def test_a_sequence_of_corrections():
    case = vector("clawback-delta")
    posted, postings = {}, []
    for amount in case["sequence_pence"]:
        step = still_to_post_mp({(ACCOUNT, "energy"): amount}, posted)
        posted = {key: posted.get(key, 0) + mp for key, mp in step.items()}
        postings += step.values()

    assert postings == case["expected_postings"]


def test_what_is_over_is_not_paid_and_what_is_missing_costs_more():
    contract = Contract(Decimal(10), basis=Basis.PORTFOLIO, curve=FLEXIBLE_POWER_2018)

    owed = earned_revenue(
        contract,
        sold_wh=0,
        portfolio_wh=[1_500, 900, 500, -200],
        instructed_wh=[1_000] * 4,
        declared_w=2_000,
    )

    assert owed.factors == (1, Fraction("0.85"), 0, 0)
    assert owed.utilisation_mp == 10 * 1_000 + round(10 * 900 * Fraction("0.85"))


def test_availability_is_paid_for_the_hours():
    contract = Contract(Decimal(0), availability_pence_per_kw_hour=Decimal("0.5"))

    owed = earned_revenue(contract, sold_wh=0, portfolio_wh=[0] * 4, instructed_wh=[1] * 4, declared_w=10_000)

    assert owed.availability_mp == 10_000 * 2 // 2


@given(
    st.sampled_from(sorted(CURVES)),
    st.sampled_from(list(Basis)),
    st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=6),
    st.integers(0, 4_000),
    st.decimals(0, 500, places=3),
)
def test_revenue_is_never_negative_and_never_above_the_whole(name, basis, portfolio, asked, price):
    contract = Contract(price, basis=basis, curve=CURVES[name])
    sold = sum(max(wh, 0) for wh in portfolio)

    owed = earned_revenue(
        contract,
        sold_wh=sold,
        portfolio_wh=portfolio,
        instructed_wh=[asked] * len(portfolio),
        declared_w=0,
    )

    assert 0 <= owed.utilisation_mp <= round(sold * Fraction(price)) + 1
    if basis is Basis.PORTFOLIO:
        assert owed.sold_wh <= asked * len(portfolio)


@given(st.sampled_from(sorted(CURVES)), st.fractions(0, 2), st.fractions(0, 2))
def test_a_curve_never_falls(name, one, other):
    curve = CURVES[name]

    assert curve.factor(min(one, other)) <= curve.factor(max(one, other))
    assert curve_from(curve.as_data()) == curve


def test_nothing_asked_is_all_delivered():
    assert delivered_share(5, 0) == 1


@pytest.mark.parametrize(
    "points", [[], [["95", "100"], ["63", "4"]], [["0", "50"], ["50", "20"]], [["x", "1"]]]
)
def test_a_curve_that_makes_no_sense_is_refused(points):
    with pytest.raises(CurveInvalid):
        curve_from({"name": "mine", "points": points})


def test_an_unknown_curve_is_refused():
    with pytest.raises(UnknownCurve):
        curve_from("steep")


@pytest.mark.parametrize("price", [None, Decimal("NaN"), Decimal("Infinity")])
@pytest.mark.parametrize("name", ["utilisation_pence_per_kwh", "availability_pence_per_kw_hour"])
def test_a_price_that_is_not_there_is_named(name, price):
    contract = replace(Contract(Decimal(1)), **{name: price})

    with pytest.raises(PriceMissing) as refused:
        earned_revenue(contract, sold_wh=1, portfolio_wh=[1], instructed_wh=[1], declared_w=0)

    assert refused.value.data == {"price": name, "value": str(price)}


@pytest.mark.parametrize("change", [{"sold_wh": -1}, {"declared_w": -1}])
def test_less_than_nothing_is_refused(change):
    usual = {"sold_wh": 1, "portfolio_wh": [1], "instructed_wh": [1], "declared_w": 0}

    with pytest.raises(RevenueImpossible):
        earned_revenue(Contract(Decimal(1)), **(usual | change))
    with pytest.raises(RevenueImpossible):
        earned_revenue(Contract(Decimal(-1)), **usual)
