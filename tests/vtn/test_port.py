"""The port as the rooms above use it: publish, amend, cancel, the feed of opts, how far an event has come."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from oadr import messages as m
from opendsr.kernel.interval import Interval
from tests.vtn import hubs
from tests.vtn.hubs import AT, HOUR, STARTS_AT, notice_to, only_event
from vtn import publishing
from vtn.models import Event
from vtn.port import (
    START,
    EventClosed,
    NoticeInvalid,
    Signal,
    SignalInterval,
    UnknownEvent,
    UnknownVen,
    VenId,
    Vtn,
    VtnEventId,
)
from vtn.service import EmbeddedVtn

pytestmark = pytest.mark.django_db

END = STARTS_AT + timedelta(hours=2)


def simple(*values: float, seconds: int = 2 * HOUR) -> tuple[Signal, ...]:
    each = seconds // len(values)
    return (Signal("SIMPLE", "level", tuple(SignalInterval(each, value) for value in values)),)


def test_publishing_the_same_key_again_is_the_same_event(vtn: Vtn, hub: hubs.TestHub) -> None:
    first = vtn.publish(notice_to(hub.ven_id), key="campaign-1:hub-1", at=AT)
    again = vtn.publish(notice_to(hub.ven_id, comment="another"), key="campaign-1:hub-1", at=AT)

    assert again == first
    assert Event.objects.get().comment == ""


def test_many_are_published_in_few_queries(
    vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub, django_assert_max_num_queries: object
) -> None:
    notices = {f"k{number}": notice_to((hub, stranger)[number % 2].ven_id) for number in range(500)}

    with django_assert_max_num_queries(8):  # type: ignore[operator]
        published = EmbeddedVtn().publish_many(notices, at=AT)

    assert published.keys() == notices.keys()
    assert len(set(published.values())) == 500
    assert EmbeddedVtn().publish_many({}, at=AT) == {}


def test_many_of_which_some_are_there_are_published_once_each(vtn: Vtn, hub: hubs.TestHub) -> None:
    keys = [f"k{number:04d}" for number in range(publishing.MANY + 1)]
    first = vtn.publish(notice_to(hub.ven_id), key=keys[500], at=AT)

    published = vtn.publish_many({key: notice_to(hub.ven_id) for key in keys}, at=AT)
    again = vtn.publish_many({key: notice_to(hub.ven_id) for key in keys}, at=AT)

    assert published[keys[500]] == first
    assert again == published
    assert set(Event.objects.values_list("event_id", flat=True)) == set(published.values())
    assert Event.objects.count() == len(keys)


@pytest.mark.parametrize(
    ("key", "resource_ids"),
    [("", ()), ("k" * 201, ()), ("k", ("a\x01",)), ("k", tuple(map(str, range(501))))],
)
def test_one_addressee_that_cannot_be_told_stops_them_all(
    vtn: Vtn, hub: hubs.TestHub, key: str, resource_ids: tuple[str, ...]
) -> None:
    notice = notice_to(hub.ven_id)
    sound, other = ("sound", VenId(hub.ven_id), ()), (key, VenId(hub.ven_id), resource_ids)

    with pytest.raises(NoticeInvalid):
        vtn.publish_alike([(notice, [sound, other])], at=AT)

    assert not Event.objects.exists()


def test_one_unknown_ven_stops_them_all(vtn: Vtn, hub: hubs.TestHub) -> None:
    with pytest.raises(UnknownVen):
        vtn.publish_many({"a": notice_to(hub.ven_id), "b": notice_to("VEN-unknown")}, at=AT)

    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"signals": ()},
        {"signals": simple(4.0)},
        {"signals": simple(0.5)},
        {"signals": simple(1.0, seconds=HOUR)},
        {"signals": (Signal("SIMPLE", "price", (SignalInterval(2 * HOUR, 1.0),)),)},
        {"signals": (Signal("NO_SUCH", "level", (SignalInterval(2 * HOUR, 1.0),)),)},
        {"signals": (Signal("LOAD_DISPATCH", "wish", (SignalInterval(2 * HOUR, 1.0),)),)},
        {"signals": (Signal("x-own", "level", (SignalInterval(2 * HOUR, float("nan")),)),)},
        {"signals": (Signal("x-own", "level", (SignalInterval(2 * HOUR, 1.0),), unit="furlong"),)},  # type: ignore[arg-type]
        {"interval": Interval(STARTS_AT, STARTS_AT + timedelta(seconds=1.5))},
        {"comment": "bell \x07"},
        {"comment": "c" * 501},
        {"market_context": "m" * 201},
        {"notification_seconds": -1},
        {"start_tolerance_seconds": -1},
        {"priority": -1},
        {"ramp_up_seconds": 2**31},
    ],
)
def test_a_notice_that_breaks_a_rule_is_refused(
    vtn: Vtn, hub: hubs.TestHub, changes: dict[str, object]
) -> None:
    with pytest.raises(NoticeInvalid):
        vtn.publish(notice_to(hub.ven_id, **changes), key="k", at=AT)

    assert not Event.objects.exists()


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_a_key_has_a_sensible_length(vtn: Vtn, hub: hubs.TestHub, key: str) -> None:
    with pytest.raises(NoticeInvalid):
        vtn.publish(notice_to(hub.ven_id), key=key, at=AT)


def test_everything_in_a_notice_reaches_the_hub(vtn: Vtn, hub: hubs.TestHub) -> None:
    price = Signal(
        "ELECTRICITY_PRICE",
        "price",
        (SignalInterval(HOUR, 0.1525), SignalInterval(HOUR, -0.02)),
        unit="gbp_per_kwh",
    )
    power = Signal("LOAD_DISPATCH", "setpoint", (SignalInterval(2 * HOUR, 1.38),), unit="kw")
    vtn.publish(
        notice_to(
            hub.ven_id,
            signals=(*simple(1.0, 3.0), price, power),
            notification_seconds=4 * HOUR,
            ramp_up_seconds=300,
            recovery_seconds=-60,
            start_tolerance_seconds=120,
            priority=2,
            response_required=False,
            test=True,
            comment="Diolch",
            resource_ids=("asset-1", "asset-2"),
        ),
        key="k",
        at=AT,
    )

    event = only_event(hub.polls())

    assert event.active_period == m.ActivePeriod(STARTS_AT, 2 * HOUR, 120, 4 * HOUR, 300, -60)
    assert [signal.name for signal in event.signals] == ["SIMPLE", "ELECTRICITY_PRICE", "LOAD_DISPATCH"]
    assert [interval.value for interval in event.signals[1].intervals] == [0.1525, -0.02]
    assert event.signals[1].unit == m.Unit("currencyPerKWh", "currencyPerKWh", "GBP", "none")
    assert event.signals[2].unit is not None
    assert (event.signals[2].unit.name, event.signals[2].unit.scale) == ("powerReal", "k")
    assert event.target == m.Target(ven_ids=(hub.ven_id,), resource_ids=("asset-1", "asset-2"))
    assert (event.priority, event.is_response_required, event.is_test) == (2, False, True)
    assert event.vtn_comment == "Diolch"
    assert event.created_at == AT


def test_amending_counts_up_only_when_something_changes(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)

    assert vtn.amend(event_id, notice_to(hub.ven_id), at=AT) == 0
    assert vtn.amend(event_id, notice_to(hub.ven_id, signals=simple(3.0)), at=AT, reason="more") == 1
    assert vtn.amend(event_id, notice_to(hub.ven_id, resource_ids=("a",)), at=AT) == 2

    event = only_event(hub.polls())
    assert event.modification_number == 2
    assert event.target.resource_ids == ("a",)


def test_an_amended_event_is_handed_over_again(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    hub.answers(only_event(hub.polls()))
    assert isinstance(hub.polls(), m.Response)

    vtn.amend(event_id, notice_to(hub.ven_id, signals=simple(1.0)), at=AT)

    assert not vtn.acknowledgement(event_id, at=AT).is_current_delivered
    assert only_event(hub.polls()).signals[0].intervals[0].value == 1.0
    assert vtn.acknowledgement(event_id, at=AT).state == "delivered"


def test_an_event_never_changes_its_ven(vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)

    with pytest.raises(NoticeInvalid):
        vtn.amend(event_id, notice_to(stranger.ven_id), at=AT)


def test_what_is_over_or_cancelled_cannot_be_amended(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    with pytest.raises(EventClosed):
        vtn.amend(event_id, notice_to(hub.ven_id, comment="late"), at=END)

    vtn.cancel(event_id, at=AT)
    with pytest.raises(EventClosed):
        vtn.amend(event_id, notice_to(hub.ven_id, comment="late"), at=AT)


def test_cancelling_again_or_after_the_end_changes_nothing(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    vtn.cancel(event_id, at=END)
    assert vtn.acknowledgement(event_id, at=END).state == "expired"

    vtn.cancel(event_id, at=AT)
    vtn.cancel(event_id, at=AT)

    assert Event.objects.get().modification_number == 1


def test_unknown_events_are_said_to_be_so(vtn: Vtn, hub: hubs.TestHub) -> None:
    nothing = VtnEventId("nothing")
    with pytest.raises(UnknownEvent):
        vtn.amend(nothing, notice_to(hub.ven_id), at=AT)
    with pytest.raises(UnknownEvent):
        vtn.cancel(nothing, at=AT)
    with pytest.raises(UnknownEvent):
        vtn.acknowledgement(nothing, at=AT)
    assert vtn.acknowledgements([nothing], at=AT) == {}


def test_the_way_of_an_event(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    queued = vtn.acknowledgement(event_id, at=AT)
    event = only_event(hub.polls(at=AT + timedelta(minutes=1)))
    delivered = vtn.acknowledgement(event_id, at=AT)
    hub.answers(event, "optOut", at=AT + timedelta(minutes=2))
    acknowledged = vtn.acknowledgement(event_id, at=AT)
    vtn.cancel(event_id, at=AT)
    cancelled = vtn.acknowledgement(event_id, at=AT)

    assert (queued.state, queued.delivered_at, queued.opt) == ("queued", None, None)
    assert (delivered.state, delivered.delivered_at) == ("delivered", AT + timedelta(minutes=1))
    assert delivered.is_current_delivered
    assert (acknowledged.state, acknowledged.opt) == ("acknowledged", "out")
    assert acknowledged.acknowledged_at == AT + timedelta(minutes=2)
    assert (cancelled.state, cancelled.is_current_delivered) == ("cancelled", False)


def test_an_event_never_fetched_expires(vtn: Vtn, hub: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(hub.ven_id), key="k", at=AT)

    assert vtn.acknowledgement(event_id, at=END - timedelta(seconds=1)).state == "queued"
    assert vtn.acknowledgement(event_id, at=END).state == "expired"


def test_the_feed_gives_every_opt_once_in_order(vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    vtn.publish_many({"a": notice_to(hub.ven_id), "b": notice_to(stranger.ven_id)}, at=AT)
    event, other = only_event(hub.polls()), only_event(stranger.polls())
    assert vtn.opts_since(START) == ([], START)

    hub.answers(event, "optIn")
    stranger.answers(other, "optOut")
    first, cursor = vtn.opts_since(START, limit=1)
    hub.opts(event, "optOut")
    rest, cursor = vtn.opts_since(cursor)

    assert [(opt.ven_id, opt.opt, opt.source) for opt in [*first, *rest]] == [
        (hub.ven_id, "in", "created_event"),
        (stranger.ven_id, "out", "created_event"),
        (hub.ven_id, "out", "create_opt"),
    ]
    assert rest[-1].reason == "overrideStatus"
    assert rest[-1].sequence > first[0].sequence
    assert vtn.opts_since(cursor) == ([], cursor)
    assert vtn.reports_since(START) == ([], START)


@pytest.mark.django_db(transaction=True)
def test_the_feed_never_skips_an_opt_that_commits_late(vtn: Vtn) -> None:
    slow, quick = hubs.registered_hub("slow"), hubs.registered_hub("quick")
    vtn.publish_many({"a": notice_to(slow.ven_id), "b": notice_to(quick.ven_id)}, at=AT)
    slow_event, quick_event = only_event(slow.polls()), only_event(quick.polls())
    taken, may_commit = threading.Event(), threading.Event()

    def answer_slowly() -> None:
        try:
            with transaction.atomic():
                slow.answers(slow_event)
                taken.set()
                may_commit.wait(60)
        finally:
            connection.close()

    thread = threading.Thread(target=answer_slowly)
    thread.start()
    assert taken.wait(60)
    quick.answers(quick_event)
    early, cursor = vtn.opts_since(START)
    may_commit.set()
    thread.join()
    late, _ = vtn.opts_since(cursor)

    assert [opt.ven_id for opt in early] == [quick.ven_id]
    assert [opt.ven_id for opt in late] == [slow.ven_id]
    assert late[0].sequence < early[0].sequence
