"""What the pages of settlement rounds show, already in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

import settlement.policy
from members.policy import has_role
from opendsr.web import measured, wording
from opendsr.web.paging import paged
from settlement import rounds, statement_files
from settlement.models import RoundKind, SettlementRound, SettlementRun, Verdict
from settlement.sharing import ZeroWeights

RUNS_SHOWN = 50
TAGS: Mapping[str, str] = {
    RoundKind.PROVISIONAL: "warn",
    RoundKind.FINAL: "good",
    RoundKind.CORRECTION: "info",
}


@dataclass(frozen=True, slots=True)
class RunRow:
    """One event of a round."""

    name: str
    url: str
    when: str
    number: int
    delivered: str
    sold: str
    revenue: str
    before: str
    change: str
    missing: str
    held_out: str
    rule: str
    policy: str
    inputs: str
    result: str


def list_row(round: SettlementRound) -> dict[str, Any]:
    """A round in the list."""
    state, tag = state_of(round)
    return {
        "id": round.pk,
        "name": _("%(programme)s, round %(n)s") % {"programme": round.programme.name, "n": round.number},
        "kind": round.get_kind_display(),
        "kind_tag": TAGS[round.kind],
        "events": f"{round.campaign_count:,}",
        "when": wording.moment(round.proposed_at),
        "state": state,
        "tag": tag,
    }


def state_of(round: SettlementRound) -> tuple[str, str]:
    """How far the round is, in a word or two, and its colour."""
    decision = getattr(round, "decision", None)
    if decision is not None:
        return decision.get_verdict_display(), "good" if decision.verdict == Verdict.APPROVED else ""
    progress = getattr(round, "progress", None)
    done = progress.done if progress else 0
    if progress and progress.problem:
        return _("Stopped"), "bad"
    if done < round.campaign_count:
        return _("Computing %(done)s of %(all)s") % {"done": done, "all": round.campaign_count}, "info"
    return _("Waits for approval"), "warn"


def whole_page(request: HttpRequest, round: SettlementRound) -> dict[str, Any]:
    """Everything on a round's page."""
    progress = rounds.progress_of(round)
    runs = round.runs.select_related("campaign", "terms", "replaces").order_by("campaign__starts_at", "id")
    shown, pager = paged(request, runs, size=RUNS_SHOWN)
    everything = list(runs)
    state, tag = state_of(round)
    is_open = getattr(round, "decision", None) is None
    may_settle = has_role(request.user, *settlement.policy.MAY_SETTLE)
    is_own = round.proposed_by_id is not None and round.proposed_by_id == request.user.pk
    is_unearned = progress.problem.startswith(ZeroWeights.code.replace("_", " "))
    revenue = sum(run.revenue_mp for run in everything)
    before = sum(run.replaces.revenue_mp for run in everything if run.replaces)
    return {
        "round": round,
        "title": _("%(programme)s, round %(n)s") % {"programme": round.programme.name, "n": round.number},
        "kind": round.get_kind_display(),
        "kind_tag": TAGS[round.kind],
        "state": state,
        "tag": tag,
        "known": wording.moment(round.as_known_at),
        "proposed": wording.moment(round.proposed_at),
        "decision": getattr(round, "decision", None),
        "decided": wording.moment(round.decision.at) if not is_open else "",
        "progress": progress,
        "may_hold": is_unearned and may_settle and is_open,
        "is_computing": is_open and progress.done < progress.of and not progress.problem,
        "figures": [
            (label, wording.money(mp), wording.millipence(mp))
            for label, mp in (
                (_("Revenue"), revenue),
                (_("Members"), sum(run.members_mp for run in everything)),
                (_("The co-op"), sum(run.coop_mp for run in everything)),
                (_("Community fund"), sum(run.fund_mp + run.gifts_mp for run in everything)),
                (_("Posted before"), before),
                (_("To post") if is_open else _("Difference"), revenue - before),
            )
        ],
        "files": statement_files.progress_of(round.pk) if not is_open else None,
        "may_take_files": may_settle and not is_open and round.decision.verdict == Verdict.APPROVED,
        "runs": [_run_row(run) for run in shown],
        "pager": pager,
        "may_decide": may_settle and is_open,
        "may_approve": may_settle and is_open and not is_own and progress.done == progress.of,
        "is_own": is_own and is_open,
        "method": everything[0].method if everything else "",
    }


def _run_row(run: SettlementRun) -> RunRow:
    before_mp = run.replaces.revenue_mp if run.replaces else 0
    return RunRow(
        name=run.campaign.name,
        url=reverse("event_report", args=[run.campaign_id]),
        when=wording.stretch(run.campaign.starts_at, run.campaign.ends_at, form=wording.SHORT_DAY),
        number=run.sequence,
        delivered=wording.kwh(run.delivered_wh),
        sold=wording.kwh(run.sold_wh),
        revenue=wording.millipence(run.revenue_mp),
        before=wording.millipence(before_mp) if run.replaces else wording.NOTHING,
        change=wording.millipence(run.revenue_mp - before_mp),
        missing=f"{run.missing_half_hours:,}" if run.missing_half_hours else wording.NOTHING,
        held_out=measured.held_out_words(run),
        rule=run.rule["title"],
        policy=run.policy["name"] or str(run.terms),
        inputs=run.input_sha256[:16],
        result=run.result_sha256[:16],
    )
