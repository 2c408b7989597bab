"""A virtual hub's connection over MQTT 5: the full binding of `oadr.topics`, certificate as identity."""

from __future__ import annotations

import os
from typing import Final

from hems.fleet_files import Identity
from hems.fleet_life import AnswerPushed, Ask, CutOff, Hub, Life, Pushed, Reply, Wait
from hems.fleet_loop import LONGEST_QUIET_SECONDS, Broken, Carrier, Loop
from oadr import mqtt, topics

KEEP_ALIVE_SECONDS: Final = 900
SESSION_SECONDS: Final = 86_400


class MqttCarrier(Carrier):
    """Asks by publishing on `up`, knows its replies by correlation, and answers what comes on `down`."""

    __slots__ = ("correlation", "is_cut_off", "is_subscribed", "packet_id", "reader", "vtn_id")

    def __init__(self, loop: Loop, hub: Hub, life: Life, identity: Identity, *, vtn_id: str) -> None:
        super().__init__(loop, hub, life, identity)
        self.vtn_id = vtn_id
        self.reader = mqtt.Reader()
        self.packet_id = 0
        self.is_subscribed = self.is_cut_off = False
        self.correlation = b""

    def topic(self, kind: str, service: str = "") -> str:
        return topics.topic(self.vtn_id, self.hub.ven_id, kind, service)

    def greet(self) -> None:
        self.reader = mqtt.Reader()
        self.is_subscribed = False
        will = mqtt.Will(self.topic("presence"), topics.OFFLINE)
        self.send(
            mqtt.connect(
                self.hub.ven_id,
                keep_alive_seconds=KEEP_ALIVE_SECONDS,
                session_seconds=SESSION_SECONDS,
                will=will,
            )
        )

    def say(self) -> None:
        if not isinstance(self.step, Ask) or not self.is_subscribed:
            return
        self.correlation = os.urandom(16)
        self.send(
            mqtt.publish(
                self.topic("up", self.step.service),
                self.step.body,
                packet_id=self.next_id(),
                response_topic=self.topic("up-reply"),
                correlation=self.correlation,
                content_type="application/xml",
                expiry_seconds=60,
            )
        )

    def take(self) -> None:
        data, self.inbox = self.inbox, b""
        try:
            for packet in self.reader.feed(data):
                self.took(packet)
        except mqtt.BadPacket as error:
            raise Broken(str(error)) from error

    def took(self, packet: mqtt.Packet) -> None:
        if isinstance(packet, mqtt.Connack):
            if packet.reason >= mqtt.REFUSED_FROM:
                self.hub.tally.counts[f"connack_{packet.reason:#x}"] += 1
                raise Broken("refused")
            self.send(mqtt.subscribe(self.next_id(), topics.ven_subscriptions(self.vtn_id, self.hub.ven_id)))
        elif isinstance(packet, mqtt.Ack) and packet.kind == mqtt.SUBACK:
            self.is_subscribed = True
            presence = mqtt.publish(
                self.topic("presence"), topics.ONLINE, packet_id=self.next_id(), is_retained=True
            )
            self.send(presence)
            self.say()
        elif isinstance(packet, mqtt.Publish):
            if packet.packet_id is not None:
                self.send(mqtt.puback(packet.packet_id))
            self.heard(packet)
        elif isinstance(packet, mqtt.Other) and packet.kind == mqtt.DISCONNECT:
            self.hub.tally.counts[f"disconnected_{packet.reason:#x}"] += 1
            raise Broken("disconnected")

    def heard(self, message: mqtt.Publish) -> None:
        address = topics.taken_apart(message.topic)
        if address is None:
            return
        if address.kind == "up-reply":
            if message.correlation == self.correlation and isinstance(self.step, Ask):
                fault = message.said("oadr-error")
                status = int(fault) if fault.isdecimal() else 200
                self.replied(Reply(status, message.payload))
        elif address.kind == "down":
            pushed = Pushed(address.service, message.payload, message)
            if isinstance(self.step, Wait):
                self.go_on(pushed)
            else:
                self.hub.pending.append(pushed)

    def answer_pushed(self, answer: AnswerPushed) -> None:
        message: mqtt.Publish = answer.to.token
        if not message.response_topic:
            return
        self.send(
            mqtt.publish(
                message.response_topic,
                answer.body,
                packet_id=self.next_id(),
                correlation=message.correlation,
                content_type="application/xml",
            )
        )

    def next_id(self) -> int:
        self.packet_id = self.packet_id % 65_535 + 1
        return self.packet_id

    def closed_while_idle(self) -> None:
        """Both sides are to be connected always: come back after a quiet time, to the full set of events."""
        super().closed_while_idle()
        self.is_cut_off = True
        wait = self.quiet_seconds * self.hub.dice.uniform(0.5, 1.0)
        self.quiet_seconds = min(self.quiet_seconds * 2, LONGEST_QUIET_SECONDS)
        self.loop.wake(self, wait)

    def woken(self) -> None:
        if self.is_cut_off:
            self.is_cut_off = False
            self.go_on(CutOff())
        else:
            super().woken()
