"""Staff pages: the VENs, one VEN with all that is known of it, and what may be done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from vtn import desk, enrolling, enrolment_codes, messagelog, outgoing, policy, registering, ven_page
from vtn.forms import CodeForm, CsrForm, EnrolForm
from vtn.lists import chosen, paged, search_words
from vtn.models import Security, Ven, VenGroup
from vtn.policy import Deed
from vtn.push_address import set_push_address
from vtn.requests import CsrInvalid
from vtn.staff_door import StaffRequest, door, sentence, show

STATES: Final = {
    "online": _lazy("Online"),
    "silent": _lazy("Silent"),
    "never_seen": _lazy("Never heard"),
    "not_registered": _lazy("Not registered"),
}
CERTIFICATES: Final = {"soon": _lazy("Ends within 30 days"), "none": _lazy("None in force")}
TROUBLES: Final = {
    "skewed": _lazy("Clock wrong by over a minute"),
    "quirks": _lazy("Quirks"),
    "undelivered": _lazy("Something undelivered"),
    "refused": _lazy("Refused within a day"),
}
ORDERS: Final = {
    "ven_id": _lazy("VEN id"),
    "name": _lazy("Name"),
    "seen": _lazy("Heard last, newest first"),
    "silent": _lazy("Heard last, oldest first"),
    "certificate": _lazy("Certificate that ends first"),
    "undelivered": _lazy("Most undelivered"),
}


@require_GET
@door(Deed.SEE)
def ven_list(request: StaffRequest) -> HttpResponse:
    """Every VEN, found by words and filters that stay in the address, a page at a time."""
    at, wall = clock.now(), clock.wall_now()
    filters = {
        "words": search_words(request),
        "state": chosen(request, "state", tuple(STATES)),
        "certificate": chosen(request, "certificate", tuple(CERTIFICATES)),
        "trouble": chosen(request, "trouble", tuple(TROUBLES)),
        "group": request.GET.get("group", "").replace("\0", "")[:64],
        "order": chosen(request, "order", tuple(ORDERS)),
    }
    found = desk.find_vens(desk.vens(at=at, wall=wall), at=at, wall=wall, **filters)
    shown, pager = paged(request, found)
    context = {
        "vens": [ven_page.row(ven, wall=wall) for ven in shown],
        "pager": pager,
        "filters": filters,
        "is_filtered": any(value for name, value in filters.items() if name != "order"),
        "states": STATES.items(),
        "certificates": CERTIFICATES.items(),
        "troubles": TROUBLES.items(),
        "orders": ORDERS.items(),
        "groups": list(VenGroup.objects.order_by("name").values_list("name", flat=True)),
        "counts": desk.counts(wall=wall),
        "may_enrol": request.principal.may(Deed.MANAGE_CERTIFICATES),
    }
    return show(request, "vtn/ven_list.html", context, section="vens")


@require_GET
@door(Deed.SEE)
def ven_detail(request: StaffRequest, ven_id: str) -> HttpResponse:
    """One VEN: its state, events, opts, reports, certificates, latest messages, and what may be done."""
    at, wall = clock.now(), clock.wall_now()
    ven = desk.ven(ven_id, at=at, wall=wall)
    context = ven_page.whole(ven, at=at, wall=wall) | {
        "actions": _actions(request, ven, wall=wall),
        "may_certify": request.principal.may(Deed.MANAGE_CERTIFICATES),
        "may_manage": request.principal.may(Deed.MANAGE_VENS),
        "may_ask_reports": request.principal.may(Deed.MANAGE_REPORTS),
    }
    return show(request, "vtn/ven_detail.html", context, section="vens")


@require_http_methods(["GET", "POST"])
@door(Deed.MANAGE_CERTIFICATES)
def ven_enrol(request: StaffRequest) -> HttpResponse:
    """Make a VEN from a hub's signing request; the certificate is shown once it is signed."""
    form = EnrolForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            enrolled = enrolling.enrol_ven(
                ven_name=form.cleaned_data["ven_name"],
                csr_pem=form.cleaned_data["csr_pem"],
                at=clock.now(),
                by=request.principal.actor,
            )
        except CsrInvalid as error:
            form.add_error("csr_pem", sentence(error))
        else:
            return show(
                request, "vtn/ven_enrolled.html", {"enrolled": enrolled, "is_new": True}, section="vens"
            )
    return show(
        request, "vtn/ven_enrol.html", {"form": form}, status=422 if form.errors else 200, section="vens"
    )


