"""Money and the numbers behind it: terms, rounds and runs, measured delivery, ledger, statements, payments.

Amounts are integer millipence (`_mp`), energies integer Wh. Everything but the accounts is append-only and
each ledger entry sums to zero; both are held by the database (`settlement/sql.py`).
"""

from __future__ import annotations

from settlement.kpi_models import EventAfter, MonthFigures
from settlement.models.choices import (
    Basis,
    Cap,
    Component,
    Floor,
    Outcome,
    OverrideCost,
    RoundKind,
    Standing,
    Verdict,
)
from settlement.models.files import StatementFiles, StatementFilesPart
from settlement.models.ledger import Account, Entry, Posting, Statement
from settlement.models.paying import (
    BankDetail,
    BatchDecision,
    Dispute,
    DisputeOutcome,
    Payment,
    PaymentBatch,
    PaymentEvent,
    Rail,
    Remittance,
    Society,
    SurplusResolution,
    VatTreatment,
)
from settlement.models.runs import (
    DeviceEstimate,
    HomeDelivery,
    RoundDecision,
    RoundProgress,
    RunArchive,
    SettlementRound,
    SettlementRun,
)
from settlement.models.surplus import SurplusDecision, SurplusProposal
from settlement.models.terms import GiftChoice, HardshipMark, SettlementTerms, SharePolicyVersion
from settlement.study_models import PlaceboStudy

__all__ = [
    "Account",
    "BankDetail",
    "Basis",
    "BatchDecision",
    "Cap",
    "Component",
    "DeviceEstimate",
    "Dispute",
    "DisputeOutcome",
    "Entry",
    "EventAfter",
    "Floor",
    "GiftChoice",
    "HardshipMark",
    "HomeDelivery",
    "MonthFigures",
    "Outcome",
    "OverrideCost",
    "Payment",
    "PaymentBatch",
    "PaymentEvent",
    "PlaceboStudy",
    "Posting",
    "Rail",
    "Remittance",
    "RoundDecision",
    "RoundKind",
    "RoundProgress",
    "RunArchive",
    "SettlementRound",
    "SettlementRun",
    "SettlementTerms",
    "SharePolicyVersion",
    "Society",
    "Standing",
    "Statement",
    "StatementFiles",
    "StatementFilesPart",
    "SurplusDecision",
    "SurplusProposal",
    "SurplusResolution",
    "VatTreatment",
    "Verdict",
]
