"""Pages about readings: a household's own use by week and year and as a file; staff's data health board."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date, datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import members.policy
import members.queries
from members import consenting
from members.caring import LONGEST_REASON
from members.models import Channel, Granularity, Member, Occupancy, Purpose
from members.policy import require_role
from metering import health, missing, store
from metering.policy import SEES_HEALTH, SEES_HOMES
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import cause_words, member_home, usage_page, wording
from opendsr.web.entering import signed_in
from opendsr.web.landlords import landlords_of
from opendsr.web.refusals import sentence
from opendsr.web.watching import because

RESOLUTIONS: Final = {
    Granularity.LIVE.value: _lazy("every 10 seconds"),
    Granularity.HALF_HOURLY.value: _lazy("half-hours"),
    Granularity.DAILY.value: _lazy("days only"),
    Granularity.MONTHLY.value: _lazy("months only"),
}
COLUMNS: Final = (
    "meter",
    "period",
    "starts_at",
    "ends_at",
    "import_wh",
    "export_wh",
    "power_w",
    "quality",
    "source",
    "revision",
    "known_at",
    "in_use",
)


@require_GET
@signed_in
def usage(request: HttpRequest) -> HttpResponse:
    """The member's use in a week or a year, with the stretch before beside it."""
    at = clock.now()
    member = members.queries.member_of(request.user)
    if member is None:
        return redirect("home")
    stays = member_home.stays_of(member, at)
    view = request.GET.get("view", "week")
    view = view if view in usage_page.VIEWS else "week"
    streams = usage_page.streams_of(stays, at)
    context = {
        "usage": usage_page.usage_bars(streams, view, _day(request)),
        "totals": usage_page.coarse_totals(streams),
        "view": view,
        "resolutions": _resolutions(stays, at),
        "landlords": landlords_of(stays, at),
    }
    return render(request, "web/usage.html", context)


@require_GET
@signed_in  # type: ignore[arg-type]
def usage_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Every reading of the household as CSV."""
    member = _member(request)
    answer = StreamingHttpResponse(_csv_lines(member), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="readings-{member.number}.csv"'
    return answer


@require_GET
@signed_in  # type: ignore[arg-type]
def usage_json(request: HttpRequest) -> StreamingHttpResponse:
    """The same as JSON: one list of objects."""
    member = _member(request)
    answer = StreamingHttpResponse(_json_lines(member), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="readings-{member.number}.json"'
    return answer


@require_POST
@signed_in
def choose_resolution(request: HttpRequest, consent_id: UUID) -> HttpResponse:
    """Keep readings more or less finely from now on: what is consented to decides what is stored."""
    at = clock.now()
    consent = members.policy.access_consent(request.user, consent_id, at)
    try:
        consenting.choose_granularity(
            consent_id=consent.pk,
            member=_member(request),
            granularity=request.POST.get("granularity", ""),
            channel=Channel.WEB,
            at=at,
        )
    except DomainError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise
        messages.error(request, sentence(error))
    else:
        messages.success(request, _("Saved. From now on your readings are kept this finely and no finer."))
    return redirect("usage")


@require_GET
@signed_in
def data_health(request: HttpRequest) -> HttpResponse:
    """How well readings come in."""
    require_role(request.user, *SEES_HEALTH)
    at = clock.now()
    board = health.board(at=at)
    homes = members.queries.homes_of_streams(board.without_readings[: health.MOST_LISTED])
    context = {
        "board": board,
        "days": [
            {
                "day": wording.civil_day(row.day),
                "expected": f"{row.expected:,}",
                "by_d1": _share(row.by_d1, row.expected),
                "by_d3": wording.NOTHING if row.by_d3 is None else _share(row.by_d3, row.expected),
            }
            for row in board.completeness
        ],
        "silent": [
            {
                "name": sender.name,
                "since": wording.moment(sender.received_at) if sender.received_at else "",
            }
            for sender in board.silent
        ],
        "drifting": [{"name": each.name, "seconds": f"{each.drift_seconds:+d}"} for each in board.drifting],
        "homes": homes,
        "without": f"{len(board.without_readings):,}",
        "streams": f"{board.streams:,}",
        "counted_at": wording.moment(board.counted_at),
        "causes": cause_words.rows(missing.totals(at=at)),
        "causes_known": cause_words.WORDS.values(),
        "may_see_homes": members.policy.has_role(request.user, *SEES_HOMES),
    }
    return render(request, "metering/data_health.html", context)


class WhyForm(forms.Form):
    """Why one home's readings are looked at."""

    why = forms.CharField(
        label=_lazy("Why you look"),
        min_length=5,
        max_length=LONGEST_REASON,
        validators=[ProhibitNullCharactersValidator()],
        help_text=_lazy("A few words that the household will read, such as “your readings stopped”."),
    )


