"""Who supplies which home and how it pays: told on joining, and again whenever something changes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from django.db import transaction

from members import entry
from members.models import Occupancy
from members.supply_models import LONGEST_SUPPLIER, PaymentMethod, Supply
from opendsr.kernel import audit
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date

Stay = TypeVar("Stay", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Supplied:
    """What is known of a stay's supply on a day; "" where nobody said anything."""

    supplier: str = ""
    payment_method: str = ""


@transaction.atomic
def note_supply(
    *,
    occupancy: Occupancy,
    starts_on: date,
    at: datetime,
    by: str,
    supplier: str = "",
    payment_method: str = "",
) -> Supplied:
    """Keep who supplies the stay, and how it pays, from the day on; what is left empty stands as it is.

    Told again for the same day, the last word counts; what stands already, told again, changes nothing.
    Gives what stands on the day. Raises InvalidField (supplier, payment_method, changed_on).
    """
    name = entry.one_line(supplier, field="supplier", longest=LONGEST_SUPPLIER, may_be_empty=True)
    if payment_method:
        payment_method = entry.choice(PaymentMethod, payment_method, "payment_method").value
    if not name and not payment_method:
        raise entry.InvalidField(field="supplier", problem="empty")
    if starts_on > civil_date(at):
        raise entry.InvalidField(field="changed_on", problem="in_the_future")
    if starts_on < civil_date(occupancy.starts_at):
        raise entry.InvalidField(field="changed_on", problem="before_it_began")
    held = Occupancy.objects.select_for_update(no_key=True).get(pk=occupancy.pk)
    stood = supplies_of([held.pk], starts_on).get(held.pk, Supplied())
    told = {}
    if name and name.casefold() != stood.supplier.casefold():
        told["supplier"] = name
    if payment_method and payment_method != stood.payment_method:
        told["payment_method"] = payment_method
    if told:
        Supply.objects.update_or_create(
            occupancy=held, starts_on=starts_on, defaults=told | {"noted_at": at, "noted_by": by}
        )
        audit.record(
            at=at, actor=by, verb="supply.noted", target=f"occupancy:{held.pk}",
            detail={"starts_on": starts_on.isoformat(), "told": sorted(told)},
        )  # fmt: skip
    return Supplied(told.get("supplier", stood.supplier), told.get("payment_method", stood.payment_method))


def supplies_of(occupancy_ids: Iterable[UUID], day: date) -> dict[UUID, Supplied]:
    """Who supplies each stay on the day and how it pays, as far as anybody told."""
    rows = Supply.objects.filter(occupancy_id__in=among(occupancy_ids), starts_on__lte=day)
    return newest_told(rows.order_by("starts_on").values_list("occupancy_id", "supplier", "payment_method"))


def payment_methods(day: date) -> dict[UUID, str]:
    """How every stay pays on the day that ever told, by its id."""
    rows = Supply.objects.filter(starts_on__lte=day).exclude(payment_method="")
    return dict(rows.order_by("starts_on").values_list("occupancy_id", "payment_method"))


def newest_told(rows: Iterable[tuple[Stay, str, str]]) -> dict[Stay, Supplied]:
    """The newest word on each, of rows (stay, supplier, payment method) in the order of their days.

    An empty one says nothing: the one before stands.
    """
    found: dict[Stay, Supplied] = {}
    for stay, supplier, payment_method in rows:
        before = found.get(stay, Supplied())
        found[stay] = Supplied(supplier or before.supplier, payment_method or before.payment_method)
    return found
