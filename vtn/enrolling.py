"""Enrolment: a hub's own signing request in, its certificate and VEN id out; and the way back.

The certificate is the VEN's identity on the wire, so it is made and ended here
and nowhere else. Called by the room that fits hubs in homes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from opendsr.kernel import audit, clock, ids
from vtn import pki
from vtn.models import Ven, VenCertificate
from vtn.port import UnknownVen, VenId


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
    return _certify(ven, csr_pem=csr_pem, at=at, by=by)


@transaction.atomic
def issue_certificate(*, ven_id: str, csr_pem: str, at: datetime, by: str = "system") -> EnrolledVen:
    """Sign another request for a known VEN: a renewal, or a replaced hub. Earlier ones stay until revoked."""
    return _certify(_ven(ven_id), csr_pem=csr_pem, at=at, by=by)


@transaction.atomic
def revoke_certificate(
    *, ven_id: str, reason: str, at: datetime, fingerprint: str | None = None, by: str = "system"
) -> int:
    """Revoke one certificate of the VEN, or all when no fingerprint is given; how many were in force.

    In effect with the next request, also on connections already open.
    """
    ven = _ven(ven_id)
    certificates = VenCertificate.objects.filter(ven=ven, revoked_at=None)
    if fingerprint is not None:
        certificates = certificates.filter(fingerprint=fingerprint)
    revoked = certificates.update(
        revoked_at=clock.wall_now(), revocation_reason=reason[:200] or "unspecified"
    )
    if revoked:
        audit.record(
            at=at,
            actor=by,
            verb="vtn.certificate.revoked",
            target=f"ven:{ven.ven_id}",
            detail={"fingerprint": fingerprint, "reason": reason[:200], "count": revoked},
        )
    return revoked


def _certify(ven: Ven, *, csr_pem: str, at: datetime, by: str) -> EnrolledVen:
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
    )
    audit.record(
        at=at,
        actor=by,
        verb="vtn.certificate.issued",
        target=f"ven:{ven.ven_id}",
        detail={"fingerprint": issued.fingerprint, "not_after": issued.not_after},
    )
    return EnrolledVen(
        ven_id=VenId(ven.ven_id),
        certificate_pem=issued.pem,
        ca_pem=authority.ca_pem(at=wall),
        fingerprint=issued.fingerprint,
    )


def _ven(ven_id: str) -> Ven:
    try:
        return Ven.objects.get(ven_id=ven_id)
    except Ven.DoesNotExist as error:
        raise UnknownVen(ven_id=ven_id) from error
