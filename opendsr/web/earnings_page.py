"""A member's earnings: the balance and what moved it, gifts, and where the member is paid."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

import members.policy
import members.queries
import settlement.queries
from members.models import Member
from opendsr.kernel import clock
from opendsr.web import step_up, wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from settlement import bank_details, ledger, policies
from settlement.models import Account, Posting
from settlement.paying import DEFAULT_THRESHOLD_PENCE

SHOWN = 25


class GiftForm(forms.Form):
    """What part of every earning goes to the fund."""

    pct = forms.DecimalField(
        label=_lazy("Percent of what you earn"),
        min_value=Decimal(0),
        max_value=Decimal(100),
        decimal_places=3,
    )


class BankForm(forms.Form):
    """An account to pay to."""

    name = forms.CharField(
        label=_lazy("Name on the account"), max_length=18, validators=[ProhibitNullCharactersValidator()]
    )
    sort_code = forms.RegexField(
        r"^[0-9]{6}$", label=_lazy("Sort code"), help_text=_lazy("Six digits, without dashes"),
        error_messages={"invalid": _lazy("Write the six digits without dashes, such as 123456.")},
    )  # fmt: skip
    account_number = forms.RegexField(
        r"^[0-9]{8}$", label=_lazy("Account number"), help_text=_lazy("Eight digits"),
        error_messages={"invalid": _lazy("Write the eight digits, such as 00123456.")},
    )  # fmt: skip


@require_GET
@signed_in
def earnings(request: HttpRequest) -> HttpResponse:
    """The member's own money; nobody else's."""
    at = clock.now()
    return _page(request, members.policy.household_member(request.user, at), at)


@require_POST
@signed_in
def choose_gift(request: HttpRequest) -> HttpResponse:
    """Give a part of what is earned from now on."""
    at = clock.now()
    member = members.policy.account_holder(request.user, at)
    form = GiftForm(request.POST)
    if not form.is_valid():
        return _page(request, member, at, gift_form=form)
    policies.choose_gift(
        household=member.household,
        pct=form.cleaned_data["pct"],
        at=at,
        by=request.user,  # type: ignore[arg-type]
    )
    messages.success(request, _("Kept. It counts for events that start from now on."))
    return redirect("earnings")


@require_POST
@signed_in
def change_bank(request: HttpRequest) -> HttpResponse:
    """Change where the member is paid."""
    at = clock.now()
    member = members.policy.account_holder(request.user, at)
    form = BankForm(request.POST)
    if form.is_valid():
        step_up.require(request, _("Change where you are paid"))
        try:
            bank_details.change(
                member=member,
                payee=bank_details.Payee(**form.cleaned_data),
                at=at,
                by=request.user,  # type: ignore[arg-type]
            )
        except bank_details.BankDetailInvalid as error:
            form.add_error(str(error.field), str(error.reason))
    if form.errors:
        return _page(request, member, at, bank_form=form)
    messages.success(request, _("Changed. It can be used in seven days."))
    return redirect("earnings")


def _page(
    request: HttpRequest,
    member: Member,
    at: datetime,
    *,
    gift_form: forms.Form | None = None,
    bank_form: forms.Form | None = None,
) -> HttpResponse:
    accounts = Account.objects.filter(occupancy__household=member.household_id)
    stays = [account.occupancy_id for account in accounts if account.occupancy_id]
    balance_mp = sum(ledger.balances_mp(account.pk for account in accounts).values())
    waiting_mp = sum(settlement.queries.provisional_mp(stays).values())
    postings = Posting.objects.filter(account__in=accounts).select_related("entry")
    shown, pager = paged(request, postings.order_by("-entry__posted_at", "-id"), size=SHOWN)
    gives = policies.special_households(at).get(member.household_id, policies.ORDINARY).donates_pct
    detail = bank_details.newest([member.pk]).get(member.pk)
    holder = members.queries.account_holder_of(member.household_id, at)
    context: dict[str, Any] = {
        "balance": wording.money(balance_mp),
        "balance_exact": wording.millipence(balance_mp),
        "final": wording.money(balance_mp - waiting_mp),
        "notes": _notes(balance_mp, waiting_mp),
        "moves": [
            {
                "what": str(posting.get_component_display()),
                "memo": posting.entry.memo,
                "when": wording.day(posting.entry.posted_at, "j F Y"),
                "amount": wording.millipence(posting.amount_mp),
            }
            for posting in shown
        ],
        "pager": pager,
        "gift_form": gift_form or GiftForm(initial={"pct": gives.normalize() if gives else Decimal(0)}),
        "bank_form": bank_form or BankForm(),
        "bank": _bank(detail, at),
        "holder": holder if holder != member else None,
    }
    failed = bool((gift_form and gift_form.errors) or (bank_form and bank_form.errors))
    return render(request, "settlement/earnings.html", context, status=422 if failed else 200)


def _notes(balance_mp: int, waiting_mp: int) -> list[str]:
    threshold = wording.money(DEFAULT_THRESHOLD_PENCE * 1000)
    if balance_mp < 0:
        return [
            _("A correction was more than the balance. It is taken from what you earn next; you owe nothing.")
        ]
    notes = [
        _("From %(amount)s on it is paid out; less carries forward, to the thousandth of a penny.")
        % {"amount": threshold}
    ]
    if waiting_mp:
        notes.append(
            _("%(amount)s is provisional: it can still change until the final round.")
            % {"amount": wording.millipence(waiting_mp)}
        )
    return notes


def _bank(detail: Any, at: datetime) -> str:
    if detail is None:
        return _("You have not said yet.")
    words = _("The account ending in %(ending)s.") % {"ending": detail.ending}
    if at < detail.usable_from:
        words += " " + _("It can be used from %(day)s.") % {"day": wording.moment(detail.usable_from)}
    return words
