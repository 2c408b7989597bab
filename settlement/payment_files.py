"""An approved batch as the file its rail takes: Bacs Standard 18, bank CSV, bill credit CSV, GoCardless JSON.

Nothing is sent from here: the co-op's bank software, bureau or supplier takes the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from opendsr.kernel import encryption
from opendsr.kernel.env import env_str
from opendsr.kernel.errors import DomainError
from settlement import bacs, bank_details
from settlement.models import BatchDecision, Payment, PaymentBatch, Rail, Verdict
from settlement.statement_csv import plain_cell

SUN, NAME, SORT_CODE, ACCOUNT = (
    "OPENDSR_BACS_SUN",
    "OPENDSR_BACS_NAME",
    "OPENDSR_BACS_SORT_CODE",
    "OPENDSR_BACS_ACCOUNT",
)
VAT_COLUMNS: Final = ("net", "vat", "gross", "vat_treatment")


class BatchNotApproved(DomainError):
    """Only an approved batch is exported."""

    batch: str


class OriginatorMissing(DomainError):
    """The installation does not say from which account Bacs payments leave."""

    variable: str


class PayeeMissing(DomainError):
    """A payment without bank details, on a rail that needs them."""

    reference: str


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """A file to hand over."""

    name: str
    content_type: str
    text: str


def export(batch: PaymentBatch, *, created: date) -> PaymentFile:
    """The batch's file; raises BatchNotApproved, OriginatorMissing, bacs.BacsInvalid."""
    decision = BatchDecision.objects.filter(batch=batch).first()
    if decision is None or decision.verdict != Verdict.APPROVED:
        raise BatchNotApproved(batch=str(batch))
    found = batch.payments.select_related("member", "bank_detail", "account__occupancy__home")
    ending, content_type, write = WRITERS[Rail(batch.rail)]
    return PaymentFile(
        name=f"batch-{batch.number}-{batch.rail}.{ending}",
        content_type=content_type,
        text=write(batch, list(found.order_by("reference")), created),
    )


def originator() -> bacs.Originator:
    """Who pays, from the environment; raises OriginatorMissing, naming the variable."""
    values = {name: env_str(name, default="").strip() for name in (SUN, NAME, SORT_CODE, ACCOUNT)}
    for name, value in values.items():
        if not value:
            raise OriginatorMissing(variable=name)
    return bacs.Originator(*values.values())


def _bacs(batch: PaymentBatch, payments: Sequence[Payment], created: date) -> str:
    credits = []
    for payment in payments:
        payee = _payee(payment)
        credits.append(
            bacs.Credit(
                payee.sort_code, payee.account_number, payee.name, payment.gross_pence, payment.reference
            )
        )
    return bacs.write(
        originator(), credits, processing=batch.processing_date, created=created, serial=batch.number
    )


def _bank_csv(batch: PaymentBatch, payments: Sequence[Payment], created: date) -> str:
    head = ("name", "sort_code", "account_number", "amount", "reference", "date", *VAT_COLUMNS)
    rows = []
    for payment in payments:
        payee = _payee(payment)
        rows.append(
            (
                plain_cell(payee.name),
                payee.sort_code,
                payee.account_number,
                _pounds(payment.gross_pence),
                payment.reference,
                batch.processing_date.isoformat(),
                *_vat(payment),
            )
        )
    return _csv(head, rows)


def _bill_credit(batch: PaymentBatch, payments: Sequence[Payment], created: date) -> str:
    head = ("mpan", "member", "amount", "reference", "date", *VAT_COLUMNS)
    rows = []
    for payment in payments:
        stay = payment.account.occupancy
        rows.append(
            (
                stay.home.mpan if stay else "",
                payment.member.number,
                _pounds(payment.gross_pence),
                payment.reference,
                batch.processing_date.isoformat(),
                *_vat(payment),
            )
        )
    return _csv(head, rows)


def _gocardless(batch: PaymentBatch, payments: Sequence[Payment], created: date) -> str:
    """One request for each payment, with its idempotency key; signing and sending is the caller's."""
    requests = [
        {
            "method": "POST",
            "path": "/outbound_payments",
            "idempotency_key": str(payment.pk),
            "body": {
                "outbound_payments": {
                    "amount": payment.gross_pence,
                    "scheme": "faster_payments",
                    "execution_date": batch.processing_date.isoformat(),
                    "description": payment.reference,
                    "metadata": {"net": str(payment.net_pence), "vat": str(payment.vat_pence)},
                    "links": {"recipient_bank_account": _payee(payment).gocardless_account},
                }
            },
        }
        for payment in payments
    ]
    return json.dumps(requests, indent=1) + "\n"


def _payee(payment: Payment) -> bank_details.Payee:
    if payment.bank_detail is None:
        raise PayeeMissing(reference=payment.reference)
    try:
        return bank_details.payee_of(payment.bank_detail)
    except encryption.KeyShredded:
        raise PayeeMissing(reference=payment.reference) from None


def _vat(payment: Payment) -> tuple[str, ...]:
    amounts = (payment.net_pence, payment.vat_pence, payment.gross_pence)
    return (*map(_pounds, amounts), payment.vat_treatment)


def _pounds(pence: int) -> str:
    return f"{pence // 100}.{pence % 100:02d}"


def _csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


Writer = Callable[[PaymentBatch, Sequence[Payment], date], str]
WRITERS: Final[Mapping[Rail, tuple[str, str, Writer]]] = {
    Rail.BACS18: ("bacs", "text/plain; charset=us-ascii", _bacs),
    Rail.BANK_CSV: ("csv", "text/csv; charset=utf-8", _bank_csv),
    Rail.BILL_CREDIT: ("csv", "text/csv; charset=utf-8", _bill_credit),
    Rail.GOCARDLESS: ("json", "application/json", _gocardless),
}
