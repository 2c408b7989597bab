"""Approving: the plan is frozen into participations, which hold their assets against every other campaign.

From here on the outbox carries the campaign: one fact sends it, another completes it when its time is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import OperationalError, transaction
from psycopg.errors import LockNotAvailable

import members.queries
from campaigns import displacing, life, ramping, rules
from campaigns.life import Verb
from campaigns.models import Campaign, Participation, PlanLine
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval

if TYPE_CHECKING:
    from members.models import User

APPROVED: Final = "campaigns.campaign.approved"
ENDED: Final = "campaigns.campaign.ended"


class NobodyToAsk(DomainError):
    """No asset is left to approve: none was chosen, or other campaigns took them all since."""

    campaign_id: UUID
    chosen: int


class SecondApproverNeeded(DomainError):
    """Of two people who have to approve, this one did already."""

    campaign_id: UUID
    from_w: int


class RampTaken(DomainError):
    """A substation's load would change faster than the rules allow, with what other `campaigns` change there
    at that time: it may change by `most_w`, and `asked_w` are asked. Planned anew, it keeps to that.
    """

    substation: str
    asked_w: int
    most_w: int
    campaigns: list[str]


class RampBusy(DomainError):
    """Others are being approved or sent, and took too long over it: nothing was approved."""

    campaign_id: UUID


class PortfolioRampTaken(DomainError):
    """All homes together would change faster than the `w_per_minute` that the rules allow, with what other
    `campaigns` change at that time: `most_w` are left, `asked_w` are asked. Planned anew, it keeps to that.
    """

    asked_w: int
    most_w: int
    w_per_minute: int
    campaigns: list[str]


@transaction.atomic
def approve_campaign(*, campaign_id: UUID, at: datetime, by: User | None) -> list[Participation]:
    """Freeze the plan into one participation per chosen asset, have it sent, and return them by asset.

    An asset that another campaign took since planning is left out as busy. Approving again returns what the
    first approval made. From a set size on two people approve: the first approval is written down, nothing
    is returned, and the second sends it. Raises SecondApproverNeeded when the first comes again, RampTaken
    and PortfolioRampTaken where it would change load too fast beside others, RampBusy where those are being
    approved or sent for longer than locks are waited for.
    """
    try:
        ramping.hold()
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise RampBusy(campaign_id=campaign_id) from error
    campaign, is_new = life.begin(campaign_id, Verb.APPROVE)
    if not is_new:
        return _participations(campaign)
    life.ensure_running(campaign, at=at)
    if by is not None and not _is_second(campaign, by=by, at=at):
        return []
    lines = list(campaign.plan_lines.filter(left_out="").select_related("asset__hub").order_by("asset_id"))
    _ensure_ramps(campaign, lines)
    if not displacing.gives_way(campaign):
        displacing.displace(
            [line.asset_id for line in lines],
            Interval(campaign.starts_at, campaign.ends_at),
            by=campaign,
            at=at,
        )
    # In asset order, so that two campaigns after the same assets queue instead of deadlocking. An overlap is
    # refused row by row by participation_no_overlap.
    Participation.objects.bulk_create(
        (
            Participation(
                campaign=campaign,
                asset=line.asset,
                occupancy_id=line.occupancy_id,
                ven_id=line.asset.hub.ven_id or "",
                starts_at=campaign.starts_at,
                ends_at=campaign.ends_at,
                expected_w=line.expected_w,
            )
            for line in lines
            if line.occupancy_id is not None
        ),
        ignore_conflicts=True,
    )
    made = _participations(campaign)
    if not made:
        raise NobodyToAsk(campaign_id=campaign.pk, chosen=len(lines))
    campaign.plan_lines.filter(left_out="").exclude(asset__in=[each.asset_id for each in made]).update(
        left_out=PlanLine.LeftOut.BUSY, expected_w=0
    )
    life.finish(
        campaign,
        Verb.APPROVE,
        at=at,
        by=by,
        detail={
            "participations": len(made),
            "busy": len(lines) - len(made),
            "expected_w": sum(each.expected_w for each in made),
        },
    )
    outbox.record(APPROVED, at=at, key=str(campaign.pk), campaign_id=campaign.pk)
    outbox.record(ENDED, at=at, due_at=campaign.ends_at, key=str(campaign.pk), campaign_id=campaign.pk)
    return made


def needs_second(campaign: Campaign) -> bool:
    """Whether two people have to approve the campaign."""
    return campaign.size_w >= rules.in_force().second_from_w


def _is_second(campaign: Campaign, *, by: User, at: datetime) -> bool:
    """Whether this approval is the one that counts; the first of two is written down."""
    if not needs_second(campaign):
        return True
    if campaign.first_approved_at is None:
        campaign.first_approved_by, campaign.first_approved_at = by, at
        campaign.save(update_fields=["first_approved_by", "first_approved_at"])
        life.note(campaign.pk, "campaign.first_approved", at=at, by=by)
        return False
    if campaign.first_approved_by_id == by.pk:
        raise SecondApproverNeeded(campaign_id=campaign.pk, from_w=rules.in_force().second_from_w)
    return True


def _ensure_ramps(campaign: Campaign, lines: Sequence[PlanLine]) -> None:
    room = ramping.room_for(campaign)
    substations = members.queries.substations_of({line.asset.hub.home_id for line in lines})
    asked_w: Counter[str] = Counter()
    for line in lines:
        asked_w[substations.get(line.asset.hub.home_id, "")] += line.expected_w
    for substation, watts in sorted(asked_w.items()):
        if substation and watts > room.at(substation):
            raise RampTaken(
                substation=substation,
                asked_w=watts,
                most_w=room.at(substation),
                campaigns=room.used.names(substation),
            )
    most_w = room.together()
    if most_w is not None and asked_w.total() > most_w:
        raise PortfolioRampTaken(
            asked_w=asked_w.total(),
            most_w=most_w,
            w_per_minute=room.rule.portfolio_w_per_minute,
            campaigns=room.used.names(),
        )


def _participations(campaign: Campaign) -> list[Participation]:
    return list(campaign.participations.select_related("asset").order_by("asset_id"))
