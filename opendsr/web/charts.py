"""Figures for the pages, written as plotly.js reads them; it draws them in the browser.

Plain values: plotly.py would check them at a third of a page's time, which the tests do once instead.
Every page that shows one shows the same numbers in a table beside it. Colours of text and lines come from the
stylesheet (`static/js/charts.js`), so that a figure is legible in light and in dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.periods import MAX_PERIODS
from opendsr.web import wording

METERED_COLOUR, BASELINE_COLOUR, EVENT_COLOUR = "#2f7fb8", "#d9730d", "rgba(224, 161, 0, 0.22)"
BEFORE_COLOUR = "#8a949e"
FAN_COLOUR = "rgba(47, 127, 184, 0.25)"
BAR_WIDTH: Final = 0.86
PRICE_COLOUR: Final = "#7a4fb5"
MOST_TICKS: Final = 8
MOST_BARS_NAMED: Final = 13
WEEK_DAY: Final = "D j M"
LAYOUT: Final[dict[str, Any]] = {
    "margin": {"l": 48, "r": 24, "t": 36, "b": 36},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    "yaxis": {"title": {"text": "kWh", "standoff": 6}, "rangemode": "tozero", "fixedrange": True},
    "hovermode": "closest",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure for `partials/_chart.html`: its JSON, the element's id and words for who cannot see it."""

    element_id: str
    label: str
    data: dict[str, Any]


def half_hour_figure(
    *,
    element_id: str,
    label: str,
    starts: Sequence[datetime],
    metered_kwh: Sequence[float | None],
    baseline_kwh: Sequence[float | None] = (),
    event: tuple[datetime, datetime] | None = None,
    price: Sequence[float | None] = (),
) -> Figure:
    """Bars of metered energy by half-hour, the baseline as a step across each, the event as a band.

    `starts` are UTC and in order; the axis counts half-hours and is labelled in UK local time, so the days on
    which the clocks change have their 46 or 50 bars; more than a day is labelled by day. A missing half-hour
    leaves a gap. The price, in p/kWh, has an axis of its own on the right.
    """
    count = len(starts)
    is_one_day = count <= MAX_PERIODS
    names = [
        wording.half_hour(start, start + HALF_HOUR)
        if is_one_day
        else f"{wording.day(start, WEEK_DAY)} {wording.half_hour(start, start + HALF_HOUR)}"
        for start in starts
    ]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": list(range(count)),
            "y": list(metered_kwh),
            "offset": (1 - BAR_WIDTH) / 2,
            "width": BAR_WIDTH,
            "name": _("Metered"),
            "marker": {"color": METERED_COLOUR},
            "customdata": names,
            "hovertemplate": "%{customdata}: %{y:.3f} kWh<extra></extra>",
        }
    ]
    if any(value is not None for value in baseline_kwh):
        traces.append(
            {
                "type": "scatter",
                **_steps(baseline_kwh, names),
                "name": _("Baseline"),
                "mode": "lines",
                "line": {"color": BASELINE_COLOUR, "width": 3},
                "hovertemplate": "%{customdata}: %{y:.3f} kWh<extra></extra>",
            }
        )
    is_priced = any(value is not None for value in price)
    if is_priced:
        traces.append(
            {
                "type": "scatter",
                **_steps(price, names),
                "name": _("Price"),
                "mode": "lines",
                "yaxis": "y2",
                "line": {"color": PRICE_COLOUR, "width": 2, "dash": "dot"},
                "hovertemplate": "%{customdata}: %{y:.2f} p/kWh<extra></extra>",
            }
        )
    ticks = _ticks(starts) if is_one_day else _midnights(starts)
    layout = LAYOUT | {
        "xaxis": {
            "fixedrange": True,
            "range": [0, count],
            "tickvals": [place for place, _text in ticks],
            "ticktext": [text for _place, text in ticks],
        }
    }
    if is_priced:
        layout["yaxis2"] = {
            "title": {"text": "p/kWh", "standoff": 12},
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "tickmode": "auto",
            "nticks": 6,
            "automargin": True,
            "fixedrange": True,
        }
    if event:
        band = {
            "type": "rect",
            "x0": sum(start < event[0] for start in starts),
            "x1": sum(start < event[1] for start in starts),
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "fillcolor": EVENT_COLOUR,
            "line": {"width": 0},
            "layer": "below",
        }
        layout["shapes"] = [band]
    return Figure(element_id=element_id, label=label, data={"data": traces, "layout": layout})


