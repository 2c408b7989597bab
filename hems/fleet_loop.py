"""The loop that carries a fleet's lives over plain non-blocking TLS sockets: thousands in one process.

asyncio's TLS streams take about 300 kB a connection, a socket of the standard library 22 kB.
"""

from __future__ import annotations

import heapq
import select
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hems.errors import BadAddress
from hems.fleet_files import Identity
from hems.fleet_life import AnswerPushed, Ask, HangUp, Hub, Life, Reply

HANDSHAKE_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 30.0
CHUNK_BYTES: Final = 16_384
FIRST_QUIET_SECONDS, LONGEST_QUIET_SECONDS = 0.5, 15.0
READ, WRITE = select.EPOLLIN, select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
MOST_SHAKING: Final = 64
"""Handshakes a process works on at a time. Every real hub has a processor of its own; here thousands share
one, and begun all together none would be done before the last."""


THINKING_SECONDS: Final = 0.5
"""How long a hub takes to answer what is said to it: it asks its devices, over a home's connection."""
MOST_ANSWERED: Final = 32
"""Hubs that answer before the loop looks again whether others have been told something."""


class Broken(Exception):
    """The connection is gone."""


class Carrier(ABC):
    """One hub's connection. What is said over it, and how a reply is known, is for subclasses."""

    __slots__ = ("deadline", "fd", "hub", "identity", "inbox", "is_shaken", "life", "loop", "mask", "outbox",
                 "quiet_seconds", "session", "sock", "step", "wake_at")  # fmt: skip

    def __init__(self, loop: Loop, hub: Hub, life: Life, identity: Identity) -> None:
        self.loop, self.hub, self.life = loop, hub, life
        self.identity = identity
        self.sock: ssl.SSLSocket | None = None
        self.session: ssl.SSLSession | None = None
        self.fd = -1
        self.inbox = self.outbox = b""
        self.is_shaken = False
        self.mask = READ
        self.step: Any = None
        self.quiet_seconds = FIRST_QUIET_SECONDS
        self.wake_at = 0.0
        self.deadline = 0.0

    # -- the life

    def go_on(self, result: Any) -> None:
        """Hand the life what came of its last step, and begin its next."""
        self.step = self.life.send(result)
        if isinstance(self.step, Ask):
            self.begin()
        elif isinstance(self.step, AnswerPushed):
            with suppress(Broken):  # the connection has gone meanwhile: the VTN says it again
                self.answer_pushed(self.step)
            self.go_on(None)
        elif isinstance(self.step, HangUp):
            self.hang_up()
            self.loop.wake(self, self.step.seconds)
        else:
            self.loop.wake(self, self.step.seconds)

    def woken(self) -> None:
        """The wait is over, or the answer has not come."""
        if isinstance(self.step, Ask):
            self.lost()
        else:
            self.go_on(None)

    def begin(self) -> None:
        """Say what the life asks, connecting first where there is no connection and the loop lets it."""
        if self.fd < 0 and not self.loop.may_connect(self):
            return
        self.loop.wake(self, ANSWER_SECONDS if self.is_shaken else HANDSHAKE_SECONDS)
        try:
            if self.sock is None:
                self.connect()
            elif self.is_shaken:
                self.say()
        except Broken:
            self.lost()

    def lost(self) -> None:
        """No reply: tell the life after a quiet time that grows."""
        self.hang_up()
        wait = self.quiet_seconds * self.hub.dice.uniform(0.5, 1.0)
        self.quiet_seconds = min(self.quiet_seconds * 2, LONGEST_QUIET_SECONDS)
        if isinstance(self.step, Ask):
            self.step = None
            self.go_on(Reply(0, retry_seconds=wait))

    def replied(self, reply: Reply) -> None:
        self.quiet_seconds = FIRST_QUIET_SECONDS
        self.step = None
        self.go_on(reply)

    # -- the connection

    def connect(self) -> None:
        raw = socket.socket(self.loop.family)
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            raw.connect(self.loop.address)
        except BlockingIOError:
            pass
        except OSError as error:
            raw.close()
            raise Broken(str(error)) from error
        self.sock = None
        self.raw_connected(raw)

    def raw_connected(self, raw: socket.socket) -> None:
        self.fd = raw.fileno()
        self.is_shaken = False
        self.mask = WRITE
        self.loop.watch_new(self, raw)

    def hang_up(self) -> None:
        self.loop.forget(self)
        if self.sock is not None:
            self.sock.close()
            self.sock = None
        self.fd = -1
        self.inbox = self.outbox = b""
        self.is_shaken = False

    def happened(self, event: int) -> None:
        try:
            self.proceed(event)
        except Broken:
            self.has_broken()

    def has_broken(self) -> None:
        if isinstance(self.step, Ask):
            self.lost()
        else:
            self.closed_while_idle()

    def proceed(self, event: int) -> None:
        if self.sock is None:
            if not event & GONE and not self.loop.may_shake(self):
                return
            self.sock = self.loop.wrap(self)
        if not self.is_shaken and not self.shake_hands():
            return
        if event & WRITE and self.outbox:
            self.send(b"")
        if event & ~WRITE:
            self.receive()

    def shake_hands(self) -> bool:
        if self.sock is None:
            return False
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self.set_mask(READ)
            return False
        except ssl.SSLWantWriteError:
            self.set_mask(WRITE)
            return False
        except (OSError, ValueError) as error:
            self.hub.tally.counts["handshakes_failed"] += 1
            raise Broken(str(error)) from error
        self.hub.tally.counts["resumed" if self.sock.session_reused else "handshakes"] += 1
        if not self.sock.session_reused:
            self.session = None  # too old, or of another key: the next is taken
        self.is_shaken = True
        self.set_mask(READ)
        self.loop.has_connected(self)
        if isinstance(self.step, Ask):
            self.loop.wake(self, ANSWER_SECONDS)
        self.greet()
        return True

    def receive(self) -> None:
        if self.sock is None:
            return
        while True:
            try:
                length = self.sock.recv_into(self.loop.chunk)
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            except (OSError, ValueError) as error:
                raise Broken(str(error)) from error
            if not length:
                raise Broken("closed")
            data = bytes(self.loop.chunk[:length])
            self.inbox = self.inbox + data if self.inbox else data
            self.take()
            if self.sock is None or not self.sock.pending():
                return

    def send(self, data: bytes) -> None:
        if self.sock is None:
            raise Broken("no connection")
        waiting = self.outbox + data if self.outbox else data
        try:
            while waiting:
                waiting = waiting[self.sock.send(waiting) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
            pass
        except (OSError, ValueError) as error:
            raise Broken(str(error)) from error
        self.outbox = waiting
        self.set_mask(READ | WRITE if waiting else READ)

    def set_mask(self, mask: int) -> None:
        if mask != self.mask:
            self.mask = mask
            self.loop.epoll.modify(self.fd, mask)

    # -- what subclasses say

    @abstractmethod
    def greet(self) -> None:
        """The connection stands."""

    @abstractmethod
    def say(self) -> None:
        """Send what the life asks."""

    @abstractmethod
    def take(self) -> None:
        """Read what has come in `inbox`."""

    @abstractmethod
    def answer_pushed(self, answer: AnswerPushed) -> None:
        """Reply to what the VTN began."""

    @abstractmethod
    def answer(self) -> None:
        """React to what the VTN has begun; see `Loop.do_later`."""

    def closed_while_idle(self) -> None:
        self.hub.tally.counts["closed_while_idle"] += 1
        self.hang_up()


class HttpCarrier(Carrier):
    """HTTP/1.1 over one kept connection."""

    __slots__ = ()

    def greet(self) -> None:
        self.say()

    def say(self) -> None:
        if not isinstance(self.step, Ask):
            return
        head = self.loop.heads.get(self.step.service)
        if head is None:
            head = self.loop.heads[self.step.service] = (
                f"POST {self.loop.base}/{self.step.service} HTTP/1.1\r\nHost: {self.loop.host}\r\n"
                "Content-Type: application/xml\r\nContent-Length: "
            ).encode()
        self.send(head + b"%d\r\n\r\n" % len(self.step.body) + self.step.body)

    def take(self) -> None:
        end = self.inbox.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.inbox[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            raise Broken("an answer without length")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self.inbox) < end + 4 + length:
            return
        body = self.inbox[end + 4 : end + 4 + length]
        self.inbox = b""
        if self.session is None and self.sock is not None:
            self.session = self.sock.session
        retry = None
        if b"retry-after:" in head:
            retry = float(head.split(b"retry-after:", 1)[1].split(b"\r\n", 1)[0])
        if b"connection: close" in head:
            self.hang_up()
        self.replied(Reply(int(head[9:12]), body, retry))

    def answer_pushed(self, answer: AnswerPushed) -> None:
        raise AssertionError("nothing is pushed over this connection")

    def answer(self) -> None:
        raise AssertionError("nothing is pushed over this connection")


class Loop:
    """All hubs of one process."""

    def __init__(self, url: str, ca: Path, *, most_connecting: int = 0) -> None:
        """`most_connecting` hubs shake hands at a time (0: any number); the others wait their turn."""
        parts = urlsplit(url)
        if parts.scheme not in ("https", "mqtts") or not parts.hostname:
            raise BadAddress(f"{url!r}: give https://HOST:PORT/OpenADR2/Simple/2.0b or mqtts://HOST:PORT")
        self.host, self.base = parts.hostname, parts.path.rstrip("/")
        port = parts.port or (443 if parts.scheme == "https" else 8883)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        found.sort(key=lambda each: each[0] != socket.AF_INET)
        self.family, self.address = found[0][0], found[0][4]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_verify_locations(ca)
        self.epoll = select.epoll()
        self.carriers: dict[int, Carrier] = {}
        self.raw: dict[int, socket.socket] = {}
        self.timers: list[tuple[float, int, Carrier]] = []
        self.number = 0
        self.most_connecting = most_connecting
        self.connecting: set[Carrier] = set()
        self.queue: deque[Carrier] = deque()
        self.shaking: set[Carrier] = set()
        self.connected: dict[Carrier, None] = {}
        self.heads: dict[str, bytes] = {}
        self.later: deque[tuple[float, Carrier]] = deque()
        self.chunk = memoryview(bytearray(CHUNK_BYTES))

    def run(self, carriers: Sequence[Carrier], *, until: Callable[[], bool], is_begun: bool = False) -> None:
        """Let them live until told otherwise; `is_begun` says that they do already."""
        for carrier in () if is_begun else carriers:
            carrier.go_on(None)
        while not until():
            timeout = 0.2
            if self.timers:
                timeout = min(timeout, max(0.0, self.timers[0][0] - time.monotonic()))
            if self.later:
                timeout = min(timeout, max(0.0, self.later[0][0] - time.monotonic()))
            for fd, event in self.epoll.poll(timeout):
                found = self.carriers.get(fd)
                if found is not None:
                    found.happened(event)
            self.let_answer()
            self.let_connect()
            now = time.monotonic()
            while self.timers and self.timers[0][0] <= now:
                wake_at, _, carrier = heapq.heappop(self.timers)
                if carrier.wake_at == wake_at:
                    carrier.woken()

    def do_later(self, carrier: Carrier) -> None:
        """Have it answer in a moment: real hubs have a processor each, here the others hear first."""
        self.later.append((time.monotonic() + THINKING_SECONDS, carrier))

    def let_answer(self) -> None:
        now = time.monotonic()
        for _ in range(MOST_ANSWERED):
            if not self.later or self.later[0][0] > now:
                return
            carrier = self.later.popleft()[1]
            try:
                carrier.answer()
            except Broken:
                carrier.has_broken()

    def wake(self, carrier: Carrier, seconds: float) -> None:
        """Wake it then; an earlier wish is forgotten."""
        carrier.wake_at = time.monotonic() + seconds
        self.number += 1
        heapq.heappush(self.timers, (carrier.wake_at, self.number, carrier))

    def may_connect(self, carrier: Carrier) -> bool:
        """True when it is the hub's turn to connect; else it is called when that has come."""
        if self.most_connecting and len(self.connecting) >= self.most_connecting:
            self.queue.append(carrier)
            carrier.wake_at = 0.0
            return False
        self.connecting.add(carrier)
        return True

    def has_connected(self, carrier: Carrier) -> None:
        """Its hands are shaken, or it has given up."""
        self.connecting.discard(carrier)
        self.shaking.discard(carrier)

    def may_shake(self, carrier: Carrier) -> bool:
        """True when it is the turn of a hub whose TCP connection stands; else it is called then."""
        if len(self.shaking) >= MOST_SHAKING:
            self.connected[carrier] = None
            carrier.set_mask(0)
            return False
        self.shaking.add(carrier)
        return True

    def let_connect(self) -> None:
        """Begin with those that waited, as far as there is room."""
        while self.connected and len(self.shaking) < MOST_SHAKING:
            carrier = next(iter(self.connected))
            del self.connected[carrier]
            carrier.happened(WRITE)
        while self.queue and len(self.connecting) < self.most_connecting:
            self.queue.popleft().begin()

    def watch_new(self, carrier: Carrier, raw: socket.socket) -> None:
        self.carriers[carrier.fd] = carrier
        self.raw[carrier.fd] = raw
        self.epoll.register(carrier.fd, carrier.mask)

    def wrap(self, carrier: Carrier) -> ssl.SSLSocket:
        """TCP stands: begin TLS, resuming the session of last time."""
        raw = self.raw.pop(carrier.fd)
        if raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.epoll.unregister(carrier.fd)
            self.carriers.pop(carrier.fd, None)
            raw.close()
            carrier.hub.tally.counts["not_connected"] += 1
            raise Broken("not connected")
        # A context for each certificate takes 26 kB a home: one serves all, for a connection copies, when it
        # is made, the certificate the context holds then.
        self.context.load_cert_chain(carrier.identity.pem)
        return self.context.wrap_socket(
            raw, do_handshake_on_connect=False, server_hostname=self.host, session=carrier.session
        )

    def forget(self, carrier: Carrier) -> None:
        self.has_connected(carrier)
        self.connected.pop(carrier, None)
        if self.carriers.pop(carrier.fd, None) is not None:
            self.epoll.unregister(carrier.fd)
        raw = self.raw.pop(carrier.fd, None)
        if raw is not None:
            raw.close()
