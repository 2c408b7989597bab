"""A member's home in a browser: its charts, and a press that is refused, fails, or comes too late."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from assets.models import Asset
from campaigns.models import Campaign, Participation
from opendsr.kernel.models import Installation
from tests.browser.conftest import OpenPage, is_too_wide, wait_for_charts
from tests.web.scene import Scene, freeze

PHONE = 360
MEMBERS_PAGES = (
    "home", "usage", "earnings", "my_plan", "preferences", "own_needs", "own_asset", "my_rights",
    "erase_me", "my_consents", "my_terms", "my_apps", "my_notices", "household_page", "join",
)  # fmt: skip


def test_the_charts_are_drawn_by_our_own_files(scene: Scene, open_page: OpenPage, site: str) -> None:
    page = open_page("/", user=scene.alice.user)
    wait_for_charts(page)

    bars = page.locator("#usage-figure + .chart .bars path")
    assert bars.count() == 48
    assert bars.first.bounding_box() is not None
    assert page.locator(".chart .legendtext").all_text_contents() == ["Metered", "Baseline"]
    # Without its own rules Plotly's layers fall under each other and the page grows.
    box = page.locator(".chart").bounding_box()
    assert box is not None
    assert box["height"] < 600
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith(site) for name in loaded), loaded


def test_a_press_after_the_session_ended_leads_to_sign_in(
    scene: Scene, open_page: OpenPage, troubles: list[str]
) -> None:
    page = open_page("/", user=scene.alice.user, width=PHONE)
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Skip this event").click()

    page.wait_for_url("**/accounts/login/?next=/**")
    assert "opted_out" not in _states(scene)
    assert ["401" in trouble for trouble in troubles] == [True]
    troubles.clear()


def test_a_refused_press_says_why_in_its_place(
    scene: Scene, open_page: OpenPage, troubles: list[str]
) -> None:
    page = open_page("/", user=scene.alice.user, width=PHONE)
    freeze(scene.next.ends_at)
    page.get_by_role("button", name="Skip this event").click()

    expect(page.get_by_role("alert")).to_have_text("It was over at 19:00 on Thursday 15 January 2026.")
    assert ["409" in trouble for trouble in troubles] == [True]
    troubles.clear()


def test_a_press_that_fails_is_told(scene: Scene, open_page: OpenPage, troubles: list[str]) -> None:
    page = open_page("/", user=scene.alice.user, width=PHONE)
    expect(page.locator("#trouble")).to_be_hidden()
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("button", name="Skip this event").click()

    expect(page.get_by_role("alert")).to_contain_text("Reload the page and try again.")
    expect(page.get_by_role("article")).to_contain_text("You are in")
    assert ["403" in trouble for trouble in troubles] == [True]
    troubles.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chart_can_be_read_in_light_and_in_dark(scheme: str, scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/", user=scene.alice.user, scheme=scheme)
    wait_for_charts(page)

    ink = page.evaluate("getComputedStyle(document.body).color")
    label = page.locator(".chart .xtick text").first.evaluate("(text) => getComputedStyle(text).fill")
    assert label == ink


def _states(scene: Scene) -> set[str]:
    parts = Participation.objects.filter(campaign=scene.next, occupancy=scene.alice.occupancy)
    return set(parts.values_list("state", flat=True))


def test_the_longest_names_are_read_on_a_phone(scene: Scene, open_page: OpenPage) -> None:
    long = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
    alice = scene.alice
    Installation.objects.update(coop_name=long)
    Asset.objects.filter(hub__home=alice.home).update(name=long)
    Campaign.objects.update(name=long, reason=long)
    people = ((alice.member, "full_name"), (scene.bob, "full_name"))
    for row, field in ((alice.home, "name"), (alice.household, "name"), *people):
        setattr(row, field, long)
        row.save(update_fields=[field])
    page = open_page("/", user=alice.user, width=320)
    page.get_by_role("button", name="Cymraeg").click()
    wide = []
    args_of = {"household_page": [alice.member.number], "own_asset": [scene.homes[0].hub.assets[0].pk]}
    for name in MEMBERS_PAGES:
        page.goto(reverse(name, args=args_of.get(name, [])))
        expect(page.locator("html")).to_have_attribute("lang", "cy")
        if is_too_wide(page):
            wide.append(name)
    assert wide == []


@pytest.mark.parametrize("has_javascript", [True, False])
def test_what_is_wrong_is_seen_on_a_phone(
    has_javascript: bool, scene: Scene, open_page: OpenPage, troubles: list[str]
) -> None:
    page = open_page("/notices/", user=scene.alice.user, width=320, has_javascript=has_javascript)
    page.get_by_label("Mobile number").fill("12")
    page.get_by_label("Mobile number").press("Enter")
    summary = page.locator(".error-summary")
    expect(summary).to_contain_text("Mobile number: Write the number with its area code")
    expect(summary).to_be_in_viewport()
    expect(summary).to_be_focused()
    assert all("422" in each for each in troubles)
    troubles.clear()
