"""What the page of one campaign shows: its life, the next step, the totals and who takes part.

Totals are counted by the database and lines come a page at a time, so that a campaign of 10,000 homes can be
looked at, and looked at again every few seconds, at no great cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

import campaigns.policy
import campaigns.queries
import settlement.queries
from campaigns import life
from campaigns.life import Verb
from campaigns.models import Campaign, Direction, Participation, PlanLine
from opendsr.web import wording
from opendsr.web.paging import Pager, paged

State = Campaign.State
LINES_SHOWN: Final = 50
ANSWERED: Final = (
    Participation.State.OPTED_IN,
    Participation.State.OPTED_OUT,
    Participation.State.OVERRIDDEN,
)
STEPS: Final = (State.DRAFT, State.PLANNED, State.APPROVED, State.DISPATCHED, State.COMPLETED)
RUNNING: Final = (State.APPROVED, State.DISPATCHED)
NEXT_STEP: Final[Mapping[str, str | Promise]] = {
    State.DRAFT: _lazy("Plan it: see who could take part and what to expect."),
    State.PLANNED: _lazy("Look through the plan, then approve it. Nothing has been sent to any home yet."),
    State.APPROVED: _lazy("The hubs are being told; each is checked once more for consent and opt-outs."),
    State.DISPATCHED: _lazy("Hubs answer as they poll. Nothing is left to do; you can still cancel it."),
    State.COMPLETED: _lazy("The event is over. Settlement follows when the meter readings are in."),
    State.CANCELLED: _lazy("It was called off. Nothing is left to do."),
}


@dataclass(frozen=True, slots=True)
class Action:
    """A button of the campaign page; one with a warning asks once more."""

    verb: str
    label: str
    style: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One asset of the plan, or taking part."""

    home: str
    asset: str
    expected: str
    state: str
    tag: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """One of the large numbers."""

    label: str
    value: str
    note: str = ""


