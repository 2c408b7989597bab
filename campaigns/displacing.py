"""Precedence: direct load control comes first, so what another campaign holds is given back to it.

The campaign that loses an asset keeps the reason on record; its hub is told at once. The exclusion constraint
`participation_no_overlap` holds that no asset is ever in two campaigns at one time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from campaigns import life, opting, staggering, vtn_door
from campaigns.models import Campaign, Participation, PlanLine, UseCase
from campaigns.vtn_door import VtnEventId
from opendsr.kernel.interval import Interval
from opendsr.kernel.lookups import among

State = Participation.State
FIRST: Final = UseCase.LOAD_CONTROL


def held(interval: Interval, *, but: Campaign | None = None) -> QuerySet[Participation]:
    """Participations that hold an asset in the interval."""
    parts = Participation.objects.filter(
        starts_at__lt=interval.ends_at, ends_at__gt=interval.starts_at
    ).exclude(state=State.CANCELLED)
    return parts if but is None else parts.exclude(campaign=but)


def gives_way(campaign: Campaign) -> bool:
    """Whether the campaign gives its assets up to direct load control."""
    return campaign.programme.use_case != FIRST


def displace(
    asset_ids: Collection[UUID], interval: Interval, *, by: Campaign, at: datetime
) -> dict[UUID, int]:
    """Give these assets back, out of whatever else holds them in the interval: how many, by campaign.

    Hubs of which nothing stays are called off together; the others are told their event anew, one by one.
    Inside the caller's transaction.
    """
    losing = list(
        held(interval, but=by)
        .filter(asset__in=among(asset_ids))
        .exclude(campaign__programme__use_case=FIRST)
        .select_for_update(of=("self",))
        .order_by("id")
    )
    if not losing:
        return {}
    ids = {part.pk for part in losing}
    beside: dict[tuple[UUID, str], list[Participation]] = defaultdict(list)
    everybody = Participation.objects.filter(
        campaign__in={part.campaign_id for part in losing}, ven_id__in={part.ven_id for part in losing}
    ).exclude(state=State.CANCELLED)
    for part in everybody:
        beside[part.campaign_id, part.ven_id].append(part)
    whole = [part for group in beside.values() if {each.pk for each in group} <= ids for part in group]
    _give_back_whole(whole, at=at)
    gone = {part.pk for part in whole}
    for part in losing:
        if part.pk not in gone:
            opting.give_back(participation_id=part.pk, left_out=PlanLine.LeftOut.DISPLACED, at=at)
    counts: dict[UUID, int] = defaultdict(int)
    for part in losing:
        counts[part.campaign_id] += 1
    for campaign_id, count in sorted(counts.items()):
        detail = {"assets": count, "to": str(by.pk), "reason": "direct load control comes first"}
        life.note(campaign_id, "campaign.displaced", at=at, by=None, detail=detail)
    return dict(counts)


def _give_back_whole(parts: Collection[Participation], *, at: datetime) -> None:
    event_ids = sorted({part.vtn_event_id for part in parts if part.vtn_event_id and part.dropped_at is None})
    if event_ids:
        vtn_door.vtn().cancel_many(
            [VtnEventId(each) for each in event_ids], at=at, reason="direct load control comes first"
        )
    ours = Participation.objects.filter(pk__in=among(part.pk for part in parts))
    ours.filter(staggering.IN_EVENT).update(dropped_at=at, end_delay_seconds=None)
    ours.update(
        state=State.CANCELLED,
        left_out=PlanLine.LeftOut.DISPLACED,
        outcome=Participation.Outcome.CANCELLED,
    )
