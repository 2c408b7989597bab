"""Who is held out of a campaign to compare with: drawn at random, by turns, and written down. Pure.

A held-out home is willing and able and would have been asked; it gets no event and is paid what a home that
took part gets on average. The draw depends on the homes, the share, the seed and who was held out lately, so
that anybody can draw it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from uuid import UUID

from campaigns.choosing import Choice, Offer, choose

Choose = Callable[[Iterable[Offer], int], Choice]
Draw = Callable[[Collection[UUID]], frozenset[UUID]]


def turns_of(share_pct: int) -> int:
    """In how many campaigns every home is held out about once."""
    return round(100 / share_pct) if share_pct else 0


def draw(
    homes: Collection[UUID], *, share_pct: int, seed: str, turns_since: Mapping[UUID, int]
) -> frozenset[UUID]:
    """`share_pct` of the homes, at least one of two, in an order that only the seed knows.

    `turns_since` says how many campaigns ago a home was last held out, 1 the latest. Whoever was held out
    within the latest half of `turns_of` comes after everybody else, the longest ago first.
    """
    if not share_pct or len(homes) < 2:
        return frozenset()
    rests = max(1, turns_of(share_pct) // 2)

    def place(home: UUID) -> tuple[int, bytes]:
        turns = turns_since.get(home, 0)
        is_resting = 1 <= turns <= rests
        return (
            rests + 1 - turns if is_resting else 0,
            hashlib.sha256(f"{seed}|{home}".encode()).digest(),
        )

    return frozenset(sorted(homes, key=place)[: max(1, (len(homes) * share_pct + 50) // 100)])


def choose_beside(
    offers: Iterable[Offer],
    needed_w: int,
    *,
    home_of: Mapping[UUID, UUID],
    draw: Draw,
    choose: Choose = choose,
) -> tuple[Choice, frozenset[UUID]]:
    """Choose until those asked reach `needed_w`, with homes drawn from the same best-first list held out.

    Asked and held out come from one list, so that they differ by the draw alone. A home is held out with all
    its assets; `home_of` is by asset. `choose` makes the choice and says what it lacks.
    """
    everything = list(offers)
    aim_w = needed_w
    while True:
        wanted = choose(everything, aim_w)
        held_out = draw({home_of[offer.asset_id] for offer in wanted.chosen})
        asked = choose(
            (offer for offer in wanted.chosen if home_of[offer.asset_id] not in held_out), needed_w
        )
        if not asked.shortfall_w or wanted.shortfall_w:
            return asked, held_out
        aim_w += asked.shortfall_w
