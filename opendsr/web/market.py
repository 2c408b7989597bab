"""Staff pages of the flexibility market: requests, offers and orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

import campaigns.policy
from campaigns.market import (
    offering,
    ordering,
    receiving,
    rows,
    weighing,
)
from campaigns.market_models import MARKET_ZONE_KINDS
from campaigns.models import (
    Campaign,
    MarketOffer,
    MarketParty,
    MarketRequest,
)
from members.rows import RowsUnusable
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import HALF_HOUR
from opendsr.web import live_board, step_up, wording
from opendsr.web.entering import account_of, signed_in
from opendsr.web.market_forms import (
    DeclineForm,
    MarketFileForm,
    MarketRequestForm,
    OrderForm,
)
from opendsr.web.paging import paged
from opendsr.web.refusals import say_at_fields, sentence
from opendsr.web.rows_form import REJECTS_SHOWN, reject_response

SHOWN: Final = 25
DECLARED_SHOWN: Final = 100
State = MarketRequest.State
TAGS: Final[Mapping[str, str]] = {
    "open": "warn",
    "offered": "info",
    "ordered": "good",
    "declined": "",
    "withdrawn": "",
    "lapsed": "bad",
}
WHY_NOT: Final = {
    "nobody": _lazy("No home can be asked for all of that time, or an offer or a campaign has them."),
    "too_small": _lazy("What homes can give is less than that kind of market takes."),
    "others_bring_more": _lazy("It would bring less than it costs, or other requests bring more."),
}
ZONES: Final = dict(MARKET_ZONE_KINDS)


@require_http_methods(["GET"])
@signed_in
def market_list(request: HttpRequest) -> HttpResponse:
    """Requests, those that wait for an answer first."""
    campaigns.policy.require_sees_operators(request.user)
    at = clock.now()
    state = request.GET.get("state", "")
    found = MarketRequest.objects.select_related("party", "preset").order_by("-received_at", "pk")
    if state in State.values:
        found = found.filter(state=state)
    shown, pager = paged(request, found, size=SHOWN)
    context = {
        "requests": [_row(each, at=at) for each in shown],
        "pager": pager,
        "state": state,
        "states": State.choices,
        "has_buyers": MarketParty.objects.exists(),
        "waiting": len(weighing.open_requests(at=at)),
        **campaigns.policy.market_rights(request.user),
    }
    return render(request, "campaigns/market_list.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def market_new(request: HttpRequest) -> HttpResponse:
    """The form of one request."""
    campaigns.policy.require_runs_campaigns(request.user)
    form = MarketRequestForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        made = _received(request, form)
        if made is not None:
            return redirect("market_request", made.pk)
    context = {"form": form, "has_buyers": MarketParty.objects.exists()}
    return render(request, "campaigns/market_new.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def market_file(request: HttpRequest) -> HttpResponse:
    """Requests from a file: checked, taken in, or refused rows given back."""
    campaigns.policy.require_runs_campaigns(request.user)
    is_sent = request.method == "POST"
    form = MarketFileForm(request.POST, request.FILES) if is_sent else MarketFileForm()
    do = request.POST.get("do", "check")
    report: rows.Report | None = None
    if is_sent and form.is_valid():
        text = form.cleaned_data["rows"]
        try:
            report = rows.take_in(text, at=clock.now(), by=account_of(request), dry_run=do != "take")
        except RowsUnusable as error:
            form.add_error("rows", sentence(error))
        else:
            if do == "rejects":
                return reject_response(rows.reject_file(report), name="refused-requests.csv")
            form = MarketFileForm(initial={"rows": text})
    context = {
        "form": form,
        "report": report,
        "is_taken": do == "take",
        "figures": _figures(report) if report else [],
        "rejects": report.rejects[:REJECTS_SHOWN] if report else [],
        "more_rejects": max(0, len(report.rejects) - REJECTS_SHOWN) if report else 0,
        "required": rows.REQUIRED,
        "optional": rows.OPTIONAL,
    }
    return render(request, "campaigns/market_file.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET"])
@signed_in
def market_request(request: HttpRequest, market_request_id: UUID) -> HttpResponse:
    """One request: what is asked, what was offered and ordered, and the log."""
    return _page(request, _access(request, market_request_id))


@require_POST
@signed_in
def market_action(request: HttpRequest, market_request_id: UUID, verb: str) -> HttpResponse:
    """Offer, decline, take the buyer's order in, or its withdrawal."""
    found = _access(request, market_request_id)
    campaigns.policy.require_runs_campaigns(request.user)
    if verb not in ACTIONS:
        raise Http404
    try:
        form = ACTIONS[verb](request, found)
    except DomainError as error:
        if error.status in (403, 404):
            raise
        messages.error(request, _refusal(error))
        return redirect("market_request", found.pk)
    if form is not None:
        return _page(request, found, **{verb: form})
    said = SAID_BY_UFTP if found.source == MarketRequest.Source.UFTP else SAID
    messages.success(request, str(said.get(verb, SAID[verb])))
    return redirect("market_request", found.pk)


