"""A household says what it needs; staff who look leave a reason that it reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from members import caring
from members.care import Need
from members.models import Role
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.factories import Resident, make_resident, make_staff
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
Visit = Callable[[object], Client]


@pytest.fixture
def resident(coop: object) -> Resident:
    clock.configure(AT, speed=0)
    return make_resident("Alice Archer", at=AT - timedelta(days=40), email="alice@example.org")


@pytest.fixture
def alice(resident: Resident, visit: Visit) -> Client:
    return visit(resident.user)


@pytest.fixture
def services(coop: object, visit: Visit) -> Client:
    return visit(make_staff("mo@coop.example", Role.MEMBER_SERVICES))


def test_told_seen_and_forgotten(alice, resident):
    page = alice.get(reverse("own_needs"))
    assert seen(page).faults() == []
    assert "Nobody of the co-op has looked" in seen(page).text()
    told = {"needs": ["heat", "gentle"], "contact_name": HOSTILE, "contact_phone": "01632 960961"}
    assert alice.post(reverse("own_needs"), told).status_code == 302
    page = alice.get(reverse("own_needs"))
    assert seen(page).faults() == []
    assert HOSTILE not in page.content.decode()
    assert caring.own_care(resident.household.pk).needs == {Need.HEAT, Need.GENTLE}
    assert alice.post(reverse("own_needs"), {}).status_code == 302
    assert caring.own_care(resident.household.pk).needs == frozenset()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"needs": "diabetes"}, "diabetes"),
        ({"contact_name": "Kim"}, "Give both the name and the number."),
        ({"contact_name": "K\x00", "contact_phone": "1"}, "Null characters"),
        ({"contact_name": "K" * 81, "contact_phone": "1"}, "at most 80"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_lost(alice, resident, fields, words):
    alice.post(reverse("own_needs"), {"needs": ["car"]})
    page = alice.post(reverse("own_needs"), fields)
    assert page.status_code == 422
    assert words in seen(page).text()
    assert caring.own_care(resident.household.pk).needs == {Need.CAR}


def test_staff_say_why_and_the_household_reads_it(alice, resident, services):
    caring.tell_needs(household=resident.household, needs=["heat"], at=AT, by="member:1")
    url, number = reverse("household_needs"), resident.member.number
    assert seen(services.get(url)).faults() == []
    for fields, words in (
        ({"number": "M-99999", "why": "they rang about heating"}, "Nobody has this number"),
        ({"number": number, "why": ""}, "required"),
        ({"number": number, "why": "x"}, "in a few words"),
    ):
        page = services.post(url, {"do": "look", **fields})
        assert page.status_code == 422
        assert words in seen(page).text()
    assert not AuditEntry.objects.filter(verb=caring.READ).exists()

    page = services.post(url, {"do": "look", "number": number, "why": "you rang about heating"})

    assert seen(page).faults() == []
    assert 'value="heat" checked' in " ".join(page.content.decode().split()).replace('" id="id_needs_1"', '"')
    assert "you rang about heating" in seen(alice.get(reverse("own_needs"))).text()
    written = {"do": "write", "number": number, "why": "x", "needs": ["heat", "car"]}
    assert services.post(url, written).status_code == 302
    assert caring.own_care(resident.household.pk).needs == {Need.HEAT, Need.CAR}


def test_a_share_is_kept_from_the_page_of_preferences(alice, resident):
    fields = {"home": str(resident.occupancy.pk), "least_pct": "50"}
    assert alice.post(reverse("preferences"), fields).status_code == 302
    assert "not below 50 % of the power" in seen(alice.get(reverse("preferences"))).text()
    assert alice.post(reverse("preferences"), {**fields, "least_pct": "33"}).status_code == 422
