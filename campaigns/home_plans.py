"""Homes' plans of a night: made when its prices are known, sent to hubs, called off when a household says no.

Reads tariffs, assets and what households ask of them; writes one plan a home and a line an asset. What an
asset does in a campaign at the time is left to the campaign: those half-hours are not planned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.db.models import Q

from assets.asking import CAR_KINDS
from assets.listing import is_switched_too_often, life_of
from assets.models import Asset, Hub
from campaigns import eligibility, freezing, import_caps, needs, peaks, tariffs, vtn_door
from campaigns.least_cost import stepped, tank
from campaigns.least_cost.stepped import Bools, Ints
from campaigns.least_cost.switched import least_cost_switched
from campaigns.models import (
    HomePlan,
    HomePlanLine,
    HomeTariff,
    Participation,
    PlanLine,
    Programme,
    Tariff,
    UseCase,
)
from campaigns.needs import Night, Thing
from campaigns.vtn_door import EventNotice, Signal, SignalInterval, VenId, VtnEventId
from members.models import Occupancy
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import civil_date

HALF_HOUR_SECONDS: Final = 1_800
PENCE_A_POUND: Final = 100
PER_MP: Final = stepped.PENCE // 1_000
RELAY_MP: Final = 6_000_000
"""What a relay costs fitted anew, 60 pounds: over its cycles, what switching it on once costs."""
OVER_BUDGET: Final = 5
"""So many times dearer is each switching of a relay that used more than its year's share of cycles."""
NO_TERMS: Final = UUID(int=0)
"""A tariff's saving is on the household's own bill: nothing is settled under these programmes."""
CHARGED_LAST: Final = ("immersion_heater", "storage_heater", *CAR_KINDS)
"""Under a demand charge a home's assets are planned one after the other, the one with most choice last."""
SPREAD_SECONDS: Final = 600
"""Hubs shift a plan by a random delay within this, so that a tariff's edge is no step in a street's load."""
IS_STEPPED: Final = frozenset(CAR_KINDS)
"""Kinds that can be told a power; all others are on or off, and on means all that they are rated at."""
PROGRAMMES: Final = {
    "residential-ev-tou": "Residential EV TOU",
    "critical-peak-pricing": "Critical Peak Pricing",
}


class PricesUnknown(DomainError):
    """No tariff that a home is on is known for the night yet: `night`."""

    night: date


@dataclass(frozen=True, slots=True)
class NightReport:
    """How many homes were planned, what they pay with and without, and homes left out by reason."""

    night: date
    homes: int
    cost_mp: int
    unplanned_cost_mp: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Planned:
    """One asset's watts by half-hour, planned and not."""

    power_w: Ints
    unplanned_power_w: Ints
    shortfall_wh: int


