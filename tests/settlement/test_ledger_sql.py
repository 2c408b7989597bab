"""What PostgreSQL itself promises about money: tried with SQL, past every service."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from opendsr.kernel.ids import new_uuid
from settlement import ledger
from settlement.models import Account, Entry, HomeDelivery, Posting
from settlement.sql import APPEND_ONLY
from tests.settlement.staging import make_measured, settle

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def accounts(transactional_db: None) -> list[UUID]:
    return [
        Account.objects.create(kind="rounding", code=f"test:{number}", opened_at=AT).pk for number in range(3)
    ]


def insert_entry() -> UUID:
    entry_id = uuid4()
    Entry.objects.create(pk=entry_id, key=f"test:{entry_id}", memo="test", posted_at=AT)
    return entry_id


def insert_postings(entry_id: UUID, *legs: tuple[UUID, int]) -> None:
    with connection.cursor() as cursor:
        for account_id, amount_mp in legs:
            cursor.execute(
                "INSERT INTO settlement_posting (entry_id, account_id, amount_mp) VALUES (%s, %s, %s)",
                [entry_id, account_id, amount_mp],
            )


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def unproved() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM settlement_entry_unproved")
        return cursor.fetchone()[0]


def test_a_balanced_entry_stands(accounts):
    with transaction.atomic():
        entry_id = insert_entry()
        insert_postings(entry_id, (accounts[0], -70), (accounts[1], 50), (accounts[2], 20))

    assert Posting.objects.filter(entry_id=entry_id).count() == 3
    assert unproved() == 0


def test_an_unbalanced_entry_is_refused_at_commit(accounts):
    with pytest.raises(IntegrityError, match="sums to 1 mp"), transaction.atomic():
        insert_postings(insert_entry(), (accounts[0], -70), (accounts[1], 71))

    assert not Entry.objects.exists()


@pytest.mark.parametrize("legs", [(), (5,)])
def test_an_entry_needs_two_postings(accounts, legs):
    with pytest.raises(IntegrityError, match="needs two or more"), transaction.atomic():
        insert_postings(insert_entry(), *zip(accounts, legs, strict=False))


def test_a_posting_cannot_be_slipped_into_an_old_entry(accounts):
    with transaction.atomic():
        entry_id = insert_entry()
        insert_postings(entry_id, (accounts[0], -70), (accounts[1], 70))

    with pytest.raises(IntegrityError, match="sums to 1 mp"):
        insert_postings(entry_id, (accounts[2], 1))


def test_checking_early_does_not_let_a_later_posting_through(accounts):
    def post_check_and_post() -> None:
        entry_id = insert_entry()
        insert_postings(entry_id, (accounts[0], -70), (accounts[1], 70))
        execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        insert_postings(entry_id, (accounts[2], 1))

    with pytest.raises(IntegrityError, match="sums to 1 mp"), transaction.atomic():
        post_check_and_post()


def test_a_rolled_back_savepoint_takes_its_postings_and_their_proof_with_it(accounts):
    with transaction.atomic():
        entry_id = insert_entry()
        insert_postings(entry_id, (accounts[0], -70), (accounts[1], 70))
        savepoint = transaction.savepoint()
        insert_postings(entry_id, (accounts[2], 1))
        transaction.savepoint_rollback(savepoint)

    assert Posting.objects.filter(entry_id=entry_id).count() == 2


def test_an_account_has_one_posting_an_entry_and_none_of_nothing(accounts):
    with pytest.raises(IntegrityError, match="posting_one_per_component"), transaction.atomic():
        insert_postings(insert_entry(), (accounts[0], -70), (accounts[0], 70))
    with pytest.raises(IntegrityError, match="posting_moves_something"), transaction.atomic():
        insert_postings(insert_entry(), (accounts[0], 0), (accounts[1], 0))


@pytest.mark.parametrize(
    "change", ["UPDATE settlement_posting SET amount_mp = 1", "DELETE FROM settlement_posting"]
)
def test_a_posting_is_never_changed(accounts, change):
    ledger.post(key="test", memo="", amounts_mp={accounts[0]: -5, accounts[1]: 5}, at=AT)

    with pytest.raises(IntegrityError, match="append-only"):
        execute(change)


@pytest.mark.parametrize("change", ["UPDATE settlement_entry SET memo = 'x'", "DELETE FROM settlement_entry"])
def test_an_entry_is_never_changed(accounts, change):
    ledger.post(key="test", memo="", amounts_mp={accounts[0]: -5, accounts[1]: 5}, at=AT)

    with pytest.raises(IntegrityError, match="append-only"):
        execute(change)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_no_table_of_money_can_be_emptied(db, table):
    with pytest.raises(IntegrityError, match="TRUNCATE refused"), transaction.atomic():
        execute(f"SET LOCAL opendsr.allow_truncate = 'off'; TRUNCATE {table} CASCADE")


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_every_table_of_money_refuses_update_and_delete(db, table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [table]
        )
        triggers = {name for (name,) in cursor.fetchall()}

    assert {f"{table}_append_only", f"{table}_no_truncate"} <= triggers


def copied_line(line, **changed):
    """The household line once more, past the model."""
    fields = [field for field in HomeDelivery._meta.concrete_fields if field.name != "id"]
    values = {field.column: getattr(line, field.attname) for field in fields} | changed
    names = ", ".join(f'"{name}"' for name in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO settlement_homedelivery ({names})"  # noqa: S608
            f" VALUES ({', '.join(['%s'] * len(values))})",
            list(values.values()),
        )


@pytest.mark.parametrize(
    ("column", "rule"),
    [("run_id", "homedelivery_of_a_run"), ("occupancy_id", "homedelivery_of_an_occupancy")],
)
@pytest.mark.django_db
def test_a_line_of_what_is_not_there_is_refused(column, rule):
    line = settle(make_measured(700)).run.deliveries.get()

    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        copied_line(line, **{column: new_uuid()})

    assert refused.value.__cause__.diag.constraint_name == rule


@pytest.mark.django_db
def test_a_stay_that_was_settled_cannot_go():
    occupancy = settle(make_measured(700)).run.deliveries.get().occupancy

    for change in ("DELETE FROM members_occupancy", "UPDATE members_occupancy SET id = gen_random_uuid()"):
        with (
            pytest.raises(IntegrityError, match="household lines"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"{change} WHERE id = %s", [occupancy.pk])
