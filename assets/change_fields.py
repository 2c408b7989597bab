"""What may be changed in many rows at once: how a value is read, whether a row may have it, how it is put.

Each write goes through the service that a single change goes through, so that rules and audit are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from assets import limiting, servicing, shadowing
from assets.models import Asset, Cad, Hub
from assets.registry_models import Meter, Product
from members import entry, placing
from members.models import Home
from opendsr.kernel import lookups
from opendsr.kernel.ids import uuid_or_none

HOME, HUB, ASSET = "home", "hub", "asset"
MOST_W: Final = 100_000


class Refused(Exception):
    """The row may not have the value; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """A home, hub or asset as it is: what it goes by, the value of the field as text, the row itself."""

    id: UUID
    home_id: UUID
    name: str
    before: str
    row: Any = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that may be changed in many rows. `read` refuses what is no value of it at all."""

    code: str
    of: str
    shown: Callable[[Any], str]
    read: Callable[[str], str]
    may: Callable[[str, Any], None]
    write_row: Callable[[Any, str, datetime, str], None]
    is_told_to_hubs: bool = False

    def fit(self, value: str, target: Target) -> str:
        """The value as it is stored for the row. Raises Refused."""
        read = self.read(value)
        self.may(read, target.row)
        return read

    def write(self, target: Target, value: str, at: datetime, by: str) -> None:
        """Write it. Raises Refused and the service's own errors."""
        self.may(value, target.row)
        self.write_row(target.row, value, at, by)

    def afterwards(self, targets: Sequence[Target], at: datetime) -> None:
        """Tell the hubs once for the whole piece, where they have to know."""
        if self.is_told_to_hubs:
            hubs = Hub.objects.filter(pk__in=lookups.among({each.row.hub_id for each in targets}))
            shadowing.refresh(hubs.filter(state=Hub.State.COMMISSIONED), at=at)


def within(kind: Field, homes: QuerySet[Home], *, asset_kind: str = "", product: str = "") -> list[Target]:
    """What of these homes the field is of: the homes, their hubs, or their assets in use, by name.

    `asset_kind` and `product` narrow assets once more, beside their homes.
    """
    if kind.of == HOME:
        return _targets(kind, homes)
    ids = homes.order_by().values("pk")
    if kind.of == HUB:
        return _targets(kind, _rows(kind).filter(home__in=ids).exclude(state=Hub.State.RETIRED))
    rows = _rows(kind).filter(hub__home__in=ids).exclude(state=Asset.State.RETIRED)
    if asset_kind:
        rows = rows.filter(kind=asset_kind)
    if product:
        rows = rows.filter(product=product)
    return _targets(kind, rows)


def current(kind: Field, ids: Collection[UUID]) -> dict[UUID, Target]:
    """The rows as they are now, locked until the transaction is over, by id."""
    rows = (
        _rows(kind)
        .filter(pk__in=lookups.among(ids))
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")
    )
    return {each.id: each for each in _targets(kind, rows)}


def named(kind: Field, names: Iterable[str]) -> dict[str, Target]:
    """What goes by each name: a home by its id or by a serial number in it, a hub by its serial number, an
    asset by its wire name. Names of nothing are left out.
    """
    asked = list(dict.fromkeys(names))
    if kind.of == HUB:
        return {each.name: each for each in _targets(kind, _rows(kind).filter(serial__in=asked))}
    if kind.of == ASSET:
        return {each.name: each for each in _targets(kind, _rows(kind).filter(resource_id__in=asked))}
    by_name: dict[str, UUID] = {}
    in_use: tuple[tuple[Any, Q, str, str], ...] = (
        (Asset, ~Q(state=Asset.State.RETIRED), "resource_id", "hub__home_id"),
        (Meter, Q(removed_at=None), "serial", "home_id"),
        (Cad, Q(retired_at=None), "serial", "home_id"),
        (Hub, ~Q(state=Hub.State.RETIRED), "serial", "home_id"),
    )
    for model, is_in_use, name, home in in_use:
        rows = model.objects.filter(is_in_use, **{f"{name}__in": asked})
        by_name.update(rows.values_list(name, home))
    ids = {name: found for name in asked if (found := uuid_or_none(name)) is not None}
    by_name = {**ids, **by_name}
    homes = {each.id: each for each in _targets(kind, Home.objects.filter(pk__in=set(by_name.values())))}
    return {name: homes[home_id] for name, home_id in by_name.items() if home_id in homes}


def _rows(kind: Field) -> QuerySet[Any]:
    if kind.of == HOME:
        return Home.objects.all()
    if kind.of == HUB:
        return Hub.objects.select_related("product")
    return Asset.objects.select_related("kind", "product", "hub")


