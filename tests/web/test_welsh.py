"""The member's pages in Welsh: whole, chosen with a press, and never of those who work here."""

from __future__ import annotations

import re
from collections.abc import Callable
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.translation.trans_real import DjangoTranslation

from members.models import ConsentText, Home, User
from opendsr.kernel.models import Installation
from opendsr.web.speaking import is_translated
from settlement.baselines.presets import PRESETS
from tests.web.pages import seen
from tests.web.scene import Scene
from tests.web.things import things_of
from tests.web.url_map import Address, addresses

Visit = Callable[[User | None], Client]
FOLDER = Path(settings.LOCALE_PATHS[0]) / "cy" / "LC_MESSAGES"
PLACES = re.compile(r"%\(\w+\)[a-z]|%%|\{\w*\}|</?\w+[^>]*>|&\w+;")


@pytest.fixture
def untranslated(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What was asked for in Welsh and is in English alone, while the test runs."""
    missing: set[str] = set()
    plain, plural = DjangoTranslation.gettext, DjangoTranslation.ngettext

    def gettext(self: Any, message: str) -> str:
        if self.language() == "cy" and self._catalog.get(message) is None:
            missing.add(message)
        return str(plain(self, message))

    def ngettext(self: Any, one: str, many: str, number: int) -> str:
        if self.language() == "cy" and self._catalog.get((one, 0)) is None:
            missing.add(one)
        return str(plural(self, one, many, number))

    monkeypatch.setattr(DjangoTranslation, "gettext", gettext)
    monkeypatch.setattr(DjangoTranslation, "ngettext", ngettext)
    return missing


def in_welsh(browser: Client) -> Client:
    """The same browser, whose reader pressed Cymraeg."""
    answer = browser.post(reverse("set_language"), {"language": "cy", "next": "/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    return browser


def members_pages() -> list[Address]:
    return [each for each in addresses() if is_translated(each.name) and "logout" not in each.name]


def test_every_word_of_members_pages_is_welsh(scene: Scene, visit: Visit, untranslated: set[str]) -> None:
    things = things_of(scene)
    shown = 0
    for browser in (in_welsh(visit(scene.alice.user)), in_welsh(visit(None))):
        for address in members_pages():
            answer = browser.get(address.path(things))
            if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
                page = seen(answer)
                assert page.tree.get("lang") == "cy", address.name
                shown += 1
    assert shown > 30
    assert untranslated == set()


def test_what_members_see_is_translated(scene: Scene, visit: Visit) -> None:
    things = things_of(scene)
    browser = visit(scene.alice.user)
    for address in addresses():
        if "logout" not in address.name and not is_translated(address.name):
            answer = browser.get(address.path(things))
            is_page = answer.status_code == 200 and answer.get("Content-Type", "").startswith("text/html")
            assert not is_page, address.name


def test_one_press_there_and_one_back(scene: Scene, visit: Visit) -> None:
    browser = visit(scene.alice.user)
    home = browser.get("/").content.decode()
    assert '<button type="submit" class="quiet" name="language" value="cy" lang="cy">Cymraeg</button>' in home
    assert "English</button>" not in home
    welsh = in_welsh(browser).get("/").content.decode()
    assert '<html lang="cy">' in welsh
    assert "All times are UK local time." not in welsh
    back = browser.post(reverse("set_language"), {"language": "en-gb"}, headers={"referer": "/usage/"})
    assert back.headers["Location"] == "/usage/"
    assert '<html lang="en-GB">' in browser.get("/").content.decode()


def test_the_browser_may_ask_for_it(visit: Visit) -> None:
    browser = visit(None)
    login = reverse("account_login")
    for asked, told in (("cy, en;q=0.5", "cy"), ("fr", "en-GB")):
        page = browser.get(login, headers={"accept-language": asked}).content.decode()
        assert f'<html lang="{told}">' in page


def test_the_console_stays_english(scene: Scene, visit: Visit) -> None:
    browser = in_welsh(visit(scene.sam))
    page = browser.get(reverse("campaign_list"))
    assert '<html lang="en-GB">' in page.content.decode()
    assert page.headers["Content-Language"] == "en-gb"
    assert 'name="language"' not in page.content.decode()


@pytest.mark.parametrize("next_url", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_a_press_leads_nowhere_else(visit: Visit, next_url: str) -> None:
    asked = {"language": "cy", "next": next_url}
    answer = visit(None).post(reverse("set_language"), asked, headers={"referer": next_url})
    assert "evil" not in answer.headers.get("Location", "")
    assert "javascript" not in answer.headers.get("Location", "")


def test_an_unknown_language_changes_nothing(visit: Visit) -> None:
    browser = visit(None)
    browser.post(reverse("set_language"), {"language": "../../etc", "next": "/"})
    assert '<html lang="en-GB">' in browser.get(reverse("account_login")).content.decode()


def catalogue() -> dict[Any, str]:
    with (FOLDER / "django.mo").open("rb") as file:
        return {key: text for key, text in GNUTranslations(file)._catalog.items() if key}  # type: ignore[attr-defined]


def test_translations_keep_what_is_filled_in() -> None:
    for key, text in catalogue().items():
        message = key[0] if isinstance(key, tuple) else key
        assert text, message
        if not isinstance(key, tuple) or key[1] == 2:  # a form for one or two may leave the number out
            assert sorted(PLACES.findall(text)) == sorted(PLACES.findall(message)), message


def texts(answer: Any) -> set[str]:
    """Every piece of text of a page with three words or more."""
    nodes = seen(answer).tree.xpath("//body//text()[not(parent::script)]")
    found = (" ".join(each.split()) for each in nodes)
    return {each for each in found if len(re.findall(r"[A-Za-z]{2,}", each)) >= 3}


def is_on_record(text: str, scene: Scene) -> bool:
    """Whether somebody wrote it: names, addresses, reasons, hashes, what rules and postings are called."""
    written = (
        scene.alice.user.email,
        Installation.objects.get().coop_name,
        scene.past.name,
        scene.next.name,
        scene.next.reason,
        *(rule.title for rule in PRESETS.values()),
        *(home.name for home in Home.objects.all()),
        *ConsentText.objects.values_list("body", flat=True),
    )
    return text.startswith("SHA-256 ") or any(each and each in text for each in written)


def test_nothing_of_ours_is_left_in_english(scene: Scene, visit: Visit) -> None:
    things = things_of(scene)
    left: dict[str, set[str]] = {}
    for user in (scene.alice.user, None):
        english, welsh = visit(user), in_welsh(visit(user))
        for address in members_pages():
            path = address.path(things)
            told, ours = welsh.get(path), english.get(path)
            if told.status_code == ours.status_code == 200 and told["Content-Type"].startswith("text/html"):
                for each in texts(told) & texts(ours):
                    if not is_on_record(each, scene):
                        left.setdefault(each, set()).add(address.name)
    assert left == {}
