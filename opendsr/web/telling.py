"""Who is told what of events: facts of campaigns and settlement become notices for households."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from campaigns import opting
from campaigns.models import Campaign, Participation
from members.models import Member, Occupancy
from notices import queueing
from notices.kinds import Kind
from notices.queueing import Queued, ToTell
from opendsr.kernel import outbox
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import LONDON, civil_date
from settlement.models import HomeDelivery, RoundKind, SettlementRound, SettlementRun, Statement

REMINDER_FROM: Final = time(16)
REMIND: Final = "web.event.reminder_due"
STARTED: Final = "web.event.started"
State = Participation.State
ASKED: Final = (State.SENT, State.DELIVERED_TO_HUB, State.OPTED_IN)
TOOK_PART: Final = (*ASKED, State.OVERRIDDEN)
Facts = dict[str, object]


@transaction.atomic
def tell_scheduled(*, campaign_id: UUID, at: datetime) -> Queued:
    """Tell the homes that were asked; where the programme requires prior notice, those it cannot reach before
    the start are taken out. Reminder and start are put down for their time.
    """
    campaign = _campaign(campaign_id)
    if campaign.state != Campaign.State.DISPATCHED or campaign.starts_at <= at:
        return Queued(0, frozenset())
    told = _tell_event(Kind.EVENT_SCHEDULED, campaign, ASKED, at=at, before=campaign.starts_at)
    if campaign.programme.requires_prior_notice and told.held_past_start:
        homes = [UUID(hex=home) for home in told.held_past_start]
        opting.leave_out_untold(campaign_id=campaign.pk, occupancy_ids=homes, at=at)
    remind_at = _remind_at(campaign)
    if remind_at > at:
        outbox.record(REMIND, at=at, due_at=remind_at, key=str(campaign.pk), campaign_id=campaign.pk)
    outbox.record(STARTED, at=at, due_at=campaign.starts_at, key=str(campaign.pk), campaign_id=campaign.pk)
    return told


def tell_reminder(*, campaign_id: UUID, at: datetime) -> Queued:
    """The afternoon before, those who are still in."""
    campaign = _campaign(campaign_id)
    if campaign.state != Campaign.State.DISPATCHED or campaign.starts_at <= at:
        return Queued(0, frozenset())
    return _tell_event(Kind.EVENT_REMINDER, campaign, ASKED, at=at, before=campaign.starts_at)


def tell_started(*, campaign_id: UUID, at: datetime) -> Queued:
    """At the start, those who are in."""
    campaign = _campaign(campaign_id)
    if campaign.state != Campaign.State.DISPATCHED or campaign.ends_at <= at:
        return Queued(0, frozenset())
    return _tell_event(Kind.EVENT_START, campaign, ASKED, at=at, before=campaign.ends_at)


def tell_ended(*, campaign_id: UUID, at: datetime) -> Queued:
    """Once it is over, those who took part."""
    return _tell_event(Kind.EVENT_END, _campaign(campaign_id), TOOK_PART, at=at)


def tell_cancelled(*, campaign_id: UUID, at: datetime) -> Queued:
    """Everybody whose hub had been sent it, and who had not said no."""
    campaign = _campaign(campaign_id)
    if campaign.ends_at <= at:
        return Queued(0, frozenset())
    cancelled = Participation.Outcome.CANCELLED
    parts = campaign.participations.filter(sent_at__isnull=False, left_out="", outcome=cancelled)
    return _tell(Kind.EVENT_CANCELLED, campaign, parts, at=at, before=campaign.ends_at)


def tell_result(*, run_id: UUID, at: datetime) -> Queued:
    """What a run measured: a result the first time, a revised one for homes whose line changed after that."""
    run = SettlementRun.objects.select_related("campaign__programme", "replaces").get(pk=run_id)
    lines = {line.occupancy_id: line for line in HomeDelivery.objects.filter(run=run)}
    if run.replaces is not None:
        before = {
            home: (delivered_wh, earned_mp)
            for home, delivered_wh, earned_mp in HomeDelivery.objects.filter(run=run.replaces).values_list(
                "occupancy_id", "delivered_wh", "earned_mp"
            )
        }
        lines = {
            home: line
            for home, line in lines.items()
            if before.get(home) != (line.delivered_wh, line.earned_mp)
        }
    statements = _statements(run.round_id, lines)
    people = []
    for home, member_id in _people(lines, at):
        line = lines[home]
        facts = _facts(run.campaign, home) | {
            "delivered_wh": line.delivered_wh if line.measured_half_hours else None,
            "statement_id": statements.get((home, member_id)),
        }
        people.append(ToTell(member_id, facts, home=home.hex))
    kind = Kind.EVENT_RESULT if run.replaces is None else Kind.REVISED_RESULT
    return queueing.queue_many(
        kind=kind, people=people, key=run.pk.hex, at=at, about=run.campaign_id, by_sms=False
    )


def tell_statement(*, round_id: UUID, at: datetime) -> Queued:
    """A final round's statements are ready; provisional figures are told as results only."""
    round = SettlementRound.objects.get(pk=round_id)
    if round.kind != RoundKind.FINAL:
        return Queued(0, frozenset())
    rows = Statement.objects.filter(round=round).values_list("pk", "member_id", "occupancy_id")
    people = [
        ToTell(member_id, {"statement_id": pk, "events": round.campaign_count}, home=home.hex)
        for pk, member_id, home in rows
    ]
    return queueing.queue_many(
        kind=Kind.STATEMENT_READY, people=people, key=round.pk.hex, at=at, about=round.pk
    )


