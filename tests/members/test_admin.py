"""The records admin: staff find and correct, nobody rewrites history, strangers and other roles stay out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.urls import reverse

from members.models import (
    Consent,
    ConsentText,
    Home,
    Household,
    Member,
    MeterStream,
    Occupancy,
    Role,
    StandingOptOut,
    User,
)
from members.partner_models import Partner, PartnerAccount, PartnerHome
from members.partnering import make_partner
from tests.factories import JOINED_AT, make_resident, make_staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("coop")]
PARTNERS = [Partner, PartnerAccount, PartnerHome]
MODELS = [
    User, Household, Member, Home, Occupancy, MeterStream, ConsentText, Consent, StandingOptOut, *PARTNERS,
]  # fmt: skip
WRITTEN_BY_SERVICES = [Occupancy, MeterStream, Consent, StandingOptOut, *PARTNERS]


def url(model, page, *args) -> str:
    return reverse(f"admin:members_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def chief(client):
    user = User.objects.create_superuser("chief@example.org", "x")
    client.force_login(user)
    return client


@pytest.fixture
def administrator(client):
    client.force_login(make_staff("ada@example.org", Role.ADMINISTRATOR))
    return client


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens_and_is_searched(chief, alice, model):
    StandingOptOut.objects.create(occupancy=alice.occupancy, starts_at=JOINED_AT)

    assert chief.get(url(model, "changelist")).status_code == 200
    if admin.site.get_model_admin(model).search_fields:
        assert chief.get(url(model, "changelist"), {"q": "Alice"}).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_every_record_opens(chief, alice, model):
    StandingOptOut.objects.create(occupancy=alice.occupancy, starts_at=JOINED_AT)

    for record in model.objects.all()[:2]:
        assert chief.get(url(model, "change", record.pk)).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_a_list_asks_the_same_few_statements_for_any_number_of_rows(
    chief, alice, model, django_assert_max_num_queries
):
    for number in range(12):
        resident = make_resident(f"Member {number}", email=f"m{number}@example.org")
        StandingOptOut.objects.create(occupancy=resident.occupancy, starts_at=JOINED_AT)

    with django_assert_max_num_queries(12):
        chief.get(url(model, "changelist"))


@pytest.mark.parametrize("model", WRITTEN_BY_SERVICES)
def test_what_services_write_is_not_written_here_even_by_a_superuser(chief, alice, model):
    StandingOptOut.objects.create(occupancy=alice.occupancy, starts_at=JOINED_AT)
    partner = make_partner(name="Calder Homes", by="staff:1", at=JOINED_AT)
    PartnerAccount.objects.create(user=alice.user, partner=partner)
    PartnerHome.objects.create(home=alice.home, partner=partner, starts_on=JOINED_AT.date())
    record = model.objects.first()

    assert chief.get(url(model, "add")).status_code == 403
    assert chief.post(url(model, "change", record.pk), {}).status_code == 403
    assert chief.post(url(model, "delete", record.pk), {"post": "yes"}).status_code == 403


def test_nobody_is_made_or_deleted_here(chief, alice):
    for model, record in ((Member, alice.member), (Home, alice.home), (Household, alice.household)):
        assert chief.get(url(model, "add")).status_code == 403
        assert chief.post(url(model, "delete", record.pk), {"post": "yes"}).status_code == 403


def test_words_are_published_but_never_changed(administrator):
    form = {"purpose": "advice", "body": "Use my readings to advise me."}

    assert administrator.post(url(ConsentText, "add"), form).status_code == 302
    text = ConsentText.objects.get(purpose="advice")
    assert text.version == 1
    assert administrator.post(url(ConsentText, "add"), form).status_code == 302
    assert ConsentText.objects.filter(purpose="advice").count() == 1

    changed = administrator.post(url(ConsentText, "change", text.pk), {**form, "body": "Anything."})
    assert changed.status_code == 403
    text.refresh_from_db()
    assert text.body == form["body"]
    assert b"<textarea" not in administrator.get(url(ConsentText, "change", text.pk)).content


def test_a_name_and_an_address_may_be_put_right(administrator, alice):
    administrator.post(
        url(Member, "change", alice.member.pk), {"full_name": "Alice Ashe", "number": "M-99999"}
    )
    alice.member.refresh_from_db()
    assert (alice.member.full_name, alice.member.number != "M-99999") == ("Alice Ashe", True)

    form = {"name": "2 New Street", "postcode": "M16 7AA", "gsp_group": "G", "mpan": "1" * 13}
    administrator.post(url(Home, "change", alice.home.pk), form)
    mpan = alice.home.mpan
    alice.home.refresh_from_db()
    assert (alice.home.name, alice.home.postcode, alice.home.mpan) == ("2 New Street", "M16 7AA", mpan)


def test_a_badly_written_postcode_is_explained(administrator, alice):
    form = {"name": "2 New Street", "postcode": "nowhere", "gsp_group": "G"}

    answer = administrator.post(url(Home, "change", alice.home.pk), form)

    assert answer.status_code == 200
    assert "Write the postcode as in M15 5RF." in answer.content.decode()


def test_an_administrator_makes_accounts_but_no_superuser(administrator):
    form = {
        "email": "New@Example.org",
        "password1": "long enough to keep",
        "password2": "long enough to keep",
        "usable_password": "true",
    }
    assert administrator.post(url(User, "add"), form).status_code == 302
    made = User.objects.get(email="new@example.org")

    administrator.post(
        url(User, "change", made.pk), {"email": "new@example.org", "is_active": "on", "is_superuser": "on"}
    )

    made.refresh_from_db()
    assert not made.is_superuser
    assert made.is_active


def test_an_administrator_cannot_take_over_a_superuser(administrator):
    chief = User.objects.create_superuser("chief@example.org", "x")

    assert administrator.post(url(User, "change", chief.pk), {"email": "mine@example.org"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[chief.pk])
    assert administrator.post(password, {"password1": "y" * 20, "password2": "y" * 20}).status_code == 403


@pytest.mark.parametrize(
    ("role", "opens"),
    [
        (Role.ADMINISTRATOR, set(MODELS)),
        (Role.AUDITOR, set(MODELS)),
        (Role.MEMBER_SERVICES, set(MODELS)),
        (Role.DISPATCHER, {Home, Occupancy, Consent, StandingOptOut}),
        (Role.DEVICE_MANAGER, {Home, Occupancy, MeterStream}),
        (Role.FINANCE, {Household, Member, Occupancy}),
        (Role.INSTALLER, set()),
        (Role.PARTNER, set()),
        (Role.API_APPLICATION, set()),
    ],
)
def test_each_role_opens_the_lists_it_works_with(client, role, opens):
    client.force_login(make_staff("staff@example.org", role))

    opened = {model for model in MODELS if client.get(url(model, "changelist")).status_code == 200}

    assert opened == opens


def test_members_and_strangers_stay_outside(client, alice):
    for sign_in in (lambda: None, lambda: client.force_login(alice.user)):
        sign_in()
        for model in MODELS:
            assert client.get(url(model, "changelist")).status_code in {302, 403}


def test_dates_of_the_past_are_shown_as_they_are(chief, alice):
    Occupancy.objects.filter(pk=alice.occupancy.pk).update(ends_at=JOINED_AT + timedelta(days=1))

    page = chief.get(url(Occupancy, "changelist"), {"ends_at__isempty": "0"})

    assert str(alice.home) in page.content.decode()
