"""Needs: sealed, told to nobody without a reason, and forgotten when the household says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from members import caring
from members.care import Care, Limits, Need
from members.care_models import HouseholdCare
from members.entry import InvalidField
from opendsr.kernel.models import AuditEntry, DataKey
from tests.factories import make_resident

AT = datetime(2026, 4, 6, 12, tzinfo=UTC)


@given(
    needs=st.frozensets(st.sampled_from(Need)),
    name=st.text(max_size=80),
    least_pct=st.integers(0, 99),
)
def test_what_is_written_is_read_and_never_loosens_a_limit(needs, name, least_pct):
    care = Care(needs, name, name)
    assert Care.read(care.written()) == care
    limits = Limits(least_pct=least_pct).with_care(care)
    assert limits.least_pct >= least_pct
    assert (limits.longest_minutes is not None) == (Need.GENTLE in needs)


@pytest.mark.django_db
def test_nothing_of_it_lies_open():
    resident = make_resident()
    caring.tell_needs(
        household=resident.household,
        needs=["equipment"],
        contact_name="Canary Quillfeather",
        contact_phone="01632 960961",
        at=AT,
        by="member:1",
    )
    (kept,) = HouseholdCare.objects.all()
    for word in (b"equipment", b"Quillfeather", b"960961"):
        assert word not in bytes(kept.sealed)
    trail = list(AuditEntry.objects.filter(target=f"household:{resident.household.pk}"))
    assert [(each.verb, each.detail) for each in trail] == [("care.changed", {})]
    stay = resident.occupancy.pk
    assert caring.care_of([stay]) == {stay: caring.own_care(kept.household_id)}


@pytest.mark.django_db
def test_forgotten_is_gone_with_its_key_and_may_be_told_again():
    household = make_resident().household
    caring.tell_needs(household=household, needs=["heat"], at=AT, by="member:1")
    (kept,) = HouseholdCare.objects.all()
    caring.tell_needs(household=household, needs=[], at=AT, by="member:1")
    assert not HouseholdCare.objects.exists()
    assert DataKey.objects.get(pk=kept.key_subject).wrapped is None
    caring.tell_needs(household=household, needs=["heat"], at=AT, by="member:1")
    assert caring.own_care(household.pk).needs == {Need.HEAT}
    caring.forget(household.pk)
    assert caring.own_care(household.pk) == Care()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"needs": ["dialysis"]}, "needs"),
        ({"needs": [], "contact_name": "Kim"}, "contact_phone"),
        ({"needs": [], "contact_phone": "01632 960961"}, "contact_name"),
        ({"needs": [], "contact_name": "\u202eKim", "contact_phone": "1"}, "contact_name"),
    ],
)
def test_what_cannot_be_kept_is_named(given, field):
    household = make_resident().household
    with pytest.raises(InvalidField) as refused:
        caring.tell_needs(household=household, at=AT, by="member:1", **given)
    assert refused.value.data["field"] == field
    assert not HouseholdCare.objects.exists()


@pytest.mark.django_db
def test_who_looks_says_why_and_is_on_the_record():
    household = make_resident().household
    with pytest.raises(InvalidField):
        caring.read_needs(household=household, at=AT, by="staff:7", why=" x ")
    assert caring.looks_at(household.pk) == []
    caring.read_needs(household=household, at=AT, by="staff:7", why="you rang about your heating")
    (look,) = caring.looks_at(household.pk)
    assert (look.by, look.why) == ("staff:7", "you rang about your heating")
