"""What the page of one campaign shows: its life, the next step, the totals and who takes part.

Totals are counted by the database and lines come a page at a time, so that a campaign of 10,000 homes can be
looked at, and looked at again every few seconds, at no great cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, F, IntegerField, Q, QuerySet, Sum, Value
from django.db.models.functions import Least
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

import campaigns.policy
import campaigns.queries
import settlement.queries
from campaigns import amending, eligibility, life
from campaigns.life import Verb
from campaigns.models import Campaign, Direction, Participation, PlanLine, UseCase
from campaigns.servicing import holding
from opendsr.kernel import clock
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.periods import is_half_hour
from opendsr.web import live_board, wording
from opendsr.web.paging import Pager, paged

State = Campaign.State
LINES_SHOWN: Final = 50
STOP: Final = "stop"
GO_ON: Final = "go-on"
LEAVE_OUT, ASK_AGAIN = "leave-out", "ask-again"
LET_ASK: Final = "let-ask"
LINE_ACTIONS: Final[Mapping[str, str | Promise]] = {
    LEAVE_OUT: _lazy("Leave out"),
    ASK_AGAIN: _lazy("Ask again"),
}
ANSWERED: Final = (
    Participation.State.OPTED_IN,
    Participation.State.OPTED_OUT,
    Participation.State.OVERRIDDEN,
)
ASKED_FIELDS: Final = (
    "programme_id",
    "direction",
    "zone_kind",
    "zone",
    "size_w",
    "starts_at",
    "ends_at",
    "hold_out_pct",
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
    holds: tuple[tuple[str, str], ...] = ()
    """For how long the cap that asked it asks nobody instead: values and words."""
    seen: str = ""
    """What the page shows of what is approved: a page of before approves nothing that nobody looked at."""


@dataclass(frozen=True, slots=True)
class Line:
    """One asset of the plan, or taking part."""

    home: str
    asset: str
    expected: str
    state: str
    tag: str
    why: str = ""
    more: str = ""
    occupancy: str = ""
    verb: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """One of the large numbers."""

    label: str
    value: str
    note: str = ""


def whole_page(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """Everything on the page."""
    may_run = campaigns.policy.may_run_campaigns(request.user)
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
        "may_change": may_run
        and campaign.state in amending.AMENDABLE
        and not amending.is_asked_from_outside(campaign),
        "may_run": may_run,
        "go_on_minutes": _may_go_on(campaign) if may_run else (),
        "go_on_key": new_uuid(),
        "cap_hold": _cap_hold(campaign),
        "left_out": [
            {
                "home": line.asset.hub.home.name,
                "asset": line.asset.name,
                "reason": line.why or line.get_left_out_display(),
            }
            for line in lines
        ],
        "left_out_pager": pager,
        "held_out": _held_out(campaign),
        "log": live_board.log(campaign),
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
        # Their order first, what they carry for the page alone.
        keys, pager = paged(
            request, _parts(campaign).values_list("pk", flat=True), size=LINES_SHOWN, anchor="taking-part"
        )
        parts = list(_parts(campaign).filter(pk__in=keys))
        may_act = campaign.state in RUNNING and campaigns.policy.may_run_campaigns(request.user)
        by_staff = campaigns.queries.left_out_by_staff(parts) if may_act else frozenset()
        lines = [_part_line(part, may_act=may_act, is_left_by_staff=part.pk in by_staff) for part in parts]
    return {
        "campaign": campaign,
        "board": live_board.board(campaign) if campaign.approved_at is not None else None,
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
    holds = hold_choices(campaign)
    actions = []
    if Verb.APPROVE in possible:
        actions.append(Action(Verb.APPROVE, _("Approve and send"), seen=seen_of(campaign)))
    if Verb.PLAN in possible:
        actions.append(
            Action(Verb.PLAN, _("Plan again") if actions else _("Plan"), "quiet" if actions else "")
        )
    if campaign.state == State.DISPATCHED and campaign.starts_at <= clock.now() < campaign.ends_at:
        warning = _("Hubs let go now, each within the start tolerance. What was done until now counts.")
        actions.append(Action(STOP, _("Stop early"), "danger", warning, holds))
    if Verb.CANCEL in possible:
        warning = _("It cannot be taken up again. Hubs that know of it are told to carry on as usual.")
        actions.append(Action(Verb.CANCEL, _("Cancel the campaign"), "danger", warning, holds))
    return actions


def seen_of(campaign: Campaign) -> str:
    """What is asked and when it was planned, in a word: another one once either has changed."""
    shown = [str(getattr(campaign, name)) for name in (*ASKED_FIELDS, "planned_at")]
    return hashlib.sha256("\n".join(shown).encode()).hexdigest()[:32]


def hold_choices(campaign: Campaign) -> tuple[tuple[str, str], ...]:
    """For how long the cap that asked the campaign may ask nobody once it is ended; none of any other."""
    if campaign.programme.use_case != UseCase.LOAD_CONTROL or holding.asked_by_cap(campaign) is None:
        return ()
    return (
        (holding.UNTIL_CHANGED, _("until the cap changes")),
        *((str(each), _("for %(n)s minutes") % {"n": each}) for each in holding.MINUTES),
        (holding.NOT_AT_ALL, _("not at all: it asks again within a minute")),
    )


def hold_words(hold: holding.Hold) -> str:
    """Since when, by whom and until when a cap asks nobody."""
    words = {
        "when": wording.moment(hold.since),
        "who": live_board.names({hold.by}).get(hold.by, _("the system")),
        "cap": wording.power(hold.cap_w),
    }
    if hold.until is None:
        return _("It asks nobody since %(when)s, as %(who)s said, until it is another than %(cap)s.") % words
    words["until"] = wording.moment(hold.until)
    return _("It asks nobody since %(when)s, as %(who)s said, until %(until)s.") % words


def _cap_hold(campaign: Campaign) -> str:
    if campaign.programme.use_case != UseCase.LOAD_CONTROL:
        return ""
    hold = holding.hold_over(campaign, at=clock.now())
    return hold_words(hold) if hold is not None else ""


def _may_go_on(campaign: Campaign) -> tuple[int, ...]:
    """For how many minutes it can go on after its end; none when it does not run or ends at an odd minute."""
    is_running = campaign.state in amending.RUNNING and clock.now() < campaign.ends_at
    return amending.MINUTES if is_running and is_half_hour(campaign.ends_at) else ()


def _live_url(request: HttpRequest, campaign: Campaign) -> str:
    """Where to ask for the totals and lines again: the same pages of them, and the state that is shown."""
    query = request.GET.copy()
    query["state"] = campaign.state
    return f"{reverse('campaign_live', args=[campaign.pk])}?{query.urlencode()}"


def _parts(campaign: Campaign) -> QuerySet[Participation]:
    parts = campaign.participations.select_related("asset", "occupancy__home")
    return live_board.slowest_first(parts)


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
        put_off_w=Sum(
            Least(
                F("expected_w") * Value(_minutes(campaign)) / 60,
                F("asset__rated_w"),
                output_field=IntegerField(),
            ),
            default=0,
            output_field=IntegerField(),
        ),
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
        _afterwards(campaign, expected_w=sums["expected_w"], put_off_w=sums["put_off_w"]),
        Total(_("Answered"), wording.NOTHING, _("nothing sent yet")),
    ]


def _afterwards(campaign: Campaign, *, expected_w: int, put_off_w: int) -> Total:
    """What may come back in the hour after: all that is put off, as fast as the assets can take it."""
    energy = wording.kwh(expected_w * _minutes(campaign) // 60)
    is_down = campaign.direction == Direction.TURN_DOWN
    words = (
        _("more in the hour after: %(kwh)s kWh are made up for")
        if is_down
        else _("less in the hour after: %(kwh)s kWh are used already")
    )
    return Total(_("Rebound, at most"), wording.power(put_off_w), words % {"kwh": energy})


def _minutes(campaign: Campaign) -> int:
    return int((campaign.ends_at - campaign.starts_at).total_seconds()) // 60


def _nobody(campaign: Campaign) -> str:
    if campaign.planned_at is None:
        return _("There is no plan yet.")
    if campaign.plan_lines.exists():
        return _("Nobody can be asked: every asset in the zone is left out, for the reasons below.")
    return _(
        "There is no asset in this zone. Look at how its name is spelt, and whether homes there have a hub."
    )


def _part_line(part: Participation, *, may_act: bool, is_left_by_staff: bool) -> Line:
    code = part.outcome or part.state
    is_kept_back = part.state == Participation.State.CANCELLED and part.left_out
    verb = ""
    if may_act and part.state in eligibility.TAKING_PART:
        verb = LEAVE_OUT
    elif is_left_by_staff:
        verb = ASK_AGAIN
    return Line(
        home=part.occupancy.home.name,
        asset=part.asset.name,
        expected=wording.kw(part.expected_w),
        state=wording.state("kept_back" if is_kept_back else code),
        tag=wording.tag(code),
        why=part.get_left_out_display() if is_kept_back else "",
        more=live_board.times(part),
        occupancy=str(part.occupancy_id),
        verb=verb,
        action=str(LINE_ACTIONS[verb]) if verb else "",
    )


def _plan_line(line: PlanLine) -> Line:
    return Line(
        home=line.asset.hub.home.name,
        asset=line.asset.name,
        expected=wording.kw(line.expected_w),
        state=wording.state("planned"),
        tag="info",
        more=line.why,
    )
