"""A network operator with a VTN of its own, over real mutual TLS, of which the co-op is a VEN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from campaigns.models import OperatorEvent, OperatorVtn
from campaigns.ven import arranging, contacting
from members.models import Role
from oadr import codec
from oadr.messages import (
    ActivePeriod,
    EiResponse,
    Event,
    Response,
    Signal,
    SignalInterval,
    Target,
    Unit,
)
from opendsr.kernel import clock
from tests.campaigns.servicing.operating import Operator
from tests.campaigns.staging import NOON
from tests.factories import make_staff
from tests.hems.small_vtn import Authority, SmallVtn

VEN_NAME = "COOP"
CONTEXT = "http://northern.example/constraint"


def event(
    event_id: str = "E-1",
    *,
    watts: float = -2_000,
    minutes: int = 30,
    starts_at: datetime = NOON,
    signal: Signal | None = None,
    **fields: object,
) -> Event:
    """An event for the group Calder that asks, unless told otherwise, 2 kW less from noon on."""
    interval = SignalInterval(minutes * 60, watts / 1000)
    dispatch = Signal(
        "LOAD_DISPATCH",
        "delta",
        "s1",
        (interval,),
        unit=Unit("powerReal", "RealPower", "W", "k", hertz="50", voltage="230", is_ac=True),
    )
    wanted = Event(
        event_id=event_id,
        modification_number=0,
        market_context=CONTEXT,
        created_at=NOON,
        status="far",
        active_period=ActivePeriod(starts_at, minutes * 60),
        signals=(signal or dispatch,),
        target=Target(group_ids=("Calder",)),
    )
    return replace(wanted, **fields)  # type: ignore[arg-type]


def levels(*told: tuple[int, float]) -> Signal:
    """A SIMPLE signal of (minutes, level)."""
    return Signal("SIMPLE", "level", "s1", tuple(SignalInterval(60 * n, level) for n, level in told))


def client_certificate(authority: Authority, *, name: str = VEN_NAME) -> tuple[str, str]:
    """A certificate by the operator's authority and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signed = authority.sign_request(request.public_bytes(serialization.Encoding.PEM))
    return signed.decode(), pem.decode()


def connect(operator: Operator, url: str, authority: Authority, **fields: object) -> OperatorVtn:
    """Enter the operator's VTN as staff do."""
    certificate, key = client_certificate(authority)
    staff = make_staff(f"vic{operator.client.pk.hex[-6:]}@example.org", Role.ADMINISTRATOR)
    wanted: dict[str, object] = {
        "client_id": operator.client.pk,
        "url": url,
        "ven_name": VEN_NAME,
        "authority_pem": authority.pem.decode(),
        "certificate_pem": certificate,
        "private_key_pem": key,
        "is_on": True,
        "at": NOON,
        "wall": clock.wall_now(),
        "by": staff,
    }
    return arranging.set_terms(**{**wanted, **fields})  # type: ignore[arg-type]


def make_told(vtn: OperatorVtn) -> None:
    """What a page shows of a connection: a name, an event that was refused, a message, and trouble."""
    arranging.add_place(
        client_id=vtn.client_id,
        name=CONTEXT,
        zone="Calder",
        moderate_pct=33,
        high_pct=67,
        special_pct=100,
        at=NOON,
        by=vtn.changed_by,  # type: ignore[arg-type]
    )
    for number, (state, opt, reason) in enumerate(
        [
            ("taken", "optIn", ""),
            ("refused", "optOut", "over contract, field size_w, asked 12000, limit 9500"),
        ]
    ):
        vtn.events.create(
            event_id=f"northern-2026-01-14-{number}",
            modification_number=number,
            zone="Calder",
            urgency=1,
            starts_at=NOON,
            ends_at=NOON + timedelta(minutes=30),
            state=state,
            opt=opt,
            told_opt="optIn",
            reason=reason,
            known_at=NOON,
            changed_at=NOON,
        )
    answer = codec.serialise(Response(EiResponse(description="taken"), "VEN-COOP"))
    vtn.messages.create(
        is_ours=False, kind="oadrResponse", words="200 taken", xml=answer.decode(), wall_at=clock.wall_now()
    )
    OperatorVtn.objects.filter(pk=vtn.pk).update(
        ven_id="VEN-COOP",
        registration_id="REG-COOP",
        vtn_id="NORTHERN",
        registered_wall_at=clock.wall_now(),
        contacted_wall_at=clock.wall_now(),
        poll_seconds=10,
        problem="the VTN answered HTTP 503",
        failures=2,
    )


@dataclass
class Neighbour:
    """The operator, its VTN, and the co-op's connection with it."""

    operator: Operator
    small: SmallVtn
    vtn: OperatorVtn

    def put(self, *events: Event) -> None:
        self.small.put(VEN_NAME, *events)

    def round(self) -> bool:
        """One contact, whenever the next would be due."""
        OperatorVtn.objects.filter(pk=self.vtn.pk).update(due_wall_at=clock.wall_now())
        done = contacting.contact(vtn_id=self.vtn.pk, wall=clock.wall_now())
        self.vtn.refresh_from_db()
        return done

    def says(self, *events: Event) -> OperatorEvent:
        """The events are put and fetched; the row of the last."""
        self.put(*events)
        assert self.round(), self.vtn.problem
        return self.row(events[-1].event_id)

    def row(self, event_id: str = "E-1") -> OperatorEvent:
        return OperatorEvent.objects.get(vtn=self.vtn, event_id=event_id)

    def answers(self) -> list[tuple[str, int, str, int]]:
        """(event id, version, opt, code) of everything it was answered."""
        return self.small.answers(VEN_NAME)
