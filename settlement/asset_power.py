"""What each asset of a home drew in an event: by its own meter where it has one, else estimated.

`estimating.py` estimates from the home's CAD samples, the commanded power and the steps between; here its
inputs come together, for one home or for all that were asked. The figures are shown with their confidence and
never paid by: the home's meter is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
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
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date
from settlement import gathering
from settlement.estimating import AssetState, Bools, Watts, estimate_assets, half_hour_kw
from settlement.models import DeviceEstimate, SettlementRun

STEP: Final = timedelta(minutes=1)
STEPS_A_HALF_HOUR: Final = HALF_HOUR // STEP
BEFORE: Final = HALF_HOUR  # so that the edge at the start is seen
MICROSECOND: Final = timedelta(microseconds=1)
COMMANDED: Final = (Participation.State.OPTED_IN, Participation.State.DELIVERED_TO_HUB)
READER: Final = "settlement"

Told = Sequence[tuple[datetime, int | None, bool | None]]


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
    parts = _parts(campaign, [occupancy_id])[occupancy_id]
    window = _window(campaign)
    home_w, has_reading = _home_power([occupancy_id], window, reader=reader)[occupancy_id]
    return _of_home(parts, _told([part.asset_id for part in parts], window), home_w, has_reading, campaign)


@transaction.atomic
def keep_device_estimates(run: SettlementRun) -> int:
    """Write down what devices drew, of the homes of which live power or a device's own meter tells something.

    Once a campaign, when its first run is posted: live power is gone by the time of a late correction. How
    many devices.
    """
    campaign = run.campaign
    if DeviceEstimate.objects.filter(run__campaign=campaign).exists():
        return 0
    window = _window(campaign)
    own = _told_any(campaign, window)
    if not own and not live.is_any_told(window):
        return 0
    occupancy_ids = list(run.deliveries.order_by().values_list("occupancy_id", flat=True))
    streams = streams_of(occupancy_ids, window.starts_at)
    seen = live.streams_told(list(streams.values()), window)
    wanted = sorted(
        occupancy_id
        for occupancy_id in occupancy_ids
        if occupancy_id in own or streams.get(occupancy_id) in seen
    )
    if not wanted:
        return 0
    parts = _parts(campaign, wanted)
    told = _told([part.asset_id for group in parts.values() for part in group], window)
    power = _home_power(wanted, window, reader=READER)
    rows = [
        DeviceEstimate(
            run=run,
            occupancy_id=occupancy_id,
            asset_id=each.asset_id,
            name=each.name,
            is_measured=each.is_measured,
            half_hours=[
                [None if kw is None else round(1000 * kw), round(100 * sure)]
                for kw, sure in zip(each.kw, each.confidence, strict=True)
            ],
        )
        for occupancy_id in wanted
        if power[occupancy_id][1].any() or occupancy_id in own
        for each in _of_home(parts[occupancy_id], told, *power[occupancy_id], campaign)
    ]
    DeviceEstimate.objects.bulk_create(rows, batch_size=2000)
    return len(rows)


def _window(campaign: Campaign) -> Interval:
    """The half-hours that the campaign touches, and the one before."""
    event = gathering.event_half_hours(campaign)
    return Interval(event[0] - BEFORE, event[-1] + HALF_HOUR)


def _parts(campaign: Campaign, occupancy_ids: Sequence[UUID]) -> dict[UUID, list[Participation]]:
    """What the campaign asked of each home, by name of the asset."""
    found = (
        Participation.objects.filter(campaign=campaign, occupancy__in=among(occupancy_ids))
        .exclude(state=Participation.State.CANCELLED)
        .select_related("asset")
        .order_by("asset__name", "asset_id")
    )
    parts: dict[UUID, list[Participation]] = {occupancy_id: [] for occupancy_id in occupancy_ids}
    for part in found:
        parts[part.occupancy_id].append(part)
    return parts


def _of_home(
    parts: Sequence[Participation],
    told: Mapping[UUID, Told],
    home_w: Watts,
    has_reading: Bools,
    campaign: Campaign,
) -> tuple[AssetPower, ...]:
    window = _window(campaign)
    event = gathering.event_half_hours(campaign)
    found: dict[UUID, AssetPower] = {}
    guessed: list[Participation] = []
    states: list[AssetState] = []
    for part in parts:
        rows = told.get(part.asset_id, ())
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


def _home_power(
    occupancy_ids: Sequence[UUID], window: Interval, *, reader: str
) -> dict[UUID, tuple[Watts, Bools]]:
    """Net W of each home at each step of the window, the mean of its samples, as far as it may be read."""
    count = (window.ends_at - window.starts_at) // STEP
    streams = streams_of(occupancy_ids, window.starts_at)
    homes = [occupancy_id for occupancy_id in occupancy_ids if occupancy_id in streams]
    found = {each: (np.zeros(count, np.int64), np.zeros(count, np.bool_)) for each in occupancy_ids}
    if not homes:
        return found
    stream_ids = [streams[occupancy_id] for occupancy_id in homes]
    days = sorted({civil_date(window.starts_at), civil_date(window.ends_at)})
    purposes.announce(Purpose.SETTLEMENT, reader, stream_ids, days)
    may_read = permits.permission(stream_ids, granularity=Granularity.LIVE, purpose=Purpose.SETTLEMENT)
    begins = np.datetime64(window.starts_at.replace(tzinfo=None), "us").astype(np.int64)
    for place, steps, watts in live.mean_power(stream_ids, window, step=STEP):
        starts = begins + steps * (STEP // MICROSECOND)
        is_open = may_read(np.full(len(steps), place), starts, starts + STEP // MICROSECOND)
        power, has = found[homes[place]]
        power[steps[is_open]], has[steps[is_open]] = watts[is_open], True
    return found


def _told(asset_ids: Sequence[UUID], window: Interval) -> dict[UUID, Told]:
    """What each asset's device said in the window, in order: when, its W, whether it was on."""
    rows = StateRow.objects.filter(
        asset__in=among(asset_ids), at__gte=window.starts_at, at__lt=window.ends_at
    )
    told: dict[UUID, list[tuple[datetime, int | None, bool | None]]] = defaultdict(list)
    for asset_id, at, power_w, is_on in rows.order_by("at").values_list("asset_id", "at", "power_w", "is_on"):
        told[asset_id].append((at, power_w, is_on))
    return dict(told)


