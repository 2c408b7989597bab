"""Who speaks: from a certificate's full fingerprint to its VEN, the status asked anew each time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from opendsr.kernel import clock
from opendsr.kernel.errors import NotAllowed
from vtn.models import Ven, VenCertificate

SEEN_EVERY: Final = timedelta(seconds=30)

__all__ = ["CertificateRefused", "Ven", "note_seen", "ven_of"]


class CertificateRefused(NotAllowed):
    """A certificate that speaks for nobody: `reason`."""


def ven_of(fingerprint: str, *, wall: datetime) -> Ven:
    """Return the VEN of a certificate in force; raises CertificateRefused."""
    certificate = VenCertificate.objects.select_related("ven").filter(fingerprint=fingerprint).first()
    if certificate is None:
        raise CertificateRefused(reason="unknown")
    if certificate.revoked_at is not None:
        raise CertificateRefused(reason="revoked")
    if not certificate.not_before <= wall < certificate.not_after:
        raise CertificateRefused(reason="out_of_date")
    return certificate.ven


def note_seen(ven: Ven) -> None:
    """Remember when the VEN was last heard, at most twice a minute: an idle poll writes nothing."""
    wall = clock.wall_now()
    if ven.last_seen_wall_at is None or wall - ven.last_seen_wall_at >= SEEN_EVERY:
        Ven.objects.filter(pk=ven.pk).update(last_seen_wall_at=wall)
