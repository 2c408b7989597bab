"""The staff pages on events: found, read, written by hand, sent once, cancelled; and the prompts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from oadr import codec
from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.racing import at_once
from tests.vtn import hubs
from tests.vtn.hubs import AT, STARTS_AT, notice_to, only_event
from tests.vtn.people import BACKEND, browser, make_user
from vtn import prompting
from vtn.content import EventContent, SignalContent
from vtn.event_form import ContentForm, initial_of
from vtn.models import ApiToken, Event, EventDraft, PromptRun, QueuedMessage, VenGroup
from vtn.port import VenId, Vtn

pytestmark = pytest.mark.django_db
COMPOSE = "/vtn/events/new/"


@pytest.fixture(autouse=True)
def _at_noon() -> None:
    clock.configure(AT, speed=0)


@pytest.fixture
def ada(db: None) -> Client:
    """An administrator's browser."""
    return browser("administrator")


def written(hub: hubs.TestHub, **changes: Any) -> dict[str, Any]:
    fields = {
        "key": str(uuid4()),
        "ven_ids": hub.ven_id,
        "market_context": "http://coop.example/hand",
        "starts_at": "2026-11-24T17:00",
        "signal": "SIMPLE",
        "signal_type": "level",
        "unit": "",
        "intervals": "30:2, 30:1",
        "notification_minutes": "0",
        "ramp_up_minutes": "0",
        "recovery_minutes": "0",
        "start_tolerance_minutes": "0",
        "priority": "0",
        "comment": "",
        "response_required": "on",
        "test": "on",
    }
    return fields | changes


def page_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, response.content.decode()[:2000]
    return response.content.decode()


# ---- events


def test_no_event_yet(ada: Client) -> None:
    assert "No event yet." in page_of(ada, "/vtn/events/")


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("", True),
        ("state=pending", True),
        ("state=undelivered", True),
        ("state=active", False),
        ("state=completed", False),
        ("state=cancelled", False),
        ("state=unanswered", False),
        ("q=the-key", True),
        ("q=other", False),
        ("market=https://coop.example/turn-down", True),
        ("market=https://coop.example/other", False),
        ("ven=VEN-none", False),
    ],
)
def test_events_are_found(query: str, is_found: bool, ada: Client, vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="the-key", at=AT)

    assert ("SIMPLE level" in page_of(ada, f"/vtn/events/?{query}")) == is_found


