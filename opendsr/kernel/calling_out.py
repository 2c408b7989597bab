"""One HTTPS request to an address that staff wrote down, and no way from it into the house (SSRF).

The name is resolved once and that address is called, so that a second answer of the DNS changes nothing;
private, loopback, link-local and otherwise special addresses are refused unless they are among the networks
allowed by name. No redirects, bounded time and size; the peer must show a certificate that the public
authorities, or one named, vouch for.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

SECONDS: Final = 5.0
MOST_BYTES: Final = 64 * 1024
PORTS: Final = frozenset({443, 8443})
CHUNK_BYTES: Final = 16_384
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotCalled(Exception):
    """Nothing was said to the peer, or nothing sound came back; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer answered, and how long it asks to be left alone."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None


def post(
    url: str,
    body: bytes,
    *,
    content_type: str,
    networks: Sequence[Network] = (),
    ports: Collection[int] = PORTS,
    ca: Path | None = None,
    context: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
    most_bytes: int = MOST_BYTES,
) -> Answer:
    """Post the body and return the answer, a redirect refused; raises NotCalled.

    A `context` of one's own says whom to trust and what certificate to show.
    """
    parts = parsed(url, ports=ports)
    deadline = time.monotonic() + seconds
    address = resolved(parts, networks=networks)
    context = context or ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca is not None:
            context.load_verify_locations(ca)
        with connect(address, context, parts.hostname or "", deadline) as sock:
            send(sock, parts, body, deadline, content_type=content_type)
            response = read(sock, deadline, most_bytes=most_bytes)
            status, answer = response.status, response.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotCalled(str(error) or type(error).__name__) from error
    if 300 <= status < 400:
        raise NotCalled(f"HTTP {status}: a redirect is not followed")
    wait = response.headers.get("Retry-After", "")
    return Answer(status, answer, float(wait) if wait.isascii() and wait.isdigit() else None)


def parsed(url: str, *, ports: Collection[int] = PORTS) -> SplitResult:
    """Return the URL taken apart; raises NotCalled with what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError as error:
        raise NotCalled(f"not a URL: {error}") from error
    if parts.scheme != "https":
        raise NotCalled("only https is called")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise NotCalled("write https://HOST[:PORT]/PATH, without user or password")
    if parts.query or parts.fragment or any(character.isspace() for character in url):
        raise NotCalled("no query, fragment or blank")
    if port not in ports:
        raise NotCalled(f"port {port} is not one of {', '.join(map(str, sorted(ports)))}")
    return parts


def resolved(parts: SplitResult, *, networks: Sequence[Network] = ()) -> tuple[str, int]:
    """Return the one address to call; raises NotCalled when any the name has is out of bounds."""
    host, port = parts.hostname or "", parts.port or 443
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotCalled(f"{host}: {error}") from error
    addresses = [str(each[4][0]) for each in found]
    for text in addresses:
        if not is_allowed(ipaddress.ip_address(text.partition("%")[0]), networks=networks):
            raise NotCalled(f"{host} is {text}: not a public address, nor in a network that is allowed")
    if not addresses:
        raise NotCalled(f"{host}: no address")
    return addresses[0], port


def is_allowed(address: Address, *, networks: Sequence[Network] = ()) -> bool:
    """True for a public address, looked through what wraps another, and for those allowed by name."""
    inner = _inner(address)
    if inner is not None:
        return is_allowed(inner, networks=networks)
    if any(address.version == network.version and address in network for network in networks):
        return True
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: Address) -> Address | None:
    """Return the IPv4 address that an IPv6 one leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def connect(address: tuple[str, int], context: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    """A TLS connection to the address, under the host's name."""
    raw = socket.create_connection(address, _left(deadline))
    try:
        raw.settimeout(_left(deadline))
        return context.wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def send(
    sock: ssl.SSLSocket,
    parts: SplitResult,
    body: bytes,
    deadline: float,
    *,
    content_type: str = "application/xml",
) -> None:
    """Say the request."""
    head = (
        f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    sock.settimeout(_left(deadline))
    sock.sendall(head.encode("ascii") + body)


def receive(sock: ssl.SSLSocket, deadline: float) -> tuple[int, bytes]:
    """Read to the end of the answer, of the patience, or of what is allowed."""
    response = read(sock, deadline)
    return response.status, response.read()


def read(sock: ssl.SSLSocket, deadline: float, *, most_bytes: int = MOST_BYTES) -> http.client.HTTPResponse:
    """The answer with its fields, read whole as `receive` does."""
    data = b""
    while not _is_whole(data):
        sock.settimeout(_left(deadline))
        more = sock.recv(CHUNK_BYTES)
        if not more:
            break
        data += more
        if len(data) > most_bytes:
            raise ValueError(f"an answer of more than {most_bytes} bytes")
    response = http.client.HTTPResponse(_Said(data), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response


def _is_whole(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long")
    return left


class _Said:
    """What was read, as http.client wants to read it."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)
