"""Commissioning: a hub shows its one-time code and its own signing request, and becomes a VEN.

The private key stays in the hub. The code is compared by hash in constant time, counts its failures, expires
and works once; whoever has no right to know learns only that it was refused.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from assets import servicing, shadowing, vtn_door
from assets.enrolment_code import code_sha256, is_code
from assets.models import Hub
from members import entry
from members.constraints import refused_as
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, Invalid, NotAllowed

MOST_FAILURES: Final = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Commissioned:
    """What goes back to the hub; `ca_pem` is what it trusts the VTN by."""

    hub: Hub
    ven_id: str
    certificate_pem: str
    ca_pem: str


class EnrolmentRefused(NotAllowed):
    """Serial and code do not fit: unknown, wrong, used up or tried too often. It never says which."""

    serial: str


class EnrolmentCodeExpired(NotAllowed):
    """The code was the right one, but too late: staff issue another."""

    serial: str


class RequestNotText(Invalid):
    """The signing request is not a PEM text."""

    field: str


class HomeHasHub(DomainError):
    """The home has a commissioned hub already; that one has to be retired first."""

    serial: str


def commission_hub(*, serial: str, enrolment_code: str, csr_pem: bytes | str, at: datetime) -> Commissioned:
    """Spend the code, enrol the hub as a VEN and sign its request.

    Runs in a transaction of its own and refuses to be part of another, so that a failure is counted although
    it raises: InvalidField, EnrolmentRefused, EnrolmentCodeExpired, HomeHasHub, RequestNotText, or what the
    VTN says of the request. A right code is not spent when anything else is refused.
    """
    serial = entry.one_line(serial, field="serial", longest=40)
    request = _text(csr_pem)
    with transaction.atomic(durable=True):
        hub = Hub.objects.select_for_update(of=("self",)).filter(serial=serial).first()
        refusal = _refusal(hub, enrolment_code, serial, at)
        if hub is not None and refusal is None:
            return _commission(hub, request, at)
    refusal = refusal or EnrolmentRefused(serial=serial)
    logger.warning("enrolment of hub %r: %s", serial, refusal.code)
    raise refusal


def _refusal(hub: Hub | None, code: str, serial: str, at: datetime) -> DomainError | None:
    """Why not, or None; a wrong code is counted on the locked hub."""
    is_open = (
        hub is not None
        and hub.state == Hub.State.PLANNED
        and bool(hub.enrolment_code_sha256)
        and hub.enrolment_failures < MOST_FAILURES
    )
    if hub is None or not is_open:
        code_sha256(code)
        return EnrolmentRefused(serial=serial)
    if not is_code(code, hub.enrolment_code_sha256):
        hub.enrolment_failures += 1
        hub.save(update_fields=["enrolment_failures"])
        return EnrolmentRefused(serial=serial)
    if hub.enrolment_code_expires_at is None or at >= hub.enrolment_code_expires_at:
        return EnrolmentCodeExpired(serial=serial)
    return None


def _commission(hub: Hub, csr_pem: str, at: datetime) -> Commissioned:
    actor = f"hub:{hub.serial}"
    enrolled = vtn_door.enrol(hub_serial=hub.serial, csr_pem=csr_pem, at=at, by=actor)
    hub.state = Hub.State.COMMISSIONED
    hub.ven_id = enrolled.ven_id
    hub.commissioned_at = at
    hub.enrolment_code_sha256 = ""
    hub.enrolment_code_expires_at = None
    if hub.replaces_id is not None:
        servicing.take_over(hub=hub, at=at, by=actor)
    with refused_as(hub_one_commissioned_a_home=HomeHasHub(serial=hub.serial)):
        hub.save()
    audit.record(
        at=at,
        actor=actor,
        verb="hub.commissioned",
        target=f"hub:{hub.pk}",
        detail={"home_id": hub.home_id, "ven_id": enrolled.ven_id},
    )
    shadowing.refresh([hub], at=at)
    return Commissioned(
        hub=hub, ven_id=enrolled.ven_id, certificate_pem=enrolled.certificate_pem, ca_pem=enrolled.ca_pem
    )


def _text(csr_pem: bytes | str) -> str:
    if isinstance(csr_pem, str):
        return csr_pem
    try:
        return csr_pem.decode("ascii")
    except UnicodeDecodeError as error:
        raise RequestNotText(field="csr_pem") from error
