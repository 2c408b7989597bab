"""Staff page of a network operator's OpenADR VTN: how it is reached, how it goes, events, what was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models.functions import Left
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

import campaigns.policy
from campaigns.models import OperatorEvent, OperatorVtn, ServicingClient
from campaigns.ven import arranging, taking
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import step_up, wording
from opendsr.web.entering import account_of, signed_in
from opendsr.web.operator_forms import PlaceForm, VtnForm
from opendsr.web.paging import paged
from opendsr.web.refusals import say_at_fields, sentence

SHOWN: Final = 25
XML_SHOWN: Final = 6_000
TAGS: Final = {
    "taken": "good",
    "rehearsed": "info",
    "waiting": "warn",
    "refused": "bad",
    "released": "warn",
    "cancelled": "info",
    "over": "",
}


@require_http_methods(["GET"])
@signed_in
def operator_vtn(request: HttpRequest, client_id: UUID) -> HttpResponse:
    """The connection, the zones' names, events and messages."""
    return _page(request, campaigns.policy.access_operator(request.user, client_id))


@require_POST
@signed_in
def operator_vtn_action(request: HttpRequest, client_id: UUID, verb: str) -> HttpResponse:
    """Do one thing about the connection and come back to it."""
    client = campaigns.policy.access_operator(request.user, client_id)
    campaigns.policy.require_manages_operators(request.user)
    if verb == "terms":
        form: Form = VtnForm(request.POST, holds_key=_holds_key(client))
        if form.is_valid():
            step_up.require(request, str(SURE["terms"]))
        if not (form.is_valid() and _tried(form, lambda: _set_terms(request, client, form.cleaned_data))):
            return _page(request, client, terms=form)
    elif verb == "place":
        form = PlaceForm(request.POST, zones=_zones(client))
        if form.is_valid():
            step_up.require(request, str(SURE["place"]))
        if not (form.is_valid() and _tried(form, lambda: _add_place(request, client, form.cleaned_data))):
            return _page(request, client, place=form)
    elif verb == "end-place":
        try:
            place_id = int(request.POST.get("place", "")[:18])
        except ValueError:
            raise Http404 from None
        try:
            arranging.end_place(
                client_id=client.pk, place_id=place_id, at=clock.now(), by=account_of(request)
            )
        except DomainError as error:
            if error.status in (403, 404):
                raise
            messages.error(request, sentence(error))
            return redirect("operator_vtn", client.pk)
    else:
        raise Http404
    messages.success(request, str(SAID[verb]))
    return redirect("operator_vtn", client.pk)


def _page(request: HttpRequest, client: ServicingClient, **forms: Form) -> HttpResponse:
    wall = clock.wall_now()
    vtn = OperatorVtn.objects.filter(client=client).first()
    context: dict[str, Any] = {
        "operator": client,
        "vtn": vtn,
        "may_manage": campaigns.policy.may_manage_operators(request.user) and client.closed_at is None,
        "terms_form": forms.get("terms", VtnForm(initial=_initial(vtn), holds_key=vtn is not None)),
        "open_form": next(iter(forms), ""),
    }
    if vtn is not None:
        said = vtn.messages.annotate(shown=Left("xml", XML_SHOWN)).defer("xml").order_by("-wall_at", "-pk")
        shown, pager = paged(request, said, size=SHOWN, anchor="messages")
        context |= {
            "certificate": arranging.shown(vtn, wall=wall),
            "state": _state(client, vtn),
            "places": vtn.places.filter(ended_at=None).order_by("name")[:200],
            "place_form": forms.get("place", PlaceForm(zones=_zones(client))),
            "zones": _zones(client),
            "events": [_event(each) for each in vtn.events.order_by("-starts_at", "-pk")[:SHOWN]],
            "reports": vtn.reports.order_by("pk")[:SHOWN],
            "said": shown,
            "pager": pager,
        }
    return render(request, "campaigns/operator_vtn.html", context, status=422 if forms else 200)


def _state(client: ServicingClient, vtn: OperatorVtn) -> dict[str, str]:
    """The connection in a word, with its tag."""
    if client.closed_at is not None or not vtn.is_on:
        return {"tag": "", "words": _("off")}
    if vtn.problem:
        return {"tag": "bad", "words": _("no contact") if vtn.registered_wall_at else _("not registered")}
    if vtn.registered_wall_at is None:
        return {"tag": "warn", "words": _("not registered yet")}
    return {"tag": "good", "words": _("registered")}


def _event(event: OperatorEvent) -> dict[str, Any]:
    return {
        "row": event,
        "starts": wording.moment(event.starts_at),
        "ends": wording.moment(event.ends_at),
        "state": str(OperatorEvent.State(event.state).label),
        "tag": TAGS[event.state],
        "is_told": event.told_opt == event.opt,
    }


def _initial(vtn: OperatorVtn | None) -> dict[str, Any] | None:
    names = ("url", "ven_name", "authority_pem", "certificate_pem", "is_on")
    return None if vtn is None else {name: getattr(vtn, name) for name in names}


def _holds_key(client: ServicingClient) -> bool:
    return OperatorVtn.objects.filter(client=client).exists()


def _zones(client: ServicingClient) -> list[str]:
    return list(client.contracts.order_by("zone").values_list("zone", flat=True).distinct())


def _set_terms(request: HttpRequest, client: ServicingClient, data: Mapping[str, Any]) -> object:
    at = clock.now()
    row = arranging.set_terms(
        client_id=client.pk, **data, at=at, wall=clock.wall_now(), by=account_of(request)
    )
    if not row.is_on:
        taking.let_go(row, reason="the connection was switched off", at=at)
    return row


def _add_place(request: HttpRequest, client: ServicingClient, data: Mapping[str, Any]) -> object:
    return arranging.add_place(client_id=client.pk, **data, at=clock.now(), by=account_of(request))


def _tried(form: Form, work: Callable[[], object]) -> object | None:
    """What the work gives; None after a refusal, which is then said at its field."""
    try:
        return work()
    except arranging.TermsInvalid as error:
        say_at_fields(form, error.errors)
    except arranging.NoVtn:
        form.add_error(None, _("Enter the operator's VTN first."))
    return None


SURE: Final = {"terms": _lazy("Connect to the operator's VTN"), "place": _lazy("Let it name a zone")}
SAID: Final = {
    "terms": _lazy("Kept. It is contacted within seconds, or let go of where it is off."),
    "place": _lazy("Added. Events that name it are about that zone from now on."),
    "end-place": _lazy("Ended. Events that name it are refused from now on."),
}
