"""Conservation: whatever is corrected, in whatever order and rounds, the ledger holds what is due, no more.

Each case makes homes, events and readings at random, corrects readings in two orders, and posts rounds of it
by the settlement's own arithmetic: delivery, revenue, sharing, legs, difference. No database.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from random import Random
from uuid import UUID

import numpy as np
import pytest

from settlement.delivery import Cap, DeliveryRule, Floor, measure
from settlement.ledger import still_to_post_mp
from settlement.models import SettlementRun
from settlement.overriding import OverrideCost, OverridePolicy, paid_after_override
from settlement.pay_curves import CURVES
from settlement.posting import PARTS, Shared, legs_of
from settlement.revenue import Basis, Contract, earned_revenue
from settlement.sharing import WHOLE, By, Participant, SharePolicy, Shares, share_by

DAY = date(2026, 11, 24)
SHARED = Shared(buyer=UUID(int=1), coop=UUID(int=2), fund=UUID(int=3))
SPLITS = (
    {By.WH: Decimal(100)},
    {By.EQUAL: Decimal(100)},
    {By.AVAILABILITY: Decimal("33.3"), By.EQUAL: Decimal("66.7")},
    {By.WH: Decimal(60), By.EQUAL: Decimal(40)},
)
HALF_HOURS = 4
Cell = tuple[int, int, int]


@dataclass
class World:
    """Events and homes of one case; `metered_wh` is [event, home, half-hour], `baseline_wh` alike."""

    random: Random
    homes: list[Participant]
    policy: SharePolicy
    contract: Contract
    rule: DeliveryRule
    override: OverridePolicy
    baseline_wh: np.ndarray
    metered_wh: np.ndarray

    @classmethod
    def made(cls, random: Random) -> World:
        homes, events = random.randint(1, 6), random.randint(1, 3)
        shape = (events, homes, HALF_HOURS)
        numbers = np.random.default_rng(random.getrandbits(32))
        split = random.choice(SPLITS)
        held_out = {number for number in range(1, homes) if random.random() < random.choice((0, 0, 0.3))}
        return cls(
            random=random,
            homes=[
                Participant(
                    id=UUID(int=100 + number),
                    paid_wh=0,
                    available_wh=random.randint(1, 9_000),
                    takes_part=number == 0 or (number not in held_out and random.random() < 0.8),
                    in_hardship=random.random() < 0.3,
                    donates_pct=Decimal(random.choice((0, 0, 10, "33.3", 100))),
                    is_held_out=number in held_out,
                )
                for number in range(homes)
            ],
            policy=SharePolicy(
                coop_pct=Decimal(random.randint(0, 800)) / 10,
                fund_pct=Decimal(random.randint(0, 200)) / 10,
                split=split,
                floor_mp=random.choice((0, 0, 7, 10_000)),
                hardship_weight=random.choice((Decimal(1), Decimal("1.5"), Decimal(2))),
            ),
            contract=Contract(
                utilisation_pence_per_kwh=Decimal(random.randint(0, 50_000)) / 100,
                availability_pence_per_kw_hour=Decimal(0 if By.WH in split else random.randint(0, 100)),
                basis=random.choice(list(Basis)) if By.WH not in split else Basis.HOMES,
                curve=random.choice(list(CURVES.values())),
            ),
            rule=DeliveryRule(random.choice(list(Floor)), random.choice(list(Cap))),
            override=OverridePolicy(OverrideCost.REDUCED, Decimal(random.randint(0, 99))),
            baseline_wh=numbers.integers(-200, 3_000, shape),
            metered_wh=numbers.integers(-500, 3_000, shape),
        )

    def shares(self, event: int, metered_wh: np.ndarray) -> Shares:
        """Who gets what of the event when the meters showed this."""
        takes_part = np.array([home.takes_part for home in self.homes])
        instructed = np.full(len(self.homes), 1_000)
        has = np.ones(metered_wh.shape, np.bool_)
        delivery = measure(
            baseline_wh=self.baseline_wh[event],
            has_baseline=has,
            metered_wh=metered_wh,
            has_reading=has,
            direction=("turn_down", "turn_up")[event % 2],
            instructed_half_hour_wh=instructed,
            takes_part=takes_part,
            rule=self.rule,
        )
        sold = delivery.paid_wh.tolist()
        held_out = [home.is_held_out for home in self.homes]
        paid = [paid_after_override(wh, self.override) if row % 3 == 2 else wh for row, wh in enumerate(sold)]
        overrode = [row % 3 == 2 and not held_out[row] for row in range(len(self.homes))]
        if By.WH in self.policy.split and not sum(paid) and not any(overrode):
            sold = [0] * len(sold)
        owed = earned_revenue(
            self.contract,
            sold_wh=sum(sold),
            portfolio_wh=delivery.half_hour_wh[takes_part].sum(axis=0).tolist(),
            instructed_wh=[1_000 * int(takes_part.sum())] * HALF_HOURS,
            declared_w=5_000,
        )
        return share_by(
            self.policy,
            revenue_mp=owed.total_mp,
            participants=[
                replace(home, paid_wh=wh, keeps=self.override.keeps if did else WHOLE)
                for home, wh, did in zip(self.homes, paid, overrode, strict=True)
            ],
            day=DAY,
        )


@dataclass
class Books:
    """A ledger and the run that stands for each event."""

    world: World
    standing: dict[int, Shares] = field(default_factory=dict)
    balances: Counter = field(default_factory=Counter)

    def post(self, metered_wh: np.ndarray, events: list[int]) -> None:
        """One round of these events; what must hold of every round is checked here."""
        fresh = {event: self.world.shares(event, metered_wh[event]) for event in events}
        before = {event: self.standing[event] for event in events if event in self.standing}
        due = self.legs(fresh)
        moved = still_to_post_mp(due, self.legs(before))
        assert sum(moved.values()) == 0
        self.balances.update(moved)
        self.standing |= fresh
        assert nonzero(self.balances) == nonzero(self.legs(self.standing))
        assert not any(still_to_post_mp(due, self.legs(fresh)).values())
        replayed = {event: self.world.shares(event, metered_wh[event]) for event in events}
        assert replayed == fresh
        for shares in fresh.values():
            assert shares.revenue_mp == shares.coop_mp + shares.fund_mp + sum(shares.earned_mp)
            assert min(shares.coop_mp, shares.fund_mp, *shares.earned_mp) >= 0

    def legs(self, shares_of: dict[int, Shares]) -> dict:
        """What the events owe, by the posting service's own function."""
        homes: dict[UUID, dict[str, int]] = defaultdict(Counter)
        runs = []
        for shares in shares_of.values():
            runs.append(
                SettlementRun(
                    revenue_mp=shares.revenue_mp,
                    coop_mp=shares.coop_mp,
                    fund_mp=shares.fund_mp,
                    gifts_mp=shares.gifts_mp,
                )
            )
            for home, part in zip(self.world.homes, shares.parts, strict=True):
                amounts = (part.floor_mp, part.wh_mp, part.availability_mp, part.equal_mp)
                for (_, name), amount_mp in zip(PARTS, amounts, strict=True):
                    homes[home.id][name] += amount_mp
                homes[home.id]["gift_mp"] += part.gift_mp
        return legs_of(runs, homes, SHARED, {home.id: home.id for home in self.world.homes})


