"""Staff pages: what a VEN offers to report, what is asked of it, what it told: a graph, a table, a CSV."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from vtn import desk, report_pages, reporting
from vtn.lists import chosen, paged
from vtn.models import OfferedPoint, ReportOffer, ReportRequest, Ven
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, sentence, show

SPANS: Final = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31), "all": None}
SPAN_WORDS: Final = {
    "day": _lazy("The last day"),
    "week": _lazy("The last week"),
    "month": _lazy("The last month"),
    "all": _lazy("Everything"),
}
MOST_DRAWN: Final = 5_000
REQUESTS_SHOWN: Final = 30
TAGS: Final = {"asked": "info", "running": "good", "cancelling": "info", "done": "good", "refused": "bad"}


class AskForm(forms.Form):
    """A report by hand: which series, how fine, how often."""

    specifier_id = forms.CharField(widget=forms.HiddenInput, max_length=100)
    granularity_minutes = forms.IntegerField(min_value=0, max_value=44_640)
    report_back_minutes = forms.IntegerField(min_value=0, max_value=44_640)


@require_GET
@door(Deed.SEE)
def ven_reports(request: StaffRequest, ven_id: str) -> HttpResponse:
    """Offers, requests and the values of the series chosen."""
    ven = desk.ven(ven_id, at=clock.now(), wall=clock.wall_now())
    series = list(
        OfferedPoint.objects.filter(offer__ven=ven).select_related("offer").order_by("offer_id", "pk")
    )
    point = _point(series, request.GET.get("series", ""))
    span = chosen(request, "span", tuple(SPANS)) or "day"
    context: dict[str, Any] = {
        "ven": ven,
        "series": series,
        "point": point,
        "span": span,
        "spans": SPAN_WORDS.items(),
        "offers": [
            {
                "offer": offer,
                "points": [each for each in series if each.offer_id == offer.pk and not each.withdrawn_at],
            }
            for offer in ReportOffer.objects.filter(ven=ven).order_by("pk")
        ],
        "requests": [
            {"row": row, "tag": TAGS.get(row.state, ""), "state": row.get_state_display()}
            for row in ReportRequest.objects.filter(ven=ven)
            .select_related("offer")
            .order_by("-pk")[:REQUESTS_SHOWN]
        ],
        "may_ask": request.principal.may(Deed.MANAGE_REPORTS),
        "plotly": getattr(settings, "VTN_PLOTLY", ""),
    }
    if point is not None:
        length = SPANS[span]
        since = None if length is None else clock.now() - length
        rows = report_pages.values_of(
            ven, specifier_id=point.offer.specifier_id, r_id=point.r_id, starts_from=since
        )
        shown, pager = paged(request, rows.reverse())
        drawn = list(reversed(rows.reverse()[:MOST_DRAWN])) if context["plotly"] else []
        label = _("%(series)s in %(unit)s over time. The same numbers are in the table below.") % {
            "series": point.r_id,
            "unit": point.unit or _("its unit"),
        }
        context |= {
            "values": shown,
            "pager": pager,
            "figure": report_pages.figure_of(drawn, element_id="reported", label=label),
            "is_cut": len(drawn) == MOST_DRAWN,
        }
    return show(request, "vtn/ven_reports.html", context, section="vens")


@require_GET
@door(Deed.SEE)
def ven_reports_csv(request: StaffRequest, ven_id: str) -> Any:
    """The values of the series chosen, or of all, as a file."""
    ven = desk.ven(ven_id, at=clock.now(), wall=clock.wall_now())
    wanted = request.GET.get("series", "")
    series = OfferedPoint.objects.filter(offer__ven=ven).select_related("offer")
    point = series.filter(pk=wanted).first() if wanted.isascii() and wanted.isdigit() else None
    length = SPANS[chosen(request, "span", tuple(SPANS)) or "all"]
    rows = report_pages.values_of(
        ven,
        specifier_id=point.offer.specifier_id if point else "",
        r_id=point.r_id if point else "",
        starts_from=None if length is None else clock.now() - length,
    )
    return report_pages.csv_response(rows, ven_id=ven.ven_id)


@require_POST
@door(Deed.MANAGE_REPORTS)
def report_ask(request: StaffRequest, ven_id: str) -> HttpResponse:
    """Ask for the series ticked, once or again and again."""
    form = AskForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give minutes as whole numbers, 0 or more."))
        return redirect("vtn:ven_reports", ven_id)
    data = form.cleaned_data
    try:
        reporting.ask_for_report(
            ven_id=ven_id,
            specifier_id=data["specifier_id"],
            r_ids=[each.replace("\0", "") for each in request.POST.getlist("r_id")],
            granularity_seconds=data["granularity_minutes"] * 60,
            report_back_seconds=data["report_back_minutes"] * 60,
            at=clock.now(),
            by=request.principal.actor,
        )
    except DomainError as error:
        messages.error(request, sentence(error))
    else:
        messages.success(request, _("Queued: the VEN is asked for the report."))
    return redirect("vtn:ven_reports", ven_id)


@require_POST
@door(Deed.MANAGE_REPORTS)
def report_metadata(request: StaffRequest, ven_id: str) -> HttpResponse:
    """Ask the VEN what it can report."""
    return _done(
        request, ven_id, _("Queued: the VEN is asked what it can report."), reporting.ask_for_metadata
    )


@require_POST
@door(Deed.MANAGE_REPORTS)
def report_cancel(request: StaffRequest, ven_id: str, report_request_id: str) -> HttpResponse:
    """Call a report off, with one more to follow where that is ticked."""
    return _done(
        request,
        ven_id,
        _("Queued: the VEN is told to report this no more."),
        reporting.cancel_reports,
        report_request_ids=[report_request_id],
        is_report_to_follow=request.POST.get("to_follow") == "yes",
    )


def _done(request: StaffRequest, ven_id: str, words: str, act: Any, **settings_: Any) -> HttpResponse:
    if not Ven.objects.filter(ven_id=ven_id).exists():
        raise Http404
    try:
        act(ven_id=ven_id, at=clock.now(), by=request.principal.actor, **settings_)
    except DomainError as error:
        messages.error(request, sentence(error))
    else:
        messages.success(request, words)
    return redirect("vtn:ven_reports", ven_id)


def _point(series: list[OfferedPoint], wanted: str) -> OfferedPoint | None:
    """The series asked for by its row, the first one otherwise."""
    by_key = {str(each.pk): each for each in series}
    return by_key.get(wanted) or (series[0] if series else None)
