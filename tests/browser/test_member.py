"""A member with a phone: sign in, skip, opt back in, read the statement; by finger, keys and no script."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Participation
from tests.browser.conftest import OpenPage, is_too_wide, wait_for_charts
from tests.factories import PASSWORD
from tests.web.scene import Scene, freeze

PHONE = 360
MOST_TABS = 30


def test_alice_s_evening_on_a_phone(scene: Scene, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/", width=PHONE)
    page.get_by_label("Email address").fill("alice@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Alice Ash")

    event = page.get_by_role("article")
    event.get_by_role("button", name="Skip this event").click()
    expect(event).to_contain_text("You are out")
    assert _states(scene) == {"opted_out"}
    event.get_by_role("button", name="Opt back in").click()
    expect(event).to_contain_text("You are in")
    assert "opted_out" not in _states(scene)

    wait_for_charts(page)
    assert not is_too_wide(page)
    page.get_by_role("link", name="Wednesday tea-time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Statement")
    wait_for_charts(page)
    assert not is_too_wide(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    file = tmp_path / "statement.csv"
    download.value.save_as(file)
    assert download.value.suggested_filename.endswith("-2026-01-15-fast-dr-1.csv")
    rows = list(csv.DictReader(file.open(encoding="utf-8-sig")))
    earned = next(row for row in rows if (row["section"], row["item"]) == ("money", "earned"))
    assert int(earned["value"]) == scene.statement_of(scene.alice).earned_mp


def test_the_keyboard_alone_skips_and_undoes(scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/", user=scene.alice.user, width=PHONE)

    page.keyboard.press("Tab")
    assert _focused(page) == "Skip to the content"
    assert _has_visible_focus(page)
    page.keyboard.press("Enter")
    _tab_to(page, "Skip this event")
    assert _has_visible_focus(page)

    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_contain_text("You are out")
    # The press must not lose the place.
    expect(page.get_by_role("button", name="Opt back in")).to_be_focused()

    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_contain_text("You are in")
    expect(page.get_by_role("button", name="Skip this event")).to_be_focused()


def test_without_javascript_the_same_works(scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/", user=scene.alice.user, width=PHONE, has_javascript=False)

    page.get_by_role("button", name="Skip this event").click()
    expect(page.get_by_role("article")).to_contain_text("You are out")
    page.get_by_role("button", name="Opt back in").click()
    expect(page.get_by_role("article")).to_contain_text("You are in")

    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("row", name="17:00–17:30")).to_be_visible()
    page.get_by_role("link", name="Day before").click()
    expect(page.get_by_role("heading", name="My usage, Tuesday 13 January 2026")).to_be_visible()


def test_the_charts_are_drawn_by_our_own_files(
    scene: Scene, open_page: OpenPage, live_server: LiveServer
) -> None:
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
    assert all(name.startswith(live_server.url) for name in loaded), loaded


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


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText.trim()"))


def _has_visible_focus(page: Page) -> bool:
    look = "(() => { const s = getComputedStyle(document.activeElement);"
    look += " return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; })()"
    return bool(page.evaluate(look))


def _tab_to(page: Page, text: str) -> None:
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if _focused(page) == text:
            return
    pytest.fail(f"{text!r} is not reached by Tab")
