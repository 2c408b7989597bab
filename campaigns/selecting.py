"""Whom a campaign asks: offers of assets in, the portfolio choice out, each in or out for a reason in words.

`portfolio.py` does the sum; this puts offers into its arrays. An asset is expected to hold for the whole of
the campaign (`eligibility` leaves out what cannot), so one figure stands for every half-hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np

from campaigns import portfolio, rules
from campaigns.models import CampaignRule
from campaigns.portfolio import NO_FEEDER, Candidates, Portfolio, Terms

ASK_MP: Final = 1_000
"""What it takes to ask one asset once: every switch wears and every ask is one. The same for all."""
HELD_TIMES: Final = 3
"""How much dearer it is to take an asset from another campaign than to ask one that is free."""


class Offer(NamedTuple):
    """An asset that could take part: what is expected of it, and the chance that its home fails.

    `substation` is "" where none is known; `is_held` says that another campaign has it and would lose it.
    """

    asset_id: UUID
    expected_w: int
    chance_out: float
    asked_lately: int = 0
    substation: str = ""
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The places of the offers chosen, best first, and what comes of them, in W."""

    chosen: tuple[int, ...]
    expected_w: int
    sure_w: int
    shortfall_w: int
    made: Portfolio

    def why(self, number: int) -> str:
        """Why the offer at this place is in or out."""
        return portfolio.words(self.made, number)


def select(
    offers: Sequence[Offer],
    *,
    size_w: int,
    rule: CampaignRule,
    stagger_seconds: int,
    used_w_per_minute: Mapping[str, int] | None = None,
    portfolio_cap_w: int | None = None,
) -> Selection:
    """Reach `size_w` with the chance that the rules want, within what a substation may change at once, less
    what other campaigns change there at that time (`ramping.py`), and `portfolio_cap_w` in all.
    """
    used = used_w_per_minute or {}
    names = sorted({offer.substation for offer in offers if offer.substation})
    place = {name: number for number, name in enumerate(names)}
    cap_w = [
        rules.feeder_cap_w(rule, stagger_seconds=stagger_seconds, used_w_per_minute=used.get(name, 0))
        for name in names
    ]
    count = len(offers)
    made = portfolio.choose_portfolio(
        Candidates(
            power_w=np.array([offer.expected_w for offer in offers], np.int64),
            chance_out=np.array([offer.chance_out for offer in offers], np.float64),
            holds=np.ones(count, np.int64),
            rebound_pct=np.zeros(count, np.int64),
            cost_mp=np.array([ASK_MP * (HELD_TIMES if each.is_held else 1) for each in offers], np.int64),
            feeder=np.array([place.get(offer.substation, NO_FEEDER) for offer in offers], np.int64),
            asked_lately=np.array([offer.asked_lately for offer in offers], np.int64),
        ),
        Terms(
            asked_w=np.array([size_w], np.int64),
            feeder_cap_w=np.array(cap_w, np.int64),
            chance_wanted=rule.chance_pct / 100,
            most_asks=rule.most_asks,
            portfolio_cap_w=portfolio_cap_w,
        ),
    )
    chosen = np.nonzero(made.is_chosen)[0]
    ordered = chosen[np.argsort(made.place[chosen], kind="stable")]
    return Selection(
        chosen=tuple(ordered.tolist()),
        expected_w=int(made.expected_w[0]),
        sure_w=max(0, int(made.sure_w[0])),
        shortfall_w=int(np.ceil(made.shortfall_w[0])),
        made=made,
    )
