"""Reads for a stretch of half-hours which assets may take part when, and what they have to give.

A half-hour is asked about by itself, as if it were all of a campaign (`eligibility.py`); what a campaign or
an offer holds already is not there to be had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db.models import QuerySet

import assets.queries
import members.queries
from assets.models import Asset
from assets.queries import ZoneAsset
from campaigns import eligibility, habits, vtn_door
from campaigns.eligibility import Standing
from campaigns.forecasting import likelihood
from campaigns.forecasting.fans import Bools, Floats, Ints
from campaigns.forecasting.likelihood import Axis, History, Now, There, Things
from campaigns.models import Direction, HomeHabit, MarketOfferAsset, Participation
from campaigns.vtn_door import VenId
from members import caring
from members.care import Care
from members.models import Home, Purpose
from metering import asset_shapes, purposes
from opendsr.kernel.interval import HALF_HOUR, Interval
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date, day_interval

LOOK_BACK: Final = timedelta(days=28)
FRESH: Final = timedelta(hours=2)
"""What a device said within so long is how it is now."""
EVERYWHERE: Final = ("everywhere", "")


@dataclass(frozen=True, slots=True)
class Gathered:
    """The assets in use with a household, and by direction when each may take part [asset, half-hour].

    `chance_comes` [asset] is that its home neither says no nor is silent when asked.
    """

    axis: Axis
    assets: Sequence[ZoneAsset]
    stays: Sequence[UUID]
    things: Things
    may: dict[str, Bools]
    chance_comes: Floats

    @property
    def interval(self) -> Interval:
        return Interval(self.axis.starts[0], self.axis.starts[-1] + HALF_HOUR)


def gather(starts: Sequence[datetime], *, at: datetime, home_id: UUID | None = None) -> Gathered:
    """Who may take part in each half-hour, as far as is known now, for whoever lived there at `at`; of one
    home alone where it is named.
    """
    axis = likelihood.axis_of(starts)
    interval = Interval(starts[0], starts[-1] + HALF_HOUR)
    if home_id is None:
        everything = assets.queries.assets_in_zone(*EVERYWHERE)
        stays = members.queries.stays_at(None, at)
    else:
        everything = assets.queries.zone_assets(Asset.objects.filter(hub__home_id=home_id))
        stays = members.queries.stays_at([home_id], at)
    lived_in = [each for each in everything if each.home_id in stays]
    homes = sorted({each.home_id for each in lived_in})
    place = {home_id: number for number, home_id in enumerate(homes)}
    kept_pct = np.zeros((len(lived_in), len(starts)))
    may = {direction: np.zeros((len(lived_in), len(starts)), np.bool_) for direction in Direction.values}
    trusted = vtn_door.vtn().trusted({VenId(each.ven_id) for each in lived_in if each.ven_id})
    is_trusted = np.array([each.ven_id in trusted for each in lived_in], np.bool_)
    care_of = caring.care_of(
        [stays[home_id][0] for home_id in homes] if len(homes) <= eligibility.FEW else None
    )
    for block in _blocks(axis):
        for numbers, told in _standings(homes, axis, block, care_of, at=at):
            one = Interval(axis.starts[numbers[0]], axis.starts[numbers[0]] + HALF_HOUR)
            for direction, mask in may.items():
                verdicts = eligibility.may_take_part(lived_in, one, direction=direction, at=at, told=told)
                answers = [verdicts[each.asset_id] for each in lived_in]
                mask[:, numbers] = (np.array([each.may for each in answers], np.bool_) & is_trusted)[:, None]
                if direction == Direction.TURN_DOWN:
                    kept_pct[:, numbers] = np.array([each.least_pct for each in answers])[:, None]
    busy = _busy(lived_in, interval, axis)
    stay_of = [stays[each.home_id][0] for each in lived_in]
    chances = habits.chances_of(set(stay_of), at=at)
    never_asked = habits.chance_out(asked=0, missed=0)
    rated_w = np.array([each.rated_w for each in lived_in], np.float64)
    # What a household keeps for itself is not there, in the half-hours in which it keeps most.
    kept_w = rated_w * kept_pct.max(axis=1, initial=0) / 100
    return Gathered(
        axis=axis,
        assets=lived_in,
        stays=stay_of,
        things=Things(
            kind=tuple(each.kind_code for each in lived_in),
            rated_w=rated_w - kept_w,
            flexible_w=np.minimum([float(each.flexible_w) for each in lived_in], rated_w - kept_w),
            home=np.array([place[each.home_id] for each in lived_in], np.int64),
        ),
        may={direction: mask & ~busy for direction, mask in may.items()},
        chance_comes=np.array([1 - chances.get(stay, never_asked) for stay in stay_of]),
    )


def to_come(gathered: Gathered, *, at: datetime) -> dict[str, There]:
    """What each asset will have to give, by direction: 0 chance where it may not take part."""
    ids = [each.asset_id for each in gathered.assets]
    shapes = asset_shapes.shapes(ids, Interval(at - LOOK_BACK, at))
    lately = asset_shapes.half_hours(ids, Interval(_floor(at) - FRESH, _floor(at) + HALF_HOUR))
    history = History(shapes.seen, shapes.drew, shapes.drawn_w, shapes.told, shapes.ready)
    now = Now(_newest(lately.drew), _newest(lately.is_ready))
    usual_w = _usual_w(gathered)
    found = {}
    for direction, may in gathered.may.items():
        is_turn_down = direction == Direction.TURN_DOWN
        there = likelihood.there(
            gathered.things, gathered.axis, history, now, usual_w, is_turn_down=is_turn_down
        )
        found[direction] = There(there.power_w, np.where(may, there.chance, 0))
    return found


def was_there(gathered: Gathered, *, at: datetime) -> dict[str, There]:
    """What each asset had to give, by direction, as known at `at`: chance 1 where that is known, else NaN.

    By its device where it spoke, else to turn down by the home's meter.
    """
    ids, things = [each.asset_id for each in gathered.assets], gathered.things
    told = asset_shapes.half_hours(ids, gathered.interval)
    used_w = _used_w(gathered, at=at)[things.home] if len(ids) else np.zeros((0, len(gathered.axis.starts)))
    together = np.zeros(int(things.home.max(initial=-1)) + 1)
    np.add.at(together, things.home, things.flexible_w)
    part = things.flexible_w / np.maximum(together[things.home], 1)
    by_meter_w = np.minimum(np.maximum(used_w, 0) * part[:, None], things.flexible_w[:, None])
    rated_w = things.rated_w[:, None]
    drawn_w = np.where(np.isnan(told.power_w), rated_w, np.clip(told.power_w, 0, rated_w))
    down_w = np.where(np.isnan(told.drew), by_meter_w, np.where(told.drew > 0, drawn_w, 0))
    up_w = np.where(told.drew > 0, 0, rated_w * told.is_ready)
    found = {}
    for direction, may in gathered.may.items():
        power_w = down_w if direction == Direction.TURN_DOWN else up_w
        known = ~np.isnan(power_w)
        found[direction] = There(
            np.where(may & known, np.nan_to_num(power_w), 0), np.where(known | ~may, 1.0, np.nan)
        )
    return found


def zones_of(gathered: Gathered) -> dict[tuple[str, str], Bools]:
    """Everywhere, each GSP group, CMZ and substation with an asset in it: which assets those are [asset]."""
    home_of = np.array([str(each.home_id) for each in gathered.assets])
    wanted: QuerySet[Home] = Home.objects.filter(pk__in=among({each.home_id for each in gathered.assets}))
    inside: dict[tuple[str, str], set[str]] = {}
    for home_id, *where in wanted.values_list("pk", "gsp_group", "cmz", "primary_substation"):
        for zone_kind, zone in zip(("gsp_group", "cmz", "substation"), where, strict=True):
            if zone:
                inside.setdefault((zone_kind, zone), set()).add(str(home_id))
    found = {EVERYWHERE: np.ones(len(home_of), np.bool_)}
    for key in sorted(inside):
        found[key] = np.isin(home_of, list(inside[key]))
    return found


def _blocks(axis: Axis) -> list[list[int]]:
    """Numbers of the half-hours of each London day."""
    days: dict[object, list[int]] = {}
    for number, start in enumerate(axis.starts):
        days.setdefault(civil_date(start), []).append(number)
    return list(days.values())


def _standings(
    homes: Sequence[UUID], axis: Axis, block: Sequence[int], care_of: Mapping[UUID, Care], *, at: datetime
) -> list[tuple[list[int], Standing]]:
    """Half-hours of a day in which the same households take part on the same terms, and those terms.

    A household's stay and consent count for a day when they hold for all of it.
    """
    whole = Interval(axis.starts[block[0]], axis.starts[block[-1]] + HALF_HOUR)
    all_day = eligibility.standing(homes, whole, at=at)
    alike: dict[object, tuple[list[int], Standing]] = {}
    for number in block:
        one = Interval(axis.starts[number], axis.starts[number] + HALF_HOUR)
        wishes = members.queries.standing_wishes(one)
        key = (frozenset(wishes.left_out), tuple(sorted(wishes.least_pct.items())))
        if key not in alike:
            told = Standing(
                occupancy_by_home=all_day.occupancy_by_home,
                without_consent=all_day.without_consent,
                opted_out=wishes.left_out,
                limits=eligibility.limits_with(wishes, care_of),
            )
            alike[key] = ([], told)
        alike[key][0].append(number)
    return list(alike.values())


def _busy(lived_in: Sequence[ZoneAsset], interval: Interval, axis: Axis) -> Bools:
    """Half-hours [asset, half-hour] in which a campaign or an offer holds the asset."""
    place = {each.asset_id: number for number, each in enumerate(lived_in)}
    busy = np.zeros((len(lived_in), len(axis.starts)), np.bool_)
    held = Participation.objects.exclude(state=Participation.State.CANCELLED)
    promised = MarketOfferAsset.objects.filter(is_held=True)
    for rows in (held, promised):
        touching = rows.filter(starts_at__lt=interval.ends_at, ends_at__gt=interval.starts_at)
        for asset_id, starts_at, ends_at in touching.values_list("asset_id", "starts_at", "ends_at"):
            if asset_id in place:
                first = max(0, (starts_at - interval.starts_at) // HALF_HOUR)
                after = -((interval.starts_at - ends_at) // HALF_HOUR)
                busy[place[asset_id], first : max(0, after)] = True
    return busy


def _usual_w(gathered: Gathered) -> Ints:
    """What each home usually uses [home, half-hour]."""
    axis = gathered.axis
    home_of = dict(zip(gathered.stays, gathered.things.home.tolist(), strict=True))
    usual = np.full((len(set(home_of.values())), len(axis.starts)), habits.UNKNOWN, np.int64)
    rows = HomeHabit.objects.filter(occupancy__in=among(home_of))
    for stay, working_w, other_w in rows.values_list("occupancy_id", "working_day_w", "other_day_w"):
        by_day = np.array([other_w, working_w])
        usual[home_of[stay]] = by_day[axis.is_working.astype(np.int64), axis.slot]
    return usual


def _used_w(gathered: Gathered, *, at: datetime) -> Floats:
    """What each home's meter told [home, half-hour], NaN where it did not; for its consent alone."""
    starts = gathered.axis.starts
    home_of = dict(zip(gathered.stays, gathered.things.home.tolist(), strict=True))
    used = np.full((len(set(home_of.values())), len(starts)), np.nan)
    stream_of = members.queries.streams_of(home_of, starts[0])
    if not stream_of:
        return used
    days = sorted({civil_date(start) for start in starts})
    stays = sorted(stream_of)
    cube = purposes.day_cube(
        Purpose.SETTLEMENT,
        [stream_of[stay] for stay in stays],
        days,
        reader="campaigns.forecasting",
        known_at=at,
    )
    begins = {day: (number, day_interval(day).starts_at) for number, day in enumerate(days)}
    rows = [home_of[stay] for stay in stays]
    for number, start in enumerate(starts):
        day, midnight = begins[civil_date(start)]
        slot = (start - midnight) // HALF_HOUR
        used[rows, number] = np.where(cube.present[:, day, slot], 2.0 * cube.net_wh[:, day, slot], np.nan)
    return used


def _newest(told: Floats) -> Floats:
    """The last value of each row that is not NaN."""
    found = np.full(len(told), np.nan)
    for column in range(told.shape[1]):
        found = np.where(np.isnan(told[:, column]), found, told[:, column])
    return found


def _floor(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
