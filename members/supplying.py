"""Who supplies which home: told on joining, and again whenever somebody changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from members import entry
from members.models import Occupancy
from members.supply_models import LONGEST_SUPPLIER, Supply
from opendsr.kernel import audit
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date


@transaction.atomic
def note_supplier(*, occupancy: Occupancy, supplier: str, starts_on: date, at: datetime, by: str) -> Supply:
    """Keep who supplies the stay from the day on; told again for the same day, the last word counts.

    The supplier of the day before told again changes nothing. Raises InvalidField (supplier, changed_on).
    """
    name = entry.one_line(supplier, field="supplier", longest=LONGEST_SUPPLIER)
    if starts_on > civil_date(at):
        raise entry.InvalidField(field="changed_on", problem="in_the_future")
    if starts_on < civil_date(occupancy.starts_at):
        raise entry.InvalidField(field="changed_on", problem="before_it_began")
    held = Occupancy.objects.select_for_update(no_key=True).get(pk=occupancy.pk)
    earlier = held.supplies.filter(starts_on__lte=starts_on).order_by("-starts_on").first()
    if earlier is not None and earlier.supplier.casefold() == name.casefold():
        return earlier
    told, _is_new = Supply.objects.update_or_create(
        occupancy=held,
        starts_on=starts_on,
        defaults={"supplier": name, "noted_at": at, "noted_by": by},
    )
    audit.record(
        at=at, actor=by, verb="supplier.noted", target=f"occupancy:{held.pk}",
        detail={"starts_on": starts_on.isoformat()},
    )  # fmt: skip
    return told


def suppliers_of(occupancy_ids: Iterable[UUID], day: date) -> dict[UUID, Supply]:
    """Who supplies each stay on the day, as far as anybody told."""
    rows = Supply.objects.filter(occupancy_id__in=among(occupancy_ids), starts_on__lte=day)
    return {each.occupancy_id: each for each in rows.order_by("starts_on")}
