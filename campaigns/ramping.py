"""Ramps: how fast other campaigns change a substation's load while one begins or ends, so that all together
keep to what the rules allow, and not each for itself.

A campaign's load goes and comes back spread over its stagger after its start and its end. Where two such
stretches of time meet, what each changes in a minute adds up, whichever way it goes: whether hubs come to the
to the same second is not known beforehand. Only where one goes on as another of its direction ends nothing
adds up: one gives back what the other takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Q, Sum

from campaigns.models import MOST_SPREAD_SECONDS, Campaign, Participation

A_MINUTE: Final = 60
RUNNING: Final = (Campaign.State.APPROVED, Campaign.State.DISPATCHED)
RAMP_LOCK: Final = 0x0D5_8A39
"""An advisory lock: what changes load is judged one after the other."""


def hold() -> None:
    """Wait for whoever judges a ramp, and let nobody else until this transaction ends.

    The first lock that approving and dispatching take, and an operator's start before it holds tables still:
    who has it may wait for campaigns and participations, whose holders never wait for it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [RAMP_LOCK])


def used_w_per_minute(campaign: Campaign) -> Mapping[str, int]:
    """W a minute by which campaigns that were approved change each substation while this one changes it.

    One query where none of them begins or ends near, one more where some do.
    """
    furthest = timedelta(seconds=MOST_SPREAD_SECONDS)
    near = Q()
    for moment in (campaign.starts_at, campaign.ends_at):
        around = (moment - furthest, moment + furthest)
        near |= Q(starts_at__range=around) | Q(ends_at__range=around)
    others = Campaign.objects.filter(near, state__in=RUNNING).exclude(pk=campaign.pk)
    spread_of = {
        other.pk: max(A_MINUTE, other.spread_seconds)
        for other in others.select_related("programme")
        if _meet(campaign, other)
    }
    if not spread_of:
        return {}
    used: dict[str, int] = {}
    rows = (
        Participation.objects.filter(campaign__in=list(spread_of))
        .exclude(state=Participation.State.CANCELLED)
        .exclude(occupancy__home__primary_substation="")
        .values_list("campaign_id", "occupancy__home__primary_substation")
        .annotate(watts=Sum("expected_w"))
        .order_by()
    )
    for campaign_id, substation, watts in rows:
        used[substation] = used.get(substation, 0) + -(-watts * A_MINUTE // spread_of[campaign_id])
    return used


def _meet(one: Campaign, other: Campaign) -> bool:
    return any(
        mine < its + _spread(other) and its < mine + _spread(one)
        for mine in (one.starts_at, one.ends_at)
        for its in (other.starts_at, other.ends_at)
        if not _goes_on(one, other, mine, its)
    )


def _goes_on(one: Campaign, other: Campaign, mine: datetime, its: datetime) -> bool:
    """Whether at this moment the one begins as the other ends, or the other way round, in one direction."""
    is_handed_over = (mine == one.starts_at) != (its == other.starts_at)
    return one.direction == other.direction and mine == its and is_handed_over


def _spread(campaign: Campaign) -> timedelta:
    return timedelta(seconds=max(A_MINUTE, campaign.spread_seconds))
