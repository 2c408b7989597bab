"""What the pages of payments, remittances and disputes show, already in words."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.db.models import Sum
from django.forms import Form
from django.http import HttpRequest

import settlement.policy
from campaigns.models import Campaign
from members.policy import has_role
from opendsr.kernel.money import MP_PER_PENNY
from opendsr.web import wording
from opendsr.web.money_forms import StatusForm
from opendsr.web.paging import paged
from settlement import paying, queries
from settlement.models import Dispute, PaymentBatch, Remittance, Verdict
from settlement.paying import HELD_WORDS

SHOWN = 25
WAITING_SHOWN = 50


def list_page(request: HttpRequest, form: Form, *, at: datetime) -> dict[str, Any]:
    """Batches, and every household's balance with what it waits for."""
    batches = PaymentBatch.objects.select_related("decision", "proposed_by").annotate(
        pence=Sum("payments__gross_pence")
    )
    shown, pager = paged(request, batches.order_by("-number"), size=SHOWN)
    everybody, worked_out_at = paying.waiting(at=at)
    waiting, waiting_pager = paged(
        request, everybody, size=WAITING_SHOWN, parameter="balances", anchor="balances"
    )
    held = Counter(each.held for each in everybody if each.held)
    return {
        "batches": [_batch_row(batch) for batch in shown],
        "pager": pager,
        "form": form,
        "status_form": StatusForm(),
        "balances": [
            {
                "member": each.member_number or wording.NOTHING,
                "balance": wording.millipence(each.balance_mp),
                "final": wording.millipence(each.final_mp),
                "pay": wording.money(each.pence * MP_PER_PENNY) if each.pence else wording.NOTHING,
                "why": HELD_WORDS[each.held] if each.held else "",
                "is_leaving": each.is_leaving,
            }
            for each in waiting
        ],
        "balances_pager": waiting_pager,
        "worked_out": wording.moment(worked_out_at),
        "total": wording.money(sum(each.pence for each in everybody) * MP_PER_PENNY),
        "payable": sum(1 for each in everybody if each.pence),
        "held": [(HELD_WORDS[why], count) for why, count in sorted(held.items())],
        "may_settle": has_role(request.user, *settlement.policy.MAY_SETTLE),
    }


def batch_page(request: HttpRequest, batch: PaymentBatch) -> dict[str, Any]:
    """Everything on a batch's page."""
    payments = batch.payments.select_related("member", "bank_detail").prefetch_related("events")
    shown, pager = paged(request, payments.order_by("reference"), size=WAITING_SHOWN)
    total = batch.payments.aggregate(total=Sum("gross_pence"))["total"] or 0
    decision = getattr(batch, "decision", None)
    may_settle = has_role(request.user, *settlement.policy.MAY_SETTLE)
    return {
        "batch": batch,
        "row": _batch_row(batch),
        "decision": decision,
        "decided": wording.moment(decision.at) if decision else "",
        "proposed": wording.moment(batch.proposed_at),
        "total": wording.money(total * MP_PER_PENNY),
        "payments": [
            {
                "reference": each.reference,
                "member": each.member.number,
                "account": f"…{each.bank_detail.ending}" if each.bank_detail else wording.NOTHING,
                "net": wording.money(each.net_pence * MP_PER_PENNY),
                "vat": wording.money(each.vat_pence * MP_PER_PENNY),
                "gross": wording.money(each.gross_pence * MP_PER_PENNY),
                "states": [(event.get_status_display(), event.reason) for event in each.events.all()],
            }
            for each in shown
        ],
        "pager": pager,
        "may_decide": may_settle and decision is None,
        "may_approve": may_settle and decision is None and batch.proposed_by_id != request.user.pk,
        "is_own": decision is None and batch.proposed_by_id == request.user.pk,
        "may_export": may_settle and decision is not None and decision.verdict == Verdict.APPROVED,
    }


def disputes_page(request: HttpRequest, form: Form) -> dict[str, Any]:
    """Remittances and disputes, and the events a remittance can name."""
    disputes = Dispute.objects.select_related("remittance__programme", "run__campaign", "outcome")
    shown, pager = paged(request, disputes.order_by("-opened_at", "id"), size=SHOWN)
    remittances = Remittance.objects.select_related("programme").order_by("-received_at", "id")[:SHOWN]
    recent = list(Campaign.objects.filter(state=Campaign.State.COMPLETED).order_by("-starts_at")[:SHOWN])
    standing = queries.newest_runs(campaign.pk for campaign in recent)
    return {
        "disputes": [_dispute_row(dispute) for dispute in shown],
        "pager": pager,
        "form": form,
        "remittances": [
            {
                "reference": each.reference,
                "programme": each.programme.name,
                "when": wording.moment(each.received_at),
                "net": wording.money(each.net_pence * MP_PER_PENNY),
                "vat": wording.money(each.vat_pence * MP_PER_PENNY),
                "gross": wording.money(each.gross_pence * MP_PER_PENNY),
            }
            for each in remittances
        ],
        "events": [
            {
                "id": campaign.pk,
                "name": campaign.name,
                "when": wording.day(campaign.starts_at, "j F Y"),
                "revenue": wording.millipence(standing[campaign.pk].revenue_mp),
            }
            for campaign in recent
            if campaign.pk in standing
        ],
        "may_settle": has_role(request.user, *settlement.policy.MAY_SETTLE),
    }


def _batch_row(batch: PaymentBatch) -> dict[str, Any]:
    decision = getattr(batch, "decision", None)
    pence = getattr(batch, "pence", None) or 0
    return {
        "id": batch.pk,
        "name": str(batch),
        "rail": batch.get_rail_display(),
        "day": f"{batch.processing_date:%-d %B %Y}",
        "total": wording.money(pence * MP_PER_PENNY),
        "state": decision.get_verdict_display() if decision else "",
        "tag": "" if decision is None else "good" if decision.verdict == Verdict.APPROVED else "",
    }


def _dispute_row(dispute: Dispute) -> dict[str, Any]:
    outcome = getattr(dispute, "outcome", None)
    return {
        "id": dispute.pk,
        "event": dispute.run.campaign.name,
        "programme": dispute.remittance.programme.name,
        "reference": dispute.remittance.reference,
        "claimed": wording.millipence(dispute.claimed_mp),
        "remitted": wording.millipence(dispute.remitted_mp),
        "apart": wording.millipence(dispute.claimed_mp - dispute.remitted_mp),
        "reason": dispute.reason,
        "opened": wording.moment(dispute.opened_at),
        "outcome": outcome.get_outcome_display() if outcome else "",
    }
