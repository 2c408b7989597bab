"""The registry by place: how many homes, hubs and kW there are in each GSP group, substation, zone or area.

Each list is two SQL statements over all homes. For staff: partners see their own page, over 15 homes or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, F, Func, Q, QuerySet, Sum, Value

from assets import vtn_door
from assets.finding import in_area
from assets.journals import SILENT_AFTER
from assets.models import Asset, Hub
from members.models import Home, Occupancy

GSP_GROUP, SUBSTATION, CMZ, AREA = "gsp_group", "substation", "cmz", "area"
LEVELS: Final = (GSP_GROUP, SUBSTATION, CMZ, AREA)
_COLUMNS: Final = {GSP_GROUP: "gsp_group", SUBSTATION: "primary_substation", CMZ: "cmz"}


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
    willing: QuerySet[Any],
    gsp_group: str = "",
    substation: str = "",
    area: str = "",
) -> list[Place]:
    """Every place of the level, by name, narrowed to a GSP group, a substation or an area.

    `willing` gives the stays whose household consents to be asked: only their assets, in service, behind a
    hub heard within half an hour, are controllable now. Raises KeyError for what is no level.
    """
    homes = Home.objects.all()
    if gsp_group:
        homes = homes.filter(gsp_group=gsp_group)
    if substation:
        homes = homes.filter(primary_substation=substation)
    if area:
        homes = homes.filter(in_area(area))
    in_use = Hub.objects.filter(state=Hub.State.COMMISSIONED)
    online = vtn_door.heard_since(wall - SILENT_AFTER)
    heard = in_use.filter(ven_id__in=online)
    faulty = Asset.objects.filter(state=Asset.State.FAULTY)
    # Lists that PostgreSQL hashes once each; asked home by home, ten thousand homes take seconds.
    counts = (
        homes.annotate(place=_place(level, ""))
        .order_by()
        .values("place")
        .annotate(
            home_count=Count("pk"),
            hub_count=Count("pk", filter=Q(pk__in=in_use.values("home"))),
            heard_count=Count("pk", filter=Q(pk__in=heard.values("home"))),
            faulty_count=Count("pk", filter=Q(pk__in=faulty.values("hub__home"))),
        )
    )
    stays = Occupancy.objects.filter(pk__in=willing)
    asked = Asset.objects.filter(
        state=Asset.State.ACTIVE,
        hub__state=Hub.State.COMMISSIONED,
        hub__ven_id__in=online,
        hub__home__in=stays.values("home"),
    )
    if gsp_group or substation or area:
        asked = asked.filter(hub__home__in=homes.values("pk"))
    watts = dict(
        asked.annotate(place=_place(level, "hub__home__"))
        .order_by()
        .values("place")
        .annotate(total_w=Sum("flexible_w"))
        .values_list("place", "total_w")
    )
    found = [
        Place(
            row["place"] or "",
            row["home_count"],
            row["hub_count"],
            row["heard_count"],
            row["faulty_count"],
            watts.get(row["place"], 0),
        )
        for row in counts
    ]
    return sorted(found, key=lambda place: (not place.name, place.name))


def _place(level: str, home: str) -> F | Func:
    """The place of a row, whose home is reached by the prefix."""
    if level == AREA:
        return Func(F(f"{home}postcode"), Value("^[A-Z]+"), function="SUBSTRING")
    return F(f"{home}{_COLUMNS[level]}")
