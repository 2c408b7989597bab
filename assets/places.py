"""The registry by place: how many homes, hubs and kW there are in each GSP group, substation, zone or area.

Each list is one SQL statement over all homes. For staff: partners see their own page, over 15 homes or none.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Exists, F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from assets import vtn_door
from assets.finding import in_area
from assets.journals import SILENT_AFTER
from assets.models import Asset, Hub
from members.models import Home, Occupancy
from opendsr.kernel import lookups

GSP_GROUP, SUBSTATION, CMZ, AREA = "gsp_group", "substation", "cmz", "area"
LEVELS: Final = (GSP_GROUP, SUBSTATION, CMZ, AREA)
_AREA_OF: Final = Func(F("postcode"), Value("^[A-Z]+"), function="SUBSTRING")
_PLACE: Final[dict[str, Any]] = {
    GSP_GROUP: F("gsp_group"),
    SUBSTATION: F("primary_substation"),
    CMZ: F("cmz"),
    AREA: _AREA_OF,
}


@dataclass(frozen=True, slots=True)
class Place:
    """One place: `name` empty where none is on record. `controllable_w` is what could be asked of it now."""

    name: str
    homes: int
    hubs: int
    heard: int
    faulty: int
    controllable_w: int

    @property
    def silent(self) -> int:
        """Hubs in use that were not heard within half an hour."""
        return self.hubs - self.heard


def places(
    level: str,
    *,
    wall: datetime,
    willing: Collection[UUID],
    gsp_group: str = "",
    substation: str = "",
    area: str = "",
) -> list[Place]:
    """Every place of the level, by name, narrowed to a GSP group, a substation or an area.

    `willing` are the stays whose household consents to be asked: only their assets, in service, behind a hub
    heard within half an hour, are controllable now. Raises KeyError for what is no level.
    """
    homes = Home.objects.all()
    if gsp_group:
        homes = homes.filter(gsp_group=gsp_group)
    if substation:
        homes = homes.filter(primary_substation=substation)
    if area:
        homes = homes.filter(in_area(area))
    rows = (
        _figured(homes, wall=wall, willing=willing)
        .annotate(place=_PLACE[level])
        .values("place")
        .annotate(
            home_count=Count("pk"),
            hub_count=Count("pk", filter=Q(has_hub=True)),
            heard_count=Count("pk", filter=Q(is_heard=True)),
            faulty_count=Count("pk", filter=Q(is_faulty=True)),
            total_w=Coalesce(Sum("home_w", filter=Q(is_heard=True, is_willing=True)), 0),
        )
    )
    found = [
        Place(
            row["place"] or "",
            row["home_count"],
            row["hub_count"],
            row["heard_count"],
            row["faulty_count"],
            row["total_w"],
        )
        for row in rows
    ]
    return sorted(found, key=lambda place: (not place.name, place.name))


def _figured(homes: QuerySet[Home], *, wall: datetime, willing: Collection[UUID]) -> QuerySet[Home]:
    hubs = Hub.objects.filter(home=OuterRef("pk"), state=Hub.State.COMMISSIONED)
    active = Asset.objects.filter(
        hub__home=OuterRef("pk"), hub__state=Hub.State.COMMISSIONED, state=Asset.State.ACTIVE
    )
    watts = active.order_by().values("hub__home").annotate(total=Sum("flexible_w")).values("total")
    stays = Occupancy.objects.filter(home=OuterRef("pk"), pk__in=lookups.among(willing))
    faulty = Asset.objects.filter(hub__home=OuterRef("pk"), state=Asset.State.FAULTY)
    return homes.annotate(
        has_hub=Exists(hubs),
        is_heard=Exists(hubs.filter(ven_id__in=vtn_door.heard_since(wall - SILENT_AFTER))),
        is_faulty=Exists(faulty),
        is_willing=Exists(stays),
        home_w=Coalesce(Subquery(watts, output_field=IntegerField()), 0),
    )
