"""Pages of visits: planned, surveyed and scheduled by staff, done by an installer on a phone in the home.

An installer sees their own visits and nothing else of the site. Each press does one thing and comes back to
the page, which says what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from assets import jobs, vtn_door
from assets.job_models import InstallJob, JobPhoto, JobTest, PairingAttempt, SurveyLimits
from assets.policy import ARRANGES_VISITS, access_job, jobs_of
from assets.surveying import limits_in_force, publish_limits
from members.models import Home
from members.policy import has_role, require_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import visit_forms as given
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import say_refusal, sentence

SHOWN: Final = 50
State = InstallJob.State
STATES: Final = {
    State.PLANNED: (_lazy("to be surveyed"), "warn"),
    State.SURVEYED: (_lazy("to be scheduled"), "warn"),
    State.SCHEDULED: (_lazy("scheduled"), "info"),
    State.SIGNED_OFF: (_lazy("fitted"), "good"),
    State.REFUSED: (_lazy("home refused"), "bad"),
    State.CANCELLED: (_lazy("called off"), ""),
}
MISSING: Final = {
    "hub": _lazy("The hub enrols with the code of the jobsheet."),
    "cad": _lazy("The CAD is paired, or given up after three tries."),
    "assets": _lazy("Each device fitted is recorded."),
    "immersion": _lazy("The immersion heater’s wiring and thermostat are recorded."),
    "manual_switch": _lazy("The manual switch is tested with the hub off."),
    "device": _lazy("Each device answers the hub."),
    "photo": _lazy("A photo of the work is kept."),
}
FINDINGS: Final = {
    "heater": _lazy(
        "Storage heaters refused: “%(found)s” has electronics of its own, so that switching its supply would"
        " upset its charge control. Only these can be controlled: %(limit)s."
    ),
    "cable": _lazy("A long cable: %(found)s m, where up to %(limit)s m is usual. Ask for a quote first."),
    "signal": _lazy("A weak signal: %(found)s dBm, where %(limit)s dBm or stronger works. Bring a repeater."),
}
BY_INSTALLER: Final = ("pair", "without", "fit", "immersion", "test", "photo", "sign-off")
BY_STAFF: Final = ("survey", "schedule", "cancel")


@require_GET
@signed_in
def visit_list(request: HttpRequest) -> HttpResponse:
    """The visits that the viewer has to do with, the next one first."""
    rows = jobs_of(request.user)
    state = request.GET.get("state", "")
    if state in State.values:
        rows = rows.filter(state=state)
    elif state == "escalated":
        rows = rows.filter(escalated_at__isnull=False, cad_outcome="")
    shown, pager = paged(request, rows.order_by("scheduled_at", "since"), size=SHOWN)
    is_staff = has_role(request.user, *ARRANGES_VISITS)
    context = {
        "rows": [_row(job) for job in shown],
        "pager": pager,
        "state": state,
        "states": [(code, words) for code, (words, _tag) in STATES.items()],
        "is_staff": is_staff,
        "pairing": _pairing_by_meter() if is_staff else [],
    }
    return render(request, "assets/visit_list.html", context)


@require_GET
@signed_in
def visit_page(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """One visit: what is known, what is left, and a form for each step."""
    return _page(request, access_job(request.user, job_id))


@require_POST
@signed_in
def visit_action(request: HttpRequest, job_id: UUID, verb: str) -> HttpResponse:
    """Do one step."""
    job = access_job(request.user, job_id)
    if verb in BY_STAFF:
        require_role(request.user, *ARRANGES_VISITS)
    elif verb not in BY_INSTALLER:
        raise Http404
    form = _form(verb, job, request)
    if form is not None and not form.is_valid():
        return _page(request, job, verb=verb, form=form)
    try:
        said = DEEDS[verb](job, form, {"at": clock.now(), "by": f"staff:{request.user.pk}"})
    except DomainError as error:
        if error.status == 404:
            raise
        if form is None:
            messages.error(request, sentence(error))
            return redirect("visit_page", job.pk)
        say_refusal(form, error, {"starts_at": "at_time"})
        return _page(request, job, verb=verb, form=form)
    messages.success(request, said)
    return redirect("visit_page", job.pk)


@require_http_methods(["GET", "POST"])
@signed_in
def jobsheet(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The sheet to print. Asking for it issues the one-time code, which is on this one page only."""
    require_role(request.user, *ARRANGES_VISITS)
    job = access_job(request.user, job_id)
    form = given.SheetForm(request.POST or None, initial={"serial": job.hub.serial if job.hub else ""})
    code = until = ""
    if request.method == "POST" and form.is_valid():
        by = f"staff:{request.user.pk}"
        try:
            planned = jobs.issue_jobsheet(
                job_id=job.pk, serial=form.cleaned_data["serial"], at=clock.now(), by=by
            )
        except DomainError as error:
            form.add_error("serial", sentence(error))
        else:
            code = planned.enrolment_code
            expires_at = planned.hub.enrolment_code_expires_at
            until = wording.moment(expires_at) if expires_at else ""
            job = access_job(request.user, job_id)
    context = {"job": job, "form": form, "code": code, "until": until, **_about(job)}
    return render(request, "assets/jobsheet.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def visit_photo(request: HttpRequest, job_id: UUID, photo_id: UUID) -> HttpResponse:
    """A photo, for who may see the visit."""
    job = access_job(request.user, job_id)
    photo = JobPhoto.objects.filter(pk=photo_id, job=job).first()
    if photo is None:
        raise Http404
    answer = HttpResponse(photo.jpeg, content_type="image/jpeg")
    answer["Content-Disposition"] = "inline"
    return answer


@require_POST
@signed_in
def visit_new(request: HttpRequest, home_id: UUID) -> HttpResponse:
    """Plan a visit to a home that has none under way."""
    require_role(request.user, *ARRANGES_VISITS)
    home = Home.objects.filter(pk=home_id).first()
    if home is None:
        raise Http404
    try:
        job = jobs.plan_job(home=home, at=clock.now(), by=f"staff:{request.user.pk}")
    except jobs.JobOpen as error:
        messages.error(request, sentence(error))
        return redirect("visit_list")
    return redirect("visit_page", job.pk)


@require_http_methods(["GET", "POST"])
@signed_in
def survey_limits(request: HttpRequest) -> HttpResponse:
    """What surveys refuse and warn of, as data in versions."""
    require_role(request.user, *ARRANGES_VISITS)
    at = clock.now()
    limits = limits_in_force(at)
    initial = {name: getattr(limits, name) for name in ("refused_heaters", "cable_m", "signal_dbm")}
    form = given.LimitsForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        made = publish_limits(**form.cleaned_data, at=at, by=f"staff:{request.user.pk}")
        messages.success(request, _("Version %(n)s holds for surveys from now on.") % {"n": made.version})
        return redirect("survey_limits")
    context = {
        "form": form,
        "limits": limits,
        "versions": SurveyLimits.objects.order_by("-version")[:20],
    }
    return render(request, "assets/survey_limits.html", context, status=422 if form.errors else 200)


def _survey(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    done = jobs.record_survey(job_id=job.pk, given=form.cleaned_data, **who)
    if done.state == State.REFUSED:
        return _("Kept. Nothing is left that could be fitted, so the home is refused; the reason is below.")
    return _("The survey is kept.")


def _schedule(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    data = form.cleaned_data
    jobs.schedule(job_id=job.pk, installer=data["installer"], starts_at=data["starts_at"], **who)
    return _("Scheduled. Print the jobsheet when the hub is chosen.")


def _pair(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    attempt = jobs.try_pairing(job_id=job.pk, **form.cleaned_data, **who)
    if attempt.outcome == PairingAttempt.Outcome.PAIRED:
        return _("Paired.")
    return _("Logged.")


def _without(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    jobs.finish_without_cad(job_id=job.pk, reason=form.cleaned_data["reason"], **who)
    return _("The home can be finished without the CAD; the office goes on with the supplier.")


def _fit(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    jobs.fit_asset(job_id=job.pk, **form.cleaned_data, **who)
    return _("Recorded.")


def _immersion(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    jobs.set_immersion(job_id=job.pk, given=form.cleaned_data, **who)
    return _("Recorded.")


def _test(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    kind, _colon, asset = form.cleaned_data["thing"].partition(":")
    jobs.record_test(
        job_id=job.pk, kind=kind, asset_id=UUID(asset) if asset else None,
        is_passed=form.cleaned_data["is_passed"], note=form.cleaned_data["note"], **who,
    )  # fmt: skip
    return _("Recorded.")


def _photo(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    data = form.cleaned_data
    jobs.keep_photo(job_id=job.pk, body=data["photo"], caption=data["caption"], **who)
    return _("The photo is kept, without place and date.")


def _sign_off(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    done = jobs.sign_off(job_id=job.pk, **who)
    return _("Signed off, and live.") if done.live_at else _("Signed off. With the first reading it is live.")


def _cancel(job: InstallJob, form: Any, who: dict[str, Any]) -> str:
    jobs.cancel_job(job_id=job.pk, reason=form.cleaned_data["reason"], **who)
    return _("Called off.")


DEEDS: Final[dict[str, Callable[[InstallJob, Any, dict[str, Any]], str]]] = {
    "survey": _survey,
    "schedule": _schedule,
    "cancel": _cancel,
    "pair": _pair,
    "without": _without,
    "fit": _fit,
    "immersion": _immersion,
    "test": _test,
    "photo": _photo,
    "sign-off": _sign_off,
}
FORMS: Final[dict[str, type[forms.Form]]] = {
    "survey": given.SurveyForm,
    "schedule": given.ScheduleForm,
    "cancel": given.ReasonForm,
    "pair": given.PairingForm,
    "without": given.WithoutForm,
    "fit": given.FitForm,
    "immersion": given.ImmersionForm,
    "photo": given.PhotoForm,
}


def _form(verb: str, job: InstallJob, request: HttpRequest | None = None) -> Any:
    """The verb's form, bound to the request or with what is known; None for a bare button."""
    sent: tuple[Any, ...] = () if request is None else (request.POST, request.FILES)
    auto_id = f"{verb}-%s"
    if verb == "test":
        return given.TestForm(job, *sent, auto_id=auto_id)
    kind: Any = FORMS.get(verb)
    if kind is None:
        return None
    latest = job.pairing_attempts.order_by("-at").first() if verb == "pair" else None
    known: dict[str, Any] = {
        "survey": job.survey,
        "immersion": job.immersion,
        "pair": {
            "supplier": latest.supplier if latest else job.survey.get("supplier", ""),
            "meter_model": latest.meter_model if latest else job.survey.get("meter_model", ""),
            "cad_serial": latest.cad_serial if latest else "",
        },
    }.get(verb, {})
    return kind(*sent, initial=known, auto_id=auto_id)


def _page(
    request: HttpRequest, job: InstallJob, *, verb: str = "", form: forms.Form | None = None
) -> HttpResponse:
    is_staff = has_role(request.user, *ARRANGES_VISITS)
    counted = jobs.tests_that_count(job)
    missing = jobs.missing_for_sign_off(job)
    steps: dict[str, Any] = {each: _form(each, job) for each in (*BY_INSTALLER, *BY_STAFF) if each in DEEDS}
    if form is not None:
        steps[verb] = form
    fitted = jobs.assets_of(job)
    shadow = None
    if job.hub is not None and job.hub.ven_id:
        shadow = vtn_door.shadows_of([job.hub.ven_id]).get(job.hub.ven_id)
    context = {
        "job": job,
        **_about(job),
        "is_staff": is_staff,
        "forms": {name.replace("-", "_"): each for name, each in steps.items()},
        "wrong": verb,
        "attempts": job.pairing_attempts.order_by("at"),
        "tries_left": max(0, jobs.TRIES - jobs.failed_tries(job)),
        "fitted": [
            {
                "asset": each,
                "power": wording.power(each.rated_w),
                "test": counted.get((JobTest.Kind.DEVICE, each.pk)),
            }
            for each in fitted
        ],
        "has_immersion": any(each.kind_id == "immersion_heater" for each in fitted),
        "needs_switch": any(each.kind_id in jobs.SWITCHED for each in fitted),
        "switch": counted.get((JobTest.Kind.MANUAL_SWITCH, None)),
        "photos": job.photos.defer("jpeg_sealed").order_by("at"),
        "todo": [{"words": words, "is_done": name not in missing} for name, words in MISSING.items()],
        "is_ready": not missing,
        "hub_heard": shadow is not None,
    }  # fmt: skip
    return render(request, "assets/visit_page.html", context, status=422 if form is not None else 200)


def _about(job: InstallJob) -> dict[str, Any]:
    words, tag = STATES[State(job.state)]
    return {
        "state": words,
        "tag": tag,
        "when": wording.moment(job.scheduled_at) if job.scheduled_at else "",
        "findings": [
            {"is_refusal": each["is_refusal"], "words": str(FINDINGS[each["code"]]) % each}
            for each in job.findings
        ],
        "survey": job.survey,
    }


def _row(job: InstallJob) -> dict[str, Any]:
    return {
        "job": job,
        **_about(job),
        "is_escalated": bool(job.escalated_at and not job.cad_outcome),
        "is_live": bool(job.live_at),
    }


def _pairing_by_meter() -> list[Any]:
    """How often each supplier's meters paired, the worst first."""
    paired = Count("pk", filter=Q(outcome=PairingAttempt.Outcome.PAIRED))
    rows = PairingAttempt.objects.values("supplier", "meter_model").annotate(tries=Count("pk"), paired=paired)
    return sorted(rows, key=lambda row: (row["paired"] / row["tries"], -row["tries"]))[:SHOWN]
