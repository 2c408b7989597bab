"""The VENs' listener: five paths and the one of 2.0a, certificates and shadows, beside Django's request
machinery.

The listener (`vtn.transports.listener`) hands over the peer's certificate in
`vtn.certificate`, whether it ended TLS itself or the proxy before it did; that is who
the VEN is. No body gets an answer of 5xx; a refused message is logged once and changes
nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from wsgiref.types import StartResponse

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")
django.setup()

from django.db import OperationalError, close_old_connections  # noqa: E402

from oadr import codec, simple  # noqa: E402
from oadr.errors import SignatureInvalid, TooLarge, WireError  # noqa: E402
from oadr.messages import COMPLIANCE_ERROR, NOT_REGISTERED, OK, EiResponse, Message, Response  # noqa: E402
from opendsr.kernel import clock  # noqa: E402
from vtn import est, identifying, messagelog, securing, shadows  # noqa: E402
from vtn.refusals import log_refusal  # noqa: E402
from vtn.requests import LARGEST_CSR_BYTES  # noqa: E402
from vtn.services import answering  # noqa: E402
from vtn.services import simple as simple_devices  # noqa: E402
from vtn.transports.http1 import STATUS_LINES  # noqa: E402
from vtn.transports.standing import keep_connections  # noqa: E402

Environ = dict[str, Any]

PREFIX: Final = "/OpenADR2/Simple/2.0b/"
SIMPLE_PATH: Final = "/OpenADR2/Simple/EiEvent"
"""The one path of OpenADR 2.0a."""
XML: Final = "application/xml"
XML_TYPES: Final = frozenset({XML, "text/xml", ""})
LONGEST_TOLD: Final = 300
DRAINED_BYTES: Final = 4 * 1024 * 1024
"""How much of a refused body is read and thrown away, so that the peer, still sending, hears why."""

logger = logging.getLogger(__name__)

keep_connections()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", XML),)


@dataclass(frozen=True, slots=True)
class Wire:
    """One profile of OpenADR: how a body is read, answered and written back; and a refusal of one unread."""

    read: Callable[..., codec.Parsed]
    answer: Callable[..., answering.Answer]
    write: Callable[..., bytes]
    write_refusal: Callable[[Message], bytes]


FULL_WIRE: Final = Wire(securing.read, answering.answer, securing.write, codec.serialise)
SIMPLE_WIRE: Final = Wire(simple_devices.read, simple_devices.answer, simple_devices.write, simple.serialise)


class Unacceptable(Exception):
    """A request that is refused before any handler: HTTP status, code and reason."""

    def __init__(self, status: int, code: str, reason: str, *, body: bytes = b"") -> None:
        self.status = status
        self.code = code
        self.reason = reason
        self.body = body
        super().__init__(reason)


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request; a database that is away for a moment is a 503 with Retry-After."""
    close_old_connections()
    try:
        reply = _respond(environ)
    except OperationalError:
        logger.exception("the database does not answer")
        reply = Reply(503, headers=(("Retry-After", "5"),))
    finally:
        close_old_connections()
    start_response(STATUS_LINES[reply.status], [*reply.headers, ("Content-Length", str(len(reply.body)))])
    return [reply.body]


def _respond(environ: Environ) -> Reply:
    path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "")
    if path == "/livez":
        return Reply(200, b"ok\n", (("Content-Type", "text/plain"),))
    if path.startswith(est.PREFIX):
        return _tend_certificate(environ, path, method)
    if path == shadows.SHADOW_PATH or path.startswith(shadows.FILES_PREFIX):
        return _tend_shadow(environ, path, method)
    service = path.removeprefix(PREFIX)
    is_simple = path == SIMPLE_PATH
    if not is_simple and (not path.startswith(PREFIX) or service not in answering.SERVICES):
        return Reply(404, headers=())
    if method != "POST":
        return Reply(405, headers=(("Allow", "POST"),))
    return _serve(environ, "EiEvent", SIMPLE_WIRE) if is_simple else _serve(environ, service, FULL_WIRE)


def _serve(environ: Environ, service: str, wire: Wire) -> Reply:
    at = clock.now()
    ven = None
    try:
        certificate = _certificate(environ)
        ven = _caller(certificate)
        body = _body(environ)
        parsed = _parsed(body, ven, certificate, wire)
    except Unacceptable as refused:
        log_refusal(
            at=at,
            ven=ven,
            service=service,
            code=refused.code,
            http_status=refused.status,
            reason=refused.reason,
            body=refused.body,
        )
        return Reply(refused.status, _refusal_body(refused, wire))
    answer = wire.answer(service=service, ven=ven, message=parsed.message, at=at)
    identifying.note_seen(ven)
    reply = wire.write(answer.message, ven=ven, answers=parsed)
    message_name, reply_name = codec.message_name(parsed.message), codec.message_name(answer.message)
    if answer.refusal is not None:
        log_refusal(
            at=at,
            ven=ven,
            service=service,
            code=str(answer.refusal.code),
            http_status=200,
            reason=answer.refusal.description,
            message=message_name,
            body=body,
            reply=reply_name,
            reply_body=reply,
            tolerances=parsed.tolerances,
        )
    else:
        messagelog.note(
            messagelog.Exchange(
                ven_pk=ven.pk,
                service=service,
                message=parsed.message,
                message_name=message_name,
                reply_name=reply_name,
                code=OK,
                at=at,
                software=environ.get("HTTP_USER_AGENT", ""),
                tolerances=parsed.tolerances,
                request_body=body,
                reply_body=reply,
            )
        )
    return Reply(200, reply)


