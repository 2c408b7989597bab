"""MQTT 5 packets from and to bytes, as far as OpenADR over MQTT needs them; no I/O, no state but a buffer.

Small because both ends must carry thousands of messages a second on plain sockets.
Section numbers are those of the OASIS standard MQTT 5.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple, cast

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 12, 13, 14
LARGEST_PACKET_BYTES: Final = 512 * 1024
SUCCESS: Final = 0
REFUSED_FROM: Final = 0x80
"""Reason codes from here on are refusals (2.4)."""

_MESSAGE_EXPIRY, _CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION = 0x02, 0x03, 0x08, 0x09
_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _REASON, _USER = 0x11, 0x21, 0x1F, 0x26
_BYTES: Final = frozenset({0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A})
_TWO: Final = frozenset({0x13, _RECEIVE_MAXIMUM, 0x22, 0x23})
_FOUR: Final = frozenset({_MESSAGE_EXPIRY, _SESSION_EXPIRY, 0x18, 0x27})
_TEXTS: Final = frozenset({_CONTENT_TYPE, _RESPONSE_TOPIC, 0x12, 0x15, 0x1A, 0x1C, _REASON})
_BLOBS: Final = frozenset({_CORRELATION, 0x16})
_VARIABLE: Final = 0x0B


class BadPacket(Exception):
    """Bytes that are no MQTT 5 packet; the connection cannot go on."""


class Publish(NamedTuple):
    """A message (3.3). `packet_id` is None at QoS 0."""

    topic: str
    payload: bytes
    packet_id: int | None = None
    is_retained: bool = False
    is_duplicate: bool = False
    response_topic: str = ""
    correlation: bytes = b""
    content_type: str = ""
    expiry_seconds: int | None = None
    user: tuple[tuple[str, str], ...] = ()

    def said(self, name: str) -> str:
        """Return a user property, "" when it is not there."""
        return dict(self.user).get(name, "")


class Connack(NamedTuple):
    reason: int
    is_session_present: bool
    receive_maximum: int = 65_535
    reason_text: str = ""


class Ack(NamedTuple):
    """PUBACK or SUBACK: `reasons` has one code a filter, one for a message."""

    kind: int
    packet_id: int
    reasons: tuple[int, ...]

    @property
    def is_refused(self) -> bool:
        return any(reason >= REFUSED_FROM for reason in self.reasons)


class Other(NamedTuple):
    """PINGREQ, PINGRESP, DISCONNECT."""

    kind: int
    reason: int = SUCCESS


Packet = Publish | Connack | Ack | Other


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes
    is_retained: bool = True


def connect(
    client_id: str,
    *,
    keep_alive_seconds: int,
    is_clean: bool = False,
    session_seconds: int = 0,
    receive_maximum: int = 65_535,
    will: Will | None = None,
) -> bytes:
    """Return a CONNECT (3.1); who it is says the TLS certificate, so no user name and no password."""
    flags = (2 if is_clean else 0) | (0 if will is None else 4 | 1 << 3 | (32 if will.is_retained else 0))
    properties = struct.pack(">BIBH", _SESSION_EXPIRY, session_seconds, _RECEIVE_MAXIMUM, receive_maximum)
    body = _text("MQTT") + struct.pack(">BBH", 5, flags, keep_alive_seconds) + _counted(properties)
    body += _text(client_id)
    if will is not None:
        body += b"\0" + _text(will.topic) + _blob(will.payload)
    return _packet(CONNECT << 4, body)


def publish(
    topic: str,
    payload: bytes,
    *,
    packet_id: int | None = None,
    is_retained: bool = False,
    is_duplicate: bool = False,
    response_topic: str = "",
    correlation: bytes = b"",
    content_type: str = "",
    expiry_seconds: int | None = None,
    user: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Return a PUBLISH: QoS 1 with a packet id, QoS 0 without."""
    properties = _begun(expiry_seconds, content_type)
    if response_topic:
        properties += bytes([_RESPONSE_TOPIC]) + _text(response_topic)
    if correlation:
        properties += bytes([_CORRELATION]) + _blob(correlation)
    for name, value in user:
        properties += bytes([_USER]) + _text(name) + _text(value)
    identifier = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    flags = (0 if packet_id is None else 2) | is_retained | is_duplicate << 3
    body = b"".join((_text(topic), identifier, _length(len(properties)), properties, payload))
    return _packet(PUBLISH << 4 | flags, body)


@lru_cache(maxsize=256)
def _begun(expiry_seconds: int | None, content_type: str) -> bytes:
    """Return the properties that most messages have alike."""
    properties = b""
    if expiry_seconds is not None:
        properties += struct.pack(">BI", _MESSAGE_EXPIRY, expiry_seconds)
    if content_type:
        properties += bytes([_CONTENT_TYPE]) + _text(content_type)
    return properties


def puback(packet_id: int) -> bytes:
    return struct.pack(">BBH", PUBACK << 4, 2, packet_id)


def subscribe(packet_id: int, filters: Sequence[str], *, is_own_left_out: bool = False) -> bytes:
    """Return a SUBSCRIBE at QoS 1 (3.8)."""
    options = 1 | is_own_left_out << 2
    body = struct.pack(">H", packet_id) + b"\0"
    body += b"".join(_text(each) + bytes([options]) for each in filters)
    return _packet(SUBSCRIBE << 4 | 2, body)


