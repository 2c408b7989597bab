"""The co-op's figures by month: money, people, carbon and technique, as kept each night, and as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import dateformat
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from assets.policy import DEVICE_STAFF
from members import groups
from members.enquiry_models import Tenure
from members.policy import has_role, require_role
from metering.causes import Cause
from opendsr.kernel.spreadsheets import inert
from opendsr.web import cause_words, live_board, wording
from opendsr.web.charts import (
    BASELINE_COLOUR,
    BEFORE_COLOUR,
    METERED_COLOUR,
    PRICE_COLOUR,
    groups_figure,
    months_figure,
)
from opendsr.web.entering import signed_in
from settlement.kpi_models import MonthFigures
from settlement.kpis.calculations import LEAST_HOMES, share
from settlement.kpis.monthly import DIRECT_SECONDS, GOAL_SECONDS
from settlement.policy import SEES_FIGURES

MONTHS_SHOWN: Final = 24
PARTS: Final = ("economic", "social", "environmental", "technical")
LEG_WORDS: Final[Mapping[int, str | Promise]] = {
    1: _lazy("Approval to sent"),
    2: _lazy("Sent to fetched by the hub"),
    3: _lazy("Fetched to the hub’s answer"),
    4: _lazy("Approval to the hub’s answer"),
    5: _lazy("Start to the change seen at the device"),
}
GOAL_LEGS: Final = (4, 5)
SORT_WORDS: Final[Mapping[str, Mapping[str, str | Promise]]] = {
    "tenure": {**dict(Tenure.choices), "": _lazy("Not known how they hold it")},
    "payment": {
        groups.PREPAYMENT: _lazy("Pay for electricity in advance"),
        groups.CREDIT: _lazy("Pay by direct debit or when the bill comes"),
        groups.NOT_KNOWN: _lazy("Not known how they pay"),
    },
    "needs": {"some": _lazy("Told us of needs"), "none": _lazy("Told us of no needs")},
}
SHORT_WORDS: Final[Mapping[str, Mapping[str, str | Promise]]] = {
    "tenure": {
        "owner": _lazy("Owners"),
        "social": _lazy("Social renters"),
        "private": _lazy("Private renters"),
        "": _lazy("Tenure unknown"),
    },
    "payment": {
        groups.PREPAYMENT: _lazy("Prepayment"),
        groups.CREDIT: _lazy("Pay afterwards"),
        groups.NOT_KNOWN: _lazy("Payment unknown"),
    },
    "needs": {"some": _lazy("Needs told"), "none": _lazy("No needs told")},
}
TENURE_WORDS: Final = {
    Tenure.OWNER: _lazy("Own their home"),
    Tenure.SOCIAL: _lazy("Rent from a council or housing association"),
    Tenure.PRIVATE: _lazy("Rent privately"),
}


@require_GET
@signed_in
def kpis(request: HttpRequest) -> HttpResponse:
    """The latest two years of months, and one month close to."""
    require_role(request.user, *SEES_FIGURES)
    kept = list(MonthFigures.objects.order_by("-starts_on")[:MONTHS_SHOWN])
    context: dict[str, Any] = {"least": LEAST_HOMES, "goal": GOAL_SECONDS, "direct_goal": DIRECT_SECONDS}
    if kept:
        by_time = kept[::-1]
        chosen = _chosen(request, kept)
        context |= {
            "worked_out": wording.moment(max(each.worked_out_at for each in kept)),
            "chosen": _long(chosen.starts_on),
            "chosen_key": f"{chosen.starts_on:%Y-%m}",
            "unknown": list(_unknown(chosen.figures)),
            "money": [_money(each) for each in kept],
            "money_figure": _money_figure(by_time),
            "carbon": [_carbon(each) for each in kept],
            "carbon_figure": _carbon_figure(by_time),
            "technique": [_technique(each) for each in kept],
            "technique_figure": _technique_figure(by_time),
            "groups": _groups(chosen.figures["social"]),
            "groups_figure": _groups_figure(chosen.figures["social"]),
            "legs": [_leg(each) for each in chosen.figures["technical"]["legs"]],
            "sees_devices": has_role(request.user, *DEVICE_STAFF),
            "causes": _causes(chosen.figures["technical"]["causes"]),
        }
    return render(request, "web/kpis.html", context)


@require_GET
@signed_in
def kpis_csv(request: HttpRequest) -> HttpResponse:
    """Every figure of every month: a row a figure."""
    require_role(request.user, *SEES_FIGURES)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["month", "part", "group", "figure", "value"])
    for row in MonthFigures.objects.order_by("starts_on").iterator():
        for part in PARTS:
            for group, figure, value in _flat(row.figures[part]):
                told = inert(value) if isinstance(value, str) else value
                writer.writerow(
                    [f"{row.starts_on:%Y-%m}", part, inert(group), figure, "" if told is None else told]
                )
    answer = HttpResponse(out.getvalue().encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="figures.csv"'
    return answer


def _flat(part: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(group, figure, value): nested figures by their group; a group that is not told says so."""
    for name, held in part.items():
        if isinstance(held, Mapping):
            for group, each in held.items():
                if each is None:
                    yield f"{name}: {group or 'not known'}", "told", f"no, fewer than {LEAST_HOMES} homes"
                elif isinstance(each, Mapping):
                    for figure, value in each.items():
                        yield f"{name}: {group or 'not known'}", figure, value
                else:
                    yield name, group, each
        elif isinstance(held, list):
            for each in held:
                told = dict(each)
                group = f"{'direct' if told.pop('is_direct') else 'other'} leg {told.pop('leg')}"
                for figure, value in told.items():
                    yield group, figure, value
        else:
            yield "", name, held


