"""Who speaks: from the certificate that ended the handshake to its VEN, the status asked anew each time.

The certificate is the identity, always. Directly it comes from the TLS socket, behind a
proxy from the one header the proxy fills (`vtn.presenting`); both give the DER,
whose full SHA-256 must be on record, in date and not revoked. A certificate that this
site did not issue and record speaks for nobody, whoever signed it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from oadr.fingerprint import full_fingerprint
from opendsr.kernel import clock
from vtn.models import Ven, VenCertificate
from vtn.presenting import CertificateRefused, certificate_of_header

SEEN_EVERY: Final = timedelta(seconds=30)
__all__ = [
    "CertificateRefused",
    "Ven",
    "certificate_of_header",
    "certificates_of",
    "note_seen",
    "speaker",
    "ven_of",
]


def speaker(certificate_der: bytes | None, *, wall: datetime) -> Ven:
    """Return the VEN of a connection's certificate; without one raises CertificateRefused too."""
    if not certificate_der:
        raise CertificateRefused(reason="no_certificate")
    return ven_of(full_fingerprint(certificate_der), wall=wall)


def ven_of(fingerprint: str, *, wall: datetime) -> Ven:
    """Return the VEN of a certificate in force; raises CertificateRefused.

    Its first word is noted: from then on the certificate it replaces may end.
    """
    certificate = VenCertificate.objects.select_related("ven").filter(fingerprint=fingerprint).first()
    if certificate is None:
        raise CertificateRefused(reason="unknown")
    if certificate.revoked_at is not None:
        raise CertificateRefused(reason="revoked")
    if not certificate.not_before <= wall < certificate.not_after:
        raise CertificateRefused(reason="out_of_date")
    if certificate.first_used_wall_at is None:
        VenCertificate.objects.filter(pk=certificate.pk, first_used_wall_at=None).update(
            first_used_wall_at=wall
        )
    return certificate.ven


def certificates_of(ven: Ven, *, wall: datetime) -> list[bytes]:
    """Return the DER of every certificate in force: who may have signed, where a transport shows none."""
    rows = VenCertificate.objects.filter(
        ven=ven, revoked_at=None, not_before__lte=wall, not_after__gt=wall
    ).exclude(pem="")
    return [
        x509.load_pem_x509_certificate(row.pem.encode()).public_bytes(serialization.Encoding.DER)
        for row in rows.order_by("pk")
    ]


def note_seen(ven: Ven) -> None:
    """Remember when the VEN was last heard, at most twice a minute: an idle poll writes nothing."""
    wall = clock.wall_now()
    if ven.last_seen_wall_at is None or wall - ven.last_seen_wall_at >= SEEN_EVERY:
        Ven.objects.filter(pk=ven.pk).update(last_seen_wall_at=wall)
