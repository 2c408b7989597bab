"""Events by when they are: one entry for a campaign, and none lost or counted twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import day_interval
from tests.vtn import hubs
from tests.vtn.hubs import AT, STARTS_AT, notice_to
from vtn import console_calendar, event_calendar, sending
from vtn.content import EventContent, SignalContent
from vtn.models import Event, Ven, VenGroup
from vtn.port import VenId, Vtn

HOUR = timedelta(hours=1)
DAY = Interval(datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC))


def content(starts_at: datetime = STARTS_AT, *, level: float = 2.0, seconds: int = 3600) -> EventContent:
    signals = (SignalContent("LOAD_DISPATCH", "setpoint", ((seconds, level),), "w"),)
    return EventContent(VenId("x"), "http://coop.example/turn-down", starts_at, seconds, signals)


def make_vens(count: int) -> list[str]:
    Ven.objects.bulk_create(
        [Ven(ven_id=f"V{number:03}", ven_name=f"hub {number}", enrolled_at=AT) for number in range(count)]
    )
    return [f"V{number:03}" for number in range(count)]


def send(what: EventContent, *ven_ids: str) -> dict[str, str]:
    sent = sending.send_events(content=what, ven_ids=ven_ids, key=uuid4(), at=AT, by="user:1")
    return {ven: str(event_id) for ven, event_id in sent.items()}


@pytest.mark.django_db
def test_a_campaign_is_one_entry_and_counts_what_was_called_off() -> None:
    vens = make_vens(20)
    sent = send(content(), *vens)
    for ven in vens[:3]:
        sending.cancel_event(event_id=sent[ven], reason="", at=AT, by="user:1")

    (entry,) = event_calendar.entries(DAY, at=AT)

    assert (entry.events, entry.cancelled, entry.contents) == (20, 3, 1)
    assert entry.starts_at == STARTS_AT
    assert entry.state(at=AT) == "pending"
    assert entry.state(at=STARTS_AT) == "active"
    assert entry.state(at=STARTS_AT + HOUR) == "completed"
    said = event_calendar.said_by([entry])[entry.pk]
    assert event_calendar.words(said.signals) == "LOAD_DISPATCH setpoint 2 w"


@pytest.mark.django_db
@pytest.mark.parametrize(("levels", "entries"), [(1, 1), (3, 3), (4, 1), (9, 1)])
def test_each_hub_its_own_power_is_one_entry_still(levels: int, entries: int) -> None:
    vens = make_vens(18)
    for number, ven in enumerate(vens):
        send(content(level=float(number % levels)), ven)

    found = event_calendar.entries(DAY, at=AT)

    assert len(found) == entries
    assert sum(each.events for each in found) == 18
    assert sum(each.contents for each in found) == levels


@pytest.mark.django_db
def test_another_start_length_context_or_kind_is_another_entry() -> None:
    (ven,) = make_vens(1)
    one = content()
    others = [
        replace(one, starts_at=STARTS_AT + HOUR),
        content(seconds=7200),
        replace(one, market_context="http://coop.example/other"),
        replace(one, is_test=True),
    ]
    for each in (one, *others):
        send(each, ven)

    assert [each.events for each in event_calendar.entries(DAY, at=AT)] == [1] * 5


@pytest.mark.django_db
def test_what_runs_into_the_span_is_in_it_and_what_is_over_is_not() -> None:
    (ven,) = make_vens(1)
    evening = DAY.ends_at - HOUR
    send(content(evening, seconds=3600), ven)  # to midnight
    send(content(evening, seconds=7200), ven)  # past it
    off = send(content(evening, seconds=10_800), ven)[ven]
    sending.cancel_event(event_id=off, reason="", at=AT, by="user:1")
    send(content(evening, seconds=0), ven)  # until it is called off

    next_day = Interval(DAY.ends_at, DAY.ends_at + timedelta(days=1))

    assert len(event_calendar.entries(DAY, at=AT)) == 4
    assert [each.duration_seconds for each in event_calendar.entries(next_day, at=AT)] == [7200]


@pytest.mark.django_db
def test_filters_narrow_what_an_entry_counts(vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    VenGroup.objects.create(name="street").vens.add(hub.ven)
    for each in (hub, stranger):
        vtn.publish(notice_to(each.ven_id), key=each.ven_id, at=AT)
    hub.polls(at=AT)

    def counts(**filters: str) -> list[int]:
        return [each.events for each in event_calendar.entries(DAY, at=AT, **filters)]

    assert counts() == [2]
    assert counts(ven_id=hub.ven_id) == counts(group="street") == [1]
    assert counts(market_context="https://coop.example/turn-down") == counts(state="pending") == [2]
    assert counts(state="undelivered") == counts(state="unanswered") == [1]
    assert counts(ven_id="VEN-none") == counts(group="none") == counts(state="completed") == []
    assert [each.delivered for each in event_calendar.entries(DAY, at=AT)] == [1]


@pytest.mark.django_db
def test_a_row_of_before_contents_were_told_apart_is_an_entry_of_its_own() -> None:
    send(content(), *make_vens(2))
    Event.objects.update(content_digest="")

    assert [each.events for each in event_calendar.entries(DAY, at=AT)] == [1, 1]


@pytest.mark.django_db
def test_three_hundred_ask_as_much_as_one() -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            event_calendar.said_by(event_calendar.entries(DAY, at=AT))
        return len(queries)

    vens = make_vens(300)
    send(content(), vens[0])
    assert asked() == 2
    send(content(), *vens)
    assert asked() == 2


class EverySpan(TestCase):
    """Grouping against the rows themselves."""

    @settings(max_examples=25)
    @given(
        events=st.lists(
            st.tuples(
                st.integers(-60, 60),  # hours from the start of the span
                st.sampled_from([900, 3600, 50_000]),
                st.integers(1, 6),
                st.sampled_from(["http://coop.example/a", "http://coop.example/b"]),
                st.booleans(),
            ),
            max_size=30,
        ),
        days=st.integers(1, 9),
    )
    def test_the_entries_sum_to_the_rows(
        self, events: list[tuple[int, int, int, str, bool]], days: int
    ) -> None:
        (ven,) = make_vens(1)
        pk = Ven.objects.get(ven_id=ven).pk
        span = Interval(DAY.starts_at, DAY.starts_at + timedelta(days=days))
        rows = []
        for number, (hours, seconds, level, context, is_off) in enumerate(events):
            starts_at = span.starts_at + hours * HOUR
            told = replace(content(starts_at, level=float(level), seconds=seconds), market_context=context)
            rows.append(
                Event(
                    event_id=str(number),
                    key=str(number),
                    ven_id=pk,
                    market_context=context,
                    starts_at=starts_at,
                    duration_seconds=seconds,
                    closes_at=told.closes_at,
                    signals=[],
                    content_digest=told.digest,
                    published_at=AT,
                    cancelled_at=AT if is_off else None,
                )
            )
        Event.objects.bulk_create(rows)

        found = event_calendar.entries(span, at=AT)

        begun = [each for each in rows if span.starts_at <= each.starts_at < span.ends_at]
        counted = [each for each in found if span.starts_at <= each.starts_at]
        assert sum(each.events for each in counted) == len(begun)
        assert sum(each.cancelled for each in counted) == sum(each.cancelled_at is not None for each in begun)
        places = Counter((each.starts_at, each.duration_seconds, each.market_context) for each in begun)
        summed: Counter[tuple[datetime, int, str]] = Counter()
        for each in counted:
            summed[(each.starts_at, each.duration_seconds, each.market_context)] += each.events
        assert summed == places
        assert all(
            number <= event_calendar.MOST_CONTENTS
            for number in Counter(
                (each.starts_at, each.duration_seconds, each.market_context) for each in found
            ).values()
        )
        running = {
            (each.starts_at, each.duration_seconds, each.market_context)
            for each in rows
            if each.cancelled_at is None
            and each.starts_at < span.starts_at
            and each.starts_at + timedelta(seconds=each.duration_seconds) > span.starts_at
        }
        assert running == {
            (each.starts_at, each.duration_seconds, each.market_context)
            for each in found
            if each.starts_at < span.starts_at
        }


@given(st.dates(date(2001, 1, 1), date(2099, 1, 1)), st.sampled_from(["month", "week", "day"]))
def test_a_view_is_whole_days_that_follow_on_and_holds_its_day(day: date, view: str) -> None:
    days = console_calendar.days_of(view, day)

    assert day in days
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
    if view != "day":
        assert (days[0].weekday(), days[-1].weekday()) == (0, 6)
    hours = sum((day_interval(each).duration for each in days), timedelta())
    assert hours == day_interval(days[-1]).ends_at - day_interval(days[0]).starts_at
    back = console_calendar.moved(view, console_calendar.moved(view, day, 1), -1)
    assert back == (day.replace(day=1) if view == "month" else day)


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2026, 10, 25), "Sunday 25 October has 25 hours"),
        (date(2027, 3, 28), "Sunday 28 March has 23 hours"),
        (date(2026, 11, 24), ""),
    ],
)
def test_a_day_on_which_the_clocks_change_says_so(day: date, words: str) -> None:
    assert console_calendar.clock_change(day).startswith(words)
    assert bool(console_calendar.clock_change(day)) == bool(words)