def test_an_event_s_page_tells_its_life(ada: Client, vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(
        notice_to(hub.ven_id, ramp_up_seconds=600, start_tolerance_seconds=300, notification_seconds=3600),
        key="k",
        at=AT,
    )
    event = only_event(hub.polls(at=AT + timedelta(minutes=1)))
    hub.answers(event, "optIn", at=AT + timedelta(minutes=2))
    clock.configure(STARTS_AT + timedelta(minutes=5), speed=0)

    shown = page_of(ada, f"/vtn/events/{event_id}/")

    order = [
        "Published",
        "Delivered",
        "Opted in",
        "Notification due",
        "Near: ramp-up",
        "Active",
        "Earliest end",
    ]
    life = shown[shown.index('id="life"') :]
    places = [life.index(f">{word}") for word in order]
    assert places == sorted(places)
    assert "&lt;ei:eventStatus&gt;active" in shown
    assert hub.ven_id in shown
    assert ada.get("/vtn/events/none/").status_code == 404


def test_who_gets_what_is_seen_before_it_is_sent(
    ada: Client, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    VenGroup.objects.create(name="bench").vens.add(stranger.ven)
    fields = written(hub, groups=["bench"])

    shown = ada.post(COMPOSE, fields).content.decode()

    assert "2 VENs get it" in shown
    assert shown.count("&lt;oadr:oadrDistributeEvent") == 2
    assert "&lt;oadr:oadrTestEvent" in shown or "testEvent" in shown
    assert not Event.objects.exists()

    for _ in range(2):  # pressed twice, sent once
        assert ada.post(COMPOSE, fields | {"send": "yes"}).status_code == 302
    assert Event.objects.count() == 2
    for each in (hub, stranger):
        event = only_event(each.polls())
        assert [value.value for value in event.signals[0].intervals] == [2.0, 1.0]
        assert event.is_test
    first = Event.objects.get(ven=hub.ven)
    assert "The others who were sent the same" in page_of(ada, f"/vtn/events/{first.event_id}/")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ven_ids": ""}, "VENs: Name at least one VEN"),
        ({"ven_ids": "VEN-none"}, "There is no VEN VEN-none"),
        ({"intervals": "30"}, "30: write minutes:value"),
        ({"intervals": ""}, "Intervals: This field is required"),
        ({"intervals": "30:7"}, "SIMPLE is a level of 0, 1, 2 or 3"),
        ({"intervals": "0:1"}, "lasts no time"),
        ({"starts_at": "2026-11-20T17:00"}, "over already"),
        ({"starts_at": "soon"}, "Starts: Enter a valid"),
        ({"starts_at": "0001-01-01T00:00+14:00"}, "Starts: Enter a valid"),
        ({"starts_at": "2027-03-28T01:30"}, "Starts: The clocks go forward: 01:30 does not exist that day"),
        ({"starts_at": "2027-10-31T01:30"}, "Which of the two: This time comes twice that night"),
        ({"starts_at": "2027-10-31T01:30", "starts_in": "CET"}, "Which of the two: Select a valid choice"),
        ({"signal_type": "price"}, "SIMPLE is a level"),
        ({"signal": "LOAD_DISPATCH", "signal_type": "setpoint"}, "needs a unit"),
        ({"key": "x"}, "Enter a valid UUID"),
        ({"priority": "-1"}, "Priority: Ensure"),
        ({"market_context": "evening peak"}, "Market context: evening peak is no URI"),
        ({"market_context": "http://x/%zz"}, "Market context: http://x/%zz is no URI"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    changes: dict[str, str], words: str, ada: Client, hub: hubs.TestHub
) -> None:
    response = ada.post(COMPOSE, written(hub, **changes) | {"send": "yes", "comment": "keep me"})

    assert response.status_code == 422
    shown = response.content.decode()
    assert words in shown or words == "Enter a valid UUID"
    assert "keep me" in shown
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("zone", "starts_at"), [("BST", "2027-10-31T00:30:00+00:00"), ("GMT", "2027-10-31T01:30:00+00:00")]
)
def test_either_of_the_two_half_past_ones_is_written_seen_and_changed(
    zone: str, starts_at: str, ada: Client, hub: hubs.TestHub
) -> None:
    """The choice is there only while the time comes twice; a form of such an event keeps its own."""
    fields = written(hub, starts_at="2027-10-31T01:30")
    assert "Which of the two" not in page_of(ada, COMPOSE)
    asked = ada.post(COMPOSE, fields).content.decode()
    assert 'href="#id_starts_in"' in asked
    assert asked.count('type="radio" name="starts_in"') == 2
    assert "checked" not in asked[asked.index('id="id_starts_in"') :][:900].split("</div>")[0]

    ada.post(COMPOSE, fields | {"starts_in": zone, "send": "yes"})

    event = Event.objects.get()
    assert event.starts_at == datetime.fromisoformat(starts_at)
    assert f"31 Oct 2027, 01:30:00 {zone}" in page_of(ada, f"/vtn/events/{event.event_id}/")
    for url in (change_url(event), f"{COMPOSE}?like={event.event_id}"):
        radio = page_of(ada, url).split(f'name="starts_in" value="{zone}"')[1].split(">")[0]
        assert "checked" in radio
    ada.post(change_url(event), fields | {"starts_in": zone, "comment": "colder", "send": "yes"})
    event.refresh_from_db()
    assert (event.comment, event.starts_at.isoformat()) == ("colder", starts_at)
    plain = fields | {"starts_at": "2027-10-31T02:30", "starts_in": zone}
    assert "Which of the two" not in ada.post(COMPOSE, plain).content.decode()


def test_an_event_by_hand_is_cancelled_by_hand(ada: Client, hub: hubs.TestHub) -> None:
    ada.post(COMPOSE, written(hub) | {"send": "yes"})
    event = Event.objects.get()
    hub.answers(only_event(hub.polls()))

    ada.post(reverse("vtn:event_cancel", args=[event.event_id]), {"reason": "mistake"})

    told = only_event(hub.polls())
    assert (told.status, told.modification_number) == ("cancelled", 1)
    assert "mistake" in page_of(ada, f"/vtn/events/{event.event_id}/")
    assert ada.post(reverse("vtn:event_cancel", args=["none"])).status_code == 404


def test_cancelling_what_is_over_says_so_and_is_not_on_record_as_done(ada: Client, hub: hubs.TestHub) -> None:
    ada.post(COMPOSE, written(hub) | {"send": "yes"})
    event = Event.objects.get()
    clock.configure(event.closes_at, speed=0)

    page = ada.post(reverse("vtn:event_cancel", args=[event.event_id]), follow=True).content.decode()

    assert "It was over or cancelled already, so nothing is sent." in page
    assert "The VEN is being told" not in page
    assert not AuditEntry.objects.filter(verb="vtn.event.cancelled_by_hand").exists()


def test_what_another_part_of_the_house_published_is_left_to_it(
    ada: Client, vtn: Vtn, hub: hubs.TestHub, settings: Settings
) -> None:
    settings.VTN_OWNED_KEYS = ("campaign:",)
    event_id = vtn.publish(notice_to(hub.ven_id), key="campaign:1", at=AT)

    ada.post(reverse("vtn:event_cancel", args=[event_id]))

    shown = page_of(ada, f"/vtn/events/{event_id}/")
    assert "Another part of the site published this event" in shown
    assert Event.objects.get().cancelled_at is None


def change_url(event: Event) -> str:
    return reverse("vtn:event_change", args=[event.event_id])


def test_an_event_by_hand_is_changed_by_hand(ada: Client, hub: hubs.TestHub) -> None:
    fields = written(hub)
    ada.post(COMPOSE, fields | {"send": "yes"})
    event = Event.objects.get()
    hub.answers(only_event(hub.polls()))
    url = change_url(event)
    assert 'value="30:2, 30:1"' in page_of(ada, url)
    changed = fields | {"intervals": "30:3, 30:1", "reason": "colder"}

    preview = ada.post(url, changed).content.decode()

    assert "Nothing is changed yet" in preview
    event.refresh_from_db()
    assert event.modification_number == 0
    assert ada.post(url, changed | {"send": "yes"}).status_code == 302
    told = only_event(hub.polls())
    assert (told.modification_number, told.modification_reason) == (1, "colder")
    assert [each.value for each in told.signals[0].intervals] == [3.0, 1.0]
    ada.post(url, changed | {"send": "yes"})
    assert "Nothing is different" in page_of(ada, f"/vtn/events/{event.event_id}/")
    assert Event.objects.get().modification_number == 1


def test_a_change_that_cannot_be_is_said_and_changes_nothing(
    ada: Client, hub: hubs.TestHub, settings: Settings
) -> None:
    fields = written(hub)
    ada.post(COMPOSE, fields | {"send": "yes"})
    event = Event.objects.get()
    url = change_url(event)

    response = ada.post(url, fields | {"intervals": "30:9", "send": "yes"})
    assert (response.status_code, "SIMPLE is a level" in response.content.decode()) == (422, True)
    settings.VTN_OWNED_KEYS = ("hand:",)
    assert ada.post(url, fields | {"intervals": "30:1", "send": "yes"}).status_code == 302
    settings.VTN_OWNED_KEYS = ()
    ada.post(reverse("vtn:event_cancel", args=[event.event_id]))
    assert ada.get(url).status_code == 302
    assert "cannot be changed here" in page_of(ada, f"/vtn/events/{event.event_id}/")
    assert ada.get(reverse("vtn:event_change", args=["none"])).status_code == 404
    event.refresh_from_db()
    assert event.modification_number == 1  # by the cancelling alone


@pytest.mark.parametrize(
    "odd",
    [
        {"starts_at": "9999-12-31T23:30"},
        {"starts_at": "9999-12-31T23:30", "repeat_on": ["4"], "repeat_until": "9999-12-31"},
        {"starts_at": "0001-01-01T00:00", "open_ended": "on", "intervals": "60:1"},
        {"starts_at": "1999-12-31T23:30", "open_ended": "on", "intervals": "60:1"},
    ],
)
@pytest.mark.parametrize("act", ["preview", "send", "keep"])
def test_a_start_before_or_after_all_calendars_is_refused(
    ada: Client, hub: hubs.TestHub, odd: dict[str, Any], act: str
) -> None:
    response = ada.post(COMPOSE, written(hub, **odd, **{act: "yes"}))

    assert response.status_code == 422
    assert "Starts: Start it in a year from 2000 to 2100" in response.content.decode()
    assert not Event.objects.exists()
    assert not EventDraft.objects.exists()


def test_a_form_describes_what_it_was_filled_with() -> None:
    first = SignalContent("LOAD_DISPATCH", "setpoint", ((90, 1.25), (1, -3.0)), "kw", ("Water_Heater",))
    second = SignalContent("ELECTRICITY_PRICE", "price", ((91, 0.301),), "gbp_per_kwh")
    whole = EventContent(
        VenId(""),
        "http://coop.example/x",
        AT + timedelta(seconds=7),
        91,
        (first, second),
        notification_seconds=61,
        ramp_up_seconds=-30,
        recovery_seconds=45,
        start_tolerance_seconds=1,
        priority=3,
        is_response_required=False,
        is_test=True,
        comment="Hi",
        resource_ids=("r1", "r2"),
        targets=(("group_id", "street: 4"), ("pnode", "p")),
    )
    endless = replace(whole, duration_seconds=0, signals=(SignalContent("SIMPLE", "level", ((0, 2.0),)),))

    for content in (whole, endless):
        form = ContentForm(initial=initial_of(content))
        data = QueryDict(mutable=True)
        for each in (form, *form.more):
            for field in each:
                value = field.value()
                if value not in (None, False):
                    data[field.html_name] = (
                        field.field.widget.format_value(value) or ""
                        if field.name == "starts_at"
                        else str(value)
                    )
        data["more"] = str(len(form.more))
        back = ContentForm(data)
        assert back.is_valid(), back.errors
        assert back.content() == content


def test_several_signals_one_of_them_left_out(ada: Client, hub: hubs.TestHub) -> None:
    fields = written(hub, intervals="60:1")
    assert "more-0-signal" in ada.post(COMPOSE, fields | {"add": "signal", "more": "0"}).content.decode()
    price = {
        "more-0-signal": "ELECTRICITY_PRICE",
        "more-0-signal_type": "price",
        "more-0-unit": "gbp_per_kwh",
        "more-0-intervals": "60:0.4",
    }
    dropped = {
        "more-1-signal": "SIMPLE",
        "more-1-signal_type": "level",
        "more-1-intervals": "60:3",
        "more-1-leave_out": "on",
    }

    bad = ada.post(COMPOSE, fields | price | {"more": "1", "more-0-intervals": "60", "send": "yes"})
    assert bad.status_code == 422
    ada.post(COMPOSE, fields | price | dropped | {"more": "2", "send": "yes"})

    told = only_event(hub.polls())
    assert [each.name for each in told.signals] == ["SIMPLE", "ELECTRICITY_PRICE"]
    assert Event.objects.count() == 1


def test_an_event_without_an_end(ada: Client, hub: hubs.TestHub) -> None:
    fields = written(hub, open_ended="on")
    assert "one value" in ada.post(COMPOSE, fields).content.decode()

    ada.post(COMPOSE, fields | {"intervals": "0:2", "send": "yes"})

    assert only_event(hub.polls()).active_period.duration_seconds == 0


def test_a_draft_is_kept_opened_again_and_sent_once(ada: Client, hub: hubs.TestHub) -> None:
    fields = written(hub)
    ada.post(COMPOSE, fields | {"keep": "yes"})
    assert not Event.objects.exists()
    draft = EventDraft.objects.get()
    link = f"{COMPOSE}?draft={draft.draft_id}"
    assert link in page_of(ada, "/vtn/events/")
    assert fields["key"] in page_of(ada, link)

    for _ in range(2):
        assert ada.post(COMPOSE, fields | {"intervals": "30:3", "send": "yes"}).status_code == 302

    assert [each.value for each in only_event(hub.polls()).signals[0].intervals] == [3.0]
    assert Event.objects.count() == 1
    draft.refresh_from_db()
    assert draft.published_at == AT
    delete = reverse("vtn:draft_delete", args=[draft.draft_id])
    ada.post(delete)
    assert EventDraft.objects.count() == 1  # what was sent stays
    ada.post(COMPOSE, written(hub) | {"keep": "yes"})
    other = EventDraft.objects.get(published_at=None)
    ada.post(reverse("vtn:draft_delete", args=[other.draft_id]))
    assert not EventDraft.objects.filter(published_at=None).exists()
    assert ada.post(reverse("vtn:draft_delete", args=[uuid4()])).status_code == 404


def test_another_one_like_it_begins_later(ada: Client, vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    clock.configure(STARTS_AT + timedelta(minutes=5), speed=0)

    shown = page_of(ada, f"{COMPOSE}?like={event_id}")

    assert "https://coop.example/turn-down" in shown
    assert hub.ven_id in shown
    assert 'value="2026-11-24T18:00:00"' in shown
    assert ada.get(f"{COMPOSE}?like=none").status_code == 404


def refuse_all(ven_ids: list[str], **_: object) -> dict[str, str]:
    return dict.fromkeys(ven_ids, "the household has not agreed")


def test_the_house_s_guard_is_asked(ada: Client, hub: hubs.TestHub, settings: Settings) -> None:
    settings.VTN_SEND_GUARD = "tests.vtn.test_console_events.refuse_all"

    response = ada.post(COMPOSE, written(hub) | {"send": "yes"})

    assert response.status_code == 422
    assert "the household has not agreed" in response.content.decode()
    ada.post(reverse("vtn:prompt_press", args=["far"]), {"ven": hub.ven_id})
    assert not Event.objects.exists()
    assert "the household has not agreed" in page_of(ada, f"/vtn/prompts/?ven={hub.ven_id}")


# ---- prompts


def press(client: Client, hub: hubs.TestHub, name: str, **fields: str) -> Any:
    data = {"ven": hub.ven_id, "run_id": str(uuid4())} | fields
    return client.post(reverse("vtn:prompt_press", args=[name]), data)


EVENT_PROMPTS = [each.name for each in prompting.PROMPTS if each.kind == "event"]


@pytest.mark.parametrize("name", [each for each in EVENT_PROMPTS if each not in ("modify", "cancel")])
def test_each_prompt_of_events_reaches_the_ven_in_a_valid_document(
    name: str, ada: Client, hub: hubs.TestHub
) -> None:
    response = press(ada, hub, name)

    run = PromptRun.objects.get()
    assert response["Location"] == reverse("vtn:prompt_run", args=[run.run_id])
    told = hub.polls()
    assert isinstance(told, m.DistributeEvent)
    assert {event.event_id for event in told.events} == set(run.event_ids)
    assert all(event.is_test for event in told.events)
    codec.serialise(told)  # raises unless the schema takes it
    for event in told.events:
        if event.is_response_required:
            hub.answers(event)
    shown = page_of(ada, response["Location"])
    assert str(prompting.BY_NAME[name].title) in shown
    assert "hx-trigger" not in shown  # all is answered


def test_prompts_stage_the_states_they_name(ada: Client, hub: hubs.TestHub) -> None:
    for name in ("far", "near", "active"):
        press(ada, hub, name)

    told = hub.polls()

    assert isinstance(told, m.DistributeEvent)
    assert [event.status for event in told.events] == ["active", "near", "far"]


def test_modify_and_cancel_take_the_latest_prompt(ada: Client, hub: hubs.TestHub) -> None:
    press(ada, hub, "modify")
    assert "stage one first" in page_of(ada, f"/vtn/prompts/?ven={hub.ven_id}").lower()
    press(ada, hub, "far")
    first = only_event(hub.polls())
    hub.answers(first)

    press(ada, hub, "modify")
    changed = only_event(hub.polls())
    hub.answers(changed)
    press(ada, hub, "cancel")
    cancelled = only_event(hub.polls())

    assert (changed.modification_number, cancelled.modification_number) == (1, 2)
    assert changed.active_period.starts_at == first.active_period.starts_at + timedelta(minutes=15)
    assert cancelled.status == "cancelled"


@pytest.mark.parametrize(
    ("name", "message"),
    [("reregister", m.RequestReregistration), ("cancel_registration", m.CancelPartyRegistration)],
)
def test_prompts_of_messages_go_through_the_queue(
    name: str, message: type, ada: Client, hub: hubs.TestHub
) -> None:
    response = press(ada, hub, name)

    assert "hx-trigger" in page_of(ada, response["Location"])
    assert isinstance(hub.polls(), message)


def test_a_second_press_of_the_same_button_stages_nothing(ada: Client, hub: hubs.TestHub) -> None:
    run_id = str(uuid4())
    for _ in range(2):
        press(ada, hub, "far", run_id=run_id)

    assert (Event.objects.count(), PromptRun.objects.count()) == (1, 1)


def test_a_live_prompt_is_no_test_but_the_test_event_always_is(ada: Client, hub: hubs.TestHub) -> None:
    press(ada, hub, "far", live="yes")
    press(ada, hub, "test_event", live="yes")

    told = hub.polls()
    assert isinstance(told, m.DistributeEvent)
    assert sorted(event.is_test for event in told.events) == [False, True]


def test_what_cannot_be_staged_is_said(ada: Client, hub: hubs.TestHub) -> None:
    assert press(ada, hub, "no-such").status_code == 404
    assert ada.post(reverse("vtn:prompt_press", args=["far"]), {"ven": "VEN-none"}).status_code == 404
    assert "There is no VEN VEN-none" in page_of(ada, "/vtn/prompts/?ven=VEN-none")
    new = hubs.new_hub("fresh")
    press(ada, new, "reregister")
    assert "not registered" in page_of(ada, f"/vtn/prompts/?ven={new.ven_id}")
    assert not QueuedMessage.objects.exists()
    assert ada.get(f"/vtn/prompts/runs/{uuid4()}/").status_code == 404


def test_no_two_prompts_share_a_name() -> None:
    assert len(prompting.BY_NAME) == len(prompting.PROMPTS)


# ---- tokens


def test_a_token_is_shown_once_and_kept_as_a_digest(ada: Client) -> None:
    response = ada.post("/vtn/tokens/", {"name": "Grid tool", "deeds": ["see"], "days": "30"})

    row = ApiToken.objects.get()
    shown = response.content.decode()
    secret = shown.split(f"vtn_{row.prefix}_", 1)[1].split("<", 1)[0]
    assert len(secret) >= 40
    assert secret not in (row.digest, str(row.deeds))
    assert secret not in page_of(ada, "/vtn/tokens/")
    ada.post(reverse("vtn:token_revoke", args=[row.pk]))
    assert "revoked" in page_of(ada, "/vtn/tokens/")
    assert ada.post(reverse("vtn:token_revoke", args=[0])).status_code == 404


def test_a_form_sent_twice_makes_one_token_and_shows_it_again(ada: Client) -> None:
    """Of a double press the browser shows the second answer alone; other words or a new form are another."""
    key = page_of(ada, "/vtn/tokens/").split('name="key" value="')[1].split('"')[0]
    fields = {"key": key, "name": "Grid tool", "deeds": ["see"], "days": "30"}

    first, again = (ada.post("/vtn/tokens/", fields).content.decode() for _ in range(2))

    row = ApiToken.objects.get()
    secret = first.split(f"vtn_{row.prefix}_", 1)[1].split("<", 1)[0]
    assert f"vtn_{row.prefix}_{secret}<" in again
    assert AuditEntry.objects.filter(verb="vtn.token.created").count() == 1
    opened = Client(headers={"Authorization": f"Bearer vtn_{row.prefix}_{secret}"}).get("/api/vtn/v1/vens/")
    assert opened.status_code == 200
    other = Client()
    other.force_login(make_user("administrator", name="other"), backend=BACKEND)
    assert secret not in other.post("/vtn/tokens/", fields).content.decode()
    ada.post("/vtn/tokens/", fields | {"name": "Another"})
    assert ApiToken.objects.count() == 3
    ada.post(reverse("vtn:token_revoke", args=[row.pk]))
    refused = ada.post("/vtn/tokens/", fields)
    assert (refused.status_code, secret in refused.content.decode()) == (422, False)
    assert "This form made a token that was revoked" in refused.content.decode()
    assert ApiToken.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_form_pressed_twice_at_once_makes_one_token(ada: Client) -> None:
    fields = {"key": str(uuid4()), "name": "Grid tool", "deeds": ["see"], "days": "30"}

    answers = at_once(*[lambda: ada.post("/vtn/tokens/", fields).content.decode()] * 2)

    row = ApiToken.objects.get()
    assert all(f"vtn_{row.prefix}_" in str(each) for each in answers)
    assert AuditEntry.objects.filter(verb="vtn.token.created").count() == 1


@pytest.mark.parametrize("fields", [{"name": ""}, {"deeds": []}, {"deeds": ["manage_tokens"]}, {"days": "0"}])
def test_a_token_that_cannot_be_made_is_not(fields: dict[str, Any], ada: Client) -> None:
    response = ada.post("/vtn/tokens/", {"name": "x", "deeds": ["see"], "days": "30"} | fields)

    assert response.status_code == 422
    assert not ApiToken.objects.exists()


def test_a_signal_of_a_house_s_own_stays_itself_when_its_event_is_changed_or_copied(
    ada: Client, hub: hubs.TestHub
) -> None:
    ada.post(COMPOSE, written(hub, signal="x-tariff", intervals="60:7") | {"send": "yes"})
    event = Event.objects.get()
    for path in (f"/vtn/events/{event.event_id}/change/", f"{COMPOSE}?like={event.event_id}"):
        assert '<option value="x-tariff" selected>' in ada.get(path).content.decode()

    ada.post(
        f"/vtn/events/{event.event_id}/change/",
        written(hub, signal="x-tariff", intervals="60:8") | {"send": "yes"},
    )

    (signal,) = only_event(hub.polls()).signals
    assert (signal.name, [each.value for each in signal.intervals]) == ("x-tariff", [8.0])
    wrong = ada.post(COMPOSE, written(hub, signal="y-tariff") | {"send": "yes"})
    assert (wrong.status_code, Event.objects.count()) == (422, 1)
