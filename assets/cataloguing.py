"""The catalogue of makes and models: written by staff, each change kept in the audit trail.

What is fitted points at a model; a model is never deleted, it is not offered any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from assets.models import Asset, AssetKind, Cad, Hub
from assets.registry_models import Meter, Product
from members import entry
from members.constraints import refused_as
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, NotFound
from opendsr.kernel.models import AuditEntry

MOST_W: Final = 100_000
MOST_MM: Final = 5_000
MOST_G: Final = 1_000_000
NUMBERS: Final[Mapping[str, tuple[int, int]]] = {
    "rated_w": (1, MOST_W),
    "minimum_w": (1, MOST_W),
    "step_w": (0, MOST_W),
    "phases": (1, 3),
    "width_mm": (1, MOST_MM),
    "height_mm": (1, MOST_MM),
    "depth_mm": (1, MOST_MM),
    "weight_g": (1, MOST_G),
    "relay_life_cycles": (1, 100_000_000),
    "relay_life_years": (1, 100),
}
TEXTS: Final[Mapping[str, int]] = {"siting": 300, "firmware": 40}
FIELDS: Final = ("category", "kind_id", "make", "model", *NUMBERS, *TEXTS, "is_offered")


class ProductNotFound(NotFound):
    """No such model in the catalogue."""

    product_id: str


class ProductKnown(DomainError):
    """The catalogue has this make and model already."""

    field: str


@transaction.atomic
def save_product(*, product_id: UUID | None, values: Mapping[str, Any], at: datetime, by: str) -> Product:
    """Add a model, or change one; what did not change is not noted.

    `values` holds category, kind_id, make, model, is_offered and, as they please, the numbers and texts.
    Raises InvalidField, ProductKnown, ProductNotFound.
    """
    if product_id is None:
        product = Product(changed_at=at)
    else:
        found = Product.objects.select_for_update().filter(pk=product_id).first()
        if found is None:
            raise ProductNotFound(product_id=str(product_id))
        product = found
    before = {} if product_id is None else {name: getattr(product, name) for name in FIELDS}
    for name, value in _checked(values).items():
        setattr(product, name, value)
    changed = {
        name: [before.get(name), getattr(product, name)]
        for name in FIELDS
        if before.get(name) != getattr(product, name)
    }
    if not changed:
        return product
    product.changed_at = at
    with refused_as(product_one_make_and_model=ProductKnown(field="model")):
        product.save()
    verb = "product.added" if product_id is None else "product.changed"
    audit.record(at=at, actor=by, verb=verb, target=f"product:{product.pk}", detail=changed)
    return product


def in_use(product_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many things of each model are in use, whatever they are."""
    counted = dict.fromkeys(product_ids, 0)
    for fitted in (
        Asset.objects.exclude(state=Asset.State.RETIRED),
        Hub.objects.filter(retired_at=None),
        Cad.objects.filter(retired_at=None),
        Meter.objects.filter(removed_at=None),
    ):
        rows = fitted.filter(product__in=product_ids).order_by().values_list("product")
        for product_id, number in rows.annotate(number=Count("pk")):
            counted[product_id] += number
    return counted


def history_of(product: Product) -> list[AuditEntry]:
    """Every change of the model, newest first."""
    return list(AuditEntry.objects.filter(target=f"product:{product.pk}").order_by("-pk")[:100])


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    category = entry.choice(Product.Category, str(values.get("category", "")), "category")
    kind_id = values.get("kind_id") or None
    if (category == Product.Category.ASSET) != (kind_id is not None):
        raise entry.InvalidField(field="kind", problem="kind_of_assets_only")
    if kind_id is not None and not AssetKind.objects.filter(pk=kind_id).exists():
        raise entry.InvalidField(field="kind", problem="not_a_choice")
    checked: dict[str, Any] = {
        "category": category.value,
        "kind_id": kind_id,
        "make": entry.one_line(str(values.get("make", "")), field="make", longest=60),
        "model": entry.one_line(str(values.get("model", "")), field="model", longest=60),
        "is_offered": bool(values.get("is_offered")),
    }
    for name, (least, most) in NUMBERS.items():
        number = values.get(name)
        if number is not None and not least <= number <= most:
            raise entry.InvalidField(field=name, problem="out_of_range")
        checked[name] = number
    if checked["phases"] == 2:
        raise entry.InvalidField(field="phases", problem="out_of_range")
    if checked["minimum_w"] and checked["rated_w"] and checked["minimum_w"] > checked["rated_w"]:
        raise entry.InvalidField(field="minimum_w", problem="out_of_range")
    for name, longest in TEXTS.items():
        checked[name] = entry.one_line(
            str(values.get(name) or ""), field=name, longest=longest, may_be_empty=True
        )
    return checked
