"""Meters on record, and what takes the place of what: nothing replaced loses its past.

The one before is retired and stays, with its dates; the new one points at it. A hub's replacement is in
`servicing`, since the new hub has to enrol first.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from assets import installing, servicing, shadowing
from assets.installing import SerialTaken
from assets.models import Asset, Cad
from assets.registry_models import Meter, Product
from members import entry
from members.constraints import refused_as
from members.models import Home
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError


class HomeHasMeter(DomainError):
    """The home has a meter on record; another one replaces it."""

    home_id: str


@transaction.atomic
def fit_meter(*, home: Home, serial: str, at: datetime, by: str, product_id: UUID | None = None) -> Meter:
    """Put the home's meter on record, in the place of the one it had.

    Raises InvalidField, SerialTaken, HomeHasMeter (when two are put on record at once).
    """
    serial = entry.one_line(serial, field="serial", longest=40)
    product = product_of(product_id, Product.Category.METER)
    old = Meter.objects.select_for_update().filter(home=home, removed_at=None).first()
    if old is not None:
        if old.serial == serial:
            raise SerialTaken(field="serial", serial=serial)
        old.removed_at = max(at, old.fitted_at)
        old.save(update_fields=["removed_at"])
    with refused_as(
        assets_meter_serial_key=SerialTaken(field="serial", serial=serial),
        meter_one_in_use_a_home=HomeHasMeter(home_id=str(home.pk)),
    ):
        meter = Meter.objects.create(home=home, serial=serial, product=product, fitted_at=at, replaces=old)
    detail = {"meter": str(meter.pk), "replaces": None if old is None else str(old.pk)}
    audit.record(at=at, actor=by, verb="meter.fitted", target=f"home:{home.pk}", detail=detail)
    return meter


def remove_meter(*, home: Home, at: datetime) -> int:
    """The home's meter is not there any more, and the new one is not on record yet; how many that were."""
    return Meter.objects.filter(home=home, removed_at=None, fitted_at__lte=at).update(removed_at=at)


@transaction.atomic
def fit_cad(*, home: Home, serial: str, at: datetime, by: str, product_id: UUID | None = None) -> Cad:
    """Pair a CAD, in the place of the one the home had. Raises InvalidField, SerialTaken."""
    product = product_of(product_id, Product.Category.CAD)
    Home.objects.select_for_update(no_key=True).get(pk=home.pk)
    old = Cad.objects.filter(home=home, retired_at=None).first()
    if old is not None:
        servicing.retire_cad(cad_id=old.pk, at=at)
    cad = installing.pair_cad(
        home=home, serial=serial, model="" if product is None else str(product)[:60], at=at
    )
    cad.product, cad.replaces = product, old
    cad.save(update_fields=["product", "replaces"])
    detail = {"cad": str(cad.pk), "replaces": None if old is None else str(old.pk)}
    audit.record(at=at, actor=by, verb="cad.fitted", target=f"home:{home.pk}", detail=detail)
    return cad


@transaction.atomic
def replace_asset(
    *, asset_id: UUID, at: datetime, by: str, product_id: UUID | None = None, rated_w: int | None = None
) -> Asset:
    """Put another device in an asset's place: same hub, kind, name and needs; the old one stays, retired.

    The new one has a wire name and a relay count of its own. `rated_w` is the model's, or as before.
    Raises AssetNotFound, AssetRetired, InvalidField, PowerOutOfRange, HubRetired.
    """
    product = product_of(product_id, Product.Category.ASSET)
    old = (
        Asset.objects.select_for_update(of=("self",), no_key=True)
        .select_related("hub", "kind")
        .filter(pk=asset_id)
        .first()
    )
    if old is None:
        raise servicing.AssetNotFound(asset_id=str(asset_id))
    if old.state == Asset.State.RETIRED:
        raise servicing.AssetRetired(asset_id=str(asset_id))
    if product is not None and product.kind_id != old.kind_id:
        raise entry.InvalidField(field="product", problem="other_kind")
    servicing.retire_asset(asset_id=old.pk, at=at, by=by, reason="replaced")
    rated = rated_w or (product.rated_w if product is not None else None) or old.rated_w
    new = installing.install_asset(
        hub=old.hub,
        kind_code=old.kind_id,
        name=old.name,
        at=at,
        rated_w=rated,
        flexible_w=min(old.flexible_w, rated),
    )
    new.product, new.replaces, new.needs = product, old, old.needs
    new.save(update_fields=["product", "replaces", "needs"])
    audit.record(
        at=at, actor=by, verb="asset.fitted", target=f"asset:{new.pk}", detail={"replaces": str(old.pk)}
    )
    shadowing.refresh([new.hub], at=at)
    return new


def product_of(product_id: UUID | None, category: Product.Category) -> Product | None:
    """The model of the catalogue, which has to be of the category; None for none. Raises InvalidField."""
    if product_id is None:
        return None
    product = Product.objects.filter(pk=product_id, category=category).first()
    if product is None:
        raise entry.InvalidField(field="product", problem="not_a_choice")
    return product
