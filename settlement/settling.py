"""Settling: one campaign from stored readings to postings and statements, in one transaction.

A run is never changed. The same inputs as the newest run's are that run and post nothing; other inputs make
the next run, which posts the new amounts less what was posted before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from campaigns.models import Campaign
from campaigns.outcomes import record_outcomes
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError, NotFound
from settlement import gathering, ledger, queries, recording, statements, terms
from settlement.models import Entry, SettlementRun, SettlementTerms
from settlement.readiness import Readiness, readiness_of
from settlement.reckoning import Input, Reckoning, reckon

SETTLED: Final = "settlement.campaign.settled"
LOCK: Final = "settlement.campaign"
SYSTEM: Final = "system:settlement"

logger = logging.getLogger(__name__)


class CampaignUnknown(NotFound):
    """No campaign with that id."""

    campaign_id: UUID


class CampaignNotCompleted(DomainError):
    """Only a completed campaign is settled."""

    campaign_id: UUID
    state: str


class ReadingsIncomplete(DomainError):
    """Paid households lack readings of the event: wait, or force it and they earn nothing there."""

    campaign_id: UUID
    households: int
    half_hours: int


class KnowledgeRunsBackwards(DomainError):
    """A run must not know less than the one before it."""

    campaign_id: UUID
    as_known_at: datetime
    newest_known_at: datetime


class HouseholdsVanished(DomainError):
    """Households paid by an earlier run are no longer in the campaign: somebody has to look first."""

    campaign_id: UUID
    accounts: int


class SettlementBusy(DomainError):
    """Somebody else has been settling the campaign for longer than the database waits."""

    campaign_id: UUID


@dataclass(frozen=True, slots=True)
class Settled:
    """The campaign's newest run; `posted` when money moved, by `entry`. `is_new` False: nothing changed."""

    run: SettlementRun
    posted: bool
    is_new: bool
    entry: Entry | None = None
    statements: int = 0


def ready(campaign_id: UUID, *, as_known_at: datetime | None = None) -> Readiness:
    """Which event half-hours of paying households the store still lacks (None: by what it knows now)."""
    return readiness_of(_campaign(campaign_id), known_at=as_known_at)


def settle_campaign(
    *,
    campaign_id: UUID,
    at: datetime,
    as_known_at: datetime | None = None,
    is_forced: bool = False,
    actor: str = SYSTEM,
) -> Settled:
    """Settle the campaign from readings known by `as_known_at` (`at` when not given).

    Terms are those in force when it started, and stay the same for its corrections.
    `is_forced` settles although readings of the event are missing: those half-hours earn nothing. Raises
    CampaignUnknown, CampaignNotCompleted, ReadingsIncomplete, KnowledgeRunsBackwards, SettlementBusy, and the
    errors of terms, rules and sharing; whatever it raises, nothing is posted.
    """
    known_at = as_known_at or at
    with transaction.atomic():
        _lock(campaign_id)
        campaign = _campaign(campaign_id)
        if campaign.state != Campaign.State.COMPLETED:
            raise CampaignNotCompleted(campaign_id=campaign_id, state=campaign.state)
        newest = queries.newest_run(campaign_id)
        if newest is not None and known_at < newest.as_known_at:
            raise KnowledgeRunsBackwards(
                campaign_id=campaign_id, as_known_at=known_at, newest_known_at=newest.as_known_at
            )
        published = _terms(campaign, newest)
        given = gathering.gather(campaign, published, known_at=known_at)
        result = reckon(given)
        if newest is not None and newest.input_sha256 == result.input_sha256:
            return Settled(run=newest, posted=False, is_new=False)
        if result.missing and not is_forced:
            raise ReadingsIncomplete(
                campaign_id=campaign_id,
                households=len({row for row, _ in result.missing}),
                half_hours=len(result.missing),
            )
        run = recording.write_run(
            given,
            result,
            terms=published,
            sequence=1 if newest is None else newest.sequence + 1,
            known_at=known_at,
            at=at,
        )
        return _write_down(campaign, run, given, result, at=at, actor=actor)


