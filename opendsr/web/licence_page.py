"""The page of the load control evidence: one month, and all of it as a ZIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import dateformat
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from campaigns.models import OptRecord
from campaigns.policy import SEES_EVIDENCE
from members.models import Purpose, User
from members.policy import require_role
from opendsr.kernel import audit, clock, keeping
from opendsr.kernel.periods import civil_date
from opendsr.web import licence, wording
from opendsr.web.entering import signed_in
from settlement.kpis.monthly import interval_of

KEPT: Final = timedelta(minutes=5)
"""The page shows the same for as long; the pack is drawn up whenever it is taken."""


@require_GET
@signed_in
def licence_evidence(request: HttpRequest) -> HttpResponse:
    """What the pack of a month holds, the present month unless asked."""
    require_role(request.user, *SEES_EVIDENCE)
    at = clock.now()
    months = licence.months_with_evidence()
    month = _month(request, default=months[0] if months else civil_date(at).replace(day=1))
    if request.GET.get("verify") == "yes":
        told, drawn_up_at = licence.document(month, interval_of(month), at=at, verifies=True), at
    else:
        told, drawn_up_at = keeping.kept(
            f"web:licence:{month}",
            at=at,
            lasts=KEPT,
            work=lambda: licence.document(month, interval_of(month), at=at, verifies=False),
        )
    names = _names(told)
    context = {
        "pack": told,
        "drawn_up_at": wording.moment(drawn_up_at),
        "month": dateformat.format(month, "F Y"),
        "key": f"{month:%Y-%m}",
        "months": [(f"{each:%Y-%m}", dateformat.format(each, "F Y")) for each in months],
        "campaigns": [_campaign(each, names) for each in told["campaigns"]],
        "held_back": _held_back(told["held_back"]),
        "answers": [
            each
            | {
                "opt": _("Yes") if each["opt"] == OptRecord.Opt.IN else _("No"),
                "source": OptRecord.Source(each["source"]).label,
            }
            for each in told["answers"]
        ],
        "consents": [each | {"purpose": Purpose(each["purpose"]).label} for each in told["consents"]],
        "incidents": [
            each
            | {
                "by": names.get(each["by"], each["by"]),
                "starts_at": _moment(each["starts_at"]),
                "ends_at": _moment(each["ends_at"]),
            }
            for each in told["incidents"]
        ],
        "refused": sum(each["times"] for each in told["refused_at_the_door"]),
    }
    return render(request, "campaigns/licence.html", context)


@require_GET
@signed_in
def licence_pack(request: HttpRequest, month: str) -> HttpResponse:
    """The ZIP; that it was taken, and the document's hash, go into the audit trail."""
    require_role(request.user, *SEES_EVIDENCE)
    at = clock.now()
    first = _parsed(month)
    if first is None:
        raise Http404
    told = licence.document(first, interval_of(first), at=at, verifies=True)
    audit.record(
        at=at,
        actor=f"user:{request.user.pk}",
        verb="licence.evidence_taken",
        target=f"month:{told['month']}",
        detail={"sha256": told["sha256"]},
    )
    answer = HttpResponse(licence.archive(told), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="load-control-{told["month"]}.zip"'
    return answer


def _month(request: HttpRequest, *, default: date) -> date:
    return _parsed(request.GET.get("month", "")) or default


def _parsed(text: str) -> date | None:
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        return None
    return found if 2000 <= found.year < 2100 else None


def _names(told: Mapping[str, Any]) -> dict[str, str]:
    """Who the accounts are that took the steps; the pack itself has their numbers alone."""
    keys = ("created_by", "first_approved_by", "approved_by")
    found = {each[key] for each in told["campaigns"] for key in keys} | {
        each["by"] for each in told["incidents"]
    }
    ids = {each.removeprefix("user:") for each in found if each.startswith("user:")}
    return {f"user:{user.pk}": str(user) for user in User.objects.filter(pk__in=ids)}


def _campaign(each: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    approvers = [names.get(each[key], each[key]) for key in ("first_approved_by", "approved_by") if each[key]]
    return {
        **each,
        "when": _moment(each["starts_at"]),
        "approvers": ", ".join(dict.fromkeys(approvers)) or wording.NOTHING,
        "asked": wording.kw(each["asked_w"]),
        "state": wording.state(each["state"]),
        "tag": wording.tag(each["state"]),
    }


def _moment(written: str | None) -> str:
    """An instant of the pack as pages write it."""
    return wording.moment(datetime.fromisoformat(written)) if written else ""


def _held_back(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The reasons over all campaigns, most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["in_words"], row["by"])
        counts[key] = counts.get(key, 0) + row["assets"]
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [{"reason": reason, "by": by, "assets": assets} for (reason, by), assets in ordered]
