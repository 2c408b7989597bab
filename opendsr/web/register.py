"""The staff page that takes in a register of members and homes: checked first, refused rows to download."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from members import enlisting
from members.policy import TAKES_IN_REGISTERS, require_role
from members.rows import RowsUnusable
from opendsr.kernel import clock
from opendsr.web.entering import signed_in
from opendsr.web.refusals import sentence
from opendsr.web.rows_form import REJECTS_SHOWN, RowsForm, reject_response


class RegisterForm(RowsForm):
    """Rows of members and homes, from a file or typed; shown again, to correct or to take in."""

    most_megabytes = 5


@require_http_methods(["GET", "POST"])
@signed_in
def register_import(request: HttpRequest) -> HttpResponse:
    """Check a register, take it in, or give back what was refused; the button pressed says which."""
    require_role(request.user, *TAKES_IN_REGISTERS)
    is_sent = request.method == "POST"
    form = RegisterForm(request.POST, request.FILES) if is_sent else RegisterForm()
    do = request.POST.get("do", "check")
    report: enlisting.Report | None = None
    if is_sent and form.is_valid():
        rows = form.cleaned_data["rows"]
        by = f"staff:{request.user.pk}"
        try:
            report = enlisting.enlist(rows, at=clock.now(), by=by, dry_run=do != "take")
        except RowsUnusable as error:
            form.add_error("rows", sentence(error))
        else:
            if do == "rejects":
                return reject_response(enlisting.reject_file(report), name="refused-members.csv")
            form = RegisterForm(initial={"rows": rows})
    context = {
        "form": form,
        "report": report,
        "is_taken": do == "take",
        "figures": _figures(report) if report else [],
        "rejects": report.rejects[:REJECTS_SHOWN] if report else [],
        "more_rejects": max(0, len(report.rejects) - REJECTS_SHOWN) if report else 0,
        "required": enlisting.REQUIRED,
        "optional": enlisting.OPTIONAL,
    }
    return render(request, "members/register_import.html", context, status=422 if form.errors else 200)


def _figures(report: enlisting.Report) -> list[dict[str, str]]:
    labels = (
        (_("Rows"), report.rows),
        (_("New members"), report.members),
        (_("New homes"), report.homes),
        (_("Stays begun"), report.stays),
        (_("Ways to pay noted"), report.payment_methods),
        (_("Known already"), report.unchanged),
        (_("Refused"), len(report.rejects)),
    )
    return [{"label": label, "value": f"{count:,}"} for label, count in labels]