@dataclass(frozen=True, slots=True)
class _Charged:
    """A home's highest half-hour, the month's so far, and what is added to the charge, planned and not."""

    peak_w: int
    unplanned_peak_w: int
    so_far_w: int
    cost_mp: int
    unplanned_cost_mp: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What homes under a demand charge draw already [home, half-hour], one asset of each to be planned."""

    homes: peaks.Homes
    used_wh: Ints
    pence_per_kw: int


@transaction.atomic
def plan_night(*, night: date, at: datetime) -> NightReport:
    """Plan every home on a tariff whose prices of the night are known, in place of plans not sent yet.

    Half-hours already begun at `at` are not planned. Raises PricesUnknown when no home can be planned for
    want of prices. Cars behind an import cap are planned together under it.
    """
    over = needs.night_of(night)
    stays = list(
        HomeTariff.objects.filter(Q(ends_at=None) | Q(ends_at__gte=over.interval.ends_at))
        .filter(starts_at__lte=at, occupancy__starts_at__lte=at)
        .filter(Q(occupancy__ends_at=None) | Q(occupancy__ends_at__gt=at))
        .select_related("tariff", "occupancy")
        .order_by("occupancy_id")
    )
    sent = set(
        HomePlan.objects.filter(night=night).exclude(sent_at=None).values_list("occupancy_id", flat=True)
    )
    by_tariff: dict[str, list[HomeTariff]] = defaultdict(list)
    for stay in stays:
        if stay.occupancy_id not in sent:
            by_tariff[stay.tariff_id].append(stay)
    HomePlan.objects.filter(night=night, sent_at=None).delete()
    is_open = np.array([start >= at for start in over.starts])
    left_out: Counter[str] = Counter()
    plans: list[HomePlan] = []
    lines: list[HomePlanLine] = []
    free: dict[UUID, Bools] = {}
    price_of: dict[str, Ints] = {}
    for group in by_tariff.values():
        tariff = group[0].tariff
        price, known = tariffs.prices_of(tariff, over.starts)
        if not known[is_open].all() or not is_open.any():
            left_out["prices_unknown"] += len(group)
            continue
        made, made_lines, may = _plans(group, tariff, price, over, is_open, at=at)
        free |= may
        price_of[tariff.pk] = price
        left_out["nothing_to_plan"] += len(group) - len(made)
        plans += made
        lines += made_lines
    if not plans and left_out["prices_unknown"]:
        raise PricesUnknown(night=night)
    _keep_under_caps(lines, price_of, free, over, at=at)
    HomePlan.objects.bulk_create(plans, batch_size=2_000)
    HomePlanLine.objects.bulk_create(lines, batch_size=2_000)
    return NightReport(
        night=night,
        homes=len(plans),
        cost_mp=sum(plan.cost_mp for plan in plans),
        unplanned_cost_mp=sum(plan.unplanned_cost_mp for plan in plans),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


@transaction.atomic
def send_night(*, night: date, at: datetime) -> NightReport:
    """Send the plans that were not sent, one event an asset; the guard asks again who may be sent to.

    Raises Frozen while nothing may be sent.
    """
    freezing.ensure_running()
    over = needs.night_of(night)
    waiting = HomePlan.objects.select_for_update(of=("self",)).filter(night=night, sent_at=None, left_out="")
    is_over = at > over.starts[-1]
    plans = [] if is_over else list(waiting.select_related("occupancy", "tariff").order_by("id"))
    told = eligibility.standing({plan.occupancy.home_id for plan in plans}, over.interval, at=at)
    lines: dict[UUID, list[HomePlanLine]] = defaultdict(list)
    for line in HomePlanLine.objects.filter(plan__in=plans).select_related("asset__hub").order_by("id"):
        lines[line.plan_id].append(line)
    every = [line for plan in plans for line in lines[plan.pk]]
    trusted = vtn_door.vtn().trusted(
        {VenId(line.asset.hub.ven_id) for line in every if line.asset.hub.ven_id}
    )
    programmes = tariff_programmes()
    left_out: Counter[str] = Counter()
    notices: dict[str, tuple[HomePlanLine, EventNotice]] = {}
    price_of = {code: tariffs.prices_of(tariff, over.starts)[0] for code, tariff in _tariffs(plans).items()}
    for plan in plans:
        reasons = [_reason(plan, line, told, trusted) for line in lines[plan.pk]]
        plan.left_out = next((reason for reason in reasons if reason), "") if all(reasons) else ""
        if plan.left_out:
            left_out[plan.left_out] += 1
            continue
        plan.sent_at = at
        for line, reason in zip(lines[plan.pk], reasons, strict=True):
            if not reason:
                told_notice = notice_of(
                    line,
                    price_of[plan.tariff_id],
                    over,
                    programmes,
                    demand_pence=plan.tariff.demand_pence_per_kw,
                    at=at,
                )
                notices[f"home-plan:{line.pk}"] = (line, told_notice)
    event_ids = vtn_door.vtn().publish_many({key: each for key, (_, each) in notices.items()}, at=at)
    for key, (line, _) in notices.items():
        line.vtn_event_id = str(event_ids[key])
    _mark(plans, [line for line, _ in notices.values()])
    out = [plan for plan in plans if plan.sent_at is not None]
    freezing.ensure_running()
    return NightReport(
        night=night,
        homes=len(out),
        cost_mp=sum(plan.cost_mp for plan in out),
        unplanned_cost_mp=sum(plan.unplanned_cost_mp for plan in out),
        left_out=dict(left_out),
    )


@transaction.atomic
def call_off(*, occupancy_id: UUID, at: datetime, over: Interval | None = None) -> int:
    """Call off what the household's plans still have to do: it said no, left, or took its consent back.

    With `over`, the plans of nights that it touches.
    """
    running = HomePlanLine.objects.select_for_update(of=("self",)).filter(
        plan__occupancy_id=occupancy_id, stopped_at=None, plan__night__gte=civil_date(at - 48 * HALF_HOUR)
    )
    lines = [
        line
        for line in running.exclude(vtn_event_id="").select_related("plan").order_by("id")
        if over is None or needs.night_of(line.plan.night).interval.overlaps(over)
    ]
    vtn_door.vtn().cancel_many([VtnEventId(line.vtn_event_id) for line in lines], at=at, reason="left out")
    HomePlanLine.objects.filter(pk__in=[line.pk for line in lines]).update(stopped_at=at)
    return len(lines)


def receive_opt(*, event_id: str, opt: str, at: datetime) -> int:
    """The hub answered the plan of an asset: a no stops it, a yes after a no takes it up again."""
    lines = HomePlanLine.objects.filter(vtn_event_id=event_id).exclude(vtn_event_id="")
    if opt == "out":
        return lines.filter(stopped_at=None).update(stopped_at=at)
    return lines.exclude(stopped_at=None).update(stopped_at=None) if opt == "in" else 0


def tariff_programmes() -> dict[str, Programme]:
    """The two programmes that plans are sent under, made when they are not there."""
    made = {}
    for code, name in PROGRAMMES.items():
        made[code], _ = Programme.objects.get_or_create(
            code=code,
            defaults={
                "name": name,
                "use_case": UseCase.TARIFF,
                "market_context": f"http://opendsr.example/{code}",
                "settlement_terms_id": NO_TERMS,
                "notification_seconds": 0,
                "start_tolerance_seconds": SPREAD_SECONDS,
            },
        )
    return made


def _mark(plans: Sequence[HomePlan], lines: Sequence[HomePlanLine]) -> None:
    """Keep what was sent and what was left out, in two statements."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_homeplan AS plan SET sent_at = told.sent_at, left_out = told.left_out
            FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[]) AS told (id, sent_at, left_out)
            WHERE plan.id = told.id
            """,
            [
                [plan.pk for plan in plans],
                [plan.sent_at for plan in plans],
                [str(plan.left_out) for plan in plans],
            ],
        )
        cursor.execute(
            """
            UPDATE campaigns_homeplanline AS line SET vtn_event_id = told.event_id
            FROM unnest(%s::uuid[], %s::text[]) AS told (id, event_id) WHERE line.id = told.id
            """,
            [[line.pk for line in lines], [line.vtn_event_id for line in lines]],
        )


def _tariffs(plans: Sequence[HomePlan]) -> dict[str, Tariff]:
    return {plan.tariff_id: plan.tariff for plan in plans}


def _reason(
    plan: HomePlan, line: HomePlanLine, told: eligibility.Standing, trusted: Collection[VenId]
) -> str:
    asset, hub = line.asset, line.asset.hub
    reason = eligibility.home_reason(home_id=hub.home_id, hub_state=hub.state, ven_id=hub.ven_id, told=told)
    if reason:
        return reason
    if asset.state != Asset.State.ACTIVE:
        return PlanLine.LeftOut.ASSET_FAULTY
    limits = told.limits_at(hub.home_id)
    # A plan holds an asset back for hours: what a household keeps for itself is not planned at all.
    is_limited = bool(limits.least_pct) or limits.longest_minutes is not None
    if is_limited or limits.needs & eligibility.SERVES.get(asset.kind_id, eligibility.ANY):
        return PlanLine.LeftOut.OWN_LIMITS
    if told.occupancy_by_home[hub.home_id] != plan.occupancy_id:
        return PlanLine.LeftOut.NO_HOUSEHOLD
    return "" if hub.ven_id in trusted else PlanLine.LeftOut.CERTIFICATE


def notice_of(
    line: HomePlanLine,
    price: Ints,
    over: Night,
    programmes: Mapping[str, Programme],
    *,
    demand_pence: int,
    at: datetime,
) -> EventNotice:
    """From the next half-hour to noon: the price, and the charge on the peak where there is one, for whoever
    follows prices; and the power for the asset.
    """
    first = next(n for n, start in enumerate(over.starts) if start >= at)
    is_car = line.asset.kind_id in CAR_KINDS
    programme = programmes["residential-ev-tou" if is_car else "critical-peak-pricing"]
    pounds = [int(each) / tariffs.SCALE / PENCE_A_POUND for each in price[first:]]
    ends_at = over.interval.ends_at
    charge = demand_pence / PENCE_A_POUND
    # Told less than it is rated at, as the last half-hour of a tank that fills up, a relay would stay off.
    rated_w = 0 if line.asset.kind_id in IS_STEPPED else line.asset.rated_w
    power_w = [float(max(each, rated_w) if each else 0) for each in line.power_w[first:]]
    charges = (Signal("DEMAND_CHARGE", "price", _held([charge] * len(pounds)), "gbp_per_kw"),)
    return EventNotice(
        ven_id=VenId(str(line.asset.hub.ven_id)),
        market_context=programme.market_context,
        interval=Interval(over.starts[first], ends_at),
        signals=(
            Signal("ELECTRICITY_PRICE", "price", _held(pounds), "gbp_per_kwh"),
            Signal("LOAD_DISPATCH", "setpoint", _held(power_w), "w"),
            *(charges if charge else ()),
        ),
        start_tolerance_seconds=programme.start_tolerance_seconds,
        resource_ids=(line.asset.resource_id,),
    )


def _held(values: Sequence[float]) -> tuple[SignalInterval, ...]:
    """Half-hours of one value after the other, as one interval."""
    held: list[SignalInterval] = []
    for value in values:
        if held and held[-1].value == value:
            held[-1] = SignalInterval(held[-1].duration_seconds + HALF_HOUR_SECONDS, value)
        else:
            held.append(SignalInterval(HALF_HOUR_SECONDS, value))
    return tuple(held)


def _plans(
    group: Sequence[HomeTariff], tariff: Tariff, price: Ints, over: Night, is_open: Bools, *, at: datetime
) -> tuple[list[HomePlan], list[HomePlanLine], dict[UUID, Bools]]:
    """Plans of the homes on one tariff, all assets of a kind at once; and when each asset is free."""
    occupancy_of = {stay.occupancy.home_id: stay.occupancy for stay in group}
    found = list(
        Asset.objects.filter(
            hub__home_id__in=occupancy_of,
            hub__state=Hub.State.COMMISSIONED,
            state=Asset.State.ACTIVE,
            kind_id__in=needs.PLANNED_KINDS,
        )
        .select_related("hub", "kind", "product", "relay_count")
        .order_by("pk")
    )
    free = free_half_hours(found, over, is_open)
    planned: dict[UUID, _Planned] = {}
    charged: dict[UUID, _Charged] = {}
    if tariff.demand_pence_per_kw:
        planned, charged = _under_a_charge(found, occupancy_of, tariff, price, over, free, at=at)
    else:
        for kind in needs.PLANNED_KINDS:
            of_kind = [asset for asset in found if asset.kind_id == kind]
            if of_kind:
                planned.update(
                    _of_kind(kind, of_kind, price, over, np.array([free[each.pk] for each in of_kind]), at=at)
                )
    plan_of: dict[UUID, HomePlan] = {}
    lines = []
    for asset in found:
        occupancy = occupancy_of[asset.hub.home_id]
        plan = plan_of.get(occupancy.pk)
        if plan is None:
            plan = plan_of[occupancy.pk] = HomePlan(
                night=over.date,
                occupancy=occupancy,
                tariff=tariff,
                made_at=at,
                cost_mp=0,
                unplanned_cost_mp=0,
            )
        told = planned[asset.pk]
        line = HomePlanLine(
            plan=plan,
            asset=asset,
            power_w=told.power_w.tolist(),
            unplanned_power_w=told.unplanned_power_w.tolist(),
            cost_mp=cost_of(told.power_w, price),
            unplanned_cost_mp=cost_of(told.unplanned_power_w, price),
            shortfall_wh=told.shortfall_wh,
        )
        plan.cost_mp += line.cost_mp
        plan.unplanned_cost_mp += line.unplanned_cost_mp
        lines.append(line)
    for home_id, each in charged.items():
        plan = plan_of[occupancy_of[home_id].pk]
        plan.peak_w, plan.peak_so_far_w = each.peak_w, each.so_far_w
        plan.unplanned_peak_w = each.unplanned_peak_w
        plan.demand_cost_mp, plan.unplanned_demand_cost_mp = each.cost_mp, each.unplanned_cost_mp
        plan.cost_mp += each.cost_mp
        plan.unplanned_cost_mp += each.unplanned_cost_mp
    return list(plan_of.values()), lines, free


def _keep_under_caps(
    lines: Sequence[HomePlanLine],
    price_of: Mapping[str, Ints],
    free: Mapping[UUID, Bools],
    over: Night,
    *,
    at: datetime,
) -> None:
    """Change the lines of cars, and their plans' costs, to what import caps leave for them."""
    shared = import_caps.share(lines, price_of, free, over, at=at)
    under_charge: dict[UUID, HomePlan] = {}
    for line in lines:
        told = shared.get(line.asset_id)
        if told is None:
            continue
        plan, before_mp = line.plan, line.cost_mp
        line.power_w, line.shortfall_wh = told.power_w.tolist(), told.shortfall_wh
        line.cost_mp = cost_of(told.power_w, price_of[plan.tariff_id])
        plan.cost_mp += line.cost_mp - before_mp
        if plan.peak_w is not None:
            under_charge[plan.occupancy_id] = plan
    if not under_charge:
        return
    of_plan: dict[UUID, list[HomePlanLine]] = defaultdict(list)
    for line in lines:
        of_plan[line.plan.occupancy_id].append(line)
    ids = [[line.asset_id for line in of_plan[stay]] for stay in under_charge]
    read = peaks.read(list(under_charge), ids, over, at=at)
    drawn_w = [np.sum([line.power_w for line in of_plan[stay]], axis=0) for stay in under_charge]
    used_wh = read.base_wh + np.array(drawn_w) // stepped.HALF_HOURS_AN_HOUR
    for row, (plan, above_wh) in enumerate(zip(under_charge.values(), read.above_wh(used_wh), strict=True)):
        plan.cost_mp -= plan.demand_cost_mp
        plan.peak_w = int(used_wh[row].max()) * stepped.HALF_HOURS_AN_HOUR
        plan.demand_cost_mp = peaks.charge_mp(int(above_wh), plan.tariff.demand_pence_per_kw)
        plan.cost_mp += plan.demand_cost_mp


