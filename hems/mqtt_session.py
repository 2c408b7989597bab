"""A VEN's side of OpenADR over MQTT 5 (`oadr.topics`) without its I/O: bytes in, what they mean out.

Who has a connection feeds what it reads and sends what `send` is given. Identity is the TLS certificate's; a
VEN that does not know its venID yet joins by its certificate's fingerprint.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from oadr import mqtt, topics

CONTENT_TYPE: Final = "application/xml"
SESSION_SECONDS: Final = 86_400
EXPIRY_SECONDS: Final = 60
"""How long the broker keeps a question: whoever asked has given up by then."""


class TurnedAway(Exception):
    """The broker does not let this VEN in, or ends the connection; the message has MQTT's reason code."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Subscribed, and shown as present."""


class Replied(NamedTuple):
    """The VTN's answer to what was asked with this correlation; `status` as HTTP would say it."""

    correlation: bytes
    status: int
    body: bytes
    reason: str = ""


class Said(NamedTuple):
    """What the VTN began, and where its answer goes."""

    service: str
    body: bytes
    reply_topic: str
    correlation: bytes


@dataclass(frozen=True, slots=True)
class Woken:
    """Poll now."""


Heard = Ready | Replied | Said | Woken


class Session:
    """One connection's talk."""

    __slots__ = ("_is_subscribed", "_name", "_packet_id", "_party", "_reader", "_send", "_vtn_id")

    def __init__(
        self, vtn_id: str, name: str, send: Callable[[bytes], None], *, party: topics.Party = "ven"
    ) -> None:
        """`name` is the venID, or to join the certificate's fingerprint."""
        self._vtn_id, self._name, self._party, self._send = vtn_id, name, party, send
        self._reader = mqtt.Reader()
        self._packet_id = 0
        self._is_subscribed = False

    def greet(self, *, keep_alive_seconds: int) -> None:
        """Say who comes. The broker keeps for a day what is said meanwhile, and says when a VEN has gone."""
        is_ven = self._party == "ven"
        will = mqtt.Will(self._topic("presence"), topics.OFFLINE) if is_ven else None
        self._send(
            mqtt.connect(
                self._name if is_ven else "",
                keep_alive_seconds=keep_alive_seconds,
                session_seconds=SESSION_SECONDS if is_ven else 0,
                is_clean=not is_ven,
                will=will,
            )
        )

    def ask(self, service: str, body: bytes) -> bytes:
        """Ask the VTN; return the correlation that its answer will carry."""
        correlation = os.urandom(16)
        self._publish(
            self._topic("up", service),
            body,
            correlation,
            response_topic=self._topic("up-reply"),
            expiry_seconds=EXPIRY_SECONDS,
        )
        return correlation

    def answer(self, said: Said, body: bytes) -> None:
        """Answer what the VTN began."""
        if said.reply_topic:
            self._publish(said.reply_topic, body, said.correlation)

    def ping(self) -> None:
        self._send(mqtt.pingreq())

    def part(self) -> None:
        """Say goodbye, as the last will would."""
        if self._is_subscribed and self._party == "ven":
            self._show(topics.OFFLINE)
        self._send(mqtt.disconnect())

    def feed(self, data: bytes) -> Iterator[Heard]:
        """Yield what the bytes mean; raises TurnedAway and BadPacket, both the end of the connection."""
        for packet in self._reader.feed(data):
            heard = self._took(packet)
            if heard is not None:
                yield heard

    def _took(self, packet: mqtt.Packet) -> Heard | None:
        if isinstance(packet, mqtt.Publish):
            if packet.packet_id is not None:
                self._send(mqtt.puback(packet.packet_id))
            return self._heard(packet)
        if isinstance(packet, mqtt.Connack):
            if packet.reason >= mqtt.REFUSED_FROM:
                raise TurnedAway(f"refused {packet.reason:#x} {packet.reason_text}".strip())
            self._send(mqtt.subscribe(self._next_id(), self._subscriptions()))
        elif isinstance(packet, mqtt.Ack) and packet.kind == mqtt.SUBACK:
            if packet.is_refused:
                raise TurnedAway("a subscription is refused")
            self._is_subscribed = True
            if self._party == "ven":
                self._show(topics.ONLINE)
            return Ready()
        elif isinstance(packet, mqtt.Other) and packet.kind == mqtt.DISCONNECT:
            raise TurnedAway(f"disconnected {packet.reason:#x}")
        return None

    def _heard(self, message: mqtt.Publish) -> Heard | None:
        address = topics.taken_apart(message.topic)
        if address is None or message.is_retained:
            return None
        if address.kind == "up-reply":
            fault = message.said("oadr-error")
            status = int(fault) if fault.isdecimal() else 200
            return Replied(message.correlation, status, message.payload, message.said("oadr-reason"))
        if address.kind == "down":
            return Said(address.service, message.payload, message.response_topic, message.correlation)
        return Woken() if address.kind == "wake" else None

    def _subscriptions(self) -> tuple[str, ...]:
        if self._party == "ven":
            return topics.ven_subscriptions(self._vtn_id, self._name)
        return (self._topic("up-reply"),)

    def _show(self, presence: bytes) -> None:
        self._send(
            mqtt.publish(self._topic("presence"), presence, packet_id=self._next_id(), is_retained=True)
        )

    def _publish(
        self,
        topic: str,
        body: bytes,
        correlation: bytes,
        *,
        response_topic: str = "",
        expiry_seconds: int | None = None,
    ) -> None:
        self._send(
            mqtt.publish(
                topic,
                body,
                packet_id=self._next_id(),
                response_topic=response_topic,
                correlation=correlation,
                content_type=CONTENT_TYPE,
                expiry_seconds=expiry_seconds,
            )
        )

    def _topic(self, kind: str, service: str = "") -> str:
        return topics.topic(self._vtn_id, self._name, kind, service, party=self._party)

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % 65_535 + 1
        return self._packet_id
