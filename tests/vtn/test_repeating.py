"""An event again and again: by weekday and local time, over changes of the clock and bank holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.periods import LONDON, bank_holidays_england_wales
from tests.vtn import hubs
from tests.vtn.hubs import AT
from tests.vtn.people import browser
from vtn import repeating
from vtn.models import Event, EventDraft

pytestmark = pytest.mark.django_db
COMPOSE = "/vtn/events/new/"


@pytest.fixture
def ada(db: None) -> Client:
    clock.configure(AT, speed=0)
    return browser("administrator")


def written(hub: hubs.TestHub, **changes: object) -> dict[str, object]:
    """A form filled in: an hour at 17:00 on Mondays and Wednesdays before Christmas 2026."""
    fields: dict[str, object] = {
        "key": str(uuid4()),
        "ven_ids": hub.ven_id,
        "market_context": "http://coop.example/peak",
        "starts_at": "2026-12-14T17:00",
        "signal": "SIMPLE",
        "signal_type": "level",
        "intervals": "60:1",
        "notification_minutes": "30",
        "ramp_up_minutes": "0",
        "recovery_minutes": "0",
        "start_tolerance_minutes": "0",
        "priority": "0",
        "more": "0",
        "repeat_on": ["0", "2"],
        "repeat_until": "2026-12-30",
        "skips_holidays": "on",
    }
    return fields | changes


def days(events: list[datetime]) -> list[tuple[int, int]]:
    return [(each.month, each.day) for each in events]


def only_full_set(hub: hubs.TestHub) -> tuple[m.Event, ...]:
    message = hub.polls()
    assert isinstance(message, m.DistributeEvent)
    return message.events


def test_a_series_is_seen_sent_once_and_each_time_is_cancelled_by_itself(
    ada: Client, hub: hubs.TestHub
) -> None:
    fields = written(hub)

    shown = ada.post(COMPOSE, fields).content.decode()

    assert "5 times" in shown  # 28 December is a bank holiday in 2026
    assert "Wed 30 Dec 2026, 17:00" in shown
    assert not Event.objects.exists()
    for _ in range(2):
        assert ada.post(COMPOSE, fields | {"send": "yes"}).status_code == 302
    events = list(Event.objects.order_by("starts_at"))
    assert days([each.starts_at for each in events]) == [(12, 14), (12, 16), (12, 21), (12, 23), (12, 30)]
    assert {each.starts_at.hour for each in events} == {17}
    assert len(only_full_set(hub)) == 5
    ada.post(f"/vtn/events/{events[1].event_id}/cancel/", {"reason": "windy"})
    assert Event.objects.filter(cancelled_at=None).count() == len(events) - 1


def test_a_series_is_kept_as_drafts_that_are_sent_one_by_one(ada: Client, hub: hubs.TestHub) -> None:
    fields = written(hub)
    for _ in range(2):
        ada.post(COMPOSE, fields | {"keep": "yes"})

    drafts = list(EventDraft.objects.order_by("content__starts_at"))
    assert len(drafts) == len({each.content["starts_at"] for each in drafts}) == 5
    assert not Event.objects.exists()
    listed = ada.get("/vtn/events/").content.decode()
    assert all(f"{day} Dec 2026, 17:00 GMT</a>" in listed for day in (14, 16, 21, 23, 30))
    form = ada.get(f"{COMPOSE}?draft={drafts[2].draft_id}").content.decode()
    assert str(drafts[2].draft_id) in form


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repeat_until": ""}, "Repeat until: Write the last day of the series"),
        ({"repeat_on": []}, "Repeat on: Choose the weekdays of the series"),
        ({"repeat_until": "2026-12-01"}, "is before the start or over a year after it"),
        ({"repeat_until": "2028-12-01"}, "is before the start or over a year after it"),
        (
            {"repeat_until": "2026-12-14", "repeat_on": ["3"]},
            "Repeat until: No chosen weekday lies in",
        ),
        ({"repeat_until": "2027-12-13", "repeat_on": list("0123456")}, "times, at most 100"),
        ({"repeat_until": "soon"}, "Repeat until: Enter a valid date"),
        ({"repeat_on": ["9"]}, "Repeat on: Select a valid choice"),
    ],
)
def test_what_is_no_series_is_said_at_its_field(
    changes: dict[str, object], words: str, ada: Client, hub: hubs.TestHub
) -> None:
    for press in ("send", "keep"):
        response = ada.post(COMPOSE, written(hub, **changes) | {press: "yes", "comment": "keep me"})
        assert response.status_code == 422
        assert words in response.content.decode()
        assert "keep me" in response.content.decode()
        assert 'href="#id_repeat_' in response.content.decode()

    assert not Event.objects.exists()
    assert not EventDraft.objects.exists()


def test_a_series_of_too_many_events_is_refused_before_anything_is_written() -> None:
    with pytest.raises(repeating.SeriesInvalid, match="100 times 201 VENs, at most 20000 events"):
        repeating.require_few(100, 201)
    repeating.require_few(1, 10_000)


@given(
    first=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(
        lambda at: at.replace(microsecond=0)
    ),
    length=st.integers(0, 99),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    skips_holidays=st.booleans(),
)
def test_a_series_keeps_its_local_time_on_its_weekdays(
    first: datetime, length: int, weekdays: set[int], skips_holidays: bool
) -> None:
    starts_at = first.replace(tzinfo=LONDON).astimezone(UTC)
    local = starts_at.astimezone(LONDON)
    until = local.date() + timedelta(days=length)
    wanted = [
        day
        for day in (local.date() + timedelta(days=n) for n in range(length + 1))
        if day.weekday() in weekdays and not (skips_holidays and day in bank_holidays_england_wales(day.year))
    ]
    rhythm = repeating.Rhythm(tuple(weekdays), until, skips_holidays)
    if not wanted:
        with pytest.raises(repeating.SeriesInvalid):
            repeating.starts(starts_at, rhythm)
        return

    found = repeating.starts(starts_at, rhythm)

    assert [each.astimezone(LONDON).date() for each in found] == wanted
    for each in found:
        clock_time = each.astimezone(LONDON).time()
        is_gap = clock_time != local.time()
        assert not is_gap or (local.hour, each.astimezone(LONDON).hour) == (1, 2)


def test_the_clocks_change_in_the_midst_of_a_series() -> None:
    found = repeating.starts(
        datetime(2027, 3, 26, 17, tzinfo=UTC), repeating.Rhythm((0, 4), until=date(2027, 3, 29))
    )

    assert found == [datetime(2027, 3, 26, 17, tzinfo=UTC), datetime(2027, 3, 29, 16, tzinfo=UTC)]
    assert {each.astimezone(LONDON).time() for each in found} == {time(17)}