def _chosen(request: HttpRequest, kept: Sequence[MonthFigures]) -> MonthFigures:
    """The month asked for, else the latest in which a campaign was settled, else the latest."""
    asked = request.GET.get("month", "")
    for each in kept:
        if f"{each.starts_on:%Y-%m}" == asked:
            return each
    return next((each for each in kept if each.figures["economic"]["settled"]), kept[0])


def _unknown(figures: Mapping[str, Any]) -> Iterator[str]:
    """What of the month is not known, in words."""
    money, carbon, technique = figures["economic"], figures["environmental"], figures["technical"]
    waiting = money["campaigns"] - money["settled"]
    if waiting:
        words = ngettext(
            "%(n)s campaign is not settled: its money, energy and carbon are not in these figures.",
            "%(n)s campaigns are not settled: their money, energy and carbon are not in these figures.",
            waiting,
        )
        yield words % {"n": waiting}
    if money["settled"] > money["final"]:
        yield _("Settlements that are provisional may still change.")
    without = carbon["event_without_carbon"] + carbon["after_without_carbon"]
    if without:
        words = ngettext(
            "%(n)s half-hour in or after events has no carbon intensity; it is left out, not taken for zero.",
            "%(n)s half-hours in or after events have no carbon intensity; they are left out, not taken for "
            "zero.",
            without,
        )
        yield words % {"n": without}
    if carbon["own_use_g"] is None:
        yield _("No carbon intensity of the month is known: bring it in under Imports.")
    if carbon["runs_without_after"]:
        words = ngettext(
            "Of %(n)s event it is not known what came back in the hours after.",
            "Of %(n)s events it is not known what came back in the hours after.",
            carbon["runs_without_after"],
        )
        yield words % {"n": carbon["runs_without_after"]}
    if technique["hubs_online"] is None:
        yield _("Whether hubs were heard was not watched in this month.")
    if not technique["expected_half_hours"]:
        yield _("Missing readings have not been counted yet.")
    if "payment" not in figures["social"]:
        yield _("How homes pay for electricity was not asked yet when the month was worked out.")


