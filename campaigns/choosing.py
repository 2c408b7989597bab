"""Which assets a campaign asks: the pure choice behind a plan.

In come the assets that could take part, with the power each is expected to move; out goes the shortest
best-first list that reaches the size. Called by `planning.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Offer:
    """One asset that could take part: expected power and how often its household was asked lately."""

    asset_id: UUID
    expected_w: int
    recent_participations: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The assets asked, best first; `shortfall_w` is what the size still lacks, zero when reached."""

    chosen: tuple[Offer, ...]
    expected_w: int
    shortfall_w: int


def rank(offer: Offer) -> tuple[int, int, UUID]:
    """Best first: the most power, then the household asked least lately, then the asset's id."""
    return (-offer.expected_w, offer.recent_participations, offer.asset_id)


def choose(offers: Iterable[Offer], needed_w: int) -> Choice:
    """Take offers best first until their expected power reaches needed_w.

    The same offers in any order give the same choice; a larger need only adds to it; without the last asset
    taken the need is not met. Offers of no power are never taken.
    """
    if needed_w < 0:
        raise ValueError(f"needed_w must not be negative: {needed_w}")
    chosen: list[Offer] = []
    expected_w = 0
    for offer in sorted((offer for offer in offers if offer.expected_w > 0), key=rank):
        if expected_w >= needed_w:
            break
        chosen.append(offer)
        expected_w += offer.expected_w
    return Choice(chosen=tuple(chosen), expected_w=expected_w, shortfall_w=max(0, needed_w - expected_w))
