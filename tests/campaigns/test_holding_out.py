"""The hold-out: a draw that anybody can repeat and that goes by turns, and a plan that keeps to it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import dispatching, queries
from campaigns.approving import approve_campaign
from campaigns.choosing import Offer, choose
from campaigns.creating import CampaignInvalid
from campaigns.holding_out import choose_beside, draw, turns_of
from campaigns.models import Campaign, Participation
from campaigns.planning import plan_campaign
from members import consenting
from members.models import Consent, Purpose
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    STARTS_AT,
    make_campaign,
    make_history,
    make_programme,
    make_ready_home,
)
from tests.factories import HubKit, Resident

homes = st.sets(st.integers(1, 10**6).map(lambda number: UUID(int=number)), max_size=60)
shares = st.integers(1, 50)


@given(homes=homes, share_pct=shares, seed=st.text(max_size=9))
def test_a_draw_is_the_share_and_can_be_repeated(homes: set[UUID], share_pct: int, seed: str) -> None:
    held_out = draw(homes, share_pct=share_pct, seed=seed, turns_since={})

    assert held_out <= homes
    if len(homes) < 2:
        assert not held_out
    else:
        assert len(held_out) == max(1, (len(homes) * share_pct + 50) // 100)
    assert draw(sorted(homes, reverse=True), share_pct=share_pct, seed=seed, turns_since={}) == held_out


@given(homes=homes, share_pct=shares, seeds=st.lists(st.text(max_size=9), min_size=1, max_size=12))
def test_nobody_is_held_out_again_while_others_have_not_been(
    homes: set[UUID], share_pct: int, seeds: list[str]
) -> None:
    latest: list[frozenset[UUID]] = []
    rests = max(1, turns_of(share_pct) // 2)
    for seed in seeds:
        turns_since: dict[UUID, int] = {}
        for turn, group in enumerate(latest, start=1):
            for home in group:
                turns_since.setdefault(home, turn)
        held_out = draw(homes, share_pct=share_pct, seed=seed, turns_since=turns_since)
        resting = {home for home, turn in turns_since.items() if turn <= rests}
        again = held_out & resting
        if again:
            assert held_out >= homes - resting
            spared = resting - held_out
            assert min(turns_since[home] for home in again) >= max(
                (turns_since[home] for home in spared), default=0
            )
        latest.insert(0, held_out)


def test_over_many_campaigns_everybody_is_held_out_about_as_often() -> None:
    homes = [UUID(int=number) for number in range(1, 101)]
    counts: Counter[UUID] = Counter()
    latest: list[frozenset[UUID]] = []
    for number in range(200):
        turns_since = {
            home: turn for turn, group in reversed([*enumerate(latest[:10], start=1)]) for home in group
        }
        latest.insert(0, draw(homes, share_pct=10, seed=f"campaign {number}", turns_since=turns_since))
        counts.update(latest[0])

    assert 14 <= min(counts.values()) <= max(counts.values()) <= 27


offers = st.lists(
    st.builds(
        Offer,
        asset_id=st.integers(1, 10**6).map(lambda number: UUID(int=number)),
        expected_w=st.integers(0, 7_360),
        recent_participations=st.integers(0, 5),
    ),
    unique_by=lambda offer: offer.asset_id,
    max_size=40,
)


@given(offers=offers, needed_w=st.integers(0, 100_000), share_pct=st.integers(0, 50))
def test_those_asked_reach_the_size_beside_those_held_out(
    offers: list[Offer], needed_w: int, share_pct: int
) -> None:
    home_of = {offer.asset_id: UUID(int=offer.asset_id.int % 17 + 1) for offer in offers}

    def drawn(homes) -> frozenset[UUID]:
        return draw(homes, share_pct=share_pct, seed="seed", turns_since={})

    choice, held_out = choose_beside(offers, needed_w, home_of=home_of, draw=drawn)

    assert not {home_of[offer.asset_id] for offer in choice.chosen} & held_out
    if choice.shortfall_w:
        able = {offer.asset_id for offer in offers if offer.expected_w}
        left = able - {offer.asset_id for offer in choice.chosen}
        assert {home_of[asset_id] for asset_id in left} <= held_out
    if not share_pct:
        assert (choice, held_out) == (choose(offers, needed_w), frozenset())


def ready(count: int) -> list[tuple[Resident, HubKit]]:
    found = [make_ready_home() for _ in range(count)]
    make_history({resident.stream_id: 2_000 for resident, _ in found})
    return found


def held_out_of(campaign: Campaign) -> frozenset[UUID]:
    return queries.held_out_by_campaign([campaign.pk]).get(campaign.pk, frozenset())


@pytest.mark.django_db
def test_a_held_out_home_gets_no_event_and_is_not_asked_twice_running() -> None:
    ready(4)
    make_programme(hold_out_pct=25)
    first = make_campaign(size_w=99_000)

    plan = plan_campaign(campaign_id=first.pk, at=NOON)
    approve_campaign(campaign_id=first.pk, at=NOON, by=None)

    assert plan.left_out_counts == {"held_out": 1}
    assert [line.reason for line in plan.lines if line.left_out] == [
        "Held out to compare with: not asked, paid the average"
    ]
    held_out = held_out_of(first)
    asked = set(Participation.objects.filter(campaign=first).values_list("occupancy", flat=True))
    assert len(held_out) == 1
    assert len(asked) == 3
    assert not held_out & asked
    later = {"starts_at": STARTS_AT + timedelta(days=1), "ends_at": ENDS_AT + timedelta(days=1)}
    second = make_campaign(size_w=99_000, **later)
    plan_campaign(campaign_id=second.pk, at=NOON)
    assert len(held_out_of(second)) == 1
    assert not held_out_of(second) & held_out
    drawn = held_out_of(second)
    plan_campaign(campaign_id=second.pk, at=NOON + timedelta(minutes=5))
    assert held_out_of(second) == drawn


@pytest.mark.django_db
def test_another_campaign_leaves_a_held_out_home_alone() -> None:
    ready(2)
    campaign = make_campaign(size_w=99_000, hold_out_pct=50)
    plan_campaign(campaign_id=campaign.pk, at=NOON)
    approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)

    other = plan_campaign(campaign_id=make_campaign(size_w=99_000).pk, at=NOON)

    assert other.left_out_counts == {"busy": 2}


@pytest.mark.django_db
def test_who_withdraws_consent_is_not_held_out_either(paper_vtn: object) -> None:
    people = ready(2)
    campaign = make_campaign(size_w=99_000, hold_out_pct=50)
    plan_campaign(campaign_id=campaign.pk, at=NOON)
    approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    (occupancy_id,) = held_out_of(campaign)
    resident = next(each for each, _ in people if each.occupancy.pk == occupancy_id)
    consent = Consent.objects.get(occupancy=resident.occupancy, purpose=Purpose.FLEXIBILITY)
    consenting.withdraw_consent(consent_id=consent.pk, member=resident.member, at=NOON)

    dispatching.dispatch_campaign(campaign_id=campaign.pk, at=NOON + timedelta(minutes=1))

    assert held_out_of(campaign) == frozenset()
    assert campaign.plan_lines.get(occupancy=occupancy_id).left_out == "no_consent"


@pytest.mark.django_db
@pytest.mark.parametrize("share_pct", [-1, 51])
def test_more_than_half_cannot_be_held_out(share_pct: int) -> None:
    with pytest.raises(CampaignInvalid) as refused:
        make_campaign(hold_out_pct=share_pct)

    assert refused.value.errors == {"hold_out_pct": "Hold out 0 to 50 percent of the homes."}
