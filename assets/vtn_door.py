"""The door to the VTN, the only module of this room that imports `vtn`: identities made and ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from vtn import enrolling, queries, shadows
from vtn.shadows import Shadow


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The VEN made for a hub; `ca_pem` is what the hub trusts the VTN by."""

    ven_id: str
    certificate_pem: str
    ca_pem: str


def enrol(*, hub_serial: str, csr_pem: str, at: datetime, by: str) -> Enrolled:
    """Make a VEN for the hub and sign its request; a request that cannot be honoured raises a DomainError."""
    ven = enrolling.enrol_ven(ven_name=hub_serial, csr_pem=csr_pem, at=at, by=by)
    return Enrolled(ven_id=ven.ven_id, certificate_pem=ven.certificate_pem, ca_pem=ven.ca_pem)


def revoke(*, ven_id: str, reason: str, at: datetime, by: str) -> None:
    """End every certificate of the VEN, with effect on its next request."""
    enrolling.revoke_certificate(ven_id=ven_id, reason=reason, at=at, by=by)


def desire(documents: Mapping[str, Mapping[str, Any]], *, at: datetime) -> int:
    """Say what hubs should be, by VEN id; return how many documents are others than before."""
    return shadows.desire(documents, at=at)


def shadows_of(ven_ids: Collection[str]) -> dict[str, Shadow]:
    """What each hub should be and says it is, by VEN id; those of whom nothing is known are left out."""
    return shadows.shadows_of(ven_ids)


def certificates_of(ven_ids: Collection[str]) -> dict[str, list[dict[str, str]]]:
    """The certificates that speak for each hub: serial number (hex) and end, oldest first."""
    return queries.certificates_in_force(ven_ids)


def keep_file(body: bytes, *, at: datetime) -> str:
    """Keep bytes for hubs to fetch; return their SHA-256. Raises vtn's FileTooLarge."""
    return shadows.keep_file(body, at=at)


def heard_wall_at() -> dict[str, datetime]:
    """When each VEN that was ever heard was heard last, in wall time, by VEN id."""
    return queries.heard_wall_at()


def heard_since(wall: datetime) -> QuerySet[Any, str]:
    """Ids of the VENs heard at or after a wall time, as a subquery."""
    return queries.heard_since(wall)


def heard_of(ven_ids: Collection[str]) -> dict[str, datetime]:
    """When each of these VENs was heard last, in wall time; those never heard are left out."""
    return queries.heard_wall_at(ven_ids)