@require_http_methods(["GET", "POST"])
@signed_in
def market_choice(request: HttpRequest) -> HttpResponse:
    """Of all open requests, which to accept and with how many assets; pressed, the offers are made."""
    campaigns.policy.require_runs_campaigns(request.user)
    at = clock.now()
    waiting = weighing.open_requests(at=at)
    found = waiting[: weighing.MOST_WEIGHED]
    if request.method == "POST":
        chosen = {value for value in request.POST.getlist("request") if len(value) <= 36}
        wanted = [each for each in found if str(each.pk) in chosen]
        if not wanted:
            said = (
                _("None of those is open any more: each was answered, or its deadline has passed.")
                if chosen
                else _("Tick the requests to offer for.")
            )
            messages.error(request, said)
            return redirect("market_choice")
        step_up.require(request, _("Make the offers"))
        try:
            made = offering.make_offers(
                request_ids=[each.pk for each in wanted], at=at, by=account_of(request)
            )
        except DomainError as error:
            messages.error(request, _refusal(error))
        else:
            said = _("%(n)s offered. Tell the buyers; an order is taken in on each request's page.")
            messages.success(request, said % {"n": len(made)})
            return redirect("market_list")
    weighed, weighed_at = weighing.outlines(found, at=at)
    context = {
        "rows": [
            {
                **_row(each, at=at),
                "is_trial": receiving.is_trial(each),
                "is_accepted": outline.serving > 0,
                "offered": wording.power(outline.offered_w),
                "income": wording.money(outline.income_mp),
                "serving": outline.serving,
                "homes": outline.homes,
                "able": outline.able,
                "why_not": WHY_NOT.get(outline.why_not, ""),
            }
            for each, outline in zip(found, weighed, strict=True)
        ],
        "beyond": len(waiting) - len(found),
        "total": wording.money(
            sum(
                outline.income_mp
                for each, outline in zip(found, weighed, strict=True)
                if not receiving.is_trial(each)
            )
        ),
        "accepted": sum(1 for each in weighed if each.serving),
        "weighed": wording.moment(weighed_at),
    }
    return render(request, "campaigns/market_choice.html", context)


def _page(request: HttpRequest, found: MarketRequest, **forms: Form) -> HttpResponse:
    at = clock.now()
    offer = found.offers.order_by("-made_at").select_related("order").first()
    order = getattr(offer, "order", None)
    made: list[Campaign] = (
        [each.campaign for each in order.stretches.select_related("campaign")] if order else []
    )
    told = list(found.told.order_by("pk"))
    people = live_board.names({each.actor for each in told})
    is_open = found.state == State.OPEN and found.deadline_at > at and found.starts_at - found.notice > at
    context = {
        "found": _row(found, at=at),
        "row": found,
        "profile": _profile(found, offer, order),
        "offer": offer and _offer(offer, at=at),
        "order": order,
        "order_price": order and wording.money(order.price_mp),
        "campaigns": sorted(made, key=_starts_at),
        "is_trial": receiving.is_trial(found),
        "told": [
            {
                "at": wording.moment(each.at),
                "who": _("the co-op") if each.is_ours else found.party.name,
                "by": people.get(each.actor, ""),
                "what": each.what,
                "why": str(each.body.get("reason", "")),
            }
            for each in told
        ],
        "may_offer": is_open,
        "may_order": found.state == State.OFFERED,
        "may_close": found.state in (State.OPEN, State.OFFERED),
        "decline_form": forms.get("decline", DeclineForm()),
        "order_form": forms.get("order", OrderForm()),
        "open_form": next(iter(forms), ""),
        **campaigns.policy.market_rights(request.user),
    }
    return render(request, "campaigns/market_request.html", context, status=422 if forms else 200)


def _access(request: HttpRequest, request_id: UUID) -> MarketRequest:
    campaigns.policy.require_sees_operators(request.user)
    found = (
        MarketRequest.objects.select_related("party__client", "party__programme", "preset")
        .filter(pk=request_id)
        .first()
    )
    if found is None:
        raise receiving.RequestNotFound(request_id=str(request_id))
    return found


def _received(request: HttpRequest, form: MarketRequestForm) -> MarketRequest | None:
    asked = form.asked()
    if asked is None:
        return None
    try:
        made, _is_new = receiving.receive_request(
            party=form.cleaned_data["buyer"],
            asked=asked,
            source=MarketRequest.Source.FORM,
            at=clock.now(),
            by=account_of(request),
        )
    except receiving.RequestInvalid as error:
        say_at_fields(form, error.errors, rows.COLUMN_OF)
        return None
    except receiving.ReferenceReused:
        form.add_error("reference", _("This reference came with another request: give a new one."))
        return None
    return made


def _make_offer(request: HttpRequest, found: MarketRequest) -> Form | None:
    step_up.require(request, _("Make the offer"))
    offering.make_offers(request_ids=[found.pk], at=clock.now(), by=account_of(request))
    return None


def _decline(request: HttpRequest, found: MarketRequest) -> Form | None:
    form = DeclineForm(request.POST)
    if not form.is_valid():
        return form
    reason = form.cleaned_data["reason"]
    offering.decline_request(request_id=found.pk, reason=reason, at=clock.now(), by=account_of(request))
    return None


