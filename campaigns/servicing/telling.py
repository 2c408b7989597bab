"""What the door tells: what a zone could give, what it takes minute by minute, how a signal goes.

Never of one home: metering is told over LEAST_HOMES homes at least, of whom none makes up more than a set
share, as landlords' totals are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db.models import Count, Q, Sum

import assets.queries
import members.queries
from campaigns import rules, selecting
from campaigns.models import Campaign, Participation, ServicingContract, ServicingSignal
from campaigns.servicing import sending_at_once
from members.models import Granularity, Purpose
from metering import live, permits, purposes
from metering.aggregates import LEAST_HOMES, MOST_SHARE_PCT
from metering.slots import micros
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import civil_date

MINUTE: Final = timedelta(minutes=1)
STEP_W: Final = 100
State = Participation.State
OUT: Final = (State.CANCELLED, State.OPTED_OUT, State.OVERRIDDEN)


@dataclass(frozen=True, slots=True)
class Availability:
    """What a zone could give now: the mean, what is sure with the chance wanted, and of how many."""

    zone: str
    direction: str
    starts_at: datetime
    ends_at: datetime
    expected_w: int
    sure_w: int
    homes: int
    assets: int
    max_w: int
    approved_w: int


def availability(
    contract: ServicingContract, *, direction: str, interval: Interval, at: datetime
) -> Availability:
    """What the zone could give if everybody who may be asked were, up to the contract's limit."""
    campaign = Campaign(
        programme=contract.programme,
        direction=direction,
        zone_kind=contract.zone_kind,
        zone=contract.zone,
        size_w=contract.max_w,
        stagger_seconds=contract.stagger_seconds,
        starts_at=interval.starts_at,
        ends_at=interval.ends_at,
    )
    found = sending_at_once.look(campaign, at=at)
    chosen = selecting.select(
        found.offers,
        size_w=contract.max_w,
        rule=rules.in_force(),
        stagger_seconds=contract.stagger_seconds,
    )
    return Availability(
        zone=contract.zone,
        direction=direction,
        starts_at=interval.starts_at,
        ends_at=interval.ends_at,
        expected_w=min(contract.max_w, chosen.expected_w),
        sure_w=min(contract.max_w, chosen.sure_w),
        homes=len({found.able[number].home_id for number in chosen.chosen}),
        assets=len(chosen.chosen),
        max_w=contract.max_w,
        approved_w=contract.approved_w if contract.confirmed_at is not None else 0,
    )


def metering(contract: ServicingContract, *, interval: Interval, at: datetime) -> list[dict[str, Any]]:
    """A row a minute of the interval: mean net W of the homes whose meters told, and how many they were.

    Counts homes whose consent to live readings covers the whole interval. `starts_at` is the minute's start.
    """
    rows = []
    for starts_at, watts in told_by_minute(contract, interval=interval, at=at):
        mean_w = minute_total(watts)
        homes = len(watts) if mean_w is not None else None
        rows.append({"starts_at": starts_at.isoformat(), "mean_w": mean_w, "homes": homes})
    return rows


def told_by_minute(
    contract: ServicingContract, *, interval: Interval, at: datetime
) -> list[tuple[datetime, Sequence[int]]]:
    """Each minute of the interval with the mean net W of every home whose meter told. For deciding, never for
    telling: what leaves the co-op goes through `minute_total`.
    """
    streams = _streams(contract, interval, at=at)
    told: dict[int, list[int]] = defaultdict(list)
    if streams:
        days = [civil_date(interval.starts_at), civil_date(interval.ends_at)]
        purposes.announce(Purpose.SETTLEMENT, "campaigns.servicing", streams, days)
        for _, steps, watts in live.mean_power(streams, interval, step=MINUTE):
            for step, mean_w in zip(steps.tolist(), watts.tolist(), strict=True):
                told[step].append(mean_w)
    minutes = range(-(-interval.duration // MINUTE))
    return [(interval.starts_at + number * MINUTE, told.get(number, ())) for number in minutes]


def minute_total(watts: Sequence[int]) -> int | None:
    """The sum over homes to STEP_W; None over too few, or where one home makes up too much of it. Pure."""
    whole = sum(abs(each) for each in watts)
    if len(watts) < LEAST_HOMES or 100 * max(map(abs, watts)) > MOST_SHARE_PCT * whole:
        return None
    return rounded(watts)


def rounded(watts: Sequence[int]) -> int:
    """The sum over homes to STEP_W. Pure."""
    return round(sum(watts) / STEP_W) * STEP_W


def status(signal: ServicingSignal) -> dict[str, Any]:
    """How a signal goes: its campaign's state, how many assets are where, and the time of each leg."""
    campaign = signal.campaign
    legs = {
        "received_at": signal.received_wall_at,
        "decided_at": signal.decided_wall_at,
        "published_at": signal.published_wall_at,
    }
    return {
        "signal_id": str(signal.pk),
        "signal": signal.kind,
        "state": signal.state,
        "reason": signal.reason,
        "asked": signal.asked,
        "answer": signal.answer,
        "times": {name: at and at.isoformat() for name, at in legs.items()},
        "campaign": None if campaign is None else _campaign_status(campaign),
    }


def _campaign_status(campaign: Campaign) -> dict[str, Any]:
    counts = campaign.participations.aggregate(
        assets=Count("pk"),
        delivered=Count("pk", filter=Q(delivered_at__isnull=False)),
        accepted=Count("pk", filter=Q(state=State.OPTED_IN)),
        opted_out=Count("pk", filter=Q(state=State.OPTED_OUT)),
        overridden=Count("pk", filter=Q(state=State.OVERRIDDEN)),
        taken_out=Count("pk", filter=Q(state=State.CANCELLED)),
        expected_w=Sum("expected_w", filter=~Q(state__in=OUT), default=0),
    )
    return {
        "state": campaign.state,
        "starts_at": campaign.starts_at.isoformat(),
        "ends_at": campaign.ends_at.isoformat(),
        **counts,
    }


def _streams(contract: ServicingContract, interval: Interval, *, at: datetime) -> list[UUID]:
    """The streams of the zone's homes that may be read minute by minute over the interval."""
    found = assets.queries.assets_in_zone(contract.zone_kind, contract.zone)
    stays = members.queries.stays_at({asset.home_id for asset in found}, at)
    streams = sorted(members.queries.streams_of([stay for stay, _ in stays.values()], at).values())
    if not streams:
        return []
    permitted = permits.permission(streams, granularity=Granularity.LIVE, purpose=Purpose.SETTLEMENT)
    starts, ends = micros([interval.starts_at, interval.ends_at]).tolist()
    everyone = np.arange(len(streams))
    is_in = permitted(everyone, np.full_like(everyone, starts), np.full_like(everyone, ends))
    return [stream for stream, is_read in zip(streams, is_in.tolist(), strict=True) if is_read]
