"""Rounds: several campaigns of a programme computed, approved by a second person and posted together.

Proposing writes the round down; computing writes a run for each campaign, one by one, and can be cut short
and go on; approving posts all of it in one transaction, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from campaigns.models import Campaign, Programme
from members.models import User
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError, Invalid, NotAllowed, NotFound
from settlement import computing, posting, queries
from settlement.models import (
    RoundDecision,
    RoundKind,
    RoundProgress,
    SettlementRound,
    SettlementRun,
    Verdict,
)
from settlement.posting import Posted

PROPOSED = "settlement.round.proposed"
POSTED = "settlement.round.posted"


class RoundUnknown(NotFound):
    """No round with that id."""

    round_id: UUID


class RoundEmpty(Invalid):
    """A round without a campaign, or with one of another programme."""

    programme: str


class RoundWaits(DomainError):
    """Another round with the campaign waits for approval: decide that one first."""

    round: str


class RoundDecided(DomainError):
    """The round was approved or withdrawn before."""

    round: str
    verdict: str


class RoundNotComputed(DomainError):
    """Some campaigns of the round have no run yet."""

    round: str
    done: int
    of: int


class RoundStale(DomainError):
    """A campaign of the round was settled again after it was computed: withdraw it and propose another."""

    round: str
    campaign: str


class SecondPersonNeeded(NotAllowed):
    """Whoever proposed a round cannot approve it."""

    round: str


class WrongKind(DomainError):
    """A final round of a campaign that is final already, or a correction of one that is not."""

    campaign: str
    kind: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of the round's campaigns are computed; `problem` names what stopped it, if anything did."""

    done: int
    of: int
    problem: str = ""


@transaction.atomic
def propose_round(
    *,
    programme_code: str,
    kind: str,
    campaign_ids: Sequence[UUID],
    at: datetime,
    by: User | None,
    as_known_at: datetime | None = None,
    is_forced: bool = False,
    holds_unearned: bool = False,
) -> SettlementRound:
    """Open a round for the campaigns; it is computed by `compute_round`.

    `holds_unearned` holds for the community fund what the buyer owes and no home earned.

    Raises RoundEmpty, RoundWaits, WrongKind and computing.CampaignNotCompleted.
    """
    computing.lock_programme(programme_code)
    programme = Programme.objects.filter(pk=programme_code).first()
    wanted = set(campaign_ids)
    campaigns = list(
        Campaign.objects.filter(pk__in=wanted, programme_id=programme_code).order_by("starts_at", "id")
    )
    if programme is None or not campaigns or len(campaigns) != len(wanted):
        raise RoundEmpty(programme=programme_code)
    if waiting := queries.waiting_round(wanted):
        raise RoundWaits(round=str(waiting))
    newest = queries.newest_runs(wanted)
    for campaign in campaigns:
        if campaign.state != Campaign.State.COMPLETED:
            raise computing.CampaignNotCompleted(campaign_id=campaign.pk, state=campaign.state)
        if queries.is_final(newest.get(campaign.pk)) != (kind == RoundKind.CORRECTION):
            raise WrongKind(campaign=campaign.name, kind=kind)
    round = open_round(
        programme=programme,
        kind=kind,
        campaigns=campaigns,
        known_at=as_known_at or at,
        is_forced=is_forced,
        holds_unearned=holds_unearned,
        at=at,
        by=by,
    )
    outbox.record(PROPOSED, at=at, key=str(round.pk), round_id=round.pk)
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.round_proposed",
        target=f"round:{round.pk}",
        detail={
            "programme": programme_code,
            "kind": kind,
            "campaigns": len(campaigns),
            "holds_unearned": holds_unearned,
        },
    )
    return round


def compute_round(*, round_id: UUID, at: datetime) -> Progress:
    """Compute what the round still lacks; run again after a crash it goes on, run twice it does nothing.

    What a campaign raises is noted for the page and ends the computing: nothing has been posted.
    """
    round = round_by_id(round_id)
    if RoundDecision.objects.filter(round=round).exists():
        return progress_of(round)
    problem = ""
    try:
        _compute(round, at=at)
    except DomainError as error:
        problem = str(error)
    note_progress(round, at=at, problem=problem)
    return progress_of(round)


