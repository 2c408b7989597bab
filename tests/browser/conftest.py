"""A real browser on a real server: Debian's chromium through Playwright, the scene of the page tests.

Every page opened here is watched: an error in the console, an uncaught exception or a breach of the content
security policy fails the test that saw it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from pytest_django.plugin import DjangoDbBlocker

from members.models import User
from tests.browser.serving import served
from tests.web.scene import Scene, freeze, scene_of_the_file

# Playwright keeps an event loop in the test's thread, where Django would then refuse the database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

NAMES = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--lang=en-US",
]
LANGUAGE = {"LANGUAGE": "en_US"}
"""Of the browser itself, in which it takes days and times: pages are asked for in en-GB all the same."""
TELL_BREACHES = """
document.addEventListener("securitypolicyviolation", (breach) =>
  console.error(`policy: ${breach.violatedDirective} ${breach.blockedURI} ${breach.sourceFile}`));
"""
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)
FIRST_LOOK = "test_a_member_skips_comes_back_and_reads_the_statement[no_script]"

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser; all but the first look is for `make test-all`."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if item.name != FIRST_LOOK:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One chromium a file: while it runs, its event loop is in the way of tests with one of their own."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=SWITCHES, env={**os.environ, **LANGUAGE}
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def _module_scene(
    browser: Browser, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Scene]:
    """The scene is set once a file, on the connection that this thread has while the browser's loop runs."""
    yield from scene_of_the_file(django_db_blocker)
    connection.close()


@pytest.fixture
def scene(_module_scene: Scene, db: None) -> Scene:
    """The scene, rolled back to after every test; the clock stands still."""
    freeze()
    return _module_scene


@pytest.fixture
def site(scene: Scene) -> Iterator[str]:
    """The address at which the site is served."""
    with served() as url:
        yield url


@pytest.fixture
def troubles() -> list[str]:
    """What browsers complained of; a test that expects a complaint checks it and clears the list."""
    return []


@pytest.fixture
def open_page(browser: Browser, site: str, troubles: list[str]) -> Iterator[OpenPage]:
    """Opens pages of the site, signed in as somebody or as nobody, and looks after them."""
    contexts: list[BrowserContext] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            troubles.append(f"{message.text} at {message.location.get('url', '')}")

    def start(
        path: str = "/",
        *,
        user: User | None = None,
        width: int = 1280,
        scheme: str = "light",
        has_javascript: bool = True,
    ) -> Page:
        context = browser.new_context(
            base_url=site,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=has_javascript,
            locale="en-GB",
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        if user is not None:
            context.add_cookies([{"name": "sessionid", "value": session_of(user), "url": site}])
        page = context.new_page()
        if has_javascript:
            page.add_init_script(TELL_BREACHES)
        page.on("console", note)
        page.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
        page.goto(path)
        return page

    yield start
    for context in contexts:
        context.close()
    assert troubles == []


def session_of(user: User) -> str:
    """A session of the user's, without the way through the sign-in page."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies["sessionid"].value


def is_too_wide(page: Page) -> bool:
    """Whether the page has to be moved sideways to be read."""
    root = "document.documentElement"
    return bool(page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"))


def wait_for_charts(page: Page) -> None:
    """Wait until every figure of the page is drawn."""
    for number in range(page.locator("[data-figure]").count()):
        page.locator("[data-figure]").nth(number).locator("svg.main-svg").first.wait_for()
