"""Opts: a household's no and yes to one asset's part in a campaign, from a page, from staff or from the hub.

Every one is kept as a record; the participation's state is what they add up to (`stance.py`). A no on a page
holds the hub's event back or takes the asset out of it in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet

from campaigns import guarding, life, outcomes, sending
from campaigns.models import Campaign, OptRecord, Participation, PlanLine
from campaigns.stance import PEOPLE, Said, Stance, Standpoint, standpoint
from campaigns.vtn_door import UnknownVen
from opendsr.kernel.errors import DomainError, NotFound

if TYPE_CHECKING:
    from members.models import User
    from members.recurring import Recurrence

State = Participation.State
Opt = OptRecord.Opt
Source = OptRecord.Source
SAVED = [
    "state",
    "outcome",
    "left_out",
    "vtn_event_id",
    "sent_at",
    "delivered_at",
    "responded_at",
    "dropped_at",
    "start_delay_seconds",
    "end_delay_seconds",
]


class ParticipationNotFound(NotFound):
    """There is no such participation for the one who asks."""

    participation_id: UUID


class ParticipationClosed(DomainError):
    """The participation was cancelled, so there is nothing to say no or yes to."""

    participation_id: UUID
    left_out: str


class CannotOptBackIn(DomainError):
    """The last check before sending says no: `reason` is a `PlanLine.LeftOut` value."""

    participation_id: UUID
    reason: str


@dataclass(slots=True)
class HubParts:
    """One campaign's participations behind one hub, locked, and the one that is spoken of."""

    campaign: Campaign
    parts: list[Participation]
    part: Participation


@transaction.atomic
def skip(
    *,
    participation: Participation,
    at: datetime,
    by: User | None,
    source: str = Source.PORTAL,
    reason: str = "",
) -> Participation:
    """The household says no: left out before the start, overridden from then on. A second no changes nothing.

    Other assets of the hub keep running. Raises ParticipationClosed when cancelled, CampaignEnded when over.
    """
    hub = _lock(participation.pk)
    _ensure_open(hub, at=at)
    if _standpoint(hub).is_by_people:
        return hub.part
    at = _after_all_said(hub, at)
    _keep(hub.part, opt=Opt.OUT, source=source, at=at, by=by, reason=reason)
    sending.take_out(hub.campaign, hub.parts, {hub.part.pk}, at=at)
    _restate(hub)
    _save(hub.parts)
    return hub.part


@transaction.atomic
def opt_back_in(
    *,
    participation: Participation,
    at: datetime,
    by: User | None,
    source: str = Source.PORTAL,
    reason: str = "",
) -> Participation:
    """The household says yes after all: the send-time guard asks again, then the hub when it was sent.

    Without a no before it, it changes nothing. Raises CannotOptBackIn with the guard's reason, and what
    `skip` raises.
    """
    hub = _lock(participation.pk)
    _ensure_open(hub, at=at)
    if hub.part.state not in (State.OPTED_OUT, State.OVERRIDDEN):
        return hub.part
    at = _after_all_said(hub, at)
    record = _keep(hub.part, opt=Opt.IN, source=source, at=at, by=by, reason=reason)
    hub.part.state = State.PLANNED
    held = guarding.reasons_to_hold(hub.campaign, [hub.part], at=at)
    if held:
        raise CannotOptBackIn(participation_id=hub.part.pk, reason=str(held[hub.part.pk]))
    hub.part.left_out = ""
    if hub.campaign.state == Campaign.State.DISPATCHED:
        key = f"campaign:{hub.campaign.pk}:{hub.part.ven_id}:{record.pk}"
        try:
            sending.put_back(hub.campaign, hub.parts, hub.part, at=at, key=key)
        except UnknownVen as error:
            raise CannotOptBackIn(
                participation_id=hub.part.pk, reason=PlanLine.LeftOut.CERTIFICATE.value
            ) from error
    _restate(hub)
    _save(hub.parts)
    return hub.part


@transaction.atomic
def record_opt(
    *,
    participation: Participation,
    opt: str,
    source: str,
    at: datetime,
    by: User | None = None,
    reason: str = "",
    vtn_sequence: int | None = None,
) -> Participation:
    """Take in a yes ("in") or no ("out") received at `at`, from anyone, in any order and however often.

    What comes by a page or staff is a `skip` or `opt_back_in`. What the hub says counts unless the
    participation is cancelled, or the hub says yes to an event that it was taken out of by then. Received
    when the campaign is over it is kept on record and changes nothing: nobody acts on a past event.
    """
    if source in PEOPLE:
        answer = skip if opt == Opt.OUT else opt_back_in
        return answer(participation=participation, at=at, by=by, source=source, reason=reason)
    hub = _lock(participation.pk)
    part = hub.part
    is_known = vtn_sequence is not None and part.opts.filter(vtn_sequence=vtn_sequence).exists()
    is_late_yes = opt == Opt.IN and part.dropped_at is not None and at >= part.dropped_at
    if is_known or is_late_yes or part.state == State.CANCELLED:
        return part
    _keep(part, opt=opt, source=source, at=at, by=by, reason=reason, vtn_sequence=vtn_sequence)
    if at < _counts_until(hub):
        part.responded_at = min(part.responded_at or at, at)
        _restate(hub)
        _save([part])
    return part