def pingreq() -> bytes:
    return bytes([PINGREQ << 4, 0])


def disconnect(reason: int = SUCCESS) -> bytes:
    return bytes([DISCONNECT << 4, 1, reason])


@dataclass(slots=True)
class Reader:
    """Cuts a stream into packets."""

    largest_bytes: int = LARGEST_PACKET_BYTES
    _rest: bytes = field(default=b"")

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield every packet that is whole now; raises BadPacket."""
        data = self._rest + data if self._rest else data
        at = 0
        try:
            while len(data) - at >= 2:
                length, body_at = _number(data, at + 1)
                if length > self.largest_bytes:
                    raise BadPacket(f"a packet of {length} bytes")
                end = body_at + length
                if len(data) < end:
                    break
                first = data[at]
                at = end
                yield _read(first, data[body_at:end])
        except _Unfinished:
            pass
        finally:
            self._rest = data[at:]


class _Unfinished(Exception):
    """The length of a packet has not come whole."""


def _read(first: int, body: bytes) -> Packet:
    kind = first >> 4
    try:
        if kind == PUBLISH:
            return _read_publish(first, body)
        if kind == CONNACK:
            properties = _properties(body, 2)[0] if len(body) > 2 else {}
            return Connack(
                reason=body[1],
                is_session_present=bool(body[0] & 1),
                receive_maximum=cast("int", properties.get(_RECEIVE_MAXIMUM, 65_535)),
                reason_text=str(properties.get(_REASON, "")),
            )
        if kind == PUBACK:
            (packet_id,) = struct.unpack_from(">H", body)
            return Ack(kind, packet_id, (body[2] if len(body) > 2 else SUCCESS,))
        if kind == SUBACK:
            (packet_id,) = struct.unpack_from(">H", body)
            _, at = _properties(body, 2)
            return Ack(kind, packet_id, tuple(body[at:]))
        if kind in (PINGREQ, PINGRESP, DISCONNECT):
            return Other(kind, body[0] if body else SUCCESS)
    except (IndexError, struct.error, UnicodeDecodeError, ValueError, TypeError, _Unfinished) as error:
        raise BadPacket(f"kind {kind}: {error}") from error
    raise BadPacket(f"kind {kind} is not expected")


def _read_publish(first: int, body: bytes) -> Publish:
    at = 2 + (body[0] << 8 | body[1])
    topic = body[2:at].decode()
    packet_id = None
    if first & 6:
        packet_id = body[at] << 8 | body[at + 1]
        at += 2
    if body[at] == 0:
        return Publish(topic, body[at + 1 :], packet_id, bool(first & 1), bool(first & 8))
    found, at = _properties(body, at)
    get = found.get
    return Publish(
        topic,
        body[at:],
        packet_id,
        bool(first & 1),
        bool(first & 8),
        cast("str", get(_RESPONSE_TOPIC, "")),
        cast("bytes", get(_CORRELATION, b"")),
        cast("str", get(_CONTENT_TYPE, "")),
        cast("int | None", get(_MESSAGE_EXPIRY)),
        cast("tuple[tuple[str, str], ...]", get(_USER, ())),
    )


def _properties(body: bytes, at: int) -> tuple[dict[int, object], int]:
    """Return the properties that begin at `at` (2.2.2), and where they end."""
    length, at = _number(body, at)
    end = at + length
    if end > len(body):
        raise BadPacket("properties longer than their packet")
    found: dict[int, object] = {}
    users: list[tuple[str, str]] = []
    while at < end:
        name = body[at]
        at += 1
        if name in _TEXTS or name in _BLOBS:
            stop = at + 2 + (body[at] << 8 | body[at + 1])
            if stop > end:
                raise BadPacket("a field longer than its packet")
            data = body[at + 2 : stop]
            found[name] = data.decode() if name in _TEXTS else data
            at = stop
        elif name == _USER:
            key, at = _counted_at(body, at)
            value, at = _counted_at(body, at)
            users.append((key.decode(), value.decode()))
        elif name in _FOUR:
            (found[name],) = struct.unpack_from(">I", body, at)
            at += 4
        elif name in _TWO:
            (found[name],) = struct.unpack_from(">H", body, at)
            at += 2
        elif name in _BYTES:
            found[name], at = body[at], at + 1
        elif name == _VARIABLE:
            found[name], at = _number(body, at)
        else:
            raise BadPacket(f"property {name:#x}")
    if users:
        found[_USER] = tuple(users)
    return found, end


def _counted_at(body: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H", body, at)
    end = at + 2 + length
    if end > len(body):
        raise BadPacket("a field longer than its packet")
    return body[at + 2 : end], end


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable byte integer (1.5.5) and where it ends."""
    if at < len(data) and data[at] < 128:  # most are
        return data[at], at + 1
    value = shift = 0
    while True:
        if at >= len(data):
            raise _Unfinished
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if not byte & 128:
            return value, at
        shift += 7
        if shift > 21:
            raise BadPacket("a length of more than four bytes")


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _length(len(body)) + body


def _counted(properties: bytes) -> bytes:
    return _length(len(properties)) + properties


def _length(length: int) -> bytes:
    if length < 128:
        return bytes([length])
    out = bytearray()
    while True:
        length, byte = length >> 7, length & 127
        out.append(byte | 128 if length else byte)
        if not length:
            return bytes(out)


def _text(text: str) -> bytes:
    return _blob(text.encode())


def _blob(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
