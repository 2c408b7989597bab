"""Staff pages for files of readings, prices and carbon: upload, preview, import, the refused rows as a file.

Everything works by plain forms; the page of an import under way asks for itself again while it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

from members.models import Role
from members.policy import require_role
from metering import import_jobs, tasks
from metering.adapters import ADAPTERS, rate_files
from metering.adapters.formats import HOME_LIMIT_KWH
from metering.adapters.formats import Role as Column
from metering.intake_models import ImportJob
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence

MAY_IMPORT: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER)
JOBS_SHOWN: Final = 25
REJECTS_SHOWN: Final = 50
State = ImportJob.State
STATE_WORDS: Final = {
    State.UPLOADED: (_lazy("Uploaded"), "info"),
    State.PREVIEWED: (_lazy("Looked at"), "info"),
    State.RUNNING: (_lazy("Under way"), "info"),
    State.DONE: (_lazy("Imported"), "good"),
    State.FAILED: (_lazy("Not readable"), "bad"),
}


class UploadForm(forms.Form):
    """A file; `key` becomes the import's id, so that a form sent twice is one upload."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    file = forms.FileField(
        label=_lazy("File of readings, half-hourly prices, carbon intensity or outdoor temperatures"),
        help_text=_lazy("CSV or JSON, or the same gzipped. It is looked at first; nothing is stored yet."),
    )


class KindForm(forms.Form):
    """Which kind of file it is: all there is to choose for prices, carbon and temperatures."""

    adapter = forms.ChoiceField(
        label=_lazy("Kind of file"),
        required=False,
        choices=[("", _lazy("By its header")), *((name, name) for name in (*ADAPTERS, *rate_files.ADAPTERS))],
    )

    def options(self) -> dict[str, Any]:
        """What was chosen, as the import takes it."""
        return {name: value for name, value in self.cleaned_data.items() if value and name != "meters"}


