"""Pages of placebo studies: what is suggested, start one, watch it, read it, take it along as CSV."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

import settlement.policy
from campaigns.models import Programme
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.periods import civil_date
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.forms import HALF_HOURS, ProgrammeField
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence
from settlement import rules as room_rules
from settlement import study_csv as as_csv
from settlement import studying
from settlement.baselines.presets import PRESETS, TEMPERATURE_REGRESSION
from settlement.study_models import PlaceboStudy

STUDIES_SHOWN: Final = 20
HOMES_SHOWN: Final = 50
DAYS: Final = 30
STATE_TAGS: Final = {"queued": "info", "running": "info", "done": "good", "failed": "bad"}
CHOICES: Final = [
    (rule.name, rule.title) for rule in PRESETS.values() if rule.method not in room_rules.NOT_FOR_TERMS
] + [(room_rules.CONTROL_GROUP.name, room_rules.CONTROL_GROUP.title)]
USUAL: Final = (
    "dfs_2023_domestic",
    "dfs_2022",
    "ena_mid_8_of_10",
    "powershaper_three_weeks",
    TEMPERATURE_REGRESSION.name,
    room_rules.CONTROL_GROUP.name,
)


class StudyForm(forms.Form):
    """Which rules to lay on whose days; `key` becomes the study's id, so that sent twice it is one study."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    programme = ProgrammeField(
        Programme.objects.order_by("name"),
        label=_lazy("Homes"),
        required=False,
        empty_label=_lazy("All homes with a meter"),
        help_text=_lazy("Or only those that a programme has asked."),
    )
    earliest = forms.DateField(
        label=_lazy("First day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    latest = forms.DateField(
        label=_lazy("Last day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    starts = forms.ChoiceField(label=_lazy("Event starts"), choices=HALF_HOURS)
    half_hours = forms.IntegerField(label=_lazy("Half-hours"), min_value=1, max_value=12)
    rules = forms.MultipleChoiceField(
        label=_lazy("Rules"), choices=CHOICES, widget=forms.CheckboxSelectMultiple
    )


@require_http_methods(["GET", "POST"])
@signed_in
def study_list(request: HttpRequest) -> HttpResponse:
    """What is suggested for each programme, the studies so far, and the form to start one."""
    settlement.policy.require_sees_baselines(request.user)
    at = clock.now()
    latest = civil_date(at) - timedelta(days=1)
    usual = {
        "key": new_uuid(), "earliest": latest - timedelta(days=DAYS - 1), "latest": latest,
        "starts": "17:00", "half_hours": 4, "rules": USUAL,
    }  # fmt: skip
    form = StudyForm(request.POST if request.method == "POST" else None, initial=usual)
    if request.method == "POST":
        settlement.policy.require_may_settle(request.user)
        if form.is_valid() and (study := _ask(request, form)) is not None:
            return redirect("placebo_study", study.pk)
    rows = PlaceboStudy.objects.select_related("programme").defer("scores").order_by("-asked_at", "id")
    shown, pager = paged(request, rows, size=STUDIES_SHOWN)
    context = {
        "form": form,
        "may_study": settlement.policy.may_settle(request.user),
        "suggestions": _suggestions(),
        "studies": [_row(study) for study in shown],
        "pager": pager,
    }
    return render(request, "settlement/placebo_studies.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def study(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """One study: how far it is, or how the rules did, for the portfolio and home by home."""
    found = settlement.policy.access_study(request.user, study_id)
    chosen = request.GET.get("rule", "")
    scores = {score["rule"]: score for score in found.scores}
    score = scores.get(chosen) or next(
        iter([each for each in found.scores if each["is_best"]] or found.scores), None
    )
    homes, pager = paged(request, score["by_home"] if score else (), size=HOMES_SHOWN, anchor="homes")
    names = settlement.policy.home_names(request.user, [home for home, *_ in homes])
    context = {
        "study": _row(found),
        "live": _live(found),
        "scores": [_score(each) for each in found.scores],
        "rule": score["title"] if score else "",
        "rule_name": score["rule"] if score else "",
        "homes": [
            {
                "home": names.get(home, home),
                "measured": f"{measured:,}",
                "bias": _pct(bias_pct),
                "rrmse": _pct(rrmse_pct),
            }
            for home, measured, bias_pct, rrmse_pct in homes
        ],
        "pager": pager,
    }
    return render(request, "settlement/placebo_study.html", context)


@require_GET
@signed_in
def study_live(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """How far a study is; once it is over the whole page is asked for again."""
    found = settlement.policy.access_study(request.user, study_id)
    if found.finished_at is not None:
        response = HttpResponse(status=204)
        response["HX-Refresh"] = "true"
        return response
    return render(request, "settlement/partials/_study_live.html", {"live": _live(found)})


@require_GET
@signed_in
def study_csv(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The scores as CSV, homes by their random id."""
    found = settlement.policy.access_study(request.user, study_id)
    response = HttpResponse(as_csv.render(found.scores), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="placebo-{found.pk}.csv"'
    return response


def _ask(request: HttpRequest, form: StudyForm) -> PlaceboStudy | None:
    data = form.cleaned_data
    hour, minute = data["starts"].split(":")
    try:
        return studying.ask_study(
            study_id=data["key"],
            rules=data["rules"],
            earliest=data["earliest"],
            latest=data["latest"],
            ordinal=2 * int(hour) + int(minute) // 30,
            half_hours=data["half_hours"],
            programme=data["programme"],
            at=clock.now(),
            by=f"user:{request.user.pk}",
        )
    except studying.StudyInvalid as error:
        form.add_error(str(error.data["field"]), str(error.data["reason"]).capitalize() + ".")
    except DomainError as error:
        messages.error(request, sentence(error))
    return None


def _suggestions() -> list[dict[str, Any]]:
    found = []
    for programme in Programme.objects.order_by("name"):
        best = studying.suggestion(programme)
        if best is not None:
            found.append(
                {
                    "programme": programme.name,
                    "title": best.title,
                    "bias": _pct(best.bias_pct),
                    "rrmse": _pct(best.rrmse_pct),
                    "in_use": PRESETS[best.rule_in_use].title
                    if best.rule_in_use in PRESETS
                    else best.rule_in_use,
                    "is_in_use": best.is_in_use,
                    "study_id": best.study.pk,
                }
            )
    return found


def _row(study: PlaceboStudy) -> dict[str, Any]:
    first, latest = (dateformat.format(day, "j M Y") for day in (study.earliest_date, study.latest_date))
    start, end = study.ordinal, study.ordinal + study.half_hours
    return {
        "id": study.pk,
        "homes_of": study.programme.name if study.programme else _("All homes"),
        "days": _("%(first)s to %(latest)s") % {"first": first, "latest": latest},
        "time": f"{_clock(start)}–{_clock(end)}",
        "rules": len(study.rules),
        "homes": f"{study.homes:,}",
        "events": f"{study.events:,}",
        "state": study.get_state_display(),
        "tag": STATE_TAGS[study.state],
        "is_done": study.state == PlaceboStudy.State.DONE,
        "failure": study.failure,
        "asked": wording.moment(study.asked_at),
    }


def _live(study: PlaceboStudy) -> dict[str, Any]:
    return {
        "id": study.pk,
        "is_over": study.finished_at is not None,
        "state": study.get_state_display(),
        "done": study.steps_done,
        "of": max(study.steps, 1),
        "pct": 100 * study.steps_done // max(study.steps, 1),
    }


def _score(score: dict[str, Any]) -> dict[str, Any]:
    return {
        "rule": score["rule"],
        "title": score["title"],
        "is_best": score["is_best"],
        "note": _note(score),
        "coverage": _pct(100 * score["coverage"]),
        "bias": _pct(score["bias_pct"]),
        "bias_range": _range(score["bias_low_pct"], score["bias_high_pct"]),
        "rrmse": _pct(score["rrmse_pct"]),
        "event_range": _range(score["event_low_pct"], score["event_high_pct"]),
        "home_bias": _pct(score["home_bias_pct"]),
        "home_rrmse": _pct(score["home_rrmse_pct"]),
    }


def _pct(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:.1f}\N{NO-BREAK SPACE}%".replace("-", "−")


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return wording.NOTHING
    return _("%(low)s to %(high)s") % {"low": _pct(low), "high": _pct(high)}


def _clock(ordinal: int) -> str:
    return f"{ordinal // 2:02d}:{ordinal % 2 * 30:02d}"


def _note(score: dict[str, Any]) -> str:
    """What has to be known about a rule that goes by more than a home's own readings."""
    if score["rule"] == room_rules.CONTROL_GROUP.name:
        return _("for comparison; it needs homes that are asked nothing")
    if score["rule"] != TEMPERATURE_REGRESSION.name:
        return ""
    if score.get("has_temperatures"):
        return _("with the outdoor temperatures of those days")
    return _("no outdoor temperatures of those days are known, so it is the mean of its days")