def _under_a_charge(
    found: Sequence[Asset],
    occupancy_of: Mapping[UUID, Occupancy],
    tariff: Tariff,
    price: Ints,
    over: Night,
    free: Mapping[UUID, Bools],
    *,
    at: datetime,
) -> tuple[dict[UUID, _Planned], dict[UUID, _Charged]]:
    """Plans by asset, and the peak by home: one asset of each home at a time, the car last, each beside what
    the others draw.
    """
    pence = tariff.demand_pence_per_kw
    homes = sorted({asset.hub.home_id for asset in found})
    of_home = {home_id: [each for each in found if each.hub.home_id == home_id] for home_id in homes}
    ids = [[asset.pk for asset in of_home[home_id]] for home_id in homes]
    stays = [occupancy_of[home_id].pk for home_id in homes]
    read = peaks.read(stays, ids, over, at=at)
    used_wh, unplanned_wh = read.base_wh.copy(), read.base_wh.copy()
    place = {home_id: number for number, home_id in enumerate(homes)}
    planned: dict[UUID, _Planned] = {}
    for kind in CHARGED_LAST:
        left = {home_id: [each for each in of_home[home_id] if each.kind_id == kind] for home_id in homes}
        while turn := [each.pop(0) for each in left.values() if each]:
            rows = [place[asset.hub.home_id] for asset in turn]
            beside = Beside(peaks.Homes(read.base_wh[rows], read.so_far_wh[rows]), used_wh[rows], pence)
            told = _of_kind(
                kind, turn, price, over, np.array([free[each.pk] for each in turn]), at=at, beside=beside
            )
            planned.update(told)
            for row, asset in zip(rows, turn, strict=True):
                used_wh[row] += told[asset.pk].power_w // stepped.HALF_HOURS_AN_HOUR
                unplanned_wh[row] += told[asset.pk].unplanned_power_w // stepped.HALF_HOURS_AN_HOUR
    above_wh = read.above_wh(used_wh)
    unplanned_above_wh = peaks.without_plans(read, stays, over).above_wh(unplanned_wh)
    return planned, {
        home_id: _Charged(
            peak_w=int(used_wh[row].max()) * stepped.HALF_HOURS_AN_HOUR,
            unplanned_peak_w=int(unplanned_wh[row].max()) * stepped.HALF_HOURS_AN_HOUR,
            so_far_w=int(read.floor_wh[row]) * stepped.HALF_HOURS_AN_HOUR,
            cost_mp=peaks.charge_mp(int(above_wh[row]), pence),
            unplanned_cost_mp=peaks.charge_mp(int(unplanned_above_wh[row]), pence),
        )
        for home_id, row in place.items()
    }


