"""A household's use on one day, half-hour by half-hour, with its baseline where an event was settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np
from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import members.queries
from members.models import Occupancy
from metering import store
from metering.slots import slot_of
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.periods import day_interval, period_starts
from opendsr.web import wording
from opendsr.web.beside import Kind, rate_words, sentence
from opendsr.web.charts import Figure, half_hour_figure
from opendsr.web.usage_page import Days, days_of
from settlement.statements import baselines_between

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One half-hour as the table shows it; a dash where the reading is missing."""

    label: str
    used: str
    usual: str
    in_event: bool
    price: str
    carbon: str


@dataclass(frozen=True, slots=True)
class DayUsage:
    """A day for the page: figure, the same as rows, and the days to go to."""

    day: date
    oldest: date
    newest: date
    previous_day: date | None
    next_day: date | None
    title: str
    summary: str
    figure: Figure
    rows: tuple[UsageRow, ...]
    has_price: bool
    has_carbon: bool


def day_usage(stays: Sequence[Occupancy], day: date | None, at: datetime) -> DayUsage | None:
    """The homes' use on a London day, by default the newest with readings; None when there are none yet."""
    streams = list(members.queries.streams_of([stay.pk for stay in stays], at).values())
    span = store.day_span(streams) if streams else None
    if span is None:
        return None
    oldest, newest = span
    day = min(max(day or newest, oldest), newest)
    starts = period_starts(day)
    used = used_wh(streams, day, len(starts))
    usual_wh = baselines_between([stay.pk for stay in stays], day_interval(day))
    event_starts = [start for start in starts if start in usual_wh]
    event = (event_starts[0], event_starts[-1] + HALF_HOUR) if event_starts else None
    known = [wh for wh in used if wh is not None]
    slots = np.array([slot_of(start) for start in starts], dtype=np.int64)
    price, price_words = rate_words(Kind.IMPORT_PRICE, slots)
    carbon, carbon_words = rate_words(Kind.CARBON, slots)
    return DayUsage(
        day=day,
        oldest=oldest,
        newest=newest,
        previous_day=day - ONE_DAY if day > oldest else None,
        next_day=day + ONE_DAY if day < newest else None,
        title=dateformat.format(day, wording.LONG_DAY),
        summary=_summary(sum(known), len(starts) - len(known), event, days_of(streams, day, day + ONE_DAY)),
        figure=half_hour_figure(
            element_id="usage-figure",
            label=_("Electricity used in each half-hour of the day; the table below has the same numbers"),
            starts=starts,
            metered_kwh=[_kwh(wh) for wh in used],
            baseline_kwh=[_kwh(usual_wh.get(start)) for start in starts],
            event=event,
            price=price,
        ),
        rows=tuple(
            UsageRow(
                label=wording.half_hour(start, start + HALF_HOUR),
                used=wording.kwh(wh),
                usual=wording.kwh(usual_wh[start]) if start in usual_wh else "",
                in_event=start in usual_wh,
                price=pence,
                carbon=grams,
            )
            for start, wh, pence, grams in zip(starts, used, price_words, carbon_words, strict=True)
        ),
        has_price=any(value is not None for value in price),
        has_carbon=any(value is not None for value in carbon),
    )


def used_wh(streams: Sequence[UUID], day: date, periods: int) -> list[int | None]:
    """Net import of all streams by half-hour; None where any of them lacks the reading."""
    cube = store.day_cube(streams, [day])
    present: list[bool] = np.all(cube.present[:, 0, :periods], axis=0).tolist()
    net_wh: list[int] = cube.net_wh[:, 0, :periods].sum(axis=0).tolist()
    return [wh if is_there else None for wh, is_there in zip(net_wh, present, strict=True)]


def _summary(total_wh: int, missing: int, event: tuple[datetime, datetime] | None, imported: Days) -> str:
    words = [_("%(kwh)s kWh in all.") % {"kwh": f"{total_wh / 1000:,.1f}"}]
    if missing:
        some = ngettext(
            "%(n)s half-hour has no reading yet.", "%(n)s half-hours have no reading yet.", missing
        )
        words.append(some % {"n": missing})
    words.append(sentence(imported.cost_mp[0], imported.carbon_g[0], imported.unpriced[0]))
    if event:
        words.append(
            _("The shaded event ran from %(start)s to %(end)s; the line is what you usually use then.")
            % {"start": wording.clock_time(event[0]), "end": wording.clock_time(event[1])}
        )
    return " ".join(filter(None, words))


def _kwh(wh: int | None) -> float | None:
    return None if wh is None else wh / 1000
