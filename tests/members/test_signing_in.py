"""Accounts and allauth hold together: one address in any case, and closed accounts stay shut."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.urls import reverse

from members.models import User
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("coop")]


@pytest.mark.parametrize("typed", ["alice@example.org", "Alice@Example.org", " alice@example.org "])
def test_alice_signs_in_by_email_in_any_case(client, alice, typed):
    client.post(reverse("account_login"), {"login": typed, "password": PASSWORD})

    assert client.session.get("_auth_user_id") == str(alice.user.pk)


def test_a_wrong_password_does_not(client, alice):
    client.post(reverse("account_login"), {"login": "alice@example.org", "password": "wrong"})

    assert "_auth_user_id" not in client.session


def test_a_closed_account_does_not(client, alice):
    User.objects.filter(pk=alice.user.pk).update(is_active=False)

    client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})

    assert "_auth_user_id" not in client.session
    assert isinstance(client.get(reverse("account_login")).wsgi_request.user, AnonymousUser)


def test_djangos_own_backend_finds_her_too(alice):
    request = RequestFactory().post("/")

    assert authenticate(request, username="ALICE@example.org", password=PASSWORD) == alice.user


def test_a_superuser_made_on_the_command_line_has_dates_and_rights():
    chief = User.objects.create_superuser("Chief@Example.org", "x")

    assert (chief.email, chief.is_staff, chief.is_superuser) == ("chief@example.org", True, True)
    assert chief.date_joined is not None
