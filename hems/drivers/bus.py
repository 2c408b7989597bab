"""One connection to the home's own broker: what devices say waits to be taken, what is said goes out now.

Messages wait until `take` is called, so that drivers think in one thread. Nothing is kept for a broker that
is away: an order that comes late is worse than one that is said again.
"""

from __future__ import annotations

import logging
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

KEEP_ALIVE_SECONDS: Final = 30
MOST_WAITING: Final = 10_000

log = logging.getLogger("hems")

Handler = Callable[[str, bytes, bool], None]


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """Where the home's broker is, and who the hub is to it. A broker without a password is not used."""

    host: str
    port: int
    username: str
    password: str
    ca: Path | None = None


class Bus:
    """One session. Every message goes to every handler whose filter it matches, in the order it came."""

    def __init__(
        self,
        broker: LocalBroker,
        *,
        name: str,
        will: tuple[str, str] | None = None,
        is_will_kept: bool = False,
    ) -> None:
        self._broker = broker
        self._handlers: list[tuple[str, Handler]] = []
        self._greetings: list[Callable[[], None]] = []
        self._waiting: deque[tuple[str, bytes, bool] | None] = deque(maxlen=MOST_WAITING)
        self.refusal = ""
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311, clean_session=True
        )
        self._client.username_pw_set(broker.username, broker.password)
        if broker.ca is not None:
            self._client.tls_set_context(ssl.create_default_context(cafile=str(broker.ca)))
        if will is not None:
            self._client.will_set(will[0], will[1], qos=1, retain=is_will_kept)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._connected
        self._client.on_message = self._heard

    def listen(self, topic_filter: str, handler: Handler) -> None:
        """Have `handler(topic, payload, is_retained)` called by `take`; call before `start`."""
        self._handlers.append((topic_filter, handler))

    def greet(self, greeting: Callable[[], None]) -> None:
        """Have it called by `take` after every connection: the moment to ask devices how they are."""
        self._greetings.append(greeting)

    def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._client.connect_async(self._broker.host, self._broker.port, KEEP_ALIVE_SECONDS)
        self._client.loop_start()

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected()

    def say(self, topic: str, payload: str, *, is_retained: bool = False) -> bool:
        """Publish at QoS 1; False, and nothing kept, when the broker is away."""
        if not self.is_connected:
            return False
        return self._client.publish(topic, payload, qos=1, retain=is_retained).rc == paho.MQTT_ERR_SUCCESS

    def take(self) -> None:
        """Hand what has come to the handlers."""
        while self._waiting:
            message = self._waiting.popleft()
            if message is None:
                for greeting in self._greetings:
                    greeting()
                continue
            topic, payload, is_retained = message
            for topic_filter, handler in self._handlers:
                if paho.topic_matches_sub(topic_filter, topic):
                    try:
                        handler(topic, payload, is_retained)
                    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
                        log.warning("%s: cannot be read: %s", topic, error)

    def close(self) -> None:
        """Say goodbye; what was said before is out."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refusal = str(reason)
            log.warning("the home's broker does not let the hub in: %s", reason)
            return
        self.refusal = ""
        filters = sorted({topic_filter for topic_filter, _ in self._handlers})
        if filters:
            client.subscribe([(topic_filter, 1) for topic_filter in filters])
        self._waiting.append(None)

    def _heard(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._waiting.append((message.topic, bytes(message.payload), message.retain))
