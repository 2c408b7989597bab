"""Every address of the management API by every role and token: the table of rights decides."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT, notice_to
from tests.vtn.people import BACKEND, make_user
from vtn import api_urls, policy, tokens
from vtn.models import (
    Event,
    EventDraft,
    EventSeries,
    MarketContext,
    QueuedMessage,
    Ven,
    VenCertificate,
    VenGroup,
)
from vtn.policy import Deed
from vtn.port import Vtn

pytestmark = pytest.mark.django_db
ROLES = ("", *sorted(frozenset().union(*policy.RIGHTS.values())), "finance")
PATTERNS = [each for each in api_urls.urlpatterns if isinstance(each, URLPattern) and each.name != "docs"]
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def made(vtn: Vtn, hub: hubs.TestHub) -> dict[str, Any]:
    clock.configure(AT, speed=0)
    draft = EventDraft.objects.create(
        draft_id=uuid4(), ven_ids=[hub.ven_id], content={}, created_at=AT, created_by="user:1"
    )
    series = hubs.make_series(hub)
    VenGroup.objects.create(name="bench")
    return {
        "ven_id": hub.ven_id,
        "event_id": vtn.publish(notice_to(hub.ven_id), key="k", at=AT),
        "draft_id": draft.draft_id,
        "series_id": series.series_id,
        "day": "2026-12-16",
        "name": "bench",
        "fingerprint": hub.fingerprint,
        "report_request_id": "RR-1",
        "subject": "HUB-9",
        "queued_id": 1,
        "context_id": MarketContext.objects.create(uri="http://coop.example/a", name="A").pk,
    }


def address(pattern: URLPattern, made: dict[str, Any]) -> str:
    wanted = pattern.pattern.converters  # type: ignore[union-attr]
    return reverse(f"vtn_api:{pattern.name}", kwargs={name: made[name] for name in wanted})


def deeds_of(pattern: URLPattern) -> dict[str, Deed]:
    view: Any = pattern.callback
    return {method.lower(): deed for method, deed in view.view_class.deeds.items()}


def state() -> tuple[object, ...]:
    return (
        list(Ven.objects.order_by("pk").values()),
        list(Event.objects.order_by("pk").values()),
        list(VenCertificate.objects.order_by("pk").values()),
        list(VenGroup.objects.order_by("pk").values()),
        EventDraft.objects.count(),
        list(EventSeries.objects.values()),
        list(MarketContext.objects.values()),
        QueuedMessage.objects.count(),
    )


def wrongs(client: Client, made: dict[str, Any], allowed: frozenset[Deed], **extra: Any) -> list[object]:
    """Whatever opened that should not, or the other way round; those shut first, for they change nothing."""
    doors = [(pattern, method, deed) for pattern in PATTERNS for method, deed in deeds_of(pattern).items()]
    found: list[object] = []
    before = state()
    for pattern, method, deed in sorted(doors, key=lambda each: each[2] in allowed):
        response = send(client, method, address(pattern, made), **extra)
        status, may = response.status_code, deed in allowed
        if (status in (401, 403)) == may or status >= 500:
            found.append((pattern.name, method, status))
        if status >= 400 and response["Content-Type"] != "application/problem+json":
            found.append((pattern.name, method, response["Content-Type"]))
        if may:
            continue
        told = response.content.decode()
        if made["event_id"] in told or "CERTIFICATE" in told:
            found.append((pattern.name, method, "told something"))
        if method != "get" and state() != before:
            found.append((pattern.name, method, "changed something"))
    return found


def send(client: Client, method: str, url: str, **extra: Any) -> Any:
    data = None if method == "get" else "{}"
    return getattr(client, method)(url, data=data, content_type="application/json", **extra)


def test_other_methods_are_405(made: dict[str, Any]) -> None:
    client = Client()
    client.force_login(make_user("administrator"), backend=BACKEND)
    for pattern in PATTERNS:
        for method in set(METHODS) - deeds_of(pattern).keys():
            response = send(client, method, address(pattern, made))
            assert response.status_code == 405, (pattern.name, method)
            assert response["Allow"]


@pytest.mark.parametrize("role", ROLES)
def test_each_address_opens_to_the_roles_in_the_table(role: str, made: dict[str, Any]) -> None:
    client = Client()
    client.force_login(make_user(*filter(None, [role])), backend=BACKEND)
    allowed = frozenset(deed for deed, roles in policy.rights().items() if role in roles)

    assert wrongs(client, made, allowed) == []


@pytest.mark.parametrize("deed", policy.GRANTABLE)
def test_a_token_opens_what_it_lists_and_nothing_else(deed: Deed, made: dict[str, Any]) -> None:
    wall = clock.wall_now()
    token = tokens.create_token(name="x", deeds=[deed.value], days=1, at=AT, wall=wall, by="user:1")

    found = wrongs(Client(), made, frozenset({deed}), headers={"Authorization": f"Bearer {token.secret}"})

    assert found == []


def test_nobody_is_asked_who_they_are(made: dict[str, Any]) -> None:
    client, before = Client(), state()
    for pattern in PATTERNS:
        for method in deeds_of(pattern):
            response = getattr(client, method)(address(pattern, made))
            assert response.status_code == 401, (pattern.name, method)
            assert response["WWW-Authenticate"] == 'Bearer realm="vtn"'
            assert response["Content-Type"] == "application/problem+json"
    assert state() == before
    assert client.get(reverse("vtn_api:docs")).status_code == 302


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer a b", "Bearer vtn_00000000_x", "Bearer \u20ac", "Bearer " + "x" * 500, "Bearer vtn__"],
)
def test_a_bad_token_is_nobody(header: str, made: dict[str, Any]) -> None:
    response = Client().get("/api/vtn/v1/vens/", headers={"Authorization": header.encode().decode("latin-1")})

    assert response.status_code == 401
    assert response.json()["code"] == "authentication_failed"


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_token_that_ended_opens_nothing(end: str, made: dict[str, Any]) -> None:
    wall = clock.wall_now()
    token = tokens.create_token(name="x", deeds=["see"], days=1, at=AT, wall=wall, by="user:1")
    headers = {"Authorization": f"Bearer {token.secret}"}
    assert Client().get("/api/vtn/v1/vens/", headers=headers).status_code == 200
    if end == "revoked":
        tokens.revoke_token(token_id=token.row.pk, at=AT, wall=wall, by="user:1")
    else:
        type(token.row).objects.update(expires_wall_at=wall)

    assert Client().get("/api/vtn/v1/vens/", headers=headers).status_code == 401


def test_a_token_never_outdoes_the_role_of_applications(made: dict[str, Any], settings: Any) -> None:
    token = tokens.create_token(
        name="x", deeds=["see", "manage_events"], days=1, at=AT, wall=clock.wall_now(), by="user:1"
    )
    settings.VTN_RIGHTS = {"manage_events": ["dispatcher"]}
    headers = {"Authorization": f"Bearer {token.secret}"}

    assert Client().post("/api/vtn/v1/events/", {}, "application/json", headers=headers).status_code == 403


def test_a_session_without_the_form_s_token_changes_nothing(made: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("administrator"), backend=BACKEND)
    before = state()

    response = client.post(f"/api/vtn/v1/vens/{made['ven_id']}/clean-registration/")

    assert response.status_code == 403
    assert state() == before
