"""Paying households: who can be paid what, batches that two people approve, and what the bank said of them.

Only final money leaves, in whole pence; what is below the threshold carries forward and is told, never lost.
A balance below zero waits for later earnings: no household is ever billed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max

from members.models import LeftReason, Member, User
from opendsr.kernel import audit, keeping, outbox
from opendsr.kernel.errors import DomainError, Invalid, NotAllowed, NotFound
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.lookups import among
from opendsr.kernel.money import MP_PER_PENNY
from settlement import bank_details, computing, ledger, queries
from settlement.models import (
    Account,
    BankDetail,
    BatchDecision,
    Component,
    Payment,
    PaymentBatch,
    PaymentEvent,
    Posting,
    Rail,
    RoundDecision,
    Verdict,
)

DEFAULT_THRESHOLD_PENCE: Final = 500
LOCK: Final = "payments"
PAID: Final = "settlement.batch.approved"
WAITING_KEPT: Final = timedelta(minutes=5)


class BatchUnknown(NotFound):
    """No batch with that id."""

    batch_id: UUID


class BatchWaits(DomainError):
    """Another batch waits for approval: decide that one first."""

    batch: str


class BatchDecided(DomainError):
    """The batch was approved or withdrawn before."""

    batch: str
    verdict: str


class BatchEmpty(Invalid):
    """Nobody can be paid now."""

    held: int


class SecondPersonNeeded(NotAllowed):
    """Whoever proposed a batch cannot approve it."""

    batch: str


class BalanceChanged(DomainError):
    """An account no longer holds what the batch would pay: withdraw it and propose another."""

    batch: str
    reference: str


class StatusInvalid(Invalid):
    """A line of the bank's answer that fits no payment."""

    line: int
    field: str
    value: str
    reason: str


class Held(StrEnum):
    """Why an account is not paid now."""

    NEGATIVE = "negative"
    PROVISIONAL = "provisional"
    SMALL = "small"
    NO_DETAILS = "no_details"
    DETAILS_HELD = "details_held"
    ESTATE = "estate"
    NO_GOCARDLESS = "no_gocardless"


HELD_WORDS: Final[Mapping[Held, str]] = {
    Held.NEGATIVE: "balance below zero after a correction: nets against what comes",
    Held.PROVISIONAL: "earned provisionally: waits for the final round",
    Held.SMALL: "below the threshold: carries forward",
    Held.NO_DETAILS: "no bank details",
    Held.DETAILS_HELD: "bank details changed less than seven days ago",
    Held.ESTATE: "owed to the estate: waits for the account of whoever settles it",
    Held.NO_GOCARDLESS: "no GoCardless account id in the bank details",
}


@dataclass(frozen=True, slots=True)
class Payable:
    """One household's account: what can be paid now, or why not. `final_mp` is the balance that is final."""

    account_id: UUID
    occupancy_id: UUID
    balance_mp: int
    final_mp: int
    pence: int
    member: Member | None
    detail: BankDetail | None
    held: Held | None
    is_leaving: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A household's account as a list shows it: a `Payable` without the rows that it rests on."""

    member_number: str
    balance_mp: int
    final_mp: int
    pence: int
    held: Held | None
    is_leaving: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """What a status file changed: lines already known count as `known`."""

    paid: int = 0
    returned: int = 0
    known: int = 0
    refused: tuple[StatusInvalid, ...] = ()


