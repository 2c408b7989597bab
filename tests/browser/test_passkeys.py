"""Passkeys in a real browser with an authenticator of its own: added, used for the password, removed."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from members import inviting
from tests.browser.conftest import OpenPage, is_too_wide
from tests.factories import PASSWORD
from tests.web.scene import NOW, Scene


def plug_in(page: Page) -> None:
    """Give the browser a device that keeps passkeys and whose owner is always there."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def sign_in(page: Page, email: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_passkey_takes_the_place_of_the_password(scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/accounts/login/", width=320)
    assert not is_too_wide(page)
    plug_in(page)
    sign_in(page, scene.alice.user.email)
    expect(page.get_by_role("heading", name="Hello, Alice Ash")).to_be_visible()

    page.goto("/accounts/2fa/")
    assert not is_too_wide(page)
    page.get_by_role("link", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name").fill("My phone <b>")
    page.get_by_label("Passwordless").check()
    with page.expect_navigation():
        page.get_by_role("button", name="Make the passkey").click()
    page.goto("/accounts/2fa/webauthn/")
    expect(page.get_by_role("rowheader", name="My phone <b>")).to_be_visible()
    expect(page.get_by_role("cell", name="by itself")).to_be_visible()
    assert not is_too_wide(page)

    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Hello, Alice Ash")).to_be_visible()

    # With the password, the passkey is the second thing asked for.
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    sign_in(page, scene.alice.user.email)
    page.get_by_role("button", name="Use a passkey or security key").click()
    expect(page.get_by_role("heading", name="Hello, Alice Ash")).to_be_visible()

    page.goto("/accounts/sessions/")
    expect(page.get_by_role("row")).to_have_count(4)  # the head, and three browsers, two of them forgotten
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("Nowhere else.")).to_be_visible()

    page.goto("/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("link", name="Use a security key").click()
    page.get_by_role("button", name="Use the passkey").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_without_a_passkey_the_page_says_so(scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/accounts/login/")
    plug_in(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert").filter(has_text="That did not work")).to_be_visible()


@pytest.mark.slow
def test_a_housemate_joins_by_passkey_alone(scene: Scene, open_page: OpenPage) -> None:
    invitation = inviting.invite_housemate(member=scene.alice.member, email="ben@example.org", at=NOW)
    page = open_page(reverse("join_by", args=[inviting.token_of(invitation)]), width=320)
    assert not is_too_wide(page)
    plug_in(page)
    page.get_by_label("Your name").fill("Ben Ash")
    page.get_by_role("button", name="Join with a passkey instead").click()
    page.get_by_label("Name").fill("Ben's phone")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Make the passkey").click()
    page.wait_for_url(lambda url: "/2fa/" in url and "/add/" not in url)

    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Hello, Ben Ash")).to_be_visible()
    expect(page.get_by_text(scene.next.name).first).to_be_visible()
