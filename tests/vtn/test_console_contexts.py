"""The staff pages and the API on market contexts: named, chosen, changed, forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import AuditEntry
from tests.vtn import hubs
from tests.vtn.hubs import AT, STARTS_AT, notice_to
from tests.vtn.people import browser
from vtn import contexts
from vtn.models import MarketContext
from vtn.port import Vtn

pytestmark = pytest.mark.django_db
CONTEXTS = "/vtn/market-contexts/"
URI = "http://coop.example/evening-peak"
API = "/api/vtn/v1/market-contexts/"


@pytest.fixture
def dee(db: None) -> Client:
    """A device manager's browser."""
    clock.configure(AT, speed=0)
    return browser("device_manager")


def house() -> Mapping[str, str]:
    """What a house says that it runs."""
    return {URI: "Evening peak programme"}


def test_a_context_is_named_changed_and_forgotten_on_the_record(dee: Client) -> None:
    assert "No market context yet" in dee.get(CONTEXTS).content.decode()

    dee.post(CONTEXTS, {"market_context": URI, "name": "Peak", "description": "Weekday evenings"})

    page = dee.get(CONTEXTS).content.decode()
    assert all(each in page for each in (URI, ">Peak</a>", "Weekday evenings"))
    row = MarketContext.objects.get()
    assert URI in dee.get(f"{CONTEXTS}{row.pk}/").content.decode()
    moved = dee.post(f"{CONTEXTS}{row.pk}/", {"market_context": f"{URI}-2", "name": "Evening"})
    assert moved["Location"] == f"{CONTEXTS}{row.pk}/"
    assert list(MarketContext.objects.values_list("uri", "name", "description")) == [
        (f"{URI}-2", "Evening", "")
    ]
    assert dee.post(f"{CONTEXTS}{row.pk}/forget/")["Location"] == CONTEXTS
    assert not MarketContext.objects.exists()
    entries = AuditEntry.objects.filter(verb__startswith="vtn.market_context").order_by("pk")
    assert list(entries.values_list("verb", "detail__uri")) == [
        ("vtn.market_context.saved", URI),
        ("vtn.market_context.saved", f"{URI}-2"),
        ("vtn.market_context.forgotten", f"{URI}-2"),
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"market_context": ""}, "URI: This field is required"),
        (
            {"market_context": "evening peak"},
            "evening peak&#x27; is no URI: write a scheme, a colon and a name",
        ),
        ({"market_context": "peak"}, "peak&#x27; is no URI"),
        ({"market_context": "http://x/\x07"}, "is no URI"),
        ({"market_context": "http://x/<b>"}, "is no URI"),
        ({"market_context": "http://x/" + "y" * 200}, "URI: Ensure this value has at most 200"),
        ({"market_context": "http://coop.example/there"}, "has a name already: change that one"),
        ({"name": ""}, "Name: This field is required"),
        ({"name": "n" * 81}, "Name: Ensure this value has at most 80"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    fields: dict[str, str], words: str, dee: Client
) -> None:
    MarketContext.objects.create(uri="http://coop.example/there", name="There")
    here = MarketContext.objects.create(uri="http://coop.example/here", name="Here")

    for url in (CONTEXTS, f"{CONTEXTS}{here.pk}/"):
        response = dee.post(url, {"market_context": URI, "name": "New", "description": "keep me"} | fields)
        assert response.status_code == 422
        assert words in response.content.decode()
        assert "keep me" in response.content.decode()

    assert sorted(MarketContext.objects.values_list("name", flat=True)) == ["Here", "There"]


