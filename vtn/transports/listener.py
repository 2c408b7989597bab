"""The VENs' listener: a gunicorn worker that waits on thousands of connections in one loop.

A poll of a VEN for which nothing waits is answered here, from memory, behind a
barrier (`standing`); everything else goes to the WSGI application in a few threads.
The peer is a VEN over TLS, or the proxy on a unix socket, which ends TLS and hands
on each VEN's certificate in a field of the head; over TLS that field means nothing.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any, Final

import psycopg
from gunicorn.workers.base import Worker

from oadr import codec
from oadr.fingerprint import full_fingerprint
from vtn.transports import calling, groups, http1, standing
from vtn.transports.connection import READ, WRITE, Connection, Gone, Request
from vtn.transports.http1 import BadHead

POLL_PATH: Final = "/OpenADR2/Simple/2.0b/OadrPoll"
EVENT_PATH: Final = "/OpenADR2/Simple/2.0b/EiEvent"
XML: Final = frozenset({"application/xml", "text/xml", ""})
HANDSHAKE_SECONDS: Final = 60.0
"""How long a TLS handshake may last: when all VENs come back at once, as long as all of them together."""
PATIENCE_SECONDS: Final = 10.0
"""How long a peer may stay silent in the middle of something."""
LARGEST_DROPPED: Final = 4 * 1024 * 1024
"""How much of a refused body is read and thrown away, so that the peer, still sending, hears why."""
BARRIER_SECONDS: Final = 5.0
"""A database that takes longer to answer nothing is away."""
BARRIER_GAP_SECONDS: Final = 0.002
RECONNECT_SECONDS: Final = 1.0
SEEN_SECONDS: Final = 10.0
CROWD: Final = 8
"""A group of so many says that more are on their way: the next waits for them."""
GATHER_SECONDS: Final = 0.5
"""From one crowd to the next: a group costs fifteen milliseconds whatever its size, a VEN in it a quarter."""
TICK_SECONDS: Final = 0.5
MOST_WAITING: Final = 4_000
"""Requests a worker lets wait for a thread; those beyond are asked to come back."""
RETRY_SECONDS: Final = (5, 20)
MOST_CERTIFICATES: Final = 20_000
MOST_POLLS: Final = 20_000
LARGEST_POLL: Final = 2_000
"""Bytes of a poll that is remembered as judged; a plain one has about 400."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Waiting:
    """A poll that memory may answer."""

    connection: Connection
    request: Request
    fingerprint: str
    ven_id: str
    is_enveloped: bool


class Gathering:
    """When the next group may begin: at once, unless a crowd began less than `GATHER_SECONDS` ago."""

    def __init__(self) -> None:
        self._may_begin_at = 0.0

    def began(self, size: int) -> None:
        self._may_begin_at = time.monotonic() + GATHER_SECONDS if size >= CROWD else 0.0

    def seconds_left(self) -> float:
        return max(0.0, self._may_begin_at - time.monotonic())


class VenWorker(Worker):
    """gunicorn's frame (master, restarts, signals) around the loop."""

    def run(self) -> None:
        is_tls = self.cfg.is_ssl
        context = self.cfg.ssl_context(self.cfg, lambda: None) if is_tls else None
        loop = Loop(
            self.sockets,
            application=self.wsgi,
            context=context,
            threads=self.cfg.threads,
            keep_alive_seconds=self.cfg.keepalive,
            most_connections=self.cfg.worker_connections,
        )
        try:
            loop.run(
                is_alive=lambda: self.alive and os.getppid() == self.ppid,
                tell_master=self.notify,
                wakeup_fd=self.PIPE[0],
                grace_seconds=self.cfg.graceful_timeout,
            )
        finally:
            loop.close()


