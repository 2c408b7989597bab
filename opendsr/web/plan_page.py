"""A member's plan of the night, why it is so and what it saves; and the staff's page of every home's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, F, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

import campaigns.policy
import members.policy
import members.queries
from assets.asking import CAR_KINDS
from campaigns import import_caps, needs, tariffs
from campaigns.models import HomePlan, HomePlanLine, HomeTariff, PlanLine, Tariff
from campaigns.needs import Night
from members.models import Occupancy
from members.policy import require_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.periods import civil_date
from opendsr.web import member_home, own_assets, wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence

HOMES_SHOWN: Final = 50
NIGHTS_ADDED_UP: Final = 30
MP_A_PENNY: Final = 1_000
LEAST_TOLD_WH: Final = 50
"""Less is a kWh with one digit of 0.0."""


@dataclass(frozen=True, slots=True)
class LineRow:
    """One asset of a plan, in words."""

    name: str
    when: tuple[str, ...]
    energy: str
    cost: str
    unplanned: str
    saved: str
    why: str
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class HomeNight:
    """One home: its tariff, its newest plan, and what its plans saved lately."""

    stay: Occupancy
    tariff: Tariff | None
    night: str
    is_sent: bool
    not_sent: str
    lines: tuple[LineRow, ...]
    cost: str
    saved: str
    saved_lately: str
    nights: int
    charge: str
    peak: str
    why_peak: str


@require_GET
@signed_in
def my_plan(request: HttpRequest) -> HttpResponse:
    """What the member's assets do tonight, and why."""
    at = clock.now()
    member = members.queries.member_of(request.user)
    stays = member_home.stays_of(member, at) if member is not None else []
    return render(
        request,
        "campaigns/my_plan.html",
        {
            "homes": [_home(stay) for stay in stays],
            "own_assets": own_assets.of_homes(stays),
            "tariffs": list(Tariff.objects.order_by("name", "code")),
        },
    )


@require_POST
@signed_in
def choose_tariff(request: HttpRequest, occupancy_id: UUID) -> HttpResponse:
    """The tariff the household is on, from now; its next plan follows it."""
    at = clock.now()
    stay = members.policy.access_occupancy(request.user, occupancy_id, at)
    member = members.queries.member_of(request.user)
    if member is None or member.household_id != stay.household_id:
        raise members.policy.OccupancyNotFound(occupancy_id=str(occupancy_id))
    try:
        put = tariffs.put_on(
            occupancy=stay, code=request.POST.get("tariff", ""), at=at, by=f"user:{request.user.pk}"
        )
    except DomainError as error:
        messages.error(request, sentence(error))
    else:
        messages.success(
            request, _("Noted: %(name)s. Tonight's plan follows it.") % {"name": put.tariff.name}
        )
    return redirect("my_plan")


@require_GET
@signed_in
def night_plans(request: HttpRequest) -> HttpResponse:
    """Every home's plan of a night, those that save most first."""
    require_role(request.user, *campaigns.policy.SEES_CAMPAIGNS)
    night = _date(request) or HomePlan.objects.order_by("-night").values_list("night", flat=True).first()
    night = night or civil_date(clock.now())
    plans = HomePlan.objects.filter(night=night)
    sums = plans.aggregate(
        homes=Count("pk"),
        sent=Count("pk", filter=Q(sent_at__isnull=False)),
        cost=Sum("cost_mp", default=0),
        unplanned=Sum("unplanned_cost_mp", default=0),
    )
    # Only the page's homes are joined: sorting ten thousand joined rows takes many times as long.
    ordered = plans.order_by((F("unplanned_cost_mp") - F("cost_mp")).desc(), "pk").values_list(
        "pk", flat=True
    )
    keys, pager = paged(request, ordered, size=HOMES_SHOWN)
    shown = HomePlan.objects.select_related("occupancy__home", "tariff").in_bulk(keys)
    over = needs.night_of(night)
    context = {
        "caps": [_cap(each) for each in import_caps.told(over)] if sums["homes"] else [],
        "night": wording.civil_day(night),
        "earlier": (night - timedelta(days=1)).isoformat(),
        "later": (night + timedelta(days=1)).isoformat(),
        "homes": f"{sums['homes']:,}",
        "sent": f"{sums['sent']:,}",
        "cost": wording.money(sums["cost"]),
        "saved": wording.money(sums["unplanned"] - sums["cost"]),
        "rows": [
            {
                "home": plan.occupancy.home.name,
                "tariff": plan.tariff.name,
                "cost": wording.money(plan.cost_mp),
                "saved": wording.money(plan.saved_mp),
                "state": _state(plan),
            }
            for plan in (shown[key] for key in keys if key in shown)
        ],
        "pager": pager,
    }
    return render(request, "campaigns/night_plans.html", context)


def _cap(told: import_caps.ZoneNight) -> dict[str, object]:
    contract = told.contract
    return {
        "zone": f"{contract.get_zone_kind_display()} {contract.zone}",
        "cap": wording.power(contract.import_cap_w or 0),
        "cars": told.cars,
        "highest": wording.power(told.highest_w),
        "homes": told.homes_missing,
        "missing": f"{told.missing_wh / 1000:.1f}" if told.missing_wh else "",
    }


def _state(plan: HomePlan) -> str:
    if plan.sent_at is not None:
        return _("sent %(time)s") % {"time": wording.clock_time(plan.sent_at)}
    return str(PlanLine.LeftOut(plan.left_out).label) if plan.left_out else _("not sent yet")