@transaction.atomic
def skip_home(
    *,
    campaign_id: UUID,
    occupancy_id: UUID,
    at: datetime,
    by: User | None,
    source: str = Source.PORTAL,
    reason: str = "",
) -> list[Participation]:
    """Say no for every asset of a household in a campaign; cancelled ones are passed over."""
    return [
        skip(participation=part, at=at, by=by, source=source, reason=reason)
        for part in _open_parts(occupancy_id).filter(campaign=campaign_id)
    ]


@transaction.atomic
def opt_home_back_in(
    *,
    campaign_id: UUID,
    occupancy_id: UUID,
    at: datetime,
    by: User | None,
    source: str = Source.PORTAL,
    reason: str = "",
) -> list[Participation]:
    """Say yes again for every asset of a household in a campaign; cancelled ones are passed over."""
    return [
        opt_back_in(participation=part, at=at, by=by, source=source, reason=reason)
        for part in _open_parts(occupancy_id).filter(campaign=campaign_id)
    ]


@transaction.atomic
def leave_out_household(*, occupancy_id: UUID, left_out: str, at: datetime) -> list[Participation]:
    """Take a household out of every campaign that is not over, as when its consent ends; past ones stand.

    Its participations are cancelled with the reason `left_out`, their assets given back.
    """
    dropped = []
    for found in _open_parts(occupancy_id).filter(ends_at__gt=at):
        hub = _lock(found.pk)
        if hub.part.state == State.CANCELLED or hub.campaign.state not in RUNNING_CAMPAIGNS:
            continue
        _give_back(hub, left_out, at)
        dropped.append(hub.part)
    return dropped


@transaction.atomic
def give_back(*, participation_id: UUID, left_out: str, at: datetime) -> Participation:
    """Take one asset out of a campaign, with the reason `left_out`, and its hub with it; again, nothing."""
    hub = _lock(participation_id)
    if hub.part.state != State.CANCELLED:
        _give_back(hub, left_out, at)
    return hub.part


@transaction.atomic
def leave_out_untold(
    *, campaign_id: UUID, occupancy_ids: Collection[UUID], at: datetime
) -> list[Participation]:
    """Take homes out of one campaign that could not be told before its start: they are not counted."""
    dropped = []
    found = Participation.objects.filter(campaign=campaign_id, occupancy__in=occupancy_ids)
    for part_id in found.exclude(state=State.CANCELLED).order_by("id").values_list("pk", flat=True):
        hub = _lock(part_id)
        if hub.part.state != State.CANCELLED and hub.campaign.state in RUNNING_CAMPAIGNS:
            _give_back(hub, PlanLine.LeftOut.NOT_TOLD, at)
            dropped.append(hub.part)
    return dropped


@transaction.atomic
def keep_to_limits(*, occupancy_id: UUID, at: datetime) -> list[Participation]:
    """Hold what is not over to what the household keeps for itself now; return what had to be left out.

    Assets that may no longer take part are cancelled and given back; hubs of those that may are told their
    event anew, with the share of power that is kept.
    """
    dropped = []
    for found in _open_parts(occupancy_id).filter(ends_at__gt=at):
        hub = _lock(found.pk)
        if hub.part.state == State.CANCELLED or hub.campaign.state not in RUNNING_CAMPAIGNS:
            continue
        reason = guarding.reasons_to_hold(hub.campaign, [hub.part], at=at).get(hub.part.pk)
        if reason == PlanLine.LeftOut.OWN_LIMITS:
            _give_back(hub, reason, at)
            dropped.append(hub.part)
        else:
            sending.say_again(hub.campaign, hub.parts, at=at, reason="the household's own limits")
    return dropped


@transaction.atomic
def skip_standing(
    *,
    occupancy_id: UUID,
    starts_at: datetime,
    ends_at: datetime | None,
    at: datetime,
    rule: Recurrence | None = None,
) -> list[Participation]:
    """Say no to every campaign not over that a household's standing opt-out [starts_at, ends_at) touches.

    With a `rule`, only to those that it touches at its own hours, weekdays and season.
    """
    parts = _open_parts(occupancy_id).filter(
        ends_at__gt=max(at, starts_at), campaign__state__in=RUNNING_CAMPAIGNS
    )
    if ends_at is not None:
        parts = parts.filter(starts_at__lt=ends_at)
    return [
        skip(participation=part, at=at, by=None, source=Source.PORTAL, reason="standing opt-out")
        for part in parts
        if rule is None
        or rule.touches(max(at, starts_at, part.starts_at), min(ends_at or part.ends_at, part.ends_at))
    ]


