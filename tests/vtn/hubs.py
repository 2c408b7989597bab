"""Hubs for the tests of the VTN: their keys, their certificates, what they are told; no other room needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from oadr import messages as m
from opendsr.kernel.interval import Interval
from vtn import enrolling, repeating
from vtn.api_fields import content_shown
from vtn.content import EventContent, SignalContent
from vtn.models import EventSeries, Ven
from vtn.port import EventNotice, Signal, SignalInterval, VenId
from vtn.services.answering import answer

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""World time of these tests: noon."""
STARTS_AT = AT + timedelta(hours=5)
HOUR = 3600


@dataclass(frozen=True, slots=True)
class TestHub:
    """A VEN with everything its hub holds."""

    __test__ = False

    ven: Ven
    key_pem: str
    certificate_pem: str
    ca_pem: str
    fingerprint: str

    @property
    def ven_id(self) -> VenId:
        return VenId(self.ven.ven_id)

    @property
    def certificate_der(self) -> bytes:
        certificate = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        return certificate.public_bytes(serialization.Encoding.DER)

    def says(self, service: str, message: m.Message, *, at: datetime = AT) -> m.Message:
        """Hand the message to the service as this hub; return the reply."""
        self.ven.refresh_from_db()
        return answer(service=service, ven=self.ven, message=message, at=at).message

    def polls(self, *, at: datetime = AT) -> m.Message:
        return self.says("OadrPoll", m.Poll(self.ven_id), at=at)

    def registers(self, *, at: datetime = AT) -> m.CreatedPartyRegistration:
        reply = self.says("EiRegisterParty", m.CreatePartyRegistration("R1"), at=at)
        assert isinstance(reply, m.CreatedPartyRegistration)
        assert reply.response.code == m.OK
        return reply

    def answers(
        self, event: m.Event, opt: m.OptType = "optIn", *, code: int = 200, at: datetime = AT
    ) -> m.Response:
        reply = self.says("EiEvent", self.answer_to(event, opt, code=code), at=at)
        assert isinstance(reply, m.Response)
        return reply

    def answer_to(self, event: m.Event, opt: m.OptType = "optIn", *, code: int = 200) -> m.CreatedEvent:
        return m.CreatedEvent(
            m.EiResponse(request_id="R2"),
            self.ven_id,
            (
                m.EventResponse(
                    m.QualifiedEventId(event.event_id, event.modification_number), opt, "R2", code=code
                ),
            ),
        )

    def opts(
        self,
        event: m.Event,
        opt: m.OptType = "optOut",
        *,
        opt_id: str = "O1",
        reason: str = "overrideStatus",
        resource_ids: tuple[str, ...] = (),
        at: datetime = AT,
    ) -> m.CreatedOpt:
        message = m.CreateOpt(
            "R3",
            opt_id,
            opt,
            reason,
            self.ven_id,
            at,
            event=m.QualifiedEventId(event.event_id, event.modification_number),
            target=m.Target(resource_ids=resource_ids),
        )
        reply = self.says("EiOpt", message, at=at)
        assert isinstance(reply, m.CreatedOpt)
        return reply

    def takes_back(self, opt_id: str = "O1", *, at: datetime = AT) -> m.CanceledOpt:
        reply = self.says("EiOpt", m.CancelOpt("R4", opt_id, self.ven_id), at=at)
        assert isinstance(reply, m.CanceledOpt)
        return reply


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr_of(key: CertificateIssuerPrivateKeyTypes, name: str = "hub") -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def new_hub(name: str = "hub", *, at: datetime = AT) -> TestHub:
    key = new_key()
    enrolled = enrolling.enrol_ven(ven_name=name, csr_pem=csr_of(key), at=at)
    return TestHub(
        ven=Ven.objects.get(ven_id=enrolled.ven_id),
        key_pem=pem_of(key),
        certificate_pem=enrolled.certificate_pem,
        ca_pem=enrolled.ca_pem,
        fingerprint=enrolled.fingerprint,
    )


def registered_hub(name: str = "hub", *, at: datetime = AT) -> TestHub:
    hub = new_hub(name, at=at)
    hub.registers(at=at)
    hub.ven.refresh_from_db()
    return hub


def notice_to(ven_id: str, **changes: object) -> EventNotice:
    """Two hours of SIMPLE 2 at 17:00."""
    settings: dict[str, object] = {
        "ven_id": VenId(ven_id),
        "market_context": "https://coop.example/turn-down",
        "interval": Interval(STARTS_AT, STARTS_AT + timedelta(hours=2)),
        "signals": (Signal("SIMPLE", "level", (SignalInterval(2 * HOUR, 2.0),)),),
    }
    return EventNotice(**(settings | changes))  # type: ignore[arg-type]


def only_event(message: m.Message) -> m.Event:
    """Return the one event that a DistributeEvent carries."""
    assert isinstance(message, m.DistributeEvent), message
    (event,) = message.events
    return event


def make_series(hub: TestHub, *, sends: bool = True) -> EventSeries:
    """An hour at 17:00 on Mondays and Wednesdays from 14 to 30 December 2026, not on the 28th."""
    signal = SignalContent("SIMPLE", "level", ((HOUR, 1.0),))
    starts_at = datetime(2026, 12, 14, 17, tzinfo=UTC)
    content = EventContent(VenId(""), "http://coop.example/peak", starts_at, HOUR, (signal,))
    rhythm, series_id = repeating.Rhythm((0, 2), date(2026, 12, 30), skips_holidays=True), uuid4()
    repeating.write_events(
        repeating.events_of(content, series_id, rhythm),
        rhythm,
        sends=sends,
        shown=content_shown,
        ven_ids=[hub.ven_id],
        at=AT,
        by="user:1",
    )
    return repeating.series(series_id)
