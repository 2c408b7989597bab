"""Import caps in a night: cars behind one are planned together, so that all charging keeps under it.

What a network operator's contract agrees as its zone's import cap is what is known of a night beforehand;
what it tells minute by minute is followed at the time (`servicing.capping`). What the zone's homes usually
take, and what plans give their other assets, comes off first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.db.models import Q, QuerySet

import members.queries
from assets.models import Asset
from assets.queries import ZONES, homes_in_zone
from campaigns import needs, peaks
from campaigns.least_cost import capped, feeder, stepped
from campaigns.least_cost.stepped import Bools, Ints, SteppedLoads
from campaigns.models import HomePlanLine, ServicingContract
from campaigns.needs import Night, Thing
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.lookups import among

CAR: Final = "ev_charger"
WATTS: Final = stepped.HALF_HOURS_AN_HOUR
UNCAPPED_WH: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class CappedZone:
    """A zone with an import cap in the night: Wh a half-hour [slot], `UNCAPPED_WH` where none holds."""

    contract: ServicingContract
    home_ids: frozenset[UUID]
    cap_wh: Ints


@dataclass(frozen=True, slots=True)
class Shared:
    """A car's plan under the cap: W by half-hour, and Wh of the need that it leaves open."""

    power_w: Ints
    shortfall_wh: int


@dataclass(frozen=True, slots=True)
class ZoneNight:
    """What a night's plans do behind a cap: cars, their highest half-hour together, what they miss by it."""

    contract: ServicingContract
    cars: int
    highest_w: int
    missing_wh: int
    homes_missing: int


