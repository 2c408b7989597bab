"""One peer's connection to the listener: bytes in, requests out, answers back; never blocks."""

from __future__ import annotations

import select
import socket
import ssl
from typing import Final, NamedTuple

from vtn.transports import http1
from vtn.transports.http1 import BadHead, Head

CHUNK_BYTES: Final = 65_536
READ, WRITE = select.EPOLLIN, select.EPOLLOUT


class Gone(Exception):
    """The peer has closed, broken off, or shown no certificate that holds."""


class Request(NamedTuple):
    """A request whole, or as much of its body as is wanted; `unread` bytes of the body are still to come."""

    head: Head
    body: bytes
    unread: int = 0

    @property
    def software(self) -> str:
        return self.head.fields.get("user-agent", "")


class Connection:
    """Reads one request at a time: the next is looked at once the one before is answered."""

    __slots__ = (
        "deadline",
        "fd",
        "fingerprint",
        "head",
        "inbox",
        "is_busy",
        "is_last",
        "is_shaken",
        "mask",
        "outbox",
        "sock",
        "to_drop",
    )

    def __init__(self, sock: socket.socket, *, is_tls: bool, deadline: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.is_shaken = not is_tls
        self.fingerprint: str | None = None
        self.inbox = b""
        self.outbox = b""
        self.head: Head | None = None
        self.to_drop = 0
        self.is_busy = False
        self.is_last = False
        self.deadline = deadline
        self.mask = READ

    def shake_hands(self) -> bool:
        """Go on with the TLS handshake; True when it is done."""
        try:
            self.sock.do_handshake()  # type: ignore[attr-defined]
        except ssl.SSLWantReadError:
            self.mask = READ
            return False
        except ssl.SSLWantWriteError:
            self.mask = WRITE
            return False
        except (OSError, ValueError) as error:
            raise Gone(str(error)) from error
        self.mask, self.is_shaken = READ, True
        return True

    def receive(self) -> None:
        """Take what has come; raises Gone at the end."""
        while True:
            try:
                data = self.sock.recv(CHUNK_BYTES)
            except (ssl.SSLWantReadError, BlockingIOError):
                return
            except ssl.SSLWantWriteError:
                self.mask |= WRITE
                return
            except (OSError, ValueError) as error:
                raise Gone(str(error)) from error
            if not data:
                raise Gone("closed")
            if self.to_drop:
                dropped = min(self.to_drop, len(data))
                self.to_drop -= dropped
                data = data[dropped:]
            self.inbox = self.inbox + data if self.inbox else data
            if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
                return

    def next_request(self, *, largest_body: int) -> Request | None:
        """Return the next request once all of it that is wanted has come; raises BadHead.

        Of a body larger than `largest_body` nothing is kept: it is dropped as it comes.
        """
        head = self.head
        if head is None:
            end = self.inbox.find(b"\r\n\r\n")
            if end < 0:
                if len(self.inbox) > http1.LARGEST_HEAD_BYTES:
                    raise BadHead(431, "the head is too large")
                return None
            if end > http1.LARGEST_HEAD_BYTES:
                raise BadHead(431, "the head is too large")
            head = self.head = http1.head_of(self.inbox[:end])
            self.inbox = self.inbox[end + 4 :]
            if head.length and not self.inbox and head.fields.get("expect", "").lower() == "100-continue":
                self.outbox += http1.CONTINUE
        length = head.length or 0
        if length > largest_body:
            unread = length - len(self.inbox)
            self.inbox = self.inbox[length:] if unread < 0 else b""
            self.head = None
            return Request(head, b"", max(unread, 0))
        if len(self.inbox) < length:
            return None
        body, self.inbox = self.inbox[:length], self.inbox[length:]
        self.head = None
        return Request(head, body)

    def cut_short(self) -> Request | None:
        """Return a request whose body stayed away, with the part that came."""
        if self.head is None:
            return None
        return Request(self.head, self.inbox)

    def send(self, data: bytes = b"") -> bool:
        """Send, or keep for when the peer takes it; True when all is gone. Raises Gone."""
        waiting = self.outbox + data if self.outbox else data
        try:
            while waiting:
                waiting = waiting[self.sock.send(waiting) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
            pass
        except (OSError, ValueError) as error:
            raise Gone(str(error)) from error
        self.outbox = waiting
        self.mask = READ | WRITE if waiting else READ
        return not waiting

    def close(self) -> None:
        self.sock.close()
