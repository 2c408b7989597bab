"""Posting a round: what its runs owe less what the runs they replace posted, as one balanced ledger entry.

For `settling.py` and `rounds.py` only, inside their transaction. There is one posting for each participant
and component; the lines of each event stay in `HomeDelivery`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import F, Sum

from campaigns.models import Campaign
from campaigns.outcomes import record_outcomes
from opendsr.kernel import audit, outbox
from settlement import ledger, statements
from settlement.asset_power import keep_device_estimates
from settlement.models import Component, Entry, HomeDelivery, SettlementRound, SettlementRun

SETTLED: Final = "settlement.campaign.settled"
PARTS: Final = (
    (Component.FLOOR, "floor_mp"),
    (Component.ENERGY, "energy_mp"),
    (Component.AVAILABILITY, "availability_mp"),
    (Component.EQUAL, "equal_mp"),
)
Key = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Shared:
    """Account ids of those beside the households: the programme's buyer, the co-op, the community fund."""

    buyer: UUID
    coop: UUID
    fund: UUID


@dataclass(frozen=True, slots=True)
class Posted:
    """The round's entry, None when nothing moved, and how many statements were issued."""

    entry: Entry | None
    statements: int


def post_round(round: SettlementRound, runs: list[SettlementRun], *, at: datetime, actor: str) -> Posted:
    """Post the differences and issue the statements; once, the ledger's key sees to it."""
    replaced = [run.replaces for run in runs if run.replaces is not None]
    due = _by_household(run.pk for run in runs)
    before = _by_household(run.pk for run in replaced)
    accounts = ledger.household_accounts(occupancy_ids=due.keys() | before.keys(), at=at)
    ledger.lock_accounts(accounts.values())
    shared = Shared(
        buyer=ledger.buyer_account(programme_code=round.programme_id, at=at).pk,
        coop=ledger.coop_account(at=at).pk,
        fund=ledger.fund_account(at=at).pk,
    )
    to_post = ledger.still_to_post_mp(
        legs_of(runs, due, shared, accounts), legs_of(replaced, before, shared, accounts)
    )
    balances = ledger.balances_mp(accounts.values())
    entry = ledger.post_legs(
        key=f"round:{round.pk}", memo=_memo(round, runs), legs=to_post, at=at, round=round
    )
    issued = statements.issue(
        round=round,
        runs=runs,
        lines=[
            statements.Line(
                occupancy_id=occupancy_id,
                earned_mp=_net(due.get(occupancy_id)),
                previous_mp=_net(before.get(occupancy_id)),
                balance_mp=balances[account_id]
                + _net(due.get(occupancy_id))
                - _net(before.get(occupancy_id)),
            )
            for occupancy_id, account_id in accounts.items()
        ],
        at=at,
    )
    for run in runs:
        keep_device_estimates(run)
        outbox.record(
            SETTLED,
            at=at,
            key=str(run.pk),
            campaign_id=run.campaign_id,
            run_id=run.pk,
            sequence=run.sequence,
        )
        audit.record(
            at=at,
            actor=actor,
            verb="settlement.settled",
            target=f"campaign:{run.campaign_id}",
            detail={
                "run": run.sequence,
                "round": round.number,
                "revenue_mp": run.revenue_mp,
                "missing": run.missing_half_hours,
            },
        )
    return Posted(entry, issued)


def tell_campaign(run: SettlementRun, *, at: datetime) -> None:
    """Hand what the meters showed to `campaigns/`: (instructed, delivered) over the measured half-hours."""
    half_hours = len(run.half_hours)
    rows = HomeDelivery.objects.filter(run=run, measured_half_hours__gt=0)
    measured = {
        occupancy_id: (instructed_wh * count // half_hours, delivered_wh)
        for occupancy_id, instructed_wh, count, delivered_wh in rows.values_list(
            "occupancy_id", "instructed_wh", "measured_half_hours", "delivered_wh"
        )
    }
    record_outcomes(campaign_id=run.campaign_id, measured=measured, at=at)


def _by_household(run_ids: Iterable[UUID]) -> dict[UUID, dict[str, int]]:
    """Sums over the runs by occupancy."""
    wanted = list(run_ids)
    if not wanted:
        return {}
    names = [name for _, name in PARTS] + ["gift_mp"]
    rows = (
        HomeDelivery.objects.filter(run__in=wanted)
        .values_list("occupancy_id")
        .annotate(**{f"sum_{name}": Sum(F(name)) for name in names})
        .order_by()
    )
    return {
        occupancy_id: {name: int(value) for name, value in zip(names, sums, strict=True)}
        for occupancy_id, *sums in rows
    }


def legs_of(
    runs: Iterable[SettlementRun],
    homes: Mapping[UUID, Mapping[str, int]],
    shared: Shared,
    accounts: Mapping[UUID, UUID],
) -> dict[Key, int]:
    """Everything the runs owe, by account and component; sums to zero. Pure.

    `homes` are the sums of the runs' lines and `accounts` the household accounts, both by occupancy.
    """
    legs: dict[Key, int] = defaultdict(int)
    for run in runs:
        legs[shared.buyer, Component.REVENUE] -= run.revenue_mp
        legs[shared.coop, Component.COOP] += run.coop_mp
        legs[shared.fund, Component.FUND] += run.fund_mp
        legs[shared.fund, Component.GIFT] += run.gifts_mp
    for occupancy_id, amounts in homes.items():
        account_id = accounts[occupancy_id]
        for component, name in PARTS:
            if amounts[name]:
                legs[account_id, component] += amounts[name]
        if amounts["gift_mp"]:
            legs[account_id, Component.GIFT] -= amounts["gift_mp"]
    return legs


def _net(amounts: dict[str, int] | None) -> int:
    if amounts is None:
        return 0
    return sum(amounts[name] for _, name in PARTS) - amounts["gift_mp"]


def _memo(round: SettlementRound, runs: list[SettlementRun]) -> str:
    names = Campaign.objects.filter(pk__in=[run.campaign_id for run in runs[:1]]).values_list(
        "name", flat=True
    )
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return f"{', '.join(names)}{more}, {round.get_kind_display().lower()} round {round.number}"