RUNNING_CAMPAIGNS = frozenset({Campaign.State.APPROVED, Campaign.State.DISPATCHED})


def _open_parts(occupancy_id: UUID) -> QuerySet[Participation]:
    return (
        Participation.objects.filter(occupancy=occupancy_id)
        .exclude(state=State.CANCELLED)
        .order_by("starts_at", "id")
    )


def _lock(participation_id: UUID) -> HubParts:
    """Lock all of the hub's participations in the campaign, in id order, as dispatching does."""
    place = Participation.objects.filter(pk=participation_id).values_list("campaign_id", "ven_id").first()
    if place is None:
        raise ParticipationNotFound(participation_id=participation_id)
    campaign_id, ven_id = place
    parts = list(
        Participation.objects.select_for_update(of=("self",))
        .select_related("asset__hub")
        .filter(campaign=campaign_id, ven_id=ven_id)
        .order_by("id")
    )
    # Read after the lock: what dispatching or cancelling committed meanwhile shows.
    campaign = Campaign.objects.select_related("programme").get(pk=campaign_id)
    return HubParts(
        campaign=campaign, parts=parts, part=next(part for part in parts if part.pk == participation_id)
    )


def _give_back(hub: HubParts, left_out: str, at: datetime) -> None:
    """Cancel the part that is spoken of, with the reason, and take it out of its hub's event."""
    sending.take_out(hub.campaign, hub.parts, {hub.part.pk}, at=at)
    hub.part.state = State.CANCELLED
    hub.part.left_out = PlanLine.LeftOut(left_out)
    hub.part.outcome = Participation.Outcome.CANCELLED
    _save(hub.parts)


def _ensure_open(hub: HubParts, *, at: datetime) -> None:
    if hub.part.state == State.CANCELLED:
        raise ParticipationClosed(participation_id=hub.part.pk, left_out=hub.part.left_out)
    if hub.campaign.state not in RUNNING_CAMPAIGNS:
        raise life.CampaignEnded(campaign_id=hub.campaign.pk, ends_at=hub.campaign.ends_at)
    life.ensure_running(hub.campaign, at=at)


def _after_all_said(hub: HubParts, at: datetime) -> datetime:
    """`at`, or just past the newest opt: a page's clock is read before the lock, and its word acts after it.

    Of a no and a yes pressed at once the later to act then also decides, so that state and event agree.
    """
    newest: datetime | None = hub.part.opts.aggregate(newest=Max("received_at"))["newest"]
    return at if newest is None or newest < at else newest + timedelta(microseconds=1)


def _keep(
    part: Participation,
    *,
    opt: str,
    source: str,
    at: datetime,
    by: User | None,
    reason: str,
    vtn_sequence: int | None = None,
) -> OptRecord:
    return OptRecord.objects.create(
        participation=part,
        opt=Opt(opt),
        source=Source(source),
        reason=reason[:120],
        vtn_sequence=vtn_sequence,
        by=by,
        received_at=at,
    )


def _standpoint(hub: HubParts) -> Standpoint:
    said = (
        Said(opt=opt, source=source, reason=reason, received_at=received_at, sequence=sequence or row_id)
        for opt, source, reason, received_at, sequence, row_id in hub.part.opts.filter(
            received_at__lt=_counts_until(hub)
        ).values_list("opt", "source", "reason", "received_at", "vtn_sequence", "id")
    )
    return standpoint(said, starts_at=hub.part.starts_at)


def _counts_until(hub: HubParts) -> datetime:
    """When the last of the hub's assets may still be at it: the end, moved by the start tolerance."""
    return hub.part.ends_at + timedelta(seconds=hub.campaign.spread_seconds)


def _restate(hub: HubParts) -> None:
    """Set the spoken-of part's state from its opts, and its outcome when the campaign is over."""
    part = hub.part
    stance = _standpoint(hub).stance
    if stance is Stance.IN:
        part.state = State.OPTED_IN
    elif stance is Stance.OVERRIDDEN and part.sent_at is not None:
        part.state = State.OVERRIDDEN
    elif stance is not Stance.UNDECIDED:
        part.state = State.OPTED_OUT
    elif part.sent_at is None:
        part.state = State.PLANNED
    else:
        part.state = State.DELIVERED_TO_HUB if part.delivered_at else State.SENT
    if hub.campaign.state == Campaign.State.COMPLETED:
        outcomes.settle_outcomes(hub.campaign, [part])


def _save(parts: Iterable[Participation]) -> None:
    for part in parts:
        part.save(update_fields=SAVED)
