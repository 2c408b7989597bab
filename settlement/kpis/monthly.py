"""A month's figures: read from what the rooms hold, worked out at night, kept until their ground changes.

Months are of Europe/London; a campaign belongs to the month in which it begins. A month is worked out again
while it is young, and later when a settlement, a carbon intensity or the hours after an event changed; after
a year it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Max, Min, Sum

import campaigns.queries
from assets import journals
from assets.models import Hub
from assets.registry_models import HubSpell
from campaigns.models import Campaign
from members import groups
from metering import rates
from metering.models import Completeness, HalfHourlyRate, MissingDay
from metering.slots import slots_within, start_of
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import civil_date, day_interval
from settlement import queries
from settlement.kpi_models import EventAfter, MonthFigures
from settlement.kpis import after
from settlement.kpis.calculations import (
    CONTROLLER_W,
    Counts,
    Shifted,
    counted,
    grams,
    overlap_seconds,
    own_use_wh,
    share,
    shifted,
    told_groups,
)
from settlement.models import HomeDelivery, SettlementRun

YOUNG_FOR: Final = timedelta(days=40)
"""After its end a month is worked out every night for so long: readings and rounds still come in."""
STANDS_AFTER: Final = timedelta(days=366)
GOAL_SECONDS, DIRECT_SECONDS = 10, 2
"""From approval to the hub's answer, and where a network operator drives it directly."""
RUNS_OVER: Final = 48
CARBON: Final = HalfHourlyRate.Kind.CARBON
IN_SERVICE: Final = """
    SELECT kind_id, sum(seconds) FROM (
        SELECT kind_id, extract(epoch FROM
            least(max(coalesce(asset.retired_at, 'infinity')), %(until)s)
            - greatest(min(installed_at), %(since)s)
        ) AS seconds
        FROM assets_asset AS asset WHERE kind_id = ANY(%(kinds)s)
        GROUP BY kind_id, CASE WHEN kind_id = 'storage_heater' THEN hub_id ELSE asset.id END
    ) AS each WHERE seconds > 0 GROUP BY kind_id
"""
"""One controller an asset, but one for all the storage heaters of a home."""


def tell_due(*, at: datetime) -> int:
    """Work out every month that is due, the earliest first; how many were. Run twice, count once."""
    told = 0
    for month in months(at):
        told += tell(month, at=at)
    return told


def months(at: datetime) -> list[date]:
    """The first days of the months since the first campaign or hub, the present one the last."""
    first = [
        Campaign.objects.aggregate(first=Min("starts_at"))["first"],
        Hub.objects.aggregate(first=Min("commissioned_at"))["first"],
    ]
    begun = [each for each in first if each is not None and each <= at]
    if not begun:
        return []
    month, past = civil_date(min(begun)).replace(day=1), civil_date(at)
    found = []
    while month <= past:
        found.append(month)
        month = next_month(month)
    return found