class Loop:
    """All connections of one worker."""

    def __init__(
        self,
        sockets: Iterable[Any],
        *,
        application: Callable[..., Iterable[bytes]],
        context: ssl.SSLContext | None,
        threads: int,
        keep_alive_seconds: float,
        most_connections: int,
    ) -> None:
        self.application = application
        self.context = context
        self.keep_alive_seconds = keep_alive_seconds
        self.most_connections = most_connections
        self.memory = standing.Memory()
        self.barrier: standing.Barrier | None = None
        self.is_connecting = False
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="vtn")
        self.in_pool = 0
        self.epoll = select.epoll()
        self.listeners: dict[int, socket.socket] = {}
        for each in sockets:
            sock = getattr(each, "sock", each)
            sock.setblocking(False)
            self.listeners[sock.fileno()] = sock
            self.epoll.register(sock.fileno(), READ | select.EPOLLEXCLUSIVE)
        self.connections: dict[int, Connection] = {}
        self.done: deque[Callable[[], None]] = deque()
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.epoll.register(self.wake_fd, READ)
        self.unasked: list[Waiting] = []
        self.asked: list[Waiting] = []
        self.unknown: list[Waiting] = []
        self.is_reading = False
        self.gathered_polls = Gathering()
        self.said: list[tuple[Connection, Request, str]] = []
        self.is_taking = False
        self.gathered_answers = Gathering()
        self.fingerprints: dict[str, str] = {}
        self.polls: dict[bytes, tuple[str, bool]] = {}
        self.wall = time.time()
        self.date_second = 0
        self.date = b""
        self.next_tick = self.next_seen = self.next_connect = 0.0

    # -- the loop

    def run(
        self,
        *,
        is_alive: Callable[[], bool],
        tell_master: Callable[[], None],
        wakeup_fd: int,
        grace_seconds: float,
    ) -> None:
        """Serve until `is_alive` says no, then answer what has been begun."""
        self.epoll.register(wakeup_fd, READ)
        self.connect()
        while is_alive():
            self.turn(wakeup_fd)
            if time.monotonic() >= self.next_tick:
                tell_master()
                self.tick()
        for fd in self.listeners:
            self.epoll.unregister(fd)
        end = time.monotonic() + grace_seconds
        while time.monotonic() < end and (
            self.in_pool or self.asked or self.unasked or self.unknown or self.said
        ):
            self.turn(wakeup_fd)
            tell_master()

    def is_owing(self) -> bool:
        """True while somebody waits for an answer."""
        return bool(self.in_pool or self.asked or self.unasked or self.unknown or self.said)

    def turn(self, wakeup_fd: int) -> None:
        """Wait for something to happen, and do what is to be done about it."""
        events = self.epoll.poll(self.patience())
        self.wall = time.time()
        for fd, event in events:
            connection = self.connections.get(fd)
            if connection is not None:
                self.serve(connection, event)
            elif fd in self.listeners:
                self.accept(self.listeners[fd])
            elif fd == self.wake_fd:
                os.eventfd_read(fd)
                while self.done:
                    self.done.popleft()()
            elif self.barrier is not None and fd == self.barrier.fileno():
                self.hear()
            elif fd == wakeup_fd:
                _empty(fd)
        self.ask()
        self.read_unknown()
        self.take_answers()

    def patience(self) -> float:
        """Return how many seconds the loop may sleep if nothing comes."""
        if self.unasked and (self.barrier is None or not self.barrier.is_asked):
            return BARRIER_GAP_SECONDS
        waits = [TICK_SECONDS]
        if self.unknown and not self.is_reading:
            waits.append(self.gathered_polls.seconds_left())
        if self.said and not self.is_taking:
            waits.append(self.gathered_answers.seconds_left())
        return min(waits)

    def tick(self) -> None:
        """What time alone asks for: twice a second."""
        now = time.monotonic()
        self.next_tick = now + TICK_SECONDS
        for connection in [each for each in self.connections.values() if each.deadline <= now]:
            self.give_up(connection)
        if self.barrier is None:
            if now >= self.next_connect:
                self.connect()
        elif self.barrier.is_asked and now - self.barrier.asked_at > BARRIER_SECONDS:
            self.lose_barrier("no answer")
        if now >= self.next_seen:
            self.next_seen = now + SEEN_SECONDS
            seen = self.memory.take_seen()
            if seen:
                self.in_thread(partial(standing.note_seen, seen), lambda _: None)

    def close(self) -> None:
        """End it; whom it heard is written down."""
        for connection in list(self.connections.values()):
            self.drop(connection)
        self.pool.shutdown(wait=True, cancel_futures=True)
        if self.barrier is not None:
            self.barrier.close()
        try:
            standing.note_seen(self.memory.take_seen())
        except Exception:  # noqa: BLE001 - the last word of a process that ends; the next poll says it again
            logger.warning("who was heard last could not be written down")

    # -- connections

    def accept(self, listener: socket.socket) -> None:
        for _ in range(64):
            try:
                raw, _address = listener.accept()
            except OSError:
                return
            if len(self.connections) >= self.most_connections:
                raw.close()
                continue
            raw.setblocking(False)
            sock = raw
            if self.context is not None:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    sock = self.context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
                except (OSError, ValueError):  # gone before it was greeted
                    raw.close()
                    continue
            is_tls = self.context is not None
            deadline = time.monotonic() + (HANDSHAKE_SECONDS if is_tls else PATIENCE_SECONDS)
            connection = Connection(sock, is_tls=is_tls, deadline=deadline)
            self.connections[connection.fd] = connection
            self.epoll.register(connection.fd, READ)

    def serve(self, connection: Connection, event: int) -> None:
        """Go on with one connection on which something has happened."""
        mask = connection.mask
        try:
            if not connection.is_shaken:
                if not connection.shake_hands():
                    self.watch(connection, mask)
                    return
                connection.deadline = time.monotonic() + PATIENCE_SECONDS
            if event & WRITE and connection.outbox and connection.send() and connection.is_last:
                self.drop(connection)
                return
            if event & ~WRITE:
                connection.receive()
            if not connection.is_busy:
                self.read_on(connection)
        except Gone:
            self.drop(connection)
            return
        except BadHead as refused:
            self.answer(connection, _refusal(refused.status), is_last=True)
            return
        self.watch(connection, mask)

    def watch(self, connection: Connection, mask: int) -> None:
        if connection.mask != mask and connection.fd in self.connections:
            self.epoll.modify(connection.fd, connection.mask)

    def read_on(self, connection: Connection) -> None:
        """Take up the next request when it has come."""
        if connection.to_drop or connection.is_last or not connection.inbox:
            return
        request = connection.next_request(largest_body=codec.LARGEST_BYTES)
        if request is None:
            if connection.deadline == float("inf") or connection.head is None:
                connection.deadline = time.monotonic() + PATIENCE_SECONDS
            if connection.outbox:
                connection.send()
            return
        connection.is_busy = True
        connection.deadline = float("inf")
        head = request.head
        connection.is_last = not head.is_kept_open or (head.length is None and head.method != "GET")
        if request.unread > LARGEST_DROPPED:
            connection.is_last = True
        connection.to_drop = min(request.unread, LARGEST_DROPPED)
        if head.target == POLL_PATH:
            waiting = self.poll_of(connection, request)
            if waiting is not None:
                self.unasked.append(waiting)
                return
        elif head.target == EVENT_PATH:
            fingerprint = self.plain_caller(connection, request)
            if fingerprint is not None:
                self.said.append((connection, request, fingerprint))
                self.take_answers()
                return
        self.hand_over(connection, request)

    def give_up(self, connection: Connection) -> None:
        """The deadline is over: refuse a body that stays away, close what idles."""
        request = connection.cut_short() if connection.is_shaken and not connection.is_busy else None
        if request is None:
            self.drop(connection)
            return
        connection.is_busy = connection.is_last = True
        connection.deadline = float("inf")
        self.hand_over(connection, request)

    def drop(self, connection: Connection) -> None:
        if self.connections.pop(connection.fd, None) is not None:
            self.epoll.unregister(connection.fd)
            connection.close()

    def answer(self, connection: Connection, data: bytes, *, is_last: bool = False) -> None:
        """Send an answer, and look at once for the peer's next request."""
        if self.connections.get(connection.fd) is not connection:
            return
        mask = connection.mask
        connection.is_busy = False
        connection.is_last |= is_last
        now = time.monotonic()
        connection.deadline = now + (self.keep_alive_seconds if not connection.to_drop else PATIENCE_SECONDS)
        try:
            is_sent = connection.send(data)
            if connection.is_last:
                connection.deadline = now + PATIENCE_SECONDS
                if is_sent and not connection.to_drop:
                    self.drop(connection)
                    return
            elif connection.inbox:
                self.read_on(connection)
        except Gone:
            self.drop(connection)
            return
        except BadHead as refused:
            self.answer(connection, _refusal(refused.status), is_last=True)
            return
        self.watch(connection, mask)

    # -- polls, from memory

    def poll_of(self, connection: Connection, request: Request) -> Waiting | None:
        """Return the request as a poll that memory may answer, else None."""
        fingerprint = self.plain_caller(connection, request) if self.memory.is_sure else None
        if fingerprint is None:
            return None
        poll = self.polls.get(request.body) or self.judge(request.body)
        return None if poll is None else Waiting(connection, request, fingerprint, *poll)

    def judge(self, body: bytes) -> tuple[str, bool] | None:
        """Parse and check a poll, and remember it: a VEN polls in the very same bytes each time."""
        poll = codec.idle_poll(body)
        if poll is not None and len(body) <= LARGEST_POLL:
            if len(self.polls) >= MOST_POLLS:
                self.polls.clear()
            self.polls[body] = poll
        return poll

    def plain_caller(self, connection: Connection, request: Request) -> str | None:
        """Return the fingerprint of who posts XML in the ordinary way, else None."""
        head = request.head
        content_type = head.fields.get("content-type", "")
        if content_type not in XML:
            media_type, _, parameters = content_type.lower().partition(";")
            if media_type.strip() not in XML or ("charset=" in parameters and "utf-8" not in parameters):
                return None
        if head.method != "POST" or head.fields.get("content-encoding", "identity").lower() != "identity":
            return None
        if request.unread or head.length is None or len(request.body) != head.length:
            return None
        fingerprint = self.fingerprint_of(connection, head)
        if fingerprint is not None:
            connection.fingerprint = fingerprint
        return fingerprint

    def fingerprint_of(self, connection: Connection, head: http1.Head) -> str | None:
        """Return whose certificate it is: TLS's own, or the one the proxy hands on."""
        if isinstance(connection.sock, ssl.SSLSocket):
            if connection.fingerprint is None:
                der = connection.sock.getpeercert(binary_form=True)
                return full_fingerprint(der) if der else None
            return connection.fingerprint
        if head.fields.get(calling.VERIFIED_FIELD) != calling.VERIFIED:
            return None
        escaped = head.fields.get(calling.CERTIFICATE_FIELD, "")
        fingerprint = self.fingerprints.get(escaped)
        if fingerprint is None:
            handed_on = calling.certificate_handed_on(head.fields)
            if handed_on is None:
                return None
            if len(self.fingerprints) >= MOST_CERTIFICATES:
                self.fingerprints.clear()
            fingerprint = self.fingerprints[escaped] = full_fingerprint(handed_on)
        return fingerprint

    def certificate_of(self, connection: Connection, request: Request) -> bytes | None:
        """Return the VEN's certificate for the application, which knows no other way to it."""
        if isinstance(connection.sock, ssl.SSLSocket):
            return connection.sock.getpeercert(binary_form=True)
        return calling.certificate_handed_on(request.head.fields)

    def ask(self) -> None:
        """Put one question to the database for all polls that have come since the last."""
        barrier = self.barrier
        if not self.unasked:
            return
        if barrier is None:
            unasked, self.unasked = self.unasked, []
            for waiting in unasked:
                self.hand_over(waiting.connection, waiting.request)
            return
        if barrier.is_asked or time.monotonic() - barrier.asked_at < BARRIER_GAP_SECONDS:
            return
        self.asked, self.unasked = self.unasked, []
        try:
            barrier.ask()
        except psycopg.Error as error:
            self.lose_barrier(str(error))

    def hear(self) -> None:
        """Take notifications; when the question is answered, answer the polls it was put for."""
        if self.barrier is None:
            return
        try:
            payloads, is_answered = self.barrier.read()
        except psycopg.Error as error:
            self.lose_barrier(str(error))
            return
        for payload in payloads:
            self.memory.notified(payload)
        if not is_answered:
            return
        asked, self.asked = self.asked, []
        for waiting in asked:
            quiet = self.memory.find(waiting.fingerprint, wall=self.wall)
            if quiet is None:
                self.unknown.append(waiting)
            else:
                self.say_nothing_new(waiting, quiet)
        self.read_unknown()

    def say_nothing_new(self, waiting: Waiting, quiet: Any) -> None:
        if waiting.ven_id not in ("", quiet.ven_id):
            self.hand_over(waiting.connection, waiting.request)
            return
        body = quiet.enveloped if waiting.is_enveloped else quiet.bare
        if waiting.connection.is_last:
            fields = (("Content-Type", "application/xml"), ("Content-Length", str(len(body))))
            self.answer(waiting.connection, http1.answer(200, fields, body, is_last=True))
            return
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n%b\r\n"
        self.answer(waiting.connection, head % (len(body), self.date_line()) + body)

    def read_unknown(self) -> None:
        """Serve together the VENs that memory does not know to be quiet."""
        if self.is_reading or not self.unknown or self.gathered_polls.seconds_left():
            return
        some, self.unknown = self.unknown[: groups.MOST], self.unknown[groups.MOST :]
        self.gathered_polls.began(len(some))
        reading = self.memory.begin_reading()
        self.is_reading = True
        polls = [
            groups.Poll(
                each.fingerprint, each.ven_id, each.is_enveloped, each.request.software, each.request.body
            )
            for each in some
        ]
        self.in_thread(
            partial(groups.serve_polls, polls), lambda served: self.have_read(reading, some, served)
        )

    def have_read(self, reading: int, some: list[Waiting], served: groups.Served | None) -> None:
        self.is_reading = False
        served = served or groups.Served({}, {})
        self.memory.keep(reading, served.quiet.items())
        for waiting in some:
            quiet = served.quiet.get(waiting.fingerprint)
            events = served.sets.get(waiting.fingerprint)
            if quiet is not None:
                self.memory.seen[quiet.ven_key] = self.wall
                self.say_nothing_new(waiting, quiet)
            elif events is not None:
                self.say(waiting.connection, events)
            else:
                self.hand_over(waiting.connection, waiting.request)
        self.read_unknown()

    def say(self, connection: Connection, body: bytes) -> None:
        fields = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        self.answer(connection, http1.answer(200, fields, body, is_last=connection.is_last))

    def take_answers(self) -> None:
        """Have everything said to EiEvent meanwhile taken in one go."""
        if self.is_taking or not self.said or self.gathered_answers.seconds_left():
            return
        some, self.said = self.said[: groups.MOST], self.said[groups.MOST :]
        self.gathered_answers.began(len(some))
        self.is_taking = True
        said = [groups.Said(fingerprint, request.software, request.body) for _, request, fingerprint in some]
        reading = self.memory.begin_reading()
        self.in_thread(
            partial(groups.take_answers, said), lambda taken: self.have_taken(reading, some, taken)
        )

    def have_taken(
        self, reading: int, some: list[tuple[Connection, Request, str]], taken: groups.Taken | None
    ) -> None:
        self.is_taking = False
        taken = taken or groups.Taken([None] * len(some), {})
        self.memory.keep(reading, taken.quiet.items())  # a VEN that has answered polls at once
        for (connection, request, _), reply in zip(some, taken.replies, strict=True):
            if reply is None:
                self.hand_over(connection, request)
            else:
                self.say(connection, reply)
        self.take_answers()

    def date_line(self) -> bytes:
        """Return the Date field; a proxy writes its own."""
        if self.context is None:
            return b""
        if int(self.wall) != self.date_second:
            self.date_second = int(self.wall)
            self.date = b"Date: %b\r\n" % formatdate(self.wall, usegmt=True).encode()
        return self.date

    # -- the database's notifications

    def connect(self) -> None:
        """Listen to the database, from a thread: reaching it may take seconds."""
        if self.is_connecting:
            return
        self.is_connecting = True
        self.next_connect = time.monotonic() + RECONNECT_SECONDS
        self.in_thread(self._new_barrier, self.have_connected)

    def _new_barrier(self) -> Any:
        try:
            return standing.Barrier(standing.connection_parameters())
        except psycopg.Error as error:
            logger.warning("cannot listen to the database: %s", error)
            return None

    def have_connected(self, barrier: Any) -> None:
        self.is_connecting = False
        if barrier is None:
            return
        self.barrier = barrier
        self.epoll.register(barrier.fileno(), READ)
        self.memory.regain()

    def lose_barrier(self, reason: str) -> None:
        """Without the database's word nothing is answered from memory: those who wait go the long way."""
        logger.warning("the database's notifications are lost: %s", reason.strip())
        barrier, self.barrier = self.barrier, None
        if barrier is not None:
            with suppress(OSError, psycopg.Error, ValueError):  # closed already: epoll has let go of it
                self.epoll.unregister(barrier.fileno())
            barrier.close()
        self.memory.lose_touch()
        asked, self.asked = self.asked, []
        for waiting in asked:
            self.hand_over(waiting.connection, waiting.request)

    # -- the long way

    def hand_over(self, connection: Connection, request: Request) -> None:
        """Have the application answer, in a thread; one too many is asked to come back."""
        if self.in_pool >= MOST_WAITING:
            low, high = RETRY_SECONDS
            seconds = low + connection.fd % (high - low)
            fields = (("Retry-After", str(seconds)), ("Content-Length", "0"))
            self.answer(connection, http1.answer(503, fields, b"", is_last=connection.is_last))
            return
        environ = calling.environ(request, certificate=self.certificate_of(connection, request))
        self.in_thread(
            partial(calling.call, self.application, environ, connection.is_last),
            lambda data: self.answer(connection, data if data is not None else _refusal(503)),
        )

    def in_thread(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do `work` in a thread, then `then` in the loop; an error is logged and its result None."""
        self.in_pool += 1

        def job() -> None:
            try:
                result = work()
            except Exception:  # the loop must outlive whatever goes wrong in one request
                logger.exception("a request could not be served")
                result = None
            self.done.append(partial(self.after, then, result))
            os.eventfd_write(self.wake_fd, 1)

        self.pool.submit(job)

    def after(self, then: Callable[[Any], None], result: Any) -> None:
        self.in_pool -= 1
        then(result)


def _refusal(status: int) -> bytes:
    fields = [("Content-Length", "0"), *([("Retry-After", "5")] if status == 503 else [])]
    return http1.answer(status, fields, b"", is_last=True)


def _empty(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass
