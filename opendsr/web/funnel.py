"""The staff page of everybody on the way in: who stands where, for how long, and what comes next."""

from __future__ import annotations

import csv
import io
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

from members import terms
from members.assessing import rules_in_force
from members.enquiry_models import ChampionCode, TermsText
from members.partner_models import Partner
from members.policy import DECIDES_ENQUIRIES, require_role
from opendsr.kernel import audit, clock
from opendsr.kernel.spreadsheets import inert
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.funnel_rows import (
    LATE_DAYS,
    NEXT,
    OUT,
    STAGES,
    Entry,
    Wanted,
    conversion,
    entries,
    names_of,
    url_of,
)
from opendsr.web.join_forms import NO_NUL
from opendsr.web.paging import paged

SHOWN: Final = 50
COLUMNS: Final = (
    "name", "stage", "out", "since", "days", "next_action", "partner", "champion", "district", "began_on",
)  # fmt: skip


class FilterForm(forms.Form):
    """Which entries to show; kept in the address."""

    stage = forms.ChoiceField(
        label=_lazy("Stage"), required=False,
        choices=(("", _lazy("all")), *STAGES, ("out", _lazy("went no further"))),
    )  # fmt: skip
    partner = forms.ChoiceField(label=_lazy("Partner"), required=False)
    champion = forms.ChoiceField(label=_lazy("Champion"), required=False)
    district = forms.CharField(
        label=_lazy("Postcode begins"), required=False, max_length=4, validators=[NO_NUL]
    )
    since = forms.DateField(
        label=_lazy("Began since"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    days = forms.IntegerField(label=_lazy("Days at least"), required=False, min_value=0, max_value=3650)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        partners = Partner.objects.order_by("name").values_list("pk", "name")
        codes = ChampionCode.objects.order_by("code").values_list("code", flat=True)
        anybody = ("", _lazy("any"))
        self.fields["partner"].choices = [anybody, *((str(key), name) for key, name in partners)]  # type: ignore[attr-defined]
        self.fields["champion"].choices = [anybody, *((code, code) for code in codes)]  # type: ignore[attr-defined]

    @property
    def wanted(self) -> Wanted:
        """What was asked for; fields that make no sense are left out."""
        if not self.is_bound:
            return Wanted()
        self.is_valid()
        data = self.cleaned_data
        return Wanted(
            stage=data.get("stage") or "",
            partner_id=UUID(data["partner"]) if data.get("partner") else None,
            champion=data.get("champion") or "",
            district=(data.get("district") or "").strip().upper(),
            since=data.get("since"),
            days=data.get("days") or 0,
        )


@require_GET
@signed_in
def funnel(request: HttpRequest) -> HttpResponse:
    """Counts and shares of each stage, and the rows wanted, those who have stood longest first."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    at = clock.now()
    form = FilterForm(request.GET or None)
    wanted = form.wanted
    found = entries()
    rows = [each for each in found if wanted.takes(each, at)]
    shown, pager = paged(request, rows, size=SHOWN)
    names = names_of(shown)
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "form": form,
        "stages": conversion([each for each in found if wanted.takes_for_counts(each)], at),
        "late_days": LATE_DAYS,
        "rows": [_row(each, names[each.application_id or each.job_id], at) for each in shown],
        "pager": pager,
        "query": query.urlencode(),
        "is_narrowed": form.is_bound,
        "has_terms": all(terms.newest_terms(kind, at) for kind in TermsText.Kind),
        "has_rules": rules_in_force(at).version > 0,
    }
    return render(request, "members/funnel.html", context)


@require_GET
@signed_in
def funnel_csv(request: HttpRequest) -> HttpResponse:
    """The rows wanted as a file; that it was taken is in the audit trail."""
    require_role(request.user, *DECIDES_ENQUIRIES)
    at = clock.now()
    wanted = FilterForm(request.GET or None).wanted
    rows = [each for each in entries() if wanted.takes(each, at)]
    names = names_of(rows)
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for each in rows:
        row = _row(each, names[each.application_id or each.job_id], at)
        cells = (
            row["name"], each.stage, each.out, each.since.isoformat(), row["days"], row["next"], each.partner,
            each.champion, each.district, each.began_at.date().isoformat(),
        )  # fmt: skip
        writer.writerow([inert(str(cell)) for cell in cells])
    audit.record(
        at=at, actor=f"staff:{request.user.pk}", verb="funnel.exported", target="funnel",
        detail={"rows": len(rows)},
    )  # fmt: skip
    answer = HttpResponse(written.getvalue().encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="funnel.csv"'
    return answer


def _row(entry: Entry, name: str, at: Any) -> dict[str, Any]:
    return {
        "entry": entry,
        "name": name,
        "stage": dict(STAGES)[entry.stage],
        "out": OUT.get(entry.out, ""),
        "since": wording.day(entry.since, "j M Y"),
        "days": entry.days(at),
        "is_late": entry.stage != "live" and not entry.out and entry.days(at) >= LATE_DAYS,
        "next": str(NEXT[entry.next_code]),
        "url": url_of(entry),
    }
