"""The console's switch: freeze, thaw, and let every home go."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

import campaigns.policy
from campaigns import freezing, releasing
from members.models import User
from opendsr.kernel import clock
from opendsr.web import step_up, wording
from opendsr.web.entering import signed_in


@require_POST
@signed_in
def sending_action(request: HttpRequest, verb: str) -> HttpResponse:
    """Throw the switch; for those who run campaigns."""
    campaigns.policy.require_runs_campaigns(request.user)
    at, by = clock.now(), request.user
    if not isinstance(by, User) or verb not in ("freeze", "thaw", "release"):
        raise Http404
    reason = request.POST.get("reason", "").replace("\x00", "")
    if verb == "freeze":
        before = freezing.current()
        freezing.freeze(at=at, by=by, reason=reason)
        if before is None:
            messages.success(request, _("Frozen: nothing new leaves for any home."))
        else:
            stands = _("It is frozen since %(time)s, and the reason given then stands.")
            messages.info(request, stands % {"time": wording.moment(before.frozen_at)})
    elif verb == "thaw":
        step_up.require(request, _("Thaw: let what waited go out"))
        if freezing.thaw(at=at, by=by):
            messages.success(request, _("Thawed: what waited goes out now."))
        else:
            messages.info(request, _("It was not frozen any more."))
    else:
        let_go = releasing.release(at=at, by=by, reason=reason)
        words = {"campaigns": let_go.campaigns, "plans": let_go.plans}
        messages.success(
            request, _("Every home is let go: %(campaigns)s campaigns, %(plans)s plans of devices.") % words
        )
    return redirect("campaign_list")