def payables(*, rail: str, at: datetime, threshold_pence: int = DEFAULT_THRESHOLD_PENCE) -> list[Payable]:
    """Every household's account with a balance, in order of member number; seven queries."""
    accounts = list(
        Account.objects.filter(kind=Account.Kind.HOUSEHOLD).select_related("occupancy").order_by("code")
    )
    balances = ledger.balances_mp(account.pk for account in accounts)
    held_by = [
        (account, account.occupancy)
        for account in accounts
        if balances[account.pk] and account.occupancy is not None
    ]
    stays = [stay for _, stay in held_by]
    provisional = queries.provisional_mp(stay.pk for stay in stays)
    payees = _payees({stay.household_id for stay in stays})
    details = bank_details.newest(member.pk for some in payees.values() for member in some)
    found = []
    for account, stay in held_by:
        people = payees.get(stay.household_id, [])
        is_estate = _is_estate(people, at)
        entitled = _entitled(people, is_estate=is_estate, at=at)
        member = next((each for each in entitled if each.pk in details), entitled[0] if entitled else None)
        detail = _detail_of(member, details, is_estate) if member else None
        is_leaving = (stay.ends_at is not None and stay.ends_at <= at) or not any(
            each.is_current(at) for each in people
        )
        final_mp = balances[account.pk] - max(provisional.get(stay.pk, 0), 0)
        pence = max(final_mp, 0) // MP_PER_PENNY
        held = _held(rail, pence, balances[account.pk], final_mp, detail, is_leaving, threshold_pence, at)
        if is_estate and detail is None and held not in (Held.NEGATIVE, Held.PROVISIONAL, Held.SMALL):
            held = Held.ESTATE
        found.append(
            Payable(
                account_id=account.pk,
                occupancy_id=stay.pk,
                balance_mp=balances[account.pk],
                final_mp=final_mp,
                pence=0 if held else pence,
                member=member,
                detail=detail,
                held=held,
                is_leaving=is_leaving,
            )
        )
    return sorted(found, key=lambda each: (each.member.number if each.member else "", each.account_id.hex))


def waiting(*, at: datetime) -> tuple[list[Waiting], datetime]:
    """Every account with a balance, paid into banks, and when that was worked out.

    Kept for five minutes while no posting, bank detail or member changes: reading ten thousand accounts
    takes a second. What is paid is worked out anew (`propose_batch`).
    """
    return keeping.kept(
        f"settlement:waiting:{_stamp()}", at=at, lasts=WAITING_KEPT, work=lambda: _waiting(at=at)
    )


def _waiting(*, at: datetime) -> list[Waiting]:
    return [
        Waiting(
            member_number=each.member.number if each.member else "",
            balance_mp=each.balance_mp,
            final_mp=each.final_mp,
            pence=each.pence,
            held=each.held,
            is_leaving=each.is_leaving,
        )
        for each in payables(rail=Rail.BANK_CSV, at=at)
    ]


def _stamp() -> str:
    """Another for every posting, bank detail, approved round, and member who came or left."""
    parts = (
        Posting.objects.aggregate(Max("pk")),
        BankDetail.objects.aggregate(Max("changed_at"), Count("pk")),
        RoundDecision.objects.aggregate(Max("at")),
        Member.objects.aggregate(Max("joined_at"), Max("left_at"), Count("left_at")),
    )
    return hashlib.sha256(repr([sorted(each.items()) for each in parts]).encode()).hexdigest()


@transaction.atomic
def propose_batch(
    *,
    rail: str,
    processing_date: date,
    at: datetime,
    by: User,
    threshold_pence: int = DEFAULT_THRESHOLD_PENCE,
) -> PaymentBatch:
    """Write down who is paid what; nothing moves yet. Raises BatchWaits, BatchEmpty."""
    computing.lock_programme(LOCK)
    waiting = PaymentBatch.objects.filter(decision__isnull=True).first()
    if waiting is not None:
        raise BatchWaits(batch=str(waiting))
    everybody = payables(rail=Rail(rail).value, at=at, threshold_pence=threshold_pence)
    paid = [each for each in everybody if each.pence and each.member]
    if not paid:
        raise BatchEmpty(held=len(everybody))
    number = 1 + (PaymentBatch.objects.aggregate(latest=Max("number"))["latest"] or 0)
    batch = PaymentBatch.objects.create(
        number=number,
        rail=rail,
        processing_date=processing_date,
        threshold_pence=threshold_pence,
        proposed_by=by,
        proposed_at=at,
    )
    Payment.objects.bulk_create(
        Payment(
            id=new_uuid(),
            batch=batch,
            account_id=each.account_id,
            member=each.member,
            bank_detail=None if rail == Rail.BILL_CREDIT else each.detail,
            reference=f"DSR {number:05d} {place:06d}",
            net_pence=each.pence,
            gross_pence=each.pence,
        )
        for place, each in enumerate(paid, start=1)
    )
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb="settlement.batch_proposed",
        target=f"batch:{batch.pk}",
        detail={"payments": len(paid), "pence": sum(each.pence for each in paid)},
    )
    return batch


