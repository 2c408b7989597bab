"""Bank details: sealed with the member's own key, held for seven days after every change.

While a change is held nothing is paid at all, neither to the new account nor to the old one: whoever took a
member's account over gains nothing, and the member has the week to say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from members.models import Member, User
from opendsr.kernel import audit, encryption, outbox
from opendsr.kernel.errors import Invalid
from opendsr.kernel.ids import new_uuid
from settlement.bacs import ACCOUNT, SORT_CODE, bacs_text
from settlement.models import BankDetail

HOLD: Final = timedelta(days=7)
CHANGED: Final = "settlement.bank_detail.changed"


class BankDetailInvalid(Invalid):
    """A field of the bank details makes no sense."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Payee:
    """An account in the clear; never logged, never shown whole."""

    name: str
    sort_code: str
    account_number: str
    gocardless_account: str = ""


@transaction.atomic
def change(*, member: Member, payee: Payee, at: datetime, by: User | None) -> BankDetail:
    """Keep new details for the member; usable after the hold. Raises BankDetailInvalid.

    The change is news for the member (`settlement.bank_detail.changed`), by every channel there was before.
    """
    _check(payee)
    detail_id = new_uuid()
    detail = BankDetail.objects.create(
        id=detail_id,
        member=member,
        sealed=encryption.seal(member.pk, json.dumps(asdict(payee)), _context(detail_id)),
        ending=payee.account_number[-2:],
        changed_at=at,
        usable_from=at + HOLD,
        changed_by=by,
    )
    outbox.record(CHANGED, at=at, key=str(detail.pk), member_id=member.pk, ending=detail.ending)
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.bank_detail_changed",
        target=f"member:{member.pk}",
    )
    return detail


def newest(member_ids: Iterable[UUID]) -> dict[UUID, BankDetail]:
    """The details that count for each member, held or not; nobody erased has any that can be read."""
    found = BankDetail.objects.filter(member__in=list(member_ids), member__erasure__isnull=True)
    rows = found.order_by("member_id", "-changed_at", "-id").distinct("member_id")
    return {row.member_id: row for row in rows}


def payee_of(detail: BankDetail) -> Payee:
    """The account in the clear; raises encryption.KeyShredded once the member was erased."""
    text = encryption.unseal(detail.member_id, bytes(detail.sealed), _context(detail.pk))
    return Payee(**json.loads(text))


def _context(detail_id: UUID) -> str:
    return f"settlement_bankdetail|sealed|{detail_id}"


def _check(payee: Payee) -> None:
    if not bacs_text(payee.name):
        raise BankDetailInvalid(field="name", reason="the name on the account, in letters Bacs takes")
    if not SORT_CODE.fullmatch(payee.sort_code):
        raise BankDetailInvalid(field="sort_code", reason="six digits")
    if not ACCOUNT.fullmatch(payee.account_number):
        raise BankDetailInvalid(field="account_number", reason="eight digits; put a 0 before seven")
