"""What other rooms may read of a VEN: its registration, its certificate, when it was last heard."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Max, Q, QuerySet

from opendsr.kernel.lookups import among_texts
from vtn.models import Ven, VenCertificate
from vtn.port import VenId

FEW: Final = 1_000
"""Of more VENs than this everybody is read: naming ten thousand costs more than reading the rest."""


@dataclass(frozen=True, slots=True)
class VenState:
    """`may_connect`: a certificate speaks for it, not revoked and in date at the wall time asked for."""

    ven_id: VenId
    is_registered: bool
    registered_at: datetime | None
    last_seen_wall_at: datetime | None
    certificate_not_after: datetime | None
    may_connect: bool


def ven_states(ven_ids: Iterable[str], *, wall: datetime) -> dict[VenId, VenState]:
    """Return the state of each known VEN; unknown ids are left out."""
    in_force = Q(
        certificates__revoked_at=None, certificates__not_before__lte=wall, certificates__not_after__gt=wall
    )
    vens = Ven.objects.filter(ven_id__in=list(ven_ids)).annotate(
        not_after=Max("certificates__not_after", filter=in_force)
    )
    return {
        VenId(ven.ven_id): VenState(
            ven_id=VenId(ven.ven_id),
            is_registered=ven.is_registered,
            registered_at=ven.registered_at,
            last_seen_wall_at=ven.last_seen_wall_at,
            certificate_not_after=ven.not_after,
            may_connect=ven.not_after is not None,
        )
        for ven in vens
    }


def connectable(ven_ids: Iterable[str], *, wall: datetime) -> set[VenId]:
    """Those of the VENs that a certificate speaks for at the wall time, as `VenState.may_connect`."""
    wanted = set(ven_ids)
    speaking = VenCertificate.objects.filter(revoked_at=None, not_before__lte=wall, not_after__gt=wall)
    if len(wanted) <= FEW:
        speaking = speaking.filter(ven__ven_id__in=among_texts(wanted))
    return {VenId(ven_id) for ven_id in speaking.values_list("ven__ven_id", flat=True) if ven_id in wanted}


def certificates_in_force(ven_ids: Collection[str]) -> dict[str, list[dict[str, str]]]:
    """Return the certificates not revoked of each VEN: serial number (hex, as in the certificate) and end."""
    rows = VenCertificate.objects.filter(ven__ven_id__in=ven_ids, revoked_at=None).order_by(
        "not_before", "pk"
    )
    found: dict[str, list[dict[str, str]]] = {}
    for ven_id, serial, not_after in rows.values_list("ven__ven_id", "serial", "not_after"):
        found.setdefault(ven_id, []).append({"serial_number": serial, "not_after": not_after.isoformat()})
    return found


def heard_wall_at(ven_ids: Collection[str] | None = None) -> dict[str, datetime]:
    """Return when each VEN, of these or of all, was heard last, in wall time; one never heard is left out."""
    vens = Ven.objects.all() if ven_ids is None else Ven.objects.filter(ven_id__in=ven_ids)
    rows = vens.values_list("ven_id", "last_seen_wall_at")
    return {ven_id: seen for ven_id, seen in rows if seen is not None}


def heard_since(wall: datetime) -> QuerySet[Ven, str]:
    """Return the ids of VENs heard at or after a wall time, as a subquery."""
    return Ven.objects.filter(last_seen_wall_at__gte=wall).values_list("ven_id", flat=True)