def nonzero(amounts) -> dict:
    return {key: mp for key, mp in amounts.items() if mp}


def corrected(world: World, corrections: list[tuple[Cell, int]]) -> dict:
    """Balances after the corrections in this order, a round after each few of them."""
    books, metered_wh = Books(world), world.metered_wh.copy()
    events = list(range(len(metered_wh)))
    books.post(metered_wh, events)
    waiting: set[int] = set()
    for cell, wh in corrections:
        metered_wh[cell] = wh
        waiting.add(cell[0])
        if world.random.random() < 0.5:
            books.post(metered_wh, sorted(waiting))
            waiting.clear()
    books.post(metered_wh, sorted(waiting) or events)
    return nonzero(books.balances)


def conserves(seed: int) -> None:
    random = Random(seed)
    world = World.made(random)
    cells = [tuple(cell) for cell in np.argwhere(np.ones(world.metered_wh.shape)).tolist()]
    corrections = [
        (cell, random.randint(-500, 3_000))
        for cell in random.sample(cells, min(len(cells), random.randint(1, 5)))
    ]
    one = corrected(world, corrections)
    random.shuffle(corrections)
    assert corrected(world, corrections) == one, f"seed {seed}"


def test_money_is_conserved_over_random_runs_with_corrections_in_any_order():
    for seed in range(200):
        conserves(seed)


@pytest.mark.slow
def test_money_is_conserved_over_ten_thousand_random_runs():
    for seed in range(200, 10_200):
        conserves(seed)
