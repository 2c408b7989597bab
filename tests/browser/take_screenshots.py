"""`make screenshots`: a picture of each main page into `docs/screenshots/`, and `docs/tour.md` to show them.

Members' pages at 360 px, an installer's too, staff's at 1280 px; a few in the dark. The people are invented
(`showing.py`) and the clock stands still. The file is no test by its name: only the command runs it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from django.db import connection
from PIL import Image
from playwright.sync_api import Page
from pytest_django.plugin import DjangoDbBlocker

from members.models import User
from tests.browser.conftest import OpenPage, wait_for_charts
from tests.browser.showing import World, answer_event, set_world
from tests.web.scene import Scene, freeze, held

DOCS: Final = Path(__file__).parents[2] / "docs"
PHONE, DESK = 360, 1280
TALLEST: Final = {PHONE: 1_000, DESK: 1_100}
"""Pixels of a page that are shown; the rest of a long one is cut off."""
MOST_BYTES: Final = 3_000_000


@dataclass(frozen=True, slots=True)
class Shot:
    """A page in the tour: its file, where it is, a sentence on it, and from where on it is shown."""

    name: str
    path: str
    words: str
    scheme: str = "light"
    part: str = ""


@pytest.fixture(scope="module")
def world(browser: object, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """The world, rolled back in the end."""
    yield from held(set_world, django_db_blocker)
    connection.close()


@pytest.fixture
def scene(world: World, db: None) -> Scene:
    """Its scene, for the server of `conftest.py`."""
    freeze()
    return world.scene


def test_take_screenshots(world: World, scene: Scene, open_page: OpenPage) -> None:
    folder = DOCS / "screenshots"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    told = [INTRODUCTION]
    for title, user, width, shots in chapters(world):
        told.append(f"## {title}\n")
        page = open_page("about:blank", user=user, width=width)
        for shot in shots:
            if shot.name.startswith("live-board"):
                answer_event(scene)
            _take(page, shot, width, folder / f"{shot.name}.webp")
            told.append(f"{shot.words}\n\n![{shot.words}](screenshots/{shot.name}.webp)\n")
            freeze()
    (DOCS / "tour.md").write_text("\n".join(told))
    assert sum(file.stat().st_size for file in folder.glob("*.webp")) < MOST_BYTES


def _take(page: Page, shot: Shot, width: int, file: Path) -> None:
    page.emulate_media(color_scheme=shot.scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(shot.path)
    wait_for_charts(page)
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] == width, f"{shot.path} has to be moved sideways"
    box = page.locator(shot.part).bounding_box() if shot.part else None
    start = box["y"] - 16 if box else 0
    height = min(size[1] - start, TALLEST[width])
    clip = {"x": 0, "y": start, "width": width, "height": height}
    body = page.screenshot(full_page=True, clip=clip, animations="disabled", caret="hide")  # type: ignore[arg-type]
    with Image.open(io.BytesIO(body)) as taken:
        taken.convert("RGB").save(file, "WEBP", quality=80, method=6)


INTRODUCTION: Final = """\
# A tour of the pages

Pictures of the main pages, members' and installers' as on a phone of 360 px, staff's at 1280 px; long
pages are cut off below. The people, homes and sums are invented. `make screenshots` takes the pictures and
writes this page.
"""


def chapters(world: World) -> list[tuple[str, User | None, int, list[Shot]]]:
    """Who looks, how wide, and at what."""
    scene = world.scene
    statement = scene.statement_of(scene.alice)
    home = scene.homes[0].hub.hub.home_id
    planned, running, past = (f"/campaigns/{each.pk}/" for each in (scene.planned, scene.next, scene.past))
    dark = "The same in the dark."
    joins = [
        Shot("join", "/join/", "Anybody may ask to join; what it costs and what can go wrong come first."),
    ]
    member = [
        Shot("home", "/", "Home: the next event with one press to skip it, and what was earned."),
        Shot("home-usage", "/", "Further down: a day's use beside what is usual.", part="#usage"),
        Shot("home-dark", "/", dark, scheme="dark"),
        Shot("statement", f"/statements/{statement.pk}/", "A statement: what changed, and the whole sum."),
        Shot("earnings", "/earnings/", "Earnings: what moved, gifts, and where it is paid."),
        Shot("plan", "/plan/", "Plan: when car and hot water run tonight, why, and what that saves."),
        Shot("preferences", "/preferences/", "Preferences: when to be left out, and consents."),
        Shot("notices", "/notices/", "Notices: what to be told, by email or text message."),
        Shot("rights", "/rights/", "Data and rights: a copy, a correction, a complaint, and who looked."),
        Shot("apps", "/apps/", "Apps and calendar: keys for programs, taken back with a press."),
    ]
    installer = [
        Shot("visit", f"/visits/{world.visit.pk}/", "A visit: what is left to do, and each step of it."),
    ]
    dispatcher = [
        Shot("today", "/today/", "Today: what runs, what comes, and what waits for somebody."),
        Shot("campaigns", "/campaigns/", "Campaigns, and the switch that freezes all sending."),
        Shot("planner", planned, "A campaign planned: who would take part, with how much, and why."),
        Shot("live-board", running, "Live: who fetched, answered and takes part, and how fast."),
        Shot("live-board-dark", running, dark, scheme="dark"),
        Shot("event-report", f"{past}report/", "The event report: estimated, measured, and the money."),
        Shot("night-plans", "/plans/", "The plans of the night, home by home, with what they save."),
        Shot("market", "/market/", "The market: buyers' requests, what they pay, and by when to answer."),
    ]
    treasurer = [
        Shot("round", f"/settlement/{scene.run.round_id}/", "A settlement round, posted by a second person."),
        Shot("payments", "/payments/", "Payments: batches by two people, and the bank's answer."),
        Shot("figures", "/figures/", "The co-op's figures by month: money, people, carbon, delivery."),
    ]
    services = [
        Shot("funnel", "/funnel/", "Joining: where everybody stands, and who has waited too long."),
        Shot("requests", "/data-requests/", "Requests and complaints, oldest due first."),
        Shot("notice-log", "/notices/log/", "Notices: what was sent and what did not arrive."),
    ]
    devices = [
        Shot("registry", "/registry/", "The registry: every home with its devices and their health."),
        Shot("home-registry", f"/registry/homes/{home}/", "One home: its hub, its devices, their life."),
        Shot("map", "/registry/map/", "Homes by place: what a network's zone could have now."),
    ]
    settings = [Shot("settings", "/settings/", "Settings, each with who set it, when and why.")]
    return [
        ("Somebody who joins", None, PHONE, joins),
        ("A member", scene.alice.user, PHONE, member),
        ("An installer", world.ivan, PHONE, installer),
        ("A dispatcher", scene.sam, DESK, dispatcher),
        ("A treasurer", scene.fay, DESK, treasurer),
        ("Member services", world.mo, DESK, services),
        ("A device manager", world.dan, DESK, devices),
        ("An administrator", world.ada, DESK, settings),
    ]
