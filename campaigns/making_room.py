"""Making room: what a plan of the night does in a campaign's time, it does at another time of the night.

A plan says when each asset gets what its home needs. A campaign that turns the asset down in those half-hours
would leave the home without: a car charged by two o'clock would stand empty at seven. So the rest of the
night is planned anew around the campaign, hubs are told, and what that costs the homes stays on record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from assets.asking import CAR_KINDS
from campaigns import freezing, home_plans, import_caps, life, needs, sending, tariffs, vtn_door
from campaigns.least_cost import capped, stepped, tank
from campaigns.least_cost.stepped import Bools, Ints, SteppedLoads
from campaigns.least_cost.switched import least_cost_switched
from campaigns.models import Campaign, Direction, HomePlan, HomePlanLine, Tariff
from campaigns.needs import Night, Thing
from campaigns.vtn_door import EventClosed, VtnEventId
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date

MOVED: Final = "campaign.plans_moved"
A_DAY: Final = timedelta(days=1)
AT_ONCE: Final = 200
"""Plans changed in one transaction."""
WITH: Final = ("plan__tariff", "asset__kind", "asset__hub", "asset__product", "asset__relay_count")
AS_IT_WAS: Final = -tariffs.MOST_PENCE * tariffs.SCALE
"""A price at which a tank is heated again in the half-hours in which it was."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A line as it is around a campaign, W by half-hour, and what it costs and lacks then."""

    line: HomePlanLine
    power_w: Ints
    cost_mp: int
    shortfall_wh: int
    dearest: int

    @property
    def is_other(self) -> bool:
        """Whether anything is moved."""
        return self.power_w.tolist() != self.line.power_w

    @property
    def more_mp(self) -> int:
        """What the home pays more; energy that no half-hour of the night is left for at the dearest price."""
        lacking_wh = max(0, self.shortfall_wh - self.line.shortfall_wh)
        lacking_mp = lacking_wh * self.dearest // home_plans.PER_MP
        return max(0, self.cost_mp - self.line.cost_mp + lacking_mp)


@dataclass(frozen=True, slots=True)
class _Cars:
    """Cars of one tariff, moved each for itself, and what caps are asked with."""

    moved: Sequence[Moved]
    asked: import_caps.Asked