def bars_figure(
    *,
    element_id: str,
    label: str,
    names: Sequence[str],
    kwh: Sequence[float | None],
    before_kwh: Sequence[float | None],
    before_name: str,
) -> Figure:
    """A bar a day or month and, beside it, the same of the stretch before; what is missing leaves a gap."""
    bars = [(_("Used"), METERED_COLOUR, kwh)]
    if any(value is not None for value in before_kwh):
        bars.append((before_name, BEFORE_COLOUR, before_kwh))
    traces = [
        {
            "type": "bar",
            "x": list(names),
            "y": list(values),
            "name": name,
            "marker": {"color": colour},
            "hovertemplate": "%{x}: %{y:.1f} kWh<extra></extra>",
        }
        for name, colour, values in bars
    ]
    named = names[:: -(-len(names) // MOST_BARS_NAMED) or 1]
    axis = {
        "fixedrange": True,
        "type": "category",
        "tickvals": list(named),
        "ticktext": ["<br>".join(name.split()[:2]) for name in named],  # short enough for a phone
        "automargin": True,
    }
    layout = LAYOUT | {
        "barmode": "group",
        "xaxis": axis,
        "yaxis": LAYOUT["yaxis"] | {"automargin": True},
    }
    return Figure(element_id=element_id, label=label, data={"data": traces, "layout": layout})


def months_figure(
    *,
    element_id: str,
    label: str,
    names: Sequence[str],
    series: Sequence[tuple[str, str, Sequence[float | None]]],
    unit: str,
    stacked: bool = False,
    lines: bool = False,
) -> Figure:
    """Bars or lines a month of several series (name, colour, values); what is not known leaves a gap."""
    traces = [
        {
            "type": "scatter" if lines else "bar",
            "x": list(names),
            "y": list(values),
            "name": name,
            **(
                {"mode": "lines+markers", "line": {"color": colour, "width": 2}}
                if lines
                else {"marker": {"color": colour}}
            ),
            "hovertemplate": f"%{{x}}: %{{y:,.2f}} {unit}<extra>{name}</extra>",
        }
        for name, colour, values in series
    ]
    named = names[:: -(-len(names) // MOST_BARS_NAMED) or 1]
    layout = LAYOUT | {
        "barmode": "relative" if stacked else "group",
        "xaxis": {
            "fixedrange": True,
            "type": "category",
            "tickvals": list(named),
            "ticktext": ["<br>".join(name.split()[:2]) for name in named],
            "automargin": True,
        },
        "yaxis": LAYOUT["yaxis"] | {"title": {"text": unit, "standoff": 6}, "automargin": True},
    }
    return Figure(element_id=element_id, label=label, data={"data": traces, "layout": layout})


def groups_figure(
    *, element_id: str, label: str, names: Sequence[str], values: Sequence[float], unit: str
) -> Figure:
    """A bar a group, the first on top, its name beside it: names of any length are read on a phone too."""
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": list(values),
        "y": list(names),
        "marker": {"color": METERED_COLOUR},
        "hovertemplate": f"%{{y}}: %{{x:,.2f}} {unit}<extra></extra>",
    }
    layout = LAYOUT | {
        "xaxis": LAYOUT["yaxis"] | {"title": {"text": unit, "standoff": 6}, "automargin": True, "nticks": 4},
        "yaxis": {"fixedrange": True, "type": "category", "autorange": "reversed", "automargin": True},
    }
    return Figure(element_id=element_id, label=label, data={"data": [bars], "layout": layout})


def fan_figure(
    *,
    element_id: str,
    label: str,
    starts: Sequence[datetime],
    fan_kw: Sequence[Sequence[float]],
    lines: Sequence[tuple[str, str, Sequence[float | None]]] = (),
) -> Figure:
    """A band from 10 to 90 in 100 with the middle as a line, and further lines (name, colour, values).

    `fan_kw` is the three quantiles, each by half-hour; the axis counts half-hours and is labelled by UK day.
    """
    names = [
        f"{wording.day(start, WEEK_DAY)} {wording.half_hour(start, start + HALF_HOUR)}" for start in starts
    ]
    low, middle, high = (_steps(values, names) for values in fan_kw)
    told = "%{customdata}: %{y:,.1f} kW<extra></extra>"
    band = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hovertemplate": told}
    traces: list[dict[str, Any]] = [
        {**band, **low, "name": _("10 in 100"), "showlegend": False},
        {**band, **high, "name": _("10 to 90 in 100"), "fill": "tonexty", "fillcolor": FAN_COLOUR},
        {
            "type": "scatter",
            **middle,
            "name": _("As likely more as less"),
            "mode": "lines",
            "line": {"color": METERED_COLOUR, "width": 3},
            "hovertemplate": told,
        },
        *(
            {
                "type": "scatter",
                **_steps(values, names),
                "name": name,
                "mode": "lines",
                "line": {"color": colour, "width": 2, "dash": "dot"},
                "hovertemplate": told,
            }
            for name, colour, values in lines
        ),
    ]
    ticks = _midnights(starts)
    layout = LAYOUT | {
        "xaxis": {
            "fixedrange": True,
            "range": [0, len(starts)],
            "tickvals": [place for place, _text in ticks],
            "ticktext": [text for _place, text in ticks],
        },
        "yaxis": LAYOUT["yaxis"] | {"title": {"text": "kW", "standoff": 6}, "automargin": True},
    }
    return Figure(element_id=element_id, label=label, data={"data": traces, "layout": layout})


def _steps(values: Sequence[float | None], names: Sequence[str]) -> dict[str, list[Any]]:
    """A horizontal line across each half-hour, joined to its neighbours, broken where there is no value."""
    x: list[int] = []
    y: list[float | None] = []
    texts: list[str] = []
    for place, value in enumerate(values):
        x += [place, place + 1]
        y += [value, value]
        texts += [names[place], names[place]]
    return {"x": x, "y": y, "customdata": texts}


def _midnights(starts: Sequence[datetime]) -> list[tuple[int, str]]:
    """Places at which a UK day begins, and the day."""
    days = [wording.day(start, "D j") for start in starts]
    return [(place, day) for place, day in enumerate(days) if not place or day != days[place - 1]]


def _ticks(starts: Sequence[datetime]) -> list[tuple[int, str]]:
    """Places and UK times of the labels: whole hours when there are many, at most MOST_TICKS."""
    edges = [*starts, starts[-1] + HALF_HOUR] if starts else []
    every = 1
    while len(edges) / every > MOST_TICKS + 1:
        every *= 2 if every != 2 else 3
    return [(place, wording.clock_time(edge)) for place, edge in enumerate(edges) if place % every == 0]