@transaction.atomic
def approve_batch(*, batch_id: UUID, at: datetime, by: User) -> PaymentBatch:
    """Approve the batch: its payments leave the households' accounts in the ledger, and it can be exported.

    Raises SecondPersonNeeded, BatchDecided, BalanceChanged.
    """
    computing.lock_programme(LOCK)
    batch = batch_by_id(batch_id)
    _require_undecided(batch)
    if by.pk == batch.proposed_by_id:
        raise SecondPersonNeeded(batch=str(batch))
    payments = list(batch.payments.order_by("reference"))
    ledger.lock_accounts(payment.account_id for payment in payments)
    now = {
        each.account_id: each
        for each in payables(rail=batch.rail, at=at, threshold_pence=batch.threshold_pence)
    }
    for payment in payments:
        each = now.get(payment.account_id)
        detail_id = each.detail.pk if each and each.detail else None
        is_same = payment.bank_detail_id is None or payment.bank_detail_id == detail_id
        if each is None or each.pence < payment.gross_pence or not is_same:
            raise BalanceChanged(batch=str(batch), reference=payment.reference)
    BatchDecision.objects.create(batch=batch, verdict=Verdict.APPROVED, by=by, at=at)
    legs = {
        (payment.account_id, Component.PAYMENT.value): -payment.gross_pence * MP_PER_PENNY
        for payment in payments
    }
    legs[ledger.bank_account(at=at).pk, Component.PAYMENT.value] = -sum(legs.values())
    ledger.post_legs(key=f"batch:{batch.pk}", memo=f"{batch}, {batch.get_rail_display()}", legs=legs, at=at)
    outbox.record(PAID, at=at, key=str(batch.pk), batch_id=batch.pk)
    audit.record(at=at, actor=f"user:{by.pk}", verb="settlement.batch_approved", target=f"batch:{batch.pk}")
    return batch


@transaction.atomic
def withdraw_batch(*, batch_id: UUID, at: datetime, by: User) -> PaymentBatch:
    """Give the batch up; nothing moves. Raises BatchDecided."""
    computing.lock_programme(LOCK)
    batch = batch_by_id(batch_id)
    _require_undecided(batch)
    BatchDecision.objects.create(batch=batch, verdict=Verdict.WITHDRAWN, by=by, at=at)
    audit.record(at=at, actor=f"user:{by.pk}", verb="settlement.batch_withdrawn", target=f"batch:{batch.pk}")
    return batch


@transaction.atomic
def import_status(
    *, rows: Iterable[tuple[int, Mapping[str, str]]], at: datetime, by: User | None
) -> Imported:
    """Take in (line, {reference, status, reason}); a file sent twice changes nothing the second time.

    A returned payment goes back into the household's account. Lines that fit no approved payment are refused
    by line, field and value; the others are taken.
    """
    computing.lock_programme(LOCK)
    counts = {"paid": 0, "returned": 0, "known": 0}
    refused = []
    for line, row in rows:
        try:
            counts[_take_status(line, row, at=at)] += 1
        except StatusInvalid as error:
            refused.append(error)
    audit.record(
        at=at,
        actor=f"user:{by.pk}" if by else "system:settlement",
        verb="settlement.status_imported",
        target="payments",
        detail={**counts, "refused": len(refused)},
    )
    return Imported(**counts, refused=tuple(refused))


def batch_by_id(batch_id: UUID) -> PaymentBatch:
    """The batch; raises BatchUnknown."""
    found = PaymentBatch.objects.select_related("decision__by", "proposed_by").filter(pk=batch_id).first()
    if found is None:
        raise BatchUnknown(batch_id=batch_id)
    return found