def cost_of(power_w: Ints, price: Ints) -> int:
    """Millipence of so much power by half-hour."""
    wh_price = int((power_w * price).sum()) // stepped.HALF_HOURS_AN_HOUR
    return (2 * wh_price + PER_MP) // (2 * PER_MP)


def free_half_hours(found: Sequence[Asset], over: Night, is_open: Bools) -> dict[UUID, Bools]:
    """Half-hours in which no campaign holds the asset."""
    free = {asset.pk: is_open.copy() for asset in found}
    held = Participation.objects.filter(
        asset__in=[asset.pk for asset in found],
        starts_at__lt=over.interval.ends_at,
        ends_at__gt=over.interval.starts_at,
    ).exclude(state=Participation.State.CANCELLED)
    for asset_id, starts_at, ends_at in held.values_list("asset_id", "starts_at", "ends_at"):
        free[asset_id] &= np.array(
            [not (start < ends_at and start + HALF_HOUR > starts_at) for start in over.starts]
        )
    return free


def switch_costs(of_kind: Sequence[Asset], *, at: datetime) -> Ints:
    """What switching each on once wears off its relay, in price times Wh; nothing where none wears out."""
    lives = [life_of(asset)[0] for asset in of_kind]
    dearer = [OVER_BUDGET if is_switched_too_often(asset, at) else 1 for asset in of_kind]
    each = [
        RELAY_MP // life * PER_MP * times if life else 0 for life, times in zip(lives, dearer, strict=True)
    ]
    return np.array(each, np.int64)