def _name(month: date) -> str:
    return dateformat.format(month, "M Y")


def _long(month: date) -> str:
    return dateformat.format(month, "F Y")


def _row(each: MonthFigures) -> dict[str, Any]:
    return {"month": _name(each.starts_on), "key": f"{each.starts_on:%Y-%m}"}


def _money(each: MonthFigures) -> dict[str, Any]:
    told = each.figures["economic"]
    homes = told["homes_paid"]
    return _row(each) | {
        "campaigns": _("%(settled)s of %(all)s") % {"settled": told["settled"], "all": told["campaigns"]},
        "income": wording.money(told["revenue_mp"]),
        "members": wording.money(told["members_mp"]),
        "share": _percent(share(told["members_mp"], told["revenue_mp"])),
        "fund": wording.money(told["fund_mp"] + told["gifts_mp"]),
        "coop": wording.money(told["coop_mp"]),
        "a_home": wording.money(told["members_mp"] // homes) if homes else wording.NOTHING,
    }


def _money_figure(kept: Sequence[MonthFigures]) -> Any:
    def pounds(name: str) -> list[float | None]:
        return [each.figures["economic"][name] / 100_000 for each in kept]

    return months_figure(
        element_id="money-figure",
        label=_("Income by month and who it went to; the table below has the same numbers"),
        names=[_name(each.starts_on) for each in kept],
        series=[
            (_("Members"), METERED_COLOUR, pounds("members_mp")),
            (_("Community fund"), PRICE_COLOUR, pounds("fund_mp")),
            (_("Co-op"), BEFORE_COLOUR, pounds("coop_mp")),
        ],
        unit="£",
        stacked=True,
    )


def _net_g(told: Mapping[str, Any]) -> int | None:
    """Carbon not emitted, less what came back and what the co-op's own devices drew; None when not known."""
    if told["own_use_g"] is None:
        return None
    return int(told["event_g"] + told["after_g"] - told["own_use_g"])


def _carbon(each: MonthFigures) -> dict[str, Any]:
    told = each.figures["environmental"]
    is_rated = told["event_half_hours"] > told["event_without_carbon"]
    return _row(each) | {
        "moved": _kwh(told["event_wh"]),
        "back": _kwh(-told["after_wh"]),
        "own": _kwh(told["own_use_wh"]),
        "event": _kg(told["event_g"]) if is_rated or not told["event_half_hours"] else wording.NOTHING,
        "after": _kg(told["after_g"]),
        "own_carbon": _kg(None if told["own_use_g"] is None else -told["own_use_g"]),
        "net": _kg(_net_g(told)),
    }


def _carbon_figure(kept: Sequence[MonthFigures]) -> Any:
    told = [each.figures["environmental"] for each in kept]
    return months_figure(
        element_id="carbon-figure",
        label=_("Carbon not emitted by month, with rebound and own use; the table has the same numbers"),
        names=[_name(each.starts_on) for each in kept],
        series=[
            (_("In events"), METERED_COLOUR, [each["event_g"] / 1000 for each in told]),
            (_("Hours after"), BASELINE_COLOUR, [each["after_g"] / 1000 for each in told]),
            (
                _("Own use"),
                BEFORE_COLOUR,
                [None if each["own_use_g"] is None else -each["own_use_g"] / 1000 for each in told],
            ),
        ],
        unit="kg CO₂",
        stacked=True,
    )


def _technique(each: MonthFigures) -> dict[str, Any]:
    told = each.figures["technical"]
    return _row(each) | {
        "asked": _kwh(told["asked_wh"]),
        "delivered": _kwh(told["delivered_wh"]),
        "ratio": _percent(share(told["delivered_wh"], told["asked_wh"])),
        "responding": _percent(share(told["assets_responding"], told["assets_asked"])),
        "online": _percent(told["hubs_online"]),
        "missing": _percent(share(told["missing_half_hours"], told["expected_half_hours"])),
    }


def _technique_figure(kept: Sequence[MonthFigures]) -> Any:
    told = [each.figures["technical"] for each in kept]

    def percent(part: str, whole: str) -> list[float | None]:
        return [_times_100(share(each[part], each[whole])) for each in told]

    return months_figure(
        element_id="technique-figure",
        label=_("Delivered, responding and heard by month, in percent; the table below has the same numbers"),
        names=[_name(each.starts_on) for each in kept],
        series=[
            (_("Delivered of asked"), METERED_COLOUR, percent("delivered_wh", "asked_wh")),
            (_("Assets responding"), BASELINE_COLOUR, percent("assets_responding", "assets_asked")),
            (_("Hubs online"), PRICE_COLOUR, [_times_100(each["hubs_online"]) for each in told]),
        ],
        unit="%",
        lines=True,
    )


def _groups(social: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the groups, tenure first; those too small to tell say so."""
    rows = []
    for sort in SORT_WORDS:
        for group, told in social.get(sort, {}).items():
            if told is None:
                rows.append({"label": _group_words(sort, group), "is_hidden": True})
                continue
            homes, asked = told["homes"], told["asked"]
            rows.append(
                {
                    "label": _group_words(sort, group),
                    "homes": f"{homes:,}",
                    "asked": f"{asked:,}",
                    "asks": f"{told['asks'] / homes:,.1f}" if homes else wording.NOTHING,
                    "earned": wording.money(told["earned_mp"]),
                    "a_home": wording.money(told["earned_mp"] // homes) if homes else wording.NOTHING,
                }
            )
    return rows


def _groups_figure(social: Mapping[str, Any]) -> Any | None:
    told = [
        (str(SHORT_WORDS[sort][group]), each)
        for sort in SORT_WORDS
        for group, each in social.get(sort, {}).items()
        if each is not None and each["homes"]
    ]
    if not told:
        return None
    return groups_figure(
        element_id="groups-figure",
        label=_("What a home of each group earned on average; the table below has the same numbers"),
        names=[words for words, _each in told],
        values=[each["earned_mp"] / each["homes"] / 100_000 for _words, each in told],
        unit="£",
    )


def _group_words(sort: str, group: str) -> str:
    if sort == "tenure" and group:
        return str(TENURE_WORDS[Tenure(group)])
    return str(SORT_WORDS[sort][group])


def _leg(told: Mapping[str, Any]) -> dict[str, Any]:
    has_goal = told["leg"] in GOAL_LEGS
    goal = DIRECT_SECONDS if told["is_direct"] else GOAL_SECONDS
    return {
        "leg": LEG_WORDS[told["leg"]],
        "what": _("Direct load control") if told["is_direct"] else _("Other campaigns"),
        "assets": f"{told['assets']:,}",
        "p50": live_board.seconds(told["p50_seconds"]),
        "p95": live_board.seconds(told["p95_seconds"]),
        "goal": f"{goal} s" if has_goal else "",
        "within": _percent(share(told["within_goal"], told["assets"])) if has_goal else "",
        "is_late": has_goal and 100 * told["within_goal"] < 95 * told["assets"],
    }


def _causes(told: Mapping[str, int]) -> list[tuple[str, str]]:
    ordered = sorted(told.items(), key=lambda each: (-each[1], each[0]))
    return [(str(cause_words.WORDS[Cause(cause)][0]), f"{count:,}") for cause, count in ordered]


def _kwh(wh: int) -> str:
    return f"{wh / 1000:,.1f}"


def _kg(grams: int | None) -> str:
    return wording.NOTHING if grams is None else f"{grams / 1000:,.1f}"


def _percent(part: float | None) -> str:
    return wording.NOTHING if part is None else f"{100 * part:,.1f} %"


def _times_100(part: float | None) -> float | None:
    return None if part is None else 100 * part