def _tend_certificate(environ: Environ, path: str, method: str) -> Reply:
    """EST for VENs with a certificate: the next one for the one that speaks, and the CA's."""
    if path not in (est.CACERTS, est.REENROLL):
        return Reply(404, headers=())
    allowed = "GET" if path == est.CACERTS else "POST"
    if method != allowed:
        return Reply(405, headers=(("Allow", allowed),))
    at = clock.now()
    ven = None
    try:
        certificate = _certificate(environ)
        ven = _caller(certificate)
        if path == est.CACERTS:
            reply = est.cacerts(wall=clock.wall_now())
        else:
            body = _raw_body(environ, LARGEST_CSR_BYTES)
            reply = est.reenroll(ven=ven, certificate_der=certificate, body=body, at=at)
        if reply.code:
            raise Unacceptable(reply.status, reply.code, reply.reason)
    except Unacceptable as refused:
        log_refusal(
            at=at,
            ven=ven,
            service="est",
            code=refused.code,
            http_status=refused.status,
            reason=refused.reason,
        )
        return Reply(refused.status, f"{refused.reason}\n".encode(), (("Content-Type", "text/plain"),))
    return Reply(reply.status, reply.body, reply.headers)


def _tend_shadow(environ: Environ, path: str, method: str) -> Reply:
    """What a VEN is and should be, and the files it may fetch."""
    allowed = "POST" if path == shadows.SHADOW_PATH else "GET"
    if method != allowed:
        return Reply(405, headers=(("Allow", allowed),))
    at = clock.now()
    ven = None
    try:
        ven = _caller(_certificate(environ))
        if path != shadows.SHADOW_PATH:
            file = shadows.file_of(path.removeprefix(shadows.FILES_PREFIX))
            if file is None:
                return Reply(404, headers=())
            return Reply(200, file, (("Content-Type", "application/octet-stream"),))
        body = _raw_body(environ, shadows.LARGEST_REPORT_BYTES)
        answer = shadows.take_report(ven=ven, body=body, at=at)
    except (Unacceptable, shadows.ReportUnreadable) as refused:
        status, reason = refused.status, str(refused)
        log_refusal(at=at, ven=ven, service="shadow", code=refused.code, http_status=status, reason=reason)
        return Reply(status, f"{reason}\n".encode(), (("Content-Type", "text/plain"),))
    identifying.note_seen(ven)
    return Reply(200, answer, (("Content-Type", "application/json"),))


def _certificate(environ: Environ) -> bytes:
    """Return the certificate that ended the handshake, as DER; nothing when there is none."""
    certificate: bytes | None = environ.get("vtn.certificate")
    return certificate or b""


def _caller(certificate: bytes) -> identifying.Ven:
    """Return the VEN that the certificate speaks for; fails closed."""
    try:
        return identifying.speaker(certificate, wall=clock.wall_now())
    except identifying.CertificateRefused as error:
        reason = str(error.data["reason"])
        raise Unacceptable(403, reason, f"client certificate: {reason.replace('_', ' ')}") from error


def _parsed(body: bytes, ven: identifying.Ven, certificate: bytes, wire: Wire) -> codec.Parsed:
    try:
        return wire.read(body, ven=ven, certificates=(certificate,), wall=clock.wall_now())
    except SignatureInvalid as error:
        raise Unacceptable(403, error.code, str(error), body=body) from error
    except WireError as error:
        status = 413 if isinstance(error, TooLarge) else 400
        raise Unacceptable(status, error.code, str(error), body=body) from error
    except securing.SignatureRefused as error:
        reason = str(error.data["reason"])
        raise Unacceptable(403, reason, f"signature: {reason.replace('_', ' ')}", body=body) from error


def _body(environ: Environ) -> bytes:
    media_type, _, parameters = environ.get("CONTENT_TYPE", "").partition(";")
    if media_type.strip().lower() not in XML_TYPES:
        raise Unacceptable(415, "media_type", f"send {XML}")
    charset = parameters.lower().partition("charset=")[2].strip(" \"';")
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise Unacceptable(415, "charset", "send UTF-8")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise Unacceptable(415, "content_encoding", "send the body uncompressed")
    return _raw_body(environ, codec.LARGEST_BYTES)


def _raw_body(environ: Environ, most: int) -> bytes:
    try:
        length = int(environ.get("CONTENT_LENGTH") or -1)
    except ValueError:
        length = -1
    if length < 0:
        raise Unacceptable(411, "no_length", "send Content-Length")
    if length > most:
        _drain(environ, min(length, DRAINED_BYTES))
        raise Unacceptable(413, TooLarge.code, f"{length} bytes, at most {most}")
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except OSError as error:  # silent for too long, or gone
        raise Unacceptable(400, "cut_short", f"{length} bytes were announced and did not come") from error
    if len(body) != length:
        raise Unacceptable(400, "cut_short", f"{len(body)} of {length} bytes came")
    return body


def _drain(environ: Environ, length: int) -> None:
    """Read and drop up to `length` bytes; closing on unread ones would reset the peer before it reads."""
    try:
        while length > 0 and (dropped := environ["wsgi.input"].read(min(length, 65_536))):
            length -= len(dropped)
    except OSError:
        pass  # silent for too long, or gone: the refusal stands all the same


def _refusal_body(refused: Unacceptable, wire: Wire) -> bytes:
    """Return an oadrResponse that says why, for those who read bodies of 4xx answers.

    What is wrong with a body is said in full, where it stood and what would do; what is
    wrong with who speaks is not.
    """
    words = refused.code.replace("_", " ")
    if refused.status == 403:
        return wire.write_refusal(Response(EiResponse(NOT_REGISTERED, words)))
    told = "".join(letter if letter.isprintable() else " " for letter in f"{words}: {refused.reason}")
    return wire.write_refusal(Response(EiResponse(COMPLIANCE_ERROR, told[:LONGEST_TOLD])))
