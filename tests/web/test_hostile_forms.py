"""Hostile text in every field of every form on the pages of the URL map: said back as text, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lxml.html
import pytest
from django.db import transaction
from django.test import Client

from members.models import Role
from tests.factories import make_staff
from tests.web.conftest import Visit
from tests.web.scene import Scene
from tests.web.test_strangers import text_of
from tests.web.things import things_of
from tests.web.url_map import addresses

pytestmark = pytest.mark.slow
TAG = "<script>alert('quince')</script>"
TEXTS = (
    f'"><img src=x onerror=alert(1)>{TAG}', "\x00", "=1+cmd|' /C calc'!A0", "٣𝟜" * 200, "1e999", "-1",
)  # fmt: skip
NOT_TEXT = {"hidden", "submit", "button", "file", "checkbox", "radio"}


def forms_on(page: str, path: str) -> list[tuple[str, dict[str, str], list[str]]]:
    """The posting forms of a page: where to, what is filled already, and the fields to write into."""
    found = []
    for form in lxml.html.document_fromstring(page).forms:
        if form.method.upper() != "POST" or "logout" in (form.action or ""):
            continue
        given: dict[str, str] = {}
        free = []
        for each in form.inputs:
            if not each.name or each.name == "csrfmiddlewaretoken":
                continue
            kind = each.get("type", "text") if each.tag == "input" else each.tag
            given[each.name] = str(each.get("value") or "")
            if kind not in NOT_TEXT:
                free.append(each.name)
        for button in form.xpath(".//button[@name]"):
            given.setdefault(button.get("name"), button.get("value", ""))
        found.append((form.action or path, given, free))
    return found


def writings(free: list[str]) -> Iterator[dict[str, str]]:
    """A tag in each field by itself, and each of the other texts in all of them."""
    for name in free:
        yield {name: TAG}
    for text in TEXTS if free else ():
        yield dict.fromkeys(free, text)


def hostilities(client: Client, things: dict[str, Any]) -> list[tuple[str, str, list[str], int]]:
    """Whatever broke, or came back as markup: address, form, fields, status."""
    wrong = []
    for address in addresses():
        path = address.path(things)
        page = client.get(path)
        if page.status_code != 200 or not page["Content-Type"].startswith("text/html"):
            continue
        for action, given, free in forms_on(text_of(page), path):
            for written in writings(free):
                with transaction.atomic():
                    answer = client.post(action, {**given, **written}, follow=True)
                    body = text_of(answer)
                    transaction.set_rollback(True)
                if answer.status_code >= 500 or TAG in body or "<img src=x" in body:
                    wrong.append((address.name, action, sorted(written), answer.status_code))
    return wrong


@pytest.mark.parametrize("who", ["alice", Role.ADMINISTRATOR, Role.MEMBER_SERVICES, Role.FINANCE])
def test_hostile_text_is_text_everywhere(who: str, scene: Scene, visit: Visit) -> None:
    user = scene.alice.user if who == "alice" else make_staff("who@example.org", Role(who))
    client = visit(user)
    client.raise_request_exception = False

    assert hostilities(client, things_of(scene)) == []


def test_forms_are_found_with_their_fields() -> None:
    page = (
        "<form method=post action=/x/><input name=a value=1 type=hidden><textarea name=b></textarea>"
        "<button name=do value=go>Go</button></form><form><input name=q></form>"
    )

    assert forms_on(page, "/here/") == [("/x/", {"a": "1", "b": "", "do": "go"}, ["b"])]
