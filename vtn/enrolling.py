"""A VEN's certificates: issued, renewed, replaced, ended; each step in the audit trail.

The certificate is the VEN's identity on the wire, so it is made and ended here and
nowhere else. Called by the room that fits hubs in homes, by the enrolment door
(`enrolment_codes`) and by the VEN itself over its live connection (`renewing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from opendsr.kernel import audit, clock, ids, outbox
from opendsr.kernel.errors import NotFound
from vtn import pki
from vtn.models import RevocationCode, Security, Ven, VenCertificate
from vtn.port import UnknownVen, VenId

ISSUED, REVOKED = "vtn.certificate.issued", "vtn.certificate.revoked"


class UnknownCertificate(NotFound):
    """No certificate of that fingerprint is, or was, the VEN's: `ven_id`, `fingerprint`."""


@dataclass(frozen=True, slots=True)
class EnrolledVen:
    """What goes back to the hub; `ca_pem` is what it trusts the VTN's listener by."""

    ven_id: VenId
    certificate_pem: str
    ca_pem: str
    fingerprint: str


@transaction.atomic
def enrol_ven(*, ven_name: str, csr_pem: str, at: datetime, by: str = "system") -> EnrolledVen:
    """Make a VEN and sign its hub's request; raises pki.CsrInvalid.

    `ven_name` is shown to staff and never names a person or an address.
    """
    ven = Ven.objects.create(
        ven_id=f"VEN-{ids.random_token(64)}", ven_name=ven_name[:128] or "hub", enrolled_at=at
    )
    return certify(ven, csr_pem=csr_pem, at=at, by=by)


@transaction.atomic
def issue_certificate(*, ven_id: str, csr_pem: str, at: datetime, by: str = "system") -> EnrolledVen:
    """Sign another request for a known VEN. Earlier certificates stay until revoked."""
    return certify(_ven(ven_id), csr_pem=csr_pem, at=at, by=by)


@transaction.atomic
def replace_certificates(*, ven_id: str, csr_pem: str, at: datetime, by: str = "system") -> EnrolledVen:
    """Sign the request of the hub that takes a VEN's place, and end what spoke for it before.

    The VEN, its registration, events, opts and reports go on as they are.
    """
    _end(_ven(ven_id), None, reason="hub replaced", code=RevocationCode.SUPERSEDED, at=at, by=by)
    return certify(_ven(ven_id), csr_pem=csr_pem, at=at, by=by)


@transaction.atomic
def revoke_certificate(
    *,
    ven_id: str,
    reason: str,
    at: datetime,
    fingerprint: str | None = None,
    by: str = "system",
    code: str = RevocationCode.UNSPECIFIED,
) -> int:
    """End the VEN's certificates (or the one named), from the next request on; returns how many were ended.

    One that had ended already is not ended again. The fact `vtn.certificate.revoked` follows:
    revocation list and live connections. Raises UnknownVen, UnknownCertificate.
    """
    return len(_end(_ven(ven_id), fingerprint, reason=reason, code=RevocationCode(code), at=at, by=by))


@transaction.atomic
def set_security(*, ven_id: str, security: str, at: datetime, by: str) -> None:
    """Say whether the VEN has to sign its messages (and is signed to)."""
    ven = Ven.objects.select_for_update(no_key=True).get(pk=_ven(ven_id).pk)
    if ven.security == Security(security):
        return
    ven.security = Security(security)
    ven.save(update_fields=["security"])
    audit.record(
        at=at, actor=by, verb="vtn.security.set", target=f"ven:{ven.ven_id}", detail={"security": security}
    )


def certify(ven: Ven, *, csr_pem: str, at: datetime, by: str) -> EnrolledVen:
    """Sign a request for the VEN inside the caller's transaction; raises pki.CsrInvalid."""
    authority = pki.authority()
    wall = clock.wall_now()
    issued = authority.sign_csr(csr_pem=csr_pem, ven_id=ven.ven_id, at=wall)
    VenCertificate.objects.create(
        ven=ven,
        fingerprint=issued.fingerprint,
        serial=issued.serial,
        issuer=issued.issuer,
        not_before=issued.not_before,
        not_after=issued.not_after,
        issued_at=wall,
        pem=issued.pem,
    )
    audit.record(
        at=at,
        actor=by,
        verb=ISSUED,
        target=f"ven:{ven.ven_id}",
        detail={"fingerprint": issued.fingerprint, "not_after": issued.not_after},
    )
    return EnrolledVen(
        ven_id=VenId(ven.ven_id),
        certificate_pem=issued.pem,
        ca_pem=authority.ca_pem(at=wall),
        fingerprint=issued.fingerprint,
    )


def end_certificates(
    ven: Ven, fingerprints: list[str], *, reason: str, code: RevocationCode, at: datetime, by: str
) -> list[str]:
    """End those of the VEN's certificates that are named and in force; returns the ones ended."""
    wall = clock.wall_now()
    rows = VenCertificate.objects.select_for_update().filter(ven=ven, revoked_at=None)
    rows = rows.filter(fingerprint__in=fingerprints).order_by("pk")
    ended = [row.fingerprint for row in rows]
    if not ended:
        return []
    VenCertificate.objects.filter(fingerprint__in=ended).update(
        revoked_at=wall, revocation_reason=reason[:200] or "unspecified", revocation_code=code
    )
    still_in_force = VenCertificate.objects.filter(ven=ven, revoked_at=None, not_after__gt=wall).exists()
    outbox.record(
        REVOKED,
        at=at,
        key=ended[0],
        ven_id=ven.ven_id,
        fingerprints=ended,
        code=str(code),
        is_barred=not still_in_force,
        revoked_wall_at=wall,
    )
    audit.record(
        at=at,
        actor=by,
        verb=REVOKED,
        target=f"ven:{ven.ven_id}",
        detail={"fingerprints": ended, "reason": reason[:200], "code": str(code)},
    )
    return ended


def _end(
    ven: Ven, fingerprint: str | None, *, reason: str, code: RevocationCode, at: datetime, by: str
) -> list[str]:
    held = VenCertificate.objects.filter(ven=ven)
    if fingerprint is None:
        wanted = list(held.filter(revoked_at=None).values_list("fingerprint", flat=True))
    elif not fingerprint.isprintable() or not held.filter(fingerprint=fingerprint).exists():
        raise UnknownCertificate(ven_id=ven.ven_id, fingerprint=fingerprint)
    else:
        wanted = [fingerprint]
    return end_certificates(ven, wanted, reason=reason, code=code, at=at, by=by)


def _ven(ven_id: str) -> Ven:
    try:
        return Ven.objects.get(ven_id=ven_id)
    except Ven.DoesNotExist as error:
        raise UnknownVen(ven_id=ven_id) from error
