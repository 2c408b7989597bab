"""What the buyer paid: taken in by event, matched with what was claimed; what differs is held apart.

A difference of less than a penny is rounding. The members' shares stand: what is held apart is a claim on the
buyer, not on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from campaigns.models import Programme
from members.models import User
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from opendsr.kernel.money import MP_PER_PENNY
from settlement import computing, ledger, queries
from settlement.models import (
    Component,
    Dispute,
    DisputeOutcome,
    Remittance,
    SettlementRun,
    VatTreatment,
)


class RemittanceInvalid(Invalid):
    """A line or a sum of the remittance that makes no sense."""

    field: str
    value: str
    reason: str


class RemittanceKnown(DomainError):
    """There is a remittance of that programme with that reference."""

    reference: str


class DisputeUnknown(NotFound):
    """No dispute with that id."""

    dispute_id: UUID


class DisputeDecided(DomainError):
    """The dispute has an outcome already."""

    outcome: str


@dataclass(frozen=True, slots=True)
class RemittedLine:
    """What was paid for one event, net of VAT, in whole pence; `reason` is the buyer's when it differs."""

    campaign_id: UUID
    net_pence: int
    reason: str = ""


@transaction.atomic
def record_remittance(
    *,
    programme_code: str,
    reference: str,
    lines: Sequence[RemittedLine],
    vat_pence: int,
    at: datetime,
    by: User | None,
    vat_treatment: str = VatTreatment.STANDARD,
) -> tuple[Remittance, list[Dispute]]:
    """Take the remittance in; a dispute for each event that differs by a penny or more.

    Raises RemittanceInvalid naming the line, RemittanceKnown; then nothing is taken.
    """
    computing.lock_programme(programme_code)
    if Remittance.objects.filter(programme=programme_code, reference=reference).exists():
        raise RemittanceKnown(reference=reference)
    runs = _runs(programme_code, lines, vat_pence)
    net_pence = sum(line.net_pence for line in lines)
    remittance = Remittance.objects.create(
        programme_id=programme_code,
        reference=reference,
        net_pence=net_pence,
        vat_pence=vat_pence,
        gross_pence=net_pence + vat_pence,
        vat_treatment=vat_treatment,
        received_at=at,
        entered_by=by,
    )
    legs: Counter[tuple[UUID, str]] = Counter()
    buyer = ledger.buyer_account(programme_code=programme_code, at=at).pk
    bank = ledger.bank_account(at=at).pk
    disputes = []
    for line, run in zip(lines, runs, strict=True):
        remitted_mp = line.net_pence * MP_PER_PENNY
        over_mp = run.revenue_mp - remitted_mp
        legs[buyer, Component.REMITTANCE] += remitted_mp
        legs[bank, Component.REMITTANCE] -= remitted_mp
        if abs(over_mp) < MP_PER_PENNY:
            legs[buyer, Component.ROUNDING] += over_mp
            legs[ledger.rounding_account(at=at).pk, Component.ROUNDING] -= over_mp
            continue
        apart = ledger.disputed_account(programme_code=programme_code, at=at).pk
        legs[buyer, Component.DISPUTE] += over_mp
        legs[apart, Component.DISPUTE] -= over_mp
        disputes.append(
            Dispute.objects.create(
                remittance=remittance,
                run=run,
                claimed_mp=run.revenue_mp,
                remitted_mp=remitted_mp,
                reason=line.reason[:200],
                opened_at=at,
            )
        )
    ledger.post_legs(key=f"remittance:{remittance.pk}", memo=f"Remittance {reference}", legs=legs, at=at)
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.remittance_recorded",
        target=f"remittance:{remittance.pk}",
        detail={"net_pence": net_pence, "disputes": len(disputes)},
    )
    return remittance, disputes


@transaction.atomic
def settle_dispute(
    *, dispute_id: UUID, outcome: str, at: datetime, by: User, note: str = ""
) -> DisputeOutcome:
    """End a dispute: PAID when the buyer pays the rest, CONCEDED when the co-op's own share bears it.

    Raises DisputeUnknown, DisputeDecided. No household is asked for anything back.
    """
    dispute = Dispute.objects.select_related("remittance").filter(pk=dispute_id).first()
    if dispute is None:
        raise DisputeUnknown(dispute_id=dispute_id)
    computing.lock_programme(dispute.remittance.programme_id)
    decided = DisputeOutcome.objects.filter(dispute=dispute).first()
    if decided is not None:
        raise DisputeDecided(outcome=decided.outcome)
    ended = DisputeOutcome.objects.create(dispute=dispute, outcome=outcome, by=by, at=at, note=note[:200])
    rest_mp = dispute.claimed_mp - dispute.remitted_mp
    apart = ledger.disputed_account(programme_code=dispute.remittance.programme_id, at=at)
    other = ledger.bank_account(at=at) if outcome == "paid" else ledger.coop_account(at=at)
    ledger.post(
        key=f"dispute:{dispute.pk}",
        memo=f"Dispute on remittance {dispute.remittance.reference}",
        amounts_mp={apart.pk: rest_mp, other.pk: -rest_mp},
        at=at,
        component=Component.DISPUTE,
    )
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb="settlement.dispute_settled",
        target=f"dispute:{dispute.pk}",
        detail={"outcome": outcome, "mp": rest_mp},
    )
    return ended


def _runs(programme_code: str, lines: Sequence[RemittedLine], vat_pence: int) -> list[SettlementRun]:
    """The run that stands for each line; raises RemittanceInvalid."""
    if not Programme.objects.filter(pk=programme_code).exists():
        raise RemittanceInvalid(field="programme", value=programme_code, reason="there is no such programme")
    if not lines:
        raise RemittanceInvalid(field="lines", value="", reason="at least one event")
    if vat_pence < 0:
        raise RemittanceInvalid(field="vat", value=str(vat_pence), reason="not below zero")
    standing = queries.newest_runs(line.campaign_id for line in lines)
    found = []
    seen: set[UUID] = set()
    for line in lines:
        run = standing.get(line.campaign_id)
        if run is None or run.campaign.programme_id != programme_code:
            raise RemittanceInvalid(
                field="campaign", value=str(line.campaign_id), reason="no settled event of the programme"
            )
        if line.campaign_id in seen:
            raise RemittanceInvalid(field="campaign", value=run.campaign.name, reason="named twice")
        if line.net_pence < 0:
            raise RemittanceInvalid(field="net", value=str(line.net_pence), reason="not below zero")
        seen.add(line.campaign_id)
        found.append(run)
    return found
