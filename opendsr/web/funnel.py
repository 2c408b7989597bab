"""The staff page of everybody on the way in: who is where, for how long, and what is to be done next."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from members import applying, terms
from members.assessing import rules_in_force
from members.enquiry_models import Application, TermsText
from members.policy import DECIDES_ENQUIRIES, require_role
from opendsr.kernel import clock
from opendsr.web.enquiries import STATES
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged

SHOWN: Final = 50


@require_GET
@signed_in
def funnel(request: HttpRequest) -> HttpResponse:
    """Enquiries, those who have waited longest first."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    at = clock.now()
    state = request.GET.get("state", "")
    rows = Application.objects.select_related("partner", "champion").order_by("since")
    if state in Application.State.values:
        rows = rows.filter(state=state)
    shown, pager = paged(request, rows, size=SHOWN)
    context = {
        "rows": [_row(each) for each in shown],
        "pager": pager,
        "states": [(code, words) for code, (words, _tag) in STATES.items()],
        "state": state,
        "has_terms": all(terms.newest_terms(kind, at) for kind in TermsText.Kind),
        "has_rules": rules_in_force(at).version > 0,
    }
    return render(request, "members/funnel.html", context)


def _row(application: Application) -> dict[str, Any]:
    words, tag = STATES[Application.State(application.state)]
    answers = applying.opened(application)
    return {"application": application, "name": answers.get("full_name", ""), "state": words, "tag": tag}