def test_those_in_use_are_listed_with_their_programme_and_events(
    dee: Client, vtn: Vtn, hub: hubs.TestHub, settings: Any
) -> None:
    settings.VTN_MARKET_CONTEXTS = "tests.vtn.test_console_contexts.house"
    old = Interval(AT - timedelta(days=40), AT - timedelta(days=40) + timedelta(hours=2))
    vtn.publish(notice_to(hub.ven_id, market_context="x-old:one", interval=old), key="o", at=old.starts_at)
    vtn.publish(notice_to(hub.ven_id, market_context="x:a&b c"), key="a", at=AT)
    vtn.publish(notice_to(hub.ven_id, market_context="x:a&b c"), key="b", at=AT)
    contexts.save_context(market_context="x-old:one", name="Old", description="", at=AT, by="user:1")

    found = contexts.every_context(at=AT)
    assert [(each.uri, each.name, each.programme, each.events, each.latest_starts_at) for each in found] == [
        ("x-old:one", "Old", "", 0, None),
        (URI, "", "Evening peak programme", 0, None),
        ("x:a&b c", "", "", 2, STARTS_AT),
    ]
    page = dee.get(CONTEXTS).content.decode()
    assert "Evening peak programme" in page
    assert 'href="/vtn/events/?market=x%3Aa%26b%20c">2</a>' in page
    assert "x:a&amp;b c" in dee.get(f"{CONTEXTS}?uri=x%3Aa%26b%20c").content.decode()
    events = dee.get("/vtn/events/?market=x%3Aa%26b%20c").content.decode()
    assert "2 events" in events
    assert '<option value="x:a&amp;b c" selected>' in events


def test_a_known_context_is_offered_when_an_event_is_written_and_told_on_its_page(
    vtn: Vtn, hub: hubs.TestHub
) -> None:
    clock.configure(AT, speed=0)
    contexts.save_context(market_context=URI, name="Peak", description="", at=AT, by="user:1")
    event_id = vtn.publish(notice_to(hub.ven_id, market_context=URI), key="k", at=AT)
    ada = browser("administrator")

    form = ada.get("/vtn/events/new/").content.decode()
    assert 'list="known-contexts"' in form
    assert f'<option value="{URI}">Peak</option>' in form
    assert f"Peak: <code>{URI}</code>" in ada.get(f"/vtn/events/{event_id}/").content.decode()


def test_a_context_nobody_named_is_not_found(dee: Client) -> None:
    assert dee.get(f"{CONTEXTS}7/").status_code == 404
    assert dee.post(f"{CONTEXTS}7/", {"market_context": URI, "name": "x"}).status_code == 404
    assert dee.post(f"{CONTEXTS}7/forget/").status_code == 404


def test_who_may_only_look_sees_no_form(dee: Client) -> None:
    row = MarketContext.objects.create(uri=URI, name="Peak")
    reader = browser("auditor")

    for url in (CONTEXTS, f"{CONTEXTS}{row.pk}/"):
        assert "<textarea" not in reader.get(url).content.decode()
        assert 'method="post" action="/vtn/market-contexts/' not in reader.get(url).content.decode()
        assert reader.post(url, {"market_context": "x:y", "name": "n"}).status_code == 403


def test_an_application_names_renames_and_forgets(dee: Client) -> None:
    def ask(method: str, url: str, body: object = None, *, status: int) -> Any:
        response = getattr(dee, method)(url, json.dumps(body), content_type="application/json")
        assert response.status_code == status, response.content
        return response.json() if response.content else None

    made = ask("post", API, {"market_context": URI, "name": "Peak"}, status=201)
    assert (made["market_context"], made["name"], made["events"]) == (URI, "Peak", 0)
    one = f"{API}{made['id']}/"
    assert dee.get(API).json()["results"] == [made]
    ask("put", one, {"market_context": URI, "name": "Evening", "description": "5 to 7"}, status=200)
    assert dee.get(one).json()["description"] == "5 to 7"
    again = ask("post", API, {"market_context": URI, "name": "Other"}, status=409)
    assert again["errors"][0]["field"] == "market_context"
    wrong = ask("post", API, {"market_context": "two words", "name": "x"}, status=422)
    assert wrong["errors"][0]["field"] == "market_context"
    assert wrong["errors"][0]["value"] == "two words"
    assert "such as http" in wrong["errors"][0]["fix"]
    ask("delete", one, status=204)
    assert dee.get(one).status_code == 404
    assert dee.delete(one, content_type="application/json").status_code == 404
