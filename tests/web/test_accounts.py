"""Signing in and out, a forgotten password, and no sign-up."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from members.models import User
from tests.factories import PASSWORD, Resident
from tests.web.conftest import Visit
from tests.web.pages import seen


@pytest.fixture(autouse=True)
def _no_earlier_attempts(db: None) -> None:
    """allauth counts attempts in the cache."""
    cache.clear()


def sign_in(client: Client, email: str = "alice@example.org", password: str = PASSWORD, **more: str) -> str:
    """Where signing in leads to; the empty text when it is refused."""
    response = client.post(reverse("account_login"), {"login": email, "password": password, **more})
    return response["Location"] if response.status_code == 302 else ""


def test_members_sign_in_by_email_in_any_case(alice: Resident, client: Client) -> None:
    assert sign_in(client, "Alice@Example.org") == "/"
    assert seen(client.get("/")).heading == "Hello, Alice Ash"


def test_a_wrong_password_and_an_unknown_address_say_the_same(alice: Resident, client: Client) -> None:
    wrong = client.post(reverse("account_login"), {"login": "alice@example.org", "password": "x"})
    unknown = client.post(reverse("account_login"), {"login": "zoe@example.org", "password": "x"})

    said = seen(wrong).text("//*[@class='error-summary']")
    assert "email address and/or password you specified are not correct" in said
    assert seen(unknown).text("//*[@class='error-summary']") == said


def test_guessing_is_stopped(alice: Resident, client: Client) -> None:
    for _ in range(5):
        assert not sign_in(client, password="guess")

    assert not sign_in(client)


def test_sign_in_leads_on_to_our_pages_only(alice: Resident, client: Client) -> None:
    assert sign_in(client, next="/accounts/password/change/") == "/accounts/password/change/"
    assert sign_in(Client(), next="https://evil.example/") == "/"


def test_who_stays_signed_in_is_a_choice(alice: Resident) -> None:
    guest, owner = Client(), Client()
    sign_in(guest)
    sign_in(owner, remember="on")

    assert guest.cookies["sessionid"]["max-age"] == ""
    assert int(owner.cookies["sessionid"]["max-age"]) > 86_400
    assert owner.cookies["sessionid"]["httponly"]


def test_sign_out_takes_a_press(alice: Resident, visit: Visit) -> None:
    client = visit(alice.user)

    assert seen(client.get(reverse("account_logout"))).heading == "Sign out?"
    assert client.get("/").status_code == 200
    client.post(reverse("account_logout"))
    assert client.get("/").status_code == 302


def test_nobody_signs_up(client: Client) -> None:
    url = reverse("account_signup")

    client.post(url, {"email": "mallory@example.org", "password1": PASSWORD, "password2": PASSWORD})

    assert seen(client.get(url)).heading == "No sign-up here"
    assert not User.objects.filter(email="mallory@example.org").exists()


def test_the_password_is_changed_with_the_old_one(alice: Resident, visit: Visit) -> None:
    client = visit(alice.user)
    url = reverse("account_change_password")
    new = "a brand new staple 7"

    weak = client.post(url, {"oldpassword": PASSWORD, "password1": "short", "password2": "short"})
    wrong = client.post(url, {"oldpassword": "nope", "password1": new, "password2": new})
    done = client.post(url, {"oldpassword": PASSWORD, "password1": new, "password2": new})

    assert "at least 12 characters" in seen(weak).text("//*[@class='error-summary']")
    assert "Your password now:" in seen(wrong).text("//*[@class='error-summary']")
    assert done.status_code == 302
    assert sign_in(Client(), password=new) == "/"


def test_a_forgotten_password_is_reset_by_a_link_that_works_once(alice: Resident, client: Client) -> None:
    answer = client.post(reverse("account_reset_password"), {"email": "alice@example.org"}, follow=True)
    assert seen(answer).heading == "Look at your email"
    (letter,) = mail.outbox
    link = re.search(r"http://\S+", str(letter.body))
    assert link is not None

    page = client.get(link.group(), follow=True)
    new = "a brand new staple 7"
    done = client.post(page.request["PATH_INFO"], {"password1": new, "password2": new}, follow=True)

    assert seen(page).heading == "Choose a new password"
    assert seen(done).heading == "Your password is changed"
    assert sign_in(Client(), password=new) == "/"
    assert seen(Client().get(link.group(), follow=True)).heading == "This link does not work any more"


def test_a_reset_does_not_tell_who_has_an_account(client: Client) -> None:
    answer = client.post(reverse("account_reset_password"), {"email": "zoe@example.org"}, follow=True)

    assert seen(answer).heading == "Look at your email"
    assert not any("http://testserver/accounts/password/reset/key" in letter.body for letter in mail.outbox)


@pytest.mark.parametrize(
    "name",
    [
        "account_login",
        "account_signup",
        "account_reset_password",
        "account_reset_password_done",
        "account_inactive",
    ],
)
def test_public_pages_are_sound(name: str, client: Client) -> None:
    response = client.get(reverse(name))

    assert response.status_code == 200
    assert seen(response).faults() == []


@pytest.mark.parametrize(
    "name",
    ["account_change_password", "account_logout", "account_email", "account_reauthenticate", "mfa_index"],
)
def test_pages_of_one_s_account_are_sound(name: str, alice: Resident, visit: Visit) -> None:
    client = visit(None)
    sign_in(client)

    response = client.get(reverse(name))

    assert response.status_code == 200
    assert seen(response).faults() == []


def test_another_s_address_cannot_be_taken(alice: Resident, carol: Resident) -> None:
    client = Client()
    sign_in(client)
    url = reverse("account_email")

    added = client.post(url, {"action_add": "", "email": "carol@example.org"})

    assert added.status_code == 405
    assert "You sign in with alice@example.org." in seen(client.get(url)).text()
    alice.user.refresh_from_db()
    assert alice.user.email == "alice@example.org"
    assert sign_in(Client(), "carol@example.org") == "/"


def test_a_second_factor_can_be_set_up(alice: Resident) -> None:
    client = Client()
    sign_in(client)

    page = client.get(reverse("mfa_activate_totp"), follow=True)
    if page.redirect_chain:
        again = page.request["PATH_INFO"] + "?" + page.request["QUERY_STRING"]
        page = client.post(again, {"password": PASSWORD}, follow=True)

    assert page.status_code == 200
    assert seen(page).faults() == []
    assert seen(page).tree.xpath("//img/@src")[0].startswith("data:image/")
