"""Staff pages in a browser: a campaign's page follows it by itself; the records have the co-op's name."""

from __future__ import annotations

from playwright.sync_api import expect

from opendsr.kernel import outbox
from tests.browser.conftest import OpenPage
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
