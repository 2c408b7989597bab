"""Homes of the registry with what is fitted in them, a page or a thousand at a time, a few queries each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from assets import vtn_door
from assets.journals import SILENT_AFTER
from assets.models import Asset, Cad, Hub
from assets.registry_models import Meter
from assets.wear import Wear, is_over_budget, relay_wear, usual_years
from members.models import Home
from opendsr.kernel import encryption, lookups

PIECE: Final = 500


@dataclass(slots=True)
class Fitted:
    """A home and what is in use there. `heard_wall_at`: when its hub was heard last."""

    home: Home
    hub: Hub | None = None
    cad: Cad | None = None
    meter: Meter | None = None
    assets: list[Asset] = field(default_factory=list)
    wears: dict[UUID, Wear] = field(default_factory=dict)
    heard_wall_at: datetime | None = None
    is_silent: bool = False

    @property
    def is_faulty(self) -> bool:
        return any(each.state == Asset.State.FAULTY for each in self.assets)

    @property
    def is_worn(self) -> bool:
        return any(each.is_worn for each in self.wears.values())

    @property
    def is_outdated(self) -> bool:
        """Something here said that it runs another version than its model should."""
        things: list[Asset | Hub] = [*self.assets]
        things += [self.hub] if self.hub else []
        return any(
            each.firmware and each.product is not None and each.product.firmware not in ("", each.firmware)
            for each in things
        )

    @property
    def worst_share(self) -> float | None:
        """The share of the most used relay's life."""
        return max((each.share for each in self.wears.values()), default=None)

    @property
    def flexible_w(self) -> int:
        """What the assets in service could drop in the evening."""
        return sum(each.flexible_w for each in self.assets if each.state == Asset.State.ACTIVE)


def fitted(homes: Iterable[Home], *, at: datetime, wall: datetime) -> list[Fitted]:
    """What is in use in each of the homes, in their order."""
    found = {home.pk: Fitted(home) for home in homes}
    ids = lookups.among(found)
    hubs = Hub.objects.filter(home__in=ids).exclude(state=Hub.State.RETIRED).select_related("product")
    for hub in hubs.order_by("state", "serial"):  # one in use goes before one that is planned
        row = found[hub.home_id]
        row.hub = row.hub or hub
    for cad in Cad.objects.filter(home__in=ids, retired_at=None).select_related("product"):
        found[cad.home_id].cad = cad
    for meter in Meter.objects.filter(home__in=ids, removed_at=None).select_related("product"):
        found[meter.home_id].meter = meter
    assets = Asset.objects.filter(hub__home__in=ids).exclude(state=Asset.State.RETIRED)
    for asset in assets.select_related("hub", "kind", "product", "relay_count").order_by("name", "pk"):
        row = found[asset.hub.home_id]
        row.assets.append(asset)
        wear = wear_of(asset, at)
        if wear is not None:
            row.wears[asset.pk] = wear
    heard = vtn_door.heard_of([str(row.hub.ven_id) for row in found.values() if row.hub and row.hub.ven_id])
    for row in found.values():
        if row.hub is not None and row.hub.state == Hub.State.COMMISSIONED:
            row.heard_wall_at = heard.get(str(row.hub.ven_id))
            row.is_silent = row.heard_wall_at is None or wall - row.heard_wall_at > SILENT_AFTER
    return list(found.values())


def every(homes: QuerySet[Home], *, at: datetime, wall: datetime, is_named: bool = False) -> Iterator[Fitted]:
    """All of the homes, however many, some hundreds at a time; their keys are forgotten after each piece.

    With `is_named` names are opened here, a piece's keys in one statement: an answer that streams is read in
    a context of its own for each row, which forgets the keys.
    """
    ids = list(homes.values_list("pk", flat=True))
    for first in range(0, len(ids), PIECE):
        piece: Sequence[UUID] = ids[first : first + PIECE]
        with encryption.remembering():
            rows = {home.pk: home for home in Home.objects.filter(pk__in=lookups.among(piece))}
            made = list(fitted((rows[each] for each in piece if each in rows), at=at, wall=wall))
            if is_named:
                for each in made:
                    str(each.home.name)
        yield from made


def life_of(asset: Asset) -> tuple[int | None, int | None]:
    """The cycles and years that its relay should last; None where nothing wears out."""
    if asset.product is None:
        return asset.kind.switch_life, usual_years(asset.kind.switch_life)
    return asset.product.relay_life_cycles, asset.product.relay_life_years


def is_switched_too_often(asset: Asset, at: datetime) -> bool:
    """Whether its relay was switched more than its yearly budget allows by now."""
    count = getattr(asset, "relay_count", None)
    cycles, years = life_of(asset)
    return count is not None and is_over_budget(
        cycles=count.cycles, installed_at=asset.installed_at, at=at, life_cycles=cycles, life_years=years
    )


def wear_of(asset: Asset, at: datetime) -> Wear | None:
    """How worn the asset's relay is; by its model's life, or its kind's where the model is not known."""
    count = getattr(asset, "relay_count", None)
    cycles, years = life_of(asset)
    return relay_wear(
        cycles=0 if count is None else count.cycles,
        counted_from_at=at if count is None else count.counted_from_at,
        told_at=at if count is None else count.told_at,
        installed_at=asset.installed_at,
        at=at,
        life_cycles=cycles,
        life_years=years,
    )
