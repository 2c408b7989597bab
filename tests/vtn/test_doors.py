"""Every address of the staff pages, by everybody: the table of rights decides, and nothing else does."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, reverse

from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT, notice_to
from tests.vtn.people import BACKEND, make_user
from vtn import console, policy, urls
from vtn.models import (
    ApiToken,
    Event,
    EventDraft,
    EventSeries,
    MarketContext,
    MessageLog,
    PromptRun,
    QueuedMessage,
    Ven,
    VenCertificate,
    VenGroup,
)
from vtn.policy import Deed
from vtn.port import Vtn

pytestmark = pytest.mark.django_db
ROLES = ("", *sorted(frozenset().union(*policy.RIGHTS.values())), "finance")
EXAMPLES = {
    "ven_id": "VEN",
    "event_id": "E",
    "message_id": 1,
    "token_id": 1,
    "run_id": uuid4(),
    "name": "far",
    "verb": "reregister",
    "report_request_id": "RR-1",
    "group": "bench",
    "draft_id": uuid4(),
    "context_id": 1,
    "series_id": uuid4(),
    "day": "2026-12-16",
}
PATTERNS = [each for each in urls.urlpatterns if isinstance(each, URLPattern)]


@pytest.fixture
def made(vtn: Vtn, hub: hubs.TestHub) -> dict[str, Any]:
    """Something for each address to be about."""
    clock.configure(AT, speed=0)
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    entry = MessageLog.objects.create(
        at=AT, recorded_wall_at=AT, ven=hub.ven, service="EiEvent", code="452", http_status=200
    )
    token = ApiToken.objects.create(
        name="x", prefix="p", digest="0" * 64, deeds=["see"], created_by="x", created_wall_at=AT
    )
    draft = EventDraft.objects.create(
        draft_id=uuid4(), ven_ids=[hub.ven_id], content={}, created_at=AT, created_by="user:1"
    )
    run = PromptRun.objects.create(
        run_id=uuid4(), ven=hub.ven, prompt="far", at=AT, started_wall_at=AT, by="user:1"
    )
    return {
        "ven_id": hub.ven_id,
        "event_id": event_id,
        "message_id": entry.pk,
        "token_id": token.pk,
        "run_id": run.run_id,
        "name": "far",
        "verb": "reregister",
        "report_request_id": "RR-1",
        "group": VenGroup.objects.create(name="bench").name,
        "draft_id": draft.draft_id,
        "series_id": hubs.make_series(hub).series_id,
        "day": "2026-12-16",
        "context_id": MarketContext.objects.create(uri="http://coop.example/a", name="A").pk,
    }


def address(pattern: URLPattern, made: dict[str, Any]) -> str:
    wanted = pattern.pattern.converters  # type: ignore[union-attr]
    return reverse(f"vtn:{pattern.name}", kwargs={name: made[name] for name in wanted})


@cache
def methods_of(pattern: URLPattern) -> tuple[str, ...]:
    """The methods that the address answers, by asking it as nobody: 405 comes before the door."""
    url = reverse(f"vtn:{pattern.name}", kwargs={name: EXAMPLES[name] for name in _names(pattern)})
    return tuple(each for each in ("get", "post") if getattr(Client(), each)(url).status_code != 405)


def _names(pattern: URLPattern) -> list[str]:
    return list(pattern.pattern.converters)  # type: ignore[union-attr]


def needed(pattern: URLPattern, method: str) -> Deed:
    view: Any = pattern.callback
    if pattern.name == "ven_action":
        return console.ACTIONS["reregister"][0]
    return Deed(view.deed if method == "get" else view.post_deed)


def state() -> tuple[object, ...]:
    return (
        list(Ven.objects.order_by("pk").values()),
        list(Event.objects.order_by("pk").values()),
        list(VenCertificate.objects.order_by("pk").values()),
        list(ApiToken.objects.order_by("pk").values()),
        QueuedMessage.objects.count(),
        PromptRun.objects.count(),
        list(VenGroup.objects.order_by("pk").values()),
        EventDraft.objects.count(),
        list(EventSeries.objects.values()),
        list(MarketContext.objects.values()),
    )


@pytest.mark.parametrize("role", ROLES)
def test_each_address_opens_to_those_in_the_table(role: str, made: dict[str, Any]) -> None:
    client = Client()
    client.force_login(make_user(*filter(None, [role])), backend=BACKEND)
    rights = policy.rights()
    doors = [(pattern, method) for pattern in PATTERNS for method in methods_of(pattern)]
    wrong = []
    before = state()
    for pattern, method in sorted(doors, key=lambda each: role in rights[needed(*each)]):  # shut ones first
        response = getattr(client, method)(address(pattern, made))
        may = role in rights[needed(pattern, method)]
        if (response.status_code == 403) == may or response.status_code >= 500:
            wrong.append((pattern.name, method, response.status_code))
        if not may and method == "post" and state() != before:
            wrong.append((pattern.name, method, "changed something"))
        if not may and role == "" and str(made["ven_id"]) in response.content.decode():
            wrong.append((pattern.name, method, "told something"))

    assert wrong == []


def test_nobody_is_sent_to_sign_in_and_changes_nothing(made: dict[str, Any]) -> None:
    client, before = Client(), state()
    for pattern in PATTERNS:
        for method in ("get", "post"):
            response = getattr(client, method)(address(pattern, made))
            if response.status_code != 405:
                assert response.status_code == 302, pattern.name
                assert response["Location"].startswith(_sign_in()), pattern.name

    assert state() == before


def test_pages_stay_out_of_caches_and_refuse_other_methods(made: dict[str, Any]) -> None:
    client = Client()
    client.force_login(make_user("administrator"), backend=BACKEND)
    for pattern in PATTERNS:
        url = address(pattern, made)
        response = client.get(url)
        if response.status_code != 405:
            assert "no-store" in response["Cache-Control"], pattern.name
        for method in ("put", "patch", "delete"):
            assert getattr(client, method)(url).status_code == 405, pattern.name


def test_a_form_from_elsewhere_does_nothing(made: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("administrator"), backend=BACKEND)
    before = state()
    for pattern in PATTERNS:
        response = client.post(address(pattern, made))
        assert response.status_code in (403, 405), pattern.name

    assert state() == before


@pytest.mark.parametrize("user", ["superuser", "inactive"])
def test_a_superuser_may_all_and_an_inactive_account_nothing(user: str) -> None:
    account = make_user("administrator")
    account.is_superuser, account.is_active = user == "superuser", user != "inactive"

    assert policy.principal_of(account).deeds == (frozenset(Deed) if user == "superuser" else frozenset())


def test_the_house_may_replace_rows_of_the_table(settings: Any) -> None:
    settings.VTN_RIGHTS = {"see": ["auditor"]}

    assert policy.rights()[Deed.SEE] == {"auditor"}
    assert policy.rights()[Deed.MANAGE_VENS] == policy.RIGHTS[Deed.MANAGE_VENS]


@pytest.mark.parametrize("verb", console.ACTIONS)
def test_each_deed_to_a_ven_asks_for_its_own_right(verb: str, made: dict[str, Any]) -> None:
    deed = console.ACTIONS[verb][0]
    outsider = next(role for role in policy.RIGHTS[Deed.SEE] if role not in policy.RIGHTS[deed])
    client = Client()
    client.force_login(make_user(outsider), backend=BACKEND)
    before = state()

    response = client.post(reverse("vtn:ven_action", args=[made["ven_id"], verb]), {"reason": "x"})

    assert response.status_code == 403
    assert state() == before


def _sign_in() -> str:
    from django.shortcuts import resolve_url

    return str(resolve_url(settings.LOGIN_URL))
