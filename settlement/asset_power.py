"""What each asset of a home drew in an event: by its own meter where it has one, else estimated.

`estimating.py` estimates from the home's CAD samples, the commanded power and the steps between; here its
inputs come together. The figures are shown with their confidence and never paid by: the home's meter is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import transaction

from campaigns.models import Campaign, Direction, Participation
from members.models import Granularity, Purpose
from members.queries import streams_of
from metering import live, permits, purposes
from metering.intake_models import AssetState as StateRow
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import civil_date
from settlement import gathering
from settlement.estimating import AssetState, Bools, Watts, estimate_assets, half_hour_kw

STEP: Final = timedelta(minutes=1)
STEPS_A_HALF_HOUR: Final = HALF_HOUR // STEP
BEFORE: Final = HALF_HOUR  # so that the edge at the start is seen
MICROSECOND: Final = timedelta(microseconds=1)
COMMANDED: Final = (Participation.State.OPTED_IN, Participation.State.DELIVERED_TO_HUB)


@dataclass(frozen=True, slots=True)
class AssetPower:
    """Mean kW of one asset in each half-hour of the event and how sure it is, 0 to 1.

    `is_measured` by a meter of its own: then a half-hour it told nothing of is None, and the rest are sure.
    """

    asset_id: UUID
    name: str
    is_measured: bool
    kw: tuple[float | None, ...]
    confidence: tuple[float, ...]


@transaction.atomic
def asset_power(campaign: Campaign, occupancy_id: UUID, *, reader: str) -> tuple[AssetPower, ...]:
    """Every asset the campaign asked of the home, by name; the read of live power is on record.

    Live power counts only as far as the household lets it be read for settlement; without any, what was
    commanded is all there is, and the confidence says so.
    """
    parts = (
        Participation.objects.filter(campaign=campaign, occupancy=occupancy_id)
        .exclude(state=Participation.State.CANCELLED)
        .select_related("asset")
        .order_by("asset__name", "asset_id")
    )
    window = Interval(campaign.starts_at - BEFORE, campaign.ends_at)
    event = gathering.event_half_hours(campaign)
    home_w, has_reading = _home_power(occupancy_id, window, reader=reader)
    found: dict[UUID, AssetPower] = {}
    guessed: list[Participation] = []
    states: list[AssetState] = []
    for part in parts:
        rows = _told(part.asset_id, window)
        if any(power_w is not None for _, power_w, _ in rows):
            found[part.asset_id] = _measured(part, rows, event)
            continue
        guessed.append(part)
        states.append(_commanded(part, rows, window, campaign))
    if guessed:
        kw, confidence = half_hour_kw(estimate_assets(home_w, has_reading, states), STEPS_A_HALF_HOUR)
        first = BEFORE // HALF_HOUR
        for row, part in enumerate(guessed):
            found[part.asset_id] = AssetPower(
                asset_id=part.asset_id,
                name=part.asset.name,
                is_measured=False,
                kw=tuple(kw[row, first:].tolist()),
                confidence=tuple(confidence[row, first:].tolist()),
            )
    return tuple(found[part.asset_id] for part in parts)


def _home_power(occupancy_id: UUID, window: Interval, *, reader: str) -> tuple[Watts, Bools]:
    """Net W at each step of the window, the mean of its samples, as far as it may be read."""
    count = (window.ends_at - window.starts_at) // STEP
    power, has = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    stream_id = streams_of([occupancy_id], window.starts_at).get(occupancy_id)
    if stream_id is None:
        return power, has
    day = civil_date(window.starts_at)
    purposes.announce(Purpose.SETTLEMENT, reader, [stream_id], sorted({day, civil_date(window.ends_at)}))
    instants, watts = live.power_of(stream_id, window)
    at = instants.view(np.int64)
    may_read = permits.permission([stream_id], granularity=Granularity.LIVE, purpose=Purpose.SETTLEMENT)
    is_open = may_read(np.zeros(len(at), np.int64), at, at + 1)
    begins = np.datetime64(window.starts_at.replace(tzinfo=None), "us").astype(np.int64)
    step = (at[is_open] - begins) // (STEP // MICROSECOND)
    samples = np.bincount(step, minlength=count)
    total = np.bincount(step, weights=watts[is_open], minlength=count)
    has = samples > 0
    power[has] = np.rint(total[has] / samples[has]).astype(np.int64)
    return power, has


def _told(asset_id: UUID, window: Interval) -> list[tuple[datetime, int | None, bool | None]]:
    """What the asset's device said in the window, in order: when, its W, whether it was on."""
    rows = StateRow.objects.filter(asset=asset_id, at__gte=window.starts_at, at__lt=window.ends_at)
    return list(rows.order_by("at").values_list("at", "power_w", "is_on"))


def _measured(
    part: Participation,
    rows: Sequence[tuple[datetime, int | None, bool | None]],
    event: Sequence[datetime],
) -> AssetPower:
    kw: list[float | None] = []
    for start in event:
        own = [watts for at, watts, _ in rows if watts is not None and start <= at < start + HALF_HOUR]
        kw.append(sum(own) / len(own) / 1000 if own else None)
    return AssetPower(
        asset_id=part.asset_id,
        name=part.asset.name,
        is_measured=True,
        kw=tuple(kw),
        confidence=tuple(0.0 if each is None else 1.0 for each in kw),
    )


def _commanded(
    part: Participation,
    rows: Sequence[tuple[datetime, int | None, bool | None]],
    window: Interval,
    campaign: Campaign,
) -> AssetState:
    """The W commanded at each step: by what its device says of on and off, else by the campaign.

    A turn-down takes what was expected away for the event, a turn-up adds it; a home that did not follow was
    commanded nothing, so its asset is taken to have gone on as before.
    """
    steps = (window.ends_at - window.starts_at) // STEP
    starts = (campaign.starts_at - window.starts_at) // STEP
    is_down = campaign.direction == Direction.TURN_DOWN
    watts = np.full(steps, part.expected_w if is_down else 0, np.int64)
    if part.state in COMMANDED:
        watts[starts:] = 0 if is_down else part.expected_w
    for at, _, is_on in rows:
        if is_on is not None:
            watts[(at - window.starts_at) // STEP :] = part.expected_w if is_on else 0
    return AssetState(rated_w=max(part.asset.rated_w, part.expected_w), commanded_w=watts)
