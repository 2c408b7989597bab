"""Properties of the choice behind a plan."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.choosing import Choice, Offer, choose

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
needs = st.integers(0, 100_000)


def ids(choice: Choice) -> list[UUID]:
    return [offer.asset_id for offer in choice.chosen]


@given(offers=offers, needed_w=needs)
def test_the_sums_are_right_and_nobody_is_asked_for_nothing(offers: list[Offer], needed_w: int) -> None:
    choice = choose(offers, needed_w)

    assert choice.expected_w == sum(offer.expected_w for offer in choice.chosen)
    assert choice.shortfall_w == max(0, needed_w - choice.expected_w)
    assert all(offer.expected_w > 0 for offer in choice.chosen)


@given(offers=offers, needed_w=needs)
def test_without_the_last_asset_the_need_is_not_met(offers: list[Offer], needed_w: int) -> None:
    choice = choose(offers, needed_w)

    if choice.chosen:
        assert choice.expected_w - choice.chosen[-1].expected_w < needed_w


@given(offers=offers, needed_w=needs)
def test_a_shortfall_means_that_everybody_was_asked(offers: list[Offer], needed_w: int) -> None:
    choice = choose(offers, needed_w)

    if choice.shortfall_w:
        assert set(ids(choice)) == {offer.asset_id for offer in offers if offer.expected_w}


@given(offers=offers, needed_w=needs, more_w=st.integers(0, 20_000))
def test_a_larger_need_only_adds(offers: list[Offer], needed_w: int, more_w: int) -> None:
    small, large = choose(offers, needed_w), choose(offers, needed_w + more_w)

    assert ids(large)[: len(small.chosen)] == ids(small)


@given(data=st.data(), offers=offers, needed_w=needs)
def test_the_order_offers_come_in_does_not_matter(
    data: st.DataObject, offers: list[Offer], needed_w: int
) -> None:
    shuffled = data.draw(st.permutations(offers))

    assert choose(shuffled, needed_w) == choose(offers, needed_w)


def test_the_most_power_first_then_who_was_asked_least_then_the_id() -> None:
    tired, fresh, twin = (Offer(UUID(int=n), 2_000, recent) for n, recent in ((1, 3), (3, 0), (2, 0)))
    strong = Offer(UUID(int=9), 3_000, 5)

    choice = choose([tired, fresh, twin, strong], 6_500)

    assert choice.chosen == (strong, twin, fresh)


def test_a_negative_need_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        choose([], -1)
