"""A dispatcher at a desk: create, plan, approve and watch a campaign; and a treasurer who settles."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from campaigns.models import Campaign
from opendsr.kernel import outbox
from tests.browser.conftest import OpenPage, is_too_wide, wait_for_charts
from tests.web.scene import Scene

ONE_ROUND_MS = 5_500


@pytest.mark.parametrize("has_javascript", [True, False])
def test_sam_creates_plans_and_approves(
    has_javascript: bool, scene: Scene, open_page: OpenPage, troubles: list[str]
) -> None:
    page = open_page("/campaigns/", user=scene.sam, has_javascript=has_javascript)

    page.get_by_role("link", name="New campaign").click()
    page.get_by_label("Name").fill("Cold snap")
    page.get_by_label("Kind of zone").select_option("Everywhere")
    page.get_by_label("Size in kW").fill("2,5")
    page.get_by_label("Day").fill("2026-01-20")
    page.get_by_role("button", name="Create and plan").click()
    expect(page.get_by_role("alert")).to_contain_text("Size in kW: Enter a number.")
    assert ["422" in trouble for trouble in troubles] == [True]
    troubles.clear()
    page.get_by_label("Size in kW").fill("2.5")
    page.get_by_role("button", name="Create and plan").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Cold snap")
    expect(page.locator("[aria-current=step]")).to_have_text("Planned")
    page.get_by_role("button", name="Approve and send").click()
    expect(page.get_by_role("status")).to_contain_text("Approved.")
    assert Campaign.objects.get(name="Cold snap").approved_by == scene.sam


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


def test_cancelling_takes_a_second_press(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(f"/campaigns/{scene.next.pk}/", user=scene.sam, width=360)

    page.get_by_text("Cancel the campaign", exact=True).click()
    scene.next.refresh_from_db()
    assert scene.next.state == "dispatched"
    page.get_by_role("button", name="Yes: Cancel the campaign").click()

    expect(page.locator("[aria-current=step]")).to_have_text("Cancelled")


def test_fay_reads_the_report_and_settles_again(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(f"/campaigns/{scene.past.pk}/report/", user=scene.fay)
    wait_for_charts(page)
    assert not is_too_wide(page)

    page.get_by_role("button", name="Settle again").click()

    expect(page.get_by_role("status")).to_contain_text("Nothing has changed since run 1")


def test_the_records_open_under_the_same_policy(scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/records/", user=scene.sam)

    expect(page.get_by_role("heading", name="Records")).to_be_visible()
    expect(page.locator("#site-name")).to_have_text("Calder Bank Energy Co-op: records")
