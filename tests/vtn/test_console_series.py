"""The staff pages of a series of events: listed, shown, a time skipped, the rest called off."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Final
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT
from tests.vtn.people import browser
from tests.vtn.test_repeating import written
from vtn import repeating, retaining
from vtn.models import Event, EventDraft, EventSeries
from vtn.tasks import prune_messages

pytestmark = pytest.mark.django_db
SERIES = "/vtn/series/"
SKIP = "Yes: skip it"


@pytest.fixture
def ada(db: None) -> Client:
    clock.configure(AT, speed=0)
    return browser("administrator")


def page_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_what_is_repeated_on_the_form_is_shown_as_a_series(ada: Client, hub: hubs.TestHub) -> None:
    assert "No series yet" in page_of(ada, SERIES)
    assert SERIES not in page_of(ada, "/vtn/events/")
    form = written(hub)

    response = ada.post("/vtn/events/new/", form | {"send": "yes"})

    one = f"{SERIES}{form['key']}/"
    assert response["Location"] == one
    shown = page_of(ada, one)
    assert "Sent 5 events to 1 VENs." in shown
    assert "Mon, Wed, not on bank holidays of England and Wales" in shown
    days = ("Mon 14 Dec", "Wed 16 Dec", "Mon 21 Dec", "Wed 23 Dec", "Wed 30 Dec")
    assert all(f"{day} 2026, 17:00 GMT</a>" in shown for day in days)
    assert shown.count(SKIP) == 5
    assert f'href="{one}">14 Dec 2026, 17:00 GMT</a>' in page_of(ada, SERIES)
    assert f'href="{SERIES}"' in page_of(ada, "/vtn/events/")


def test_a_time_is_skipped_and_the_rest_ended_once(ada: Client, hub: hubs.TestHub) -> None:
    one = f"{SERIES}{hubs.make_series(hub).series_id}/"
    skip, end = f"{one}times/2026-12-16/skip/", f"{one}end/"

    told = ada.post(skip, {"reason": "windy"}, follow=True).content.decode()

    assert "Skipped. Whoever was sent it is being told." in told
    assert told.count(SKIP) == 4
    assert Event.objects.exclude(cancelled_at=None).get().modification_reason == "windy"
    assert "It was over or skipped already" in ada.post(skip, follow=True).content.decode()
    clock.configure(datetime(2026, 12, 21, 17, 30, tzinfo=UTC), speed=0)
    assert page_of(ada, one).count(SKIP) == 3  # what runs, and what is to come
    told = ada.post(end, {"reason": "\0over"}, follow=True).content.decode()
    assert "Ended. What has not begun is called off." in told
    assert "Ended 21 Dec 2026, 17:30" in told
    assert "End the series" not in told
    assert Event.objects.filter(cancelled_at=None).count() == 2
    assert "It was ended already" in ada.post(end, follow=True).content.decode()
    assert ">Ended</span>" in page_of(ada, SERIES)


def test_drafts_of_a_series_are_opened_skipped_and_deleted_from_it(ada: Client, hub: hubs.TestHub) -> None:
    row = hubs.make_series(hub, sends=False)
    one = f"{SERIES}{row.series_id}/"
    assert page_of(ada, one).count("/vtn/events/new/?draft=") == 5

    ada.post(f"{one}times/2026-12-16/skip/")
    assert EventDraft.objects.count() == 4
    ada.post(f"{one}end/")
    assert not EventDraft.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize("press", ["send", "keep"])
def test_a_draft_left_open_on_a_page_brings_no_skipped_time_back(
    press: str, ada: Client, hub: hubs.TestHub
) -> None:
    row = hubs.make_series(hub, sends=False)
    (_, _), (skipped, _), (ended, _), *_ = row.starts()
    once = {"repeat_on": [], "repeat_until": "", press: "yes"}
    ada.post(f"{SERIES}{row.series_id}/times/2026-12-16/skip/")

    late = ada.post("/vtn/events/new/", written(hub, key=str(skipped)) | once)
    assert late.status_code == 422
    assert "This time was skipped in its series" in late.content.decode()
    ada.post(f"{SERIES}{row.series_id}/end/")
    late = ada.post("/vtn/events/new/", written(hub, key=str(ended)) | once)
    assert late.status_code == 422
    assert "This series was ended" in late.content.decode()

    assert not Event.objects.exists()
    assert not EventDraft.objects.exists()


def test_what_another_part_of_the_house_owns_is_said_and_left(
    ada: Client, hub: hubs.TestHub, settings: object
) -> None:
    one = f"{SERIES}{hubs.make_series(hub).series_id}/"
    settings.VTN_OWNED_KEYS = ("hand:",)  # type: ignore[attr-defined]

    for path in ("end/", "times/2026-12-16/skip/"):
        told = ada.post(one + path, follow=True).content.decode()
        assert "Another part of the site published this event" in told
    assert not Event.objects.exclude(cancelled_at=None).exists()


def test_what_is_not_there_is_a_missing_page(ada: Client, hub: hubs.TestHub) -> None:
    one = f"{SERIES}{hubs.make_series(hub).series_id}/"
    other = f"{SERIES}{uuid4()}/"
    assert ada.get(other).status_code == 404
    assert {ada.post(f"{other}{each}").status_code for each in ("end/", "times/2026-12-16/skip/")} == {404}
    assert {ada.post(f"{one}times/{day}/skip/").status_code for day in ("2026-12-15", "soon")} == {404}


def test_who_may_not_send_events_is_shown_no_button(ada: Client, hub: hubs.TestHub) -> None:
    one = f"{SERIES}{hubs.make_series(hub).series_id}/"

    shown = page_of(browser("auditor"), one)

    assert "Wed 16 Dec 2026, 17:00" in shown
    assert SKIP not in shown
    assert "End the series" not in shown


OVER: Final = datetime(2026, 12, 31, tzinfo=UTC) + timedelta(days=30)
"""The last day of `hubs.make_series`, 30 December, is longer ago than 30 days from the next midnight on."""


@pytest.mark.parametrize("is_ended", [False, True])
def test_a_series_goes_its_days_after_its_last_day_and_its_events_stay(
    is_ended: bool, hub: hubs.TestHub, settings: Settings
) -> None:
    settings.VTN_SERIES_DAYS = 30
    row = hubs.make_series(hub)
    if is_ended:
        repeating.end_series(series_id=row.series_id, reason="", at=AT, by="user:1")
    events = Event.objects.count()

    assert retaining.prune_series(at=OVER - timedelta(seconds=1)) == 0
    assert retaining.prune_series(at=OVER, is_dry_run=True) == 1
    assert EventSeries.objects.exists()
    assert retaining.prune_series(at=OVER) == 1
    assert retaining.prune_series(at=OVER) == 0
    assert not EventSeries.objects.exists()
    assert Event.objects.count() == events == 5


def test_a_series_stays_while_a_draft_of_it_is_not_sent(hub: hubs.TestHub, settings: Settings) -> None:
    settings.VTN_SERIES_DAYS = 30
    row = hubs.make_series(hub, sends=False)
    EventDraft.objects.exclude(draft_id=row.series_id).delete()

    assert retaining.prune_series(at=OVER) == 0
    EventDraft.objects.update(published_at=AT)
    assert retaining.prune_series(at=OVER) == 1


def test_a_series_stays_while_a_time_of_it_is_to_come(hub: hubs.TestHub, settings: Settings) -> None:
    settings.VTN_SERIES_DAYS = 30
    hubs.make_series(hub)
    EventSeries.objects.update(repeat_until=date(2026, 12, 14))

    assert retaining.prune_series(at=OVER - timedelta(seconds=1)) == 0
    assert retaining.prune_series(at=OVER) == 1


def test_the_hourly_task_and_the_command_forget_series_too(hub: hubs.TestHub) -> None:
    hubs.make_series(hub)
    clock.configure(OVER + timedelta(days=60), speed=0)
    said = StringIO()

    call_command("vtn_prune", "--dry-run", stdout=said)
    assert "1 series over for 90 days would be deleted." in said.getvalue()
    prune_messages()
    assert not EventSeries.objects.exists()
