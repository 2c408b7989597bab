"""A partner's own pages: counts and totals over many homes by day, week and month, and as a file."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

import members.queries
from members.partner_models import Partner
from members.policy import own_partner
from metering import partner_totals
from metering.aggregates import LEAST_HOMES, Withheld
from metering.partner_totals import Period, month_of
from opendsr.kernel import clock
from opendsr.kernel.periods import civil_date
from opendsr.web import wording
from opendsr.web.charts import Figure, bars_figure
from opendsr.web.entering import signed_in

ONE_DAY: Final = timedelta(days=1)
VIEWS: Final = {"month": _lazy("Months"), "week": _lazy("Weeks"), "day": _lazy("Days")}
WEEKS_SHOWN: Final = 13
COLUMNS: Final = (
    "starts_on", "ends_on", "days", "days_told", "homes_least", "homes_most", "import_wh", "export_wh",
    "withheld",
)  # fmt: skip
WHY: Final = {
    Withheld.TOO_FEW: _lazy("too few homes"),
    Withheld.STANDS_OUT: _lazy("one home would stand out"),
}


@require_GET
@signed_in
def partner_home(request: HttpRequest) -> HttpResponse:
    """Twelve months, thirteen weeks or a month of days, newest first."""
    partner = own_partner(request.user)
    view = request.GET.get("view", "month")
    view = view if view in VIEWS else "month"
    span = partner_totals.span_told(partner.pk)
    context: dict[str, Any] = {
        "partner": partner,
        "view": view,
        "views": VIEWS.items(),
        "least": LEAST_HOMES,
        "ready_days": partner_totals.READY_DAYS,
        "linked": f"{members.queries.partner_home_count(partner.pk, month_of(civil_date(clock.now()))):,}",
    }
    if span is not None:
        oldest, past = span
        newest = past - ONE_DAY
        counted = partner_totals.homes_counted(partner.pk)
        context |= {
            "counted": f"{counted:,}" if counted else _("fewer than %(least)s") % {"least": LEAST_HOMES},
            "latest": dateformat.format(newest, "F Y"),
        }
        day = min(max(_day(request) or newest, oldest), newest)
        bounds = [each for each in _bounds(view, day) if each[1] > oldest and each[0] <= newest]
        periods = partner_totals.periods(partner.pk, bounds)
        first, end = bounds[0][0], bounds[-1][1]
        context |= {
            "title": _title(view, first, end),
            "figure": _figure(view, periods),
            "rows": [_row(view, each) for each in reversed(periods)],
            "has_export": any(each.export_wh for each in periods),
            "earlier": first - ONE_DAY if first > oldest else None,
            "later": end if end <= newest else None,
        }
    return render(request, "web/partner.html", context)


@require_GET
@signed_in
def partner_csv(request: HttpRequest) -> HttpResponse:
    """Every day that was told, as a file."""
    partner = own_partner(request.user)
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    writer.writerows(_file_row(each) for each in _every_day(partner))
    answer = HttpResponse(written.getvalue().encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="totals.csv"'
    return answer


def _every_day(partner: Partner) -> list[Period]:
    span = partner_totals.span_told(partner.pk)
    if span is None:
        return []
    oldest, past = span
    days = [oldest + number * ONE_DAY for number in range((past - oldest).days)]
    return partner_totals.periods(partner.pk, [(day, day + ONE_DAY) for day in days])


def _file_row(period: Period) -> list[object]:
    return [
        period.starts_on, period.ends_on, period.days, period.days_told, *period.homes,
        "" if period.import_wh is None else period.import_wh,
        "" if period.export_wh is None else period.export_wh,
        " ".join(period.withheld),
    ]  # fmt: skip


def _bounds(view: str, day: date) -> list[tuple[date, date]]:
    """The stretches around the day: months of its year, weeks up to its own, or days of its month."""
    if view == "month":
        starts = [date(day.year, month, 1) for month in range(1, 13)]
        return list(zip(starts, [*starts[1:], date(day.year + 1, 1, 1)], strict=True))
    if view == "week":
        monday = day - timedelta(days=day.weekday())
        mondays = [monday - timedelta(weeks=back) for back in range(WEEKS_SHOWN - 1, -1, -1)]
        return [(each, each + 7 * ONE_DAY) for each in mondays]
    first = month_of(day)
    count = (month_of(first + 31 * ONE_DAY) - first).days
    return [(first + number * ONE_DAY, first + (number + 1) * ONE_DAY) for number in range(count)]


def _title(view: str, first: date, past: date) -> str:
    if view == "month":
        return str(first.year)
    if view == "day":
        return dateformat.format(first, "F Y")
    words = {"first": dateformat.format(first, "j F Y"), "last": dateformat.format(past - ONE_DAY, "j F Y")}
    return _("%(first)s to %(last)s") % words


def _name(view: str, day: date) -> str:
    return dateformat.format(day, {"month": "M Y", "week": "j M Y", "day": "D j M"}[view])


def _figure(view: str, periods: list[Period]) -> Figure:
    return bars_figure(
        element_id="partner-figure",
        label=_("Electricity used by all homes counted; the table below has the same numbers"),
        names=[_name(view, each.starts_on) for each in periods],
        kwh=[None if each.import_wh is None else each.import_wh / 1000 for each in periods],
        before_kwh=[],
        before_name="",
    )


def _row(view: str, period: Period) -> dict[str, Any]:
    fewest, most = period.homes
    return {
        "label": _name(view, period.starts_on) if view != "week" else _week(period),
        "homes": wording.NOTHING if not most else f"{most:,}" if fewest == most else f"{fewest:,}–{most:,}",
        "used": _kwh(period.import_wh),
        "exported": _kwh(period.export_wh),
        "note": _note(view, period),
    }


def _week(period: Period) -> str:
    first, last = period.starts_on, period.ends_on - ONE_DAY
    return f"{dateformat.format(first, 'j M')} – {dateformat.format(last, 'j M Y')}"


def _note(view: str, period: Period) -> str:
    why = ", ".join(str(WHY[Withheld(each)]) for each in period.withheld)
    if period.days_told == period.days:
        return ""
    if not period.days_told:
        return _("Withheld: %(why)s") % {"why": why} if why else _("Not told yet")
    told = _("%(told)s of %(days)s days") % {"told": period.days_told, "days": period.days}
    return f"{told} ({why})" if why else told


def _kwh(wh: int | None) -> str:
    """Energy in tenths of a kWh, as exactly as it is told."""
    return wording.NOTHING if wh is None else f"{wh / 1000:,.1f}"


def _day(request: HttpRequest) -> date | None:
    try:
        return date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        return None