def make_room(*, campaign_id: UUID, at: datetime) -> int:
    """Move what plans of the night do in the time of a campaign that was sent; how many lines were moved.

    Only a turn-down takes anything from a plan. Again it changes nothing. Raises Frozen while nothing may be
    sent.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    if campaign.direction != Direction.TURN_DOWN or campaign.state != Campaign.State.DISPATCHED:
        return 0
    interval = Interval(campaign.starts_at, campaign.ends_at)
    parts = campaign.participations.filter(state__in=sending.RUNNING)
    asset_ids = list(parts.order_by("asset_id").values_list("asset_id", flat=True))
    count = 0
    line_ids = [line.pk for line in lines_in(asset_ids, interval, at=at)]
    for first in range(0, len(line_ids), AT_ONCE):
        with transaction.atomic():
            count += _move(line_ids[first : first + AT_ONCE], campaign, interval, at=at)
    return count


def make_room_for_all(*, night: date, at: datetime) -> int:
    """Make room for every campaign of the night that was sent and is not over; how many lines were moved.

    For what `make_room` could not see when the campaign was sent: plans that were under way just then, and
    assets that came back to it since. Raises Frozen while nothing may be sent.
    """
    over = needs.night_of(night).interval
    sent = Campaign.objects.filter(
        direction=Direction.TURN_DOWN,
        state=Campaign.State.DISPATCHED,
        starts_at__lt=over.ends_at,
        ends_at__gt=max(at, over.starts_at),
    )
    ids = list(sent.order_by("starts_at", "pk").values_list("pk", flat=True))
    return sum(make_room(campaign_id=campaign_id, at=at) for campaign_id in ids)


def turned_up(power_w: Mapping[UUID, float], interval: Interval, *, at: datetime) -> dict[UUID, int]:
    """What homes pay more, in millipence by asset, if each draws so much power for all of the interval.

    Assets with a plan of the night that was sent and goes on. What an asset draws beyond its plan is paid for
    at the tariff; for that the plan leaves out as much of what it has for later, the dearest first. What
    nothing later is left out for is paid for in full.
    """
    lines: dict[tuple[date, str], list[HomePlanLine]] = defaultdict(list)
    for line in lines_in(power_w, interval, at=at, is_drawing=False):
        lines[line.plan.night, line.plan.tariff_id].append(line)
    more_mp: dict[UUID, int] = defaultdict(int)
    for (night, _), group in lines.items():
        over = needs.night_of(night)
        slots = _slots(over, interval, at=at)
        price, _known = tariffs.prices_of(group[0].plan.tariff, over.starts)
        planned_w = np.array([line.power_w for line in group], np.int64)
        asked_w = np.array([[round(power_w[line.asset_id])] for line in group], np.int64)
        beyond_w = np.maximum(0, asked_w - planned_w[:, slots])
        later = np.arange(slots[-1] + 1, len(over.starts))
        later = later[np.argsort(-price[later], kind="stable")]
        so_far_w = planned_w[:, later].cumsum(axis=1)
        left_out_w = np.diff(np.minimum(so_far_w, beyond_w.sum(axis=1)[:, None]), axis=1, prepend=0)
        for line, beyond, left_out in zip(group, beyond_w, left_out_w, strict=True):
            cost_mp = home_plans.cost_of(beyond, price[slots]) - home_plans.cost_of(left_out, price[later])
            more_mp[line.asset_id] += max(0, cost_mp)
    return more_mp


def lines_in(
    asset_ids: Collection[UUID], interval: Interval, *, at: datetime, is_drawing: bool = True
) -> list[HomePlanLine]:
    """Lines of plans that were sent and go on, and, if `is_drawing`, draw power in what is left of the
    interval.
    """
    found: list[HomePlanLine] = []
    day, last = civil_date(interval.starts_at) - A_DAY, civil_date(interval.ends_at)
    while day <= last:
        slots = _slots(needs.night_of(day), interval, at=at)
        if slots:
            rows = HomePlanLine.objects.filter(asset__in=among(asset_ids), plan__night=day, stopped_at=None)
            # In the database: of ten thousand lines few draw power when the market wants it.
            rows = rows.filter(plan__sent_at__isnull=False).exclude(vtn_event_id="")
            if is_drawing:
                draws = RawSQL("0 < ANY (power_w[%s:%s])", [slots[0] + 1, slots[-1] + 1], BooleanField())
                rows = rows.annotate(draws=draws).filter(draws=True)
            found += rows.select_related(*WITH).order_by("plan_id", "id")
        day += A_DAY
    return found


def around(lines: Iterable[HomePlanLine], interval: Interval, *, at: datetime) -> list[Moved]:
    """The lines with the interval left free of them, the rest of their nights at least cost.

    What was drawn by `at` counts. Under a demand charge no half-hour takes more than the plan's highest did.
    Cars behind an import cap keep under it together.
    """
    groups: dict[tuple[date, str, str], list[HomePlanLine]] = defaultdict(list)
    for line in lines:
        groups[line.plan.night, line.plan.tariff_id, line.asset.kind_id].append(line)
    moved: list[Moved] = []
    cars: dict[date, list[_Cars]] = defaultdict(list)
    for (night, _, kind), group in groups.items():
        over = needs.night_of(night)
        anew, asked = _around(kind, group, group[0].plan.tariff, over, interval, at=at)
        if asked is None:
            moved += anew
        else:
            cars[night].append(_Cars(anew, asked))
    for night, found in cars.items():
        others_w = {each.line: each.power_w for each in moved if each.line.plan.night == night}
        moved += _under_caps(found, others_w, needs.night_of(night), at=at)
    return moved


def _under_caps(
    found: Sequence[_Cars], others_w: dict[HomePlanLine, Ints], over: Night, *, at: datetime
) -> Iterator[Moved]:
    """Cars moved within what import caps leave for them; where none is passed, as they are."""
    asked = [each.asked for each in found]
    shared = import_caps.share_anew(
        import_caps.Asked(
            lines=[line for each in asked for line in each.lines],
            loads=SteppedLoads(
                *(
                    np.concatenate([getattr(each.loads, name.name) for each in asked])
                    for name in fields(SteppedLoads)
                )
            ),
            price=np.concatenate([each.price for each in asked]),
            alone_wh=np.concatenate([each.alone_wh for each in asked]),
            may_miss_wh=np.concatenate([each.may_miss_wh for each in asked]),
            most_wh=[most for each in asked for most in each.most_wh],
        ),
        others_w,
        over,
        at=at,
    )
    for each in found:
        for moved, price, alone_wh in zip(each.moved, each.asked.price, each.asked.alone_wh, strict=True):
            told = shared.get(moved.line.asset_id)
            if told is None:
                yield moved
                continue
            power_w = moved.power_w - alone_wh * stepped.HALF_HOURS_AN_HOUR + told.power_w
            yield replace(
                moved,
                power_w=power_w,
                cost_mp=home_plans.cost_of(power_w, price),
                shortfall_wh=told.shortfall_wh,
            )


def _slots(over: Night, interval: Interval, *, at: datetime) -> list[int]:
    """The half-hours of the night that the interval touches and that are not over."""
    since = max(at, interval.starts_at)
    return [
        number
        for number, start in enumerate(over.starts)
        if start < interval.ends_at and start + HALF_HOUR > since
    ]


def _around(
    kind: str, group: Sequence[HomePlanLine], tariff: Tariff, over: Night, interval: Interval, *, at: datetime
) -> tuple[list[Moved], import_caps.Asked | None]:
    """The lines around the interval, and, of cars, what caps are asked with."""
    price, known = tariffs.prices_of(tariff, over.starts)
    taken = np.array(
        [each < interval.ends_at and each + HALF_HOUR > interval.starts_at for each in over.starts]
    )
    is_open = np.array([start >= at for start in over.starts]) & ~taken & known
    free = home_plans.free_half_hours([line.asset for line in group], over, is_open)
    may = np.array([free[line.asset_id] for line in group])
    is_done = np.array([start < at for start in over.starts]) & ~taken
    power_w, shortfall_wh, asked = _anew(kind, group, tariff, price, over, is_done, may, at=at)
    dearest = int(price[known].max(initial=0))
    moved = [
        Moved(
            line,
            power_w[number],
            home_plans.cost_of(power_w[number], price),
            int(shortfall_wh[number]),
            dearest,
        )
        for number, line in enumerate(group)
    ]
    return moved, asked


def _anew(
    kind: str,
    group: Sequence[HomePlanLine],
    tariff: Tariff,
    price: Ints,
    over: Night,
    is_done: Bools,
    may: Bools,
    *,
    at: datetime,
) -> tuple[Ints, Ints, import_caps.Asked | None]:
    """W by half-hour of each line, what it lacks, and, of cars, what caps are asked with."""
    assets = [line.asset for line in group]
    things = [Thing(kind, each.rated_w, each.kind.typical_daily_wh, each.needs) for each in assets]
    before_w = np.array([line.power_w for line in group], np.int64)
    if kind == "immersion_heater":
        tanks = needs.tanks(things, over, may | (is_done & (before_w > 0)))
        costs = home_plans.switch_costs(assets, at=at)
        heated = tank.least_cost_heat(np.where(is_done, AS_IT_WAS, price), tanks, costs)
        return heated.taken_wh * stepped.HALF_HOURS_AN_HOUR, heated.missing_wh, None
    loads = needs.cars(things, over, may) if kind in CAR_KINDS else needs.heaters(things, over, may)
    drawn_wh = np.where(is_done, before_w, 0).sum(axis=1) // stepped.HALF_HOURS_AN_HOUR
    left = replace(
        loads,
        need_wh=np.maximum(0, loads.need_wh - drawn_wh),
        room_wh=np.maximum(0, loads.room_wh - drawn_wh),
    )
    most_wh = np.broadcast_to(before_w.max(axis=1)[:, None] // stepped.HALF_HOURS_AN_HOUR, before_w.shape)
    if tariff.demand_pence_per_kw:
        plans = capped.least_cost_within(price, left, most_wh)
    elif kind in CAR_KINDS:
        plans = stepped.least_cost(price, left)
    else:
        plans = least_cost_switched(price, left, home_plans.switch_costs(assets, at=at))
    watts = (left.step_wh * stepped.HALF_HOURS_AN_HOUR)[:, None]
    power_w = np.where(is_done, before_w, plans.steps * watts)
    if kind not in CAR_KINDS:
        return power_w, plans.shortfall_wh, None
    asked = import_caps.Asked(
        lines=group,
        loads=left,
        price=np.broadcast_to(price, before_w.shape),
        alone_wh=plans.steps * left.step_wh[:, None],
        may_miss_wh=np.full(len(group), import_caps.UNCAPPED_WH),
        most_wh=[*most_wh] if tariff.demand_pence_per_kw else [None] * len(group),
    )
    return power_w, plans.shortfall_wh, asked


def _move(line_ids: Sequence[UUID], campaign: Campaign, interval: Interval, *, at: datetime) -> int:
    freezing.ensure_running()
    plan_ids = set(HomePlanLine.objects.filter(pk__in=line_ids).values_list("plan_id", flat=True))
    plans = {
        plan.pk: plan
        for plan in HomePlan.objects.select_for_update(of=("self",))
        .filter(pk__in=plan_ids)
        .select_related("tariff")
        .order_by("id")
    }
    rows = HomePlanLine.objects.filter(pk__in=line_ids, stopped_at=None).select_related(*WITH).order_by("id")
    moved = [each for each in around(rows, interval, at=at) if each.is_other]
    more_mp, lacking_wh = sum(each.more_mp for each in moved), sum(each.shortfall_wh for each in moved)
    programmes = home_plans.tariff_programmes()
    price_of = cache(lambda tariff, night: tariffs.prices_of(tariff, needs.night_of(night).starts)[0])
    for each in moved:
        line, plan = each.line, plans[each.line.plan_id]
        plan.cost_mp += each.cost_mp - line.cost_mp
        line.power_w, line.cost_mp = each.power_w.tolist(), each.cost_mp
        line.shortfall_wh = each.shortfall_wh
        line.save(update_fields=["power_w", "cost_mp", "shortfall_wh"])
        plan.save(update_fields=["cost_mp"])
        over = needs.night_of(plan.night)
        told = home_plans.notice_of(
            line,
            price_of(plan.tariff, plan.night),
            over,
            programmes,
            demand_pence=plan.tariff.demand_pence_per_kw,
            at=plan.sent_at or at,
        )
        with suppress(EventClosed):
            vtn_door.vtn().amend(VtnEventId(line.vtn_event_id), told, at=at, reason="makes room")
    if moved:
        detail = {"assets": len(moved), "more_mp": more_mp, "lacking_wh": lacking_wh}
        life.note(campaign.pk, MOVED, at=at, by=None, detail=detail)
    freezing.ensure_running()
    return len(moved)
