"""Before what matters, the second factor again: approving, paying, bank details, operators, the market.

A view that is about to do such a thing calls `require`. Who gave their factor lately goes on; others are sent
to give it, and what they had filled in is kept in their (sealed) session and shown to be confirmed.
"""

from __future__ import annotations

import time
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from members.models import User
from opendsr.kernel import house
from opendsr.web.entering import signed_in
from opendsr.web.second_factor import has_second_factor, is_demo

KEPT: Final = "step_up.kept"
LONGEST_KEPT: Final = 64_000
KEPT_SECONDS: Final = 900
NOT_KEPT: Final = frozenset({"csrfmiddlewaretoken", "private_key_pem"})


class StepUpNeeded(Exception):
    """The last confirmation is too long ago; `what` says in words what was about to be done."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def require(request: HttpRequest, what: str) -> None:
    """Go on when the viewer confirmed who they are lately; raises StepUpNeeded."""
    if settings.STAFF_SECOND_FACTOR and not is_demo() and not is_fresh(request):
        raise StepUpNeeded(what)
    if request.method == "POST":
        request.session.pop(KEPT, None)


def is_fresh(request: HttpRequest) -> bool:
    """True when the last confirmation is no older than the co-op wants: by the second factor where there is
    one, else by password.
    """
    user = request.user
    if not isinstance(user, User):
        return False
    wanted = "mfa" if has_second_factor(user) else "password"
    times = [
        float(each["at"])
        for each in get_authentication_records(request, user)
        if each.get("method") == wanted
    ]
    return bool(times) and time.time() - max(times) < 60 * house.number("step_up_minutes")


class StepUpMiddleware:
    """Sends whoever has to confirm there, and keeps what they had filled in."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer: HttpResponseBase = self.get_response(request)
        return answer

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The way to the factor, for StepUpNeeded; everything else is somebody else's."""
        if not isinstance(error, StepUpNeeded) or not isinstance(request.user, User):
            return None
        back = request.get_full_path()
        if request.method == "POST":
            fields = [
                (name, value)
                for name, values in request.POST.lists()
                if name not in NOT_KEPT
                for value in values
            ]
            request.session.pop(KEPT, None)
            if sum(len(name) + len(value) for name, value in fields) <= LONGEST_KEPT:
                request.session[KEPT] = {
                    "path": request.path,
                    "fields": fields,
                    "what": error.what,
                    "at": time.time(),
                    "user": request.user.pk,
                }
            back = reverse("step_up")
        page = "mfa_reauthenticate" if has_second_factor(request.user) else "account_reauthenticate"
        to = f"{reverse(page)}?{urlencode({'next': back})}"
        if request.htmx:  # type: ignore[attr-defined]
            answer = HttpResponse(status=403)
            answer["HX-Redirect"] = to
            return answer
        return redirect(to)


@require_GET
@signed_in
def confirm(request: HttpRequest) -> HttpResponse:
    """What was about to be done, to be done by one press now that the factor was given."""
    kept = request.session.get(KEPT)
    if not kept or kept["user"] != request.user.pk or time.time() - kept["at"] > KEPT_SECONDS:
        request.session.pop(KEPT, None)
        raise Http404
    return render(request, "web/step_up.html", {"kept": kept})
