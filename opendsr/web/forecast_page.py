"""What homes could turn up or down by half-hour of two days, how sure that is, and how good it was."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

import assets.policy
import campaigns.policy
from assets.models import AssetKind
from assets.policy import AssetNotFound
from campaigns.forecasting import fans, issuing
from campaigns.models import Direction, FlexibilityForecast
from members.policy import require_role
from opendsr.kernel import clock
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.spreadsheets import inert
from opendsr.web import wording
from opendsr.web.charts import BASELINE_COLOUR, BEFORE_COLOUR, fan_figure
from opendsr.web.entering import signed_in

SCORED_OVER: Final = timedelta(days=28)
EVERYWHERE: Final = "everywhere:"
ZONE_WORDS: Final[Mapping[str, str | Promise]] = {
    "everywhere": _lazy("Everywhere"),
    "gsp_group": _lazy("GSP group"),
    "cmz": _lazy("CMZ"),
    "substation": _lazy("Substation"),
}


class ForecastFilter(forms.Form):
    """Which forecast; the fields are the address, and what is left empty is everywhere, every kind, down."""

    zone = forms.ChoiceField(label=_lazy("Zone"), required=False)
    kind = forms.ChoiceField(label=_lazy("Kind of asset"), required=False)
    direction = forms.ChoiceField(label=_lazy("Direction"), required=False)

    def __init__(self, data: Any, zones: Sequence[tuple[str, str]]) -> None:
        super().__init__({**{"zone": EVERYWHERE, "direction": Direction.TURN_DOWN.value}, **_told(data)})
        kinds = [(each.pk, each.name) for each in AssetKind.objects.order_by("name")]
        self.fields["zone"].choices = [(f"{kind}:{zone}", _zone_words(kind, zone)) for kind, zone in zones]  # type: ignore[attr-defined]
        self.fields["kind"].choices = [("", _("every kind")), *kinds]  # type: ignore[attr-defined]
        self.fields["direction"].choices = [  # type: ignore[attr-defined]
            (each, wording.DIRECTIONS[each]) for each in Direction.values
        ]

    def where(self) -> dict[str, str]:
        """The chosen zone, kind and direction; of a field that is wrong, the usual one."""
        told = self.cleaned_data
        zone_kind, _colon, zone = (told.get("zone") or EVERYWHERE).partition(":")
        return {
            "zone_kind": zone_kind,
            "zone": zone,
            "kind": told.get("kind") or "",
            "direction": told.get("direction") or Direction.TURN_DOWN.value,
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """The newest forecast from now on, [3, half-hour] in W; nothing where there is none."""

    row: FlexibilityForecast | None
    starts: tuple[datetime, ...]
    asked_w: fans.Ints
    there_w: fans.Ints


@require_GET
@signed_in
def forecast(request: HttpRequest) -> HttpResponse:
    """The fan of the next two days, as chart and table; and past fans against what was there."""
    require_role(request.user, *campaigns.policy.SEES_CAMPAIGNS)
    at = clock.now()
    form, rows = _asked(request)
    if request.GET.get("asset"):
        return _of_asset(request, form.where()["direction"], at)
    shown = _shown(rows, at)
    past = list(rows.filter(issued_at__gt=at - SCORED_OVER).exclude(was_w=None).order_by("issued_at"))
    context: dict[str, Any] = {
        "form": form,
        "query": request.GET.urlencode(),
        "has_any": FlexibilityForecast.objects.exists(),
        "row": shown.row,
        "score": _score(past),
        "past_figure": _past_figure(past[-1]) if past else None,
        "past_began": wording.moment(past[-1].starts_at) if past else "",
    }
    if shown.row is not None and shown.starts:
        context |= {
            "issued": wording.moment(shown.row.issued_at),
            "assets": f"{shown.row.assets:,}",
            "figure": _figure(shown),
            "half_hours": _table(shown),
            "most": _most(shown),
        }
    return render(request, "campaigns/forecast.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def forecast_csv(request: HttpRequest) -> HttpResponse:
    """The same half-hours as a file, in W, UTC; and what was there of forecasts that are over."""
    require_role(request.user, *campaigns.policy.SEES_CAMPAIGNS)
    form, rows = _asked(request)
    if form.errors:
        return HttpResponse(_problems(form), status=422, content_type="text/plain; charset=utf-8")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        ["zone_kind", "zone", "kind", "direction", "issued_at", "starts_at"]
        + [f"asked_{n}_w" for n in (10, 50, 90)]
        + [f"there_{n}_w" for n in (10, 50, 90)]
        + ["most_w", "day_before_w", "was_w"]
    )
    since = clock.now() - SCORED_OVER
    for row in rows.filter(issued_at__gt=since).order_by("issued_at").iterator():
        asked, there = issuing.fan_of(row.asked_w).T.tolist(), issuing.fan_of(row.there_w).T.tolist()
        was_w = row.was_w or [fans.UNKNOWN] * len(row.most_w)
        for number, most_w in enumerate(row.most_w):
            starts_at = row.starts_at + number * HALF_HOUR
            known = ["" if each[number] == fans.UNKNOWN else each[number] for each in (row.before_w, was_w)]
            writer.writerow(
                [
                    *(row.zone_kind, inert(row.zone), row.kind, row.direction),
                    *(row.issued_at.isoformat(), starts_at.isoformat()),
                    *(*asked[number], *there[number], most_w, *known),
                ]
            )
    answer = HttpResponse(out.getvalue().encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="forecast.csv"'
    return answer


def _of_asset(request: HttpRequest, direction: str, at: datetime) -> HttpResponse:
    try:
        asked = UUID(request.GET["asset"])
    except ValueError:
        raise AssetNotFound(asset_id=request.GET["asset"][:40]) from None
    asset = assets.policy.access_asset(request.user, asked, at)
    told = issuing.of_asset(asset.pk, home_id=asset.hub.home_id, direction=direction, at=at)
    rows = []
    if told is not None:
        for start, power_w, chance in zip(told.starts, told.power_w, told.chance_there, strict=True):
            rows.append(
                {
                    "when": f"{wording.day(start, 'D j M')} {wording.half_hour(start, start + HALF_HOUR)}",
                    "power": wording.power(round(power_w)),
                    "there": f"{100 * chance:.0f} %",
                    "asked": f"{100 * chance * told.chance_comes:.0f} %",
                    "expected": wording.power(round(power_w * chance * told.chance_comes)),
                }
            )
    context = {
        "asset": asset,
        "rows": rows,
        "direction": direction,
        "directions": [(each, wording.DIRECTIONS[each]) for each in Direction.values],
    }
    return render(request, "campaigns/asset_forecast.html", context)


def _asked(request: HttpRequest) -> tuple[ForecastFilter, QuerySet[FlexibilityForecast]]:
    newest = FlexibilityForecast.objects.order_by("-issued_at").values_list("issued_at", flat=True).first()
    of_newest = FlexibilityForecast.objects.filter(kind="", direction=Direction.TURN_DOWN)
    if newest is not None:
        of_newest = of_newest.filter(issued_at=newest)
    places = of_newest.exclude(zone="").order_by("zone_kind", "zone").values_list("zone_kind", "zone")
    form = ForecastFilter(request.GET, [("everywhere", ""), *places])
    form.is_valid()
    return form, FlexibilityForecast.objects.filter(**form.where())


def _shown(rows: QuerySet[FlexibilityForecast], at: datetime) -> Shown:
    row = rows.order_by("-issued_at").first()
    nothing = np.zeros((fans.DEVIATIONS.size, 0), np.int64)
    if row is None:
        return Shown(None, (), nothing, nothing)
    # What began already is shown until it is over.
    begun = max(0, (at - row.starts_at) // HALF_HOUR)
    starts = [row.starts_at + number * HALF_HOUR for number in range(len(row.most_w))]
    piece = slice(begun, begun + issuing.SHOWN)
    asked_w, there_w = (issuing.fan_of(each)[:, piece] for each in (row.asked_w, row.there_w))
    return Shown(row, tuple(starts[piece]), asked_w, there_w)


def _figure(shown: Shown) -> Any:
    return fan_figure(
        element_id="forecast-figure",
        label=_("What could be had by half-hour, from 10 to 90 in 100; the table below has the same numbers"),
        starts=shown.starts,
        fan_kw=(shown.asked_w / 1000).tolist(),
        lines=[(_("There before anybody says no"), BEFORE_COLOUR, (shown.there_w[1] / 1000).tolist())],
    )


def _past_figure(row: FlexibilityForecast) -> Any:
    was = [None if each == fans.UNKNOWN else each / 1000 for each in row.was_w or ()]
    return fan_figure(
        element_id="past-figure",
        label=_("The latest forecast that is over, against what was there; the file has the same numbers"),
        starts=[row.starts_at + number * HALF_HOUR for number in range(len(row.most_w))],
        fan_kw=(issuing.fan_of(row.there_w) / 1000).tolist(),
        lines=[(_("What was there"), BASELINE_COLOUR, was)],
    )


def _table(shown: Shown) -> list[dict[str, str]]:
    return [
        {
            "when": f"{wording.day(start, 'D j M')} {wording.half_hour(start, start + HALF_HOUR)}",
            "low": wording.kw(low),
            "middle": wording.kw(middle),
            "high": wording.kw(high),
            "there": wording.kw(there),
        }
        for start, (low, middle, high), there in zip(
            shown.starts, shown.asked_w.T.tolist(), shown.there_w[1].tolist(), strict=True
        )
    ]


def _most(shown: Shown) -> dict[str, str]:
    """The half-hour with most that is nearly sure, and how much."""
    place = int(shown.asked_w[0].argmax())
    start = shown.starts[place]
    if not shown.asked_w[0, place]:
        return {"power": wording.power(0), "when": wording.NOTHING}
    return {
        "power": wording.power(int(shown.asked_w[0, place])),
        "when": f"{wording.day(start, 'D j M')} {wording.half_hour(start, start + HALF_HOUR)}",
    }


def _score(past: Sequence[FlexibilityForecast]) -> dict[str, Any] | None:
    told = issuing.score_of(past)
    if told.pinball_w is None or told.persistence_pinball_w is None or told.coverage is None:
        return None
    return {
        "forecasts": len(past),
        "half_hours": f"{told.half_hours:,}",
        "loss": wording.power(round(told.pinball_w)),
        "persistence": wording.power(round(told.persistence_pinball_w)),
        "skill": wording.NOTHING if told.skill is None else f"{100 * told.skill:.0f} %",
        "is_worse": told.skill is not None and told.skill < 0,
        "coverage": f"{100 * told.coverage:.0f} %",
    }


def _zone_words(zone_kind: str, zone: str) -> str:
    words = str(ZONE_WORDS[zone_kind])
    return f"{words}: {zone.removeprefix('_')}" if zone else words


def _problems(form: forms.Form) -> str:
    return "\n".join(f"{field}: {' '.join(map(str, told))}" for field, told in form.errors.items())


def _told(data: Mapping[str, str]) -> dict[str, str]:
    return {name: data[name] for name in ("zone", "kind", "direction") if data.get(name)}
