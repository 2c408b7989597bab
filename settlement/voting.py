"""Applying a members' vote on the surplus, as the society's legal form allows."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Sum

from members.models import User
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval
from settlement import computing, ledger
from settlement.models import Account, Component, Posting, Society, SurplusResolution
from settlement.surplus import LegalForm, Resolution, SurplusSplit, split_surplus


class FormNotStated(DomainError):
    """Nobody has said what kind of society the co-op is."""


class YearDecided(DomainError):
    """The surplus of that year was shared before."""

    year: str


class SurplusNotThere(DomainError):
    """The co-op's own account does not hold that much."""

    surplus_mp: int
    holds_mp: int


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

    Raises FormNotStated, YearDecided, SurplusNotThere, surplus.DividendNotAllowed, ResolutionInvalid and
    NoTransactions; then nothing is posted.
    """
    computing.lock_programme("surplus")
    stated = Society.objects.order_by("-stated_at", "-id").first()
    if stated is None:
        raise FormNotStated()
    if SurplusResolution.objects.filter(year=year).exists():
        raise YearDecided(year=year)
    coop = ledger.coop_account(at=at)
    holds_mp = ledger.balance_mp(coop)
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
    split = split_surplus(LegalForm(stated.legal_form), surplus_mp, resolution, transactions)
    SurplusResolution.objects.create(
        year=year,
        legal_form=stated.legal_form,
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