@require_http_methods(["GET", "POST"])
@signed_in
def home_readings(request: HttpRequest, occupancy_id: UUID) -> HttpResponse:
    """One home's streams, day by day: how many half-hours came; for who says why, which the member reads."""
    require_role(request.user, *SEES_HOMES)
    at = clock.now()
    stay = members.policy.access_occupancy(request.user, occupancy_id, at)
    form = WhyForm(request.POST or None)
    if not form.is_valid():
        context = {"stay": stay, "form": form}
        return render(request, "metering/home_why.html", context, status=422 if form.errors else 200)
    because(request, form.cleaned_data["why"])
    streams = members.queries.streams_of_occupancy(stay.pk)
    ids = [stream.stream_id for stream in streams]
    days = health.days_of(ids, at=at) if ids else []
    context = {
        "stay": stay,
        "causes": cause_words.rows(missing.of_home(stay.home_id, at=at)) if stay.is_current(at) else [],
        "streams": [
            {
                "name": stream.name,
                "id": str(stream.stream_id),
                "span": _span(stream.stream_id),
                "days": [
                    {
                        "day": wording.civil_day(day),
                        "read": f"{int(present[number])} / {periods}",
                        "tag": "good" if present[number] == periods else "warn" if present[number] else "bad",
                    }
                    for day, periods, present in days
                ],
            }
            for number, stream in enumerate(streams)
        ],
    }
    return render(request, "metering/home_readings.html", context)


def _member(request: HttpRequest) -> Member:
    member = members.queries.member_of(request.user)
    if member is None or not member.is_current(clock.now()):
        raise Http404
    return member


def _csv_lines(member: Member) -> Iterator[str]:
    writer = csv.DictWriter(_Echo(), COLUMNS)
    yield "\ufeff" + ",".join(COLUMNS) + "\r\n"
    for row in usage_page.file_rows(member):
        yield writer.writerow(row)


def _json_lines(member: Member) -> Iterator[str]:
    before = "["
    for row in usage_page.file_rows(member):
        yield before + json.dumps(row)
        before = ",\n"
    yield "[]" if before == "[" else "]"


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        """The line."""
        return line


def _resolutions(stays: list[Occupancy], at: datetime) -> list[dict[str, object]]:
    """How finely each home's readings are kept, by purpose, and what else may be chosen."""
    found = members.queries.consents_in_force([stay.pk for stay in stays], at)
    return [
        {
            "id": consent.pk,
            "purpose": consent.get_purpose_display(),
            "choices": [
                {"value": value, "label": words, "is_chosen": value == consent.granularity}
                for value, words in RESOLUTIONS.items()
            ],
        }
        for consent in found
        if consent.granularity in RESOLUTIONS and consent.purpose != Purpose.PARTNER_TOTALS
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else wording.NOTHING


def _span(stream_id: UUID) -> str:
    span = store.day_span([stream_id])
    return "" if span is None else f"{wording.civil_day(span[0])} – {wording.civil_day(span[1])}"


def _day(request: HttpRequest) -> date | None:
    try:
        return date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        return None