def zones(over: Night) -> list[CappedZone]:
    """Every zone whose contract caps its import in some of the night."""
    found = []
    for contract in _contracts(over):
        ends_at = contract.ends_at
        holds = [
            contract.starts_at < start + HALF_HOUR and (ends_at is None or start < ends_at)
            for start in over.starts
        ]
        home_ids = homes_in_zone(contract.zone_kind, contract.zone)
        cap_wh = np.where(holds, (contract.import_cap_w or 0) // WATTS, UNCAPPED_WH)
        found.append(CappedZone(contract, frozenset(home_ids), cap_wh))
    return found


def is_capped(home_id: UUID, over: Night) -> bool:
    """Whether the home's car is planned under a cap that night."""
    assets = Asset.objects.filter(hub__home=home_id)
    return any(assets.filter(ZONES[each.zone_kind](each.zone)).exists() for each in _contracts(over))


def told(over: Night) -> list[ZoneNight]:
    """What the night's plans do behind each cap."""
    found = []
    for zone in zones(over):
        lines = HomePlanLine.objects.filter(plan__night=over.date, asset__kind=CAR, stopped_at=None).filter(
            asset__hub__home__in=among(zone.home_ids)
        )
        total_w, missing_wh, homes = np.zeros(len(over.starts), np.int64), 0, set()
        rows = list(lines.values_list("plan_id", "power_w", "unplanned_power_w", "shortfall_wh"))
        for plan_id, power_w, unplanned_w, shortfall_wh in rows:
            total_w += np.array(power_w)
            # What the time alone cannot hold is missing without the cap too.
            missing = min(shortfall_wh, (sum(unplanned_w) - sum(power_w)) // WATTS)
            if missing > 0:
                missing_wh += missing
                homes.add(plan_id)
        found.append(ZoneNight(zone.contract, len(rows), int(total_w.max()), missing_wh, len(homes)))
    return found


def share(
    lines: Sequence[HomePlanLine],
    price_of: Mapping[str, Ints],
    free: Mapping[UUID, Bools],
    over: Night,
    *,
    at: datetime,
) -> dict[UUID, Shared]:
    """Plans under the caps for cars of `lines`, planned alone so far, where those pass a cap: by asset.

    `price_of` is by tariff, `free` says in which half-hours each may charge. Plans of the night that were
    sent stand as they are. A home behind several caps keeps under all of them; such homes come first.
    """
    capped_zones = [zone for zone in zones(over) if zone.home_ids]
    homes = frozenset[UUID]().union(*(zone.home_ids for zone in capped_zones))
    behind = [line for line in lines if line.asset.hub.home_id in homes]
    cars = [line for line in behind if line.asset.kind_id == CAR]
    if not cars:
        return {}
    left_wh = _left_wh(capped_zones, behind, over, at=at)
    peak_room_wh = _room_under_peaks(behind, over, at=at)
    groups: dict[tuple[int, ...], list[HomePlanLine]] = defaultdict(list)
    for line in cars:
        home_id = line.asset.hub.home_id
        groups[tuple(n for n, zone in enumerate(capped_zones) if home_id in zone.home_ids)].append(line)
    changed: dict[UUID, Shared] = {}
    for key in sorted(groups, key=lambda each: (-len(each), each)):
        group = groups[key]
        # Whoever comes last may miss some: every night in another order.
        order = np.random.default_rng(over.date.toordinal()).permutation(len(group))
        group = [group[n] for n in order]
        shared = _within(group, left_wh[list(key)].min(axis=0), peak_room_wh, price_of, free, over)
        changed |= shared
        used_wh = sum(
            (shared[line.asset_id].power_w if line.asset_id in shared else np.array(line.power_w)) // WATTS
            for line in group
        )
        left_wh[list(key)] = np.maximum(0, left_wh[list(key)] - used_wh)
    return changed


def loads_of(lines: Sequence[HomePlanLine], free: Mapping[UUID, Bools], over: Night) -> SteppedLoads:
    """What is asked of the lines' cars."""
    assets = [line.asset for line in lines]
    things = [Thing(CAR, each.rated_w, each.kind.typical_daily_wh, each.needs) for each in assets]
    return needs.cars(things, over, np.array([free[each.pk] for each in assets]))


def _contracts(over: Night) -> QuerySet[ServicingContract]:
    """Contracts that cap import in some of the night; a sandbox's change nothing."""
    interval = over.interval
    return (
        ServicingContract.objects.exclude(import_cap_w=None)
        .filter(Q(ends_at=None) | Q(ends_at__gt=interval.starts_at), starts_at__lt=interval.ends_at)
        .filter(client__is_sandbox=False, client__closed_at=None)
        .select_related("client")
        .order_by("zone_kind", "zone", "pk")
    )


def _left_wh(
    capped_zones: Sequence[CappedZone], lines: Sequence[HomePlanLine], over: Night, *, at: datetime
) -> Ints:
    """What each cap leaves for the cars to be planned [zone, slot]."""
    homes = frozenset[UUID]().union(*(zone.home_ids for zone in capped_zones))
    assets_of: dict[UUID, set[UUID]] = defaultdict(set)
    drawn_wh: dict[UUID, Ints] = defaultdict(lambda: np.zeros(len(over.starts), np.int64))
    for line in lines:
        assets_of[line.asset.hub.home_id].add(line.asset_id)
        if line.asset.kind_id != CAR:
            drawn_wh[line.asset.hub.home_id] += np.array(line.power_w) // WATTS
    sent = (
        HomePlanLine.objects.filter(plan__night=over.date, stopped_at=None, plan__sent_at__isnull=False)
        .exclude(vtn_event_id="")
        .filter(asset__hub__home__in=among(homes))
    )
    for home_id, asset_id, power_w in sent.values_list("asset__hub__home_id", "asset_id", "power_w"):
        assets_of[home_id].add(asset_id)
        drawn_wh[home_id] += np.array(power_w) // WATTS
    stays = members.queries.stays_at(homes, at)
    living = sorted(stays)
    usual_wh = peaks.usual_wh(
        [stays[home_id][0] for home_id in living], [assets_of[home_id] for home_id in living], over, at=at
    )
    for row, home_id in enumerate(living):
        drawn_wh[home_id] += usual_wh[row]
    left_wh = np.array([zone.cap_wh for zone in capped_zones])
    for number, zone in enumerate(capped_zones):
        for home_id in zone.home_ids & drawn_wh.keys():
            left_wh[number] -= drawn_wh[home_id]
    return np.maximum(0, left_wh)


def _within(
    group: Sequence[HomePlanLine],
    left_wh: Ints,
    peak_room_wh: Mapping[UUID, Ints],
    price_of: Mapping[str, Ints],
    free: Mapping[UUID, Bools],
    over: Night,
) -> dict[UUID, Shared]:
    """Plans of cars within what is left for them together [slot]; none where each may keep its own."""
    alone_wh = np.array([line.power_w for line in group], np.int64) // WATTS
    if (alone_wh.sum(axis=0) <= left_wh).all():
        return {}
    loads = loads_of(group, free, over)
    price = np.array([price_of[line.plan.tariff_id] for line in group])
    steps = np.zeros_like(alone_wh)
    under_charge = np.array([bool(line.plan.tariff.demand_pence_per_kw) for line in group])
    # Under a demand charge a car has less choice: it goes first, and above its own peak only if it must.
    left_wh = left_wh.copy()
    for number in np.nonzero(under_charge)[0].tolist():
        one = stepped.part_of(loads, np.array([number]))
        room_wh = np.minimum(left_wh, peak_room_wh[group[number].asset_id] + alone_wh[number])
        plan = capped.least_cost_within(price[[number]], one, room_wh[None])
        if plan.shortfall_wh[0] > group[number].shortfall_wh:
            plan = capped.least_cost_within(price[[number]], one, left_wh[None])
        steps[number] = plan.steps[0]
        left_wh -= steps[number] * loads.step_wh[number]
    others = np.nonzero(~under_charge)[0]
    if len(others):
        asked = stepped.part_of(loads, others)
        most_wh = int((asked.most * asked.step_wh).sum())
        found = feeder.least_cost_under_cap(price[others], asked, np.minimum(left_wh, most_wh))
        steps[others] = found.plans.steps
    planned_wh = steps * loads.step_wh[:, None]
    shortfall_wh = np.maximum(0, loads.need_wh - planned_wh.sum(axis=1))
    return {
        line.asset_id: Shared(planned_wh[n] * WATTS, int(shortfall_wh[n])) for n, line in enumerate(group)
    }


def _room_under_peaks(lines: Sequence[HomePlanLine], over: Night, *, at: datetime) -> dict[UUID, Ints]:
    """Wh by half-hour that homes under a demand charge have left under their plan's peak, by asset."""
    charged = [line for line in lines if line.plan.peak_w is not None]
    assets_of: dict[UUID, set[UUID]] = defaultdict(set)
    room_wh: dict[UUID, Ints] = {}
    for line in charged:
        stay = line.plan.occupancy_id
        assets_of[stay].add(line.asset_id)
        room_wh.setdefault(stay, np.full(len(over.starts), (line.plan.peak_w or 0) // WATTS))
        room_wh[stay] -= np.array(line.power_w) // WATTS
    stays = sorted(assets_of)
    if stays:
        usual_wh = peaks.usual_wh(stays, [assets_of[stay] for stay in stays], over, at=at)
        for stay, each in zip(stays, usual_wh, strict=True):
            room_wh[stay] = np.maximum(0, room_wh[stay] - each)
    return {line.asset_id: room_wh[line.plan.occupancy_id] for line in charged}
