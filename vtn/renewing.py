"""Renewal over the live connection: a VEN known by its certificate sends a request and gets the next one.

Two certificates may speak for a VEN while one replaces the other. The old one ends a week
after the new one was first used, never before: a hub that lost the answer asks again
with the old one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError, NotAllowed
from vtn import enrolling
from vtn.enrolling import EnrolledVen
from vtn.models import RevocationCode, Ven, VenCertificate

RENEWABLE_AFTER: Final = 1 / 2
"""Of a certificate's life; hubs ask at two thirds."""
OVERLAP: Final = timedelta(days=7)
MOST_IN_FORCE: Final = 2


class AlreadyReplaced(NotAllowed):
    """The certificate's successor is in use: only that one may ask for another."""


class RenewalTooEarly(DomainError):
    """The certificate has more than half its life before it: `renewable_at`."""

    renewable_at: datetime


@transaction.atomic
def renew(*, ven: Ven, fingerprint: str, csr_pem: str, at: datetime) -> EnrolledVen:
    """Sign the next certificate of the VEN that speaks with `fingerprint`.

    Raises RenewalTooEarly, AlreadyReplaced and CsrInvalid.

    At most two are in force afterwards: what was issued in between and not taken ends.
    """
    Ven.objects.select_for_update(no_key=True).get(pk=ven.pk)
    wall = clock.wall_now()
    speaking = VenCertificate.objects.get(ven=ven, fingerprint=fingerprint, revoked_at=None)
    renewable_at = speaking.not_before + (speaking.not_after - speaking.not_before) * RENEWABLE_AFTER
    if wall < renewable_at:
        raise RenewalTooEarly(renewable_at=renewable_at)
    others = VenCertificate.objects.filter(ven=ven, revoked_at=None).exclude(pk=speaking.pk)
    if others.filter(issued_at__gt=speaking.issued_at, first_used_wall_at__isnull=False).exists():
        raise AlreadyReplaced
    actor = f"ven:{ven.ven_id}"
    enrolling.end_certificates(
        ven,
        list(others.values_list("fingerprint", flat=True)),
        reason="renewed again",
        code=RevocationCode.SUPERSEDED,
        at=at,
        by=actor,
    )
    return enrolling.certify(ven, csr_pem=csr_pem, at=at, by=actor)


def retire_replaced(*, at: datetime, wall: datetime) -> int:
    """End the certificates whose successors have been in use for a week; returns how many."""
    fresh = VenCertificate.objects.filter(
        revoked_at=None, not_after__gt=wall, first_used_wall_at__lte=wall - OVERLAP
    ).select_related("ven")
    ended = 0
    for successor in fresh.order_by("ven_id", "-issued_at").distinct("ven_id"):
        older = VenCertificate.objects.filter(
            ven=successor.ven, revoked_at=None, not_after__gt=wall, issued_at__lt=successor.issued_at
        )
        fingerprints = list(older.values_list("fingerprint", flat=True))
        if fingerprints:
            with transaction.atomic():
                ended += len(
                    enrolling.end_certificates(
                        successor.ven,
                        fingerprints,
                        reason="replaced by its successor",
                        code=RevocationCode.SUPERSEDED,
                        at=at,
                        by="system",
                    )
                )
    return ended