@transaction.atomic
def approve_round(*, round_id: UUID, at: datetime, by: User) -> Posted:
    """Approve and post the round; raises SecondPersonNeeded, RoundDecided, RoundNotComputed, RoundStale."""
    computing.lock_programme(round_by_id(round_id).programme_id)
    round = round_by_id(round_id)
    _require_undecided(round)
    if by.pk == round.proposed_by_id:
        raise SecondPersonNeeded(round=str(round))
    runs = list(round.runs.select_related("campaign", "replaces").order_by("campaign__starts_at", "id"))
    if len(runs) < round.campaign_count:
        raise RoundNotComputed(round=str(round), done=len(runs), of=round.campaign_count)
    newest = queries.newest_runs([run.campaign_id for run in runs])
    for run in runs:
        standing = newest.get(run.campaign_id)
        if (standing.pk if standing else None) != run.replaces_id:
            raise RoundStale(round=str(round), campaign=run.campaign.name)
    decide(round, verdict=Verdict.APPROVED, by=by, at=at)
    done = posting.post_round(round, runs, at=at, actor=f"user:{by.pk}")
    outbox.record_many(
        POSTED,
        [
            (
                f"{round.pk}:{run.campaign_id}",
                {"round_id": str(round.pk), "campaign_id": str(run.campaign_id)},
            )
            for run in runs
        ],
        at=at,
    )
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb="settlement.round_approved",
        target=f"round:{round.pk}",
        detail={"statements": done.statements},
    )
    return done


@transaction.atomic
def withdraw_round(*, round_id: UUID, at: datetime, by: User, reason: str = "") -> RoundDecision:
    """Give the round up; its runs stay on record and post nothing. Raises RoundDecided."""
    computing.lock_programme(round_by_id(round_id).programme_id)
    round = round_by_id(round_id)
    _require_undecided(round)
    decision = decide(round, verdict=Verdict.WITHDRAWN, by=by, at=at, reason=reason)
    audit.record(at=at, actor=f"user:{by.pk}", verb="settlement.round_withdrawn", target=f"round:{round.pk}")
    return decision


def round_by_id(round_id: UUID) -> SettlementRound:
    """The round; raises RoundUnknown."""
    found = SettlementRound.objects.select_related("programme", "decision", "progress")
    round = found.filter(pk=round_id).first()
    if round is None:
        raise RoundUnknown(round_id=round_id)
    return round


def progress_of(round: SettlementRound) -> Progress:
    """How far the computing is."""
    noted = RoundProgress.objects.filter(round=round).first()
    return Progress(done=round.runs.count(), of=round.campaign_count, problem=noted.problem if noted else "")


def open_round(
    *,
    programme: Programme,
    kind: str,
    campaigns: Sequence[Campaign],
    known_at: datetime,
    is_forced: bool,
    at: datetime,
    by: User | None,
    holds_unearned: bool = False,
) -> SettlementRound:
    """The round's own row; for this room's services, under the programme's lock."""
    rounds = SettlementRound.objects.filter(programme=programme)
    return SettlementRound.objects.create(
        programme=programme,
        number=1 + (rounds.aggregate(latest=Max("number"))["latest"] or 0),
        kind=kind,
        campaign_ids=[str(campaign.pk) for campaign in campaigns],
        campaign_count=len(campaigns),
        as_known_at=known_at,
        is_forced=is_forced,
        holds_unearned=holds_unearned,
        proposed_by=by,
        proposed_at=at,
    )


def decide(
    round: SettlementRound, *, verdict: str, by: User | None, at: datetime, reason: str = ""
) -> RoundDecision:
    """Write the decision down; for this room's services. The database refuses a second one."""
    return RoundDecision.objects.create(round=round, verdict=verdict, by=by, at=at, reason=reason[:200])


def note_progress(round: SettlementRound, *, at: datetime, problem: str = "") -> None:
    """Keep how far the computing came."""
    RoundProgress.objects.update_or_create(
        round=round, defaults={"done": round.runs.count(), "problem": problem[:500], "at": at}
    )


def _compute(round: SettlementRound, *, at: datetime) -> None:
    done = {str(campaign_id) for campaign_id in round.runs.values_list("campaign_id", flat=True)}
    wanted = [campaign_id for campaign_id in round.campaign_ids if campaign_id not in done]
    if not wanted:
        return
    found = Campaign.objects.select_related("programme").filter(pk__in=wanted).order_by("starts_at", "id")
    pending = computing.prepare(list(found), known_at=round.as_known_at)
    done_one_by_one = computing.compute(
        pending, known_at=round.as_known_at, holds_unearned=round.holds_unearned
    )
    for each, given, result in done_one_by_one:
        if not round.is_forced:
            computing.require_complete(given, result)
        with transaction.atomic():
            computing.lock_programme(round.programme_id)
            if SettlementRun.objects.filter(round=round, campaign=each.asked.campaign).exists():
                continue
            computing.write(round, each, given, result, at=at)
        note_progress(round, at=at)


def _require_undecided(round: SettlementRound) -> None:
    decision = RoundDecision.objects.filter(round=round).first()
    if decision is not None:
        raise RoundDecided(round=str(round), verdict=decision.verdict)
