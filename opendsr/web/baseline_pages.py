"""Pages about baselines: the rules with their sources, and one home's baseline worked out in the open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import dateformat
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

import settlement.policy
from opendsr.kernel.interval import HALF_HOUR
from opendsr.web import wording
from opendsr.web.charts import half_hour_figure
from opendsr.web.entering import signed_in
from settlement import rules as room_rules
from settlement import statements
from settlement.asset_power import AssetPower, asset_power
from settlement.baselines.calendars import CALENDAR_WORDS
from settlement.baselines.explaining import LEFT_OUT_WORDS, Explanation, PartExplanation, window_z
from settlement.baselines.gaming import THRESHOLD
from settlement.baselines.presets import PRESETS
from settlement.baselines.rules import CERTAINTY_WORDS, Adjustment, BaselineRule, Certainty, Keep, Method
from settlement.models import HomeDelivery

TAGS: Final = {
    Certainty.READ: "good",
    Certainty.MIXED: "info",
    Certainty.SECONDARY: "warning",
    Certainty.UNCONFIRMED: "warning",
    Certainty.OURS: "info",
}
MARKS: Final[dict[Certainty, str | Promise]] = {
    Certainty.READ: _lazy("read"),
    Certainty.MIXED: _lazy("partly read"),
    Certainty.SECONDARY: _lazy("secondary"),
    Certainty.UNCONFIRMED: _lazy("unconfirmed"),
    Certainty.OURS: _lazy("ours"),
}
KEEP_WORDS: Final[dict[Keep, str | Promise]] = {
    Keep.ALL: _lazy("all"),
    Keep.RECENT: _lazy("the newest"),
    Keep.HIGH: _lazy("the highest"),
    Keep.MID: _lazy("the middle"),
    Keep.LOW: _lazy("the lowest"),
}


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule in words."""

    name: str
    title: str
    does: tuple[str, ...]
    source: str
    mark: str
    certainty: str
    tag: str
    unsure: str
    note: str
    may_settle: bool


@require_GET
@signed_in
def rule_list(request: HttpRequest) -> HttpResponse:
    """Every named rule: what it does, where that was read and how sure it is."""
    settlement.policy.require_sees_baselines(request.user)
    rows = [
        RuleRow(
            name=rule.name,
            title=rule.title,
            does=tuple(in_words(rule)),
            source=rule.source,
            mark=str(MARKS[rule.certainty]),
            certainty=CERTAINTY_WORDS[rule.certainty],
            tag=TAGS[rule.certainty],
            unsure=", ".join(name.replace("_", " ").replace(".", ": ") for name in rule.unsure),
            note=rule.note,
            may_settle=rule.method not in room_rules.NOT_FOR_TERMS,
        )
        for rule in PRESETS.values()
    ]
    return render(request, "settlement/baseline_rules.html", {"rules": rows})


SEEN_FROM: Final = 0.75
LIKELY_FROM: Final = 0.45


@require_GET
@signed_in
def explained(request: HttpRequest, campaign_id: UUID, occupancy_id: UUID) -> HttpResponse:
    """How one home's baseline in a settled campaign came about, in words and tables."""
    delivery = settlement.policy.access_delivery(request.user, campaign_id, occupancy_id)
    page = explained_page(delivery)
    assets = asset_power(delivery.run.campaign, occupancy_id, reader=f"user:{request.user.pk}")
    page["assets"] = [_asset(each) for each in assets]
    return render(request, "settlement/baseline_explained.html", page)


