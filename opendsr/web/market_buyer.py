"""Staff page of one buyer that speaks UFTP: terms, congestion points, messages, and the house's own key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from campaigns.market import rows
from campaigns.market_models import MARKET_ZONE_KINDS
from campaigns.models import MarketParty, MarketTold, UftpMessage, UftpPoint, UftpRefusal, UftpTerms
from campaigns.uftp import arranging, sending
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.models import AuditEntry
from opendsr.web import live_board, wording
from opendsr.web.entering import account_of, signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import say_at_fields, sentence
from opendsr.web.uftp_forms import POINT_DIRECTIONS, SIGNS, IdentityForm, PointForm, TermsForm

SHOWN: Final = 25
HISTORY_SHOWN: Final = 20
POINTS_SHOWN: Final = 200
TAGS: Final[Mapping[str, str]] = {
    "due": "warn",
    "waiting": "warn",
    "sent": "info",
    "accepted": "good",
    "rejected": "bad",
    "failed": "bad",
    "noted": "",
}
ZONES: Final = dict(MARKET_ZONE_KINDS)
COLUMN_OF: Final = {
    "price_mp_per_kwh": "price_pence_per_kwh",
    "penalty_mp_per_kwh": "penalty_pence_per_kwh",
}


@require_http_methods(["GET"])
@signed_in
def market_buyer(request: HttpRequest, party_id: UUID) -> HttpResponse:
    """One buyer: how it speaks UFTP, its congestion points, what was exchanged."""
    return _page(request, _access(request, party_id))


@require_POST
@signed_in
def market_buyer_action(request: HttpRequest, party_id: UUID, verb: str) -> HttpResponse:
    """Do one thing about a buyer and come back to it."""
    party = _access(request, party_id)
    if verb in ("test", "again"):
        campaigns.policy.require_runs_campaigns(request.user)
    else:
        campaigns.policy.require_manages_operators(request.user)
    if verb in FORMS:
        form = FORMS[verb](request.POST)
        if not (form.is_valid() and _tried(form, lambda: WITH_FORM[verb](request, party, form))):
            return _page(request, party, **{verb: form})
    elif verb in PLAIN:
        try:
            PLAIN[verb](request, party)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            messages.error(request, str(REFUSALS.get(error.code, sentence(error))))
            return redirect("market_buyer", party.pk)
    else:
        raise Http404
    messages.success(request, str(SAID[verb]))
    return redirect("market_buyer", party.pk)


def _page(request: HttpRequest, party: MarketParty, **forms: Form) -> HttpResponse:
    terms = UftpTerms.objects.filter(party=party).first()
    identity = arranging.identity()
    points = UftpPoint.objects.filter(party=party, ended_at=None).select_related("preset")
    exchanged = UftpMessage.objects.filter(party=party).select_related("request", "offer").defer("xml")
    shown, pager = paged(request, exchanged.order_by("-pk"), size=SHOWN, anchor="messages")
    history = list(
        AuditEntry.objects.filter(target=f"market_party:{party.pk}").order_by("-pk")[:HISTORY_SHOWN]
    )
    people = live_board.names({entry.actor for entry in history})
    refused = MarketTold.objects.filter(party=party, request=None).order_by("-pk")[:SHOWN]
    context = {
        "party": party,
        "terms": terms,
        "sign": dict(SIGNS).get(terms.sign, "") if terms else "",
        "identity": identity,
        "our_key": sending.key_text(identity.public_key) if identity else "",
        "our_address": request.build_absolute_uri("/shapeshifter/api/v3/message"),
        "points": [_point(each) for each in points.order_by("congestion_point")[:POINTS_SHOWN]],
        "messages_shown": [_message(each) for each in shown],
        "pager": pager,
        "refused": [_told(each) for each in refused],
        "refusals": UftpRefusal.objects.order_by("-hour_wall_at", "reason")[:SHOWN],
        "history": [
            {
                "at": wording.moment(entry.at),
                "actor": people.get(entry.actor, entry.actor),
                "verb": entry.verb.removeprefix("campaigns.").replace(".", " ").replace("_", " "),
                "detail": ", ".join(f"{name}: {value}" for name, value in sorted(entry.detail.items())),
            }
            for entry in history
        ],
        "identity_form": forms.get(
            "key", IdentityForm(initial={"domain": identity.domain} if identity else None)
        ),
        "terms_form": forms.get("terms", TermsForm(initial=_initial(terms))),
        "point_form": forms.get("point", PointForm()),
        "open_form": next(iter(forms), ""),
        "may_run": campaigns.policy.may_run_campaigns(request.user),
        "may_manage": campaigns.policy.may_manage_operators(request.user),
    }
    return render(request, "campaigns/market_buyer.html", context, status=422 if forms else 200)


def _access(request: HttpRequest, party_id: UUID) -> MarketParty:
    campaigns.policy.require_sees_operators(request.user)
    found = MarketParty.objects.select_related("programme", "client").filter(pk=party_id).first()
    if found is None:
        raise arranging.PartyNotFound(party_id=str(party_id))
    return found


def _initial(terms: UftpTerms | None) -> dict[str, Any] | None:
    return None if terms is None else {name: getattr(terms, name) for name in arranging.SHOWN}


def _point(point: UftpPoint) -> dict[str, Any]:
    return {
        "id": point.pk,
        "address": point.congestion_point,
        "where": f"{ZONES[point.zone_kind]} {point.zone}".strip(),
        "direction": dict(POINT_DIRECTIONS)[point.direction],
        "kind": point.preset.name,
        "price": _per_kwh(point.price_mp_per_kwh),
        "penalty": _per_kwh(point.penalty_mp_per_kwh),
    }


def _message(row: UftpMessage) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.kind,
        "is_ours": row.is_ours,
        "at": wording.moment(row.at),
        "state": UftpMessage.State(row.state).label,
        "tag": TAGS[row.state],
        "reason": row.reason,
        "attempts": row.attempts,
        "request": row.request,
        "may_again": sending.may_go_again(row),
    }


def _told(row: MarketTold) -> dict[str, Any]:
    return {"at": wording.moment(row.at), "what": row.what, "why": str(row.body.get("reason", ""))}


def _per_kwh(mp: int) -> str:
    return _("%(p)s p/kWh") % {"p": f"{mp / 1000:,.3f}".rstrip("0").rstrip(".")}


def _make_key(request: HttpRequest, party: MarketParty, form: Any) -> object:
    return arranging.make_identity(domain=form.cleaned_data["domain"], at=clock.now(), by=account_of(request))


def _set_terms(request: HttpRequest, party: MarketParty, form: Any) -> object:
    return arranging.set_terms(party_id=party.pk, **form.cleaned_data, at=clock.now(), by=account_of(request))


def _add_point(request: HttpRequest, party: MarketParty, form: Any) -> object | None:
    price = form.read("price_pence_per_kwh", rows.price_mp)
    penalty = form.read("penalty_pence_per_kwh", rows.price_mp)
    if form.errors:
        return None
    data = form.cleaned_data
    return arranging.add_point(
        party_id=party.pk,
        congestion_point=data["congestion_point"],
        zone_kind=data["zone_kind"],
        zone=data["zone"],
        direction=data["direction"],
        preset=data["preset"].pk,
        price_mp_per_kwh=price,
        penalty_mp_per_kwh=penalty,
        at=clock.now(),
        by=account_of(request),
    )


def _end_point(request: HttpRequest, party: MarketParty) -> None:
    arranging.end_point(
        party_id=party.pk, point_id=_number(request, "point"), at=clock.now(), by=account_of(request)
    )


def _again(request: HttpRequest, party: MarketParty) -> None:
    sent = sending.send_again(party_id=party.pk, message_pk=_number(request, "message"), at=clock.now())
    if not sent:
        raise Http404


def _test(request: HttpRequest, party: MarketParty) -> None:
    if not UftpTerms.objects.filter(party=party).exists():
        raise Http404
    sending.tell_test(party=party, at=clock.now(), by=account_of(request))


def _number(request: HttpRequest, field: str) -> int:
    text = request.POST.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text)


def _tried(form: Form, work: Callable[[], object]) -> object | None:
    """What the work gives; None after a refusal, which is then said at its field."""
    try:
        return work()
    except arranging.TermsInvalid as error:
        say_at_fields(form, error.errors, COLUMN_OF)
        return None


FORMS: Final[Mapping[str, type[Form]]] = {"key": IdentityForm, "terms": TermsForm, "point": PointForm}
WITH_FORM: Final[Mapping[str, Callable[..., object]]] = {
    "key": _make_key,
    "terms": _set_terms,
    "point": _add_point,
}
PLAIN: Final[Mapping[str, Callable[[HttpRequest, MarketParty], None]]] = {
    "end-point": _end_point,
    "again": _again,
    "test": _test,
}
SAID: Final = {
    "key": _lazy("Made. Give every buyer the new public key: the next message is sealed with it."),
    "terms": _lazy("Set. The history has what it was before."),
    "point": _lazy("Added. Its requests are taken from now on."),
    "end-point": _lazy("Ended. Nothing more is taken for it."),
    "again": _lazy("In line again."),
    "test": _lazy("A test is on its way. Its answer shows under messages."),
}
REFUSALS: Final = {"no_identity": _lazy("Make the co-op's own key first.")}
