"""What the share policy editor shows: the versions, and what a policy would have made of the last event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext as _

import settlement.policy
from members.policy import has_role
from opendsr.kernel.periods import civil_date
from opendsr.web import wording
from opendsr.web.paging import paged
from settlement import policies, queries, sharing, terms
from settlement.models import HomeDelivery, SharePolicyVersion, Standing
from settlement.sharing import WHOLE, Participant, SharePolicy

SHOWN = 25
HOMES_SHOWN = 12


def whole_page(request: HttpRequest, form: Form, preview: object, *, at: datetime) -> dict[str, Any]:
    """Everything on the page."""
    versions = SharePolicyVersion.objects.select_related("published_by").order_by(
        "name", "-effective_from", "-version"
    )
    shown, pager = paged(request, versions, size=SHOWN)
    current = {name: policies.in_force(name, at) for name in policies.policy_names()}
    return {
        "versions": [
            {
                "name": str(each),
                "from": wording.moment(each.effective_from),
                "words": in_words(sharing.policy_from(each.policy)),
                "why": each.why,
                "state": _state(each, current, at),
            }
            for each in shown
        ],
        "pager": pager,
        "form": form,
        "preview": preview,
        "may_edit": has_role(request.user, *settlement.policy.MAY_SETTLE),
    }


def in_words(policy: SharePolicy) -> list[str]:
    """The policy in short sentences."""
    words = [_("%(pct)s %% to the co-op") % {"pct": _plain(policy.coop_pct)}]
    words += [
        _("%(pct)s %% from %(day)s") % {"pct": _plain(step.coop_pct), "day": f"{step.from_date:%-d %B %Y}"}
        for step in policy.steps
    ]
    if policy.fund_pct:
        words.append(_("%(pct)s %% to the community fund") % {"pct": _plain(policy.fund_pct)})
    if policy.floor_mp:
        words.append(_("first %(amount)s for every home") % {"amount": wording.millipence(policy.floor_mp)})
    names = {"wh": _("by kWh"), "availability": _("by standing ready"), "equal": _("in equal parts")}
    words.append(
        _("the rest ") + ", ".join(f"{_plain(pct)} % {names[by.value]}" for by, pct in policy.split.items())
    )
    if policy.hardship_weight != 1:
        words.append(_("homes in hardship count %(n)s times") % {"n": _plain(policy.hardship_weight)})
    return words


def preview(policy: SharePolicy) -> dict[str, Any]:
    """The newest posted event shared by the policy beside what was; raises the errors of sharing."""
    run = (
        queries.approved_runs()
        .select_related("campaign", "terms")
        .order_by("-campaign__starts_at", "-sequence")
        .first()
    )
    if run is None:
        return {"title": "", "rows": []}
    lines = list(
        HomeDelivery.objects.filter(run=run).select_related("occupancy__home").order_by("occupancy_id")
    )
    special = policies.special_households(run.campaign.starts_at)
    keeps = terms.override_policy(run.terms).keeps
    participants = [
        Participant(
            id=line.occupancy_id,
            paid_wh=line.paid_wh,
            available_wh=line.instructed_wh if line.takes_part or line.is_forgiven else 0,
            takes_part=line.takes_part or line.is_forgiven,
            keeps=keeps if line.standing == Standing.OVERRIDDEN else WHOLE,
            in_hardship=special.get(line.occupancy.household_id, policies.ORDINARY).in_hardship,
        )
        for line in lines
    ]
    shares = sharing.share_by(
        policy,
        revenue_mp=run.revenue_mp,
        participants=participants,
        day=civil_date(run.campaign.starts_at),
    )
    rows = sorted(
        zip(lines, shares.parts, strict=True), key=lambda each: (-each[1].earned_mp, each[0].occupancy_id)
    )
    return {
        "title": _("%(event)s, %(day)s")
        % {"event": run.campaign.name, "day": wording.day(run.campaign.starts_at, "j F Y")},
        "revenue": wording.millipence(run.revenue_mp),
        "shares": [
            (_("Members"), wording.millipence(run.members_mp), wording.millipence(shares.members_mp)),
            (_("The co-op"), wording.millipence(run.coop_mp), wording.millipence(shares.coop_mp)),
            (_("Community fund"), wording.millipence(run.fund_mp), wording.millipence(shares.fund_mp)),
        ],
        "rows": [
            {
                "home": line.occupancy.home.name,
                "paid": wording.kwh(line.paid_wh),
                "was": wording.millipence(line.earned_mp),
                "would": wording.millipence(part.earned_mp),
                "change": wording.millipence(part.earned_mp - line.earned_mp),
            }
            for line, part in rows[:HOMES_SHOWN]
        ],
        "more": max(len(rows) - HOMES_SHOWN, 0),
    }


def _state(
    version: SharePolicyVersion, current: dict[str, SharePolicyVersion | None], at: datetime
) -> tuple[str, str]:
    if current.get(version.name) == version:
        return _("In force"), "good"
    return (_("From then on"), "info") if version.effective_from > at else (_("Before"), "")


def _plain(number: Any) -> str:
    return f"{number.normalize():f}"
