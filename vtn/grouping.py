"""Groups of VENs that are addressed together: made, changed, dissolved, each step in the audit trail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotFound
from vtn.models import Ven, VenGroup
from vtn.port import UnknownVen


class UnknownVenGroup(NotFound):
    """No such group: `name`."""


class GroupExists(DomainError):
    """Another group has the name: `field`, `reason`."""


def group(name: str) -> VenGroup:
    """The group; raises UnknownVenGroup."""
    found = VenGroup.objects.filter(name=name).first()
    if found is None:
        raise UnknownVenGroup(name=name)
    return found


@transaction.atomic
def save_group(
    *,
    name: str,
    description: str,
    ven_ids: Collection[str],
    at: datetime,
    by: str,
    replacing: str | None = None,
) -> VenGroup:
    """Make a group of exactly these VENs, or put it in the place of the one named `replacing`.

    Raises GroupExists, UnknownVenGroup, UnknownVen.
    """
    row = VenGroup(name=name) if replacing is None else group(replacing)
    if name != replacing and VenGroup.objects.filter(name=name).exists():
        raise GroupExists(
            field="name", reason="there is such a group already: change it, or take another name"
        )
    wanted = set(ven_ids)
    found = dict(Ven.objects.filter(ven_id__in=wanted).values_list("ven_id", "pk"))
    if missing := wanted - found.keys():
        raise UnknownVen(ven_id=min(missing), field="ven_ids", reason=f"there is no VEN {min(missing)}")
    row.name, row.description = name, description
    row.save()
    row.vens.set(found.values())
    audit.record(
        at=at, actor=by, verb="vtn.group.saved", target=f"vtn_group:{name}", detail={"vens": len(found)}
    )
    return row


@transaction.atomic
def dissolve_group(*, name: str, at: datetime, by: str) -> None:
    """Forget a group; its VENs stay. Raises UnknownVenGroup."""
    group(name).delete()
    audit.record(at=at, actor=by, verb="vtn.group.dissolved", target=f"vtn_group:{name}")
