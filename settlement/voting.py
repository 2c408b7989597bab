"""A members' vote on the surplus: written down by one person, approved by another, applied to the ledger as
the society's legal form allows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from members.models import User
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotAllowed, NotFound
from opendsr.kernel.interval import Interval
from settlement import computing, ledger
from settlement.models import (
    Account,
    Component,
    Posting,
    Society,
    SurplusDecision,
    SurplusProposal,
    SurplusResolution,
    Verdict,
)
from settlement.surplus import LegalForm, Resolution, SurplusSplit, split_surplus

LOCK: Final = "surplus"


class FormNotStated(DomainError):
    """Nobody has said what kind of society the co-op is."""


class YearDecided(DomainError):
    """The surplus of that year was shared before."""

    year: str


class SurplusNotThere(DomainError):
    """The co-op's own account does not hold that much."""

    surplus_mp: int
    holds_mp: int


class SurplusWaits(DomainError):
    """Another proposal for that year waits for approval: decide that one first."""

    year: str


class ProposalUnknown(NotFound):
    """No proposal with that id."""

    proposal_id: UUID


class ProposalDecided(DomainError):
    """The proposal was approved or withdrawn before."""

    year: str
    verdict: str


class SecondSharerNeeded(NotAllowed):
    """Whoever wrote a vote down cannot approve it."""

    year: str


@transaction.atomic
def state_legal_form(*, form: LegalForm, at: datetime, by: User | None) -> Society:
    """Say what kind of registered society the co-op is from now on."""
    stated = Society.objects.create(legal_form=form.value, stated_at=at, stated_by=by)
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.legal_form_stated",
        target="society",
        detail={"legal_form": form.value},
    )
    return stated


def legal_form() -> LegalForm | None:
    """What kind of society the co-op is; None before anybody has said so."""
    stated = Society.objects.order_by("-stated_at", "-id").first()
    return LegalForm(stated.legal_form) if stated else None


def coop_holds_mp() -> int:
    """What the co-op's own account holds."""
    held = Posting.objects.filter(account__code=ledger.COOP_CODE).aggregate(total=Sum("amount_mp"))
    return held["total"] or 0


def surplus_split(
    *, year: str, period: Interval, surplus_mp: int, resolution: Resolution
) -> tuple[LegalForm, SurplusSplit]:
    """Who would get what by the vote, under the legal form as stated; moves nothing.

    Raises FormNotStated, YearDecided, SurplusNotThere, surplus.DividendNotAllowed, ResolutionInvalid and
    NoTransactions.
    """
    form = legal_form()
    if form is None:
        raise FormNotStated()
    if SurplusResolution.objects.filter(year=year).exists():
        raise YearDecided(year=year)
    holds_mp = coop_holds_mp()
    if surplus_mp > holds_mp:
        raise SurplusNotThere(surplus_mp=surplus_mp, holds_mp=holds_mp)
    rows = (
        Posting.objects.filter(
            account__kind=Account.Kind.HOUSEHOLD,
            entry__round__isnull=False,
            entry__posted_at__gte=period.starts_at,
            entry__posted_at__lt=period.ends_at,
        )
        .values_list("account_id")
        .annotate(total=Sum("amount_mp"))
        .order_by()
    )
    transactions = {account_id: int(total) for account_id, total in rows}
    return form, split_surplus(form, surplus_mp, resolution, transactions)


@transaction.atomic
def propose_surplus(
    *,
    year: str,
    period: Interval,
    surplus_mp: int,
    resolution: Resolution,
    at: datetime,
    by: User | None,
) -> SurplusProposal:
    """Write the vote down for a second person; raises SurplusWaits and what `surplus_split` raises."""
    computing.lock_programme(LOCK)
    if SurplusProposal.objects.filter(year=year, decision__isnull=True).exists():
        raise SurplusWaits(year=year)
    surplus_split(year=year, period=period, surplus_mp=surplus_mp, resolution=resolution)
    proposal = SurplusProposal.objects.create(
        year=year,
        period_starts_at=period.starts_at,
        period_ends_at=period.ends_at,
        surplus_mp=surplus_mp,
        reserves_pct=resolution.reserves_pct,
        fund_pct=resolution.fund_pct,
        dividend_pct=resolution.dividend_pct,
        votes_for=resolution.votes_for,
        votes_against=resolution.votes_against,
        proposed_by=by,
        proposed_at=at,
    )
    _record("settlement.surplus_proposed", proposal, at=at, by=by)
    return proposal


