"""What others ask of assets: which are in a place and what they can do.

Each answers for one home or for ten thousand in one SQL statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.db.models import FloatField, Q, QuerySet
from django.db.models.functions import Cast

from assets.models import Asset, Cad, Hub
from members.entry import InvalidField


class ZoneAsset(NamedTuple):
    """One asset in a zone, for planning; `ven_id` is None until its hub is commissioned.

    A tuple, as ten thousand are made in the second that a network operator waits.
    """

    asset_id: UUID
    kind_code: str
    rated_w: int
    flexible_w: int
    minimum_w: int
    step_w: int
    turn_down_hours: float
    turn_up_hours: float
    asset_state: str
    hub_id: UUID
    hub_state: str
    ven_id: str | None
    home_id: UUID
    resource_id: str
    name: str


def assets_in_zone(zone_kind: str, zone: str) -> list[ZoneAsset]:
    """Every asset in use in the zone, in order of resource id; faulty ones and those of a planned hub too.

    `zone_kind` is gsp_group, cmz, substation, postcode_area or everywhere (`zone` then does not matter).
    Raises InvalidField.
    """
    try:
        narrow = ZONES[zone_kind]
    except KeyError:
        raise InvalidField(field="zone_kind", problem="not_a_choice") from None
    return zone_assets(Asset.objects.filter(narrow(zone.strip())))


def homes_in_zone(zone_kind: str, zone: str) -> set[UUID]:
    """Homes with an asset in use in the zone; `zone_kind` as for `assets_in_zone`."""
    in_use = Asset.objects.filter(ZONES[zone_kind](zone.strip())).exclude(state=Asset.State.RETIRED)
    homes = in_use.exclude(hub__state=Hub.State.RETIRED).order_by().values_list("hub__home_id", flat=True)
    return set(homes.distinct())


def zone_assets(assets: QuerySet[Asset]) -> list[ZoneAsset]:
    """The rows of any set of assets, without those out of use, in one query."""
    in_use = assets.exclude(state=Asset.State.RETIRED).exclude(hub__state=Hub.State.RETIRED)
    rows = in_use.order_by("resource_id").values_list(
        "pk",
        "kind_id",
        "rated_w",
        "flexible_w",
        "kind__minimum_w",
        "kind__step_w",
        Cast("kind__turn_down_hours", FloatField()),
        Cast("kind__turn_up_hours", FloatField()),
        "state",
        "hub_id",
        "hub__state",
        "hub__ven_id",
        "hub__home_id",
        "resource_id",
        "name",
    )
    return [ZoneAsset(*row) for row in rows]


def assets_of_home(home_id: UUID) -> list[Asset]:
    """The home's assets in use, with kind and hub, by name."""
    assets = Asset.objects.filter(hub__home_id=home_id).exclude(state=Asset.State.RETIRED)
    return list(assets.select_related("kind", "hub").order_by("name", "pk"))


def hub_of_home(home_id: UUID) -> Hub | None:
    """The home's commissioned hub, if it has one."""
    return Hub.objects.filter(home_id=home_id, state=Hub.State.COMMISSIONED).first()


def cad_of_home(home_id: UUID, at: datetime) -> Cad | None:
    """The CAD in use in the home at `at`."""
    in_use = Q(retired_at__isnull=True) | Q(retired_at__gt=at)
    return Cad.objects.filter(in_use, home_id=home_id, paired_at__lte=at).first()


def homes_with_cad(starts_at: datetime, ends_at: datetime) -> set[UUID]:
    """Homes that had a CAD in use at any time within [starts_at, ends_at)."""
    in_use = Q(retired_at__isnull=True) | Q(retired_at__gt=starts_at)
    return set(Cad.objects.filter(in_use, paired_at__lt=ends_at).values_list("home_id", flat=True))


def _in_postcode_area(zone: str) -> Q:
    area = zone.upper()
    if not re.fullmatch(r"[A-Z]{1,2}", area, re.ASCII):
        raise InvalidField(field="zone", problem="not_a_postcode_area")
    return Q(hub__home__postcode__regex=rf"^{area}[0-9]")


ZONES: Final[dict[str, Callable[[str], Q]]] = {
    "gsp_group": lambda zone: Q(hub__home__gsp_group=zone.removeprefix("_").upper()),
    "cmz": lambda zone: Q(hub__home__cmz=zone),
    "substation": lambda zone: Q(hub__home__primary_substation=zone),
    "postcode_area": _in_postcode_area,
    "everywhere": lambda zone: Q(),
}
