"""The member's pages in Welsh: whole, chosen with a press, and never of those who work here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from gettext import GNUTranslations
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from allauth.mfa.totp.internal import auth
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation.trans_real import DjangoTranslation

from members.enquiry_models import Occasion
from members.models import ConsentText, Home, User
from notices import choosing, facts, inbound
from notices import words as notice_words
from notices.kinds import MANNERS, Kind
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.models import Installation
from opendsr.web.champions import SurveyForm
from opendsr.web.notice_hooks import answer_next_event
from opendsr.web.speaking import is_translated
from settlement.baselines.presets import PRESETS
from tests.factories import make_asset
from tests.notices.test_words import EVERY_FACT, LINKS
from tests.web import hostile
from tests.web.pages import seen
from tests.web.scene import NOW, Scene
from tests.web.test_hostile_text import LEAVES, is_page, name_of, taken_back
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
    assert untranslated == set(), "\n".join(untranslated)


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


def test_the_browser_may_ask_for_it(scene: Scene, visit: Visit) -> None:
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


def test_an_unknown_language_changes_nothing(scene: Scene, visit: Visit) -> None:
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
    assert left == {}, "\n".join(map(str, left.items()))


def sent_forms(browser: Client, things: dict[str, Any]) -> Iterator[tuple[str, list[str], Any]]:
    """Each form of members' pages sent as it is, likely to be taken, and wrong: its name, what was in it, the
    answer; what it leads to is the answer where it was taken.
    """
    known: set[tuple[str, tuple[str, ...]]] = set()
    for address in members_pages():
        path = address.path(things)
        page = browser.get(path)
        if page.status_code != 200 or not is_page(page):
            continue
        for form in hostile.forms_of(page.content.decode(), path):
            url = urljoin(path, form.action)
            key = (name_of(url), form.fields)
            is_asked = form.method == "POST" and key[0] not in LEAVES | {"set_language"}
            if not is_asked or key in known or not is_translated(key[0]):
                continue
            known.add(key)
            refused = form.hostile()
            for data in (dict(form.sent), form.likely(), refused, {}, *form.wrong()):
                with taken_back(browser):
                    answer = browser.post(url, data, follow=True)
                if is_page(answer):
                    yield key[0], [str(each) for value in data.values() for each in value], answer


def test_every_answer_to_a_form_is_welsh(scene: Scene, visit: Visit, untranslated: set[str]) -> None:
    things = things_of(scene)
    answered: set[str] = set()
    for browser in (in_welsh(visit(scene.alice.user)), in_welsh(visit(None))):
        for name, _sent, answer in sent_forms(browser, things):
            assert seen(answer).tree.get("lang") == "cy", name
            answered.add(name)
    assert len(answered) >= 20
    assert untranslated == set(), "\n".join(untranslated)


def test_no_answer_to_a_form_is_left_in_english(scene: Scene, visit: Visit) -> None:
    things = things_of(scene)
    left: dict[str, set[str]] = {}
    for user in (scene.alice.user, None):
        ours, told = visit(user), in_welsh(visit(user))
        english: dict[str, set[str]] = {}
        for name, _sent, answer in sent_forms(ours, things):
            english.setdefault(name, set()).update(texts(answer))
        for name, sent, answer in sent_forms(told, things):
            for each in texts(answer) & english.get(name, set()):
                if not is_on_record(each, scene) and hostile.MARK not in each and each not in sent:
                    left.setdefault(each, set()).add(name)
    assert left == {}, "\n".join(map(str, left.items()))


def test_what_a_household_asks_of_its_devices_is_welsh(
    scene: Scene, visit: Visit, untranslated: set[str]
) -> None:
    hub = scene.homes[0].hub.hub
    wrong = {"wanted_c": "25", "least_c": "29", "begins": "07:00", "ends": "07:00", "unit": "percent"}
    right = {"wanted_c": "20", "least_c": "16", "begins": "07:00", "ends": "09:00", "first": "06:00"}
    right |= {"ready_by": "07:00", "amount": "90", "battery_kwh": "60"}
    browser = in_welsh(visit(scene.alice.user))
    for kind in ("ev_charger", "immersion_heater", "storage_heater"):
        asset = hub.assets.filter(kind=kind).first() or make_asset(hub, kind, at=NOW)
        page = reverse("own_asset", args=[asset.pk])
        for amount in ("0", "900", "90"):
            assert browser.post(page, wrong | {"amount": amount, "arrives_percent": "95"}).status_code == 422
        for unit in ("kwh", "miles", "percent"):
            answer = browser.post(page, right | {"unit": unit}, follow=True)
            assert (answer.status_code, seen(answer).tree.get("lang")) == (200, "cy")
        browser.get(reverse("preferences"))
        browser.post(page, {"do": "usual"}, follow=True)
    assert untranslated == set(), "\n".join(untranslated)


@pytest.mark.parametrize("kind", Kind)
def test_every_word_of_a_notice_is_welsh(kind: Kind, untranslated: set[str]) -> None:
    for changes in ({}, {"delivered_wh": None}, {"delivered_wh": 0}, {"direction": "turn_up"}):
        with translation.override("cy"):
            said = notice_words.say(kind, json.loads(facts.written(EVERY_FACT | changes)))
            notice_words.letter(said, LINKS, coop="Testbury", notice_class=MANNERS[kind].notice_class)
            notice_words.text_message(said, LINKS, coop="Testbury")
    assert untranslated == set()


def test_a_text_message_is_answered_in_welsh(scene: Scene, untranslated: set[str]) -> None:
    def reply(text: str) -> str:
        return inbound.receive(
            provider_id=new_uuid().hex, sender="07700 900123", text=text, at=NOW, answer=answer_next_event
        )

    member = scene.alice.member
    code = choosing.give_number(member=member, phone="07700 900123", at=NOW)
    choosing.confirm_number(member=member, code=code, at=NOW)
    choosing.choose_language(member=member, language="cy", at=NOW)
    replies = [
        reply(text)
        for text in ("Peidio \N{SMILING FACE WITH OPEN MOUTH}", "IN", "IN", "  skip!", "help", "Stopio")
    ]
    assert [each.partition(": ")[2][:24] for each in replies] == [
        "Nid ydych yn cymryd rhan",
        "Rydych yn cymryd rhan: I",
        "Nid oes digwyddiad i chi",
        "Nid ydych yn cymryd rhan",
        "gall aelodau ateb SKIP i",
        "nid anfonir rhagor o neg",
    ]
    assert untranslated == set()


def test_a_survey_is_welsh(scene: Scene, visit: Visit, untranslated: set[str]) -> None:
    for occasion in Occasion:
        with translation.override("cy"):
            form = SurveyForm(occasion).as_p()
            assert str(occasion.label) not in ("After joining", "After the first event", "Once a year")
        assert "Anything you want" not in form
    assert untranslated == set()


def test_a_forgotten_password_is_chosen_anew_in_welsh(
    scene: Scene, visit: Visit, untranslated: set[str]
) -> None:
    browser = in_welsh(visit(None))
    browser.post(reverse("account_reset_password"), {"email": scene.alice.user.email})
    letter = mail.outbox[-1]
    assert letter.subject == "Cyfrinair newydd ar gyfer Calder Bank Energy Co-op"
    (link,) = re.findall(r"https?://testserver(/\S+)", letter.body)
    path = browser.get(link, follow=True).request["PATH_INFO"]
    refused = {
        ("alice@example.org", "alice@example.org"): "Mae'r cyfrinair yn rhy debyg i'ch cyfeiriad e-bost.",
        ("q1w2e3r4t5y6", "q1w2e3r4t5y6"): "Mae'r cyfrinair hwn yn rhy gyffredin.",
        ("short", "short"): "Rhaid bod o leiaf 12 nod ynddo.",
        ("violet kettle bridge", "violet kettle"): "Rhaid teipio'r un cyfrinair bob tro.",
    }
    for (first, second), why in refused.items():
        answer = browser.post(path, {"password1": first, "password2": second})
        assert why in seen(answer).text("//*[@class='error-summary']")
    done = browser.post(
        path, {"password1": "violet kettle bridge", "password2": "violet kettle bridge"}, follow=True
    )
    assert "Mae eich cyfrinair wedi'i newid" in seen(done).text()
    over = in_welsh(visit(None)).get(link, follow=True)
    assert seen(over).tree.get("lang") == "cy"
    assert untranslated == set()


def test_a_second_factor_is_set_up_in_welsh(scene: Scene, visit: Visit, untranslated: set[str]) -> None:
    browser = in_welsh(Client())
    user = User.objects.get(pk=scene.alice.user.pk)
    user.set_password("violet kettle bridge")
    user.save()
    known = {"login": user.email, "password": "violet kettle bridge"}
    browser.post(reverse("account_login"), known)
    browser.post(reverse("account_reauthenticate"), known)

    def sent(page: str, **data: str) -> str:
        answer = browser.post(reverse(page), data, follow=True)
        assert seen(answer).tree.get("lang") == "cy", page
        return seen(answer).text()

    def code() -> str:
        secret = browser.session["mfa.totp.secret"]
        return str(
            auth.format_hotp_value(auth.hotp_value(secret, next(iter(auth.yield_hotp_counters_from_time()))))
        )

    browser.get(reverse("mfa_activate_totp"))
    assert "Nid yw'r cod yn gywir." in sent("mfa_activate_totp", code="000000")
    assert "Codau adfer" in sent("mfa_activate_totp", code=code())
    for name in ("mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_add_webauthn", "mfa_index"):
        assert seen(browser.get(reverse(name))).tree.get("lang") == "cy", name
    assert "Codau adfer" in sent("mfa_generate_recovery_codes")
    sent("mfa_add_webauthn", name="ffôn", credential="{}")
    another = in_welsh(Client())
    asked = another.post(reverse("account_login"), known).headers["Location"]
    refused = another.post(asked, {"code": "000000"})
    assert "Nid yw'r cod yn gywir." in seen(refused).text("//*[@class='error-summary']")
    sent("mfa_deactivate_totp")
    sent("account_logout")
    assert untranslated == set()