class ChoicesForm(KindForm):
    """How to read a file of readings; left empty, the adapter's own conventions hold."""

    stamp = forms.ChoiceField(
        label=_lazy("A time stamp names"),
        required=False,
        choices=[
            ("", _lazy("As usual for this kind")),
            ("start", _lazy("The start of the half-hour")),
            ("end", _lazy("The end of the half-hour")),
        ],
    )
    tz = forms.CharField(
        label=_lazy("Zone of times without an offset"),
        required=False,
        max_length=40,
        help_text=_lazy("For example Europe/London or UTC."),
    )
    unit = forms.ChoiceField(
        label=_lazy("Unit"),
        required=False,
        choices=[("", _lazy("As usual for this kind")), ("kwh", "kWh"), ("wh", "Wh")],
    )
    decimal = forms.ChoiceField(
        label=_lazy("Numbers are written"),
        required=False,
        choices=[
            ("", _lazy("As usual for this kind")),
            (".", _lazy("With a point: 0.25")),
            (",", _lazy("With a comma: 0,25")),
        ],
    )
    max_kwh = forms.FloatField(
        label=_lazy("Most kWh in a half-hour"),
        required=False,
        min_value=0.001,
        max_value=1_000_000,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        help_text=_lazy("More is refused. Left empty it is %(most)s, which no home's supply exceeds.")
        % {"most": HOME_LIMIT_KWH},
    )
    ambiguous = forms.ChoiceField(
        label=_lazy("The hour that happens twice in October"),
        required=False,
        choices=[
            ("", _lazy("Refuse times without an offset")),
            ("in_order", _lazy("Tell apart by the order of the rows")),
        ],
    )
    columns = forms.CharField(
        label=_lazy("Columns"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_lazy("For generic_csv: one a line, such as stamp=When or import=kWh used."),
    )
    meters = forms.CharField(
        label=_lazy("Meters"),
        required=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_lazy(
            "One a line: meter=home, by name, MPAN or stream id. A file of one meter needs only a home."
        ),
    )

    def clean_columns(self) -> dict[str, str]:
        """Role to column name; raises for a line that is none."""
        return self._pairs("columns", {role.value for role in Column})

    def clean_meters(self) -> dict[str, str]:
        """Meter to stream id; raises for a home that is not known."""
        found = {}
        at = clock.now()
        for meter, home in self._pairs("meters").items():
            stream = import_jobs.stream_called(home, at=at)
            if stream is None:
                raise forms.ValidationError(
                    _("No home, MPAN or stream is called “%(name)s”."), params={"name": home[:80]}
                )
            found[meter] = str(stream)
        return found

    def _pairs(self, field: str, allowed: set[str] | None = None) -> dict[str, str]:
        found = {}
        for line in str(self.cleaned_data.get(field, "")).splitlines():
            name, equals, value = line.rpartition("=") if field == "meters" else line.partition("=")
            name, value = name.strip(), value.strip()
            if not line.strip():
                continue
            if field == "meters" and not equals:
                name = "meter"
            if not name or not value or (allowed is not None and name.casefold() not in allowed):
                expected = ", ".join(sorted(allowed)) if allowed else _("meter=home")
                raise forms.ValidationError(
                    _("“%(line)s” is not of the form name=value. Names: %(expected)s."),
                    params={"line": line[:80], "expected": expected},
                )
            found[name.casefold() if allowed else name] = value
        return found


@require_http_methods(["GET", "POST"])
@signed_in
def import_list(request: HttpRequest) -> HttpResponse:
    """Every import, newest first, and the form for another file."""
    require_role(request.user, *MAY_IMPORT)
    form = UploadForm(request.POST or None, request.FILES or None, initial={"key": new_uuid()})
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            job = import_jobs.upload(
                job_id=form.cleaned_data["key"],
                name=file.name or "upload",
                chunks=file.chunks(),
                at=clock.now(),
                by=request.user,  # type: ignore[arg-type]
            )
        except DomainError as error:
            form.add_error("file", sentence(error))
        else:
            return redirect("import_detail", job.pk)
    shown, pager = paged(request, ImportJob.objects.order_by("-created_at", "pk"), size=JOBS_SHOWN)
    context = {"form": form, "jobs": [_row(job) for job in shown], "pager": pager}
    return render(request, "metering/import_list.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def import_detail(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """One file: how to read it, what it would bring, and the button that imports it."""
    require_role(request.user, *MAY_IMPORT)
    job = import_jobs.get(job_id)
    is_of_rates = job.state != State.RUNNING and import_jobs.is_of_rates(job)
    choices = KindForm if is_of_rates else ChoicesForm
    form = choices(request.POST if request.method == "POST" else None, initial=_initial(job))
    if request.method == "POST" and form.is_valid():
        try:
            job = import_jobs.choose(
                job_id=job.pk,
                options=form.options(),
                meters=form.cleaned_data.get("meters", {}),
                is_for_real=request.POST.get("do") == "import",
            )
        except DomainError as error:
            form.add_error(None, sentence(error))
        else:
            if job.size_bytes <= import_jobs.AT_ONCE_BYTES:
                import_jobs.run(job_id=job.pk, at=clock.now())
            else:
                tasks.run_import.apply_async_on_commit(kwargs={"job_id": str(job.pk)}, queue="metering")
            return redirect("import_detail", job.pk)
    adapter, header = import_jobs.header_of(job) if job.state != State.RUNNING else ("", [])
    context = {
        "job": _row(job),
        "form": form,
        "adapter": adapter,
        "header": ", ".join(header)[:600],
        "figures": _figures(job.outcome, is_done=job.state == State.DONE, is_of_rates=is_of_rates),
        "outcome": job.outcome,
        "expiring": _expiring(job.outcome),
        "rejects": (rejects := job.rejects)[:REJECTS_SHOWN],
        "more_rejects": max(0, len(rejects) - REJECTS_SHOWN),
        "is_over": job.state == State.DONE,
    }
    return render(request, "metering/import_detail.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def import_rejects(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The refused rows, each with its reason and the fix, to correct and import again."""
    require_role(request.user, *MAY_IMPORT)
    job = import_jobs.get(job_id)
    text = "".join(import_jobs.reject_lines(job))
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="rejects-{job.pk}.csv"'
    return response


def _row(job: ImportJob) -> dict[str, Any]:
    words, tag = STATE_WORDS[State(job.state)]
    return {
        "id": job.pk,
        "name": job.name,
        "when": wording.moment(job.created_at),
        "size": f"{job.size_bytes / 1_048_576:,.1f} MB"
        if job.size_bytes >= 1_048_576
        else f"{job.size_bytes:,} bytes",
        "state": words,
        "tag": tag,
        "error": job.error,
        "is_running": job.state == State.RUNNING,
        "done": job.done_bytes,
        "of": max(job.size_bytes, 1),
        "per_cent": 100 * job.done_bytes // max(job.size_bytes, 1),
        "landed": f"{job.outcome.get('rows_landed', 0):,}" if job.state == State.DONE else wording.NOTHING,
        "rejected": f"{job.outcome.get('rows_rejected', 0):,}" if job.outcome else wording.NOTHING,
    }


def _figures(outcome: Mapping[str, Any], *, is_done: bool, is_of_rates: bool) -> list[dict[str, str]]:
    if not outcome:
        return []
    labels = (
        ("rows_read", _("Values read") if is_of_rates else _("Rows read")),
        ("rows_landed", _("Stored") if is_done else _("Would be stored")),
        ("rows_corrected", _("Of these corrections")),
        ("rows_unchanged", _("Known already")),
        ("rows_rejected", _("Refused")),
        ("gap_half_hours", _("Half-hours missing")),
    )
    return [{"label": label, "value": f"{outcome.get(name, 0):,}"} for name, label in labels]


def _expiring(outcome: Mapping[str, Any]) -> dict[str, str]:
    """Rows that are older than readings are kept, and since when these are."""
    if not outcome.get("rows_expiring"):
        return {}
    kept_from = datetime.fromisoformat(outcome["kept_from"])
    return {"rows": f"{outcome['rows_expiring']:,}", "kept_from": wording.day(kept_from)}


def _initial(job: ImportJob) -> dict[str, Any]:
    options = dict(job.options)
    options["columns"] = "\n".join(f"{role}={name}" for role, name in options.get("columns", {}).items())
    options["meters"] = "\n".join(f"{meter}={stream}" for meter, stream in job.meters.items())
    return options
