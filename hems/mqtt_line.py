"""The hub's connection to the VTN's broker: questions and answers, what the VTN begins, and "poll now".

A thread of its own holds the connection and comes back after a quiet time that grows. Nothing is kept for a
broker that is away: what was asked is asked again by the next round, over whichever way is open.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hems.errors import HubError, LinkError, NoContact, Refused
from hems.keys import certificate_der
from hems.link import ANSWER_SECONDS, CONNECT_SECONDS, QuietTime, tls_context
from hems.mqtt_session import Heard, Ready, Replied, Said, Session, TurnedAway, Woken
from oadr import mqtt, topics
from oadr.fingerprint import full_fingerprint

PORT: Final = 8883
KEEP_ALIVE_SECONDS: Final = 60
FIRST_QUIET_SECONDS: Final = 2.0
LONGEST_QUIET_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5
MOST_WAITING: Final = 1_000
CHUNK_BYTES: Final = 65_536

log = logging.getLogger("hems")


class MqttLine:
    """One connection, made anew for as long as it is not closed; a new one for a new certificate or venID."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        vtn_id: str,
        ven_id: str,
        wake: Callable[[], None],
        is_up: Callable[[], bool] = lambda: True,
    ) -> None:
        """Without `ven_id` only a registration can be asked for. `wake` is called, from another thread, when
        something came or the connection came or went. Raises ValueError for an address that is not mqtts://,
        BadFolder for a certificate that is none.
        """
        parts = urlsplit(url)
        if parts.scheme != "mqtts" or not parts.hostname:
            raise ValueError(f"{url!r} is no mqtts:// address")
        self.url, self.ven_id = url, ven_id
        self._vtn_id = vtn_id
        self._host, self._port = parts.hostname, parts.port or PORT
        self._context = tls_context(folder)
        self._name = ven_id or full_fingerprint(certificate_der(folder))
        self._wake, self._is_up = wake, is_up
        self._quiet = QuietTime(LONGEST_QUIET_SECONDS, FIRST_QUIET_SECONDS)
        self._moved = threading.Condition()
        self._session: Session | None = None
        self._outbox = bytearray()
        self._said: deque[Said] = deque(maxlen=MOST_WAITING)
        self._awaited = b""
        self._replied: Replied | None = None
        self.is_ready = False
        self.connections = 0
        self.heard_at = time.monotonic()
        self.trouble = ""
        self._is_closing = threading.Event()
        self._poke = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="vtn-broker", daemon=True)
        self._thread.start()

    def exchange(self, service: str, body: bytes) -> bytes:
        """Ask the VTN, and return its answer; raises NoContact and Refused."""
        with self._moved:
            if not self.is_ready or self._session is None:
                raise NoContact("the VTN's broker is away")
            connection, self._replied = self.connections, None
            self._awaited = self._session.ask(service, body)
            self._send_soon()
            self._moved.wait_for(
                lambda: self._replied is not None or not self.is_ready or connection != self.connections,
                ANSWER_SECONDS,
            )
            replied, self._awaited = self._replied, b""
        if replied is None:
            raise NoContact("the VTN does not answer over its broker")
        if replied.status != 200:
            raise Refused(replied.status, reason=replied.reason)
        return replied.body

    def said(self) -> Said | None:
        """Return what the VTN began, oldest first."""
        with self._moved:
            return self._said.popleft() if self._said else None

    def answer(self, said: Said, body: bytes) -> None:
        """Answer it; when the connection is gone the VTN says it again."""
        with self._moved:
            if self._session is not None:
                self._session.answer(said, body)
                self._send_soon()

    def abort(self) -> None:
        """Break off an exchange that is under way, from a signal handler or another thread."""
        with self._moved:
            self.is_ready = False
            self._moved.notify_all()

    def close(self) -> None:
        """Say goodbye, and come back no more."""
        self._is_closing.set()
        os.eventfd_write(self._poke, 1)
        self._thread.join(CONNECT_SECONDS + 1)
        if not self._thread.is_alive():
            os.close(self._poke)

    # -- the thread

    def _run(self) -> None:
        while not self._is_closing.is_set():
            if not self._is_up():
                self._is_closing.wait(LOOK_SECONDS)
                continue
            trouble = ""
            try:
                self._hold()
            except (OSError, ValueError, HubError, LinkError, mqtt.BadPacket, TurnedAway) as error:
                trouble = str(error) or type(error).__name__
            self._lost(trouble)
            self._is_closing.wait(self._quiet.failed())

    def _hold(self) -> None:
        """Be connected until that ends: an error, or `close`."""
        raw = socket.create_connection((self._host, self._port), CONNECT_SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._context.wrap_socket(raw, server_hostname=self._host) as sock:
            sock.setblocking(False)
            with self._moved:
                self._outbox.clear()
                party: topics.Party = "ven" if self.ven_id else "join"
                self._session = Session(self._vtn_id, self._name, self._outbox.extend, party=party)
                self._session.greet(keep_alive_seconds=KEEP_ALIVE_SECONDS)
            self._serve(sock)

    def _serve(self, sock: ssl.SSLSocket) -> None:
        heard_at = pinged_at = time.monotonic()
        while not self._is_closing.is_set():
            self._flush(sock)
            watched: list[ssl.SSLSocket | int] = [sock, self._poke]
            writing = [sock] if self._outbox else []
            readable, _, _ = select.select(watched, writing, [], KEEP_ALIVE_SECONDS / 4)
            if self._poke in readable:
                os.eventfd_read(self._poke)
            if sock in readable and self._receive(sock):
                heard_at = time.monotonic()
            now = time.monotonic()
            if now - heard_at > 1.5 * KEEP_ALIVE_SECONDS:
                raise OSError("the broker has gone silent")
            if now - max(heard_at, pinged_at) > KEEP_ALIVE_SECONDS / 2:
                pinged_at = now
                self._ping()
            if not self._is_up():
                return
        with self._moved:
            if self._session is not None:
                self._session.part()
        sock.settimeout(1.0)
        with suppress(OSError):
            sock.sendall(bytes(self._outbox))

    def _receive(self, sock: ssl.SSLSocket) -> bool:
        """Take in what has come; True when it was anything."""
        is_anything = False
        while True:
            try:
                data = sock.recv(CHUNK_BYTES)
            except (ssl.SSLWantReadError, BlockingIOError):
                return is_anything
            if not data:
                raise OSError("closed by the broker")
            is_anything = True
            with self._moved:
                if self._session is None:
                    return is_anything
                for heard in self._session.feed(data):
                    self._heard(heard)

    def _heard(self, heard: Heard) -> None:
        if isinstance(heard, Replied):
            if heard.correlation == self._awaited:
                self._replied, self.heard_at = heard, time.monotonic()
                self._moved.notify_all()
            return
        if isinstance(heard, Ready):
            self.is_ready, self.trouble = True, ""
            self.connections += 1
            self._quiet.succeeded()
        elif isinstance(heard, Said):
            self._said.append(heard)
            self.heard_at = time.monotonic()
        if isinstance(heard, Ready | Said | Woken):
            self._wake()

    def _ping(self) -> None:
        with self._moved:
            if self._session is not None:
                self._session.ping()

    def _flush(self, sock: ssl.SSLSocket) -> None:
        with self._moved:
            while self._outbox:
                try:
                    sent = sock.send(bytes(self._outbox[:CHUNK_BYTES]))
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                    return
                del self._outbox[:sent]

    def _send_soon(self) -> None:
        os.eventfd_write(self._poke, 1)

    def _lost(self, trouble: str) -> None:
        with self._moved:
            was_ready, self.is_ready, self._session = self.is_ready, False, None
            self._said.clear()
            self._moved.notify_all()
        if trouble and trouble != self.trouble and not self._is_closing.is_set():
            log.warning("the VTN's broker at %s:%s: %s", self._host, self._port, trouble)
            self.trouble = trouble
        if was_ready:
            self._wake()