@require_http_methods(["GET", "POST"])
@door(Deed.MANAGE_CERTIFICATES)
def ven_code(request: StaffRequest) -> HttpResponse:
    """Issue a one-time code by which a hub enrols itself; it is shown once."""
    initial = {"ven_id": request.GET.get("ven", "").replace("\0", "")[:64]}
    form = CodeForm(request.POST if request.method == "POST" else None, initial=initial)
    issued = None
    if request.method == "POST" and form.is_valid():
        try:
            issued = enrolment_codes.issue_code(
                subject=form.cleaned_data["subject"],
                ven_id=form.cleaned_data["ven_id"] or None,
                at=clock.now(),
                by=request.principal.actor,
            )
        except DomainError as error:
            form.add_error("ven_id" if error.code == "unknown_ven" else "subject", sentence(error))
    context = {"form": form, "issued": issued}
    return show(request, "vtn/ven_code.html", context, section="vens", status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@door(Deed.MANAGE_CERTIFICATES)
def ven_reissue(request: StaffRequest, ven_id: str) -> HttpResponse:
    """Sign another request for a known VEN: a renewal, or a replaced hub."""
    at, wall = clock.now(), clock.wall_now()
    ven = desk.ven(ven_id, at=at, wall=wall)
    form = CsrForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            issue = (
                enrolling.replace_certificates
                if form.cleaned_data["revoke_others"]
                else enrolling.issue_certificate
            )
            enrolled = issue(
                ven_id=ven_id, csr_pem=form.cleaned_data["csr_pem"], at=at, by=request.principal.actor
            )
        except CsrInvalid as error:
            form.add_error("csr_pem", sentence(error))
        else:
            return show(
                request, "vtn/ven_enrolled.html", {"enrolled": enrolled, "is_new": False}, section="vens"
            )
    context = {"form": form, "ven": ven}
    return show(request, "vtn/ven_reissue.html", context, status=422 if form.errors else 200, section="vens")


@require_POST
@door(Deed.SEE)
def ven_action(request: StaffRequest, ven_id: str, verb: str) -> HttpResponse:
    """Do one thing to a VEN and come back to its page; what cannot be done is said there."""
    if verb not in ACTIONS:
        raise Http404
    deed, act = ACTIONS[verb]
    policy.require(request.principal, deed)
    at, wall = clock.now(), clock.wall_now()
    ven = desk.ven(ven_id, at=at, wall=wall)
    try:
        messages.success(request, act(request, ven, at=at, wall=wall))
    except DomainError as error:
        messages.error(request, sentence(error))
    return redirect("vtn:ven_detail", ven_id)


def _reregister(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    registering.request_reregistration(ven_id=ven.ven_id, at=at, by=request.principal.actor)
    return _("Queued: the VEN is asked to register again.")


def _cancel_registration(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    registering.cancel_registration(ven_id=ven.ven_id, at=at, by=request.principal.actor)
    return _("Queued: the VEN is told that its registration ends.")


def _clear_registration(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    registering.clear_registration(ven_id=ven.ven_id, at=at, by=request.principal.actor)
    return _("The registration is cleared. The VEN may register again.")


def _revoke(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    fingerprint = request.POST.get("fingerprint", "") or None
    reason = request.POST.get("reason", "").replace("\0", "").strip()
    if not reason:
        raise ReasonMissing(field=_("Reason"), reason=_("say why the certificate is revoked"))
    revoked = enrolling.revoke_certificate(
        ven_id=ven.ven_id, fingerprint=fingerprint, reason=reason[:200], at=at, by=request.principal.actor
    )
    if not revoked:
        raise NothingToRevoke(reason=_("no such certificate is in force"))
    return _("Revoked. It opens nothing from the next request on.")


def _sign(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    enrolling.set_security(ven_id=ven.ven_id, security=Security.HIGH, at=at, by=request.principal.actor)
    return _("High security: from now on its messages have to be signed, and so are ours.")


def _unsign(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    enrolling.set_security(ven_id=ven.ven_id, security=Security.STANDARD, at=at, by=request.principal.actor)
    return _("Standard security: TLS alone.")


def _push_address(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    url = request.POST.get("url", "").replace("\0", "").strip()[:300]
    set_push_address(ven_id=ven.ven_id, url=url, at=at, by=request.principal.actor)
    return _("The address is set.") if url else _("The address is cleared: the VEN is pushed to no more.")


def _watch(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    messagelog.watch(ven_pk=ven.pk, wall=wall)
    return _("Message bodies are kept, redacted, for 24 hours.")


def _unwatch(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    messagelog.unwatch(ven_pk=ven.pk)
    return _("No more bodies are kept.")


def _poll_interval(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    text = request.POST.get("seconds", "").strip()
    registering.set_poll_seconds(ven_id=ven.ven_id, text=text, at=at, by=request.principal.actor)
    return _("The poll interval is set. The VEN is told with its next registration.")


def _withdraw(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    outgoing.withdraw_message(
        ven_id=ven.ven_id, queued_pk=_message(request), at=at, by=request.principal.actor
    )
    return _("Taken back.")


def _retry(request: StaffRequest, ven: Ven, *, at: datetime, wall: datetime) -> str:
    outgoing.retry_message(ven_id=ven.ven_id, queued_pk=_message(request), at=at, by=request.principal.actor)
    return _("Queued again.")


def _message(request: StaffRequest) -> int:
    text = request.POST.get("message", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


class ReasonMissing(DomainError):
    """A deed that needs a reason came without one: `field`, `reason`."""

    status = 422


class NothingToRevoke(DomainError):
    """No certificate of the VEN was in force: `reason`."""


ACTIONS: Final[Mapping[str, tuple[Deed, Callable[..., str]]]] = {
    "reregister": (Deed.MANAGE_VENS, _reregister),
    "cancel-registration": (Deed.MANAGE_VENS, _cancel_registration),
    "clear-registration": (Deed.MANAGE_VENS, _clear_registration),
    "revoke": (Deed.MANAGE_CERTIFICATES, _revoke),
    "push-address": (Deed.MANAGE_VENS, _push_address),
    "poll-interval": (Deed.MANAGE_VENS, _poll_interval),
    "withdraw": (Deed.MANAGE_VENS, _withdraw),
    "retry": (Deed.MANAGE_VENS, _retry),
    "high-security": (Deed.MANAGE_CERTIFICATES, _sign),
    "standard-security": (Deed.MANAGE_CERTIFICATES, _unsign),
    "watch": (Deed.READ_BODIES, _watch),
    "unwatch": (Deed.READ_BODIES, _unwatch),
}


def _actions(request: StaffRequest, ven: Ven, *, wall: datetime) -> list[dict[str, Any]]:
    """What the viewer may do to the VEN now, each with what pressing it means."""
    may, is_watched = request.principal.may, ven_page.is_watched(ven, wall=wall)
    offered = []
    if may(Deed.MANAGE_VENS) and ven.is_registered:
        offered += [
            {
                "verb": "reregister",
                "label": _("Ask to register again"),
                "warning": _("The VEN is asked to register again and gets all its events anew."),
                "style": "quiet",
            },
            {
                "verb": "cancel-registration",
                "label": _("Cancel the registration"),
                "warning": _(
                    "The VEN is told that its registration ends."
                    " Its certificate stands, so it may register again."
                ),
                "style": "danger",
            },
            {
                "verb": "clear-registration",
                "label": _("Clear the registration"),
                "warning": _(
                    "The registration ends here at once, without telling the VEN:"
                    " for one that has lost its own."
                ),
                "style": "danger",
            },
        ]
    if may(Deed.MANAGE_CERTIFICATES):
        is_high = ven.security == Security.HIGH
        offered.append(
            {
                "verb": "standard-security" if is_high else "high-security",
                "label": _("Back to standard security") if is_high else _("Ask for signed messages"),
                "warning": _("Messages are no longer signed or checked for a signature; TLS stays.")
                if is_high
                else _(
                    "An unsigned message of this VEN is refused from then on: be sure that its client signs."
                ),
                "style": "quiet",
            }
        )
    if may(Deed.READ_BODIES):
        offered.append(
            {"verb": "unwatch", "label": _("Stop keeping bodies"), "style": "quiet", "warning": ""}
            if is_watched
            else {
                "verb": "watch",
                "label": _("Keep message bodies for 24 hours"),
                "warning": _("What this VEN says and is told is kept, redacted, until then."),
                "style": "quiet",
            }
        )
    return offered
