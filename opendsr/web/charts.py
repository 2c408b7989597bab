"""Figures for the pages: plotly.py builds and checks them here, plotly.js draws them in the browser.

Every page that shows one shows the same numbers in a table beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import plotly.graph_objects as go

from opendsr.kernel.periods import LONDON

METERED_COLOUR, BASELINE_COLOUR, EVENT_COLOUR = "#2f7fb8", "#d9730d", "rgba(224, 161, 0, 0.22)"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure ready for `partials/_chart.html`: its JSON, the element's id and words for who cannot see it."""

    element_id: str
    label: str
    data: dict[str, Any]


def half_hour_figure(
    *,
    element_id: str,
    label: str,
    starts: Sequence[datetime],
    metered_kwh: Sequence[float | None],
    baseline_kwh: Sequence[float | None],
    event: tuple[datetime, datetime] | None = None,
) -> Figure:
    """Bars of metered energy by half-hour, the baseline as a stepped line, the event as a band.

    `starts` are UTC; the axis shows UK local time. A missing half-hour leaves a gap.
    """
    hours = [_wall(start) for start in starts]
    figure = go.Figure()
    figure.add_bar(x=hours, y=list(metered_kwh), name="Metered", marker_color=METERED_COLOUR)
    if any(value is not None for value in baseline_kwh):
        figure.add_scatter(
            x=hours,
            y=list(baseline_kwh),
            name="Baseline",
            mode="lines+markers",
            line={"color": BASELINE_COLOUR, "width": 3, "shape": "hvh"},
        )
    if event:
        figure.add_shape(
            type="rect",
            x0=_wall(event[0], shift=-15),
            x1=_wall(event[1], shift=-15),
            y0=0,
            y1=1,
            yref="paper",
            fillcolor=EVENT_COLOUR,
            line_width=0,
            layer="below",
        )
    figure.update_layout(
        margin={"l": 50, "r": 10, "t": 10, "b": 40},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        yaxis={"title": {"text": "kWh in the half-hour"}, "rangemode": "tozero", "fixedrange": True},
        xaxis={"fixedrange": True, "type": "date", "tickformat": "%H:%M"},
        bargap=0.15,
        hovermode="x unified",
    )
    plain = json.loads(figure.to_json())
    plain["layout"].pop("template", None)
    return Figure(element_id=element_id, label=label, data=plain)


def _wall(at: datetime, shift: int = 0) -> str:
    """UK wall time as text without a zone: plotly.js shows such times as they are."""
    return (at.astimezone(LONDON) + timedelta(minutes=shift)).strftime("%Y-%m-%dT%H:%M:%S")
