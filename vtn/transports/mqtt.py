"""Between an MQTT broker and the queue: what VENs say comes in, what the VTN begins goes out.

One loop holds the broker's connection and the database's notifications; work on the
database is done in threads, in groups (`mqtt_work`). A VEN's message is acknowledged to
the broker only when what it changed is committed, so a bridge killed at any moment
loses nothing: the broker, or the queue, says it again to whoever is left.
"""

from __future__ import annotations

import heapq
import logging
import os
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from oadr import mqtt, topics
from vtn.transports import mqtt_work, standing

KEEP_ALIVE_SECONDS: Final = 60
SESSION_SECONDS: Final = 86_400
CONNECT_SECONDS: Final = 10.0
RECONNECT_SECONDS: Final = 2.0
SEEN_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 2.0
"""How often the queue is looked at when nothing is notified: what was lost, or is due again."""
LONG_AGO: Final = float("-inf")
VOUCHED_SECONDS: Final = 30.0
"""How often all who are connected are held against their certificates, for one that ran out says nothing;
one revoked is notified."""
TAKEN_WITHIN_SECONDS: Final = 0.6
"""How long what VENs say is left with the broker while others are still being told: a campaign reaches
everybody first."""
MANY: Final = 1_000
"""Where so many are told at once, the broker has its hands full for that while."""
REPLIED_WITHIN_SECONDS: Final = 2.0
"""How long replies wait while more is taken: in a crowd, what is said is written down first."""
LANES: Final = 2
"""Groups that are taken at the same time: one is worked on here while the database writes the other."""
MOST_UNSENT: Final = 20_000
CHUNK_BYTES: Final = 262_144
MOST_READS: Final = 64
"""At a time; TLS gives 16 kB each."""
READ, WRITE = select.EPOLLIN, select.EPOLLOUT

logger = logging.getLogger(__name__)


class CannotReach(Exception):
    """The broker cannot be reached, or will not have this VTN; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and what this VTN shows it."""

    host: str
    port: int
    certificate: Path
    key: Path
    ca: Path
    client_id: str

    @classmethod
    def at(cls, url: str, *, certificate: Path, key: Path, ca: Path, client_id: str) -> Broker:
        """Read `mqtts://HOST:PORT`; raises CannotReach."""
        parts = urlsplit(url)
        if parts.scheme != "mqtts" or not parts.hostname:
            raise CannotReach(f"MQTT_URL {url!r}: write mqtts://HOST:PORT; it is never spoken without TLS")
        return cls(parts.hostname, parts.port or 8883, certificate, key, ca, client_id)

    def connect(self) -> ssl.SSLSocket:
        """Return a connection, TLS done; raises OSError."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.certificate, self.key)
        raw = socket.create_connection((self.host, self.port), CONNECT_SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(raw, server_hostname=self.host)


@dataclass(slots=True, eq=False)
class Lane:
    """What some of the VENs say, one group at a time, so that each VEN's words stay in their order."""

    heard: list[mqtt.Publish] = field(default_factory=list)
    is_taking: bool = False


