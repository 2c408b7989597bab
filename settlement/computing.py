"""Computing a round: its campaigns' runs from stored readings, each written whole or not at all.

The readings of all campaigns are read once. A run needs no other run, so a round that was cut short goes on
where it stopped; whatever is wrong with one campaign stops the round before anything is posted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from campaigns.models import Campaign
from opendsr.kernel.errors import DomainError, NotFound
from settlement import gathering, queries, recording, terms
from settlement.baselines.errors import BaselineError
from settlement.gathering import Asked
from settlement.models import HomeDelivery, SettlementRound, SettlementRun, SettlementTerms
from settlement.reckoning import Input, Reckoning, reckon

LOCK: Final = "settlement.programme"


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


class DaysMissing(DomainError):
    """Paid households have no reading at all on the days their baseline looks at: load them, or force it and
    they earn nothing. One with some days but too few is no error: its rule gives it no baseline.
    """

    campaign_id: UUID
    households: int


class TemperaturesMissing(DomainError):
    """The rule goes by temperatures and some of the event are not known: import them, or force it and there
    the rule is the mean of its days.
    """

    campaign_id: UUID
    half_hours: int
    of: int


class RuleNotComputed(DomainError):
    """The baseline rule asked for a day or an input that was not loaded: the run stops, nothing is posted."""

    campaign_id: UUID
    rule: str
    reason: str


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
    """Somebody else has been settling the programme for longer than the database waits."""

    programme: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A campaign about to be computed, with the run that stands for it now."""

    asked: Asked
    terms: SettlementTerms
    replaces: SettlementRun | None


def lock_programme(code: str) -> None:
    """One settlement of a programme at a time, until the transaction ends; raises SettlementBusy."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [LOCK, code])
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise SettlementBusy(programme=code) from error


def campaign_by_id(campaign_id: UUID) -> Campaign:
    """The campaign with its programme; raises CampaignUnknown."""
    campaign = Campaign.objects.select_related("programme").filter(pk=campaign_id).first()
    if campaign is None:
        raise CampaignUnknown(campaign_id=campaign_id)
    return campaign


def prepare(campaigns: Sequence[Campaign], *, known_at: datetime) -> list[Pending]:
    """Check the campaigns and say who was asked; raises the errors of terms, rules and policies.

    Terms are those in force when a campaign started, and stay the same for its corrections.
    """
    newest = queries.newest_runs([campaign.pk for campaign in campaigns])
    pairs = []
    for campaign in campaigns:
        if campaign.state != Campaign.State.COMPLETED:
            raise CampaignNotCompleted(campaign_id=campaign.pk, state=campaign.state)
        before = newest.get(campaign.pk)
        if before is not None and known_at < before.as_known_at:
            raise KnowledgeRunsBackwards(
                campaign_id=campaign.pk, as_known_at=known_at, newest_known_at=before.as_known_at
            )
        pairs.append((campaign, _terms(campaign, before)))
    asked = gathering.ask_together(pairs)
    return [
        Pending(each, published, newest.get(campaign.pk))
        for each, (campaign, published) in zip(asked, pairs, strict=True)
    ]


def compute(
    pending: Sequence[Pending], *, known_at: datetime, holds_unearned: bool = False
) -> Iterator[tuple[Pending, Input, Reckoning]]:
    """Each campaign's result, readings loaded once for all; while the caller writes one down, the next is
    worked out beside it.

    What no home earned is held for the fund where `holds_unearned` or an earlier run did so. Raises
    RuleNotComputed, and the errors of revenue and sharing.
    """
    cubes = gathering.load_together([each.asked for each in pending], known_at=known_at)
    begun: deque[tuple[Pending, Input, Future[Reckoning]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="settlement-reckon") as beside:
        for each, cube in zip(pending, cubes, strict=True):
            did_hold = each.replaces is not None and each.replaces.round.holds_unearned
            given = gathering.given_of(each.asked, cube, holds_unearned=holds_unearned or did_hold)
            begun.append((each, given, beside.submit(_reckoned, given)))
            if len(begun) > 1:
                yield _done(*begun.popleft())
        while begun:
            yield _done(*begun.popleft())


def _reckoned(given: Input) -> Reckoning:
    try:
        return reckon(given)
    except BaselineError as error:
        raise RuleNotComputed(
            campaign_id=given.campaign_id,
            rule=given.agreement.baseline_rule.name,
            reason=f"{type(error).__name__} {error}",
        ) from error


def _done(pending: Pending, given: Input, result: Future[Reckoning]) -> tuple[Pending, Input, Reckoning]:
    return pending, given, result.result()


def require_complete(given: Input, result: Reckoning) -> None:
    """Raise ReadingsIncomplete or DaysMissing when a paid household's readings are not there, and
    TemperaturesMissing.
    """
    campaign_id = given.campaign_id
    warmth = [part.warmth for part in result.baseline.parts if part.warmth is not None]
    unknown = sum(int((~each.has_own).sum()) for each in warmth)
    if unknown:
        raise TemperaturesMissing(campaign_id=campaign_id, half_hours=unknown, of=len(given.event))
    if result.missing:
        raise ReadingsIncomplete(
            campaign_id=campaign_id,
            households=len({row for row, _ in result.missing}),
            half_hours=len(result.missing),
        )
    parts = result.baseline.parts
    blank = np.flatnonzero(~result.baseline.present.any(axis=1))
    rows = blank[given.households.takes_part[blank]].tolist()
    if parts and rows:
        has_day = np.any([part.has_history[rows].any(axis=(1, 2)) for part in parts], axis=0)
        if not has_day.all():
            raise DaysMissing(campaign_id=campaign_id, households=int((~has_day).sum()))


@transaction.atomic
def write(
    round: SettlementRound, pending: Pending, given: Input, result: Reckoning, *, at: datetime
) -> SettlementRun:
    """Write the run down; raises HouseholdsVanished."""
    campaign = pending.asked.campaign
    run = recording.write_run(
        given,
        result,
        round=round,
        terms=pending.terms,
        sequence=1 + queries.latest_sequence(campaign.pk),
        replaces=pending.replaces,
        at=at,
    )
    if pending.replaces is not None:
        earned = HomeDelivery.objects.filter(run=pending.replaces).exclude(earned_mp=0)
        vanished = earned.exclude(occupancy__in=HomeDelivery.objects.filter(run=run).values("occupancy"))
        if count := vanished.count():
            raise HouseholdsVanished(campaign_id=campaign.pk, accounts=count)
    return run


def _terms(campaign: Campaign, newest: SettlementRun | None) -> SettlementTerms:
    """A correction keeps the terms of the runs before it; the first takes those in force at the start."""
    if newest is not None:
        return newest.terms
    return terms.terms_in_force(campaign.programme.settlement_terms_id, campaign.starts_at)
