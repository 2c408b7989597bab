"""`[[assets.heaters]]` and `[assets.house]` of the config: the heaters of a group, and their house."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any, Final

from hems.config_fields import hours, number, only, table, tables, text, texts, whole
from hems.drivers.storage_group import GroupSettings, HeaterSettings
from hems.errors import BadHome
from hems.home import RATED_W, STORAGE_HEATER
from hems.house import Comfort, House

HEATER_FIELDS: Final = ("name", "core_wh", "room_topic", "rated_w")
CORE_HOURS: Final = 7
"""A heater that does not say stores what it can take in a night."""
_HOUSE: Final = (
    "room_topics",
    "outdoor_topic",
    "charge_hours",
    "comfort_hours",
    "wanted_c",
    "least_c",
    "most_c",
    "loss_w_per_k",
    "capacity_wh_per_k",
    "release_hours",
)


def group_in(entry: Mapping[str, Any], where: str) -> GroupSettings:
    """Return the group an asset describes; raises BadHome saying where it is wrong."""
    heaters = []
    for index, raw in enumerate(tables(entry, "heaters", where)):
        place = f"{where}.heaters[{index}]"
        rated_w = whole(raw, "rated_w", place, least=1, most=10_000, default=RATED_W[STORAGE_HEATER])
        heaters.append(
            HeaterSettings(
                name=text(raw, "name", place),
                rated_w=rated_w,
                core_wh=whole(raw, "core_wh", place, least=1, most=100_000, default=rated_w * CORE_HOURS),
                room_topic=text(raw, "room_topic", place) if "room_topic" in raw else "",
            )
        )
    names = [heater.name for heater in heaters]
    if len(set(names)) != len(names):
        raise BadHome(f"{where}.heaters: a name is given twice")
    place, house = f"{where}.house", table(entry, "house", where)
    only(house, _HOUSE, place)
    usual = House(core_wh=0, rated_w=0)
    group = GroupSettings(
        heaters=tuple(heaters),
        house=House(
            core_wh=sum(heater.core_wh for heater in heaters),
            rated_w=sum(heater.rated_w for heater in heaters),
            loss_w_per_k=number(
                house, "loss_w_per_k", place, least=10, most=2_000, default=usual.loss_w_per_k
            ),
            capacity_wh_per_k=number(
                house, "capacity_wh_per_k", place, least=200, most=100_000, default=usual.capacity_wh_per_k
            ),
            release_hours=number(
                house, "release_hours", place, least=2, most=72, default=usual.release_hours
            ),
        ),
        comfort=comfort_in(house, place, usual=Comfort()),
        charge_hours=hours(house, "charge_hours", place, default=((time(0, 30), time(7, 30)),)),
        room_topics=texts(house, "room_topics", place),
        outdoor_topic=text(house, "outdoor_topic", place) if "outdoor_topic" in house else "",
    )
    if not group.room_topics and not any(heater.room_topic for heater in heaters):
        raise BadHome(f"{where}: storage heaters need a thermometer: room_topic of a heater, or room_topics")
    return group


def comfort_in(entry: Mapping[str, Any], where: str, *, usual: Comfort) -> Comfort:
    """Return what the household wants to feel; what is not said is as `usual`. Raises BadHome."""
    comfort = Comfort(
        wanted_c=number(entry, "wanted_c", where, least=5, most=30, default=usual.wanted_c),
        least_c=number(entry, "least_c", where, least=5, most=30, default=usual.least_c),
        most_c=number(entry, "most_c", where, least=10, most=35, default=usual.most_c),
        hours=hours(entry, "comfort_hours", where, default=usual.hours),
    )
    if not comfort.least_c <= comfort.wanted_c < comfort.most_c:
        raise BadHome(f"{where}: least_c, wanted_c and most_c go up in this order")
    return comfort
