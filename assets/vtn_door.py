"""The door to the VTN, the only module of this room that imports `vtn`: identities made and ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vtn import enrolling


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