def whole_page(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """Everything on the page."""
    left_out = campaign.plan_lines.exclude(left_out="").select_related("asset__hub__home")
    ordered = left_out.order_by("left_out", "asset__hub__home__postcode", "id")
    lines, pager = paged(request, ordered, size=LINES_SHOWN, parameter="out", anchor="left-out")
    return {
        "campaign": campaign,
        "when": wording.stretch(campaign.starts_at, campaign.ends_at),
        "where": where(campaign),
        "asked": _asked(campaign),
        "steps": _steps(campaign),
        "next_step": _next_step(campaign),
        "actions": _actions(request, campaign),
        "left_out": [
            {
                "home": line.asset.hub.home.name,
                "asset": line.asset.name,
                "reason": line.get_left_out_display(),
            }
            for line in lines
        ],
        "left_out_pager": pager,
        "held_out": _held_out(campaign),
        **live_part(request, campaign),
    }


def live_part(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """The totals and lines: the plan before approval, the participations from then on."""
    pager: Pager
    if campaign.approved_at is None:
        totals, title = _planned(campaign), _("The plan")
        chosen, pager = paged(request, _plan_lines(campaign), size=LINES_SHOWN, anchor="taking-part")
        lines = [_plan_line(line) for line in chosen]
    else:
        totals, title = _taking_part(campaign), _("Taking part")
        parts, pager = paged(request, _parts(campaign), size=LINES_SHOWN, anchor="taking-part")
        lines = [_part_line(part) for part in parts]
    return {
        "live_url": _live_url(request, campaign) if campaign.state in RUNNING else "",
        "totals": totals,
        "lines_title": title,
        "lines": lines,
        "lines_pager": pager,
        "nobody": "" if lines else _nobody(campaign),
    }


def where(campaign: Campaign) -> str:
    """The campaign's place in words."""
    kind = campaign.get_zone_kind_display()
    return kind if not campaign.zone else f"{kind} {campaign.zone}"


def _held_out(campaign: Campaign) -> str:
    """Who is held out to compare with, in a sentence; empty when the campaign holds nobody out."""
    if not campaign.hold_out_pct:
        return ""
    share = _("%(pct)s %% of the homes that would be asked are held out to compare with.") % {
        "pct": campaign.hold_out_pct
    }
    if campaign.planned_at is None:
        return share
    homes = len(campaigns.queries.held_out_by_campaign([campaign.pk]).get(campaign.pk, ()))
    drawn = ngettext(
        "%(n)s home was drawn, with the seed %(seed)s; it is paid the average.",
        "%(n)s homes were drawn, with the seed %(seed)s; they are paid the average.",
        homes,
    )
    return f"{share} {drawn % {'n': f'{homes:,}', 'seed': campaign.pk}}"


def _next_step(campaign: Campaign) -> str:
    if campaign.state == State.COMPLETED and settlement.queries.newest_run(campaign.pk) is not None:
        return _("The event is over and settled. The event report has the energy and the money.")
    return str(NEXT_STEP[campaign.state])


def _asked(campaign: Campaign) -> str:
    words = _("%(power)s less") if campaign.direction == Direction.TURN_DOWN else _("%(power)s more")
    return words % {"power": wording.power(campaign.size_w)}


def _steps(campaign: Campaign) -> list[dict[str, Any]]:
    if campaign.state == State.CANCELLED:
        return [{"label": wording.state(State.CANCELLED), "is_current": True, "is_done": False}]
    place = STEPS.index(State(campaign.state))
    return [
        {"label": wording.state(step), "is_current": number == place, "is_done": number < place}
        for number, step in enumerate(STEPS)
    ]


def _actions(request: HttpRequest, campaign: Campaign) -> list[Action]:
    if not campaigns.policy.may_run_campaigns(request.user):
        return []
    possible = life.possible_verbs(campaign)
    actions = []
    if Verb.APPROVE in possible:
        actions.append(Action(Verb.APPROVE, _("Approve and send")))
    if Verb.PLAN in possible:
        actions.append(
            Action(Verb.PLAN, _("Plan again") if actions else _("Plan"), "quiet" if actions else "")
        )
    if Verb.CANCEL in possible:
        warning = _("It cannot be taken up again. Hubs that know of it are told to carry on as usual.")
        actions.append(Action(Verb.CANCEL, _("Cancel the campaign"), "danger", warning))
    return actions


def _live_url(request: HttpRequest, campaign: Campaign) -> str:
    """Where to ask for the totals and lines again: the same pages of them, and the state that is shown."""
    query = request.GET.copy()
    query["state"] = campaign.state
    return f"{reverse('campaign_live', args=[campaign.pk])}?{query.urlencode()}"


def _parts(campaign: Campaign) -> QuerySet[Participation]:
    parts = campaign.participations.select_related("asset", "occupancy__home")
    return parts.order_by("occupancy__home__postcode", "occupancy_id", "asset__name", "id")


def _plan_lines(campaign: Campaign) -> QuerySet[PlanLine]:
    chosen = campaign.plan_lines.filter(left_out="").select_related("asset__hub__home")
    return chosen.order_by("-expected_w", "asset__hub__home__postcode", "id")


def _taking_part(campaign: Campaign) -> list[Total]:
    State = Participation.State
    is_held = ~Q(state=State.CANCELLED)
    is_out = Q(state__in=(State.CANCELLED, State.OPTED_OUT, State.OVERRIDDEN))
    said_yes = Q(state=State.OPTED_IN)
    sums = campaign.participations.aggregate(
        homes=Count("occupancy", filter=is_held, distinct=True),
        assets=Count("id", filter=is_held),
        answered=Count("id", filter=Q(state__in=ANSWERED)),
        yes=Count("id", filter=said_yes),
        yes_w=Sum("expected_w", filter=said_yes, default=0),
        expected_w=Sum("expected_w", filter=~is_out, default=0),
    )
    return [
        Total(_("Homes"), f"{sums['homes']:,}"),
        Total(_("Assets"), f"{sums['assets']:,}"),
        Total(
            _("Expected"),
            wording.power(sums["expected_w"]),
            _("of %(asked)s asked; %(yes)s said yes")
            % {"asked": wording.power(campaign.size_w), "yes": wording.power(sums["yes_w"])},
        ),
        Total(
            _("Answered"),
            _("%(some)s of %(all)s") % {"some": f"{sums['answered']:,}", "all": f"{sums['assets']:,}"},
            _("%(yes)s yes, %(no)s no") % {"yes": sums["yes"], "no": sums["answered"] - sums["yes"]},
        ),
    ]


def _planned(campaign: Campaign) -> list[Total]:
    chosen = campaign.plan_lines.filter(left_out="")
    sums = chosen.aggregate(
        homes=Count("asset__hub__home", distinct=True),
        assets=Count("id"),
        expected_w=Sum("expected_w", default=0),
    )
    short_w = max(0, campaign.size_w - sums["expected_w"])
    if campaign.planned_at is None:
        note = _("not planned yet")
    elif short_w:
        note = _("%(short)s short of the %(asked)s asked") % {
            "short": wording.power(short_w),
            "asked": wording.power(campaign.size_w),
        }
    else:
        note = _("enough for the %(asked)s asked") % {"asked": wording.power(campaign.size_w)}
    return [
        Total(_("Homes"), f"{sums['homes']:,}"),
        Total(_("Assets"), f"{sums['assets']:,}"),
        Total(_("Expected"), wording.power(sums["expected_w"]), note),
        Total(_("Answered"), wording.NOTHING, _("nothing sent yet")),
    ]


def _nobody(campaign: Campaign) -> str:
    if campaign.planned_at is None:
        return _("There is no plan yet.")
    if campaign.plan_lines.exists():
        return _("Nobody can be asked: every asset in the zone is left out, for the reasons below.")
    return _(
        "There is no asset in this zone. Look at how its name is spelt, and whether homes there have a hub."
    )


def _part_line(part: Participation) -> Line:
    code = part.outcome or part.state
    is_kept_back = part.state == Participation.State.CANCELLED and part.left_out
    return Line(
        home=part.occupancy.home.name,
        asset=part.asset.name,
        expected=wording.kw(part.expected_w),
        state=wording.state("kept_back" if is_kept_back else code),
        tag=wording.tag(code),
        why=part.get_left_out_display() if is_kept_back else "",
    )


def _plan_line(line: PlanLine) -> Line:
    return Line(
        home=line.asset.hub.home.name,
        asset=line.asset.name,
        expected=wording.kw(line.expected_w),
        state=wording.state("planned"),
        tag="info",
    )
