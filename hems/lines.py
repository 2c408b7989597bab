"""The ways to the VTN as one: over its MQTT broker while that carries, over HTTPS otherwise.

A hub that pulls waits at the broker, where the VTN names one, only to be told to poll. One that wants MQTT
asks and is told everything there; while the broker is away, or nobody answers behind it, it polls over HTTPS,
and goes back once that can be. Whoever changes ways asks for the full set of events: nothing rests on which
way something was said.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from hems.errors import HubError, LinkError, NoContact, Refused
from hems.link import Link, QuietTime
from hems.wire import Wire
from oadr.messages import Message
from oadr.topics import LARGEST_MESSAGE_BYTES
from oadr.ven import Pushed

if TYPE_CHECKING:
    from hems.mqtt_line import MqttLine
    from hems.mqtt_session import Said

HTTPS: Final = "https"
MQTT: Final = "mqtt"
REGISTRATION: Final = "EiRegisterParty"
POLL: Final = "OadrPoll"
SILENCE_SECONDS: Final = 300.0
"""So long after the VTN's last word over MQTT the hub asks for the full set, to know that it is heard."""
FIRST_DOUBT_SECONDS: Final = 5.0
LONGEST_DOUBT_SECONDS: Final = 600.0

log = logging.getLogger("hems")


@dataclass(frozen=True, slots=True)
class Way:
    """How this hub wants to speak with its VTN.

    With `broker` (mqtts://HOST:PORT) and `vtn_id` it registers over MQTT alone; otherwise the VTN says at
    registration, over HTTPS, where its broker is. One that is not `is_signed` signs once the VTN asks for it.
    """

    transport: Literal["https", "mqtt"] = HTTPS
    broker: str = ""
    vtn_id: str = ""
    is_signed: bool = False

    @property
    def is_mqtt(self) -> bool:
        return self.transport == MQTT


class Lines:
    """What carries messages; see `ven.Line`. Not for several threads, but `abort` may come from anywhere."""

    def __init__(
        self,
        folder: Path,
        https: Link,
        *,
        way: Way,
        is_signed: bool = False,
        wake: Callable[[], None],
        is_up: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_signed`: the registration was made for signed messages."""
        self._folder, self._https, self._way = folder, https, way
        self._wake, self._is_up = wake, is_up
        self._wire = Wire(folder, host=https.host, is_signed=is_signed or way.is_signed)
        self._mqtt: MqttLine | None = None
        self._place = ("", "", "")
        self._doubt = QuietTime(LONGEST_DOUBT_SECONDS, FIRST_DOUBT_SECONDS)
        self._doubted_until = 0.0
        self._silences = 0

    @property
    def is_broker_there(self) -> bool:
        return self._mqtt is not None and self._mqtt.is_ready

    @property
    def is_signed(self) -> bool:
        return self._wire.is_signed

    @property
    def is_pushed_to(self) -> bool:
        """The VTN says over MQTT, now, what it would else say to a poll."""
        return self._over_mqtt() is not None and bool(self._mqtt and self._mqtt.ven_id)

    def session(self) -> Hashable:
        """Return what changes whenever something that was said may have been lost, or should be looked at."""
        mqtt = self._over_mqtt()
        if mqtt is None:
            return HTTPS
        if time.monotonic() - mqtt.heard_at > SILENCE_SECONDS:
            mqtt.heard_at = time.monotonic()
            self._silences += 1
        return MQTT, mqtt.ven_id, mqtt.connections, self._silences

    def exchange(self, service: str, message: Message) -> Message:
        """Ask the VTN, and return its answer; raises LinkError."""
        if not self._is_up():
            self._https.close()
            raise NoContact("the link is down")

        try:
            return self._exchange(service, message)
        except Refused as error:
            if not self._wire.is_to_sign_now(error):
                raise
        return self._exchange(service, message)

    def _exchange(self, service: str, message: Message) -> Message:
        mqtt = self._over_mqtt()
        if mqtt is not None and service != POLL and (mqtt.ven_id or service == REGISTRATION):
            body = self._wire.write(message)
            if len(body) <= LARGEST_MESSAGE_BYTES:
                return self._wire.read(self._ask_over(mqtt, service, body))
        answer = self._https.exchange(service, lambda: self._wire.write(message))
        return self._wire.read(answer, handshake=(self._https.peer_certificate,))

    def _ask_over(self, mqtt: MqttLine, service: str, body: bytes) -> bytes:
        try:
            answer = mqtt.exchange(service, body)
        except NoContact:
            if mqtt.is_ready:  # the broker is there, and nobody behind it
                self._doubted_until = time.monotonic() + self._doubt.failed()
            raise
        self._doubt.succeeded()
        return answer

    def pushed(self) -> Pushed | None:
        """Return what the VTN has begun to say over MQTT, oldest first."""
        if not self._is_up():
            raise NoContact("the link is down")
        mqtt = self._mqtt if self._way.is_mqtt else None
        said = None if mqtt is None else mqtt.said()
        if mqtt is None or said is None:
            return None
        line: MqttLine = mqtt
        told: Said = said
        return Pushed(
            self._wire.read(told.body), lambda message: line.answer(told, self._wire.write(message))
        )

    def meet(self, url: str, *, vtn_id: str, ven_id: str) -> None:
        """Go to the VTN's broker, where there is one: to be spoken to, or only to be told to poll."""
        url, vtn_id = self._way.broker or url, self._way.vtn_id or vtn_id
        place = (url, vtn_id, ven_id)
        if place == self._place:
            return
        self.leave()
        if not url or not vtn_id or not (ven_id or self._way.is_mqtt):
            return
        from hems.mqtt_line import MqttLine  # most homes of a demo have no broker

        try:
            self._mqtt = MqttLine(
                self._folder, url, vtn_id=vtn_id, ven_id=ven_id, wake=self._wake, is_up=self._is_up
            )
        except (OSError, ValueError, HubError, LinkError) as error:
            log.warning("the VTN's broker cannot be used, the hub polls: %s", error)
        else:
            self._place = place

    def leave(self) -> None:
        """Say goodbye to the broker."""
        self._place = ("", "", "")
        if self._mqtt is not None:
            self._mqtt.close()
            self._mqtt = None

    def change_identity(self) -> None:
        """Use the certificate and key that are in the folder now."""
        self._https.change_identity()
        self._wire.change_identity()
        url, vtn_id, ven_id = self._place
        self.leave()
        self.meet(url, vtn_id=vtn_id, ven_id=ven_id)

    def close(self) -> None:
        self.leave()
        self._https.close()

    def abort(self) -> None:
        """Break off an exchange that is under way, from a signal handler or another thread."""
        self._https.abort()
        if self._mqtt is not None:
            self._mqtt.abort()

    def _over_mqtt(self) -> MqttLine | None:
        """Return the broker's line when it is to be used and can be."""
        if not self._way.is_mqtt or self._mqtt is None or not self._mqtt.is_ready:
            return None
        return None if time.monotonic() < self._doubted_until else self._mqtt