def _take_order(request: HttpRequest, found: MarketRequest) -> Form | None:
    form = OrderForm(request.POST)
    ordered_w = None
    if form.is_valid() and form.cleaned_data["ordered_kw"]:
        ordered_w = form.read("ordered_kw", rows.profile_w)
    if form.errors:
        return form
    step_up.require(request, _("Take the order in"))
    try:
        ordering.receive_order(
            request_id=found.pk,
            reference=form.cleaned_data["reference"],
            ordered_w=ordered_w,
            at=clock.now(),
            by=account_of(request),
        )
    except ordering.OrderInvalid as error:
        say_at_fields(form, {error.field: error.reason}, {"ordered_w": "ordered_kw"})
        return form
    return None


def _withdraw(request: HttpRequest, found: MarketRequest) -> Form | None:
    receiving.withdraw_request(request_id=found.pk, at=clock.now(), by=account_of(request))
    return None


def _starts_at(campaign: Campaign) -> datetime:
    return campaign.starts_at


def _row(found: MarketRequest, *, at: datetime) -> dict[str, Any]:
    is_late = found.state == State.OPEN and found.deadline_at <= at
    return {
        "id": found.pk,
        "reference": found.reference,
        "buyer": found.party.name,
        "kind": found.preset.name,
        "direction": wording.DIRECTIONS[found.direction],
        "when": wording.stretch(found.starts_at, found.ends_at, form=wording.SHORT_DAY),
        "where": f"{ZONES[found.zone_kind]} {found.zone}".strip(),
        "peak": wording.power(found.peak_w),
        "price": _per_kwh(found.price_mp_per_kwh),
        "penalty": _per_kwh(found.penalty_mp_per_kwh),
        "deadline": wording.moment(found.deadline_at),
        "state": _("Deadline passed") if is_late else State(found.state).label,
        "tag": "bad" if is_late else TAGS[found.state],
    }


def _per_kwh(mp: int) -> str:
    return _("%(p)s p/kWh") % {"p": f"{mp / 1000:,.3f}".rstrip("0").rstrip(".")}


def _profile(found: MarketRequest, offer: MarketOffer | None, order: Any) -> list[dict[str, str]]:
    lines = []
    for number, asked_w in enumerate(found.profile_w):
        starts_at = found.starts_at + number * HALF_HOUR
        lines.append(
            {
                "when": wording.half_hour(starts_at, starts_at + HALF_HOUR),
                "asked": wording.kw(asked_w),
                "offered": wording.kw(offer.offered_w[number]) if offer else wording.NOTHING,
                "ordered": wording.kw(order.ordered_w[number]) if order else wording.NOTHING,
            }
        )
    return lines


def _offer(offer: MarketOffer, *, at: datetime) -> dict[str, Any]:
    return {
        "price": wording.money(offer.price_mp),
        "income": wording.money(offer.income_mp),
        "good_until": wording.moment(offer.good_until),
        "assets": offer.held.count(),
        "homes": offer.held.values("occupancy").distinct().count(),
        "state": MarketOffer.State(offer.state).label,
    }


def _figures(report: rows.Report) -> list[dict[str, str]]:
    labels = (
        (_("Rows"), report.rows),
        (_("New requests"), report.taken),
        (_("Known already"), report.known),
        (_("Refused"), len(report.rejects)),
    )
    return [{"label": label, "value": f"{count:,}"} for label, count in labels]


def _refusal(error: DomainError) -> str:
    """The refusal in words, those of the market among them."""
    if isinstance(error, offering.NothingToOffer):
        return str(WHY_NOT[error.why])
    if isinstance(error, receiving.RequestClosed):
        if error.state == State.OFFERED:
            return _("It is offered already: the offer stands as it is below.")
        return _("The request is over: %(state)s.") % {"state": str(State(error.state).label).lower()}
    return str(REFUSALS[error.code]) if error.code in REFUSALS else sentence(error)


ACTIONS: Final[Mapping[str, Callable[[HttpRequest, MarketRequest], Form | None]]] = {
    "offer": _make_offer,
    "decline": _decline,
    "order": _take_order,
    "withdraw": _withdraw,
}
SAID: Final = {
    "offer": _lazy("Offered: its assets are held. Tell the buyer."),
    "decline": _lazy("Declined. Tell the buyer."),
    "order": _lazy("Taken in. What it made is planned: look through it and approve it."),
    "withdraw": _lazy("Taken back; what was held for it is free."),
}
SAID_BY_UFTP: Final = {
    "offer": _lazy("Offered: its assets are held. The buyer is told by UFTP."),
    "decline": _lazy("Declined. What was offered is revoked by UFTP."),
}
REFUSALS: Final = {
    "deadline_passed": _lazy("Its deadline has passed: nothing can be offered any more."),
    "notice_too_short": _lazy("An order could not come any more with the notice that its kind wants."),
    "not_offered": _lazy("Nothing was offered for it yet."),
    "order_too_late": _lazy("The offer is not good any more: the order came too late."),
}