def _tell_event(
    kind: Kind,
    campaign: Campaign,
    states: Sequence[Participation.State],
    *,
    at: datetime,
    before: datetime | None = None,
) -> Queued:
    return _tell(kind, campaign, campaign.participations.filter(state__in=states), at=at, before=before)


def _tell(
    kind: Kind,
    campaign: Campaign,
    parts: QuerySet[Participation],
    *,
    at: datetime,
    before: datetime | None,
) -> Queued:
    homes = set(parts.values_list("occupancy_id", flat=True))
    people = [
        ToTell(member_id, _facts(campaign, home), home=home.hex) for home, member_id in _people(homes, at)
    ]
    return queueing.queue_many(
        kind=kind, people=people, key=campaign.pk.hex, at=at, about=campaign.pk, before=before
    )


def _facts(campaign: Campaign, home: UUID) -> Facts:
    return {
        "name": campaign.name,
        "direction": campaign.direction,
        "starts_at": campaign.starts_at,
        "ends_at": campaign.ends_at,
        "campaign_id": campaign.pk,
        "occupancy_id": home,
    }


def _people(homes: Iterable[UUID], at: datetime) -> list[tuple[UUID, UUID]]:
    """(home, member) for every member of each home's household; two statements however many homes."""
    asked = list(homes)
    household_of = dict(Occupancy.objects.filter(pk__in=among(asked)).values_list("pk", "household_id"))
    members: dict[UUID, list[UUID]] = defaultdict(list)
    current = Member.objects.filter(household__in=among(set(household_of.values())), left_at__isnull=True)
    for household_id, member_id in current.order_by("number").values_list("household_id", "pk"):
        members[household_id].append(member_id)
    return [(home, member_id) for home in asked for member_id in members[household_of[home]]]


def _statements(round_id: UUID | None, homes: Mapping[UUID, object]) -> dict[tuple[UUID, UUID], UUID]:
    rows = Statement.objects.filter(round=round_id, occupancy__in=among(homes))
    return {(home, member): pk for home, member, pk in rows.values_list("occupancy_id", "member_id", "pk")}


def _remind_at(campaign: Campaign) -> datetime:
    """16:00 in London of the day before the event, in UTC."""
    day = civil_date(campaign.starts_at) - timedelta(days=1)
    return datetime.combine(day, REMINDER_FROM, LONDON).astimezone(UTC)


def _campaign(campaign_id: UUID) -> Campaign:
    return Campaign.objects.select_related("programme").get(pk=campaign_id)