def settle_what_is_ready(*, at: datetime) -> list[Settled]:
    """Settle every completed campaign that no run has settled and whose readings are all in; each for itself.

    A campaign that cannot be settled is logged and left for staff; the others go on.
    """
    settled = []
    for campaign in queries.unsettled_campaigns().filter(ends_at__lte=at):
        if not readiness_of(campaign, known_at=at).complete:
            continue
        try:
            settled.append(settle_campaign(campaign_id=campaign.pk, at=at))
        except DomainError as error:
            logger.warning("campaign %s not settled: %s", campaign.pk, error)
    return settled


def _write_down(
    campaign: Campaign, run: SettlementRun, given: Input, result: Reckoning, *, at: datetime, actor: str
) -> Settled:
    delivery_ids = recording.write_deliveries(run, given, result)
    buyer = ledger.buyer_account(programme_code=campaign.programme_id, at=at)
    coop = ledger.coop_account(at=at)
    accounts = ledger.household_accounts(
        occupancy_ids=[home.occupancy_id for home in given.households], at=at
    )
    ledger.lock_accounts(accounts.values())
    due_mp = {buyer.pk: -run.revenue_mp, coop.pk: run.coop_mp}
    for home, earned_mp in zip(given.households, result.shares.earned_mp, strict=True):
        due_mp[accounts[home.occupancy_id]] = earned_mp
    posted_mp = ledger.posted_for_campaign_mp(campaign.pk)
    if vanished := posted_mp.keys() - due_mp.keys():
        raise HouseholdsVanished(campaign_id=campaign.pk, accounts=len(vanished))
    to_post_mp = ledger.still_to_post_mp(due_mp, posted_mp)
    before_mp = ledger.balances_mp(accounts.values())
    entry = ledger.post(
        key=f"run:{run.pk}",
        memo=f"{campaign.name}, settlement run {run.sequence}"[:200],
        amounts_mp=to_post_mp,
        at=at,
        run=run,
    )
    issued = statements.issue(
        run=run,
        campaign=campaign,
        lines=[
            statements.Line(
                occupancy_id=occupancy_id,
                delivery_id=delivery_ids[occupancy_id],
                earned_mp=due_mp[account_id],
                previous_mp=posted_mp.get(account_id, 0),
                balance_mp=before_mp[account_id] + to_post_mp[account_id],
            )
            for occupancy_id, account_id in accounts.items()
        ],
        at=at,
    )
    record_outcomes(campaign_id=campaign.pk, measured=_measured(given, result), at=at)
    outbox.record(
        SETTLED, at=at, key=str(run.pk), campaign_id=campaign.pk, run_id=run.pk, sequence=run.sequence
    )
    audit.record(
        at=at,
        actor=actor,
        verb="settlement.settled",
        target=f"campaign:{campaign.pk}",
        detail={"run": run.sequence, "revenue_mp": run.revenue_mp, "missing": run.missing_half_hours},
    )
    return Settled(run=run, posted=entry is not None, is_new=True, entry=entry, statements=issued)


def _measured(given: Input, result: Reckoning) -> dict[UUID, tuple[int, int]]:
    """(instructed_wh, delivered_wh) over the measured half-hours; households without any are absent."""
    half_hours = result.delivery.measured.sum(axis=1).tolist()
    delivered_wh = result.delivery.delivered_wh.tolist()
    return {
        home.occupancy_id: (home.instructed_wh * half_hours[row], delivered_wh[row])
        for row, home in enumerate(given.households)
        if half_hours[row]
    }


def _campaign(campaign_id: UUID) -> Campaign:
    campaign = Campaign.objects.select_related("programme").filter(pk=campaign_id).first()
    if campaign is None:
        raise CampaignUnknown(campaign_id=campaign_id)
    return campaign


def _terms(campaign: Campaign, newest: SettlementRun | None) -> SettlementTerms:
    """A correction keeps the terms of the runs before it; the first takes those in force at the start."""
    if newest is not None:
        return newest.terms
    return terms.terms_in_force(campaign.programme.settlement_terms_id, campaign.starts_at)


def _lock(campaign_id: UUID) -> None:
    """One settlement of a campaign at a time, until the transaction ends."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [LOCK, str(campaign_id)]
            )
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise SettlementBusy(campaign_id=campaign_id) from error
