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
from assets.asking import CAR_KINDS
from assets.models import Asset
from assets.queries import ZONES, homes_in_zone
from campaigns import needs, peaks
from campaigns.least_cost import capped, feeder, stepped
from campaigns.least_cost.stepped import Bools, Ints, SteppedLoads
from campaigns.models import HomePlanLine, ServicingContract
from campaigns.needs import Night, Thing
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.lookups import among

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
class Asked:
    """Cars as each would be planned alone: Wh [car, slot]; what a demand charge lets each take in a half-hour
    at most, None where none does; and how much may be missing before it takes more.
    """

    lines: Sequence[HomePlanLine]
    loads: SteppedLoads
    price: Ints
    alone_wh: Ints
    most_wh: Sequence[Ints | None]
    may_miss_wh: Ints


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
        lines = HomePlanLine.objects.filter(
            plan__night=over.date, asset__kind__in=CAR_KINDS, stopped_at=None
        ).filter(asset__hub__home__in=among(zone.home_ids))
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
    behind = _behind(lines, capped_zones)
    cars = [line for line in behind if line.asset.kind_id in CAR_KINDS]
    if not cars:
        return {}
    room_wh = _room_under_peaks(behind, over, at=at)
    alone_wh = np.array([line.power_w for line in cars], np.int64) // WATTS
    asked = Asked(
        lines=cars,
        loads=loads_of(cars, free, over),
        price=np.array([price_of[line.plan.tariff_id] for line in cars]),
        alone_wh=alone_wh,
        may_miss_wh=np.array([line.shortfall_wh for line in cars], np.int64),
        most_wh=[
            room_wh[line.asset_id] + wh if line.asset_id in room_wh else None
            for line, wh in zip(cars, alone_wh, strict=True)
        ],
    )
    fixed_w = {
        line.asset_id: np.array(line.power_w) for line in behind if line.asset.kind_id not in CAR_KINDS
    }
    return _shared(asked, capped_zones, fixed_w, over, at=at)


def share_anew(
    asked: Asked, fixed_w: Mapping[HomePlanLine, Ints], over: Night, *, at: datetime
) -> dict[UUID, Shared]:
    """The same for cars whose plans are made anew in the night; `fixed_w` are other assets' plans made anew
    with them, and what the half-hours that are over took of the cars counts no more.
    """
    capped_zones = [zone for zone in zones(over) if zone.home_ids]
    behind = {line.asset_id for line in _behind(asked.lines, capped_zones)}
    places = np.array([n for n, line in enumerate(asked.lines) if line.asset_id in behind], np.int64)
    if not len(places):
        return {}
    cars = Asked(
        [asked.lines[n] for n in places.tolist()],
        stepped.part_of(asked.loads, places),
        asked.price[places],
        asked.alone_wh[places],
        [asked.most_wh[n] for n in places.tolist()],
        asked.may_miss_wh[places],
    )
    others = {line.asset_id: watts for line, watts in fixed_w.items()}
    return _shared(cars, capped_zones, others, over, at=at)


def _behind(lines: Sequence[HomePlanLine], capped_zones: Sequence[CappedZone]) -> list[HomePlanLine]:
    homes = frozenset[UUID]().union(*(zone.home_ids for zone in capped_zones))
    return [line for line in lines if line.asset.hub.home_id in homes]


def _shared(
    asked: Asked,
    capped_zones: Sequence[CappedZone],
    fixed_w: Mapping[UUID, Ints],
    over: Night,
    *,
    at: datetime,
) -> dict[UUID, Shared]:
    left_wh = _left_wh(capped_zones, asked.lines, fixed_w, over, at=at)
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, line in enumerate(asked.lines):
        home_id = line.asset.hub.home_id
        groups[tuple(n for n, zone in enumerate(capped_zones) if home_id in zone.home_ids)].append(number)
    changed: dict[UUID, Shared] = {}
    for key in sorted(groups, key=lambda each: (-len(each), each)):
        # Whoever comes last may miss some: every night in another order.
        group = np.random.default_rng(over.date.toordinal()).permutation(groups[key])
        planned_wh = _within(asked, group, left_wh[list(key)].min(axis=0))
        left_wh[list(key)] = np.maximum(0, left_wh[list(key)] - planned_wh.sum(axis=0))
        if (planned_wh == asked.alone_wh[group]).all():
            continue
        missing_wh = np.maximum(0, asked.loads.need_wh[group] - planned_wh.sum(axis=1))
        for row, number in enumerate(group.tolist()):
            shared = Shared(planned_wh[row] * WATTS, int(missing_wh[row]))
            changed[asked.lines[number].asset_id] = shared
    return changed


