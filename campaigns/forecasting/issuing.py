"""A forecast every six hours for every zone, kind and direction, kept; and what was there, when it is over.

What was there is looked up a day after the last half-hour, when readings have come, and never again. The fan
learns from how far the past weeks' sums of the same zone, kind and direction lay off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models.functions import Coalesce

from campaigns.forecast_models import HALF_HOURS, QUANTILES
from campaigns.forecasting import fans, gathering
from campaigns.forecasting.fans import UNKNOWN, Bools, Floats, Ints, Misses, Score
from campaigns.forecasting.gathering import Gathered
from campaigns.forecasting.likelihood import There
from campaigns.models import Direction, FlexibilityForecast
from opendsr.kernel.interval import HALF_HOUR

EVERY: Final = timedelta(hours=6)
READINGS_COME: Final = timedelta(hours=24)
KEEP: Final = timedelta(days=90)
LEARN_FROM: Final = timedelta(days=28)
LEAST_KNOWN: Final = 0.8
"""Of the power of assets that may take part, so much has to be known of a half-hour to stand for all."""
BEFORE: Final = 96
SHOWN: Final = 96
A_DAY: Final = 48
ALL_KINDS: Final = ""
Key = tuple[str, str, str, str]
"""Zone kind, zone, kind and direction."""


@dataclass(frozen=True, slots=True)
class Group:
    """The assets of one zone and kind [asset]."""

    zone_kind: str
    zone: str
    kind: str
    is_in: Bools


def is_due(*, at: datetime) -> bool:
    """Whether the newest forecast is six hours old."""
    newest = FlexibilityForecast.objects.order_by("-issued_at").values_list("issued_at", flat=True).first()
    return newest is None or newest + EVERY <= at


@transaction.atomic
def issue(*, at: datetime) -> int:
    """Work out and keep what every zone could turn up and down from the next half-hour on; how many rows."""
    starts_at = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0) + HALF_HOUR
    gathered = gathering.gather([starts_at + n * HALF_HOUR for n in range(HALF_HOURS)], at=at)
    if not gathered.assets:
        return 0
    groups = list(_groups(gathered))
    will_be = gathering.to_come(gathered, at=at)
    before = _sums_before(starts_at, groups, gathered, at=at)
    learnt = _learnt(at=at)
    rows = []
    is_in = np.array([group.is_in for group in groups])
    for direction, there in will_be.items():
        able_w = np.where(there.chance > 0, there.power_w, 0)
        most_w = np.floor(is_in.astype(np.float64) @ able_w + 1e-6).astype(np.int64)
        there_w = fans.fans_of(there.power_w, there.chance, is_in)
        asked_w = fans.fans_of(there.power_w, there.chance * gathered.chance_comes[:, None], is_in)
        for number, group in enumerate(groups):
            key = (group.zone_kind, group.zone, group.kind, direction)
            misses = learnt.get(key, Misses())
            rows.append(
                FlexibilityForecast(
                    issued_at=at,
                    starts_at=starts_at,
                    zone_kind=group.zone_kind,
                    zone=group.zone,
                    kind=group.kind,
                    direction=direction,
                    assets=int(gathered.may[direction][group.is_in].any(axis=1).sum()),
                    most_w=most_w[number].tolist(),
                    there_w=fans.moved(there_w[number], misses, most_w[number]).ravel().tolist(),
                    asked_w=fans.moved(asked_w[number], misses, most_w[number]).ravel().tolist(),
                    summed_w=there_w[number].ravel().tolist(),
                    before_w=_persistence(before[direction][number]).tolist(),
                )
            )
    FlexibilityForecast.objects.bulk_create(rows, batch_size=500)
    FlexibilityForecast.objects.filter(issued_at__lt=at - KEEP).delete()
    return len(rows)


@dataclass(frozen=True, slots=True)
class OfAsset:
    """One asset by half-hour: W moved when it is there, the chance that it is, and that its home comes."""

    starts: tuple[datetime, ...]
    power_w: Floats
    chance_there: Floats
    chance_comes: float


def of_asset(asset_id: UUID, *, home_id: UUID, direction: str, at: datetime) -> OfAsset | None:
    """What one asset could turn up or down in the next two days; None where nobody lives in its home."""
    starts_at = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0) + HALF_HOUR
    starts = [starts_at + number * HALF_HOUR for number in range(SHOWN)]
    gathered = gathering.gather(starts, at=at, home_id=home_id)
    row = next((n for n, each in enumerate(gathered.assets) if each.asset_id == asset_id), None)
    if row is None:
        return None
    there = gathering.to_come(gathered, at=at)[direction]
    return OfAsset(tuple(starts), there.power_w[row], there.chance[row], float(gathered.chance_comes[row]))


def compare(*, at: datetime) -> int:
    """Look up what was there for one issue that is over and has its readings; how many rows it has."""
    over = at - HALF_HOURS * HALF_HOUR - READINGS_COME
    waiting = FlexibilityForecast.objects.filter(was_w=None, starts_at__lte=over).order_by("issued_at")
    issued = waiting.values_list("issued_at", "starts_at").first()
    return 0 if issued is None else _compare(*issued, at=at)


def score_of(rows: Sequence[FlexibilityForecast]) -> Score:
    """How good forecasts were whose half-hours are over, all of them together."""
    known = [row for row in rows if row.was_w is not None]
    if not known:
        return Score(0, None, None, None)
    fan = np.concatenate([fan_of(row.there_w) for row in known], axis=1)
    was = np.concatenate([np.array(row.was_w) for row in known])
    before = np.concatenate([np.array(row.before_w) for row in known])
    return fans.score(fan, was, before)


def fan_of(kept: Sequence[int]) -> Ints:
    """A stored fan as [3, half-hour]."""
    return np.array(kept, np.int64).reshape(QUANTILES, HALF_HOURS)


@transaction.atomic
def _compare(issued_at: datetime, starts_at: datetime, *, at: datetime) -> int:
    gathered = gathering.gather([starts_at + n * HALF_HOUR for n in range(HALF_HOURS)], at=issued_at)
    was = gathering.was_there(gathered, at=at)
    place = {(group.zone_kind, group.zone, group.kind): group for group in _groups(gathered)}
    rows = list(FlexibilityForecast.objects.select_for_update().filter(issued_at=issued_at).order_by("pk"))
    for row in rows:
        group = place.get((row.zone_kind, row.zone, row.kind))
        direction = row.direction
        found = (
            np.zeros(HALF_HOURS, np.int64)
            if group is None
            else _sum(was[direction], gathered.may[direction], gathered.things.rated_w, group.is_in)
        )
        row.was_w = found.tolist()
    FlexibilityForecast.objects.bulk_update(rows, ["was_w"], batch_size=500)
    return len(rows)


def _groups(gathered: Gathered) -> Iterator[Group]:
    """Every zone with all its assets, and with those of each kind in it."""
    kinds = np.array(gathered.things.kind)
    for (zone_kind, zone), is_in in gathering.zones_of(gathered).items():
        yield Group(zone_kind, zone, ALL_KINDS, is_in)
        for kind in sorted(set(kinds[is_in].tolist())):
            yield Group(zone_kind, zone, kind, is_in & (kinds == kind))


def _sum(was: There, may: Bools, rated_w: Floats, is_in: Bools) -> Ints:
    """What a group had [half-hour]; UNKNOWN where too little of its power is known."""
    known = ~np.isnan(was.chance[is_in])
    weight = np.where(may[is_in], rated_w[is_in, None], 0)
    total, told = weight.sum(axis=0), (weight * known).sum(axis=0)
    had_w = was.power_w[is_in].sum(axis=0)
    share = np.divide(told, total, out=np.ones_like(told), where=total > 0)
    whole_w = np.rint(had_w / np.where(share > 0, share, 1)).astype(np.int64)
    return np.where(share >= LEAST_KNOWN, whole_w, UNKNOWN)


def _sums_before(
    starts_at: datetime, groups: Sequence[Group], gathered: Gathered, *, at: datetime
) -> dict[str, Ints]:
    """What each group had in each half-hour of the two days before [group, half-hour], as far as known."""
    starts = [starts_at - (BEFORE - n) * HALF_HOUR for n in range(BEFORE)]
    past = gathering.gather(starts, at=starts[0])
    was = gathering.was_there(past, at=at)
    of_now = {each.asset_id: number for number, each in enumerate(gathered.assets)}
    column = np.array([of_now.get(each.asset_id, -1) for each in past.assets], np.int64)
    found = {}
    for direction in Direction.values:
        sums = np.full((len(groups), BEFORE), UNKNOWN, np.int64)
        for number, group in enumerate(groups):
            is_in = (column >= 0) & np.append(group.is_in, False)[column]
            if is_in.any():
                sums[number] = _sum(was[direction], past.may[direction], past.things.rated_w, is_in)
        found[direction] = sums
    return found


def _persistence(past: Ints) -> Ints:
    """The same half-hour of the latest day of which it is known [HALF_HOURS]; UNKNOWN where of neither."""
    older, newer = past[:A_DAY], past[A_DAY:]
    day = np.where(newer != UNKNOWN, newer, older)
    return np.resize(day, HALF_HOURS)


def _learnt(*, at: datetime) -> dict[Key, Misses]:
    """What the past weeks' sums teach, by zone, kind and direction; days are counted in UTC."""
    rows = FlexibilityForecast.objects.filter(issued_at__gt=at - LEARN_FROM).exclude(was_w=None)
    past: dict[Key, list[tuple[Ints, Ints, int, Ints]]] = {}
    # A row kept before sums were has only what was moved.
    summed = Coalesce("summed_w", "there_w")
    columns = ("zone_kind", "zone", "kind", "direction", "starts_at", summed, "was_w", "most_w")
    for *key, starts_at, summed_w, was_w, most_w in rows.order_by("issued_at").values_list(*columns):
        zone_kind, zone, kind, direction = key
        day = (int(starts_at.timestamp()) // HALF_HOUR.seconds + np.arange(HALF_HOURS)) // A_DAY
        told = (fan_of(summed_w), np.array(was_w, np.int64), max(most_w), day)
        past.setdefault((zone_kind, zone, kind, direction), []).append(told)
    return {
        key: fans.misses_of(
            np.concatenate([fan for fan, *_ in told], axis=1),
            np.concatenate([was for _, was, *_ in told]),
            max(most for *_, most, _ in told),
            np.concatenate([day for *_, day in told]),
        )
        for key, told in past.items()
    }
