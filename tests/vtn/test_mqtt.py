"""OpenADR over MQTT as it runs: Debian's Mosquitto, certificates, access list, a foreign client."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from django.core.management import call_command

from oadr import codec, topics
from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.vtn import brokering, hubs
from tests.vtn.brokering import VTN, Client, Running
from tests.vtn.hubs import AT, notice_to, only_event
from vtn import enrolling
from vtn.models import Event, EventOpt, HandOver, MessageState, QueuedMessage, Ven, WireLog
from vtn.port import START, EventNotice, Vtn
from vtn.transports import broker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def running(pki_folder: Path, tmp_path_factory: pytest.TempPathFactory, django_db_setup: None,
            django_db_blocker: Any) -> Iterator[Running]:  # fmt: skip
    folder = tmp_path_factory.mktemp("broker")
    with django_db_blocker.unblock(), brokering.running(pki_folder, folder) as broker_:
        yield broker_


@pytest.fixture(autouse=True)
def _mqtt_is_offered(settings: Any, running: Running) -> None:
    settings.VTN_MQTT_URL = running.url


@pytest.fixture
def bridge(running: Running, transactional_db: None) -> Iterator[object]:
    with brokering.bridging(running) as bridge:
        yield bridge


@pytest.fixture
def ven(bridge: object, running: Running, transactional_db: None, tmp_path: Path) -> Iterator[Client]:
    """A VEN that has registered for the full binding."""
    hub = hubs.new_hub("hub")
    with brokering.connected(running, hub, tmp_path) as client:
        registers(client)
        yield client


def registers(client: Client, **changes: Any) -> m.CreatedPartyRegistration:
    settings = {
        "ven_id": client.name,
        "transport_name": "xmpp",
        "transport_address": f"mqtt:{client.name}",
        "is_http_pull": None,
    }
    message = m.CreatePartyRegistration("R1", **(settings | changes))
    reply = client.asks("EiRegisterParty", message)
    assert isinstance(reply, m.CreatedPartyRegistration)
    return reply


def notice(ven_id: str) -> EventNotice:
    starts_at = clock.now().replace(microsecond=0) + timedelta(hours=2)
    return notice_to(ven_id, interval=Interval(starts_at, starts_at + timedelta(hours=2)))


def wait_for(what: str, look: Callable[[], bool], seconds: float = brokering.PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited for {what} in vain"
        time.sleep(0.05)


def created(ven_id: str, event: m.Event) -> m.CreatedEvent:
    wanted = m.QualifiedEventId(event.event_id, event.modification_number)
    return m.CreatedEvent(m.EiResponse(request_id="R2"), ven_id, (m.EventResponse(wanted, "optIn", "R2"),))


def test_register_be_told_answer_and_be_asked_again(ven: Client, vtn: Vtn) -> None:
    assert Ven.objects.get().transport_name == "xmpp"
    event_id = vtn.publish(notice(ven.name), key="k", at=AT)

    told = ven.next()
    assert told.topic == topics.topic(VTN, ven.name, "down", "EiEvent")
    assert not told.retain
    event = only_event(codec.parse(told.payload))
    ven.publish(
        told.properties.ResponseTopic,
        codec.serialise(m.Response(m.EiResponse(), ven.name)),
        correlation=told.properties.CorrelationData,
    )
    reply = ven.asks("EiEvent", created(ven.name, event))
    assert reply.response.code == m.OK
    assert [opt.event_id for opt in vtn.opts_since(START)[0]] == [event_id]
    assert ven.asks("EiEvent", created(ven.name, event)).response.code == m.OK, "said twice"
    assert EventOpt.objects.count() == 1
    vtn.cancel(event_id, at=AT)
    assert only_event(codec.parse(ven.next().payload)).status == "cancelled"


@pytest.fixture
def seen_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtn.transports.mqtt.SEEN_SECONDS", 0.2)


def test_whoever_answers_an_event_is_seen(seen_soon: None, ven: Client, vtn: Vtn) -> None:
    vtn.publish(notice(ven.name), key="k", at=AT)
    event = only_event(codec.parse(ven.next().payload))
    before = clock.wall_now()
    Ven.objects.update(last_seen_wall_at=None)
    assert ven.asks("EiEvent", created(ven.name, event)).response.code == m.OK
    wait_for("its being noted", lambda: Ven.objects.filter(last_seen_wall_at__gte=before).exists())


def test_a_reply_over_mqtt_closes_what_the_vtn_began(ven: Client) -> None:
    from vtn import registering

    registering.cancel_registration(ven_id=ven.name, at=AT, by="test")
    asked = ven.next()
    message = codec.parse(asked.payload)
    assert isinstance(message, m.CancelPartyRegistration)

    confirmed = m.CanceledPartyRegistration(
        m.EiResponse(request_id=message.request_id), message.registration_id, ven.name
    )
    ven.publish(
        asked.properties.ResponseTopic,
        codec.serialise(confirmed),
        correlation=asked.properties.CorrelationData,
    )

    wait_for("the end of the registration", lambda: not Ven.objects.get().is_registered)
    asked_of = QueuedMessage.objects.filter(kind="cancel_registration")
    wait_for("its being answered", lambda: asked_of.get().state == MessageState.ANSWERED)


def test_who_pulls_is_woken_and_told_nothing(
    bridge: object, running: Running, vtn: Vtn, tmp_path: Path
) -> None:
    hub = hubs.registered_hub("puller")
    with brokering.connected(running, hub, tmp_path) as client:
        vtn.publish(notice(hub.ven_id), key="k", at=AT)
        woken = client.next()
        assert (woken.topic, woken.payload) == (topics.topic(VTN, hub.ven_id, "wake"), b"")
    assert Event.objects.get().delivered_modification is None


def test_who_comes_late_is_told_on_arrival(
    bridge: object, running: Running, vtn: Vtn, tmp_path: Path
) -> None:
    hub = hubs.new_hub("late")
    with brokering.connected(running, hub, tmp_path) as client:
        registers(client)
        client.leaves()
    vtn.publish(notice(hub.ven_id), key="k", at=AT)
    with brokering.connected(running, hub, tmp_path) as client:
        assert only_event(codec.parse(client.next().payload)).target.ven_ids == (hub.ven_id,)


def test_what_was_said_into_the_void_is_said_again_to_who_comes_back(
    bridge: object, running: Running, vtn: Vtn, tmp_path: Path
) -> None:
    hub = hubs.new_hub("lost")
    with brokering.connected(running, hub, tmp_path) as client:
        registers(client)
    vtn.publish(notice(hub.ven_id), key="k", at=AT)  # its last word was that it is there
    wait_for("the event to be said", lambda: Event.objects.get().delivered_modification is not None)
    Ven.objects.update(poll_seconds=3600)  # no retry comes into it
    QueuedMessage.objects.update(next_try_wall_at=clock.wall_now() + timedelta(hours=1))

    with brokering.connected(running, hub, tmp_path) as client:
        assert only_event(codec.parse(client.next().payload)).target.ven_ids == (hub.ven_id,)


def test_bad_bodies_and_services_are_refused_in_words_and_change_nothing(ven: Client) -> None:
    for service, body in (
        ("EiEvent", b"<x/>"),
        ("EiEvent", b""),
        ("OadrPoll", codec.serialise(m.Poll(ven.name))),
        ("EiEvent", b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>'),
    ):
        assert ven.asks(service, body) == "400"
    wait_for("each in the log", lambda: WireLog.objects.count() == 4)
    assert ven.asks("EiEvent", m.RequestEvent("R", ven.name)).response.code == m.OK


def test_another_venid_is_463_and_a_response_topic_of_ones_choice_is_not_used(
    ven: Client, running: Running, tmp_path: Path
) -> None:
    other = hubs.registered_hub("other")
    with brokering.connected(running, other, tmp_path) as stranger:
        body = codec.serialise(m.RequestEvent("R", other.ven_id))
        elsewhere = topics.topic(VTN, other.ven_id, "down", "EiEvent")
        ven.publish(topics.topic(VTN, ven.name, "up", "EiEvent"), body, reply_to=elsewhere)
        reply = codec.parse(ven.next().payload)
        assert isinstance(reply, m.DistributeEvent)
        assert reply.response is not None
        assert reply.response.code == m.NOT_REGISTERED
        assert stranger.is_left_alone()


def test_the_access_list_keeps_vens_apart(ven: Client, running: Running, vtn: Vtn, tmp_path: Path) -> None:
    spy = hubs.registered_hub("spy")
    others = (f"oadr2b/{VTN}/ven/{ven.name}/#", f"oadr2b/{VTN}/ven/+/down/#", "#")
    with brokering.connected(running, spy, tmp_path, subscriptions=others) as stranger:
        vtn.publish(notice(ven.name), key="k", at=AT)
        event = only_event(codec.parse(ven.next().payload))
        stranger.publish(
            topics.topic(VTN, ven.name, "up", "EiEvent"), codec.serialise(created(ven.name, event))
        )
        stranger.publish(topics.topic(VTN, ven.name, "presence"), b"offline")
        assert stranger.is_left_alone()
    assert not EventOpt.objects.exists()


def test_without_a_certificate_of_ours_nobody_comes_in(
    running: Running, tmp_path: Path, transactional_db: None, settings: Any
) -> None:
    with pytest.raises((ssl.SSLError, AssertionError, OSError)), brokering.connected(running, None, tmp_path):
        pass
    settings.VTN_PKI_DIR = tmp_path / "another"
    foreigner = hubs.new_hub("foreigner")
    with (
        pytest.raises((ssl.SSLError, AssertionError, OSError)),
        brokering.connected(running, foreigner, tmp_path),
    ):
        pass


def test_a_revoked_ven_is_cut_off_and_nothing_of_it_counts(
    bridge: object, running: Running, vtn: Vtn, tmp_path: Path
) -> None:
    hub = hubs.new_hub("stolen")
    with brokering.connected(running, hub, tmp_path) as client:
        registers(client)
        vtn.publish(notice(hub.ven_id), key="k", at=AT)
        event = only_event(codec.parse(client.next().payload))

        enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=AT)

        wait_for("the end of the session", lambda: not client.paho.is_connected())
    with brokering.connected(running, hub, tmp_path, presence=False) as client:
        body = codec.serialise(created(hub.ven_id, event))
        client.paho.publish(topics.topic(VTN, hub.ven_id, "up", "EiEvent"), body, qos=1)
        wait_for("the refusal", lambda: WireLog.objects.filter(code="no_certificate_in_force").exists())
        wait_for("the end of the session", lambda: not client.paho.is_connected())
    assert not EventOpt.objects.exists()


def test_who_does_not_know_its_venid_joins_by_fingerprint(
    bridge: object, running: Running, tmp_path: Path
) -> None:
    hub = hubs.new_hub("joiner")
    site = broker.Site(
        running.authority, VTN, running.folder, "localhost", running.port, running.own_port, "root"
    )
    broker.write(site, at=clock.wall_now())
    running.process.send_signal(signal.SIGHUP)
    reply_to = topics.topic(VTN, hub.fingerprint, "up-reply", party="join")
    with brokering.connected(running, hub, tmp_path, presence=False, subscriptions=(reply_to,)) as client:
        up = topics.topic(VTN, hub.fingerprint, "up", "EiRegisterParty", party="join")
        heard: list[Any] = []

        def asks() -> bool:
            """Until the broker has read its files again it lets nobody speak for this fingerprint."""
            client.publish(up, codec.serialise(m.QueryRegistration("R")))
            with suppress(Empty):
                heard.append(client.heard.get(timeout=2))
            return bool(heard)

        wait_for("an offer", asks)
        offered = codec.parse(heard[0].payload)
        assert isinstance(offered, m.CreatedPartyRegistration)
        assert offered.profiles[0].transports == ("simpleHttp", "xmpp")
        other = topics.topic(VTN, hub.fingerprint, "up", "EiEvent", party="join")
        client.publish(other, codec.serialise(m.RequestEvent("R", hub.ven_id)))

        def fault() -> str:
            """Of the next reply; one more offer may be on its way, where an earlier asking was slow."""
            return dict(getattr(client.next().properties, "UserProperty", [])).get("oadr-error", "")

        wait_for("the refusal", lambda: fault() == "400")


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_or_doubled(
    vtn: Vtn, pki_folder: Path, tmp_path: Path, settings: Any
) -> None:
    """On a broker of its own: sessions of workers that are gone take their share of what is said."""
    with brokering.running(pki_folder, tmp_path / "broker") as running:
        settings.VTN_MQTT_URL = running.url
        _is_killed_at_any_moment(running, vtn, pki_folder, tmp_path)


def _is_killed_at_any_moment(running: Running, vtn: Vtn, pki_folder: Path, tmp_path: Path) -> None:
    homes = 12
    fleet_words = [sys.executable, "-m", "hems.fleet", "--dir", str(tmp_path), "--homes", str(homes)]
    subprocess.run([*fleet_words, "enrol"], cwd=brokering.ROOT, check=True, stdout=subprocess.DEVNULL)
    call_command("vtn_enrol_fleet", str(tmp_path))
    processes = [brokering.bridge_process(running, pki_folder, worker="1")]
    url = f"mqtts://localhost:{running.port}"
    fleet = subprocess.Popen([*fleet_words, "--mqtt", url, "--seconds", "0"], cwd=brokering.ROOT,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        wait_for("the fleet", lambda: Ven.objects.exclude(registration_id="").count() == homes, 240)
        ven_ids = list(Ven.objects.values_list("ven_id", flat=True))
        vtn.publish_many({each: notice(each) for each in ven_ids}, at=AT)
        wait_for("a first answer", lambda: EventOpt.objects.exists(), 240)
        processes[-1].kill()  # in the middle of it
        processes.append(brokering.bridge_process(running, pki_folder, worker="1"))
        wait_for("every answer", lambda: EventOpt.objects.values("event").distinct().count() == homes, 240)
        unheard = Event.objects.exclude(acknowledged_modification=0)
        wait_for("every event's own mark of it", lambda: not unheard.exists(), 60)
        wait_for("what the killed one let go", lambda: not HandOver.objects.exists(), 60)
    finally:
        fleet.kill()
        for process in processes:
            process.kill()
            process.wait()
    first_words = EventOpt.objects.filter(source="created_event")
    assert first_words.count() == homes
    assert Event.objects.exclude(acknowledged_modification=0).count() == 0
    assert Event.objects.exclude(delivered_modification=0).count() == 0


def test_one_message_that_cannot_be_served_stops_no_other(
    ven: Client, vtn: Vtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vtn.transports import mqtt_work

    real = mqtt_work.answering.answer

    def breaks(**asked: Any) -> Any:
        if isinstance(asked["message"], m.QueryRegistration):
            raise RuntimeError("broken")
        return real(**asked)

    monkeypatch.setattr(mqtt_work.answering, "answer", breaks)

    assert ven.asks("EiRegisterParty", m.QueryRegistration("R")) == "500"
    assert ven.asks("EiEvent", m.RequestEvent("R", ven.name)).response.code == m.OK
