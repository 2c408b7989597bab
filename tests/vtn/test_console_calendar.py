"""The staff page of events by month, week and day, and the same for machines."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT, STARTS_AT, notice_to
from tests.vtn.people import browser
from vtn import event_calendar, sending
from vtn.api_fields import content_shown
from vtn.content import EventContent, SignalContent
from vtn.models import Event, Ven, VenGroup
from vtn.port import VenId, Vtn

pytestmark = pytest.mark.django_db
CALENDAR = "/vtn/events/calendar/"
API = "/api/vtn/v1/events/calendar/"
SPAN = "starts_from=2026-11-24T00:00:00Z&starts_before=2026-11-25T00:00:00Z"
CONTEXT = "http://coop.example/turn-down"


@pytest.fixture(autouse=True)
def _at_noon() -> None:
    clock.configure(AT, speed=0)


@pytest.fixture
def ada(db: None) -> Client:
    """An administrator's browser."""
    return browser("administrator")


def content(starts_at: datetime = STARTS_AT, *, seconds: int = 7200, level: float = 2.0) -> EventContent:
    signals = (SignalContent("SIMPLE", "level", ((seconds, level),)),)
    return EventContent(VenId("x"), CONTEXT, starts_at, seconds, signals)


def make_vens(count: int) -> list[str]:
    names = [f"V{number:03}" for number in range(count)]
    Ven.objects.bulk_create([Ven(ven_id=each, ven_name=each, enrolled_at=AT) for each in names])
    return names


def send(what: EventContent, *ven_ids: str) -> dict[str, str]:
    sent = sending.send_events(content=what, ven_ids=ven_ids, key=uuid4(), at=clock.now(), by="user:1")
    return {ven: str(event_id) for ven, event_id in sent.items()}


def page_of(client: Client, query: str = "") -> str:
    response = client.get(f"{CALENDAR}{query}")
    assert response.status_code == 200, response.content.decode()[:2000]
    return re.sub(r"\s+", " ", response.content.decode())


def link_of(page: str, words: str) -> str:
    """Where the link goes that has these words in it."""
    found = re.search(rf'<a href="([^"]*)">(?:(?!</a>).)*{re.escape(words)}', page)
    assert found is not None, page
    return found[1].replace("&amp;", "&")


@pytest.mark.parametrize("view", ["month", "week", "day"])
def test_a_campaign_is_one_entry_that_leads_to_its_events(view: str, ada: Client) -> None:
    vens = make_vens(40)
    sent = send(content(), *vens)
    send(content(level=1.0), vens[0])  # another thing, said to one of them
    for each in vens[:3]:
        sending.cancel_event(event_id=sent[each], reason="", at=AT, by="user:1")

    page = page_of(ada, f"?view={view}&day=2026-11-24")

    assert page.count("17:00–19:00") == 2
    if view == "day":
        assert '<td class="number" data-label="Events">40</td>' in page
        assert '<td class="number" data-label="Cancelled">3</td>' in page
        listed = ada.get(link_of(page, "17:00–19:00")).content.decode()
    else:
        assert "40 events, 3 cancelled" in page
        listed = ada.get(link_of(page, "SIMPLE level 2")).content.decode()
        assert "Event of 24 Nov 2026" in ada.get(link_of(page, "SIMPLE level 1")).content.decode()
    assert "40 events" in listed
    assert "say the same at the same time" in listed


def test_each_hub_its_own_power_is_one_entry_that_says_so(ada: Client) -> None:
    for number, each in enumerate(make_vens(5)):
        signals = (SignalContent("LOAD_DISPATCH", "setpoint", ((7200, 1000.0 + number),), "w"),)
        send(replace(content(), signals=signals), each)

    page = page_of(ada)

    assert page.count("17:00–19:00") == 1
    assert "5 events, values differ" in page
    listed = ada.get(link_of(page, "LOAD_DISPATCH setpoint")).content.decode()
    assert "5 events" in listed
    assert "whatever they say" in listed


