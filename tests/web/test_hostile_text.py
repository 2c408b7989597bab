"""Hostile text in every field there is: the forms are found on the pages, the pages by the URL map.

Each form is sent with the text in all that somebody types into, then with what is likely to be taken, then
with what is wrong in every field; each time the answer and what it leads to are read. And all that is stored
as free text is made hostile at once, and every page and export is read as those who may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import pytest
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve
from hypothesis import given
from hypothesis import strategies as st

from members.models import Role, User
from opendsr.kernel.spreadsheets import inert
from tests.factories import make_staff
from tests.web import hostile
from tests.web.scene import Scene
from tests.web.test_strangers import text_of
from tests.web.things import things_of
from tests.web.url_map import addresses

pytestmark = pytest.mark.slow
Visit = Callable[[User | None], Client]
LEAVES = {"admin:logout", "account_logout", "sending_action"}
ROLES = (
    Role.ADMINISTRATOR,
    Role.DISPATCHER,
    Role.DEVICE_MANAGER,
    Role.MEMBER_SERVICES,
    Role.FINANCE,
    Role.INSTALLER,
)


@pytest.fixture
def people(scene: Scene) -> dict[str, User | None]:
    """A member, nobody, and one of each trade."""
    staff = {role.value: make_staff(f"{role.value}@example.org", role) for role in ROLES}
    return {"anonymous": None, "member": scene.alice.user, **staff}


def pages_of(client: Client, things: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Every address that answers this person with something to read: its name, its path, the answer."""
    client.raise_request_exception = False
    for address in addresses():
        if address.name in LEAVES:
            continue
        path = address.path(things)
        with taken_back(client):
            answer = client.get(path)
        if answer.status_code == 200 or answer.status_code >= 500:
            yield address.name, path, answer


@contextmanager
def taken_back(client: Client) -> Iterator[None]:
    """Whatever is done inside is undone, the browser's cookies as well."""
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    client.cookies.load(cookies)


def name_of(path: str) -> str:
    """The name of the address a form goes to."""
    try:
        return resolve(path.partition("?")[0]).view_name
    except Resolver404:
        return path


class Sending:
    """Sends forms as one person and keeps what went wrong; whatever was changed is taken back."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.wrong: set[str] = set()
        self.shown = 0
        self.taken: Counter[str] = Counter()

    def send(self, form: hostile.Form, path: str, *, page: str) -> None:
        """A form in every way: all hostile, likely to be taken, long, and wrong."""
        url = urljoin(path, form.action)
        answer = self._press(form, url, form.hostile(), page=page)
        refused = hostile.refused_fields(text_of(answer)) if is_page(answer) else frozenset(form.typed)
        self._press(form, url, form.likely(refused), page=page)
        self._press(form, url, form.hostile("\0"), page=page)
        for data in form.wrong():
            self._press(form, url, data, page=page)

    def _press(self, form: hostile.Form, url: str, data: dict[str, Any], *, page: str) -> Any:
        with taken_back(self.client):
            ask = self.client.post if form.method == "POST" else self.client.get
            answer = ask(url, data)
            self._look(url, answer)
            if answer.status_code == 302 and not answer["Location"].startswith(("http://", "https://")):
                self.taken[name_of(url)] += 1
                self._look(url, self.client.get(answer["Location"]))
                self._look(url, self.client.get(page))
        return answer

    def _look(self, url: str, answer: Any) -> None:
        name = name_of(url)
        if answer.status_code >= 500:
            self.wrong.add(f"{name}: {fault_in(answer)}")
            return
        body = text_of(answer).encode()
        self.shown += hostile.MARK.encode() in body
        self.wrong |= {f"{name}: {fault}" for fault in hostile.faults_of(answer, body)}


def fault_in(answer: Any) -> str:
    """What broke behind an answer of 500."""
    kind, error, _where = getattr(answer, "exc_info", None) or (None, "", None)
    return f"{answer.status_code} {getattr(kind, '__name__', '')} {error}"[:300]


def is_page(answer: Any) -> bool:
    return bool(
        answer.status_code < 500 and answer.get("Content-Type", "").startswith("text/html") and answer.content
    )


@pytest.mark.parametrize(
    "who", [("anonymous", "member", "installer", "finance"), ("administrator", "dispatcher"),
            ("device_manager", "member_services")]
)  # fmt: skip
def test_every_form_takes_hostile_text_as_text_or_says_what_is_wrong(
    who: tuple[str, ...], scene: Scene, people: dict[str, User | None], visit: Visit
) -> None:
    things = things_of(scene)
    known: set[tuple[str, tuple[str, ...]]] = set()
    wrong: set[str] = set()
    shown, taken = 0, Counter[str]()
    for each in who:
        client = visit(people[each])
        sending = Sending(client)
        for name, path, answer in pages_of(client, things):
            if answer.status_code >= 500:
                wrong.add(f"{name}: {fault_in(answer)}")
                continue
            if not is_page(answer):
                continue
            for form in hostile.forms_of(answer.content.decode(), path):
                key = (name_of(urljoin(path, form.action)), form.fields)
                if form.fields and key not in known and key[0] not in LEAVES:
                    known.add(key)
                    sending.send(form, path, page=path)
        wrong |= sending.wrong
        shown += sending.shown
        taken += sending.taken

    assert "\n".join(sorted(wrong)) == ""
    assert len(known) > 20
    assert shown > 20, "the text has to come back, or this test looks at nothing"
    assert len(taken) > 10, "forms have to take what is likely"


def test_hostile_text_that_is_stored_is_shown_as_text(
    scene: Scene, people: dict[str, User | None], visit: Visit
) -> None:
    things = things_of(scene)
    taken, _ = hostile.poison_every_text()
    assert {"members.Member.full_name", "members.Home.name", "campaigns.Campaign.name"} <= taken
    wrong, shown = [], Counter[str]()
    for who in ("member", "administrator"):
        for name, _path, answer in pages_of(visit(people[who]), things):
            if answer.status_code >= 500:
                wrong.append((who, name, fault_in(answer)))
                continue
            body = answer.getvalue()
            shown[answer.get("Content-Type", "").partition(";")[0]] += hostile.MARK.encode() in body
            wrong += [(who, name, fault) for fault in hostile.faults_of(answer, body)]

    assert wrong == []
    assert shown["text/html"] > 60
    assert shown["text/csv"] > 3


@given(st.text())
def test_no_text_starts_a_formula_once_it_is_inert(text: str) -> None:
    assert not inert(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert inert(text).endswith(text)
