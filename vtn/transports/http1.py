"""HTTP/1.1 requests from bytes, and answers to bytes: strict, small, no I/O.

What two readers could understand differently (RFC 9112 section 11.2) is refused:
bare line ends, folded lines, doubled framing fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

LARGEST_HEAD_BYTES: Final = 16 * 1024
"""A proxy hands on the peer's whole certificate in one field: about 1.3 kB for P-256, 3 kB for RSA."""
MOST_FIELDS: Final = 60
STATUS_LINES: Final = {
    200: "200 OK",
    400: "400 Bad Request",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    409: "409 Conflict",
    411: "411 Length Required",
    413: "413 Content Too Large",
    415: "415 Unsupported Media Type",
    422: "422 Unprocessable Content",
    431: "431 Request Header Fields Too Large",
    503: "503 Service Unavailable",
    505: "505 HTTP Version Not Supported",
}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]{3,10}")
_DIGITS = re.compile(r"[0-9]{1,10}")
_ONCE = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "content-encoding", "expect"}
)
_MOST_NAMES = 500
_lower_names: dict[str, str] = {}
CERTIFICATE_FIELD: Final = "X-Client-Certificate"
"""What the proxy hands on of its peer; the rest of its heads is the same for thousands of them."""
_CERTIFICATE = CERTIFICATE_FIELD.lower()
_ASIDE = f"\r\n{CERTIFICATE_FIELD}: ".encode()
_MOST_HEADS = 1_000
_LARGEST_REMEMBERED = 1_024
_heads: dict[bytes, Head] = {}


class BadHead(Exception):
    """The head of a request cannot be read; the connection ends after the answer."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


class Head(NamedTuple):
    """A request without its body; `fields` by lower-case name. `length` is None when none was announced."""

    method: str
    target: str
    minor_version: int
    fields: dict[str, str]
    length: int | None
    is_chunked: bool

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def is_kept_open(self) -> bool:
        """True when the peer wants, and may have, another request on this connection."""
        said = self.fields.get("connection", "").lower()
        if self.is_chunked:
            return False
        return "close" not in said if self.minor_version else "keep-alive" in said


def head_of(data: bytes) -> Head:
    """Return the head in `data`, which ends before its empty line; raises BadHead.

    A head that differs from an earlier one in the peer's certificate alone is not taken apart again.
    """
    found = data.find(_ASIDE)
    if found < 0:
        return _read(data)
    start = found + len(_ASIDE)
    end = data.find(b"\r\n", start)
    rest = data[:start] if end < 0 else data[:start] + data[end:]
    value = data[start:] if end < 0 else data[start:end]
    known = _heads.get(rest)
    if known is None:
        head = _read(data)
        remembered = _read(rest)
        if len(rest) <= _LARGEST_REMEMBERED and not remembered.fields[_CERTIFICATE]:  # it came once
            if len(_heads) >= _MOST_HEADS:
                _heads.clear()
            _heads[rest] = remembered
        return head
    if b"\n" in value or b"\r" in value or b"\0" in value:
        raise BadHead(400, "bare line end or NUL in the head")
    fields = known.fields.copy()
    fields[_CERTIFICATE] = value.decode("latin-1").strip(" \t")
    return Head(known.method, known.target, known.minor_version, fields, known.length, known.is_chunked)


def _read(data: bytes) -> Head:
    text = data.decode("latin-1")
    first, *lines = text.split("\r\n")
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise BadHead(400, "bare line end or NUL in the head")
    words = first.split(" ")
    if len(words) != 3 or not _METHOD.fullmatch(words[0]) or not words[1].startswith("/"):
        raise BadHead(400, "no request line")
    if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadHead(505, "HTTP/1.1 or 1.0 is spoken here")
    if len(lines) > MOST_FIELDS:
        raise BadHead(431, f"more than {MOST_FIELDS} fields")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        lower = _lower_names.get(name)
        if lower is None:
            lower = _lower(name)
        if not colon:
            raise BadHead(400, "a field without a colon")
        value = value.strip(" \t")
        if lower in fields:
            if lower in _ONCE:
                raise BadHead(400, f"{lower} twice")
            value = f"{fields[lower]}, {value}"
        fields[lower] = value
    length, is_chunked = _framing(fields)
    return Head(words[0], words[1], 1 if words[2] == "HTTP/1.1" else 0, fields, length, is_chunked)


def answer(status: int, fields: Iterable[tuple[str, str]], body: bytes, *, is_last: bool) -> bytes:
    """Return an answer whole; `is_last` says that the connection ends with it."""
    return raw_answer(STATUS_LINES[status], fields, body, is_last=is_last)


def raw_answer(status_line: str, fields: Iterable[tuple[str, str]], body: bytes, *, is_last: bool) -> bytes:
    """As `answer`, with the status line as a WSGI application gives it."""
    lines = [f"HTTP/1.1 {status_line}", *(f"{name}: {value}" for name, value in fields)]
    if is_last:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _lower(name: str) -> str:
    """Check a field's name once; a known one is looked up from then on."""
    if not _TOKEN.fullmatch(name):
        raise BadHead(400, "a field's name is no token")
    lower = name.lower()
    if len(_lower_names) < _MOST_NAMES:
        _lower_names[name] = lower
    return lower


def _framing(fields: dict[str, str]) -> tuple[int | None, bool]:
    announced = fields.get("content-length")
    is_chunked = "transfer-encoding" in fields
    if is_chunked and announced is not None:
        raise BadHead(400, "both Content-Length and Transfer-Encoding")
    if announced is None or not _DIGITS.fullmatch(announced):
        return None, is_chunked
    return int(announced), is_chunked
