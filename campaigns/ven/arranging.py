"""Where an operator's VTN is, who we are there and what it calls our zones: set by staff, audited."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.db import transaction

from campaigns.models import OperatorPlace, OperatorVtn, ServicingClient
from campaigns.servicing.contracting import locked_client
from oadr.fingerprint import full_fingerprint, oadr_fingerprint
from opendsr.kernel import audit, calling_out, encryption
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from opendsr.kernel.ids import new_uuid

if TYPE_CHECKING:
    from members.models import User

LONGEST_PEM: Final = 40_000
EXPIRES_SOON_DAYS: Final = 30
Key = RSAPrivateKey | EllipticCurvePrivateKey


class TermsInvalid(Invalid):
    """Terms or a place that cannot be; `errors` says what, by field."""

    errors: Mapping[str, str]


class NoVtn(DomainError):
    """The operator's VTN has not been set up: `client_id`."""

    client_id: str


class PlaceNotFound(NotFound):
    """The VTN has no such place: `place_id`."""

    place_id: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Our certificate as staff see it and read it out; `fingerprint` is OpenADR's short one."""

    subject: str
    fingerprint: str
    ends_wall_at: datetime
    days_left: int

    @property
    def is_ending(self) -> bool:
        return self.days_left < EXPIRES_SOON_DAYS


@transaction.atomic
def set_terms(
    *,
    client_id: UUID,
    url: str,
    ven_name: str,
    authority_pem: str,
    certificate_pem: str,
    private_key_pem: str,
    is_on: bool,
    at: datetime,
    wall: datetime,
    by: User,
) -> OperatorVtn:
    """Set where the operator's VTN is and who we are there; the history has what it was.

    An empty key keeps the one that is held. Another address begins a new conversation; off, nothing more is
    heard, and the caller lets go of what runs (`taking.let_go`). Raises ClientNotFound, TermsInvalid.
    """
    client = locked_client(client_id)
    before = OperatorVtn.objects.select_for_update().filter(client=client).first()
    url, ven_name = url.strip().rstrip("/"), ven_name.strip()
    errors: dict[str, str] = {}
    try:
        calling_out.parsed(url, ports=ports())
        if len(url) > 300:
            errors["url"] = "300 letters at most."
    except calling_out.NotCalled as error:
        errors["url"] = f"It would never be called: {error}."
    if not 0 < len(ven_name) <= 120 or not ven_name.isprintable():
        errors["ven_name"] = "1 to 120 letters."
    authorities = _certificates(authority_pem, "authority_pem", errors) if authority_pem.strip() else []
    chain = _certificates(certificate_pem, "certificate_pem", errors)
    if chain and chain[0].not_valid_after_utc <= wall:
        errors["certificate_pem"] = f"It ended on {chain[0].not_valid_after_utc:%Y-%m-%d}. Ask for a new one."
    key = _key(private_key_pem, errors) if private_key_pem.strip() else None
    held = key if key is not None or before is None or errors else _held(before)
    if key is None and before is None:
        errors.setdefault("private_key_pem", "Paste the private key, in PEM.")
    elif held is not None and chain and not _go_together(chain[0], held):
        errors["private_key_pem"] = "It is not the key of this certificate."
    if errors:
        raise TermsInvalid(errors=errors)
    row = before or OperatorVtn(id=new_uuid(), client=client, due_wall_at=wall)
    fields: dict[str, Any] = {
        "url": url,
        "ven_name": ven_name,
        "authority_pem": _pem(authorities),
        "certificate_pem": _pem(chain),
        "is_on": is_on,
    }
    changed = {name for name, value in fields.items() if before is None or getattr(before, name) != value}
    if key is not None:
        row.sealed_key = encryption.seal_bytes(row.pk, _key_pem(key), _context(row.pk))
        changed.add("private_key")
    if not changed:
        return row
    if before is not None and before.url != url:
        row.ven_id = row.registration_id = row.vtn_id = ""
        row.registered_wall_at = row.poll_seconds = None
    for name, value in fields.items():
        setattr(row, name, value)
    row.certificate_ends_wall_at = chain[0].not_valid_after_utc
    row.is_settled, row.due_wall_at, row.failures, row.problem = False, wall, 0, ""
    row.changed_at, row.changed_by = at, by
    row.save()
    _note("vtn_set", client, _told(changed, fields, chain, authorities), at=at, by=by)
    return row


@transaction.atomic
def add_place(
    *,
    client_id: UUID,
    name: str,
    zone: str,
    moderate_pct: int,
    high_pct: int,
    special_pct: int,
    at: datetime,
    by: User,
) -> OperatorPlace:
    """Say what the VTN calls a zone; the place of that name before it ends. Raises NoVtn, TermsInvalid."""
    client = locked_client(client_id)
    vtn = _vtn(client)
    name, zone, errors = name.strip(), zone.strip(), {}
    if not 0 < len(name) <= 255 or not name.isprintable():
        errors["name"] = "1 to 255 letters: a market context, a group, a resource."
    if not client.contracts.filter(zone=zone).exists():
        errors["zone"] = "Choose a zone that there is a contract about."
    if not 1 <= moderate_pct <= high_pct <= special_pct <= 100:
        errors["moderate_pct"] = "1 to 100 percent, and no level below the one before."
    if errors:
        raise TermsInvalid(errors=errors)
    vtn.places.filter(name=name, ended_at=None).update(ended_at=at)
    made = OperatorPlace.objects.create(
        vtn=vtn,
        name=name,
        zone=zone,
        moderate_pct=moderate_pct,
        high_pct=high_pct,
        special_pct=special_pct,
        added_at=at,
        added_by=by,
    )
    levels = f"{moderate_pct}/{high_pct}/{special_pct} %"
    _note("vtn_place_added", client, {"name": name, "zone": zone, "levels": levels}, at=at, by=by)
    return made


