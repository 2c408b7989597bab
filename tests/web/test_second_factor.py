"""Staff sign in with something they have; members may."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from members.models import Role, User
from opendsr.kernel.models import Installation
from tests.factories import PASSWORD, Resident, make_resident, make_staff
from tests.web.conftest import Visit
from tests.web.pages import seen

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _required(settings: Any, coop: object) -> None:
    cache.clear()
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def sam() -> User:
    return make_staff("sam@coop.example", Role.DISPATCHER)


def sign_in(client: Client, email: str) -> Any:
    return client.post(reverse("account_login"), {"login": email, "password": PASSWORD}, follow=True)


def code_of(secret: str, *, off: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + off))


def set_up(client: Client) -> str:
    """Turn the app on; return its secret."""
    page = client.get(reverse("mfa_activate_totp"), follow=True)
    assert seen(page).heading == "Is it you?"
    assert seen(page).faults() == []
    again = f"{page.request['PATH_INFO']}?{page.request['QUERY_STRING']}"
    page = client.post(again, {"password": PASSWORD}, follow=True)
    secret: str = page.context["form"].secret
    assert seen(page).faults() == []
    assert secret in seen(page).text()
    assert client.post(reverse("mfa_activate_totp"), {"code": "abcdef"}).status_code == 200
    assert client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)}).status_code == 302
    return secret


def test_staff_do_nothing_before_they_have_an_app(sam: User) -> None:
    client = Client()
    assert seen(sign_in(client, sam.email)).heading == "Is it you?"
    for url in (reverse("campaign_list"), reverse("admin:index"), reverse("api_campaigns")):
        assert client.get(url)["Location"] == reverse("mfa_activate_totp")
    assert client.post(reverse("campaign_new"), {}).status_code == 403
    assert client.get(reverse("campaign_list"), headers={"HX-Request": "true"}).status_code == 403
    set_up(client)
    assert client.get(reverse("campaign_list")).status_code == 200
    codes = client.get(reverse("mfa_view_recovery_codes"))
    assert seen(codes).faults() == []
    assert len(codes.context["unused_codes"]) == 10


def test_signing_in_asks_for_the_code_or_a_paper_one_once(sam: User) -> None:
    owner = Client()
    sign_in(owner, sam.email)
    secret = set_up(owner)
    paper = owner.get(reverse("mfa_view_recovery_codes")).context["unused_codes"][0]

    thief = Client()
    assert seen(sign_in(thief, sam.email)).heading == "Your code"
    assert thief.get(reverse("campaign_list")).status_code == 302
    assert "Incorrect code" in seen(thief.post(reverse("mfa_authenticate"), {"code": "123456"})).text()
    assert thief.get(reverse("campaign_list")).status_code == 302

    # The code that turned the app on is used up; the next one is not.
    phone = Client()
    sign_in(phone, sam.email)
    assert phone.post(reverse("mfa_authenticate"), {"code": code_of(secret, off=1)}).status_code == 302
    assert phone.get(reverse("campaign_list")).status_code == 200

    for status in (302, 200):  # a paper code works once
        lost = Client()
        sign_in(lost, sam.email)
        assert lost.post(reverse("mfa_authenticate"), {"code": paper}).status_code == status


def test_the_secret_is_sealed(sam: User) -> None:
    client = Client()
    sign_in(client, sam.email)
    secret = set_up(client)
    kept = Authenticator.objects.filter(user=sam)
    assert {each.type for each in kept} == {"totp", "recovery_codes"}
    assert all(secret not in str(each.data) and "sealed:" in str(each.data) for each in kept)


def test_an_app_turned_off_is_asked_for_again(sam: User) -> None:
    client = Client()
    sign_in(client, sam.email)
    set_up(client)
    assert seen(client.get(reverse("mfa_index"))).faults() == []
    assert seen(client.get(reverse("mfa_deactivate_totp"))).faults() == []
    client.post(reverse("mfa_deactivate_totp"))
    assert client.get(reverse("campaign_list"))["Location"] == reverse("mfa_activate_totp")


def test_members_need_none_and_may_have_one() -> None:
    alice: Resident = make_resident("Alice Archer", email="alice@example.org")
    client = Client()
    assert seen(sign_in(client, "alice@example.org")).heading == "Hello, Alice Archer"
    set_up(client)
    assert seen(sign_in(Client(), alice.user.email)).heading == "Your code"


def test_a_demo_lets_its_invented_staff_in(sam: User, visit: Visit) -> None:
    Installation.objects.update(is_demo=True)
    assert visit(sam).get(reverse("campaign_list")).status_code == 200
