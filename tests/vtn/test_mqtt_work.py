"""What the bridge does in groups: who is told when, and how often the database is asked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oadr import codec, mqtt, topics
from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.vtn import hubs
from tests.vtn.hubs import notice_to, only_event
from vtn import enrolling, messagelog, registering
from vtn.models import MessageState, QueuedMessage, Ven, WireLog
from vtn.notices import vtn_id
from vtn.port import START, Vtn
from vtn.transports import mqtt_work
from vtn.transports.mqtt import REPLIED_WITHIN_SECONDS, TAKEN_WITHIN_SECONDS, Bridge, Broker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keep_the_tests_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_work, "close_old_connections", lambda: None)


def connected(count: int) -> list[hubs.TestHub]:
    fleet = [hubs.registered_hub(f"hub{number}") for number in range(count)]
    Ven.objects.update(transport_name="xmpp")
    return fleet


def publish(vtn: Vtn, fleet: list[hubs.TestHub]) -> None:
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    interval = Interval(starts_at, starts_at + timedelta(hours=2))
    vtn.publish_many({hub.ven_id: notice_to(hub.ven_id, interval=interval) for hub in fleet}, at=clock.now())


def fan_out(fleet: list[hubs.TestHub], doubted: set[int] | None, **changes: Any) -> mqtt_work.Fanned:
    settings: dict[str, Any] = {
        "arrived": (),
        "returned": (),
        "online": frozenset(hub.ven_id for hub in fleet),
        "is_vouching": doubted is None,
        "vtn_id": vtn_id(),
        "holder": "bridge",
    }
    return mqtt_work.fan_out(doubted=doubted, **(settings | changes))


def told(fanned: mqtt_work.Fanned) -> list[str]:
    names = []
    for saying in fanned.sayings:
        address = topics.taken_apart(saying.topic)
        assert address is not None
        names.append(address.name)
    return names


def keys(fleet: list[hubs.TestHub]) -> set[int]:
    return {hub.ven.pk for hub in fleet}


@pytest.mark.parametrize("is_all", [True, False], ids=["all", "doubted"])
def test_many_are_told_a_group_at_a_time_and_each_once(
    vtn: Vtn, monkeypatch: pytest.MonkeyPatch, is_all: bool
) -> None:
    monkeypatch.setattr(mqtt_work, "MOST_TOLD", 2)
    fleet = connected(5)
    publish(vtn, fleet)

    groups = [fan_out(fleet, None if is_all else keys(fleet))]
    while groups[-1].left:
        groups.append(fan_out(fleet, groups[-1].left))

    assert [len(group.sayings) for group in groups] == [2, 2, 1]
    assert sorted(name for group in groups for name in told(group)) == sorted(hub.ven_id for hub in fleet)
    assert not fan_out(fleet, None).sayings
    assert set(QueuedMessage.objects.values_list("delivered_by", "state")) == {
        ("mqtt", MessageState.DELIVERED)
    }


def test_who_is_not_connected_is_left_to_a_poll(vtn: Vtn) -> None:
    fleet = connected(2)
    publish(vtn, fleet)

    fanned = fan_out(fleet[:1], keys(fleet))

    assert told(fanned) == [fleet[0].ven_id]
    assert not fanned.left
    assert QueuedMessage.objects.get(ven=fleet[1].ven).state == MessageState.QUEUED


def test_a_campaign_is_told_in_as_many_statements_for_six_as_for_three(vtn: Vtn) -> None:
    fleet = connected(9)
    publish(vtn, fleet)
    counts = []
    for some in (fleet[:3], fleet[3:]):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert len(fan_out(some, keys(some)).sayings) == len(some)
        counts.append(len(asked))

    assert counts[1] == counts[0] - 1, "what all are told alike is read and rendered once"


def test_answers_are_taken_in_as_many_statements_for_six_as_for_three(
    vtn: Vtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messagelog, "note", lambda exchange: None)  # which gathers where a bridge runs
    fleet = connected(9)
    publish(vtn, fleet)
    said = {
        cast(topics.Address, topics.taken_apart(saying.topic)).name: saying
        for saying in fan_out(fleet, None).sayings
    }
    counts = []
    for some in (fleet[:3], fleet[3:]):
        heard = []
        for hub in some:
            saying = said[hub.ven_id]
            event = only_event(codec.parse(saying.payload))
            ok = codec.serialise(m.Response(m.EiResponse(), hub.ven_id))
            replied = topics.topic(vtn_id(), hub.ven_id, "down-reply")
            heard.append(mqtt.Publish(replied, ok, packet_id=1, correlation=saying.correlation))
            answer = codec.serialise(hub.answer_to(event))
            heard.append(
                mqtt.Publish(topics.topic(vtn_id(), hub.ven_id, "up", "EiEvent"), answer, packet_id=2)
            )
        with CaptureQueriesContext(connection) as asked:
            taken = mqtt_work.take(heard, vtn_id=vtn_id())
        assert len(taken.replies) == len(some)
        assert not taken.ven_keys, "nothing more waits for them"
        counts.append(len(asked))

    assert counts[0] == counts[1]
    assert len(vtn.opts_since(START)[0]) == 9
    assert set(QueuedMessage.objects.values_list("state", flat=True)) == {MessageState.ANSWERED}


def test_a_reply_without_a_certificate_in_force_is_barred_whatever_it_answers(vtn: Vtn) -> None:
    (hub,) = connected(1)
    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=clock.now())
    topic = topics.topic(vtn_id(), hub.ven_id, "down-reply")

    taken = mqtt_work.take(
        [mqtt.Publish(topic, b"<x/>", packet_id=1, correlation=b"1:events")], vtn_id=vtn_id()
    )

    assert taken.barred == {hub.ven_id}
    assert WireLog.objects.filter(code="no_certificate_in_force").count() == 1
    assert fan_out([hub], None).barred == {hub.ven_id}


def replied(hub: hubs.TestHub, message: m.Message, correlation: bytes = b"") -> mqtt_work.Taken:
    topic = topics.topic(vtn_id(), hub.ven_id, "down-reply")
    body = codec.serialise(message)
    return mqtt_work.take([mqtt.Publish(topic, body, packet_id=1, correlation=correlation)], vtn_id=vtn_id())


def test_a_reply_that_names_its_request_counts_without_correlation() -> None:
    (hub,) = connected(1)
    registering.cancel_registration(ven_id=hub.ven_id, at=clock.now(), by="staff:7")
    (saying,) = fan_out([hub], None).sayings
    asked = codec.parse(saying.payload)
    assert isinstance(asked, m.CancelPartyRegistration)

    replied(
        hub,
        m.CanceledPartyRegistration(
            m.EiResponse(request_id=asked.request_id), asked.registration_id, hub.ven_id
        ),
    )

    hub.ven.refresh_from_db()
    assert not hub.ven.is_registered
    assert QueuedMessage.objects.get().state == MessageState.ANSWERED


def test_a_reply_that_answers_nothing_to_be_told_is_noted_and_closes_nothing() -> None:
    (hub,) = connected(1)
    registering.request_reregistration(ven_id=hub.ven_id, at=clock.now(), by="staff:7")
    assert fan_out([hub], None).sayings

    replied(hub, m.Response(m.EiResponse(), hub.ven_id))

    assert QueuedMessage.objects.get().state == MessageState.DELIVERED
    assert WireLog.objects.get().code == "no_correlation"


def test_answers_to_events_count_in_the_reply_too(vtn: Vtn) -> None:
    (hub,) = connected(1)
    publish(vtn, [hub])
    (saying,) = fan_out([hub], None).sayings
    event = only_event(codec.parse(saying.payload))

    replied(hub, hub.answer_to(event, "optOut"), saying.correlation)

    assert [opt.opt for opt in vtn.opts_since(START)[0]] == ["out"]
    assert QueuedMessage.objects.get().state == MessageState.ANSWERED


def test_a_message_of_another_kind_follows_once_the_events_are_answered(vtn: Vtn) -> None:
    (hub,) = connected(1)
    publish(vtn, [hub])
    registering.request_reregistration(ven_id=hub.ven_id, at=clock.now(), by="staff:7")
    (first,) = fan_out([hub], None).sayings
    event = only_event(codec.parse(first.payload))
    answer = codec.serialise(hub.answer_to(event))
    topic = topics.topic(vtn_id(), hub.ven_id, "up", "EiEvent")

    taken = mqtt_work.take([mqtt.Publish(topic, answer, packet_id=1)], vtn_id=vtn_id())

    assert taken.ven_keys == {hub.ven.pk}
    (second,) = fan_out([hub], taken.ven_keys).sayings
    assert isinstance(codec.parse(second.payload), m.RequestReregistration)


def test_what_is_heard_waits_for_those_being_told_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker("localhost", 1, Path(), Path(), Path(), client_id="vtn")
    bridge = Bridge(broker, vtn_id="VTN")
    assert bridge.may_take()
    now = 1000.0
    monkeypatch.setattr("vtn.transports.mqtt.time.monotonic", lambda: now)
    bridge.is_subscribed = True
    bridge.fan_out()
    assert not bridge.may_take()

    now += TAKEN_WITHIN_SECONDS

    assert bridge.may_take()
    bridge.pool.shutdown()


def test_replies_wait_while_more_is_taken_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = Bridge(Broker("localhost", 1, Path(), Path(), Path(), client_id="vtn"), vtn_id="VTN")
    now = 1000.0
    monkeypatch.setattr("vtn.transports.mqtt.time.monotonic", lambda: now)
    first, second = bridge.lanes
    reply = mqtt_work.Saying("oadr2b/VTN/ven/1/up-reply", b"<oadrResponse/>")
    second.is_taking = True

    bridge.have_taken(first, [], mqtt_work.Taken(replies=[reply]))
    assert not bridge.unsent
    bridge.have_taken(second, [], mqtt_work.Taken())
    assert list(bridge.unsent) == [reply]

    bridge.unsent.clear()
    second.is_taking = True
    bridge.have_taken(first, [], mqtt_work.Taken(replies=[reply]))
    now += REPLIED_WITHIN_SECONDS
    bridge.work()
    assert list(bridge.unsent) == [reply]
    bridge.pool.shutdown()
