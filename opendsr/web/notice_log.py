"""Staff's log of notices: filters in the address, what did not arrive first among them, and one more try."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from members.models import User
from members.policy import has_role, require_role
from notices import queries, receipts
from notices.kinds import Channel, Kind
from notices.models import Notice
from notices.policy import RESENDS_NOTICES, SEES_NOTICES
from opendsr.kernel import clock
from opendsr.web.entering import signed_in
from opendsr.web.notice_pages import STATES, shown
from opendsr.web.paging import paged

SHOWN: Final = 50
NOT_ARRIVED: Final = "not_arrived"
LONGEST_NUMBER: Final = 12


@require_GET
@signed_in
def notice_log(request: HttpRequest) -> HttpResponse:
    """Every notice, newest first. Addresses stay sealed: a line names its member by number."""
    require_role(request.user, *SEES_NOTICES)
    filters = _filters(request)
    rows, pager = paged(request, queries.log(**filters), size=SHOWN)
    may_resend = has_role(request.user, *RESENDS_NOTICES)
    at = clock.now()
    context = {
        "rows": [
            shown(row)
            | {
                "number": row.member.number,
                "attempts": row.attempts,
                "may_resend": may_resend and row.state in queries.NOT_ARRIVED and row.expires_at > at,
            }
            for row in rows
        ],
        "pager": pager,
        "filters": filters,
        "states": [(NOT_ARRIVED, _("not arrived, or not sent")), *_options(STATES)],
        "kinds": Kind.choices,
        "channels": Channel.choices,
        "not_arrived": queries.not_arrived_count(at=at),
        "query": request.GET.urlencode(),
    }
    return render(request, "notices/log.html", context)


@require_POST
@signed_in
def resend_notice(request: HttpRequest, notice_id: UUID) -> HttpResponse:
    """Put one that did not arrive into the queue again, and go back to where one was."""
    require_role(request.user, *RESENDS_NOTICES)
    by: User = request.user  # type: ignore[assignment]
    try:
        receipts.resend(notice_id=notice_id, at=clock.now(), by=f"staff:{by.pk}")
    except receipts.NothingToResend:
        messages.error(request, NOTHING_TO_RESEND)
    else:
        messages.success(request, _("It is in the queue again."))
    return redirect(f"{reverse('notice_log')}?{_query(request)}")


NOTHING_TO_RESEND: Final = _lazy("That one is under way, arrived, or is of no use any more.")


def _filters(request: HttpRequest) -> dict[str, str]:
    """What of the address means something; the rest is as if it were not there."""
    given = request.GET
    state, kind, channel = given.get("state", ""), given.get("kind", ""), given.get("channel", "")
    return {
        "state": state if state == NOT_ARRIVED or state in Notice.State.values else "",
        "kind": kind if kind in Kind.values else "",
        "channel": channel if channel in Channel.values else "",
        "number": given.get("number", "").replace("\x00", "").strip().upper()[:LONGEST_NUMBER],
    }


def _options(states: Any) -> list[tuple[str, str]]:
    return [(str(state), str(words)) for state, (words, _tag) in states.items()]


def _query(request: HttpRequest) -> str:
    """The filters one came with, and nothing else."""
    back = QueryDict(request.POST.get("back", "")[:500], mutable=True)
    kept = QueryDict(mutable=True)
    for name in ("state", "kind", "channel", "number", "page"):
        if value := back.get(name):
            kept[name] = str(value)
    return kept.urlencode()