def next_month(month: date) -> date:
    """The first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def interval_of(month: date) -> Interval:
    """The month as a UTC interval."""
    return Interval(day_interval(month).starts_at, day_interval(next_month(month)).starts_at)


def tell(month: date, *, at: datetime) -> bool:
    """Work a month out when it is due; False when what is kept still stands."""
    span = interval_of(month)
    kept = MonthFigures.objects.filter(pk=month).first()
    if kept is not None and at > span.ends_at + STANDS_AFTER:
        return False
    asked = list(
        Campaign.objects.filter(
            starts_at__gte=span.starts_at, starts_at__lt=span.ends_at, state=Campaign.State.COMPLETED
        ).order_by("starts_at", "pk")
    )
    runs = queries.newest_runs([campaign.pk for campaign in asked])
    for run in runs.values():
        if after.is_due(run, at=at):
            after.work_out(run, at=at)
    mark = _mark(span, asked, runs)
    if kept is not None and kept.mark == mark and at > span.ends_at + YOUNG_FOR:
        return False
    figures = work_out(span, asked, runs, until=min(span.ends_at, at))
    MonthFigures.objects.update_or_create(
        starts_on=month, defaults={"figures": figures, "mark": mark, "worked_out_at": at}
    )
    return True


@transaction.atomic
def work_out(
    span: Interval, asked: Sequence[Campaign], runs: Mapping[UUID, SettlementRun], *, until: datetime
) -> dict[str, Any]:
    """The figures of a stretch with its completed campaigns and the runs that stand for them."""
    return {
        "until": until.isoformat(),
        "economic": _economic(asked, runs.values()),
        "social": _social(span, asked, runs.values()),
        "environmental": _environmental(span, runs.values(), until),
        "technical": _technical(span, asked, runs, until),
    }


def _mark(span: Interval, asked: Iterable[Campaign], runs: Mapping[UUID, SettlementRun]) -> str:
    carbon = HalfHourlyRate.objects.filter(
        kind=CARBON, starts_at__gte=span.starts_at, starts_at__lt=span.ends_at
    ).aggregate(count=Count("pk"), newest=Max("known_at"))
    told = EventAfter.objects.filter(run__in=list(runs.values())).count()
    rests_on = [
        [str(campaign.pk) for campaign in asked],
        sorted(str(run.pk) for run in runs.values()),
        carbon["count"],
        str(carbon["newest"]),
        told,
    ]
    return hashlib.sha256(json.dumps(rests_on).encode()).hexdigest()


def _economic(asked: Sequence[Campaign], runs: Iterable[SettlementRun]) -> dict[str, Any]:
    runs = list(runs)
    paid = HomeDelivery.objects.filter(run__in=runs, earned_mp__gt=0)
    return {
        "campaigns": len(asked),
        "settled": len(runs),
        "final": sum(queries.is_final(run) for run in runs),
        "revenue_mp": sum(run.revenue_mp for run in runs),
        "members_mp": sum(run.members_mp for run in runs),
        "coop_mp": sum(run.coop_mp for run in runs),
        "fund_mp": sum(run.fund_mp for run in runs),
        "gifts_mp": sum(run.gifts_mp for run in runs),
        "homes_paid": paid.values("occupancy").distinct().count(),
    }


def _social(span: Interval, asked: Sequence[Campaign], runs: Iterable[SettlementRun]) -> dict[str, Any]:
    sorts = groups.sorts_of_stays(span.starts_at, span.ends_at)
    asks: Counter[UUID] = Counter()
    homes_in: dict[UUID, set[bytes]] = defaultdict(set)
    for campaign_id, _state, _outcome, _w, homes in campaigns.queries.asked_by_campaign(
        campaign.pk for campaign in asked
    ):
        homes_in[campaign_id].update(homes[place : place + 16] for place in range(0, len(homes), 16))
    for ids in homes_in.values():
        asks.update(UUID(bytes=each) for each in ids)
    earned = (
        HomeDelivery.objects.filter(run__in=list(runs))
        .values_list("occupancy")
        .annotate(earned=Sum("earned_mp"))
        .order_by()
    )
    earned_mp = dict(earned)
    return {
        "tenure": _told({stay: sort.tenure for stay, sort in sorts.items()}, asks, earned_mp),
        "payment": _told({stay: sort.payment for stay, sort in sorts.items()}, asks, earned_mp),
        "needs": _told(
            {stay: "some" if sort.has_needs else "none" for stay, sort in sorts.items()}, asks, earned_mp
        ),
        "homes": len(sorts),
        "asked": sum(stay in sorts for stay in asks),
    }


def _told(
    sorts: Mapping[UUID, str], asks: Mapping[UUID, int], earned_mp: Mapping[UUID, int]
) -> dict[str, dict[str, int] | None]:
    found: Mapping[str, Counts | None] = told_groups(counted(sorts, asks, earned_mp))
    return {group: None if each is None else each._asdict() for group, each in sorted(found.items())}


def _environmental(span: Interval, runs: Iterable[SettlementRun], until: datetime) -> dict[str, Any]:
    runs = list(runs)
    first, past = slots_within(Interval(span.starts_at, max(until, span.starts_at + HALF_HOUR)))
    # The last evening's event and the hours after it may run over.
    values, known = rates.of_slots(CARBON, first, slots_within(span)[1] + RUNS_OVER)
    carbon = list(zip(values.tolist(), known.tolist(), strict=True))
    intensity = {
        start_of(first + place): Decimal(rate) / rates.SCALE
        for place, (rate, is_known) in enumerate(carbon)
        if is_known
    }
    told = [each for each in EventAfter.objects.filter(run__in=runs) if not each.why_not]
    in_month = [rate for rate, is_known in carbon[: past - first] if is_known]
    drawn_wh = own_use_wh(*_in_service(span.starts_at, until))
    return {
        **_shift("event", shifted(_rows(run.half_hours for run in runs), intensity)),
        **_shift("after", shifted(_rows(each.half_hours for each in told), intensity)),
        "runs_without_after": len(runs) - len(told),
        "own_use_wh": drawn_wh,
        "own_use_g": grams(drawn_wh, in_month, scale=rates.SCALE),
        "half_hours": past - first,
        "carbon_half_hours": len(in_month),
    }


def _shift(name: str, each: Shifted) -> dict[str, int]:
    return {
        f"{name}_wh": each.wh,
        f"{name}_g": each.carbon.amount,
        f"{name}_half_hours": each.carbon.half_hours + each.carbon.left_out,
        f"{name}_without_carbon": each.carbon.left_out,
    }


def _rows(stored: Iterable[Sequence[Sequence[Any]]]) -> list[tuple[datetime, int, int]]:
    """(start, baseline, metered) of half-hours in which any home was measured."""
    found = []
    for half_hours in stored:
        for row in half_hours:
            start, baseline_wh, metered_wh = row[0], row[1], row[2]
            found.append((datetime.fromisoformat(start), int(baseline_wh), int(metered_wh)))
    return found


def _in_service(since: datetime, until: datetime) -> tuple[float, dict[str, float]]:
    """Seconds that hubs and, by kind, controllers of assets were in service within [since, until)."""
    whole = [(since, until)]
    in_use = journals.hubs_in_use(since, until)
    hubs = overlap_seconds(
        ((start, end or until) for spans in in_use.values() for start, end in spans), whole
    )
    with connection.cursor() as cursor:
        cursor.execute(IN_SERVICE, {"since": since, "until": until, "kinds": list(CONTROLLER_W)})
        return hubs, {kind: float(seconds) for kind, seconds in cursor.fetchall()}


def _technical(
    span: Interval, asked: Sequence[Campaign], runs: Mapping[UUID, SettlementRun], until: datetime
) -> dict[str, Any]:
    assets = campaigns.queries.answers_of(campaign.pk for campaign in asked)
    expected, missing = _completeness(span)
    return {
        "asked_wh": sum(_asked_wh(campaign) for campaign in asked if campaign.pk in runs),
        "delivered_wh": sum(run.delivered_wh for run in runs.values()),
        "assets_asked": assets.asked,
        "assets_responding": assets.responding,
        "legs": [
            {"is_direct": is_direct, "leg": leg, "assets": count, "p50_seconds": half, "p95_seconds": most,
             "within_goal": within}
            for is_direct, leg, count, half, most, within in campaigns.queries.legs_between(
                span.starts_at, span.ends_at, goal_seconds=GOAL_SECONDS, direct_goal_seconds=DIRECT_SECONDS
            )
        ],
        "hubs_online": _online(span.starts_at, until),
        "expected_half_hours": expected,
        "missing_half_hours": missing,
        "causes": dict(
            MissingDay.objects.filter(day__gte=_first(span), day__lt=_past(span))
            .values_list("cause")
            .annotate(total=Sum("half_hours"))
            .order_by("cause")
        ),
    }  # fmt: skip


def _asked_wh(campaign: Campaign) -> int:
    return campaign.size_w * int((campaign.ends_at - campaign.starts_at).total_seconds()) // 3600


def _online(since: datetime, until: datetime) -> float | None:
    """The share of the hubs' time in service that they were heard, while the site was there to hear them."""
    up = journals.site_up(since, until)
    served = overlap_seconds(_served(since, until), up)
    silent = overlap_seconds(
        (
            (spell.starts_at, spell.ends_at)
            for spell in journals.spells_between(since, until)
            if spell.cause == HubSpell.Cause.SILENT
        ),
        up,
    )
    return share(max(served - silent, 0.0), served)


def _served(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """When hubs were in service, a stretch each."""
    for stretches in journals.hubs_in_use(since, until).values():
        for start, end in stretches:
            yield start, end or until


def _completeness(span: Interval) -> tuple[int, int]:
    """Half-hours expected and missing three days on, of the days that were counted."""
    rows = Completeness.objects.filter(day__gte=_first(span), day__lt=_past(span))
    counts = [(row.expected, row.by_d1 if row.by_d3 is None else row.by_d3) for row in rows]
    expected = sum(each for each, _ in counts)
    return expected, expected - sum(there for _, there in counts)


def _first(span: Interval) -> date:
    return civil_date(span.starts_at)


def _past(span: Interval) -> date:
    return civil_date(span.ends_at)
