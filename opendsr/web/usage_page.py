"""A member's use by day, week and year, beside the stretch before it, and all of it as a file.

A day with half-hours missing says how many; a day without any is a gap, never a nought. Households that
consent to no half-hours see the totals that are kept instead. Cost and carbon stand beside it where the
half-hourly price and intensity are known: the co-op does not know anybody's own tariff.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import members.queries
from members.models import Member, Occupancy
from metering import live, store, totals
from metering.models import Quality
from metering.slots import civil_day_slots, slots_within, start_of
from metering.store import Flow
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.periods import MAX_PERIODS, day_interval, period_count
from opendsr.web import wording
from opendsr.web.beside import Kind, beside, kilograms, pounds, rate_words, sentence
from opendsr.web.charts import Figure, bars_figure, half_hour_figure

ONE_DAY: Final = timedelta(days=1)
DAYS_A_PIECE: Final = 31
VIEWS: Final = ("week", "halves", "year")


@dataclass(frozen=True, slots=True)
class Bar:
    """One day or month: import and export, and how much of it was read."""

    label: str
    starts_on: date
    used_wh: int | None
    exported_wh: int
    missing: int
    before_wh: int | None
    cost_mp: int | None = None
    carbon_g: int | None = None


@dataclass(frozen=True, slots=True)
class UsageBars:
    """A week of days or of half-hours, or a year of months, for the page."""

    view: str
    title: str
    summary: str
    comparison: str
    figure: Figure
    rows: tuple[dict[str, str], ...]
    has_export: bool
    has_price: bool
    has_carbon: bool
    day: date
    earlier: date | None
    later: date | None


@dataclass(frozen=True, slots=True)
class Days:
    """What is known of consecutive days, homes together."""

    first: date
    used_wh: list[int]
    exported_wh: list[int]
    missing: list[int]
    expected: list[int]
    cost_mp: list[int | None]
    carbon_g: list[int | None]
    unpriced: list[int]

    def split(self, count: int) -> tuple[Days, Days]:
        """The first `count` days, and the others."""
        columns = [getattr(self, column.name) for column in fields(self)[1:]]
        return (
            Days(self.first, *(column[:count] for column in columns)),
            Days(self.first + count * ONE_DAY, *(column[count:] for column in columns)),
        )


def usage_bars(streams: Sequence[UUID], view: str, day: date | None) -> UsageBars | None:
    """The week (Monday to Sunday) or calendar year of a London day; None when there is no reading at all."""
    span = store.day_span(streams) if streams else None
    if span is None:
        return None
    oldest, newest = span
    day = min(max(day or newest, oldest), newest)
    if view == "year":
        first, past = date(day.year, 1, 1), date(day.year + 1, 1, 1)
        before = date(day.year - 1, 1, 1)
    else:
        first = day - timedelta(days=day.weekday())
        past, before = first + 7 * ONE_DAY, first - 7 * ONE_DAY
    # Up to the newest day with readings: what has not come yet is not missing.
    if view == "halves":
        return _half_hours(streams, first, min(past, newest + ONE_DAY), day, span)
    then, now = days_of(streams, before, min(past, newest + ONE_DAY), rated_from=first).split(
        (first - before).days
    )
    bars = _months(now, then) if view == "year" else _week(now, then)
    has_export = any(bar.exported_wh for bar in bars)
    return UsageBars(
        view=view,
        title=str(day.year) if view == "year" else _("week of %(day)s") % {"day": _date(first)},
        summary=_summary(bars, sum(now.unpriced)),
        comparison=_comparison(bars, view),
        figure=bars_figure(
            element_id="usage-figure",
            label=_("Electricity used; the table below has the same numbers"),
            names=[bar.label for bar in bars],
            kwh=[None if bar.used_wh is None else bar.used_wh / 1000 for bar in bars],
            before_kwh=[None if bar.before_wh is None else bar.before_wh / 1000 for bar in bars],
            before_name=_("The year before") if view == "year" else _("The week before"),
        ),
        rows=tuple(_row(bar) for bar in bars),
        has_export=has_export,
        has_price=any(bar.cost_mp is not None for bar in bars),
        has_carbon=any(bar.carbon_g is not None for bar in bars),
        day=day,
        earlier=first - ONE_DAY if first > oldest else None,
        later=past if past <= newest else None,
    )


def streams_of(stays: Sequence[Occupancy], at: datetime) -> list[UUID]:
    """The electricity streams of the homes."""
    return list(members.queries.streams_of([stay.pk for stay in stays], at).values())


def coarse_totals(streams: Sequence[UUID]) -> list[dict[str, str]]:
    """Days and months kept as totals only, newest first, in words."""
    return [
        {
            "when": _date(row.starts_on)
            if row.granularity == totals.DAILY
            else dateformat.format(row.starts_on, "F Y"),
            "used": wording.kwh(row.import_wh),
            "exported": wording.kwh(row.export_wh),
            "read": _("%(n)s half-hours") % {"n": row.half_hours},
        }
        for row in totals.of_streams(streams)
    ]


def file_rows(member: Member) -> Iterator[dict[str, object]]:
    """All that is kept of the member's household, in every home it lived in: one stream after the other.

    Half-hours with every value that was ever told of them (`in_use` says which counts), then totals of days
    and months, then live power; of each, in order of time.
    """
    for stream_id in members.queries.streams_of_household(member.household_id):
        for interval in _pieces(store.day_span([stream_id]), DAYS_A_PIECE):
            for row in store.every_revision(stream_id, interval):
                yield {
                    "meter": str(stream_id),
                    "period": "half_hour",
                    "starts_at": row.starts_at.isoformat(),
                    "ends_at": (row.starts_at + HALF_HOUR).isoformat(),
                    "import_wh": row.import_wh,
                    "export_wh": row.export_wh,
                    "power_w": None,
                    "quality": Quality(row.quality).name.lower(),
                    "source": row.source,
                    "revision": row.revision,
                    "known_at": row.known_at.isoformat(),
                    "in_use": row.is_believed,
                }
        for total in totals.of_streams([stream_id]):
            yield {
                "meter": str(stream_id),
                "period": "day" if total.granularity == totals.DAILY else "month",
                "starts_at": day_interval(total.starts_on).starts_at.isoformat(),
                "ends_at": day_interval(total.ends_on).starts_at.isoformat(),
                "import_wh": total.import_wh,
                "export_wh": total.export_wh,
                "power_w": None,
                "quality": f"sum of {total.half_hours} half-hours",
                "source": total.source.code,
                "revision": 0,
                "known_at": total.known_at.isoformat(),
                "in_use": True,
            }
        for interval in _pieces(live.day_span(stream_id), 1):
            instants, power_w = live.power_of(stream_id, interval)
            for at, watts in zip(instants.tolist(), power_w.tolist(), strict=True):
                told = at.replace(tzinfo=UTC).isoformat()
                yield {
                    "meter": str(stream_id),
                    "period": "instant",
                    "starts_at": told,
                    "ends_at": told,
                    "import_wh": None,
                    "export_wh": None,
                    "power_w": watts,
                    "quality": "measured",
                    "source": "live",
                    "revision": 0,
                    "known_at": None,
                    "in_use": True,
                }


def _pieces(span: tuple[date, date] | None, days: int) -> Iterator[Interval]:
    """The days from the first to the last, so many at a time."""
    day, newest = span or (date.max, date.min)
    while day <= newest:
        past = min(day + days * ONE_DAY, newest + ONE_DAY)
        yield Interval(day_interval(day).starts_at, day_interval(past).starts_at)
        day = past


def days_of(streams: Sequence[UUID], first: date, past: date, *, rated_from: date | None = None) -> Days:
    """What is known of the days [first, past), homes together; cost and carbon from `rated_from` on."""
    days = [first + number * ONE_DAY for number in range((past - first).days)]
    expected = [period_count(day) for day in days]
    used = store.day_cube(streams, days, flow=Flow.IMPORT)
    exported = store.day_cube(streams, days, flow=Flow.EXPORT)
    complete = np.all(used.present, axis=0).sum(axis=1)
    is_read = np.asarray(used.present.any(axis=0))
    unrated = 0 if rated_from is None else (rated_from - first).days
    day_first, day_count = civil_day_slots(days[unrated:])
    period = np.arange(MAX_PERIODS)
    slots = np.where(period < day_count[:, None], day_first[:, None] + period, -1)
    rated = beside(used.wh[:, unrated:].sum(axis=0), is_read[unrated:], slots)
    without: list[int | None] = [None] * unrated
    unpriced = (is_read[unrated:] & ~rated.cost.is_known).sum(axis=1).tolist()
    return Days(
        first=first,
        used_wh=used.wh.sum(axis=(0, 2)).tolist(),
        exported_wh=exported.wh.sum(axis=(0, 2)).tolist(),
        missing=[count - there for count, there in zip(expected, complete.tolist(), strict=True)],
        expected=expected,
        cost_mp=without + rated.cost.totals(),
        carbon_g=without + rated.carbon.totals(),
        unpriced=[0] * unrated + unpriced,
    )


def _half_hours(
    streams: Sequence[UUID], first: date, past: date, day: date, span: tuple[date, date]
) -> UsageBars:
    """The week half-hour by half-hour, with price and intensity."""
    oldest, newest = span
    interval = Interval(day_interval(first).starts_at, day_interval(past).starts_at)
    slots = np.arange(*slots_within(interval), dtype=np.int64)
    starts = [start_of(slot) for slot in slots.tolist()]
    used = store.series(streams, interval, flow=Flow.IMPORT)
    there = np.all(used.present, axis=0)
    used_wh = [
        wh if is_there else None
        for wh, is_there in zip(used.wh.sum(axis=0).tolist(), there.tolist(), strict=True)
    ]
    rated = beside(used.wh.sum(axis=0), there, slots)
    price, price_words = rate_words(Kind.IMPORT_PRICE, slots)
    carbon, carbon_words = rate_words(Kind.CARBON, slots)
    figure = half_hour_figure(
        element_id="usage-figure",
        label=_("Electricity used in each half-hour of the week; the table below has the same numbers"),
        starts=starts,
        metered_kwh=[None if wh is None else wh / 1000 for wh in used_wh],
        price=price,
    )
    week = Bar(
        label="",
        starts_on=first,
        used_wh=sum(wh or 0 for wh in used_wh),
        exported_wh=0,
        missing=int((~there).sum()),
        before_wh=None,
        cost_mp=rated.cost.total(),
        carbon_g=rated.carbon.total(),
    )
    return UsageBars(
        view="halves",
        title=_("week of %(day)s") % {"day": _date(first)},
        summary=_summary([week], int((there & ~rated.cost.is_known).sum())),
        comparison="",
        figure=figure,
        rows=tuple(
            {"label": name, "used": wording.kwh(wh), "price": pence, "carbon": grams}
            for name, wh, pence, grams in zip(
                figure.data["data"][0]["customdata"], used_wh, price_words, carbon_words, strict=True
            )
        ),
        has_export=False,
        has_price=any(value is not None for value in price),
        has_carbon=any(value is not None for value in carbon),
        day=day,
        earlier=first - ONE_DAY if first > oldest else None,
        later=past if past <= newest else None,
    )


def _week(now: Days, then: Days) -> list[Bar]:
    bars = []
    for number in range(7):
        day = now.first + number * ONE_DAY
        is_here = number < len(now.expected)
        bars.append(
            Bar(
                label=dateformat.format(day, "D j M"),
                starts_on=day,
                used_wh=now.used_wh[number]
                if is_here and now.missing[number] < now.expected[number]
                else None,
                exported_wh=now.exported_wh[number] if is_here else 0,
                missing=now.missing[number] if is_here else 0,
                before_wh=then.used_wh[number] if not then.missing[number] else None,
                cost_mp=now.cost_mp[number] if is_here else None,
                carbon_g=now.carbon_g[number] if is_here else None,
            )
        )
    return bars


def _months(now: Days, then: Days) -> list[Bar]:
    bars = []
    for month in range(1, 13):
        here, there = _of_month(now, month), _of_month(then, month)
        read = sum(now.expected[number] - now.missing[number] for number in here)
        bars.append(
            Bar(
                label=dateformat.format(date(now.first.year, month, 1), "M"),
                starts_on=date(now.first.year, month, 1),
                used_wh=sum(now.used_wh[number] for number in here) if read else None,
                exported_wh=sum(now.exported_wh[number] for number in here),
                missing=sum(now.missing[number] for number in here),
                before_wh=None
                if any(then.missing[number] for number in there)
                else sum(then.used_wh[number] for number in there),
                cost_mp=_total([now.cost_mp[number] for number in here]),
                carbon_g=_total([now.carbon_g[number] for number in here]),
            )
        )
    return bars


def _total(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _of_month(days: Days, month: int) -> list[int]:
    return [number for number in range(len(days.expected)) if (days.first + number * ONE_DAY).month == month]


def _row(bar: Bar) -> dict[str, str]:
    return {
        "label": bar.label,
        "used": wording.kwh(bar.used_wh),
        "exported": wording.kwh(bar.exported_wh),
        "before": wording.kwh(bar.before_wh),
        "cost": pounds(bar.cost_mp),
        "carbon": kilograms(bar.carbon_g),
        "note": _missing(bar.missing) if bar.missing else "",
    }


def _summary(bars: Sequence[Bar], unpriced: int) -> str:
    used_wh = sum(bar.used_wh or 0 for bar in bars)
    missing = sum(bar.missing for bar in bars)
    words = [_("%(kwh)s kWh used in all.") % {"kwh": f"{used_wh / 1000:,.1f}"}]
    if missing:
        words.append(_missing(missing) + ".")
    words.append(
        sentence(_total([bar.cost_mp for bar in bars]), _total([bar.carbon_g for bar in bars]), unpriced)
    )
    return " ".join(filter(None, words))


def _missing(count: int) -> str:
    return ngettext("%(n)s half-hour has no reading", "%(n)s half-hours have no reading", count) % {
        "n": count
    }


def _comparison(bars: Sequence[Bar], view: str) -> str:
    """Like with like: only days or months that are whole on both sides."""
    both = [bar for bar in bars if bar.used_wh and bar.before_wh and not bar.missing]
    if not both:
        return ""
    used, before = sum(bar.used_wh or 0 for bar in both), sum(bar.before_wh or 0 for bar in both)
    change = round(100 * (used - before) / before)
    same = {"n": len(both), "pct": abs(change)}
    if view == "year":
        less = _("In the %(n)s months that can be compared you used %(pct)s %% less than the year before.")
        more = _("In the %(n)s months that can be compared you used %(pct)s %% more than the year before.")
        even = _("In the %(n)s months that can be compared you used about as much as the year before.")
    else:
        less = _("On the %(n)s days that can be compared you used %(pct)s %% less than the week before.")
        more = _("On the %(n)s days that can be compared you used %(pct)s %% more than the week before.")
        even = _("On the %(n)s days that can be compared you used about as much as the week before.")
    return (less if change < 0 else more if change else even) % same


def _date(day: date) -> str:
    return dateformat.format(day, "j F Y")