def in_words(rule: BaselineRule) -> Iterator[str]:
    """What the rule does, a sentence a line."""
    if rule.method is Method.ZERO:
        yield _("The baseline is nought.")
    elif rule.method is Method.NOMINATED:
        yield _("The baseline is what was nominated; a half-hour without a nomination has none.")
    elif rule.method is Method.PROFILE:
        yield _("The baseline is a published profile by time of day, times the number of assets instructed.")
    if not rule.uses_days:
        return
    for kind in rule.day_types:
        words = _(
            "%(name)s: %(keep)s %(kept)s of %(candidates)s like days, at least %(minimum)s with a reading."
        )
        if kind.kept is None:
            words = _("%(name)s: %(candidates)s like days, at least %(minimum)s with a reading.")
        yield words % {
            "name": kind.name.capitalize(),
            "keep": KEEP_WORDS[kind.keep],
            "kept": kind.kept,
            "candidates": kind.candidates,
            "minimum": kind.minimum,
        }
    out = [
        words
        for is_out, words in (
            (rule.leaves_out_event_days, _("event days")),
            (rule.leaves_out_clock_change_days, _("clock-change days")),
            (rule.low_use_pct > 0, _("days of under %(pct)s %% of usual use") % {"pct": rule.low_use_pct}),
        )
        if is_out
    ]
    yield _("Looks back %(days)s days; bank holidays of %(calendar)s.") % {
        "days": rule.look_back_days,
        "calendar": CALENDAR_WORDS[rule.calendar],
    }
    if out:
        yield _("Leaves out %(what)s.") % {"what": ", ".join(out)}
    if rule.method is Method.ROLLING:
        yield _("Each newer day moves the baseline by %(pct)s %% of the difference.") % {
            "pct": rule.newest_weight_pct
        }
    if rule.method is Method.REGRESSION:
        yield _("A straight line against degrees below %(base)s °C.") % {
            "base": rule.heating_base_tenths_c / 10
        }
    yield _adjustment_words(rule)


def explained_page(delivery: HomeDelivery) -> dict[str, Any]:
    """Everything on the page of one home's baseline."""
    run, view = delivery.run, statements.delivery_view(delivery)
    rule = BaselineRule.from_data(run.rule)
    told, half_hours = view.explanation, view.half_hours
    z = window_z(told)
    return {
        "campaign": run.campaign,
        "home": delivery.occupancy.home.name,
        "when": wording.stretch(run.campaign.starts_at, run.campaign.ends_at),
        "run": run.sequence,
        "standing": delivery.get_standing_display(),
        "rule": rule.title,
        "source": rule.source,
        "mark": MARKS[rule.certainty],
        "certainty": CERTAINTY_WORDS[rule.certainty],
        "certainty_tag": TAGS[rule.certainty],
        "does": tuple(in_words(rule)),
        "figure": half_hour_figure(
            element_id="explained-figure",
            label=_("Baseline and meter by half-hour; the table has the numbers"),
            starts=[each.starts_at for each in half_hours],
            metered_kwh=[_kwh(each.metered_wh) for each in half_hours],
            baseline_kwh=[_kwh(each.baseline_wh) for each in half_hours],
        ),
        "rows": [
            {
                "label": wording.half_hour(each.starts_at, each.starts_at + HALF_HOUR),
                "mean": _mean_words(told, each.starts_at),
                "baseline": wording.kwh(each.baseline_wh),
                "metered": wording.kwh(each.metered_wh),
                "delivered": wording.kwh(each.delivered_wh),
            }
            for each in half_hours
        ],
        "has_mean": rule.method is Method.MEAN,
        "parts": [_part(part) for part in told.parts],
        "window": [
            {
                "label": wording.half_hour(each.start, each.start + HALF_HOUR),
                "metered": wording.kwh(each.wh),
                "is_counted": each.is_counted,
            }
            for each in told.window
        ],
        "adjustment": _adjusted(told),
        "z": None if z is None else f"{z:+.1f}",
        "is_flagged": z is not None and z > THRESHOLD,
    }


def _asset(asset: AssetPower) -> dict[str, Any]:
    """An asset's line: its kW by half-hour, each with how sure it is."""
    return {
        "name": asset.name,
        "how": _("its own meter") if asset.is_measured else _("estimated"),
        "cells": [
            (
                wording.NOTHING if kw is None else f"{kw:,.2f}",
                "" if asset.is_measured else _sure(sure),
            )
            for kw, sure in zip(asset.kw, asset.confidence, strict=True)
        ],
    }


