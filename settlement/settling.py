"""Settling: one campaign from stored readings to postings and statements, in one transaction.

A run is never changed. The same inputs as the newest run's are that run and post nothing; other inputs make
the next run, which posts the new amounts less what was posted before. Until a campaign is final this is a
provisional round, posted at once; afterwards a correction, which waits for a second person (`rounds.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from members.models import User
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError
from settlement import computing, posting, queries, rounds
from settlement.computing import (
    CampaignNotCompleted,
    CampaignUnknown,
    HouseholdsVanished,
    KnowledgeRunsBackwards,
    ReadingsIncomplete,
    SettlementBusy,
)
from settlement.models import Entry, RoundKind, SettlementRun
from settlement.posting import SETTLED
from settlement.readiness import Readiness, readiness_of

SYSTEM: Final = "system:settlement"
PROVISIONAL_AFTER: Final = timedelta(days=3)
LOOKS_BACK: Final = timedelta(days=60)

logger = logging.getLogger(__name__)

__all__ = [
    "SETTLED",
    "CampaignNotCompleted",
    "CampaignUnknown",
    "HouseholdsVanished",
    "KnowledgeRunsBackwards",
    "ReadingsIncomplete",
    "Settled",
    "SettlementBusy",
    "ready",
    "settle_again",
    "settle_campaign",
    "settle_what_is_ready",
]


@dataclass(frozen=True, slots=True)
class Settled:
    """The campaign's newest run; `posted` when money moved, by `entry`. `is_new` False: nothing changed.

    `waits` when the run is a correction that a second person has to approve first.
    """

    run: SettlementRun
    posted: bool
    is_new: bool
    entry: Entry | None = None
    statements: int = 0
    waits: bool = False


def ready(campaign_id: UUID, *, as_known_at: datetime | None = None) -> Readiness:
    """Which event half-hours of paying households the store still lacks (None: by what it knows now)."""
    return readiness_of(computing.campaign_by_id(campaign_id), known_at=as_known_at)


@transaction.atomic
def settle_campaign(
    *,
    campaign_id: UUID,
    at: datetime,
    as_known_at: datetime | None = None,
    is_forced: bool = False,
    holds_unearned: bool = False,
    by: User | None = None,
    actor: str = SYSTEM,
) -> Settled:
    """Settle the campaign from readings known by `as_known_at` (`at` when not given).

    `is_forced` settles although readings of the event are missing: those half-hours earn nothing;
    `holds_unearned` holds for the community fund what the buyer owes and no home earned. Raises the
    errors of `computing`, terms, rules, policies and sharing, and rounds.RoundWaits while another round of
    the campaign waits for approval; whatever it raises, nothing is posted.
    """
    known_at = as_known_at or at
    computing.lock_programme(computing.campaign_by_id(campaign_id).programme_id)
    campaign = computing.campaign_by_id(campaign_id)
    (pending,) = computing.prepare([campaign], known_at=known_at)
    ((_, given, result),) = computing.compute([pending], known_at=known_at, holds_unearned=holds_unearned)
    newest = pending.replaces
    if newest is not None and newest.input_sha256 == result.input_sha256:
        return Settled(run=newest, posted=False, is_new=False)
    is_correction = queries.is_final(newest)
    waiting = queries.waiting_runs([campaign_id]).first()
    if is_correction and waiting is not None:
        if waiting.input_sha256 == result.input_sha256:
            return Settled(run=waiting, posted=False, is_new=False, waits=True)
        raise rounds.RoundWaits(round=str(waiting.round))
    if not is_forced:
        computing.require_complete(given, result)
    round = rounds.open_round(
        programme=campaign.programme,
        kind=RoundKind.CORRECTION if is_correction else RoundKind.PROVISIONAL,
        campaigns=[campaign],
        known_at=known_at,
        is_forced=is_forced,
        holds_unearned=given.holds_unearned,
        at=at,
        by=by,
    )
    run = computing.write(round, pending, given, result, at=at)
    rounds.note_progress(round, at=at)
    if is_correction:
        audit.record(at=at, actor=actor, verb="settlement.correction_proposed", target=f"round:{round.pk}")
        return Settled(run=run, posted=False, is_new=True, waits=True)
    rounds.decide(round, verdict="approved", by=None, at=at)
    done = posting.post_round(round, [run], at=at, actor=actor)
    posting.tell_campaign(run, at=at)
    return Settled(
        run=run, posted=done.entry is not None, is_new=True, entry=done.entry, statements=done.statements
    )


def settle_what_is_ready(*, at: datetime) -> list[Settled]:
    """Settle every completed campaign that no run has settled and whose readings are all in; each for itself.

    From the third day after its end a campaign is settled with what is there. One that cannot be settled is
    logged and left for staff; the others go on.
    """
    settled = []
    for campaign in queries.unsettled_campaigns().filter(ends_at__lte=at):
        is_late = campaign.ends_at + PROVISIONAL_AFTER <= at
        if not is_late and not readiness_of(campaign, known_at=at).complete:
            continue
        try:
            settled.append(settle_campaign(campaign_id=campaign.pk, at=at, is_forced=is_late))
        except DomainError as error:
            logger.warning("campaign %s not settled: %s", campaign.pk, error)
    return settled


def settle_again(*, at: datetime) -> list[Settled]:
    """Settle again every campaign of late whose readings have changed: a provisional one at once, a final one
    by a correction that waits for approval.
    """
    settled = []
    for campaign in queries.settled_since(at - LOOKS_BACK):
        try:
            done = settle_campaign(campaign_id=campaign.pk, at=at, is_forced=True)
        except DomainError as error:
            logger.warning("campaign %s not settled again: %s", campaign.pk, error)
            continue
        if done.is_new:
            settled.append(done)
    return settled