def test_filters_stay_in_every_address(
    ada: Client, vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    VenGroup.objects.create(name="street").vens.add(hub.ven)
    for each in (hub, stranger):
        vtn.publish(notice_to(each.ven_id), key=each.ven_id, at=AT)
    told = "https://coop.example/turn-down"
    kept = f"ven={hub.ven_id}&group=street&market={told}&state=pending"

    page = page_of(ada, f"?view=week&day=2026-11-24&{kept}")

    assert "1 event" in page
    address = re.compile(r'href="(/vtn/events/calendar/\?[^"]*)"')
    links = [each.replace("&amp;", "&") for each in address.findall(page)]
    assert len(links) > 8
    encoded = kept.replace("https://", "https%3A%2F%2F").replace("example/", "example%2F")
    assert [each for each in links if encoded not in each] == []
    assert f'value="{hub.ven_id}"' in page
    assert "<option selected>street</option>" in page
    for other in ("ven=VEN-none", "group=none", "market=x:y", "state=cancelled", "state=draft"):
        assert "Nothing like that in Week 48" in page_of(ada, f"?view=week&day=2026-11-24&{other}")


def test_an_entry_s_list_is_under_the_same_filters(ada: Client) -> None:
    vens = make_vens(4)
    street = VenGroup.objects.create(name="street")
    street.vens.set(Ven.objects.filter(ven_id__in=vens[:2]))
    send(content(), *vens)

    page = page_of(ada, "?group=street")

    assert "2 events" in page
    assert "2 events" in ada.get(link_of(page, "SIMPLE level 2")).content.decode()


def test_the_night_that_the_clocks_go_back_names_both_hours(ada: Client) -> None:
    clock.configure(datetime(2026, 10, 20, 12, tzinfo=UTC), speed=0)
    (ven,) = make_vens(1)
    for hours in (0, 1):  # 01:30 BST, 01:30 GMT
        send(content(datetime(2026, 10, 25, 0 + hours, 30, tzinfo=UTC), seconds=900), ven)

    page = page_of(ada, "?view=week&day=2026-10-25")

    assert "Week 43: 19 to 25 October 2026" in page
    assert "Sunday 25 October has 25 hours" in page
    assert "UK time (BST, then GMT)" in page
    assert page.index("01:30 BST–01:45 BST") < page.index("01:30 GMT–01:45 GMT")
    assert "25 h<" in page_of(ada, "?view=month&day=2026-10-25")


def test_the_night_that_the_clocks_go_forward_has_23_hours(ada: Client) -> None:
    clock.configure(datetime(2027, 3, 22, 12, tzinfo=UTC), speed=0)
    (ven,) = make_vens(1)
    send(content(datetime(2027, 3, 28, 0, 30, tzinfo=UTC), seconds=3600), ven)

    page = page_of(ada, "?view=day&day=2027-03-28")

    assert "Sunday 28 March has 23 hours: the clocks go forward, and there is no 01:00 to 02:00." in page
    assert "00:30–02:30" in page
    assert "a day of 23 hours" in page


def test_what_runs_over_midnight_is_on_both_days(ada: Client) -> None:
    (ven,) = make_vens(1)
    send(content(datetime(2026, 11, 24, 22, tzinfo=UTC), seconds=4 * 3600), ven)
    send(content(datetime(2026, 11, 26, 22, tzinfo=UTC), seconds=2 * 3600), ven)

    page = page_of(ada, "?view=week&day=2026-11-24")

    assert page.count("22:00–Wed 02:00") == 1
    assert page.count("Tue 22:00–02:00") == 1
    assert page.count("22:00–24:00") == 1
    assert "Nothing like" not in page_of(ada, "?view=day&day=2026-11-25")


def test_drafts_and_series_are_told_for_what_they_are(ada: Client, hub: hubs.TestHub) -> None:
    series = hubs.make_series(hub)
    draft_id = uuid4()
    sending.save_draft(
        draft_id=draft_id, content=content_shown(content()), ven_ids=[hub.ven_id], at=AT, by="user:1"
    )

    page = page_of(ada, "?day=2026-11-24")

    assert "Draft for 1 VEN" in page
    assert link_of(page, "SIMPLE level 2") == f"/vtn/events/new/?draft={draft_id}"
    december = page_of(ada, "?day=2026-12-16")
    assert f'href="/vtn/series/{series.series_id}/">Of a series</a>' in december
    assert "Draft for" in page_of(ada, f"?day=2026-11-24&state=draft&ven={hub.ven_id}&market={CONTEXT}")
    for other in ("state=pending", "ven=VEN-none", "market=x:y", "group=none"):
        assert "Draft for" not in page_of(ada, f"?day=2026-11-24&{other}")
    assert "Draft for" not in page_of(browser("auditor"), "?day=2026-11-24")


def test_a_cell_that_is_full_leads_to_its_day(ada: Client) -> None:
    (ven,) = make_vens(1)
    for minutes in range(60):
        send(content(STARTS_AT + timedelta(minutes=minutes), seconds=60), ven)

    page = page_of(ada)

    assert page.count('class="time"') == 4
    assert 'aria-label="and 56 more on Tuesday 24 November">and 56 more</a>' in page
    day = page_of(ada, "?view=day&day=2026-11-24")
    assert "60 entries" in day
    assert "Page 1 of 2" in day
    assert "17:59" in page_of(ada, "?view=day&day=2026-11-24&page=2")


def test_an_empty_month_says_where_there_is_something(ada: Client) -> None:
    assert "No event was ever sent. Send one by hand" in page_of(ada)
    assert "No event was ever sent. Once one is" in page_of(browser("auditor"))
    (ven,) = make_vens(1)
    send(content(), ven)

    before, after = page_of(ada, "?day=2026-09-01"), page_of(ada, "?day=2027-02-01")

    for page in (before, after):
        assert "?view=month&amp;day=2026-11-24" in page
    assert "The next after:" in before
    assert "The latest before:" in after


@pytest.mark.parametrize("day", ["", "x", "2026-13-01", "0001-01-01", "9999-12-31", "20261124", "%C3%A9"])
@pytest.mark.parametrize("view", ["month", "week", "day", "year"])
def test_a_day_that_is_none_is_the_nearest_or_today(view: str, day: str, ada: Client) -> None:
    assert "No event in" in page_of(ada, f"?view={view}&day={day}&state=none")


def test_hostile_names_are_written_out(ada: Client) -> None:
    assert "<b>x" not in page_of(ada, "?ven=<b>x&group=<b>x&market=<b>x")


def test_a_long_list_of_entries_is_cut_and_says_so(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_calendar, "MOST_ENTRIES", 2)
    (ven,) = make_vens(1)
    for hours in range(4):
        send(content(STARTS_AT + timedelta(hours=hours), seconds=60), ven)

    assert "Only the first 2 are shown" in page_of(ada)
    refused = ada.get(f"{API}?{SPAN}")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["fix"] == "more than 2 entries: ask for a shorter span"


def test_three_hundred_cost_what_three_do(ada: Client) -> None:
    vens = make_vens(300)

    def asked(url: str) -> int:
        ada.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert ada.get(url).status_code == 200
        return len(queries)

    send(content(), *vens[:3])
    few = [asked(url) for url in (CALENDAR, f"{CALENDAR}?view=week", f"{API}?{SPAN}")]
    send(content(), *vens)
    for number in range(30):
        send(content(STARTS_AT + timedelta(hours=number)), *vens[:2])

    assert [asked(url) for url in (CALENDAR, f"{CALENDAR}?view=week", f"{API}?{SPAN}")] == few


def test_a_stranger_sees_neither(hub: hubs.TestHub) -> None:
    assert Client().get(CALENDAR)["Location"].startswith("/accounts/login/")
    assert Client().get(f"{API}?{SPAN}").status_code == 401
    nobody = browser()
    assert nobody.get(CALENDAR).status_code == 403
    assert nobody.get(f"{API}?{SPAN}").status_code == 403


# ---- for machines


def test_an_application_reads_entries_and_the_events_of_one(ada: Client) -> None:
    vens = make_vens(6)
    sent = send(content(), *vens)
    sending.cancel_event(event_id=sent[vens[0]], reason="", at=AT, by="user:1")

    body = ada.get(f"{API}?{SPAN}").json()

    (entry,) = body["results"]
    assert body["count"] == 1
    first = entry.pop("event_id")
    assert entry == {
        "starts_at": "2026-11-24T17:00:00Z",
        "duration_seconds": 7200,
        "market_context": CONTEXT,
        "is_test": False,
        "state": "pending",
        "events": 6,
        "cancelled": 1,
        "delivered": 0,
        "acknowledged": 0,
        "contents": 1,
        "signals": [
            {
                "name": "SIMPLE",
                "type": "level",
                "unit": "",
                "device_classes": [],
                "intervals": [{"duration_seconds": 7200, "value": 2.0}],
            }
        ],
    }
    listed = ada.get(f"/api/vtn/v1/events/?like={first}").json()
    assert listed["count"] == 6
    Event.objects.filter(event_id=first).update(content_digest="other")
    assert ada.get(f"/api/vtn/v1/events/?like={first}").json()["count"] == 1
    assert ada.get(f"/api/vtn/v1/events/?like={first}&any_content=true").json()["count"] == 6
    assert ada.get("/api/vtn/v1/events/?like=none").json()["count"] == 0
    assert ada.get(f"{API}?{SPAN}&ven_id={vens[1]}").json()["results"][0]["events"] == 1


def test_entries_come_a_page_at_a_time(ada: Client) -> None:
    (ven,) = make_vens(1)
    for hours in range(5):
        send(content(STARTS_AT + timedelta(hours=hours), seconds=60), ven)

    first = ada.get(f"{API}?{SPAN}&page_size=2").json()

    assert (first["count"], len(first["results"])) == (5, 2)
    assert len(ada.get(first["next"]).json()["results"]) == 2


@pytest.mark.parametrize(
    ("query", "field", "value", "fix"),
    [
        ("", "starts_from", None, "write a time with its offset"),
        ("starts_from=x&starts_before=2026-11-25T00:00:00Z", "starts_from", "x", "write the offset"),
        ("starts_from=2026-11-24T00:00:00&starts_before=x", "starts_from", "2026-11-24T00:00:00", "offset"),
        ("starts_from=2026-11-24T00:00:00Z", "starts_before", None, "such as 2026-"),
        (
            "starts_from=2026-11-24T00:00:00Z&starts_before=2026-11-24T00:00:00Z",
            "starts_before",
            "2026-11-24T00:00:00Z",
            "after starts_from",
        ),
        (
            "starts_from=2026-11-24T00:00:00Z&starts_before=2027-11-24T00:00:00Z",
            "starts_before",
            "2027-11-24T00:00:00Z",
            "more than 62 days after",
        ),
        (
            "starts_from=1900-01-01T00:00:00Z&starts_before=1900-01-02T00:00:00Z",
            "starts_from",
            "1900-01-01T00:00:00Z",
            "such as",
        ),
        (f"{SPAN}&state=far", "state", "far", "write one of pending"),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_a_fix(
    query: str, field: str, value: Any, fix: str, ada: Client
) -> None:
    response = ada.get(f"{API}?{query}")

    assert response.status_code == 422
    (error, *_) = response.json()["errors"]
    assert (error["field"], error["value"]) == (field, value)
    assert fix in error["fix"]
