"""What the page of the surplus shows: the legal form, votes that wait for a second person, years shared."""

from __future__ import annotations

from typing import Any

from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext as _

import settlement.policy
from members.policy import has_role
from opendsr.kernel.errors import DomainError
from opendsr.web import wording
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence
from settlement import voting
from settlement.models import Society, SurplusProposal, SurplusResolution
from settlement.surplus import LegalForm

SHOWN = 25


def whole_page(request: HttpRequest, form: Form, form_of_society: Form) -> dict[str, Any]:
    """Everything on the page."""
    may_settle = has_role(request.user, *settlement.policy.MAY_SETTLE)
    stated = Society.objects.select_related("stated_by").order_by("-stated_at", "-id").first()
    waiting = SurplusProposal.objects.filter(decision__isnull=True).select_related("proposed_by")
    shown, pager = paged(request, SurplusResolution.objects.order_by("-applied_at", "id"), size=SHOWN)
    return {
        "society": {"name": str(stated), "since": wording.day(stated.stated_at, "j F Y")} if stated else None,
        "may_pay_dividends": stated is not None and stated.legal_form == LegalForm.COOPERATIVE,
        "holds": wording.millipence(voting.coop_holds_mp()),
        "waiting": [_proposal(request, each) for each in waiting.order_by("proposed_at", "id")],
        "shared": [_resolution(each) for each in shown],
        "pager": pager,
        "form": form,
        "form_of_society": form_of_society,
        "may_settle": may_settle,
    }


def _proposal(request: HttpRequest, proposal: SurplusProposal) -> dict[str, Any]:
    """A vote that waits, with what it would move now or why it cannot be applied."""
    resolution = voting.resolution_of(proposal)
    parts: list[tuple[str, str]] = []
    problem = ""
    try:
        _form, split = voting.surplus_split(
            year=proposal.year,
            period=voting.period_of(proposal),
            surplus_mp=proposal.surplus_mp,
            resolution=resolution,
        )
    except DomainError as error:
        problem = sentence(error)
    else:
        dividends = split.dividends_mp.values()
        parts = [
            (_("To reserves"), wording.millipence(split.reserves_mp)),
            (_("To the community fund"), wording.millipence(split.fund_mp)),
            (
                _("Dividend to %(n)s households") % {"n": f"{sum(mp > 0 for mp in dividends):,}"},
                wording.millipence(sum(dividends)),
            ),
        ]
    return {
        "id": proposal.pk,
        "year": proposal.year,
        "surplus": wording.millipence(proposal.surplus_mp),
        "vote": _votes(proposal),
        "proposed": wording.moment(proposal.proposed_at),
        "parts": parts,
        "problem": problem,
        "is_own": proposal.proposed_by_id is not None and proposal.proposed_by_id == request.user.pk,
    }


def _resolution(resolution: SurplusResolution) -> dict[str, str]:
    words = _("%(reserves)s %% to reserves, %(fund)s %% to the community fund, %(dividend)s %% as dividend")
    return {
        "year": resolution.year,
        "surplus": wording.millipence(resolution.surplus_mp),
        "split": words
        % {
            "reserves": f"{resolution.reserves_pct.normalize():f}",
            "fund": f"{resolution.fund_pct.normalize():f}",
            "dividend": f"{resolution.dividend_pct.normalize():f}",
        },
        "vote": _votes(resolution),
        "when": wording.day(resolution.applied_at, "j F Y"),
    }


def _votes(vote: SurplusProposal | SurplusResolution) -> str:
    return _("%(for)s for, %(against)s against") % {
        "for": f"{vote.votes_for:,}",
        "against": f"{vote.votes_against:,}",
    }
