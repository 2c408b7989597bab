"""Series of events over the management API: written, listed, shown, a time skipped, the rest called off."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.racing import at_once
from tests.vtn import hubs
from tests.vtn.hubs import AT
from tests.vtn.people import browser
from tests.vtn.test_api import Api
from tests.vtn.test_repeating import only_full_set, written
from vtn import repeating
from vtn.models import Event, EventDraft, EventSeries

pytestmark = pytest.mark.django_db
SERIES = "/series/"


@pytest.fixture
def api(db: None) -> Api:
    clock.configure(AT, speed=0)
    return Api()


def series_to(*to: hubs.TestHub, **changes: Any) -> dict[str, Any]:
    """An hour at 17:00 on Mondays and Wednesdays before Christmas 2026; 28 December is a bank holiday."""
    body: dict[str, Any] = {
        "ven_ids": [hub.ven_id for hub in to],
        "market_context": "http://coop.example/peak",
        "starts_at": "2026-12-14T17:00:00Z",
        "signals": [
            {"name": "SIMPLE", "type": "level", "intervals": [{"duration_seconds": 3600, "value": 1}]}
        ],
        "repeat_on": ["monday", "wednesday"],
        "repeat_until": "2026-12-30",
        "skips_holidays": True,
    }
    return body | changes


def states(told: dict[str, Any]) -> dict[str, str]:
    return {each["day"][5:]: each["state"] for each in told["times"]}


def test_a_series_is_written_listed_and_shown(api: Api, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    made = api("post", SERIES, series_to(hub, stranger), status=201)

    days = ["12-14", "12-16", "12-21", "12-23", "12-30"]
    assert states(made) == dict.fromkeys(days, "sent")
    assert [(each["events"], each["cancelled"]) for each in made["times"]] == [(2, 0)] * 5
    assert made["starts"] == [f"2026-{day}T17:00:00Z" for day in days]
    assert (made["repeat_on"], made["repeat_until"]) == (["monday", "wednesday"], "2026-12-30")
    assert made["content"]["starts_at"] == "2026-12-14T17:00:00+00:00"
    assert made["ven_ids"] == sorted([hub.ven_id, stranger.ven_id])
    assert len(only_full_set(hub)) == 5
    assert api("get", f"{SERIES}{made['series_id']}/") == made
    listed = api("get", SERIES)
    assert listed["results"] == [{name: made[name] for name in made if name != "times"}]
    found = api("get", f"/events/?series_id={made['series_id']}&ven_id={hub.ven_id}")
    assert [each["content"]["starts_at"] for each in found["results"]] == made["starts"][::-1]
    of_one = api("get", f"/events/?q={made['times'][2]['time_id']}")
    assert {each["content"]["starts_at"] for each in of_one["results"]} == {made["starts"][2]}


def test_a_second_send_with_the_same_key_makes_nothing_twice(api: Api, hub: hubs.TestHub) -> None:
    body = series_to(hub)

    first, again = (api("post", SERIES, body, status=201, Idempotency_Key="s-1") for _ in range(2))

    assert first == again
    assert (EventSeries.objects.count(), Event.objects.count()) == (1, 5)
    other = api("post", SERIES, body | {"priority": 1}, status=422, Idempotency_Key="s-1")
    assert other["code"] == "idempotency_key_reused"
    assert Event.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_two_sends_at_the_same_moment_are_one(api: Api, hub: hubs.TestHub) -> None:
    def send() -> str:
        return str(api("post", SERIES, series_to(hub), status=201, Idempotency_Key="s-1")["series_id"])

    first, second = at_once(send, send)

    assert first == second
    assert (EventSeries.objects.count(), Event.objects.count()) == (1, 5)


def test_the_clocks_go_forward_and_back_in_a_series(api: Api, hub: hubs.TestHub) -> None:
    """17:00 on the clock stays 17:00; an instant of the doubled hour is kept as it was written."""
    spring = series_to(hub, starts_at="2027-03-26T17:00:00Z", repeat_on=["friday", "monday"])
    autumn = series_to(hub, starts_at="2027-10-31T01:30:00+00:00", repeat_on=["sunday"])

    told = api("post", SERIES, spring | {"repeat_until": "2027-03-29", "skips_holidays": False}, status=201)
    assert told["starts"] == ["2027-03-26T17:00:00Z", "2027-03-29T16:00:00Z"]
    told = api("post", SERIES, autumn | {"repeat_until": "2028-03-26"}, status=201)
    assert told["starts"][:2] == ["2027-10-31T01:30:00Z", "2027-11-07T01:30:00Z"]
    assert told["starts"][-1] == "2028-03-26T01:30:00Z"  # 01:30 is left out that day: 02:30 on the clock
    assert told["times"][-1]["day"] == "2028-03-26"
    earlier = api(
        "post",
        SERIES,
        autumn | {"starts_at": "2027-10-31T01:30:00+01:00"} | {"repeat_until": "2027-11-07"},
        status=201,
    )
    assert earlier["starts"] == ["2027-10-31T00:30:00Z", "2027-11-07T01:30:00Z"]


def test_bank_holidays_are_left_out_only_when_wanted(api: Api, hub: hubs.TestHub) -> None:
    body = series_to(hub, skips_holidays=False)

    told = api("post", SERIES, body, status=201)

    assert "12-28" in states(told)
    assert told["skips_holidays"] is False
    only_holiday = series_to(
        hub, starts_at="2026-12-28T17:00:00Z", repeat_on=["monday"], repeat_until="2026-12-28"
    )
    problem = api("post", SERIES, only_holiday, status=422)
    assert problem["errors"][0]["fix"].startswith("no chosen weekday lies in between")


def test_a_time_is_skipped_at_every_ven_and_again_changes_nothing(
    api: Api, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    made = api("post", SERIES, series_to(hub, stranger), status=201)
    one = f"{SERIES}{made['series_id']}/"
    assert [each.status for each in only_full_set(hub)] == ["far"] * 5

    told, again = (api("post", f"{one}times/2026-12-21/skip/", {"reason": "windy"}) for _ in range(2))

    assert told == again
    assert states(told) == {
        "12-14": "sent", "12-16": "sent", "12-21": "skipped", "12-23": "sent", "12-30": "sent"
    }  # fmt: skip
    assert told["times"][2]["cancelled"] == 2
    cancelled = Event.objects.exclude(cancelled_at=None)
    assert {each.modification_reason for each in cancelled} == {"windy"}
    entry = AuditEntry.objects.get(verb="vtn.series.time_skipped")
    assert entry.detail == {"day": "2026-12-21", "events": 2, "reason": "windy"}
    assert [each.status for each in only_full_set(hub)].count("cancelled") == 1


def test_what_is_over_is_not_skipped_and_what_runs_is(api: Api, hub: hubs.TestHub) -> None:
    made = api("post", SERIES, series_to(hub), status=201)
    one = f"{SERIES}{made['series_id']}/"
    clock.configure(datetime.fromisoformat("2026-12-16T17:30:00+00:00"), speed=0)

    assert states(api("post", f"{one}times/2026-12-14/skip/", {}))["12-14"] == "sent"
    assert states(api("post", f"{one}times/2026-12-16/skip/", {}))["12-16"] == "skipped"


def test_a_series_is_ended_but_for_what_has_begun(api: Api, hub: hubs.TestHub) -> None:
    made = api("post", SERIES, series_to(hub), status=201)
    one = f"{SERIES}{made['series_id']}/"
    at = datetime.fromisoformat("2026-12-16T17:30:00+00:00")
    clock.configure(at, speed=0)

    told, again = (api("post", f"{one}end/", {"reason": "the project is over"}) for _ in range(2))

    assert told == again
    assert states(told) == {
        "12-14": "sent", "12-16": "sent", "12-21": "skipped", "12-23": "skipped", "12-30": "skipped"
    }  # fmt: skip
    assert told["ended_at"] == "2026-12-16T17:30:00Z"
    assert AuditEntry.objects.get(verb="vtn.series.ended").detail["events"] == 3
    assert api("get", SERIES)["results"][0]["ended_at"] == told["ended_at"]


def test_drafts_of_a_series_wait_are_skipped_sent_and_ended(api: Api, hub: hubs.TestHub) -> None:
    made = api("post", SERIES, series_to(hub, publish=False), status=201)
    one = f"{SERIES}{made['series_id']}/"
    assert set(states(made).values()) == {"draft"}
    assert not Event.objects.exists()

    api("post", f"{one}times/2026-12-16/skip/", {})
    api("post", f"/drafts/{made['times'][0]['draft_id']}/publish/")

    told = api("get", one)
    assert states(told) == {
        "12-14": "sent", "12-16": "skipped", "12-21": "draft", "12-23": "draft", "12-30": "draft"
    }  # fmt: skip
    ended = api("post", f"{one}end/", {})
    assert set(states(ended).values()) == {"skipped"}
    assert not EventDraft.objects.filter(published_at=None).exists()
    assert Event.objects.exclude(cancelled_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_draft_that_is_sent_while_its_series_ends_is_called_off_or_not_sent(
    api: Api, hub: hubs.TestHub
) -> None:
    made = api("post", SERIES, series_to(hub, publish=False), status=201)
    draft_id = made["times"][1]["draft_id"]

    def send() -> object:
        return api.client.post(f"/api/vtn/v1/drafts/{draft_id}/publish/").status_code

    def end() -> object:
        return api("post", f"{SERIES}{made['series_id']}/end/", {})["ended_at"]

    sent, _ = at_once(send, end)

    assert sent in (200, 404)
    assert not Event.objects.filter(cancelled_at=None).exists()
    assert not EventDraft.objects.filter(published_at=None).exists()


def test_the_page_and_the_api_write_the_same_series(api: Api, hub: hubs.TestHub) -> None:
    """What staff repeat on the page is listed, skipped and ended here; the page pressed again brings nothing
    back."""
    ada, form = browser("administrator"), written(hub)
    for _ in range(2):
        ada.post("/vtn/events/new/", form | {"keep": "yes"})

    told = api("get", SERIES)["results"]
    assert [each["series_id"] for each in told] == [form["key"]]
    assert told[0]["repeat_on"] == ["monday", "wednesday"]
    one = f"{SERIES}{form['key']}/"
    api("post", f"{one}times/2026-12-23/skip/", {})
    ada.post("/vtn/events/new/", form | {"send": "yes"})
    assert states(api("get", one)) == {
        "12-14": "sent", "12-16": "sent", "12-21": "sent", "12-23": "skipped", "12-30": "sent"
    }  # fmt: skip
    api("post", f"{one}end/", {})
    refused = ada.post("/vtn/events/new/", form | {"send": "yes"})
    assert refused.status_code == 422
    assert "This series was ended: write a new one." in refused.content.decode()
    assert Event.objects.filter(cancelled_at=None).count() == 0


@pytest.mark.parametrize(
    ("changes", "field", "fix"),
    [
        ({"repeat_on": []}, "repeat_on", "empty"),
        ({"repeat_on": ["funday"]}, "repeat_on", "not a valid choice"),
        ({"repeat_on": "monday"}, "repeat_on", "list"),
        ({"repeat_on": [["monday"]]}, "repeat_on", "not a valid choice"),
        ({"repeat_until": "soon"}, "repeat_until", "Date has wrong format"),
        ({"repeat_until": "2026-12-01"}, "repeat_until", "before the start"),
        ({"repeat_until": "2028-12-01"}, "repeat_until", "over a year after it"),
        ({"repeat_until": "0001-01-01"}, "repeat_until", "before the start"),
        ({"repeat_until": "9999-12-31"}, "repeat_until", "over a year after it"),
        ({"repeat_until": "2026-12-15", "repeat_on": ["friday"]}, "repeat_until", "no chosen weekday"),
        ({"starts_at": "2026-12-14T17:00:00"}, "starts_at", "write the offset"),
        ({"starts_at": "1999-12-14T17:00:00Z"}, "starts_at", "a year from 2000"),
        ({"starts_at": "9999-12-31T17:00:00Z", "repeat_until": "9999-12-31"}, "starts_at", "to 2100"),
        ({"starts_at": "2026-11-02T17:00:00Z"}, "starts_at", "start it later"),
        ({"ven_ids": []}, "ven_ids", "name at least one VEN"),
        ({"groups": ["none"]}, "groups", "create it first"),
        ({"weekdays": [0]}, "weekdays", "unknown field"),
    ],
)
def test_what_is_no_series_is_told_at_its_field(
    changes: dict[str, Any], field: str, fix: str, api: Api, hub: hubs.TestHub
) -> None:
    problem = api("post", SERIES, series_to(hub, **changes), status=422)

    error = problem["errors"][0]
    assert error["field"].split(".")[0] == field
    assert fix in error["fix"]
    assert not EventSeries.objects.exists()
    assert not Event.objects.exists()


def test_too_many_times_are_refused(api: Api, hub: hubs.TestHub) -> None:
    body = series_to(hub, repeat_on=["monday", "tuesday", "thursday"], repeat_until="2027-12-13")

    problem = api("post", SERIES, body, status=422)

    assert problem["errors"][0]["field"] == "repeat_until"
    assert "at most 100" in problem["errors"][0]["fix"]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-12-15", "no time on 2026-12-15"),
        ("2026-12-28", "no time on 2026-12-28"),
        ("soon", "write it as 2026-12-16"),
        ("2026-02-30", "write it as 2026-12-16"),
    ],
)
def test_a_day_without_a_time_is_not_found(day: str, words: str, api: Api, hub: hubs.TestHub) -> None:
    made = api("post", SERIES, series_to(hub), status=201)

    problem = api("post", f"{SERIES}{made['series_id']}/times/{day}/skip/", {}, status=404)

    assert words in problem["detail"]
    assert not Event.objects.exclude(cancelled_at=None).exists()


def test_an_unknown_series_is_not_found(api: Api) -> None:
    other = f"{SERIES}{uuid4()}/"
    assert api("get", other, status=404)["code"] == "unknown_series"
    for path in ("end/", "times/2026-12-16/skip/"):
        assert api("post", other + path, {}, status=404)["code"] == "unknown_series"
    assert api("get", f"/events/?series_id={uuid4()}", status=404)["code"] == "unknown_series"
    problem = api("get", "/events/?series_id=mine", status=422)
    assert problem["errors"][0]["field"] == "series_id"


def test_who_may_not_manage_events_reads_series_and_changes_none(api: Api, hub: hubs.TestHub) -> None:
    made = api("post", SERIES, series_to(hub), status=201)
    root = f"/api/vtn/v1{SERIES}"
    reader = browser("auditor")
    assert reader.get(root).json()["count"] == 1
    for path, body in (("", series_to(hub)), (f"{made['series_id']}/end/", {}),
                       (f"{made['series_id']}/times/2026-12-16/skip/", {})):  # fmt: skip
        assert reader.post(root + path, body, "application/json").status_code == 403
        assert Client().post(root + path, body, "application/json").status_code == 401
    assert Client().get(root).status_code == 401
    assert browser("finance").get(root).status_code == 403
    assert (EventSeries.objects.count(), Event.objects.filter(cancelled_at=None).count()) == (1, 5)


def test_a_series_that_another_part_of_the_house_owns_is_left_alone(
    api: Api, hub: hubs.TestHub, settings: Any
) -> None:
    made = api("post", SERIES, series_to(hub), status=201)
    settings.VTN_OWNED_KEYS = ["hand:"]

    problem = api("post", f"{SERIES}{made['series_id']}/end/", {}, status=409)

    assert problem["code"] == "event_owned"
    assert EventSeries.objects.get().ended_at is None


def test_a_series_is_written_whole_or_not_at_all(api: Api, hub: hubs.TestHub, settings: Any) -> None:
    settings.VTN_SEND_GUARD = "tests.vtn.test_api_series.after_christmas"

    problem = api("post", SERIES, series_to(hub), status=403)

    assert problem["code"] == "sending_refused"
    assert not Event.objects.exists()
    assert not EventSeries.objects.exists()


def after_christmas(ven_ids: list[str], *, interval: Any, **_: object) -> dict[str, str]:
    """A house that lets nothing be sent after Christmas."""
    is_late = interval.starts_at > datetime.fromisoformat("2026-12-25T00:00:00+00:00")
    return dict.fromkeys(ven_ids, "the homes are away") if is_late else {}


def test_a_longer_series_under_the_same_key_keeps_the_times_it_had(hub: hubs.TestHub) -> None:
    clock.configure(AT, speed=0)
    ada, form = browser("administrator"), written(hub)
    ada.post("/vtn/events/new/", form | {"send": "yes"})

    ada.post("/vtn/events/new/", form | {"send": "yes", "repeat_until": "2026-12-16"})
    ada.post("/vtn/events/new/", form | {"send": "yes", "repeat_until": "2027-01-06"})

    row = EventSeries.objects.get()
    assert len(repeating.times_of(row)) == len(row.times) == Event.objects.count() == 7
    assert row.repeat_until == date(2027, 1, 6)
