"""Where a VEN is called: set by staff or by an application, never by the VEN itself."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from opendsr.kernel import audit, calling_out
from opendsr.kernel.errors import Invalid
from vtn.models import Ven
from vtn.port import UnknownVen
from vtn.transports import push


class AddressRefused(Invalid):
    """An address that this VTN never calls: `field`, `reason`."""


@transaction.atomic
def set_push_address(*, ven_id: str, url: str, at: datetime, by: str) -> None:
    """Set or clear ("") the address a VEN is pushed to; raises UnknownVen, AddressRefused."""
    if not Ven.objects.filter(ven_id=ven_id).exists():
        raise UnknownVen(ven_id=ven_id)
    try:
        push.set_push_url(ven_id=ven_id, url=url)
    except calling_out.NotCalled as error:
        raise AddressRefused(field="push_url", reason=str(error)) from error
    audit.record(at=at, actor=by, verb="vtn.push_address.set", target=f"ven:{ven_id}", detail={"url": url})