class Bridge:
    """One connection to the broker. Several bridges share what VENs ask (shared subscriptions)."""

    def __init__(self, broker: Broker, *, vtn_id: str) -> None:
        self.broker, self.vtn_id = broker, vtn_id
        self.epoll = select.epoll()
        self.pool = ThreadPoolExecutor(4, thread_name_prefix="mqtt")
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.epoll.register(self.wake_fd, READ)
        self.done: deque[Callable[[], None]] = deque()
        self.sock: ssl.SSLSocket | None = None
        self.reader = mqtt.Reader()
        self.outbox = bytearray()
        self.mask = READ
        self.packet_id = 0
        self.in_flight: set[int] = set()
        self.receive_maximum = 65_535
        self.unsent: deque[mqtt_work.Saying] = deque()
        self.replies: list[mqtt_work.Saying] = []
        self.replying_since = 0.0
        self.lanes = tuple(Lane() for _ in range(LANES))
        self.telling_since, self.vouched_at = 0.0, LONG_AGO
        self.told = 0
        self.online: set[str] = set()
        self.seen: dict[int, float] = {}
        self.doubted: set[int] = set()
        self.is_all_doubted = True
        self.arrived: set[str] = set()
        self.returned: set[str] = set()
        self.is_fanning = False
        self.is_subscribed = False
        self.barrier: standing.Barrier | None = None
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.timer_number = 0
        self.tries = 0

    # -- the loop

    def run(self, *, is_alive: Callable[[], bool], ready: Callable[[], None] = lambda: None) -> None:
        """Serve until told otherwise; a broker or database that is away is tried again."""
        self.in_seconds(0, self.connect)
        self.in_seconds(0, self.listen)
        self.in_seconds(LOOK_SECONDS, self.look)
        self.in_seconds(KEEP_ALIVE_SECONDS / 3, self.ping)
        self.in_seconds(SEEN_SECONDS, self.note_seen)
        is_told = False
        while is_alive():
            wait = max(0.0, min(0.5, self.timers[0][0] - time.monotonic())) if self.timers else 0.5
            for fd, event in self.epoll.poll(wait):
                if fd == self.wake_fd:
                    os.eventfd_read(fd)
                    while self.done:
                        self.done.popleft()()
                elif self.barrier is not None and fd == self.barrier.fileno():
                    self.hear_database()
                elif self.sock is not None and fd == self.sock.fileno():
                    self.serve(event)
            now = time.monotonic()
            while self.timers and self.timers[0][0] <= now:
                heapq.heappop(self.timers)[2]()
            if self.is_subscribed and not is_told:
                is_told = True
                ready()
        self.close()

    def close(self) -> None:
        """Finish what is being worked on, and leave; what was not acknowledged comes to another bridge."""
        self.pool.shutdown(wait=True, cancel_futures=True)
        if self.sock is not None:
            with suppress(OSError):
                self.sock.setblocking(True)
                self.sock.settimeout(2)
                self.sock.sendall(bytes(self.outbox) + mqtt.disconnect())
            self.sock.close()
        if self.barrier is not None:
            self.barrier.close()

    def in_seconds(self, seconds: float, then: Callable[[], None]) -> None:
        self.timer_number += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.timer_number, then))

    def in_thread(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do `job` in a thread, then `then` in the loop; an error is logged and its result None."""

        def run() -> None:
            try:
                result = job()
            except Exception:  # the bridge must outlive whatever goes wrong with one group
                logger.exception("a group of messages could not be served; they come again")
                result = None
            self.done.append(partial(then, result))
            os.eventfd_write(self.wake_fd, 1)

        self.pool.submit(run)

    # -- the broker

    def connect(self) -> None:
        self.in_thread(self.try_to_connect, self.have_connected)

    def try_to_connect(self) -> ssl.SSLSocket | None:
        try:
            return self.broker.connect()
        except (OSError, ValueError) as error:
            logger.warning("the broker at %s:%s: %s", self.broker.host, self.broker.port, error)
            return None

    def have_connected(self, sock: ssl.SSLSocket | None) -> None:
        if sock is None:
            self.come_back()
            return
        sock.setblocking(False)
        self.sock, self.reader, self.outbox = sock, mqtt.Reader(), bytearray()
        self.in_flight.clear()
        self.mask = READ
        self.epoll.register(sock.fileno(), READ)
        self.send(
            mqtt.connect(
                self.broker.client_id,
                keep_alive_seconds=KEEP_ALIVE_SECONDS,
                session_seconds=SESSION_SECONDS,
            )
        )

    def come_back(self) -> None:
        self.tries += 1
        self.in_seconds(min(RECONNECT_SECONDS * 2 ** min(self.tries - 1, 4), 30.0), self.connect)

    def hang_up(self, reason: str) -> None:
        """The connection is lost; what was heard and not acknowledged will be said again."""
        logger.warning("the broker is lost: %s", reason)
        if self.sock is not None:
            with suppress(OSError, ValueError):
                self.epoll.unregister(self.sock.fileno())
            self.sock.close()
        self.sock = None
        self.is_subscribed = False
        for lane in self.lanes:
            lane.heard.clear()
        self.unsent.clear()
        self.replies.clear()
        self.online.clear()
        self.come_back()

    def serve(self, event: int) -> None:
        try:
            if event & WRITE and self.outbox:
                self.flush()
            if event & ~WRITE:
                self.receive()
        except (OSError, ValueError, mqtt.BadPacket) as error:
            self.hang_up(str(error))
            return
        self.work()

    def receive(self) -> None:
        """Read what has come; of very much a part, so that work on it can begin."""
        for _ in range(MOST_READS):
            if self.sock is None:
                return
            try:
                data = self.sock.recv(CHUNK_BYTES)
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            if not data:
                raise OSError("closed by the broker")
            for packet in self.reader.feed(data):
                self.took(packet)

    def took(self, packet: mqtt.Packet) -> None:
        if isinstance(packet, mqtt.Publish):
            self.hear(packet)
        elif isinstance(packet, mqtt.Ack):
            if packet.kind == mqtt.SUBACK:
                if packet.is_refused:
                    raise OSError("a subscription is refused: look at the broker's access list")
                self.is_subscribed = True
                self.is_all_doubted = True
                self.vouched_at = LONG_AGO
                self.tries = 0
                logger.info("connected to the broker at %s:%s", self.broker.host, self.broker.port)
            else:
                self.in_flight.discard(packet.packet_id)
        elif isinstance(packet, mqtt.Connack):
            if packet.reason >= mqtt.REFUSED_FROM:
                raise OSError(f"refused by the broker: {packet.reason:#x} {packet.reason_text}")
            self.receive_maximum = packet.receive_maximum
            self.send(mqtt.subscribe(self.next_id(), topics.vtn_subscriptions(self.vtn_id)))
        elif packet.kind == mqtt.DISCONNECT:
            raise OSError(f"the broker disconnects: {packet.reason:#x}")

    def hear(self, message: mqtt.Publish) -> None:
        address = topics.taken_apart(message.topic)
        if address is not None and address.kind == "presence":
            self.presence(address.name, message)
        elif address is not None and not message.is_retained:
            self.lanes[hash(address.name) % LANES].heard.append(message)
            return
        if message.packet_id is not None:
            self.send(mqtt.puback(message.packet_id))

    def presence(self, ven_id: str, message: mqtt.Publish) -> None:
        """Note who is there; what is retained tells of the past, anything else that the VEN has just come."""
        if message.payload == topics.ONLINE:
            self.online.add(ven_id)
            self.arrived.add(ven_id)
            if not message.is_retained:
                self.returned.add(ven_id)
        else:
            self.online.discard(ven_id)

    def send(self, data: bytes) -> None:
        self.outbox += data
        self.flush()

    def flush(self) -> None:
        """Send what the connection takes now; the rest when it can."""
        if self.sock is None:
            return
        try:
            while self.outbox:
                sent = self.sock.send(memoryview(self.outbox)[:CHUNK_BYTES])
                del self.outbox[:sent]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError:
            self.outbox.clear()  # the loop hears of it when it reads
        mask = (READ if self.may_take() else 0) | (WRITE if self.outbox else 0)
        if mask != self.mask and self.sock is not None:
            self.mask = mask
            self.epoll.modify(self.sock.fileno(), mask)

    def next_id(self) -> int:
        while True:
            self.packet_id = self.packet_id % 65_535 + 1
            if self.packet_id not in self.in_flight:
                return self.packet_id

    def ping(self) -> None:
        if self.sock is not None:
            self.send(mqtt.pingreq())
        self.in_seconds(KEEP_ALIVE_SECONDS / 3, self.ping)

    # -- what VENs say

    def work(self) -> None:
        """Begin whatever can be begun."""
        self.say()
        if (self.doubted or self.is_all_doubted or self.arrived) and not self.is_fanning:
            self.fan_out()
        for lane in self.lanes:
            if lane.heard and not lane.is_taking and self.may_take():
                some, lane.heard = lane.heard[: mqtt_work.MOST], lane.heard[mqtt_work.MOST :]
                lane.is_taking = True
                job = partial(mqtt_work.take, some, vtn_id=self.vtn_id)
                self.in_thread(job, partial(self.have_taken, lane, some))
        if self.replies and self.may_reply():
            self.unsent.extend(self.replies)
            self.replies.clear()
            self.say()

    def may_take(self) -> bool:
        """True while nobody is being told anything, or when what VENs say has waited long enough."""
        return not self.telling_since or time.monotonic() - self.telling_since >= TAKEN_WITHIN_SECONDS

    def may_reply(self) -> bool:
        """True once nothing is being taken, or when replies have waited long enough."""
        is_taking = any(lane.is_taking for lane in self.lanes)
        return not is_taking or time.monotonic() - self.replying_since >= REPLIED_WITHIN_SECONDS

    def have_taken(self, lane: Lane, some: list[mqtt.Publish], taken: mqtt_work.Taken | None) -> None:
        """Acknowledge what is durable now; a group that failed is not, and is said again after a while."""
        lane.is_taking = False
        if taken is None:
            self.in_seconds(1.0, partial(self.hear_again, lane, some))
            return
        for message in some:
            if message.packet_id is not None:
                self.outbox += mqtt.puback(message.packet_id)
        if taken.replies and not self.replies:
            self.replying_since = time.monotonic()
            self.in_seconds(REPLIED_WITHIN_SECONDS, self.work)
        self.replies += taken.replies
        self.seen.update(dict.fromkeys(taken.seen, time.time()))
        self.doubted |= taken.ven_keys
        for ven_id in taken.barred:
            self.bar(ven_id)
        self.work()

    def note_seen(self) -> None:
        """Write down together who has been heard."""
        seen, self.seen = self.seen, {}
        if seen:
            self.in_thread(partial(standing.note_seen, seen), lambda _: None)
        self.in_seconds(SEEN_SECONDS, self.note_seen)

    def hear_again(self, lane: Lane, some: list[mqtt.Publish]) -> None:
        if self.is_subscribed:
            lane.heard = some + lane.heard
            self.work()

    # -- what the VTN says

    def say(self) -> None:
        """Publish what waits, as far as the broker takes it."""
        if not self.is_subscribed:
            return
        while self.unsent and len(self.in_flight) < self.receive_maximum:
            saying = self.unsent.popleft()
            packet_id = self.next_id()
            self.in_flight.add(packet_id)
            self.outbox += saying.packet(packet_id)
        self.flush()

    def look(self) -> None:
        """Look at the whole queue: retries, and what a lost notification would have told."""
        self.is_all_doubted = True
        self.in_seconds(LOOK_SECONDS, self.look)
        self.work()

    def fan_out(self) -> None:
        if not self.is_subscribed or len(self.unsent) > MOST_UNSENT:
            return
        doubted = None if self.is_all_doubted else frozenset(self.doubted)
        arrived, self.arrived = frozenset(self.arrived), set()
        returned, self.returned = frozenset(self.returned), set()
        self.doubted.clear()
        self.is_all_doubted, self.is_fanning = False, True
        if not self.telling_since:
            self.telling_since = time.monotonic()
            self.in_seconds(TAKEN_WITHIN_SECONDS, self.hear_on)
        is_vouching = time.monotonic() - self.vouched_at >= VOUCHED_SECONDS
        if is_vouching:
            self.vouched_at = time.monotonic()
        job = partial(
            mqtt_work.fan_out,
            doubted=doubted,
            arrived=arrived,
            returned=returned,
            online=frozenset(self.online),
            is_vouching=is_vouching,
            vtn_id=self.vtn_id,
            holder=self.broker.client_id,
        )
        self.in_thread(job, self.have_fanned)

    def have_fanned(self, fanned: mqtt_work.Fanned | None) -> None:
        self.is_fanning = False
        if fanned is None:
            self.is_all_doubted, self.told, self.telling_since = True, 0, 0.0
            self.in_seconds(1.0, self.work)
            return
        self.unsent.extend(fanned.sayings)
        self.doubted |= fanned.left
        for ven_id in fanned.barred:
            self.bar(ven_id)
        self.told += len(fanned.sayings)
        if not self.doubted and (self.told < MANY or self.may_take()):
            self.told, self.telling_since = 0, 0.0
        self.work()

    def hear_on(self) -> None:
        """Listen to the broker again, however many are still to be told."""
        if not self.is_fanning:
            self.told, self.telling_since = 0, 0.0
        self.flush()
        self.work()

    def bar(self, ven_id: str) -> None:
        """No certificate speaks for this VEN any more: end its session, however it came to live on."""
        self.online.discard(ven_id)
        self.in_thread(partial(end_session, self.broker, ven_id), lambda _: None)

    # -- the database

    def listen(self) -> None:
        self.in_thread(self.try_to_listen, self.have_listened)

    def try_to_listen(self) -> standing.Barrier | None:
        try:
            return standing.Barrier(standing.connection_parameters())
        except psycopg.Error as error:
            logger.warning("cannot listen to the database: %s", error)
            return None

    def have_listened(self, barrier: standing.Barrier | None) -> None:
        if barrier is None:
            self.in_seconds(RECONNECT_SECONDS, self.listen)
            return
        self.barrier = barrier
        self.epoll.register(barrier.fileno(), READ)
        self.is_all_doubted = True
        self.vouched_at = LONG_AGO
        self.work()

    def hear_database(self) -> None:
        if self.barrier is None:
            return
        try:
            payloads, _ = self.barrier.read()
        except psycopg.Error as error:
            logger.warning("the database's notifications are lost: %s", str(error).strip())
            barrier, self.barrier = self.barrier, None
            with suppress(OSError, psycopg.Error, ValueError):
                self.epoll.unregister(barrier.fileno())
            barrier.close()
            self.in_seconds(RECONNECT_SECONDS, self.listen)
            return
        for payload in payloads:
            words = payload.split(",")
            if all(word.isdecimal() for word in words):
                self.doubted.update(map(int, words))
            else:
                self.is_all_doubted = True
                self.vouched_at = LONG_AGO
        self.work()


def end_session(broker: Broker, ven_id: str) -> None:
    """Take the VEN's session over under its client id, and drop it: the broker must close the other one.

    Works with any broker that lets this VTN choose its client id. Whoever comes back
    with a certificate that the broker still takes is met again at its first word.
    """
    logger.warning("ending the MQTT session of %s: no certificate speaks for it", ven_id)
    with broker.connect() as sock:
        sock.settimeout(CONNECT_SECONDS)
        sock.sendall(mqtt.connect(ven_id, keep_alive_seconds=10, is_clean=True))
        sock.recv(64)
        sock.sendall(mqtt.disconnect())