def _home(stay: Occupancy) -> HomeNight:
    held = HomeTariff.objects.filter(occupancy=stay, ends_at=None).select_related("tariff").first()
    plans = list(
        HomePlan.objects.filter(occupancy=stay).select_related("tariff").order_by("-night")[:NIGHTS_ADDED_UP]
    )
    latest = plans[0] if plans else None
    sent = [plan for plan in plans if plan.sent_at is not None]
    lines: tuple[LineRow, ...] = ()
    if latest is not None:
        over = needs.night_of(latest.night)
        rows = latest.lines.select_related("asset").order_by("asset__name", "pk")
        is_capped = import_caps.is_capped(stay.home_id, over)
        lines = tuple(_line(row, over, is_capped=is_capped) for row in rows)
    return HomeNight(
        stay=stay,
        tariff=held.tariff if held else None,
        night=wording.civil_day(latest.night) if latest else "",
        is_sent=bool(latest and latest.sent_at),
        not_sent=_state(latest) if latest and latest.sent_at is None else "",
        lines=lines,
        cost=wording.money(latest.cost_mp) if latest else "",
        saved=wording.money(latest.saved_mp) if latest else "",
        saved_lately=wording.money(sum(plan.saved_mp for plan in sent)),
        nights=len(sent),
        charge=wording.money(latest.demand_cost_mp) if latest and latest.peak_w is not None else "",
        peak=wording.power(latest.peak_w) if latest and latest.peak_w is not None else "",
        why_peak=_why_peak(latest) if latest and latest.peak_w is not None else "",
    )


def _why_peak(plan: HomePlan) -> str:
    so_far_w, peak_w = plan.peak_so_far_w or 0, plan.peak_w or 0
    words = {
        "charge": wording.money(plan.tariff.demand_pence_per_kw * MP_A_PENNY),
        "so_far": wording.power(so_far_w),
        "added": wording.money(plan.demand_cost_mp),
        "otherwise": wording.money(plan.unplanned_demand_cost_mp),
    }
    told = (
        _(
            "Your tariff charges %(charge)s a month for each kW of your home's highest half-hour;"
            " this month's is %(so_far)s so far."
        )
        % words
    )
    if peak_w <= so_far_w:
        told += " " + _("So tonight nothing goes above that.")
    elif plan.demand_cost_mp < plan.unplanned_demand_cost_mp:
        told += " " + _("So what runs tonight is spread out.")
    else:
        told += " " + _("What is needed tonight cannot be had below that, or cheap hours make up for it.")
    added = _("It adds %(added)s to the month's charge, %(otherwise)s if everything started by itself.")
    return f"{told} {added % words}"


def _line(row: HomePlanLine, over: Night, *, is_capped: bool) -> LineRow:
    planned_wh, unplanned_wh = (sum(watts) // 2 for watts in (row.power_w, row.unplanned_power_w))
    return LineRow(
        name=row.asset.name,
        when=tuple(_stretches(row.power_w, over)),
        energy=f"{planned_wh / 1000:.1f} kWh",
        cost=wording.money(row.cost_mp),
        unplanned=wording.money(row.unplanned_cost_mp),
        saved=wording.money(row.unplanned_cost_mp - row.cost_mp),
        why=_why(row, planned_wh, unplanned_wh, is_capped=is_capped and row.asset.kind_id in CAR_KINDS),
        is_stopped=row.stopped_at is not None,
    )


def _stretches(power_w: Sequence[int], over: Night) -> list[str]:
    """Half-hours of one power together: 01:00 to 03:30 at 7.36 kW."""
    told: list[str] = []
    begin = 0
    for place in range(1, len(power_w) + 1):
        if place < len(power_w) and power_w[place] == power_w[begin]:
            continue
        if power_w[begin]:
            words = {
                "start": wording.clock_time(over.starts[begin]),
                "end": wording.clock_time(over.starts[place - 1] + HALF_HOUR),
                "power": wording.power(power_w[begin]),
            }
            told.append(_("%(start)s to %(end)s at %(power)s") % words)
        begin = place
    return told


def _why(row: HomePlanLine, planned_wh: int, unplanned_wh: int, *, is_capped: bool) -> str:
    # What full power from the start would reach in the time, and the plan does not, the cap left no room for.
    capped_wh = min(row.shortfall_wh, max(0, unplanned_wh - planned_wh)) if is_capped else 0
    if not planned_wh and not capped_wh:
        return _("Nothing is needed tonight.")
    told = ""
    if planned_wh:
        words = {
            "paid": f"{row.cost_mp / planned_wh:.1f}",
            "otherwise": f"{row.unplanned_cost_mp / max(1, unplanned_wh):.1f}",
        }
        told = (
            _(
                "These are the cheapest half-hours in which it is ready in time: %(paid)s p/kWh on average,"
                " %(otherwise)s p/kWh when it starts by itself."
            )
            % words
        )
    if is_capped:
        told += " " + _(
            "The network where you live can carry only so much tonight, so cars there share the cheapest"
            " half-hours."
        )
    if capped_wh >= LEAST_TOLD_WH:
        missing = f"{capped_wh / 1000:.1f}"
        told += " " + _("It leaves no room for %(missing)s kWh that you asked for.") % {"missing": missing}
    if row.shortfall_wh > capped_wh:
        missing = f"{(row.shortfall_wh - capped_wh) / 1000:.1f}"
        told += " " + _("The time is too short for the last %(missing)s kWh.") % {"missing": missing}
    return told.strip()


def _date(request: HttpRequest) -> date | None:
    try:
        found = date.fromisoformat(request.GET.get("night", ""))
    except ValueError:
        return None
    return found if 2000 < found.year < 2100 else None
