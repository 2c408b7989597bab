"""Who supplies a home and how it pays, from a day on: each of the two stands until told otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from members import disclosing, groups, supplying
from members.entry import InvalidField
from members.erasing import erase_member
from members.models import Occupancy, User
from members.supply_models import PaymentMethod, Supply
from members.supplying import Supplied, newest_told, note_supply, payment_methods, supplies_of
from opendsr.kernel.models import AuditEntry
from tests.factories import Resident, make_resident

AT = datetime(2026, 3, 29, 12, tzinfo=UTC)
MARCH = date(2026, 3, 1)
words = st.sampled_from(["", "First Energy", "Second Energy"])
methods = st.sampled_from(["", *PaymentMethod.values])


@given(st.lists(st.tuples(st.sampled_from("xyz"), words, methods), max_size=30))
def test_each_word_stands_until_the_next_on_the_same(rows):
    found = newest_told(rows)

    assert set(found) == {stay for stay, _, _ in rows}
    for stay, told in found.items():
        suppliers = [supplier for each, supplier, _ in rows if each == stay and supplier]
        paid = [method for each, _, method in rows if each == stay and method]
        assert told == Supplied(suppliers[-1] if suppliers else "", paid[-1] if paid else "")


@given(st.lists(st.tuples(st.just("x"), words, methods)), st.lists(st.tuples(st.just("x"), words, methods)))
def test_what_is_told_later_stands_over_what_was_before(before, later):
    whole, latest = newest_told([*before, *later]).get("x"), newest_told(later).get("x", Supplied())

    assert not latest.supplier or latest.supplier == whole.supplier
    assert not latest.payment_method or latest.payment_method == whole.payment_method


def test_every_way_to_pay_is_in_one_group():
    assert {method: groups.MODES.get(method, groups.NOT_KNOWN) for method in PaymentMethod.values} == {
        "direct_debit": "credit",
        "standard_credit": "credit",
        "prepayment": "prepayment",
        "not_said": "",
    }


@pytest.fixture
def alice(db: None) -> Resident:
    return make_resident("Alice Ashton", at=datetime(2026, 1, 1, tzinfo=UTC), consents=())


@pytest.mark.parametrize("asked", [{}, {"payment_method": "prepayment"}])
def test_the_records_admin_lists_nobody_by_how_they_pay(
    client: Client, alice: Resident, asked: dict[str, str]
) -> None:
    """Members are told that how they pay is shown in totals only."""
    note(alice.occupancy, payment_method="prepayment")
    client.force_login(User.objects.create_superuser("chief@example.org", "x"))
    listed = client.get(reverse("admin:members_supply_changelist"), asked, follow=True)
    opened = client.get(reverse("admin:members_supply_change", args=[Supply.objects.get().pk]))

    for page in (listed, opened):
        assert page.status_code == 200
        assert "In advance" not in page.content.decode()
        assert "rather not say" not in page.content.decode()


def note(stay: Occupancy, **told: object) -> Supplied:
    given: dict[str, object] = {"starts_on": MARCH, "at": AT, "by": "test", **told}
    return note_supply(occupancy=stay, **given)  # type: ignore[arg-type]


def test_a_new_supplier_leaves_how_they_pay_and_the_other_way_round(alice):
    stay = alice.occupancy
    assert supplies_of([stay.pk], MARCH) == {}
    assert note(stay, supplier="First Energy", payment_method="prepayment") == Supplied(
        "First Energy", "prepayment"
    )
    assert note(stay, supplier="Second Energy", starts_on=date(2026, 3, 20)).payment_method == "prepayment"
    assert note(stay, payment_method="not_said", starts_on=date(2026, 3, 25)).supplier == "Second Energy"

    def on(day: int) -> Supplied:
        return supplies_of([stay.pk], date(2026, 3, day))[stay.pk]

    assert [on(19), on(24), on(25)] == [
        Supplied("First Energy", "prepayment"),
        Supplied("Second Energy", "prepayment"),
        Supplied("Second Energy", "not_said"),
    ]
    assert payment_methods(date(2026, 3, 24)) == {stay.pk: "prepayment"}
    assert payment_methods(date(2026, 2, 28)) == {}

    # Told for a day before, it holds until the next word on the same.
    note(stay, payment_method="direct_debit", starts_on=date(2026, 2, 1))
    note(stay, payment_method="standard_credit", starts_on=date(2026, 3, 22))
    assert payment_methods(date(2026, 2, 28)) == {stay.pk: "direct_debit"}
    assert payment_methods(date(2026, 3, 23)) == {stay.pk: "standard_credit"}
    assert on(23).supplier == "Second Energy"


def test_the_same_again_changes_nothing_and_the_last_word_of_a_day_counts(alice):
    stay = alice.occupancy
    note(stay, payment_method="prepayment")
    entries = AuditEntry.objects.count()
    note(stay, payment_method="prepayment", starts_on=MARCH + timedelta(days=3))
    assert AuditEntry.objects.count() == entries
    note(stay, payment_method="direct_debit")
    note(stay, supplier="First Energy")

    (row,) = stay.supplies.all()
    assert (row.supplier, row.payment_method, row.starts_on) == ("First Energy", "direct_debit", MARCH)
    newest = AuditEntry.objects.latest("pk")
    assert (newest.verb, newest.detail) == (
        "supply.noted", {"starts_on": "2026-03-01", "told": ["supplier"]}
    )  # fmt: skip
    assert "direct_debit" not in str(newest.detail)


@pytest.mark.parametrize(
    ("told", "field", "problem"),
    [
        ({"payment_method": "cheque"}, "payment_method", "not_a_choice"),
        ({"payment_method": "\x00"}, "payment_method", "not_a_choice"),
        ({}, "supplier", "empty"),
        ({"supplier": "E" * 61}, "supplier", "too_long"),
        ({"payment_method": "prepayment", "starts_on": date(2026, 3, 30)}, "changed_on", "in_the_future"),
        ({"payment_method": "prepayment", "starts_on": date(2025, 12, 31)}, "changed_on", "before_it_began"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field(alice, told, field, problem):
    with pytest.raises(InvalidField) as refused:
        note(alice.occupancy, **told)

    assert (refused.value.data["field"], refused.value.data["problem"]) == (field, problem)
    assert not Supply.objects.exists()


@pytest.mark.parametrize(
    ("kept", "rule"),
    [
        ({"supplier": "", "payment_method": ""}, "supply_says_something"),
        ({"supplier": "X", "payment_method": "cheque"}, "supply_payment_method_known"),
    ],
)
def test_the_database_keeps_the_rules(alice, kept, rule):
    row = Supply(occupancy=alice.occupancy, starts_on=MARCH, noted_at=AT, noted_by="test", **kept)
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        row.save()


def test_it_is_in_the_copy_of_everything_and_gone_when_the_household_is(alice):
    note(alice.occupancy, payment_method="prepayment")
    whose = disclosing.person(alice.member)
    (table,) = [each for each in disclosing.tables(whose) if "members.Supply" in each.models]
    (row,) = table.as_json()["rows"]
    assert (row["payment_method"], row["supplier"]) == ("prepayment", "")

    erase_member(member=alice.member, at=AT, by="staff:1")
    assert supplying.payment_methods(MARCH) == {}