def _sure(confidence: float) -> str:
    """The confidence of an estimate in percent and a word."""
    words = (
        _("seen") if confidence >= SEEN_FROM else _("likely") if confidence >= LIKELY_FROM else _("assumed")
    )
    return f"{round(100 * confidence)} %, {words}"


def _kwh(wh: int | None) -> float | None:
    return None if wh is None else wh / 1000


def _part(part: PartExplanation) -> dict[str, Any]:
    count = part.event_count
    return {
        "day": dateformat.format(part.day, wording.LONG_DAY),
        "day_type": part.day_type,
        "heads": [wording.half_hour(start, start + HALF_HOUR) for start in part.starts[:count]],
        "rows": [
            (dateformat.format(used.day, wording.SHORT_DAY), [wording.kwh(wh) for wh in used.wh[:count]])
            for used in part.used
        ]
        if count
        else [],
        "left_out": [
            (dateformat.format(out.day, wording.SHORT_DAY), LEFT_OUT_WORDS[out.reason])
            for out in part.left_out
        ],
        "is_window_only": not count,
        "minimum": part.minimum,
    }


def _mean_words(told: Explanation, start: Any) -> str:
    mean = told.mean_wh(start)
    return wording.NOTHING if mean is None else wording.kwh(round(mean))


def _adjusted(told: Explanation) -> str:
    if told.adjustment_wh is None and told.adjustment_ratio is None:
        return ""
    counted = sum(each.is_counted for each in told.window)
    if not counted:
        return _("No half-hour of the window could be counted, so nothing was adjusted.")
    of = ngettext("%(n)s half-hour", "%(n)s half-hours", counted) % {"n": counted}
    if told.adjustment_ratio is not None:
        words = _("Over %(of)s of the window the home used %(ratio)s times what it usually uses then.") % {
            "of": of,
            "ratio": f"{float(told.adjustment_ratio):.3f}",
        }
    else:
        words = _("%(kwh)s kWh are added to each half-hour: the mean difference to usual over %(of)s.") % {
            "kwh": f"{float(told.adjustment_wh or 0) / 1000:+.3f}",
            "of": of,
        }
    return f"{words} {_('The rule’s bound decided it.')}" if told.is_bounded else words


def _adjustment_words(rule: BaselineRule) -> str:
    if rule.adjustment is Adjustment.NONE:
        return _("No same-day adjustment.")
    kinds = {
        Adjustment.ADDITIVE: _("added"),
        Adjustment.ADDITIVE_UP_ONLY: _("added, upwards only"),
        Adjustment.RATIO: _("as a ratio"),
    }
    words = _("Same-day adjustment %(kind)s, from %(window)s.") % {
        "kind": kinds[rule.adjustment],
        "window": _window_words(rule),
    }
    if rule.floor_pct is None and rule.cap_pct is None:
        return words
    bounds = _("Between %(low)s %% and %(high)s %%.") % {
        "low": 0 if rule.floor_pct is None else rule.floor_pct,
        "high": "∞" if rule.cap_pct is None else rule.cap_pct,
    }
    return f"{words} {bounds}"


def _window_words(rule: BaselineRule) -> str:
    spans = []
    if rule.window_half_hours:
        spans.append(
            _("%(hours)s h that end %(gap)s h before the event")
            % {
                "hours": f"{rule.window_half_hours / 2:g}",
                "gap": f"{rule.window_ends_half_hours_before / 2:g}",
            }
        )
    if rule.after_half_hours:
        spans.append(
            _("%(hours)s h that begin %(gap)s h after it")
            % {
                "hours": f"{rule.after_half_hours / 2:g}",
                "gap": f"{rule.after_starts_half_hours_after / 2:g}",
            }
        )
    return _(" and ").join(spans)