def _of_kind(
    kind: str,
    of_kind: Sequence[Asset],
    price: Ints,
    over: Night,
    free: Bools,
    *,
    at: datetime,
    beside: Beside | None = None,
) -> dict[UUID, _Planned]:
    things = [Thing(kind, asset.rated_w, asset.kind.typical_daily_wh, asset.needs) for asset in of_kind]
    if kind == "immersion_heater":
        return _tanks(of_kind, things, price, over, free, beside, at=at)
    loads = needs.cars(things, over, free) if kind in CAR_KINDS else needs.heaters(things, over, free)
    unplanned = needs.at_once(loads)
    if beside is None and kind in CAR_KINDS:
        plans = stepped.least_cost(price, loads)
    elif beside is None:
        plans = least_cost_switched(price, loads, switch_costs(of_kind, at=at))
    else:
        plans = peaks.plan_steps(price, loads, beside.homes, beside.used_wh, pence_per_kw=beside.pence_per_kw)
    watts = (loads.step_wh * stepped.HALF_HOURS_AN_HOUR)[:, None]
    return _told(of_kind, plans.steps * watts, unplanned * watts, plans.shortfall_wh)


def _tanks(
    of_kind: Sequence[Asset],
    things: Sequence[Thing],
    price: Ints,
    over: Night,
    free: Bools,
    beside: Beside | None,
    *,
    at: datetime,
) -> dict[UUID, _Planned]:
    told = needs.tanks(things, over, free)
    unplanned = tank.always_on(price, told)
    if beside is None:
        plans = tank.least_cost_heat(price, told, switch_costs(of_kind, at=at))
    else:
        plans = peaks.plan_heat(price, told, beside.homes, beside.used_wh, pence_per_kw=beside.pence_per_kw)
    hour = stepped.HALF_HOURS_AN_HOUR
    return _told(of_kind, plans.taken_wh * hour, unplanned.taken_wh * hour, plans.missing_wh)


def _told(
    of_kind: Sequence[Asset], power_w: Ints, unplanned_w: Ints, shortfall_wh: Ints
) -> dict[UUID, _Planned]:
    return {
        asset.pk: _Planned(power_w[n], unplanned_w[n], int(shortfall_wh[n]))
        for n, asset in enumerate(of_kind)
    }