def _take_status(line: int, row: Mapping[str, str], *, at: datetime) -> str:
    reference = row.get("reference", "").strip()
    status = row.get("status", "").strip().lower()
    payment = Payment.objects.select_related("batch", "account").filter(reference=reference).first()
    if payment is None:
        raise StatusInvalid(line=line, field="reference", value=reference, reason="there is no such payment")
    if status not in PaymentEvent.Status.values:
        raise StatusInvalid(line=line, field="status", value=status, reason="paid or returned")
    decision = BatchDecision.objects.filter(batch=payment.batch).first()
    if decision is None or decision.verdict != Verdict.APPROVED:
        raise StatusInvalid(line=line, field="reference", value=reference, reason="its batch is not approved")
    if PaymentEvent.objects.filter(payment=payment, status=status).exists():
        return "known"
    if status == "paid" and PaymentEvent.objects.filter(payment=payment, status="returned").exists():
        raise StatusInvalid(line=line, field="status", value=status, reason="it was returned before")
    PaymentEvent.objects.create(
        payment=payment, status=status, reason=row.get("reason", "").strip()[:120], at=at
    )
    if status == "returned":
        amount_mp = payment.gross_pence * MP_PER_PENNY
        ledger.post(
            key=f"returned:{payment.pk}",
            memo=f"{payment.reference} came back",
            amounts_mp={payment.account_id: amount_mp, ledger.bank_account(at=at).pk: -amount_mp},
            at=at,
            component=Component.RETURNED,
        )
    return status


def _held(
    rail: str,
    pence: int,
    balance_mp: int,
    final_mp: int,
    detail: BankDetail | None,
    is_leaving: bool,
    threshold_pence: int,
    at: datetime,
) -> Held | None:
    if balance_mp < 0:
        return Held.NEGATIVE
    if not pence or (pence < threshold_pence and not is_leaving):
        return Held.PROVISIONAL if final_mp < balance_mp else Held.SMALL
    if rail == Rail.BILL_CREDIT:
        return None
    if detail is None:
        return Held.NO_DETAILS
    if at < detail.usable_from:
        return Held.DETAILS_HELD
    if rail == Rail.GOCARDLESS and not bank_details.payee_of(detail).gocardless_account:
        return Held.NO_GOCARDLESS
    return None


def _is_estate(people: Iterable[Member], at: datetime) -> bool:
    """True when nobody of the household is a member any more and somebody of it died."""
    people = list(people)
    return any(each.left_reason == LeftReason.DECEASED for each in people) and not any(
        each.is_current(at) for each in people
    )


def _entitled(people: Iterable[Member], *, is_estate: bool, at: datetime) -> list[Member]:
    """Who may be paid what the household is owed: of its members the longest first, then who left last.

    Somebody who left, or was taken out of the household, is paid nothing while others of it are members.
    """
    left = [each for each in people if (each.left_reason == LeftReason.DECEASED) == is_estate]
    current = [each for each in left if each.is_current(at)]
    return current or sorted(left, key=lambda each: each.left_at or at, reverse=True)


def _detail_of(member: Member, details: Mapping[UUID, BankDetail], is_estate: bool) -> BankDetail | None:
    """The account to pay; of an estate one given since the death, never the dead person's own."""
    detail = details.get(member.pk)
    if detail is None or not is_estate:
        return detail
    return detail if member.left_at is not None and detail.changed_at > member.left_at else None


def _payees(household_ids: Iterable[UUID]) -> dict[UUID, list[Member]]:
    """The members of each household, those who stayed longest first."""
    found: dict[UUID, list[Member]] = {}
    for member in (
        Member.objects.filter(household__in=among(household_ids))
        .defer("full_name", "words")
        .order_by("joined_at", "number")
    ):
        found.setdefault(member.household_id, []).append(member)
    return found


def _require_undecided(batch: PaymentBatch) -> None:
    decision = BatchDecision.objects.filter(batch=batch).first()
    if decision is not None:
        raise BatchDecided(batch=str(batch), verdict=decision.verdict)
