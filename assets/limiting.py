"""What an asset is and may: its powers and its model of the catalogue, put right one at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from assets.installing import PowerOutOfRange
from assets.models import Asset, Hub
from assets.registry_models import Product
from assets.servicing import AssetNotFound, AssetRetired
from members import entry
from opendsr.kernel import audit

LIMITS: Final = ("rated_w", "flexible_w")


@transaction.atomic
def set_limit(*, asset_id: UUID, field: str, watts: int, at: datetime, by: str) -> Asset:
    """Set the rating, within what its kind's fitting carries, or the power it can drop, within the rating.

    The hub is told by whoever calls (`shadowing.refresh`). Raises AssetNotFound, AssetRetired, InvalidField,
    PowerOutOfRange.
    """
    if field not in LIMITS:
        raise entry.InvalidField(field="field", problem="not_a_choice")
    asset = (
        Asset.objects.select_for_update(of=("self",), no_key=True)
        .select_related("kind")
        .filter(pk=asset_id)
        .first()
    )
    if asset is None:
        raise AssetNotFound(asset_id=str(asset_id))
    if asset.state == Asset.State.RETIRED:
        raise AssetRetired(asset_id=str(asset_id))
    if field == "rated_w" and not max(1, asset.flexible_w) <= watts <= asset.kind.limit_w:
        raise PowerOutOfRange(field=field, given_w=watts, limit_w=asset.kind.limit_w)
    if field == "flexible_w" and not 0 <= watts <= asset.rated_w:
        raise PowerOutOfRange(field=field, given_w=watts, limit_w=asset.rated_w)
    before = getattr(asset, field)
    if before != watts:
        setattr(asset, field, watts)
        asset.save(update_fields=[field])
        detail = {"before": before, "now": watts}
        audit.record(at=at, actor=by, verb=f"asset.{field}", target=f"asset:{asset.pk}", detail=detail)
    return asset


@transaction.atomic
def set_product(*, thing: Asset | Hub, product: Product | None, at: datetime, by: str) -> None:
    """Say which model of the catalogue it is, or that nobody knows. Raises InvalidField."""
    is_asset = isinstance(thing, Asset)
    wanted = Product.Category.ASSET if is_asset else Product.Category.HUB
    if product is not None and product.category != wanted:
        raise entry.InvalidField(field="product", problem="not_a_choice")
    if product is not None and isinstance(thing, Asset) and product.kind_id != thing.kind_id:
        raise entry.InvalidField(field="product", problem="other_kind")
    before, thing.product = thing.product, product
    if before == product:
        return
    thing.save(update_fields=["product"])
    name = "asset" if is_asset else "hub"
    detail = {"before": str(before or ""), "now": str(product or "")}
    audit.record(at=at, actor=by, verb=f"{name}.product", target=f"{name}:{thing.pk}", detail=detail)
