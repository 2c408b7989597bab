"""What a member's home page shows: the next events and their answers, what was earned, what was agreed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

import campaigns.queries
import members.queries
from assets.models import Asset
from campaigns.models import Campaign, Direction, Participation
from members.models import Member, Occupancy
from opendsr.web import wording
from settlement import ledger
from settlement import terms as terms_service
from settlement.models import Account, HomeDelivery, RoundKind, SettlementTerms, Statement
from settlement.overriding import effect_of_override

OUT = (Participation.State.OPTED_OUT, Participation.State.OVERRIDDEN)
AWAITING_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A button: what is sent, what it says, and what it says while it is being sent."""

    value: str
    label: str | Promise
    busy: str | Promise
    style: str = ""


OPT_IN = Answer("in", _lazy("Opt back in"), _lazy("Opting in…"))
SKIP = Answer("out", _lazy("Skip this event"), _lazy("Telling your hub…"), "quiet")
STOP = replace(SKIP, label=_lazy("Stop it now"))


@dataclass(frozen=True, slots=True)
class UpcomingEvent:
    """One campaign's event for one household, as `partials/_upcoming_event.html` shows it."""

    element_id: str
    name: str
    home: str
    when: str
    status: str | Promise
    tag: str
    plan: str
    why: str
    consequence: str | Promise
    action: str
    answers: tuple[Answer, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement in the list of what was earned."""

    url: str
    name: str
    day: str
    is_correction: bool
    is_provisional: bool
    change: str
    earned: str


def stays_of(member: Member, at: datetime) -> list[Occupancy]:
    """The homes whose use and events the member may see: none any more after leaving the co-op."""
    return members.queries.occupancies_of(member, at) if member.is_current(at) else []


def upcoming_events(stays: Sequence[Occupancy], at: datetime) -> list[UpcomingEvent]:
    """What the homes are asked for from now on, one entry a campaign and home, soonest first."""
    found = campaigns.queries.upcoming_participations([stay.pk for stay in stays], at)
    parts = sorted(found, key=lambda part: (part.starts_at, str(part.campaign_id), str(part.occupancy_id)))
    grouped = groupby(parts, key=lambda part: (part.campaign_id, part.occupancy_id))
    terms = _terms_of(parts)
    return [_event(list(group), at, has_choice=len(stays) > 1, terms=terms) for _key, group in grouped]


def upcoming_event(
    stay: Occupancy, campaign_id: UUID, at: datetime, *, problem: str = ""
) -> UpcomingEvent | None:
    """One of them, with what went wrong when it was answered; None when it is over or called off."""
    found = campaigns.queries.upcoming_participations([stay.pk], at).filter(campaign=campaign_id)
    parts = list(found)
    has_choice = stay.household.occupancies.exclude(pk=stay.pk).filter(ends_at__isnull=True).exists()
    if not parts:
        return None
    return replace(_event(parts, at, has_choice=has_choice, terms=_terms_of(parts)), problem=problem)


def awaiting(stays: Sequence[Occupancy], at: datetime) -> list[str]:
    """Recent events of the homes that are over and not settled yet, in words, newest first."""
    over = Campaign.objects.filter(
        participations__occupancy__in=[stay.pk for stay in stays],
        participations__sent_at__isnull=False,
        ends_at__lte=at,
        settlement_runs__isnull=True,
    ).exclude(state=Campaign.State.CANCELLED)
    newest = over.order_by("-starts_at", "id").distinct()[:AWAITING_SHOWN]
    return [f"{campaign.name}, {wording.day(campaign.starts_at)}" for campaign in newest]


def assets_of(stays: Sequence[Occupancy]) -> QuerySet[Asset]:
    """What is installed in the homes."""
    homes = [stay.home_id for stay in stays]
    return Asset.objects.filter(hub__home__in=homes, retired_at__isnull=True).order_by("name", "id")


def consents_of(stays: Sequence[Occupancy], at: datetime) -> list[dict[str, object]]:
    """What the household agreed to that is in force."""
    return [
        {
            "purpose": consent.get_purpose_display(),
            "since": wording.day(consent.starts_at, "j F Y"),
            "version": consent.text.version,
        }
        for consent in members.queries.consents_in_force([stay.pk for stay in stays], at)
    ]


def statement_rows(statements: Sequence[Statement]) -> list[StatementRow]:
    """Statements in words; two queries however many there are."""
    lines: dict[tuple[UUID, UUID], list[HomeDelivery]] = defaultdict(list)
    found = HomeDelivery.objects.filter(
        run__round__in={row.round_id for row in statements},
        occupancy__in={row.occupancy_id for row in statements},
    )
    for line in found.select_related("run__campaign").order_by("run__campaign__starts_at", "id"):
        lines[line.run.round_id, line.occupancy_id].append(line)
    return [_statement_row(row, lines[row.round_id, row.occupancy_id]) for row in statements]


def _statement_row(row: Statement, lines: Sequence[HomeDelivery]) -> StatementRow:
    campaigns_of = [line.run.campaign for line in lines]
    directions = {campaign.direction for campaign in campaigns_of}
    return StatementRow(
        url=reverse("statement", args=[row.pk]),
        name=statement_title([campaign.name for campaign in campaigns_of]),
        day=statement_days([campaign.starts_at for campaign in campaigns_of]),
        is_correction=any(line.run.sequence > 1 for line in lines),
        is_provisional=row.round.kind == RoundKind.PROVISIONAL,
        change=change(directions.pop(), sum(line.delivered_wh for line in lines))
        if len(directions) == 1
        else wording.NOTHING,
        earned=wording.money(row.posted_mp),
    )


def statement_title(names: Sequence[str]) -> str:
    """The event's name, or how many events there are."""
    if len(names) == 1:
        return names[0]
    return ngettext("%(n)s event", "%(n)s events", len(names)) % {"n": len(names)}


def statement_days(starts: Sequence[datetime]) -> str:
    """The day of the event, or the first and the last."""
    days = list(dict.fromkeys(wording.day(start, "j F Y") for start in starts))
    if len(days) < 2:
        return "".join(days)
    return _("%(first)s to %(last)s") % {"first": days[0], "last": days[-1]}


def change(direction: str, delivered_wh: int) -> str:
    """What was delivered, as a member would say it: 3.427 kWh less."""
    is_less = (direction == Direction.TURN_DOWN) == (delivered_wh >= 0)
    words = _("%(kwh)s kWh less") if is_less else _("%(kwh)s kWh more")
    return words % {"kwh": wording.kwh(abs(delivered_wh))}


def balance_mp(stays: Sequence[Occupancy]) -> int:
    """What the household is owed for the homes it lives in."""
    accounts = Account.objects.filter(occupancy__in=stays).values_list("pk", flat=True)
    return sum(ledger.balances_mp(accounts).values())


def _terms_of(parts: Sequence[Participation]) -> dict[UUID, SettlementTerms]:
    """The terms each part's programme pays by, by the id it names."""
    return terms_service.terms_by_programme(
        {part.campaign.programme.settlement_terms_id: part.campaign.starts_at for part in parts}
    )


def _cost_of_saying_no(
    campaign: Campaign, running: Sequence[Participation], at: datetime, terms: SettlementTerms | None
) -> str:
    """What is lost by skipping or stopping, in pence, as the terms have it; "" where they do not say."""
    if terms is None:
        return ""
    seconds = (campaign.ends_at - campaign.starts_at).total_seconds()
    effect = effect_of_override(
        terms_service.override_policy(terms),
        expected_wh=int(sum(part.expected_w for part in running) * seconds / 3600),
        elapsed=Fraction(int((at - campaign.starts_at).total_seconds()), int(seconds)),
        pence_per_kwh=terms.utilisation_pence_per_kwh,
        coop_share_pct=terms.coop_share_pct,
    )
    if not effect.expected_mp:
        return ""
    words = _(
        "You would miss about %(lost)s of the %(expected)s expected for it; nothing you earned before"
        " is touched."
    )
    return words % {"lost": wording.money(effect.lost_mp), "expected": wording.money(effect.expected_mp)}


def _event(
    parts: Sequence[Participation],
    at: datetime,
    *,
    has_choice: bool,
    terms: Mapping[UUID, SettlementTerms],
) -> UpcomingEvent:
    first, campaign = parts[0], parts[0].campaign
    running = [part for part in parts if part.state not in OUT]
    has_started = at >= campaign.starts_at
    status, tag, answers = _stand(len(running), len(parts), has_started=has_started)
    return UpcomingEvent(
        element_id=f"event-{first.campaign_id}-{first.occupancy_id}",
        name=campaign.name,
        home=first.occupancy.home.name if has_choice else "",
        when=wording.stretch(campaign.starts_at, campaign.ends_at),
        status=status,
        tag=tag,
        plan=_plan(campaign, running or parts, is_out=not running),
        why=campaign.reason,
        consequence=" ".join(
            filter(
                None,
                (
                    _("Free of charge, at any time, without a reason."),
                    _cost_of_saying_no(
                        campaign, running, at, terms.get(campaign.programme.settlement_terms_id)
                    ),
                ),
            )
        )
        if running
        else _("You are paid nothing for an event you skip; nothing else happens."),
        action=reverse("answer_event", args=[first.campaign_id, first.occupancy_id]),
        answers=answers,
    )


def _stand(running: int, parts: int, *, has_started: bool) -> tuple[str, str, tuple[Answer, ...]]:
    """Status, tag and answers by how many of the home's assets still take part."""
    no = STOP if has_started else SKIP
    if not running:
        return _("You are out"), "warn", (OPT_IN,)
    if running < parts:
        return _("Partly out"), "warn", (no, replace(OPT_IN, style="quiet"))
    return (_("On now") if has_started else _("You are in")), "good", (no,)


def _plan(campaign: Campaign, parts: Sequence[Participation], *, is_out: bool) -> str:
    words = {
        "power": wording.power(sum(part.expected_w for part in parts)),
        "names": ", ".join(part.asset.name for part in parts),
    }
    if campaign.direction == Direction.TURN_DOWN:
        told = _("Your hub lets these use less, by about %(power)s: %(names)s.")
        told_out = _("These would have used less, by about %(power)s: %(names)s.")
        told += " " + _("Hot water and a charged car come first.")
    else:
        told = _("Your hub lets these use more, by about %(power)s: %(names)s.")
        told_out = _("These would have used more, by about %(power)s: %(names)s.")
    return (told_out if is_out else told) % words
