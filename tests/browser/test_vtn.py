"""The VTN's staff pages in a browser: usable by everybody, in every light, from phone to desk."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from members.models import Role, User
from opendsr.kernel import clock
from tests.browser.conftest import OpenPage, is_too_wide, wait_for_charts
from tests.browser.test_access import NARROW, WIDE, _violations
from tests.factories import make_staff
from tests.web.scene import Scene
from vtn import api_fields, contexts, grouping, messagelog, redacting, repeating, sending, tokens
from vtn.content import EventContent, SignalContent
from vtn.models import Event, MessageLog, Ven, VenWatch
from vtn.port import VenId

PICTURES = os.environ.get("OPENDSR_PICTURES", "")
"""A folder to put a picture of each page into, for whoever works on them."""
STREET = "street-4-" + "g" * 55
"""What people and clients write without a space has to break, or the page moves sideways."""


@pytest.fixture
def ada(scene: Scene) -> User:
    """An administrator; the first VEN has something of everything on its page."""
    wall = clock.wall_now()
    ven = Ven.objects.order_by("pk").first()
    assert ven is not None
    Ven.objects.filter(pk=ven.pk).update(last_seen_wall_at=wall, ven_name="<b>" + "W" * 120)
    VenWatch.objects.create(
        ven=ven, software="OpenDSR hub/1.0-" + "x" * 60, quirks=["opt_type_none"], clock_skew_seconds=-95
    )
    messagelog.watch(ven_pk=ven.pk, wall=wall)
    MessageLog.objects.create(
        at=clock.now(),
        recorded_wall_at=wall,
        ven=ven,
        service="EiOpt",
        message="oadrCancelPartyRegistration",
        reply="oadrCanceledPartyRegistration",
        code="452",
        http_status=200,
        reason="unknown eventID " + "z" * 280,
        request_bytes=1_234,
        reply_bytes=987,
        request_body=redacting.redacted(b"<a><b>1</b><venName>x</venName></a>"),
    )
    tokens.create_token(
        name="Grid-tool-" + "G" * 70, deeds=["see"], days=30, at=clock.now(), wall=wall, by="user:1"
    )
    return make_staff("ada@example.org", Role.ADMINISTRATOR)


def pages() -> list[tuple[str, str]]:
    ven = Ven.objects.order_by("pk").first()
    event = Event.objects.filter(ven=ven).order_by("-pk").first()
    entry = MessageLog.objects.order_by("-pk").first()
    assert ven is not None
    assert event is not None
    assert entry is not None
    at = clock.now()
    signals = (SignalContent("SIMPLE", "level", ((3600, 1.0),)),)
    written = EventContent(VenId(ven.ven_id), "http://site/by-hand", at + timedelta(hours=1), 3600, signals)
    sent = sending.send_events(
        content=replace(written, is_test=True), ven_ids=[ven.ven_id], key=uuid4(), at=at, by="user:1"
    )
    shown = api_fields.content_shown(written)
    sending.save_draft(draft_id=uuid4(), content=shown, ven_ids=[ven.ven_id], at=at, by="user:1")
    grouping.save_group(
        name=STREET, description="One feeder " + "D" * 180, ven_ids=[ven.ven_id], at=at, by="user:1"
    )
    rhythm, series_id = repeating.Rhythm((0, 3, 6), until=(at + timedelta(days=40)).date()), uuid4()
    repeating.write_events(
        repeating.events_of(replace(written, is_test=True), series_id, rhythm),
        rhythm,
        sends=True,
        shown=api_fields.content_shown,
        ven_ids=[ven.ven_id],
        at=at,
        by="user:1",
    )
    named = contexts.save_context(
        market_context="http://site/by-hand", name="N" * 80, description="D" * 200, at=at, by="user:1"
    )
    return [
        ("list", "/vtn/"),
        ("none-found", "/vtn/?q=nobody"),
        ("ven", f"/vtn/vens/{ven.ven_id}/"),
        ("enrol", "/vtn/enrol/"),
        ("reissue", f"/vtn/vens/{ven.ven_id}/certificate/"),
        ("events", "/vtn/events/"),
        ("event", f"/vtn/events/{event.event_id}/"),
        ("calendar-month", "/vtn/events/calendar/"),
        ("calendar-week", "/vtn/events/calendar/?view=week"),
        ("calendar-day", f"/vtn/events/calendar/?view=day&day={written.starts_at:%Y-%m-%d}"),
        ("calendar-clocks", "/vtn/events/calendar/?view=week&day=2026-10-25"),
        ("calendar-none", "/vtn/events/calendar/?ven=nobody"),
        ("compose", f"/vtn/events/new/?ven={ven.ven_id}"),
        ("change", f"/vtn/events/{sent[ven.ven_id]}/change/"),
        ("series-list", "/vtn/series/"),
        ("series", f"/vtn/series/{series_id}/"),
        ("groups", "/vtn/groups/"),
        ("group", f"/vtn/groups/{STREET}/"),
        ("contexts", "/vtn/market-contexts/"),
        ("context", f"/vtn/market-contexts/{named.pk}/"),
        ("messages", "/vtn/messages/"),
        ("message", f"/vtn/messages/{entry.pk}/"),
        ("prompts", f"/vtn/prompts/?ven={ven.ven_id}"),
        ("tokens", "/vtn/tokens/"),
        ("reports", f"/vtn/vens/{ven.ven_id}/reports/"),
        ("api", "/api/vtn/v1/docs/"),
    ]


def faults(page: Page) -> list[str]:
    wait_for_charts(page)
    page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
    found = _violations(page)
    return [*found, "has to be moved sideways"] if is_too_wide(page) else found


def keep_picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def test_the_ven_page_on_the_narrowest_phone(ada: User, open_page: OpenPage) -> None:
    ven = Ven.objects.order_by("pk").first()
    assert ven is not None
    page = open_page(f"/vtn/vens/{ven.ven_id}/", user=ada, width=NARROW)

    assert faults(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_in_every_light(scheme: str, width: int, ada: User, open_page: OpenPage) -> None:
    found = {}
    for name, path in pages():
        page = open_page(path, user=ada, scheme=scheme, width=width)
        keep_picture(page, f"{name}-{scheme}-{width}")
        if troubles := faults(page):
            found[path] = troubles
        page.context.close()

    assert found == {}


@pytest.mark.parametrize("has_javascript", [True, False])
def test_a_prompt_is_staged_and_its_outcome_watched(
    has_javascript: bool, ada: User, open_page: OpenPage
) -> None:
    ven = Ven.objects.order_by("pk").first()
    assert ven is not None
    page = open_page("/", user=ada, has_javascript=has_javascript)
    page.locator("summary", has_text="Devices").click()
    page.get_by_role("link", name="OpenADR", exact=True).click()
    page.get_by_role("link", name=ven.ven_id).click()
    page.get_by_role("link", name="Test prompts for this VEN").click()
    page.locator("summary", has_text="An event that is far").click()
    page.get_by_role("button", name=f"Send to {ven.ven_id}").locator("visible=true").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("An event that is far")
    expect(page.locator("#live")).to_contain_text("Not yet delivered")
    keep_picture(page, "prompt-run")
    assert Event.objects.filter(key__startswith="prompt:").count() == 1
