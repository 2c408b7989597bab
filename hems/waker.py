"""Poll now: the VTN's word over MQTT that something waits. Only that; what waits is fetched by polling.

The broker is the one the VTN names when the hub registers; the hub shows it the certificate it shows the VTN.
Without it, or while it is away, the hub polls as it always does.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hems.keys import CA, CERTIFICATE, KEY
from oadr import topics

PORT: Final = 8883
KEEP_ALIVE_SECONDS: Final = 60

log = logging.getLogger("hems")


class Waker:
    """A connection to the VTN's broker that calls `wake` when told to; a new one for a new certificate."""

    def __init__(self, folder: Path, url: str, *, vtn_id: str, ven_id: str, wake: Callable[[], None]) -> None:
        """Raises ValueError for an address that is not mqtts://, OSError for a certificate that is none."""
        parts = urlsplit(url)
        if parts.scheme != "mqtts" or not parts.hostname:
            raise ValueError(f"{url!r} is no mqtts:// address")
        self._wake, self.url = wake, url
        self._topic = topics.topic(vtn_id, ven_id, "wake")
        self._presence = topics.topic(vtn_id, ven_id, "presence")
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=ven_id, protocol=paho.MQTTv5)
        context = ssl.create_default_context(cafile=str(folder / CA))
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
        self._client.tls_set_context(context)
        self._client.will_set(self._presence, topics.OFFLINE, qos=1, retain=True)
        self._client.reconnect_delay_set(2, 60)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._heard
        self._client.connect_async(parts.hostname, parts.port or PORT, KEEP_ALIVE_SECONDS)
        self._client.loop_start()

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected()

    def close(self) -> None:
        """Say goodbye, as the last will would."""
        if self.is_connected:
            self._client.publish(self._presence, topics.OFFLINE, qos=1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("the VTN's broker does not let the hub in: %s", reason)
            return
        client.subscribe(self._topic, qos=1)

    def _subscribed(self, client: Any, _data: Any, _id: Any, _reasons: Any, _properties: Any) -> None:
        client.publish(self._presence, topics.ONLINE, qos=1, retain=True)

    def _heard(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if not message.retain:
            self._wake()
