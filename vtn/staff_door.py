"""The door of every page: signed in and allowed, or sent to sign in, or told why not.

Self-contained, so that these pages work in any Django project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from opendsr.kernel.errors import DomainError
from vtn import policy
from vtn.policy import Deed, Principal

View = Callable[..., HttpResponse]
READS: Final = ("GET", "HEAD")


class StaffRequest(HttpRequest):
    """A request that came through a door."""

    principal: Principal


def door(deed: Deed, *, post: Deed | None = None) -> Callable[[View], View]:
    """Let those through who may do the deed (for anything but reading, `post`); never into a cache."""

    def around(view: View) -> View:
        @wraps(view)
        def entered(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            is_read = request.method in READS
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path() if is_read else reverse("vtn:ven_list"))
            staff = cast(StaffRequest, request)
            staff.principal = policy.principal_of(request.user)
            try:
                policy.require(staff.principal, deed if is_read or post is None else post)
                response = view(staff, *args, **kwargs)
            except DomainError as error:
                response = refused(request, error)
            add_never_cache_headers(response)
            return response

        entered.deed = deed  # type: ignore[attr-defined]
        entered.post_deed = post or deed  # type: ignore[attr-defined]
        return entered

    return around


def show(
    request: HttpRequest, template: str, context: dict[str, Any], *, section: str = "", status: int = 200
) -> HttpResponse:
    """Render a page inside the house's shell (VTN_SHELL_TEMPLATE), with what the viewer may do."""
    principal = getattr(request, "principal", policy.NOBODY)
    around = {
        "shell_template": getattr(settings, "VTN_SHELL_TEMPLATE", "vtn/shell.html"),
        "section": section,
        "vtn_may": {deed.value: principal.may(deed) for deed in Deed},
    }
    return render(request, template, around | context, status=status)


def refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A page that says what was refused and why."""
    context = {"refused_status": error.status, "sentence": sentence(error)}
    return show(request, "vtn/refused.html", context, status=error.status)


def sentence(error: DomainError) -> str:
    """The refusal in a sentence; a code without words of its own is spelt out."""
    words = SENTENCES.get(error.code)
    if words is not None:
        return words(error)
    field, reason = error.data.get("field"), error.data.get("reason")
    if reason and field:
        return f"{field}: {reason}."
    return _spelt(str(reason or error))


def say_at_field(form: Form, error: DomainError, fields: Mapping[str, str] | None = None) -> None:
    """Say a refusal at the field of the form that it is about, else above the form.

    The field is the error's, or goes by its code; `fields` says what the form calls it.
    """
    told = str(error.data.get("field") or error.code)
    name, reason = (fields or {}).get(told, told), error.data.get("reason")
    is_at_a_field = name in form.fields
    is_bare = is_at_a_field and reason and error.code not in SENTENCES
    form.add_error(name if is_at_a_field else None, _spelt(str(reason)) if is_bare else sentence(error))


def is_done(form: Form, do: Callable[[], object], fields: Mapping[str, str] | None = None) -> bool:
    """True where the form holds and `do` did it; what `do` refuses is said by `say_at_field`.

    What the address itself names and is not there stays a page that is missing.
    """
    if not form.is_valid():
        return False
    try:
        do()
    except DomainError as error:
        if error.status == 404 and not error.data.get("field"):
            raise
        say_at_field(form, error, fields)
        return False
    return True


def _spelt(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


SENTENCES: Final[dict[str, Callable[[DomainError], str]]] = {
    "forbidden": lambda error: (
        _("Your role does not include this (%(deed)s).")
        % {"deed": str(error.data["needs"]).replace("_", " ")}
    ),
    "unknown_ven": lambda error: _("There is no VEN %(ven)s.") % {"ven": error.data["ven_id"]},
    "unknown_certificate": lambda error: (
        _("The VEN has no certificate of the fingerprint %(fingerprint)s.")
        % {"fingerprint": str(error.data["fingerprint"])[:64]}
    ),
    "unknown_event": lambda error: _("There is no event %(event)s.") % {"event": error.data["event_id"]},
    "event_closed": lambda error: (
        _("The event is %(state)s and cannot change any more.") % {"state": error.data["state"]}
    ),
    "not_registered": lambda error: _("The VEN is not registered, so there is nothing to tell it."),
    "sending_refused": lambda error: (
        _("Nothing may be sent to %(vens)s now: %(reason)s.")
        % {"vens": ", ".join(cast("list[str]", error.data["ven_ids"])[:5]), "reason": error.data["reason"]}
    ),
}
