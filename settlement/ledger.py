"""The ledger: accounts, balanced entries, balances. Double entry in whole millipence, append-only.

A posting above zero is owed to the account's holder, one below zero is owed by it, so the buyer's account
runs negative by what it has to pay. The database refuses an entry that does not sum to zero (`sql.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Sum

from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.lookups import among
from settlement.copying import copy_rows
from settlement.models import Account, Component, Entry, Posting, SettlementRound

COOP_CODE = "coop"
FUND_CODE = "fund"
BANK_CODE = "bank"
RESERVE_CODE = "reserve"
ROUNDING_CODE = "rounding"
WRITTEN_OFF_CODE = "written_off"
OPEN_HOUSEHOLDS: Final = """
    INSERT INTO settlement_account (id, kind, code, occupancy_id, opened_at)
    SELECT gen_random_uuid(), 'household', 'household:' || occupancy_id, occupancy_id, %s
    FROM unnest(%s::uuid[]) AS occupancy_id
    ON CONFLICT DO NOTHING
"""
Legs = Mapping[tuple[UUID, str], int]


class EntryUnbalanced(Invalid):
    """The amounts of an entry do not sum to zero."""

    key: str
    total_mp: int


class AlreadyPosted(DomainError):
    """There is an entry under that key."""

    key: str


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """What every account holds; `total_mp` is zero in a sound ledger."""

    balances_mp: dict[str, int]
    total_mp: int


def buyer_account(*, programme_code: str, at: datetime) -> Account:
    """The account of whoever buys a programme's flexibility; opened on first use."""
    return _open(Account.Kind.BUYER, f"buyer:{programme_code}", at)


def coop_account(*, at: datetime) -> Account:
    """The co-op's own account; opened on first use."""
    return _open(Account.Kind.COOP, COOP_CODE, at)


def fund_account(*, at: datetime) -> Account:
    """The community fund; opened on first use."""
    return _open(Account.Kind.FUND, FUND_CODE, at)


def bank_account(*, at: datetime) -> Account:
    """What the co-op has at the bank, as a debt of the bank's; opened on first use."""
    return _open(Account.Kind.BANK, BANK_CODE, at)


def reserve_account(*, at: datetime) -> Account:
    """The co-op's reserves; opened on first use."""
    return _open(Account.Kind.RESERVE, RESERVE_CODE, at)


def rounding_account(*, at: datetime) -> Account:
    """Less than a penny, where whole pence meet millipence; opened on first use."""
    return _open(Account.Kind.ROUNDING, ROUNDING_CODE, at)


def written_off_account(*, at: datetime) -> Account:
    """What two people agreed not to ask for any more; opened on first use."""
    return _open(Account.Kind.WRITTEN_OFF, WRITTEN_OFF_CODE, at)


def disputed_account(*, programme_code: str, at: datetime) -> Account:
    """What a programme's buyer did not pay and is held apart; opened on first use."""
    return _open(Account.Kind.DISPUTED, f"disputed:{programme_code}", at)


def household_accounts(*, occupancy_ids: Iterable[UUID], at: datetime) -> dict[UUID, UUID]:
    """Account id by occupancy; those that are missing are opened."""
    wanted = sorted(set(occupancy_ids))
    found = _household_accounts(wanted)
    missing = [occupancy_id for occupancy_id in wanted if occupancy_id not in found]
    if missing:
        with connection.cursor() as cursor, connection.wrap_database_errors:
            cursor.execute(OPEN_HOUSEHOLDS, [at, missing])
        found |= _household_accounts(missing)
    return found


def lock_accounts(account_ids: Iterable[UUID]) -> None:
    """Hold the accounts, in order of id, until the transaction ends: balances are read, then posted to."""
    accounts = Account.objects.select_for_update(no_key=True).filter(pk__in=among(account_ids))
    held = accounts.order_by("pk")
    list(held.values_list("pk"))


def post(
    *,
    key: str,
    memo: str,
    amounts_mp: Mapping[UUID, int],
    at: datetime,
    round: SettlementRound | None = None,
    component: str = Component.AMOUNT,
) -> Entry | None:
    """Post one entry, an amount an account id, all for the same thing; see `post_legs`."""
    legs = {(account_id, component): amount_mp for account_id, amount_mp in amounts_mp.items()}
    return post_legs(key=key, memo=memo, legs=legs, at=at, round=round)


@transaction.atomic
def post_legs(
    *, key: str, memo: str, legs: Legs, at: datetime, round: SettlementRound | None = None
) -> Entry | None:
    """Post one entry, an amount an account id and component; None when all are zero, for then nothing moves.

    Raises EntryUnbalanced, and AlreadyPosted when there is an entry under the key.
    """
    total_mp = sum(legs.values())
    if total_mp:
        raise EntryUnbalanced(key=key, total_mp=total_mp)
    moving = sorted((account_id, component, mp) for (account_id, component), mp in legs.items() if mp)
    if not moving:
        return None
    entry = Entry(id=new_uuid(), key=key, memo=memo[:200], round=round, posted_at=at)
    Entry.objects.bulk_create([entry], ignore_conflicts=True)
    if not Entry.objects.filter(pk=entry.pk).exists():
        raise AlreadyPosted(key=key)
    copy_rows(
        Posting,
        ("entry_id", "account_id", "component", "amount_mp"),
        ((entry.pk, account_id, str(component), mp) for account_id, component, mp in moving),
    )
    return entry


def balance_mp(account: Account) -> int:
    """What is owed to the account's holder, negative when it owes."""
    return Posting.objects.filter(account=account).aggregate(total=Sum("amount_mp"))["total"] or 0


def balances_mp(account_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Balance by account id; an account without postings is zero."""
    wanted = list(account_ids)
    rows = (
        Posting.objects.filter(account_id__in=among(wanted))
        .values_list("account_id")
        .annotate(total=Sum("amount_mp"))
        .order_by()
    )
    return dict.fromkeys(wanted, 0) | dict(rows)


def trial_balance() -> TrialBalance:
    """Every account's balance by code, and their sum."""
    rows = (
        Posting.objects.values_list("account__code")
        .annotate(total=Sum("amount_mp"))
        .order_by("account__code")
    )
    balances = {code: int(total) for code, total in rows}
    return TrialBalance(balances_mp=balances, total_mp=sum(balances.values()))


def still_to_post_mp(due_mp: Legs, posted_mp: Legs) -> dict[tuple[UUID, str], int]:
    """New amount less what was posted before, for every leg in either; a replay gives only zeros."""
    accounts = due_mp.keys() | posted_mp.keys()
    return {account: due_mp.get(account, 0) - posted_mp.get(account, 0) for account in accounts}


def _open(kind: str, code: str, at: datetime) -> Account:
    account, _ = Account.objects.get_or_create(code=code, defaults={"kind": kind, "opened_at": at})
    return account


def _household_accounts(occupancy_ids: list[UUID]) -> dict[UUID, UUID]:
    rows = Account.objects.filter(occupancy_id__in=among(occupancy_ids))
    return dict(rows.values_list("occupancy_id", "id"))
