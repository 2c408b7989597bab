"""Staff pages in a browser: a campaign's page follows it by itself; the records have the co-op's name."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from campaigns.models import Campaign
from opendsr.kernel import outbox
from tests.browser.conftest import OpenPage, is_too_wide
from tests.web.scene import Scene

ONE_ROUND_MS = 5_500


def test_the_page_follows_the_campaign_by_itself(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(f"/campaigns/{scene.planned.pk}/", user=scene.sam)
    page.clock.install()
    page.get_by_role("button", name="Approve and send").click()
    expect(page.locator("[aria-current=step]")).to_have_text("Approved")

    outbox.drain()
    page.clock.run_for(ONE_ROUND_MS)
    expect(page.locator("[aria-current=step]")).to_have_text("Dispatched")

    scene.planned.participations.update(state="opted_in")
    page.clock.run_for(ONE_ROUND_MS)
    expect(page.locator("#live")).to_contain_text("3 of 3")
    assert page.locator("#live").count() == 1


def test_no_figure_breaks_within_its_number_on_a_phone(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(f"/campaigns/{scene.past.pk}/report/", user=scene.sam, width=320)
    revenue = page.locator(".figures dd").last

    lines = revenue.evaluate(
        """dd => {
            dd.firstChild.textContent = "£1,104.89";
            const range = document.createRange();
            range.selectNodeContents(dd.firstChild);
            return range.getClientRects().length;
        }"""
    )

    assert lines == 1


def test_the_records_open_under_the_same_policy(scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/records/", user=scene.sam)

    expect(page.get_by_role("heading", name="Records")).to_be_visible()
    expect(page.locator("#site-name")).to_have_text("Calder Bank Energy Co-op: records")


@pytest.mark.parametrize("has_javascript", [True, False])
@pytest.mark.parametrize("width", [390, 1280])
def test_which_of_two_half_past_ones_is_answered_by_keyboard_alone(
    width: int, has_javascript: bool, scene: Scene, open_page: OpenPage, troubles: list[str]
) -> None:
    page = open_page("/campaigns/new/", user=scene.sam, width=width, has_javascript=has_javascript)
    page.locator("#id_zone_kind").select_option("everywhere")
    page.locator("#id_size_kw").fill("12.5")
    page.locator("#id_day").fill("2026-10-25")
    page.locator("#id_starts").select_option("01:30")
    page.locator("#id_ends").select_option("02:30")
    page.locator("#id_name").fill("Cold night")
    page.keyboard.press("Enter")

    expect(page.locator(".error-summary")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="From which of the two")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("The first, in summer time (BST)")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("The second, an hour later (GMT)")).to_be_checked()
    assert not is_too_wide(page)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Cold night")).to_be_visible()
    expect(page.locator("main")).to_contain_text("01:30 GMT to 02:30")
    assert Campaign.objects.get(name="Cold night").starts_at.isoformat() == "2026-10-25T01:30:00+00:00"
    assert all("422" in troubles.pop() for _ in troubles[:])
