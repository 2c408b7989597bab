"""Staff pages of the flexibility market: its buyers, and what is declared to them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

import campaigns.policy
from campaigns.market import declaring, receiving, rows
from campaigns.market_models import MARKET_ZONE_KINDS
from campaigns.models import MarketAvailability, MarketParty, Programme, UseCase
from opendsr.kernel import clock
from opendsr.web import wording
from opendsr.web.entering import account_of, signed_in
from opendsr.web.market_forms import AvailabilityForm, BuyerForm
from opendsr.web.paging import paged
from opendsr.web.refusals import say_at_fields

SHOWN: Final = 25
DECLARED_SHOWN: Final = 100


@require_http_methods(["GET", "POST"])
@signed_in
def market_buyers(request: HttpRequest) -> HttpResponse:
    """Buyers, and what was declared to them; forms to add a buyer and to declare."""
    campaigns.policy.require_sees_operators(request.user)
    do = request.POST.get("do", "")
    buyer_form = BuyerForm(request.POST if do == "buyer" else None)
    declare_form = AvailabilityForm(request.POST if do == "declare" else None)
    if request.method == "POST":
        done = _buyers_done(request, do, buyer_form, declare_form)
        if done:
            messages.success(request, done)
            return redirect("market_buyers")
    buyers, pager = paged(
        request,
        MarketParty.objects.select_related("programme", "client", "uftp").order_by("name"),
        size=SHOWN,
    )
    declared = MarketAvailability.objects.filter(withdrawn_at=None, ends_at__gt=clock.now())
    declared = declared.select_related("party").order_by("starts_at")[:DECLARED_SHOWN]
    context = {
        "buyers": buyers,
        "pager": pager,
        "declared": [_declared(each) for each in declared],
        "buyer_form": buyer_form,
        "declare_form": declare_form,
        "open_form": do,
        "has_programme": Programme.objects.filter(use_case=UseCase.MARKET).exists(),
        **campaigns.policy.market_rights(request.user),
    }
    is_wrong = buyer_form.errors or declare_form.errors
    return render(request, "campaigns/market_buyers.html", context, status=422 if is_wrong else 200)


def _buyers_done(request: HttpRequest, do: str, buyer: BuyerForm, declare: AvailabilityForm) -> str:
    """What was done, in words; "" after a refusal, which is then said at its field."""
    if do == "buyer":
        campaigns.policy.require_manages_operators(request.user)
        return _("Added.") if buyer.is_valid() and _add_buyer(request, buyer) else ""
    campaigns.policy.require_runs_campaigns(request.user)
    if do == "declare":
        return _("Declared. Tell the buyer.") if declare.is_valid() and _declare(request, declare) else ""
    try:
        declaring.withdraw(
            availability_id=UUID(request.POST.get("availability", "")[:36]),
            at=clock.now(),
            by=account_of(request),
        )
    except (ValueError, declaring.AvailabilityNotFound):
        raise Http404 from None
    return _("Withdrawn. Tell the buyer.")


def _add_buyer(request: HttpRequest, form: BuyerForm) -> bool:
    data = form.cleaned_data
    try:
        receiving.add_party(
            name=data["name"],
            programme=data["programme"],
            is_sandbox=data["is_sandbox"],
            client_id=data["client"] and data["client"].pk,
            at=clock.now(),
            by=account_of(request),
        )
    except receiving.PartyInvalid as error:
        say_at_fields(form, {error.field: error.reason})
        return False
    return True


def _declare(request: HttpRequest, form: AvailabilityForm) -> bool:
    starts_at, ends_at = form.instant("starts_at"), form.instant("ends_at")
    power = form.read("available_kw", rows.profile_w)
    if starts_at is None or ends_at is None or form.errors:
        return False
    if len(power) != 1:
        form.add_error("available_kw", _("Write one figure."))
        return False
    data = form.cleaned_data
    try:
        declaring.declare(
            party=data["buyer"],
            direction=data["direction"],
            zone_kind=data["zone_kind"],
            zone=data["zone"],
            starts_at=starts_at,
            ends_at=ends_at,
            available_w=power[0],
            at=clock.now(),
            by=account_of(request),
        )
    except declaring.AvailabilityInvalid as error:
        say_at_fields(form, error.errors, {"available_w": "available_kw"})
        return False
    return True


def _declared(row: MarketAvailability) -> dict[str, Any]:
    return {
        "id": row.pk,
        "buyer": row.party.name,
        "when": wording.stretch(row.starts_at, row.ends_at, form=wording.SHORT_DAY),
        "where": f"{dict(MARKET_ZONE_KINDS)[row.zone_kind]} {row.zone}".strip(),
        "direction": wording.DIRECTIONS[row.direction],
        "power": wording.power(row.available_w),
    }