def _targets(kind: Field, rows: Iterable[Any]) -> list[Target]:
    found = []
    for row in rows:
        if isinstance(row, Home):
            found.append(Target(row.pk, row.pk, str(row.pk), kind.shown(row), row))
        elif isinstance(row, Hub):
            found.append(Target(row.pk, row.home_id, row.serial, kind.shown(row), row))
        else:
            found.append(Target(row.pk, row.hub.home_id, row.resource_id, kind.shown(row), row))
    return found


# ---- values


def _place(value: str) -> str:
    try:
        return entry.one_line(value, field="value", longest=placing.LONGEST, may_be_empty=True)
    except entry.InvalidField as error:
        raise Refused(str(error.data["problem"])) from None


def _watts(value: str) -> str:
    text = value.strip().replace(",", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise Refused("not_whole_watts")
    if int(text) > MOST_W:
        raise Refused("out_of_range")
    return str(int(text))


def _state(value: str) -> str:
    text = value.strip().lower()
    if text not in Asset.State.values:
        raise Refused("not_a_choice")
    return text


def _product(category: Product.Category) -> Callable[[str], str]:
    def read(value: str) -> str:
        text = " ".join(value.split())
        if not text:
            return ""
        for product in Product.objects.filter(category=category):
            if text in (str(product.pk), str(product)):
                return str(product)
        raise Refused("not_in_catalogue")

    return read


def _product_named(value: str) -> Product | None:
    """The model whose make and model these are: both together are unique but for where a space parts them."""
    return next((each for each in Product.objects.all() if str(each) == value), None) if value else None


# ---- whether a row may


def _anything(value: str, row: Any) -> None:
    """Any row may."""


def _in_use(asset: Asset) -> None:
    if asset.state == Asset.State.RETIRED:
        raise Refused("retired")


def _may_be_rated(value: str, asset: Asset) -> None:
    _in_use(asset)
    if not 0 < int(value) <= asset.kind.limit_w or int(value) < asset.flexible_w:
        raise Refused("power_out_of_range")


def _may_drop(value: str, asset: Asset) -> None:
    _in_use(asset)
    if int(value) > asset.rated_w:
        raise Refused("power_out_of_range")


def _may_be_product(value: str, asset: Asset) -> None:
    _in_use(asset)
    product = _product_named(value)
    if product is not None and product.kind_id != asset.kind_id:
        raise Refused("other_kind")


def _may_be_in_state(value: str, asset: Asset) -> None:
    if asset.state == Asset.State.RETIRED and asset.hub.state == Hub.State.RETIRED:
        raise Refused("retired")


# ---- writing


def _write_home(name: str) -> Callable[[Any, str, datetime, str], None]:
    def write(home: Home, value: str, at: datetime, by: str) -> None:
        placing.place_home(home_id=home.pk, field=name, value=value, at=at, by=by)

    return write


def _write_limit(name: str) -> Callable[[Any, str, datetime, str], None]:
    def write(asset: Asset, value: str, at: datetime, by: str) -> None:
        limiting.set_limit(asset_id=asset.pk, field=name, watts=int(value), at=at, by=by)

    return write


def _write_product(row: Any, value: str, at: datetime, by: str) -> None:
    limiting.set_product(thing=row, product=_product_named(value), at=at, by=by)


def _write_state(asset: Asset, value: str, at: datetime, by: str) -> None:
    if asset.state == Asset.State.RETIRED:
        servicing.restore_asset(asset_id=asset.pk, at=at, by=by)
    if value == Asset.State.ACTIVE:
        servicing.clear_fault(asset_id=asset.pk, at=at, by=by)
    elif value == Asset.State.FAULTY:
        servicing.report_fault(asset_id=asset.pk, at=at, by=by, reason="changed with others")
    else:
        servicing.retire_asset(asset_id=asset.pk, at=at, by=by, reason="changed with others")


def _product_shown(row: Any) -> str:
    return "" if row.product is None else str(row.product)


FIELDS: Final[dict[str, Field]] = {
    each.code: each
    for each in (
        Field(
            "primary_substation",
            HOME,
            lambda home: str(home.primary_substation),
            _place,
            _anything,
            _write_home("primary_substation"),
        ),
        Field("cmz", HOME, lambda home: str(home.cmz), _place, _anything, _write_home("cmz")),
        Field("hub_product", HUB, _product_shown, _product(Product.Category.HUB), _anything, _write_product),
        Field(
            "product",
            ASSET,
            _product_shown,
            _product(Product.Category.ASSET),
            _may_be_product,
            _write_product,
        ),
        Field(
            "rated_w",
            ASSET,
            lambda asset: str(asset.rated_w),
            _watts,
            _may_be_rated,
            _write_limit("rated_w"),
            is_told_to_hubs=True,
        ),
        Field(
            "flexible_w",
            ASSET,
            lambda asset: str(asset.flexible_w),
            _watts,
            _may_drop,
            _write_limit("flexible_w"),
        ),
        Field("state", ASSET, lambda asset: str(asset.state), _state, _may_be_in_state, _write_state),
    )
}
