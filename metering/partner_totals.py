"""A partner's totals: each month, once it is over, its days are told and never told again otherwise.

Which homes a month counts is settled when it is told: those of the partner, lived in and willing from its
first moment to its last, held against the groups told of any month within a year, to whichever partner
(`aggregates.homes_to_count`). Homes that come or go count from the next month on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction

import members.queries
from members.models import Purpose
from metering import aggregates, purposes, store, totals
from metering.aggregates import DayTotal
from metering.models import PartnerDay, PartnerMonth, PeriodTotal
from metering.slots import Bools, Ints, period_mask
from metering.store import Flow
from opendsr.kernel.periods import civil_date

READY_DAYS: Final = 5
"""How long after its last day a month is told: readings come up to several days late."""
MONTHS_HELD_AGAINST: Final = 12
MOST_MONTHS_BACK: Final = 12
ONE_DAY: Final = timedelta(days=1)
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('metering partner totals'))"


@dataclass(frozen=True, slots=True)
class Period:
    """A day, week or month as a partner sees it: the sum of those of its days that were told.

    `homes` are the fewest and the most of any day; `export_wh` is None where a day's was withheld.
    """

    starts_on: date
    ends_on: date
    days_told: int
    days: int
    homes: tuple[int, int]
    import_wh: int | None
    export_wh: int | None
    withheld: tuple[str, ...]


def tell_due(*, at: datetime) -> int:
    """Tell every month that is due, of every partner, earliest first; how many were."""
    told = 0
    past = month_of(civil_date(at) - READY_DAYS * ONE_DAY)
    for partner_id, since in sorted(members.queries.partners_since().items()):
        month = max(month_of(since), _months_on(past, -MOST_MONTHS_BACK))
        known = set(PartnerMonth.objects.filter(partner_id=partner_id).values_list("starts_on", flat=True))
        while month < past:
            if month not in known:
                told += tell(partner_id, month, at=at)
            month = _months_on(month, 1)
    return told


@transaction.atomic
def tell(partner_id: UUID, month: date, *, at: datetime) -> bool:
    """Settle whom the month counts and tell its days, once; False when it was told before."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
    if PartnerMonth.objects.filter(partner_id=partner_id, starts_on=month).exists():
        return False
    past = _months_on(month, 1)
    # Of every partner: homes may go from one to another, or a partner be made anew.
    near = PartnerMonth.objects.filter(
        starts_on__gt=_months_on(month, -MONTHS_HELD_AGAINST - 1),
        starts_on__lt=_months_on(month, MONTHS_HELD_AGAINST + 1),
    )
    before = [frozenset(group) for group in near.values_list("stream_ids", flat=True) if group]
    willing = members.queries.partner_streams(partner_id, month, past)
    counted = sorted(aggregates.homes_to_count(willing, before, seed=f"{partner_id} {month}"))
    row = PartnerMonth.objects.create(
        partner_id=partner_id, starts_on=month, homes=len(counted), stream_ids=counted, told_at=at
    )
    days = [month + number * ONE_DAY for number in range((past - month).days)]
    PartnerDay.objects.bulk_create(
        PartnerDay(
            month=row, day=day, homes=each.homes, import_wh=each.import_wh, export_wh=each.export_wh,
            withheld=each.withheld,
        )
        for day, each in zip(days, _read(partner_id, counted, days), strict=True)
    )  # fmt: skip
    return True


def forget(*, at: datetime) -> None:
    """Forget whom months counted that no month to be told is held against; what they told stays."""
    oldest = _months_on(month_of(civil_date(at)), -MONTHS_HELD_AGAINST - MOST_MONTHS_BACK - 1)
    PartnerMonth.objects.filter(starts_on__lt=oldest).exclude(stream_ids=[]).update(stream_ids=[])


def periods(partner_id: UUID, bounds: Iterable[tuple[date, date]]) -> list[Period]:
    """What the partner was told of each stretch of days [first, past)."""
    spans = list(bounds)
    if not spans:
        return []
    rows = PartnerDay.objects.filter(
        month__partner_id=partner_id,
        day__gte=min(first for first, _ in spans),
        day__lt=max(past for _, past in spans),
    )
    by_day = {row.day: row for row in rows}
    return [_period(first, past, by_day) for first, past in spans]


def span_told(partner_id: UUID) -> tuple[date, date] | None:
    """The first month that was told, and the day after the last; None before any was."""
    months = sorted(PartnerMonth.objects.filter(partner_id=partner_id).values_list("starts_on", flat=True))
    return (months[0], _months_on(months[-1], 1)) if months else None


def homes_counted(partner_id: UUID) -> int | None:
    """How many homes the latest month that was told counts, 0 for too few to tell of; None before any was."""
    months = PartnerMonth.objects.filter(partner_id=partner_id).order_by("-starts_on")
    return months.values_list("homes", flat=True).first()


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def _period(first: date, past: date, by_day: dict[date, PartnerDay]) -> Period:
    days = [first + number * ONE_DAY for number in range((past - first).days)]
    rows = [by_day[day] for day in days if day in by_day]
    told = [row for row in rows if not row.withheld]
    exports = [row.export_wh for row in told]
    homes = [row.homes for row in told] or [0]
    return Period(
        starts_on=first,
        ends_on=past,
        days_told=len(told),
        days=len(days),
        homes=(min(homes), max(homes)),
        import_wh=sum(row.import_wh or 0 for row in told) if told else None,
        export_wh=None if not told or None in exports else sum(each or 0 for each in exports),
        withheld=tuple(sorted({row.withheld for row in rows} - {""})),
    )


def _read(partner_id: UUID, streams: Sequence[UUID], days: Sequence[date]) -> list[DayTotal]:
    """The days' totals of the homes, and a record of the read."""
    if not streams:
        return [DayTotal(withheld=aggregates.Withheld.TOO_FEW)] * len(days)
    purposes.announce(Purpose.PARTNER_TOTALS, f"partner:{partner_id}", streams, days)
    imports = store.day_cube(streams, days, flow=Flow.IMPORT)
    exports = store.day_cube(streams, days, flow=Flow.EXPORT)
    import_wh, export_wh = imports.wh.sum(axis=2), exports.wh.sum(axis=2)
    expected = period_mask(days).sum(axis=1)
    is_whole = imports.present.sum(axis=2) == expected
    _add_kept_totals(streams, days, import_wh, export_wh, is_whole, expected)
    return aggregates.day_totals(import_wh, export_wh, is_whole)


def _add_kept_totals(
    streams: Sequence[UUID],
    days: Sequence[date],
    import_wh: Ints,
    export_wh: Ints,
    is_whole: Bools,
    expected: Ints,
) -> None:
    """Put in the whole days of homes whose days alone are kept."""  # fmt: skip
    place = {stream: number for number, stream in enumerate(streams)}
    kept = PeriodTotal.objects.filter(
        stream_id__in=list(streams), granularity=totals.DAILY, starts_on__gte=days[0], starts_on__lte=days[-1]
    )
    for row in kept.order_by("-source_id"):
        home, day = place[row.stream_id], (row.starts_on - days[0]).days
        if row.half_hours == expected[day] and not is_whole[home, day]:
            import_wh[home, day], export_wh[home, day] = row.import_wh, row.export_wh
            is_whole[home, day] = True


def _months_on(month: date, count: int) -> date:
    """The first of the month so many months on."""
    number = month.year * 12 + month.month - 1 + count
    return date(number // 12, number % 12 + 1, 1)