def loads_of(lines: Sequence[HomePlanLine], free: Mapping[UUID, Bools], over: Night) -> SteppedLoads:
    """What is asked of the lines' cars."""
    assets = [line.asset for line in lines]
    things = [Thing(each.kind_id, each.rated_w, each.kind.typical_daily_wh, each.needs) for each in assets]
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
    capped_zones: Sequence[CappedZone],
    cars: Sequence[HomePlanLine],
    fixed_w: Mapping[UUID, Ints],
    over: Night,
    *,
    at: datetime,
) -> Ints:
    """What each cap leaves for the cars [zone, slot]; `fixed_w` is what plans give other assets."""
    homes = frozenset[UUID]().union(*(zone.home_ids for zone in capped_zones))
    assets_of: dict[UUID, set[UUID]] = defaultdict(set)
    drawn_wh: dict[UUID, Ints] = defaultdict(lambda: np.zeros(len(over.starts), np.int64))
    for line in cars:
        assets_of[line.asset.hub.home_id].add(line.asset_id)
    own = {line.asset_id for line in cars} | fixed_w.keys()
    home_of = dict(
        Asset.objects.filter(pk__in=among(fixed_w), hub__home__in=among(homes)).values_list(
            "pk", "hub__home_id"
        )
    )
    for asset_id, home_id in home_of.items():
        assets_of[home_id].add(asset_id)
        drawn_wh[home_id] += fixed_w[asset_id] // WATTS
    sent = (
        HomePlanLine.objects.filter(plan__night=over.date, stopped_at=None, plan__sent_at__isnull=False)
        .exclude(vtn_event_id="")
        .filter(asset__hub__home__in=among(homes))
    )
    for home_id, asset_id, power_w in sent.values_list("asset__hub__home_id", "asset_id", "power_w"):
        if asset_id not in own:
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


def _within(asked: Asked, group: Ints, left_wh: Ints) -> Ints:
    """Wh of the group's cars [car, slot] within what is left for them [slot]: as alone where that fits."""
    alone_wh = asked.alone_wh[group]
    if (alone_wh.sum(axis=0) <= left_wh).all():
        return alone_wh
    loads, price = stepped.part_of(asked.loads, group), asked.price[group]
    steps = np.zeros_like(alone_wh)
    left_wh = left_wh.copy()
    others = []
    for row, number in enumerate(group.tolist()):
        most_wh = asked.most_wh[number]
        if most_wh is None:
            others.append(row)
            continue
        # Under a demand charge a car has less choice: it goes first, and above its own peak only if it must.
        one = stepped.part_of(loads, np.array([row]))
        plan = capped.least_cost_within(price[[row]], one, np.minimum(left_wh, most_wh)[None])
        if plan.shortfall_wh[0] > asked.may_miss_wh[number]:
            plan = capped.least_cost_within(price[[row]], one, left_wh[None])
        steps[row] = plan.steps[0]
        left_wh -= steps[row] * loads.step_wh[row]
    if others:
        rows = np.array(others)
        free = stepped.part_of(loads, rows)
        most_wh = int((free.most * free.step_wh).sum())
        found = feeder.least_cost_under_cap(price[rows], free, np.minimum(left_wh, most_wh))
        steps[rows] = found.plans.steps
    return np.asarray(steps * loads.step_wh[:, None])


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
