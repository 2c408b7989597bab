"""The evidence of a month for a load control licence: every dispatch, who approved it, what was held back.

Totals and decisions, never a home or a member: people who work here are named by their account's number. One
document, told as JSON, CSV and PDF in a ZIP with the SHA-256 of each; the document carries its own as well.
The audit trail is verified from its first entry each time a pack is made.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.template.loader import render_to_string

import settlement.queries
from assets import journals
from assets.models import Asset, Hub
from campaigns.models import Campaign, Freeze, OptRecord, Participation, PlanLine, ServicingSignal
from campaigns.servicing_models import CampaignRule, ServicingRefusal
from members.models import Consent, Purpose, StandingOptOut
from members.rights_models import RightsRequest
from opendsr.kernel import installation, logos, sealing
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import AuditSeal
from opendsr.web import campaign_page, evidence, statement_pdf

State = Participation.State
MOST_FINDINGS: Final = 50
README: Final = """Evidence of load control, {month}, {coop}

pack.json is the document; pack.csv and pack.pdf tell the same. SHA256SUMS has the SHA-256 of each file:
    sha256sum --check SHA256SUMS
"sha256" inside pack.json is of the document without it: JSON, keys sorted, no blanks.
Times are ISO 8601 in UTC, power is in W. audit.head is the newest seal of the audit trail: keep it elsewhere,
and "manage.py verify_audit --head HASH" tells later whether anything before it was rewritten.
"""


def document(month: date, span: Interval, *, at: datetime, verifies: bool) -> dict[str, Any]:
    """The month as plain values; without `verifies` the audit trail is only named, not worked through."""
    asked = list(
        Campaign.objects.filter(starts_at__gte=span.starts_at, starts_at__lt=span.ends_at)
        .select_related("programme")
        .order_by("starts_at", "pk")
    )
    until = min(span.ends_at, at)
    told: dict[str, Any] = {
        "coop": installation.current().coop_name,
        "month": f"{month:%Y-%m}",
        "starts_at": span.starts_at.isoformat(),
        "ends_at": span.ends_at.isoformat(),
        "drawn_up_at": at.isoformat(),
        "is_over": at >= span.ends_at,
        "campaigns": _campaigns(asked),
        "held_back": _held_back(asked),
        "answers": _answers(asked),
        "signals": _signals(span),
        "refused_at_the_door": _refusals(span),
        "rules": _rules(span),
        "incidents": _incidents(span, until),
        "standing_opt_outs": _standing(span, until),
        "complaints": _complaints(span),
        "consents": _consents(span, until),
        "firmware": _firmware(),
        "audit": _audit(verifies=verifies),
    }
    return evidence.sealed(told)


def archive(told: Mapping[str, Any]) -> bytes:
    """The ZIP: document, the same as CSV and PDF, and the SHA-256 of each; the same bytes for the same
    document. Without the library for PDFs it says so in place of one.
    """
    files = {
        "README.txt": README.format(month=told["month"], coop=told["coop"]).encode(),
        "pack.json": evidence.as_json(told).encode(),
        "pack.csv": evidence.as_csv(told).encode("utf-8-sig"),
    }
    with suppress(statement_pdf.PdfUnavailable):
        files["pack.pdf"] = statement_pdf.write(as_html(told))
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in [*sorted(files.items()), ("SHA256SUMS", sums.encode())]:
            packed.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def as_html(told: Mapping[str, Any]) -> str:
    """What the PDF is made of, with its style in it."""
    style = (Path(settings.BASE_DIR) / "static" / statement_pdf.SHEET).read_text()
    return render_to_string(
        "campaigns/licence_pdf.html", {"pack": told, "logo": logos.data_uri(), "style": style}
    )


def months_with_evidence() -> list[date]:
    """Months in which a campaign began, the newest first."""
    return list(Campaign.objects.dates("starts_at", "month", order="DESC"))


def _campaigns(asked: Sequence[Campaign]) -> list[dict[str, Any]]:
    parts = Participation.objects.filter(campaign__in=asked)
    counts: dict[UUID, Mapping[str, Any]] = {
        row["campaign"]: row
        for row in parts.values("campaign").annotate(
            assets=Count("pk"),
            homes=Count("occupancy", distinct=True),
            sent=Count("pk", filter=Q(sent_at__isnull=False)),
            answered=Count("pk", filter=Q(responded_at__isnull=False)),
            took_part=Count("pk", filter=Q(state=State.OPTED_IN)),
            opted_out=Count("pk", filter=Q(state=State.OPTED_OUT)),
            overridden=Count("pk", filter=Q(state=State.OVERRIDDEN)),
            expected_w=Sum("expected_w", default=0),
        )
    }
    runs = settlement.queries.newest_runs([campaign.pk for campaign in asked])
    return [_campaign(each, counts.get(each.pk, {}), runs) for each in asked]


def _campaign(campaign: Campaign, counts: Mapping[str, Any], runs: Mapping[UUID, Any]) -> dict[str, Any]:
    run = runs.get(campaign.pk)
    return {
        "id": str(campaign.pk),
        "name": campaign.name,
        "reason": campaign.reason,
        "programme": campaign.programme.name,
        "use_case": campaign.programme.use_case,
        "direction": campaign.direction,
        "where": campaign_page.where(campaign),
        "asked_w": campaign.size_w,
        "starts_at": campaign.starts_at.isoformat(),
        "ends_at": campaign.ends_at.isoformat(),
        "state": campaign.state,
        "created_by": _who(campaign.created_by_id),
        "created_at": campaign.created_at.isoformat(),
        "first_approved_by": _who(campaign.first_approved_by_id),
        "first_approved_at": _when(campaign.first_approved_at),
        "approved_by": _who(campaign.approved_by_id),
        "approved_at": _when(campaign.approved_at),
        "dispatched_at": _when(campaign.dispatched_at),
        "completed_at": _when(campaign.completed_at),
        "cancelled_at": _when(campaign.cancelled_at),
        "cancel_reason": campaign.cancel_reason,
        **{
            name: counts.get(name, 0)
            for name in (
                "homes", "assets", "sent", "answered", "took_part", "opted_out", "overridden", "expected_w",
            )
        },
        "delivered_wh": None if run is None else run.delivered_wh,
        "settlement_input_sha256": None if run is None else run.input_sha256,
    }  # fmt: skip


def _held_back(asked: Sequence[Campaign]) -> list[dict[str, Any]]:
    """Assets that planning left out, and those the last check before sending kept back, by reason."""
    told = []
    for by, rows in (
        ("planning", PlanLine.objects.filter(campaign__in=asked)),
        ("last check before sending", Participation.objects.filter(campaign__in=asked)),
    ):
        counts = (
            rows.exclude(left_out="")
            .values_list("campaign", "left_out")
            .annotate(assets=Count("pk"))
            .order_by("campaign", "left_out")
        )
        told += [
            {
                "campaign": str(campaign_id),
                "by": by,
                "reason": reason,
                "in_words": str(PlanLine.LeftOut(reason).label),
                "assets": assets,
            }
            for campaign_id, reason, assets in counts
        ]
    return told


def _answers(asked: Sequence[Campaign]) -> list[dict[str, Any]]:
    """Every yes and no by where it came from; `obeyed` are the parts that said no and ended out."""
    ended_out = Q(participation__state__in=(State.OPTED_OUT, State.OVERRIDDEN, State.CANCELLED))
    rows = (
        OptRecord.objects.filter(participation__campaign__in=asked)
        .values("opt", "source")
        .annotate(times=Count("pk"), assets=Count("participation", distinct=True),
                  obeyed=Count("participation", distinct=True, filter=ended_out))
        .order_by("opt", "source")
    )  # fmt: skip
    return [{**row, "obeyed": row["obeyed"] if row["opt"] == OptRecord.Opt.OUT else None} for row in rows]


def _signals(span: Interval) -> list[dict[str, Any]]:
    rows = ServicingSignal.objects.filter(
        received_at__gte=span.starts_at, received_at__lt=span.ends_at
    ).select_related("client")
    return [
        {
            "kind": each.kind,
            "from": each.client.name,
            "state": each.state,
            "reason": each.reason,
            "campaign": str(each.campaign_id or ""),
            "received_at": each.received_wall_at.isoformat(),
            "decided_at": _when(each.decided_wall_at),
            "published_at": _when(each.published_wall_at),
        }
        for each in rows.order_by("received_at", "pk")
    ]


def _refusals(span: Interval) -> list[dict[str, Any]]:
    rows = ServicingRefusal.objects.filter(hour_wall_at__gte=span.starts_at, hour_wall_at__lt=span.ends_at)
    counts = rows.values("reason").annotate(times=Sum("count")).order_by("reason")
    return [dict(row) for row in counts]


def _rules(span: Interval) -> list[dict[str, Any]]:
    """The rules in force in the month, the one that held at its beginning first."""
    before = CampaignRule.objects.filter(set_at__lte=span.starts_at).order_by("-set_at", "-pk")[:1]
    within = CampaignRule.objects.filter(set_at__gt=span.starts_at, set_at__lt=span.ends_at)
    return [
        {
            "set_at": each.set_at.isoformat(),
            "set_by": _who(each.set_by_id),
            "why": each.why,
            "second_from_w": each.second_from_w,
            "substation_w_per_minute": each.substation_w_per_minute,
            "portfolio_w_per_minute": each.portfolio_w_per_minute,
            "chance_pct": each.chance_pct,
            "most_asks": each.most_asks,
        }
        for each in [*before, *within.order_by("set_at")]
    ]


def _incidents(span: Interval, until: datetime) -> list[dict[str, Any]]:
    """Times in which sending was frozen, and in which the site itself was not at work."""
    frozen = Freeze.objects.filter(
        Q(thawed_at=None) | Q(thawed_at__gt=span.starts_at), frozen_at__lt=span.ends_at
    ).order_by("frozen_at")
    told = [
        {
            "what": "sending frozen",
            "starts_at": each.frozen_at.isoformat(),
            "ends_at": _when(each.thawed_at),
            "by": _who(each.frozen_by_id) or "command line",
            "ended_by": _who(each.thawed_by_id),
            "reason": each.reason,
        }
        for each in frozen
    ]
    told += [
        {
            "what": "site not at work",
            "starts_at": since.isoformat(),
            "ends_at": end.isoformat(),
            "by": "",
            "ended_by": "",
            "reason": "",
        }
        for since, end in journals.site_down(span.starts_at, until)
    ]
    return told


def _standing(span: Interval, until: datetime) -> dict[str, int]:
    """Standing wishes to be left out."""
    begun = StandingOptOut.objects.filter(starts_at__lt=until)
    return {
        "in_force_at_the_end": begun.filter(Q(ends_at=None) | Q(ends_at__gt=until)).count(),
        "begun_in_the_month": begun.filter(starts_at__gte=span.starts_at).count(),
        "ended_in_the_month": StandingOptOut.objects.filter(
            ends_at__gte=span.starts_at, ends_at__lt=until, ends_at__gt=F("starts_at")
        ).count(),
    }


def _complaints(span: Interval) -> list[dict[str, Any]]:
    rows = RightsRequest.objects.filter(
        kind=RightsRequest.Kind.COMPLAINT, opened_at__gte=span.starts_at, opened_at__lt=span.ends_at
    ).only("pk", "opened_at", "acknowledged_at", "due_at", "closed_at", "verdict")
    return [
        {
            "id": str(each.pk),
            "opened_at": each.opened_at.isoformat(),
            "acknowledged_at": _when(each.acknowledged_at),
            "due_at": each.due_at.isoformat(),
            "closed_at": _when(each.closed_at),
            "verdict": each.verdict,
        }
        for each in rows.order_by("opened_at", "pk")
    ]


def _consents(span: Interval, until: datetime) -> list[dict[str, Any]]:
    """Of each purpose: how many hold at the beginning and the end, and how many were given and ended."""

    def holds(at: datetime) -> Q:
        return Q(starts_at__lte=at) & (Q(ends_at=None) | Q(ends_at__gt=at))

    rows = Consent.objects.values("purpose").annotate(
        at_the_beginning=Count("pk", filter=holds(span.starts_at)),
        given=Count("pk", filter=Q(starts_at__gte=span.starts_at, starts_at__lt=until)),
        ended=Count("pk", filter=Q(ends_at__gte=span.starts_at, ends_at__lt=until)),
        withdrawn=Count(
            "pk", filter=Q(ends_at__gte=span.starts_at, ends_at__lt=until, end_reason="requested")
        ),
        at_the_end=Count("pk", filter=holds(until)),
    )
    found = {row["purpose"]: row for row in rows}
    return [dict(found[purpose]) for purpose in Purpose.values if purpose in found]


def _firmware() -> list[dict[str, Any]]:
    """Versions that hubs and controllers in use said last: those of now."""
    hubs = Hub.objects.filter(state=Hub.State.COMMISSIONED).values("firmware")
    assets = Asset.objects.exclude(state=Asset.State.RETIRED).exclude(firmware="").values("kind", "firmware")
    return [
        {"of": "hub", "version": row["firmware"] or "not told", "count": row["count"]}
        for row in hubs.annotate(count=Count("pk")).order_by("firmware")
    ] + [
        {"of": row["kind"], "version": row["firmware"], "count": row["count"]}
        for row in assets.annotate(count=Count("pk")).order_by("kind", "firmware")
    ]


def _audit(*, verifies: bool) -> dict[str, Any]:
    if not verifies:
        newest = AuditSeal.objects.order_by("-number").first()
        head = "" if newest is None else bytes(newest.sha256).hex()
        return {"head": head, "seals": 0 if newest is None else newest.number, "verified": None}
    verdict = sealing.verify()
    return {
        "head": verdict.head,
        "seals": verdict.seals,
        "entries": verdict.entries,
        "not_sealed_yet": verdict.unsealed,
        "verified": not verdict.findings,
        "findings": "; ".join(str(each) for each in verdict.findings[:MOST_FINDINGS]),
    }


def _who(user_id: int | None) -> str:
    return "" if user_id is None else f"user:{user_id}"


def _when(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
