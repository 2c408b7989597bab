"""A VTN small enough to read: real HTTPS with mutual TLS, `oadr` messages, one queue a VEN."""

from __future__ import annotations

import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from oadr import codec
from oadr.messages import (
    CanceledOpt,
    CancelOpt,
    CreatedEvent,
    CreatedOpt,
    CreatedPartyRegistration,
    CreateOpt,
    CreatePartyRegistration,
    DistributeEvent,
    EiResponse,
    Event,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    Response,
)

PATH = "/OpenADR2/Simple/2.0b"


class Authority:
    """A certificate authority made for one test run."""

    def __init__(self, name: str = "Test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key.public_key(), is_ca=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def sign_request(self, csr_pem: bytes) -> bytes:
        request = x509.load_pem_x509_csr(csr_pem)
        assert request.is_signature_valid
        return self._sign(request.subject, request.public_key()).public_bytes(serialization.Encoding.PEM)

    def server_identity(self, folder: Path) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        certificate = self._sign(name, key.public_key(), names=["localhost"])
        paths = folder / "vtn-certificate.pem", folder / "vtn-key.pem"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def _sign(self, subject, public_key, *, is_ca: bool = False, names: Iterable[str] = ()):
        at = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - timedelta(hours=1))
            .not_valid_after(at + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())


@dataclass
class SmallVtn:
    """Answers by the certificate's common name. `break_next`: the next such one is not answered; `wraps`:
    what becomes of every answer before it goes out; `wants_signatures`: unsigned messages are refused;
    `ahead_seconds`: its clock before this machine's.
    """

    authority: Authority
    folder: Path
    poll_seconds: int | None = 1
    queues: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, dict[str, Event]] = field(default_factory=lambda: defaultdict(dict))
    heard: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    registrations: dict[str, tuple[str, str]] = field(default_factory=dict)
    reply: dict[type, Callable[[str, Any], Message | bytes | int]] = field(default_factory=dict)
    break_next: type | None = None
    wraps: Callable[[bytes], bytes] | None = None
    wants_signatures: bool = False
    ahead_seconds: float = 0.0
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __enter__(self) -> SmallVtn:
        certificate, key = self.authority.server_identity(self.folder)
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        vtn = self

        class Handler(_Handler):
            small_vtn = vtn

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            tls = context

            def handle_error(self, request, client_address) -> None:
                """A cut connection is what some tests are about."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}{PATH}"

    def put(self, name: str, *events: Event, announce: bool = True) -> None:
        """Add or replace events of a VEN, and queue its full set."""
        for event in events:
            self.events[name][event.event_id] = event
        if announce:
            self.announce(name)

    def drop(self, name: str, event_id: str) -> None:
        """Leave an event out of the set: an implied cancel."""
        del self.events[name][event_id]
        self.announce(name)

    def announce(self, name: str) -> None:
        self.queues[name].append(self._full_set(name))

    def heard_of(self, name: str, kind: type) -> list[Any]:
        return [message for message in self.heard[name] if isinstance(message, kind)]

    def answers(self, name: str) -> list[tuple[str, int, str, int]]:
        """(event id, modification, opt, code) of every event response so far."""
        return [
            (each.event.event_id, each.event.modification_number, each.opt_type, each.code)
            for message in self.heard_of(name, CreatedEvent)
            for each in message.event_responses
        ]

    def answer(self, name: str, message: Message) -> Message | bytes | int:
        self.heard[name].append(message)
        if type(message) in self.reply:
            return self.reply[type(message)](name, message)
        match message:
            case QueryRegistration():
                return self._registration(name, message.request_id)
            case CreatePartyRegistration():
                known = self.registrations.get(name)
                if known and message.registration_id not in ("", known[1]):
                    return CreatedPartyRegistration(EiResponse(452, "no such registration"), "COOP-VTN")
                self.registrations.setdefault(name, (f"VEN-{name}", f"REG-{name}"))
                return self._registration(name, message.request_id)
            case Poll():
                if self.registrations.get(name, ("",))[0] != message.ven_id:
                    return Response(EiResponse(463, "not registered"))
                queue = self.queues[name]
                return queue.pop(0) if queue else Response(EiResponse(), message.ven_id)
            case RequestEvent():
                return self._full_set(name)
            case CreateOpt():
                return CreatedOpt(EiResponse(request_id=message.request_id), message.opt_id)
            case CancelOpt():
                return CanceledOpt(EiResponse(request_id=message.request_id), message.opt_id)
            case RegisterReport():
                return RegisteredReport(EiResponse(request_id=message.request_id))
            case _:
                return Response(EiResponse(), f"VEN-{name}")

    def _registration(self, name: str, request_id: str) -> CreatedPartyRegistration:
        ven_id, registration_id = self.registrations.get(name, ("", ""))
        return CreatedPartyRegistration(
            EiResponse(request_id=request_id),
            "COOP-VTN",
            registration_id,
            ven_id,
            poll_seconds=self.poll_seconds,
        )

    def _full_set(self, name: str) -> DistributeEvent:
        return DistributeEvent(f"q{len(self.heard[name])}", "COOP-VTN", tuple(self.events[name].values()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    small_vtn: SmallVtn

    def setup(self) -> None:
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)  # type: ignore[attr-defined]
        self.small_vtn.connections += 1
        super().setup()

    def do_POST(self) -> None:
        vtn = self.small_vtn
        subject = dict(pair[0] for pair in self.request.getpeercert()["subject"])
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.startswith(PATH):  # it knows OpenADR and nothing beside
            self._answer(404, b"")
            return
        vtn.bodies.append(asked)
        if vtn.wants_signatures and b"Signature>" not in asked:
            self._answer(403, codec.serialise(Response(EiResponse(463, "unsigned"))))
            return
        message = codec.parse(asked)
        answer = vtn.answer(subject["commonName"], message)
        if vtn.break_next is type(message):
            vtn.break_next = None
            self.close_connection = True
            return
        if isinstance(answer, int):
            self._answer(answer, b"")
            return
        body = answer if isinstance(answer, bytes) else codec.serialise(answer)
        self._answer(200, vtn.wraps(body) if vtn.wraps else body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.small_vtn.ahead_seconds)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