@transaction.atomic
def end_place(*, client_id: UUID, place_id: int, at: datetime, by: User) -> None:
    """Take nothing more under that name; again, nothing changes. Raises NoVtn, PlaceNotFound."""
    client = locked_client(client_id)
    place = _vtn(client).places.filter(pk=place_id).first()
    if place is None:
        raise PlaceNotFound(place_id=str(place_id))
    if place.ended_at is None:
        place.ended_at = at
        place.save(update_fields=["ended_at"])
        _note("vtn_place_ended", client, {"name": place.name, "zone": place.zone}, at=at, by=by)


def shown(row: OperatorVtn, *, wall: datetime) -> Shown:
    """Our certificate there, as staff see it."""
    certificate = x509.load_pem_x509_certificate(row.certificate_pem.encode())
    return Shown(
        subject=certificate.subject.rfc4514_string(),
        fingerprint=oadr_fingerprint(certificate.public_bytes(Encoding.DER)),
        ends_wall_at=row.certificate_ends_wall_at,
        days_left=(row.certificate_ends_wall_at - wall).days,
    )


def ports() -> frozenset[int]:
    """The ports that are called."""
    return frozenset(getattr(settings, "OPERATOR_VTN_PORTS", calling_out.PORTS))


def tls_context(row: OperatorVtn) -> ssl.SSLContext:
    """Whom to trust and what to show there. The key touches the disk only under a password used once."""
    context = ssl.create_default_context(cadata=row.authority_pem or None)
    password = os.urandom(24).hex().encode()
    locked = _held(row).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    with tempfile.TemporaryDirectory(prefix="operator-vtn-") as folder:
        certificate, key = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        certificate.write_text(row.certificate_pem)
        key.write_bytes(locked)
        context.load_cert_chain(certificate, key, password)
    return context


def _vtn(client: ServicingClient) -> OperatorVtn:
    found = OperatorVtn.objects.filter(client=client).first()
    if found is None:
        raise NoVtn(client_id=str(client.pk))
    return found


def _held(row: OperatorVtn) -> Key:
    """The key that is held of the row, opened."""
    pem = encryption.unseal_bytes(row.pk, bytes(row.sealed_key), _context(row.pk))
    key = load_pem_private_key(pem, None)
    assert isinstance(key, Key)  # noqa: S101 - `_key` took in no other
    return key


def _certificates(pem: str, field: str, errors: dict[str, str]) -> list[x509.Certificate]:
    try:
        found = (
            x509.load_pem_x509_certificates(pem.strip().encode("ascii")) if len(pem) <= LONGEST_PEM else []
        )
    except ValueError:
        found = []
    if not found:
        errors[field] = "Paste a certificate in PEM: BEGIN CERTIFICATE to END CERTIFICATE."
    return found


def _key(pem: str, errors: dict[str, str]) -> Key | None:
    try:
        key = load_pem_private_key(pem.strip().encode("ascii"), None) if len(pem) <= LONGEST_PEM else None
    except (ValueError, TypeError):
        key = None
    if isinstance(key, Key):
        return key
    errors["private_key_pem"] = "Paste an RSA or EC private key in PEM, without a password."
    return None


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _go_together(certificate: x509.Certificate, key: Key) -> bool:
    def public(of: Any) -> bytes:
        return bytes(of.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    return public(certificate.public_key()) == public(key.public_key())


def _pem(certificates: Sequence[x509.Certificate]) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def _told(
    changed: set[str],
    fields: Mapping[str, Any],
    chain: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
) -> dict[str, object]:
    """What the history says: certificates by their fingerprint, of the key only that it is another."""
    plain: dict[str, object] = {
        name: fields[name] for name in ("url", "ven_name", "is_on") if name in changed
    }
    if "certificate_pem" in changed:
        plain["certificate"] = full_fingerprint(chain[0].public_bytes(Encoding.DER))
    if "authority_pem" in changed:
        plain["authorities"] = len(authorities)
    if "private_key" in changed:
        plain["private_key"] = "changed"
    return plain


def _context(row_id: UUID) -> str:
    return f"campaigns_operatorvtn|sealed_key|{row_id}"


def _note(
    verb: str, client: ServicingClient, detail: Mapping[str, object], *, at: datetime, by: User
) -> None:
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb=f"campaigns.servicing.{verb}",
        target=f"servicing_client:{client.pk}",
        detail=dict(detail),
    )