def _told_any(campaign: Campaign, window: Interval) -> set[UUID]:
    """Homes in which a device of the campaign told its own power in the window."""
    rows = StateRow.objects.filter(
        asset__participations__campaign=campaign,
        at__gte=window.starts_at,
        at__lt=window.ends_at,
        power_w__isnull=False,
    )
    return set(rows.order_by().values_list("asset__participations__occupancy_id", flat=True).distinct())


def _measured(part: Participation, rows: Told, event: Sequence[datetime]) -> AssetPower:
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


def _commanded(part: Participation, rows: Told, window: Interval, campaign: Campaign) -> AssetState:
    """The W commanded at each step: by what its device says of on and off, else by the campaign.

    A turn-down takes what was expected away for the event, a turn-up adds it; a home that did not follow was
    commanded nothing, so its asset is taken to have gone on as before.
    """
    steps = (window.ends_at - window.starts_at) // STEP
    starts, ends = ((at - window.starts_at) // STEP for at in (campaign.starts_at, campaign.ends_at))
    is_down = campaign.direction == Direction.TURN_DOWN
    watts = np.full(steps, part.expected_w if is_down else 0, np.int64)
    if part.state in COMMANDED:
        watts[starts:ends] = 0 if is_down else part.expected_w
    for at, _, is_on in rows:
        if is_on is not None:
            watts[(at - window.starts_at) // STEP :] = part.expected_w if is_on else 0
    return AssetState(rated_w=max(part.asset.rated_w, part.expected_w), commanded_w=watts)
