"""Certificates near their end: a list to look at, and an alarm at 30, 14 and 3 days.

A hub renews by itself at two thirds of its certificate's life, so an alarm means that it
has not been able to for months. Each alarm is a fact, `vtn.certificate.expiring` or
`vtn.authority.expiring`, given once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from opendsr.kernel import outbox
from opendsr.kernel.models import OutboxFact
from vtn import keyfiles, pki
from vtn.models import VenCertificate

ALARM_DAYS: Final = (30, 14, 3)
AUTHORITY_ALARM_DAYS: Final = (180, 60, 30, 14, 3)
CERTIFICATE_EXPIRING, AUTHORITY_EXPIRING = "vtn.certificate.expiring", "vtn.authority.expiring"


@dataclass(frozen=True, slots=True)
class Expiring:
    """A certificate in force that no other follows; `days_left` whole days, 0 on the last."""

    ven_id: str
    ven_name: str
    fingerprint: str
    not_after: datetime
    days_left: int
    last_seen_wall_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuthorityEnd:
    """A certificate of the CA itself or of the listener."""

    name: str
    serial: str
    not_after: datetime
    days_left: int


def expiring_certificates(
    *, wall: datetime, within: timedelta = timedelta(days=ALARM_DAYS[0])
) -> Sequence[Expiring]:
    """Return the VENs' certificates that end within the time and are the last of their VEN, soonest first."""
    return [
        Expiring(
            ven_id=row.ven.ven_id,
            ven_name=row.ven.ven_name,
            fingerprint=row.fingerprint,
            not_after=row.not_after,
            days_left=(row.not_after - wall).days,
            last_seen_wall_at=row.ven.last_seen_wall_at,
        )
        for row in _last_ones(wall).filter(not_after__lte=wall + within).select_related("ven")
    ]


def authority_ends(*, wall: datetime) -> Sequence[AuthorityEnd]:
    """Return the root's, the issuing CA's and the listener's certificates with the days they have left."""
    folder = pki.authority().folder
    names = ("root.pem", "issuing.pem", "server.pem")
    held = [(name, keyfiles.read_certificate(folder / name)) for name in names if (folder / name).exists()]
    return [
        AuthorityEnd(
            name=name,
            serial=f"{certificate.serial_number:x}",
            not_after=certificate.not_valid_after_utc,
            days_left=(certificate.not_valid_after_utc - wall).days,
        )
        for name, certificate in held
    ]


def raise_alarms(*, at: datetime, wall: datetime) -> int:
    """Record a fact for each certificate that has passed another threshold; returns how many."""
    raised = 0
    for row in _last_ones(wall).filter(not_after__lte=wall + timedelta(days=ALARM_DAYS[0])):
        threshold = _threshold(row.not_after - wall, ALARM_DAYS)
        if threshold is None or (row.alarmed_days is not None and row.alarmed_days <= threshold):
            continue
        with transaction.atomic():
            is_ours = (
                VenCertificate.objects.filter(pk=row.pk)
                .filter(alarmed_days=row.alarmed_days)
                .update(alarmed_days=threshold)
            )
            if is_ours:
                outbox.record(
                    CERTIFICATE_EXPIRING,
                    at=at,
                    key=f"{row.fingerprint}:{threshold}",
                    ven_id=row.ven.ven_id,
                    fingerprint=row.fingerprint,
                    not_after=row.not_after,
                    threshold_days=threshold,
                )
                raised += 1
    return raised + _authority_alarms(at=at, wall=wall)


def _authority_alarms(*, at: datetime, wall: datetime) -> int:
    """The CA's own ends; the outbox's history says which alarms have been given."""
    raised = 0
    for end in authority_ends(wall=wall):
        threshold = _threshold(end.not_after - wall, AUTHORITY_ALARM_DAYS)
        if threshold is None:
            continue
        key = f"{end.serial}:{threshold}"
        with transaction.atomic():
            if OutboxFact.objects.filter(topic=AUTHORITY_EXPIRING, key=key).exists():
                continue
            outbox.record(
                AUTHORITY_EXPIRING,
                at=at,
                key=key,
                name=end.name,
                serial=end.serial,
                not_after=end.not_after,
                threshold_days=threshold,
            )
            raised += 1
    return raised


def _last_ones(wall: datetime) -> QuerySet[VenCertificate]:
    """Certificates in force with no later one of the same VEN behind them, soonest end first."""
    later = VenCertificate.objects.filter(
        ven=OuterRef("ven"), revoked_at=None, not_after__gt=OuterRef("not_after")
    )
    return (
        VenCertificate.objects.filter(revoked_at=None, not_after__gt=wall)
        .filter(~Exists(later))
        .select_related("ven")
        .order_by("not_after", "pk")
    )


def _threshold(left: timedelta, days: Sequence[int]) -> int | None:
    """Return the lowest threshold that has been reached."""
    return min((each for each in days if left <= timedelta(days=each)), default=None)
