"""How amounts, times and states are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import plotly.graph_objects as go
import pytest
from django.template import Context, Template

from campaigns.models import Campaign, Direction, Participation
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.periods import period_starts
from opendsr.web import wording
from opendsr.web.charts import bars_figure, half_hour_figure
from opendsr.web.member_home import change


@pytest.mark.parametrize(
    ("mp", "short", "exact"),
    [
        (0, "£0.00", "£0.00000"),
        (1, "0.001p", "£0.00001"),
        (999, "0.999p", "£0.00999"),
        (-400, "-0.4p", "-£0.00400"),
        (1_000, "£0.01", "£0.01000"),
        (502_312, "£5.02", "£5.02312"),
        (502_999, "£5.02", "£5.02999"),
        (-502_999, "-£5.02", "-£5.02999"),
        (123_456_789, "£1,234.56", "£1,234.56789"),
    ],
)
def test_money(mp: int, short: str, exact: str) -> None:
    assert wording.money(mp) == short
    assert wording.millipence(mp) == exact


def test_energy_and_power() -> None:
    assert (wording.kwh(12_345_678), wording.kwh(-12), wording.kwh(None)) == ("12,345.678", "-0.012", "–")
    assert (wording.kw(40_000), wording.power(40_000), wording.power(2_384)) == (
        "40.00 kW",
        "40 kW",
        "2.38 kW",
    )
    assert wording.power(0) == "0 kW"


def test_times_are_british_and_name_the_zone_only_when_they_must() -> None:
    assert wording.clock_time(datetime(2026, 7, 1, 16, tzinfo=UTC)) == "17:00"
    assert wording.clock_time(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == "01:30 BST"
    assert wording.clock_time(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == "01:30 GMT"
    assert wording.clock_time(datetime(2026, 10, 25, 2, tzinfo=UTC)) == "02:00"
    assert wording.clock_time(datetime(2026, 3, 29, 1, tzinfo=UTC)) == "02:00"


def test_templates_tell_the_two_half_past_ones_apart() -> None:
    first, second = (datetime(2026, 10, 25, hour, 30, 5, tzinfo=UTC) for hour in (0, 1))
    page = Template("{% load uk_times %}{{ at|uk_time }}; {{ at|uk_second }}")

    assert page.render(Context({"at": first})) == "25 Oct 2026, 01:30 BST; 25 Oct 2026, 01:30:05 BST"
    assert page.render(Context({"at": second})) == "25 Oct 2026, 01:30 GMT; 25 Oct 2026, 01:30:05 GMT"
    assert (
        page.render(Context({"at": second + timedelta(hours=1)}))
        == "25 Oct 2026, 02:30; 25 Oct 2026, 02:30:05"
    )
    assert page.render(Context({"at": None})) == "; "


def test_a_stretch_names_the_day_once_unless_it_crosses_midnight() -> None:
    start = datetime(2026, 7, 1, 21, 30, tzinfo=UTC)

    short = wording.stretch(start, start + timedelta(minutes=30), form=wording.SHORT_DAY)
    assert short == "Wed 1 Jul 2026, 22:30 to 23:00"
    over = wording.stretch(start, start + timedelta(hours=3))
    assert over == "Wednesday 1 July 2026, 22:30 to Thursday 2 July 2026, 01:30"


def test_every_state_has_its_word() -> None:
    codes = {*Campaign.State.values, *Participation.State.values, *Participation.Outcome.values}

    assert codes <= wording.STATES.keys()
    assert wording.DIRECTIONS.keys() == set(Direction.values)
    assert wording.tag("") == ""


def test_a_change_is_less_or_more_whichever_way_was_asked() -> None:
    assert change("turn_down", 1_500) == "1.500 kWh less"
    assert change("turn_down", -12) == "0.012 kWh more"
    assert change("turn_up", 1_500) == "1.500 kWh more"
    assert change("turn_up", -12) == "0.012 kWh less"


@pytest.mark.parametrize(
    ("day", "bars", "labels"),
    [
        ("2026-01-14", 48, "00:00 03:00 06:00 09:00 12:00 15:00 18:00 21:00 00:00"),
        ("2026-03-29", 46, "00:00 04:00 07:00 10:00 13:00 16:00 19:00 22:00"),
        ("2026-10-25", 50, "00:00 02:00 05:00 08:00 11:00 14:00 17:00 20:00 23:00"),
    ],
)
def test_a_figure_has_a_bar_a_half_hour_also_when_the_clocks_change(day: str, bars: int, labels: str) -> None:
    starts = period_starts(datetime.fromisoformat(day).date())
    event = (starts[34], starts[36])

    figure = half_hour_figure(
        element_id="f",
        label="",
        starts=starts,
        metered_kwh=[None, *([0.25] * (bars - 1))],
        baseline_kwh=[1.0 if start in starts[34:36] else None for start in starts],
        event=event,
    ).data

    bar, line = figure["data"]
    assert len(bar["y"]) == bars
    assert bar["y"][0] is None
    assert figure["layout"]["xaxis"]["ticktext"] == labels.split()
    assert figure["layout"]["xaxis"]["range"] == [0, bars]
    (band,) = figure["layout"]["shapes"]
    assert (band["x0"], band["x1"]) == (34, 36)
    drawn = [x for x, y in zip(line["x"], line["y"], strict=True) if y is not None]
    assert drawn == [34, 35, 35, 36]


def test_a_figure_without_a_baseline_has_no_line() -> None:
    start = datetime(2026, 1, 14, 17, tzinfo=UTC)

    figure = half_hour_figure(
        element_id="f",
        label="",
        starts=[start, start + HALF_HOUR],
        metered_kwh=[1, 2],
        baseline_kwh=[None, None],
    )

    assert len(figure.data["data"]) == 1
    assert figure.data["data"][0]["customdata"] == ["17:00–17:30", "17:30–18:00"]


def test_figures_are_what_plotly_takes() -> None:
    start = datetime(2026, 1, 14, 17, tzinfo=UTC)
    day = half_hour_figure(
        element_id="f",
        label="",
        starts=[start, start + HALF_HOUR],
        metered_kwh=[1, 2],
        baseline_kwh=[None, 3],
        event=(start, start + HALF_HOUR),
    )
    week = bars_figure(
        element_id="f",
        label="",
        names=["Mon", "Tue"],
        kwh=[1, None],
        before_kwh=[2, 3],
        before_name="The week before",
    )

    for figure in (day, week):
        checked = go.Figure(figure.data, skip_invalid=False)

        assert [len(trace.x) for trace in checked.data] == [len(trace["x"]) for trace in figure.data["data"]]
