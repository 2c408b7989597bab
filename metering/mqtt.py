"""The intake's seat at the broker: a persistent session at QoS 1, each batch acknowledged after its commit.

A worker killed at any moment leaves its messages with the broker, which sends them again to the next one;
what was committed and not yet acknowledged comes twice and changes nothing. While the database cannot be
reached nothing is acknowledged, and the broker keeps what arrives.
"""

from __future__ import annotations

import logging
import select
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from django.db import Error as DatabaseError
from django.db import connection
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from metering.broker import INTAKE_TOPICS
from metering.intake import Arrival, Intake, Taken
from opendsr.kernel import clock, heartbeat

CLIENT_ID: Final = "opendsr-intake"
BATCH_SECONDS: Final = 2.0
BATCH_MESSAGES: Final = 10_000
LOOP_SECONDS: Final = 0.25
PUBACK: Final = b"\x40\x02"
KEEPALIVE_SECONDS: Final = 60
RETRY_SECONDS: Final = (1, 2, 5, 10, 30)
BEAT: Final = "metering_mqtt"
BEAT_SECONDS: Final = 15.0

logger = logging.getLogger(__name__)


class Listener:
    """Receives, hands over batches, acknowledges; `run` until told to stop."""

    def __init__(
        self,
        url: str,
        *,
        ca: str | None = None,
        client_id: str = CLIENT_ID,
        batch_seconds: float = BATCH_SECONDS,
        on_batch: Callable[[Taken], None] | None = None,
    ) -> None:
        told = urlsplit(url)
        if told.scheme not in ("mqtt", "mqtts") or not told.hostname:
            raise ValueError("write the broker as mqtt://user:password@host:1883 or mqtts://...:8883")
        self.host, self.port = told.hostname, told.port or (8883 if told.scheme == "mqtts" else 1883)
        self.batch_seconds = batch_seconds
        self.on_batch = on_batch
        self.intake = Intake()
        self.waiting: list[tuple[int, Arrival]] = []
        self.is_stopping = False
        self.is_ready = False
        self._failures = 0
        self._due = self._beaten = 0.0
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True
        )
        if told.username:
            self.client.username_pw_set(unquote(told.username), unquote(told.password or ""))
        if told.scheme == "mqtts":
            self.client.tls_set_context(ssl.create_default_context(cafile=ca))
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._received

    def stop(self) -> None:
        """Ask `run` to finish: the batch in hand is stored and acknowledged first."""
        self.is_stopping = True

    def run(self) -> None:
        """Listen until stopped; connects again whenever the broker or the way to it fails."""
        while not self.is_stopping:
            try:
                self.client.connect(self.host, self.port, keepalive=KEEPALIVE_SECONDS)
                self._listen()
            except OSError as error:
                logger.warning("the broker at %s:%s cannot be reached: %s", self.host, self.port, error)
            # What was not acknowledged on a lost connection comes again.
            self.waiting.clear()
            self.is_ready = False
            if not self.is_stopping:
                self._pause()
        self.client.disconnect()

    def _listen(self) -> None:
        while True:
            code = self.client.loop(LOOP_SECONDS)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                logger.warning("the connection to the broker ended: %s", paho.error_string(code))
                return
            now = time.monotonic()
            if self.waiting and (now >= self._due or len(self.waiting) >= BATCH_MESSAGES or self.is_stopping):
                self._store()
            if now - self._beaten >= BEAT_SECONDS:
                self._beat(now)
            if self.is_stopping:
                return

    def _connected(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        if reason.is_failure:
            logger.error("the broker refuses the intake: %s", reason)
            client.disconnect()
            return
        self._failures = 0
        client.subscribe([(topic, 1) for topic in INTAKE_TOPICS])

    def _subscribed(
        self, client: paho.Client, userdata: Any, mid: int, reasons: Any, properties: Any
    ) -> None:
        self.is_ready = True
        logger.info("listening on %s", ", ".join(INTAKE_TOPICS))

    def _received(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        if not self.waiting:
            self._due = time.monotonic() + self.batch_seconds
        arrival = Arrival(message.topic, bytes(message.payload), clock.now())
        self.waiting.append((message.mid if message.qos else 0, arrival))

    def _store(self) -> None:
        """Commit the batch, then acknowledge it; a database that fails is tried again with the same batch."""
        try:
            taken = self.intake.take((arrival for _, arrival in self.waiting), at=clock.now())
        except DatabaseError as error:
            logger.error("a batch of %s messages waits for the database: %s", len(self.waiting), error)
            connection.close()
            self._failures += 1
            self._due = time.monotonic() + RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1]
            return
        self._failures = 0
        self._acknowledge([mid for mid, _ in self.waiting if mid])
        self.waiting.clear()
        if self.on_batch is not None:
            self.on_batch(taken)

    def _acknowledge(self, mids: Sequence[int]) -> None:
        """Send the acknowledgements together: a call a message would cost more than reading it.

        A packet of the client's own that is half written goes first, by the client's usual way.
        """
        link = self.client.socket()
        if link is None or self.client.want_write():
            for mid in mids:
                self.client.ack(mid, 1)
            return
        rest = b"".join(PUBACK + mid.to_bytes(2, "big") for mid in mids)
        until = time.monotonic() + KEEPALIVE_SECONDS
        while rest and time.monotonic() < until:
            try:
                rest = rest[link.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                select.select([], [link], [], 1.0)

    def _beat(self, now: float) -> None:
        self._beaten = now
        try:
            heartbeat.beat(BEAT)
        except DatabaseError as error:
            logger.error("the database cannot be reached: %s", error)
            connection.close()

    def _pause(self) -> None:
        self._failures += 1
        until = time.monotonic() + RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1]
        while time.monotonic() < until and not self.is_stopping:
            time.sleep(LOOP_SECONDS)