@transaction.atomic
def approve_surplus(*, proposal_id: UUID, at: datetime, by: User) -> SurplusSplit:
    """Apply the vote; raises SecondSharerNeeded, ProposalDecided and what `surplus_split` raises by now."""
    computing.lock_programme(LOCK)
    proposal = _undecided(proposal_id)
    if by.pk == proposal.proposed_by_id:
        raise SecondSharerNeeded(year=proposal.year)
    SurplusDecision.objects.create(proposal=proposal, verdict=Verdict.APPROVED, by=by, at=at)
    return apply_resolution(
        year=proposal.year,
        period=period_of(proposal),
        surplus_mp=proposal.surplus_mp,
        resolution=resolution_of(proposal),
        at=at,
        by=by,
    )


@transaction.atomic
def withdraw_surplus(*, proposal_id: UUID, at: datetime, by: User) -> SurplusDecision:
    """Give the proposal up; it moves nothing. Raises ProposalDecided."""
    computing.lock_programme(LOCK)
    proposal = _undecided(proposal_id)
    decision = SurplusDecision.objects.create(proposal=proposal, verdict=Verdict.WITHDRAWN, by=by, at=at)
    _record("settlement.surplus_withdrawn", proposal, at=at, by=by)
    return decision


def period_of(proposal: SurplusProposal) -> Interval:
    """When what was earned counts for a dividend."""
    return Interval(proposal.period_starts_at, proposal.period_ends_at)


def resolution_of(proposal: SurplusProposal) -> Resolution:
    """The vote as a value."""
    return Resolution(
        reserves_pct=proposal.reserves_pct,
        fund_pct=proposal.fund_pct,
        dividend_pct=proposal.dividend_pct,
        votes_for=proposal.votes_for,
        votes_against=proposal.votes_against,
    )


def _undecided(proposal_id: UUID) -> SurplusProposal:
    proposal = SurplusProposal.objects.filter(pk=proposal_id).first()
    if proposal is None:
        raise ProposalUnknown(proposal_id=proposal_id)
    decision = SurplusDecision.objects.filter(proposal=proposal).first()
    if decision is not None:
        raise ProposalDecided(year=proposal.year, verdict=decision.verdict)
    return proposal


def _record(verb: str, proposal: SurplusProposal, *, at: datetime, by: User | None) -> None:
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb=verb,
        target=f"surplus:{proposal.year}",
        detail={"surplus_mp": proposal.surplus_mp, "dividend_pct": str(proposal.dividend_pct)},
    )


@transaction.atomic
def apply_resolution(
    *,
    year: str,
    period: Interval,
    surplus_mp: int,
    resolution: Resolution,
    at: datetime,
    by: User | None,
) -> SurplusSplit:
    """Share the surplus as voted; a dividend goes by what each account earned in the period.

    Raises what `surplus_split` raises; then nothing is posted.
    """
    computing.lock_programme(LOCK)
    coop = ledger.coop_account(at=at)
    form, split = surplus_split(year=year, period=period, surplus_mp=surplus_mp, resolution=resolution)
    SurplusResolution.objects.create(
        year=year,
        legal_form=form.value,
        surplus_mp=surplus_mp,
        reserves_pct=resolution.reserves_pct,
        fund_pct=resolution.fund_pct,
        dividend_pct=resolution.dividend_pct,
        votes_for=resolution.votes_for,
        votes_against=resolution.votes_against,
        applied_at=at,
        applied_by=by,
    )
    amounts = {
        coop.pk: -surplus_mp,
        ledger.reserve_account(at=at).pk: split.reserves_mp,
        ledger.fund_account(at=at).pk: split.fund_mp,
        **split.dividends_mp,
    }
    ledger.post(
        key=f"surplus:{year}",
        memo=f"Surplus of {year} by the members' vote",
        amounts_mp=amounts,
        at=at,
        component=Component.SURPLUS,
    )
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.surplus_shared",
        target=f"surplus:{year}",
        detail={"surplus_mp": surplus_mp},
    )
    return split
