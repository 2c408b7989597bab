"""A virtual hub's connection may go at any moment, also between hearing something and answering it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hems import fleet_loop
from hems.fleet_files import Identity
from hems.fleet_life import AnswerPushed, Ask, Hub, Life, Manners, Reply, Tally, Wait, listening, pulling
from hems.fleet_loop import THINKING_SECONDS, Broken, HttpCarrier, Loop
from hems.fleet_mqtt import MqttCarrier
from oadr import codec, mqtt, rendering, topics
from oadr import messages as m
from tests.hems.small_vtn import SmallVtn
from tests.oadr.signatures import identity


class GoneCarrier(HttpCarrier):
    """One whose connection has gone."""

    __slots__ = ()

    def answer_pushed(self, answer: AnswerPushed) -> None:
        raise Broken("no connection")


def test_an_answer_without_a_connection_is_left_and_life_goes_on() -> None:
    woken: list[float] = []
    loop = SimpleNamespace(wake=lambda carrier, seconds: woken.append(seconds))

    def life() -> Any:
        yield AnswerPushed(b"<oadrResponse/>", cast(Any, None))
        yield SimpleNamespace(seconds=7.0)

    carrier = GoneCarrier(cast(Any, loop), cast(Any, None), cast(Life, life()), cast(Any, None))

    carrier.go_on(None)

    assert woken == [7.0]


class Recorder(HttpCarrier):
    """One that only notes when it begins to connect."""

    __slots__ = ("begun",)

    def connect(self) -> None:
        self.begun = True


def test_no_more_connect_at_once_than_are_let(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(ssl.DER_cert_to_PEM_cert(identity().certificate_der))
    loop = Loop("https://localhost:1/", tmp_path / "ca.pem", most_connecting=2)
    fleet = [Recorder(loop, cast(Any, None), cast(Life, None), cast(Any, None)) for _ in range(4)]
    for each in fleet:
        each.begun = False
        each.begin()
    assert [each.begun for each in fleet] == [True, True, False, False]

    loop.has_connected(fleet[0])  # its hands are shaken
    loop.forget(fleet[1])  # it has given up
    loop.let_connect()

    assert all(each.begun for each in fleet)


EVENT = (
    b"<oadrEvent><eventID>E</eventID><modificationNumber>0</modificationNumber>"
    b"<oadrResponseRequired>always</oadrResponseRequired></oadrEvent>"
)


def test_a_hub_that_listens_asks_until_it_is_answered() -> None:
    hub = Hub("VEN-1", Manners(is_registered=True), Tally(), seed=1)
    life = listening(hub)
    assert isinstance(next(life), Wait)
    for _ in range(3):
        assert isinstance(life.send(None), Ask)
        assert isinstance(life.send(Reply(0, retry_seconds=1.0)), Wait)
    assert hub.tally.met == 0

    body = rendering.distribute_event(request_id="D", vtn_id="VTN", events=[EVENT])
    life.send(None)
    assert b"oadrCreatedEvent" in life.send(Reply(200, body)).body
    assert isinstance(life.send(Reply(0, retry_seconds=1.0)), Wait)
    assert b"oadrRequestEvent" in life.send(None).body  # nobody heard the answer, and the connection is gone
    life.send(Reply(200, body))
    after = life.send(Reply(200, codec.serialise(m.Response(m.EiResponse()))))

    assert isinstance(after, Wait)
    assert hub.tally.met == 1


def test_no_more_handshakes_at_once_than_a_processor_does_and_all_are_done(
    monkeypatch: pytest.MonkeyPatch, make_folder: Callable[..., Path], vtn: SmallVtn
) -> None:
    """All connect at once; whoever waits for its turn to shake hands comes to it."""
    monkeypatch.setattr(fleet_loop, "MOST_SHAKING", 1)
    folder = make_folder()
    pem = folder / "both.pem"
    pem.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    loop = Loop(vtn.url, folder / "ca.pem")
    tally = Tally()
    most = 0

    def watched() -> bool:
        nonlocal most
        most = max(most, len(loop.shaking))
        return tally.counts["polls"] >= 6 or time.monotonic() > deadline

    carriers = []
    for number in range(6):
        hub = Hub("VEN-1", Manners(ramp_seconds=0.0, is_registered=True, poll_seconds=60), tally, seed=number)
        carriers.append(HttpCarrier(loop, hub, pulling(hub), Identity("HUB-1", "VEN-1", pem)))
    deadline = time.monotonic() + 60
    loop.run(carriers, until=watched)

    assert tally.counts["handshakes"] + tally.counts["resumed"] == 6
    assert not loop.connected
    assert most == 1
    for carrier in carriers:
        carrier.hang_up()
    assert not loop.shaking


class Wire:
    """A socket that only keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def close(self) -> None:
        pass


def test_what_is_told_is_answered_a_moment_later_and_then_all_at_once(tmp_path: Path) -> None:
    """Others hear first; a hub whose connection is gone by then has it still to answer."""
    (tmp_path / "ca.pem").write_text(ssl.DER_cert_to_PEM_cert(identity().certificate_der))
    loop = Loop("mqtts://localhost:1", tmp_path / "ca.pem")
    told = mqtt.publish(
        topics.topic("VTN", "VEN-1", "down", "EiEvent"),
        rendering.distribute_event(request_id="D", vtn_id="VTN", events=[EVENT]),
        packet_id=1,
        response_topic=topics.topic("VTN", "VEN-1", "down-reply"),
    )
    carriers = []
    for _ in range(2):
        hub = Hub("VEN-1", Manners(is_registered=True), Tally(), seed=1)
        each = MqttCarrier(loop, hub, listening(hub), cast(Any, None), vtn_id="VTN")
        each.life.send(None)
        each.life.send(None)
        each.step = each.life.send(Reply(200, b"<oadrDistributeEvent/>"))
        each.sock = cast(Any, Wire())
        each.is_shaken = each.is_subscribed = True
        each.inbox = told
        each.take()
        carriers.append(each)
    first, second = carriers
    wire = cast(Any, first.sock)
    second.sock = None  # gone meanwhile

    loop.let_answer()
    assert wire.sent == b""
    loop.later = type(loop.later)((due - THINKING_SECONDS, each) for due, each in loop.later)
    loop.let_answer()

    said = [packet for packet in mqtt.Reader().feed(wire.sent) if isinstance(packet, mqtt.Publish)]
    assert [topics.taken_apart(each.topic).kind for each in said] == ["down-reply", "up"]  # type: ignore[union-attr]
    assert wire.sent.startswith(mqtt.puback(1))
    assert not loop.later
    assert len(second.hub.pending) == 1
