"""A request's way: received, offered with its assets held, ordered, planned; or lapsed, declined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st

from assets.models import Asset
from campaigns import cancelling, needs, tariffs
from campaigns.market import declaring, offering, ordering, receiving, rows, weighing
from campaigns.market.ordering import stretches
from campaigns.models import (
    Campaign,
    HomePlan,
    HomePlanLine,
    MarketAvailability,
    MarketOffer,
    MarketOfferAsset,
    MarketOrder,
    MarketParty,
    MarketRequest,
    MarketTold,
    PlanLine,
)
from members.models import Occupancy
from members.rows import RowsUnusable
from opendsr.kernel import outbox
from opendsr.kernel.models import AuditEntry
from opendsr.kernel.periods import civil_date
from tests.campaigns.market.trading import asked, make_buyer, make_request
from tests.campaigns.servicing.operating import make_habits
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    make_history,
    make_ready_home,
    make_rules,
)

pytestmark = pytest.mark.django_db
ItIs = Callable[[datetime], None]
HOUR = timedelta(hours=1)


@pytest.fixture
def buyer(paper_vtn: PaperVtn, it_is: ItIs) -> MarketParty:
    """A buyer, and four homes of 3 kW in CMZ Calder whose habits are known; it is noon."""
    it_is(NOON)
    make_rules()
    homes = [make_ready_home(cmz="Calder")[0] for _ in range(4)]
    make_habits(*homes)
    make_history({home.stream_id: 3_000 for home in homes})
    return make_buyer()


def test_an_ordered_offer_becomes_a_planned_campaign_for_each_stretch_of_one_power(
    buyer: MarketParty,
) -> None:
    request = make_request(buyer, profile_w=(4_000, 4_000, 0, 8_000))

    (offer,) = offering.make_offers(request_ids=[request.pk], at=NOON, by=None)
    order = ordering.receive_order(request_id=request.pk, reference="O-1", at=NOON, by=None)

    assert offer.offered_w == [4_000, 4_000, 0, 8_000]
    assert order.price_mp == offer.price_mp == 8_000 * 60_000 // 1_000
    campaigns = list(Campaign.objects.order_by("starts_at"))
    assert [(each.size_w, each.starts_at, each.ends_at) for each in campaigns] == [
        (4_000, STARTS_AT, STARTS_AT + HOUR),
        (8_000, STARTS_AT + 1.5 * HOUR, ENDS_AT),
    ]
    assert {each.state for each in campaigns} == {"planned"}
    assert all(each.plan_lines.filter(left_out="").exists() for each in campaigns)
    again = ordering.receive_order(request_id=request.pk, reference="O-1", at=NOON, by=None)
    assert again == order
    assert Campaign.objects.count() == 2
    told = MarketTold.objects.filter(request=request).order_by("pk")
    assert [(each.what, each.is_ours) for each in told] == [
        ("request", False),
        ("offer", True),
        ("order", False),
    ]
    with pytest.raises(DatabaseError, match="markettold"), transaction.atomic():
        told.update(what="nothing")


def test_those_offered_are_asked_first_and_free_again_once_all_of_an_order_is_called_off(
    buyer: MarketParty,
) -> None:
    request = make_request(buyer, profile_w=(3_000,) * 4)
    (offer,) = offering.make_offers(request_ids=[request.pk], at=NOON, by=None)
    offered = set(offer.held.values_list("asset", flat=True))
    assert 0 < len(offered) < 4

    ordering.receive_order(request_id=request.pk, reference="O-1", at=NOON, by=None)

    campaign = Campaign.objects.get()
    asked = set(campaign.plan_lines.filter(left_out="").values_list("asset", flat=True))
    assert asked <= offered
    cancelling.cancel_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    outbox.drain()
    assert not offer.held.filter(is_held=True).exists()
    again = make_request(buyer, profile_w=(50_000,) * 4)
    assert weighing.weigh([again], at=NOON)[0].able == 4


def test_assets_of_an_offer_are_promised_to_nobody_else_until_it_lapses(
    buyer: MarketParty, it_is: ItIs
) -> None:
    first, second = (make_request(buyer, profile_w=(50_000,) * 4, reference=name) for name in ("A", "B"))
    offering.make_offers(request_ids=[first.pk], at=NOON, by=None)

    with pytest.raises(offering.NothingToOffer) as refused:
        offering.make_offers(request_ids=[second.pk], at=NOON, by=None)

    assert refused.value.why == "nobody"
    held = MarketOfferAsset.objects.earliest("pk")
    other = MarketOffer.objects.create(
        request=second, offered_w=[1], price_mp=1, income_mp=1, good_until=STARTS_AT, made_at=NOON
    )
    with pytest.raises(DatabaseError, match="marketofferasset_never_twice"), transaction.atomic():
        MarketOfferAsset.objects.create(
            offer=other,
            asset=held.asset,
            occupancy=held.occupancy,
            expected_w=1,
            starts_at=ENDS_AT - HOUR,
            ends_at=ENDS_AT + HOUR,
        )
    other.delete()
    it_is(STARTS_AT - timedelta(minutes=15))
    outbox.drain()
    states = dict(MarketRequest.objects.values_list("reference", "state"))
    assert states == {"A": "lapsed", "B": "lapsed"}
    assert not MarketOfferAsset.objects.filter(is_held=True).exists()


def test_of_two_requests_at_once_the_dearer_gets_the_homes(buyer: MarketParty) -> None:
    cheap = make_request(buyer, profile_w=(12_000,) * 4, price_mp_per_kwh=20_000)
    dear = make_request(buyer, profile_w=(12_000,) * 4, price_mp_per_kwh=90_000)

    found = {each.request.pk: each for each in weighing.weigh([cheap, dear], at=NOON)}

    assert (len(found[dear.pk].serving), found[dear.pk].able) == (4, 4)
    assert (found[cheap.pk].serving, found[cheap.pk].why_not) == ((), "others_bring_more")
    offering.make_offers(request_ids=[cheap.pk, dear.pk], at=NOON, by=None)
    assert dict(MarketRequest.objects.values_list("pk", "state")) == {cheap.pk: "open", dear.pk: "offered"}


def test_homes_whose_plan_of_the_night_is_worth_more_stay_with_it_and_the_sums_are_kept(
    buyer: MarketParty,
) -> None:
    bands = {time(0): Decimal(60), time(16): Decimal(5), time(18): Decimal(60)}
    tariffs.set_bands(code="t", name="T", bands=bands, at=NOON, by="test")
    night = needs.night_of(civil_date(STARTS_AT))
    evening = [3_000 if STARTS_AT <= start < ENDS_AT else 0 for start in night.starts]
    cheap, dear = list(Asset.objects.order_by("pk"))[:2], {1_500: 0, 9_000: 0}
    for asset, charge_wh in zip(cheap, dear, strict=True):
        Asset.objects.filter(pk=asset.pk).update(needs={"charge_wh": charge_wh, "ready_by": "07:00"})
        stay = Occupancy.objects.get(home=asset.hub.home_id)
        plan = HomePlan.objects.create(
            night=night.date, occupancy=stay, tariff_id="t", made_at=NOON, sent_at=NOON, cost_mp=30_000,
            unplanned_cost_mp=30_000,
        )  # fmt: skip
        HomePlanLine.objects.create(
            plan=plan, asset=asset, power_w=evening, unplanned_power_w=evening, cost_mp=30_000,
            unplanned_cost_mp=30_000, vtn_event_id=f"E-{charge_wh}",
        )  # fmt: skip
    request = make_request(buyer, profile_w=(12_000,) * 4)

    (offer,) = offering.make_offers(request_ids=[request.pk], at=NOON, by=None)

    # Per home 6 kWh at 60 p; the first home's night costs 61 p more, the second's 5.14 pounds.
    assert set(MarketOfferAsset.objects.values_list("asset", flat=True)) == set(
        Asset.objects.exclude(pk=cheap[1].pk).values_list("pk", flat=True)
    )
    (entry,) = AuditEntry.objects.filter(verb=offering.WEIGHED, target=f"request:{request.pk}")
    assert (entry.detail["assets"], entry.detail["stay_with_tariffs"]) == (3, 1)
    assert entry.detail["income_mp"] == offer.income_mp
    assert entry.detail["tariff_mp"] > 0


def test_a_buyer_on_trial_is_answered_and_nothing_is_planned(buyer: MarketParty) -> None:
    request = make_request(make_buyer(is_sandbox=True))
    offering.make_offers(request_ids=[request.pk], at=NOON, by=None)

    order = ordering.receive_order(request_id=request.pk, reference="O-1", at=NOON, by=None)

    assert order.ordered_w == [4_000, 4_000, 8_000, 8_000]
    assert not Campaign.objects.exists()
    assert not PlanLine.objects.exists()


def test_what_comes_too_late_or_twice_is_refused_with_the_reason(buyer: MarketParty) -> None:
    late = asked(deadline_at=NOON - HOUR)
    with pytest.raises(receiving.RequestInvalid) as refused:
        receiving.receive_request(party=buyer, asked=late, source="form", at=NOON, by=None)
    assert "has passed" in refused.value.errors["deadline_at"]

    long = asked(profile_w=(4_000,) * 9)
    with pytest.raises(receiving.RequestInvalid) as refused:
        receiving.receive_request(party=buyer, asked=long, source="form", at=NOON, by=None)
    assert refused.value.errors == {"profile_w": "Local network takes 30 to 240 minutes, not 270."}

    request = make_request(buyer)
    same = receiving.receive_request(
        party=buyer, asked=asked(reference=request.reference), source="door", at=NOON, by=None
    )
    assert same == (request, False)
    with pytest.raises(receiving.ReferenceReused):
        receiving.receive_request(
            party=buyer,
            asked=replace(asked(), reference=request.reference, price_mp_per_kwh=1),
            source="door",
            at=NOON,
            by=None,
        )
    with pytest.raises(offering.DeadlinePassed):
        offering.make_offers(request_ids=[request.pk], at=NOON + 2 * HOUR, by=None)
    with pytest.raises(ordering.NotOffered):
        ordering.receive_order(request_id=request.pk, reference="O", at=NOON, by=None)
    offering.make_offers(request_ids=[request.pk], at=NOON, by=None)
    with pytest.raises(ordering.OrderTooLate):
        ordering.receive_order(request_id=request.pk, reference="O", at=STARTS_AT, by=None)
    with pytest.raises(ordering.OrderInvalid):
        ordering.receive_order(
            request_id=request.pk, reference="O", at=NOON, by=None, ordered_w=[4_001, 0, 0, 0]
        )
    offering.decline_request(request_id=request.pk, reason="No", at=NOON, by=None)
    with pytest.raises(receiving.RequestClosed):
        ordering.receive_order(request_id=request.pk, reference="O", at=NOON, by=None)
    assert not MarketOrder.objects.exists()


def test_a_time_of_a_file_that_comes_twice_says_which_or_is_refused(buyer: MarketParty) -> None:
    row = f"{buyer.name},F-1,local,turn_down,cmz,2026-10-25 01:30,4 4.5,32.5,2026-10-24T14:00Z,Calder,10"
    text = "\n".join([",".join(rows.COLUMNS), row])

    refused = rows.take_in(text, at=NOON, by=None, dry_run=False)
    told = text.replace("2026-10-25 01:30", "2026-10-25T01:30Z")
    taken = rows.take_in(told, at=NOON, by=None, dry_run=False)

    assert [(each.field, each.fix) for each in refused.rejects] == [
        (
            "starts_at",
            "That time comes twice: write 2026-10-25T01:30+01:00 or, an hour later, 2026-10-25T01:30Z.",
        )
    ]
    assert (refused.taken, taken.taken) == (0, 1)
    assert MarketRequest.objects.get().starts_at.isoformat() == "2026-10-25T01:30:00+00:00"


def test_a_file_is_checked_first_and_a_bad_row_sinks_no_other(buyer: MarketParty) -> None:
    header = ",".join(rows.COLUMNS)
    good = f"{buyer.name},F-1,local,turn_down,cmz,2026-01-14 16:00,4 4.5,32.5,2026-01-14T14:00Z,Calder,10"
    bad = {
        "buyer": good.replace(buyer.name, "Nobody"),
        "profile_kw": good.replace("F-1", "F-2").replace("4 4.5", "4 x"),
        "deadline_at": good.replace("F-1", "F-3").replace("14T14:00Z", "13T14:00Z"),
        "starts_at": good.replace("F-1", "F-4").replace("2026-01-14 16:00", "2026-03-29 01:30"),
    }
    text = "\n".join([header, good, *bad.values()])

    tried = rows.take_in(text, at=NOON, by=None, dry_run=True)
    assert (tried.rows, tried.taken, len(tried.rejects)) == (5, 1, 4)
    assert not MarketRequest.objects.exists()

    done = rows.take_in(text, at=NOON, by=None, dry_run=False)
    again = rows.take_in(text, at=NOON, by=None, dry_run=False)

    assert [each.field for each in done.rejects] == list(bad)
    assert (done.taken, again.taken, again.known) == (1, 0, 1)
    request = MarketRequest.objects.get()
    assert (request.profile_w, request.starts_at) == ([4_000, 4_500], STARTS_AT)
    assert (request.price_mp_per_kwh, request.penalty_mp_per_kwh) == (32_500, 10_000)
    assert "F-2" in "".join(rows.reject_file(done))


def test_availability_is_declared_once_for_a_time_and_taken_back(buyer: MarketParty) -> None:
    fields = {
        "party": buyer,
        "direction": "turn_down",
        "zone_kind": "cmz",
        "zone": "Calder",
        "starts_at": STARTS_AT,
        "ends_at": ENDS_AT,
        "available_w": 9_000,
        "at": NOON,
        "by": None,
    }
    made = declaring.declare(**fields)
    with pytest.raises(declaring.AvailabilityInvalid):
        declaring.declare(**fields)
    declaring.withdraw(availability_id=made.pk, at=NOON, by=None)
    declaring.declare(**fields)

    assert MarketAvailability.objects.filter(withdrawn_at=None).count() == 1
    assert MarketTold.objects.filter(party=buyer).count() == 3


@given(st.lists(st.integers(0, 3).map(lambda n: n * 1_000), min_size=1, max_size=50))
def test_stretches_are_the_profile_again_in_pieces_that_a_campaign_can_carry(profile: list[int]) -> None:
    again = [0] * len(profile)
    for part in stretches(profile):
        assert part.power_w > 0
        assert 0 < part.after - part.first <= 8
        again[part.first : part.after] = [part.power_w] * (part.after - part.first)
    assert again == profile


def test_a_file_that_is_too_long_is_refused_before_a_row_is_taken_in(
    buyer: MarketParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST_ROWS", 2)
    taken: list[object] = []
    monkeypatch.setattr(receiving, "receive_request", lambda **asked: taken.append(asked) or (None, True))
    row = f"{buyer.name},R,local,turn_down,cmz,2026-01-14 16:00,4 8,60,2026-01-14 14:00"

    with pytest.raises(RowsUnusable):
        rows.take_in("\n".join([",".join(rows.REQUIRED), *[row] * 3]), at=NOON, by=None, dry_run=True)

    assert not taken


def test_a_buyer_on_trial_takes_no_home_from_others(buyer: MarketParty) -> None:
    trial = make_request(make_buyer(is_sandbox=True), price_mp_per_kwh=900_000)
    live = make_request(buyer)
    alone = weighing.weigh([live], at=NOON)
    assert alone[0].is_accepted
    assert weighing.weigh([trial, live], at=NOON)[1] == alone[0]

    offering.make_offers(request_ids=[trial.pk], at=NOON, by=None)
    ordering.receive_order(request_id=trial.pk, reference="O-1", at=NOON, by=None)

    assert MarketOfferAsset.objects.filter(offer__request=trial).exists()
    assert not MarketOfferAsset.objects.filter(is_held=True).exists()
    assert weighing.weigh([live], at=NOON) == alone
    assert [each.request for each in offering.make_offers(request_ids=[live.pk], at=NOON, by=None)] == [live]
