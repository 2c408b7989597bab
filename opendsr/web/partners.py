"""Staff pages of partners: make one, let people sign in for it, link its homes from a file.

Staff see which homes are linked, which they know anyway; what a partner sees, they do not see here.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

from members import partnering
from members.partner_models import Partner
from members.policy import MANAGES_PARTNERS, access_partner, require_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence
from opendsr.web.rows_form import REJECTS_SHOWN, RowsForm, reject_response

HOMES_SHOWN: Final = 50


class PartnerForm(forms.Form):
    """A partner's name."""

    name = forms.CharField(
        label=_lazy("Name of the landlord or housing association"), max_length=120,
        validators=[ProhibitNullCharactersValidator()],
    )  # fmt: skip


class AccountForm(forms.Form):
    """Somebody who signs in for the partner."""

    email = forms.EmailField(
        label=_lazy("Email address"),
        help_text=_lazy("They choose a password by “Forgot your password?” on the sign-in page."),
    )


class LinksForm(RowsForm):
    """Rows of homes, from a file or typed; what was sent is shown again, to correct."""

    most_megabytes = 2
    rows_help = _lazy(
        "A header, then a row a home: home (its MPAN or name), starts_on and, where the link ended, "
        "ends_on (the day after the last). Dates as 2026-01-31. A row with the same home and starts_on "
        "again sets the end."
    )


@require_http_methods(["GET", "POST"])
@signed_in
def partner_list(request: HttpRequest) -> HttpResponse:
    """Every partner, and the form for another."""
    require_role(request.user, *MANAGES_PARTNERS)
    form = PartnerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            partner = partnering.make_partner(
                name=form.cleaned_data["name"], by=_actor(request), at=clock.now()
            )
        except DomainError as error:
            form.add_error("name", sentence(error))
        else:
            return redirect("partner_detail", partner.pk)
    shown, pager = paged(request, partnering.partners(), size=HOMES_SHOWN)
    context = {"form": form, "partners": shown, "pager": pager}
    return render(request, "members/partner_list.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def partner_detail(request: HttpRequest, partner_id: UUID) -> HttpResponse:
    """A partner's accounts and homes; the button pressed says what is to be done."""
    partner = access_partner(request.user, partner_id)
    do = request.POST.get("do", "")
    account_form = AccountForm(request.POST if do == "account" else None)
    links_form = LinksForm(request.POST or None, request.FILES or None) if do in LINKING else LinksForm()
    report: partnering.LinkReport | None = None
    if do == "close":
        return _close(request, partner)
    if do == "account" and account_form.is_valid():
        try:
            partnering.open_account(
                partner=partner, email=account_form.cleaned_data["email"], by=_actor(request), at=clock.now()
            )
        except DomainError as error:
            account_form.add_error("email", sentence(error))
        else:
            messages.success(request, _("They can sign in for %(name)s now.") % {"name": partner.name})
            return redirect("partner_detail", partner.pk)
    if do in LINKING and links_form.is_valid():
        try:
            report = partnering.link_homes(
                partner=partner,
                text=links_form.cleaned_data["rows"],
                by=_actor(request),
                at=clock.now(),
                dry_run=do != "link",
            )
        except DomainError as error:
            links_form.add_error("rows", sentence(error))
        else:
            if do == "rejects":
                return reject_response(partnering.reject_file(report), name="refused-homes.csv")
            if do == "link" and not report.rejects:
                messages.success(request, _linked(report))
                return redirect("partner_detail", partner.pk)
            links_form = LinksForm(initial={"rows": links_form.cleaned_data["rows"]})
    homes, pager = paged(
        request,
        partner.homes.select_related("home").order_by("home__postcode", "home", "starts_on"),
        size=HOMES_SHOWN,
        anchor="homes",
    )
    has_errors = bool(account_form.errors or links_form.errors)
    context = {
        "partner": partner,
        "accounts": sorted(partner.accounts.select_related("user"), key=lambda account: account.user.email),
        "account_form": account_form,
        "links_form": links_form,
        "report": report,
        "is_stored": do == "link",
        "figures": _figures(report, is_stored=do == "link") if report else [],
        "rejects": report.rejects[:REJECTS_SHOWN] if report else [],
        "more_rejects": max(0, len(report.rejects) - REJECTS_SHOWN) if report else 0,
        "homes": [_home(link) for link in homes],
        "pager": pager,
    }
    return render(request, "members/partner_detail.html", context, status=422 if has_errors else 200)


LINKING: Final = ("check", "link", "rejects")


def _close(request: HttpRequest, partner: Partner) -> HttpResponse:
    user_id = request.POST.get("user", "")
    if user_id.isdecimal() and len(user_id) < 10:
        partnering.close_account(partner=partner, user_id=int(user_id), by=_actor(request), at=clock.now())
        messages.success(request, _("That account sees these totals no more."))
    return redirect("partner_detail", partner.pk)


def _linked(report: partnering.LinkReport) -> str:
    words = _("%(linked)s homes linked, %(ended)s links given an end, %(unchanged)s known already.")
    told = {"linked": report.linked, "ended": report.ended, "unchanged": report.unchanged}
    return words % {name: f"{count:,}" for name, count in told.items()}


def _figures(report: partnering.LinkReport, *, is_stored: bool) -> list[dict[str, str]]:
    labels = (
        (_("Rows"), report.rows),
        (_("Linked") if is_stored else _("Would be linked"), report.linked),
        (_("Given an end") if is_stored else _("Would be given an end"), report.ended),
        (_("Known already"), report.unchanged),
        (_("Refused"), len(report.rejects)),
    )
    return [{"label": label, "value": f"{count:,}"} for label, count in labels]


def _home(link: Any) -> dict[str, str]:
    return {
        "name": link.home.name,
        "since": wording.civil_day(link.starts_on),
        "until": wording.civil_day(link.ends_on) if link.ends_on else "",
    }


def _actor(request: HttpRequest) -> str:
    return f"staff:{request.user.pk}"
