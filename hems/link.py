"""Bodies to the VTN and answers back: HTTPS with mutual TLS over one kept-open connection.

Wall time only. Errors say which of two things happened: no contact, or a refusal by HTTP.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from hems.errors import BadAddress, BadFolder, NoContact, Refused
from hems.keys import CA, CERTIFICATE, KEY, require_identity
from oadr.codec import LARGEST_BYTES
from oadr.pausing import pause_seconds
from oadr.ven import reason_in

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
LONGEST_ANSWER_SECONDS = 60.0
"""What is waited for a handshake, or an answer, doubles up to this each time it was too little: a VTN to
which all hubs come back at once gets done with nobody when each gives up and begins anew."""
LATEST_RETURN = 1.5
"""Asked to come back after so long, a hub takes up to that many times as long: not all come at once."""
CONTENT_TYPE = "application/xml"
SHADOW_PATH, FILES_PREFIX = "/ven/shadow", "/ven/files/"
LARGEST_FILE_BYTES = 16 * 1024 * 1024
REENROL_PATH = "/.well-known/est/simplereenroll"


class Look(Protocol):
    """Is shown the time an answer was stamped with, between the wall times of question and answer."""

    def __call__(self, date: str | None, *, asked_at: float, heard_at: float) -> None: ...


class Link:
    """One hub's line to its VTN. Not for several threads, but `abort` may come from anywhere."""

    def __init__(
        self,
        folder: Path,
        address: str,
        *,
        is_up: Callable[[], bool] = lambda: True,
        look: Look | None = None,
    ) -> None:
        """`address` is the VTN's URL down to the profile: https://host:port/OpenADR2/Simple/2.0b.

        `look` is shown the time that each answer was stamped with.
        """
        parts = urlsplit(address)
        if parts.scheme != "https" or not parts.hostname:
            raise BadAddress(f"--vtn {address!r}: give https://HOST[:PORT]/OpenADR2/Simple/2.0b")
        self._host, self._port = parts.hostname, parts.port or 443
        self._base = parts.path.rstrip("/")
        self._is_up, self._look = is_up, look
        self._folder = folder
        self._context = tls_context(folder)
        self._connection: http.client.HTTPSConnection | None = None
        self._session: ssl.SSLSession | None = None
        self._patience_seconds = ANSWER_SECONDS
        self._peer_certificate = b""

    def exchange(self, service: str, write: Callable[[], bytes]) -> bytes:
        """Post what `write` returns to a service (`EiEvent`) and return the answer; raises LinkError.

        A kept-open connection that the VTN has closed meanwhile is opened anew, once, and the message written
        anew: it may be told twice, but a signature is good for once.
        """
        if not self._is_up():
            self.close()
            raise NoContact("the link is down")
        is_kept = self._connection is not None
        try:
            return self._post(f"{self._base}/{service}", write())
        except (ConnectionError, http.client.BadStatusLine, ssl.SSLEOFError) as error:
            self.close()
            if not is_kept:
                raise NoContact(_said(error)) from error
            try:
                return self._post(f"{self._base}/{service}", write())
            except (OSError, http.client.HTTPException) as again:
                self.close()
                raise NoContact(_said(again)) from again
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoContact(_said(error)) from error

    def reenrol(self, request: bytes) -> bytes:
        """Post a signing request (base64) to the VTN's EST door and return the answer; raises LinkError."""
        try:
            return self._post(REENROL_PATH, request, "application/pkcs10")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoContact(_said(error)) from error

    def tell_shadow(self, body: bytes) -> bytes:
        """Post what the hub is and return what it should be (JSON both); raises LinkError."""
        return self._beside("POST", SHADOW_PATH, body, most=LARGEST_BYTES)

    def fetch_file(self, name: str) -> bytes:
        """Return the bytes that the VTN keeps by a name; raises LinkError."""
        return self._beside("GET", FILES_PREFIX + name, None, most=LARGEST_FILE_BYTES)

    def _beside(self, method: str, path: str, body: bytes | None, *, most: int) -> bytes:
        """What is asked of the VTN beside OpenADR: tried once, anew at the next round."""
        if not self._is_up():
            self.close()
            raise NoContact("the link is down")
        try:
            return self._ask(method, path, body, "application/json", most=most)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoContact(_said(error)) from error

    def change_identity(self) -> None:
        """Call with the certificate and key now in the folder from the next exchange on."""
        self._context, self._session = tls_context(self._folder), None
        self.close()

    @property
    def host(self) -> str:
        return self._host

    @property
    def peer_certificate(self) -> bytes:
        """The certificate (DER) that ended the latest handshake; nothing before the first."""
        return self._peer_certificate

    def close(self) -> None:
        """Hang up; the next exchange calls again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abort(self) -> None:
        """Break off an exchange that is under way, from a signal handler or another thread."""
        sock = None if self._connection is None else self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def _post(self, path: str, body: bytes, content_type: str = CONTENT_TYPE) -> bytes:
        return self._ask("POST", path, body, content_type, most=LARGEST_BYTES)

    def _ask(self, method: str, path: str, body: bytes | None, content_type: str, *, most: int) -> bytes:
        try:
            answer = self._asked(method, path, body, content_type, most=most)
        except TimeoutError:
            self._patience_seconds = min(2 * self._patience_seconds, LONGEST_ANSWER_SECONDS)
            raise
        self._patience_seconds = ANSWER_SECONDS
        return answer

    def _asked(self, method: str, path: str, body: bytes | None, content_type: str, *, most: int) -> bytes:
        connection = self._connected()
        asked_at = time.time()
        connection.request(method, path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        if self._look is not None:
            self._look(response.headers.get("Date"), asked_at=asked_at, heard_at=time.time())
        answer = response.read(most + 1)
        if isinstance(connection.sock, ssl.SSLSocket):
            self._session = connection.sock.session
        if response.will_close or len(answer) > most:
            self.close()
        if response.status != 200:
            wait = response.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdecimal() else None
            raise Refused(response.status, seconds, reason=reason_in(answer))
        return answer

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            raw = socket.create_connection((self._host, self._port), CONNECT_SECONDS)
            raw.settimeout(self._patience_seconds)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = http.client.HTTPSConnection(self._host, self._port, context=self._context)
            connection.sock = sock = self._context.wrap_socket(
                raw, server_hostname=self._host, do_handshake_on_connect=False, session=self._session
            )
            self._connection = connection
            sock.do_handshake()
            self._peer_certificate = sock.getpeercert(binary_form=True) or b""
        return self._connection


class QuietTime:
    """How long to leave the VTN alone after a failure: doubling, random, bounded; anew after success."""

    def __init__(self, most_seconds: float, first_seconds: float = 1.0, dice: Random | None = None) -> None:
        self._most_seconds, self._first_seconds = most_seconds, first_seconds
        self._dice = dice or Random()  # noqa: S311 - spreads hubs, hides nothing
        self._failures = 0

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, at_least_seconds: float = 0.0) -> float:
        """Seconds to wait after one more failure; no fewer than those, and up to half as many again."""
        pause = pause_seconds(
            self._failures,
            first_seconds=self._first_seconds,
            most_seconds=self._most_seconds,
            dice=self._dice,
        )
        self._failures += 1
        return max(at_least_seconds * self._dice.uniform(1.0, LATEST_RETURN), pause)


def tls_context(folder: Path) -> ssl.SSLContext:
    require_identity(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(folder / CA)
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ssl.SSLError) as error:
        raise BadFolder(f"{folder}: certificate, key and CA do not go together: {_said(error)}") from error
    return context


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
