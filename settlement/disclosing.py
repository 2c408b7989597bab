"""What this room holds about a household, for a copy of everything: delivered, earned and paid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from members.disclosing import Person
from opendsr.kernel.disclosure import Table, table_of
from settlement import bank_details, statement_json, statements
from settlement.models import (
    Account,
    BankDetail,
    DeviceEstimate,
    GiftChoice,
    HardshipMark,
    HomeDelivery,
    Payment,
    PaymentEvent,
    Posting,
    Statement,
)

NOT_DISCLOSED: Final[Mapping[str, str]] = {}


def tables(whose: Person) -> Iterator[Table]:
    """Deliveries, statements with their whole sums, the account and its postings, payments, choices."""
    member, homes = whose.member, whose.occupancy_ids
    delivered = HomeDelivery.objects.filter(occupancy__in=homes).order_by("run__run_at", "pk")
    yield table_of(delivered, model=HomeDelivery, title="What your home delivered and earned")
    estimates = DeviceEstimate.objects.filter(occupancy__in=homes).order_by("pk")
    yield table_of(estimates, model=DeviceEstimate, title="How much of it was which device")
    rows = list(Statement.objects.filter(member=member).order_by("issued_at", "pk"))
    views = statements.statement_views(rows) if rows else []
    told = table_of(rows, model=Statement, title="Your statements")
    yield replace(told, in_full=[json.loads(statement_json.render(view)) for view in views])
    accounts = Account.objects.filter(occupancy__in=homes).order_by("opened_at", "pk")
    yield table_of(accounts, model=Account, title="Your accounts in the ledger")
    postings = Posting.objects.filter(account__occupancy__in=homes).select_related("entry")
    yield table_of(
        postings.order_by("entry__posted_at", "pk"),
        model=Posting,
        title="What was posted to them",
        more={"posted_at": lambda row: row.entry.posted_at, "memo": lambda row: row.entry.memo},
    )
    details = BankDetail.objects.filter(member=member).order_by("changed_at", "pk")
    yield table_of(
        details,
        model=BankDetail,
        title="Your bank details",
        leave_out=("sealed",),
        more={
            "name_on_the_account": lambda row: bank_details.payee_of(row).name,
            "sort_code": lambda row: bank_details.payee_of(row).sort_code,
            "account_number": lambda row: bank_details.payee_of(row).account_number,
            "gocardless_account": lambda row: bank_details.payee_of(row).gocardless_account,
        },
    )
    payments = Payment.objects.filter(member=member).order_by("pk")
    yield table_of(payments, model=Payment, title="Payments to you")
    events = PaymentEvent.objects.filter(payment__member=member).order_by("at", "pk")
    yield table_of(events, model=PaymentEvent, title="What became of them")
    gifts = GiftChoice.objects.filter(household=member.household_id).order_by("effective_from", "pk")
    yield table_of(gifts, model=GiftChoice, title="What your household gives away")
    marks = HardshipMark.objects.filter(household=member.household_id).order_by("starts_at", "pk")
    yield table_of(marks, model=HardshipMark, title="Times in the hardship fund")
