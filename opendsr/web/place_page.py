"""The map of the registry: GSP groups as tiles, and every place of one as a table with bars.

The tiles are a drawing of our own, one for each GSP group about where it lies; no map from elsewhere is
needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

import members.queries
from assets import places
from assets.finding import Criteria
from assets.places import Place
from assets.policy import DEVICE_STAFF
from members.models import Purpose
from members.policy import require_role
from opendsr.kernel import clock
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.home_filters import GSP_NAMES, query_of

TILES: Final = {
    "P": (1, 0),
    "N": (1, 1),
    "G": (1, 2),
    "F": (2, 2),
    "D": (1, 3),
    "M": (2, 3),
    "E": (1, 4),
    "B": (2, 4),
    "A": (3, 4),
    "K": (0, 5),
    "H": (1, 5),
    "C": (2, 5),
    "J": (3, 5),
    "L": (0, 6),
}
"""Column and row of each GSP group, north at the top."""
WIDTH, HEIGHT, GAP = 116, 76, 6
SHADES: Final = 4
LEVELS: Final = {
    places.GSP_GROUP: _lazy("GSP groups"),
    places.SUBSTATION: _lazy("Primary substations"),
    places.CMZ: _lazy("Constraint zones (CMZ)"),
    places.AREA: _lazy("Postcode areas"),
}
BAR: Final = 100


@dataclass(frozen=True, slots=True)
class Tile:
    """A GSP group on the drawing; `shade` 0 (no homes) to 4 (the most homes)."""

    letter: str
    name: str
    x: int
    y: int
    shade: int
    homes: int
    power: str
    silent: int


@require_GET
@signed_in
def place_map(request: HttpRequest) -> HttpResponse:
    """Homes, hubs and kW by place: all GSP groups, or the places within one."""
    require_role(request.user, *DEVICE_STAFF)
    at, wall = clock.now(), clock.wall_now()
    level = request.GET.get("level", places.GSP_GROUP)
    level = level if level in LEVELS else places.GSP_GROUP
    group = request.GET.get("gsp_group", "").upper()
    group = group if group in GSP_NAMES else ""
    willing = members.queries.consenting_stays(Purpose.FLEXIBILITY, at).values("occupancy")
    groups = places.places(places.GSP_GROUP, wall=wall, willing=willing)
    shown = (
        groups
        if level == places.GSP_GROUP
        else places.places(level, wall=wall, willing=willing, gsp_group=group)
    )
    if level == places.GSP_GROUP and group:
        shown = [each for each in groups if each.name == group]
    most_w = max((each.controllable_w for each in shown), default=0)
    context = {
        "tiles": tiles(groups),
        "view_box": f"0 0 {4 * (WIDTH + GAP)} {7 * (HEIGHT + GAP)}",
        "tile_width": WIDTH,
        "tile_height": HEIGHT,
        "level": level,
        "level_name": LEVELS[level],
        "levels": [{"code": code, "name": name} for code, name in LEVELS.items()],
        "group": group,
        "group_name": GSP_NAMES.get(group, ""),
        "rows": [_row(each, level, group, most_w) for each in shown],
        "total_homes": sum(each.homes for each in shown),
        "total_hubs": sum(each.hubs for each in shown),
        "total_silent": sum(each.silent for each in shown),
        "total_faulty": sum(each.faulty for each in shown),
        "total_power": wording.kw(sum(each.controllable_w for each in shown)),
    }
    return render(request, "assets/place_map.html", context)


def tiles(groups: list[Place]) -> list[Tile]:
    """A tile for every GSP group, shaded by its homes against those of the group with the most."""
    known = {each.name: each for each in groups}
    most = max((each.homes for each in groups), default=0)
    found = []
    for letter, (column, row) in TILES.items():
        place = known.get(letter, Place(letter, 0, 0, 0, 0, 0))
        shade = -(-SHADES * place.homes // most) if most else 0
        found.append(
            Tile(
                letter=letter,
                name=GSP_NAMES[letter],
                x=column * (WIDTH + GAP),
                y=row * (HEIGHT + GAP),
                shade=shade,
                homes=place.homes,
                power=wording.power(place.controllable_w),
                silent=place.silent,
            )
        )
    return found


def _row(place: Place, level: str, group: str, most_w: int) -> dict[str, Any]:
    criteria = Criteria(
        gsp_group=place.name if level == places.GSP_GROUP else group,
        substation=place.name if level == places.SUBSTATION else "",
        cmz=place.name if level == places.CMZ else "",
        area=place.name if level == places.AREA else "",
    )
    name = place.name or _("not on record")
    if level == places.GSP_GROUP:
        name = f"{place.name} – {GSP_NAMES.get(place.name, '')}"
    return {
        "name": name,
        "is_known": bool(place.name),
        "place": place,
        "query": query_of(criteria),
        "power": wording.kw(place.controllable_w),
        "bar": BAR * place.controllable_w // most_w if most_w else 0,
    }
