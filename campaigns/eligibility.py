"""May this asset take part from A to B, and if not, why: one rule, for one home or for ten thousand at once.

`may_take_part` is the question. Planning asks it of a whole zone, the check before anything is sent asks it
again, and so may anybody who has to explain it. `standing` reads what the rooms below say about homes,
`reason_out` is the rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import members.queries
from assets.models import Asset, Hub
from assets.queries import ZoneAsset
from campaigns.models import Direction, PlanLine
from members import caring
from members.care import Limits, Need
from members.models import Purpose
from opendsr.kernel.interval import Interval

LeftOut = PlanLine.LeftOut
INSTANT: Final = timedelta(microseconds=1)
NO_LIMITS: Final = Limits()
SERVES: Final[Mapping[str, frozenset[Need]]] = {
    "ev_charger": frozenset({Need.CAR}),
    "immersion_heater": frozenset({Need.HOT_WATER}),
    "storage_heater": frozenset({Need.HEAT}),
    "heat_pump": frozenset({Need.HEAT, Need.HOT_WATER}),
    "battery": frozenset(),
}
"""Which needs an asset of a kind serves. A kind that is not here is taken to serve any."""
ANY: Final = frozenset({Need.CAR, Need.HOT_WATER, Need.HEAT})


@dataclass(frozen=True, slots=True)
class Standing:
    """Who lives in each home for all of the interval, and which occupancies consent, have opted out, or have
    limits of their own (those without any are absent).
    """

    occupancy_by_home: Mapping[UUID, UUID]
    consenting: AbstractSet[UUID]
    opted_out: AbstractSet[UUID]
    limits: Mapping[UUID, Limits] = field(default_factory=dict)

    def limits_at(self, home_id: UUID) -> Limits:
        """The limits of whoever lives in the home."""
        return self.limits.get(self.occupancy_by_home[home_id], NO_LIMITS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an asset may take part: `reason` is a `LeftOut` value, or "" when it may.

    `least_pct` is the share of its power that it keeps then.
    """

    reason: str = ""
    least_pct: int = 0

    @property
    def may(self) -> bool:
        return not self.reason

    @property
    def words(self) -> str:
        """Why not, for people; which need or wish it was, is the household's own affair."""
        return str(LeftOut(self.reason).label) if self.reason else ""


def may_take_part(
    assets: Sequence[ZoneAsset],
    interval: Interval,
    *,
    direction: str,
    at: datetime,
    told: Standing | None = None,
) -> dict[UUID, Verdict]:
    """Answer for each asset, by id: may it take part over the interval, as far as is known at `at`.

    A handful of statements however many are asked. `told` spares them when it was read already.
    """
    if told is None:
        told = standing({asset.home_id for asset in assets}, interval, at=at)
    verdicts = {}
    for asset in assets:
        reason = reason_out(asset, told=told, direction=direction, duration=interval.duration)
        least_pct = 0 if reason or not told.limits else told.limits_at(asset.home_id).least_pct
        verdicts[asset.asset_id] = Verdict(reason, least_pct)
    return verdicts


def standing(home_ids: Iterable[UUID], interval: Interval, *, at: datetime) -> Standing:
    """Read the households, flexibility consents, standing opt-outs and limits that hold over the interval.

    A consent counts when it is live at both ends of what is still to come; a household when it stays to the
    end.
    """
    start = max(at, interval.starts_at)
    end = max(start, interval.ends_at - INSTANT)
    staying = {
        home_id: occupancy_id
        for home_id, (occupancy_id, ends_at) in members.queries.stays_at(list(home_ids), start).items()
        if ends_at is None or ends_at > end
    }
    among = list(staying.values())
    consenting, consenting_to_the_end = (
        members.queries.consenting_occupancies(Purpose.FLEXIBILITY, instant, among=among)
        for instant in (start, end)
    )
    return Standing(
        occupancy_by_home=staying,
        consenting=consenting & consenting_to_the_end,
        opted_out=members.queries.standing_opt_outs(Interval(start, interval.ends_at), among=among),
        limits=limits_of(among, interval, at=at),
    )


def limits_of(occupancy_ids: Collection[UUID], interval: Interval, *, at: datetime) -> dict[UUID, Limits]:
    """What stays have asked for short of being left out, and what their households need; most have none."""
    if at >= interval.ends_at:
        return {}
    to_come = Interval(max(at, interval.starts_at), interval.ends_at)
    limits = {
        occupancy_id: Limits(least_pct=least_pct)
        for occupancy_id, least_pct in members.queries.least_power_pct(to_come, among=occupancy_ids).items()
    }
    for occupancy_id, care in caring.care_of(occupancy_ids).items():
        limits[occupancy_id] = limits.get(occupancy_id, NO_LIMITS).with_care(care)
    return limits


def home_reason(*, home_id: UUID, hub_state: str, ven_id: str | None, told: Standing) -> str:
    """Why nothing in the home may take part, or "" when something may."""
    occupancy_id = told.occupancy_by_home.get(home_id)
    if occupancy_id is None:
        return LeftOut.NO_HOUSEHOLD
    if occupancy_id not in told.consenting:
        return LeftOut.NO_CONSENT
    if occupancy_id in told.opted_out:
        return LeftOut.STANDING_OPT_OUT
    if Need.EQUIPMENT in told.limits.get(occupancy_id, NO_LIMITS).needs:
        return LeftOut.OWN_LIMITS
    if hub_state != Hub.State.COMMISSIONED or not ven_id:
        return LeftOut.HUB_NOT_COMMISSIONED
    return ""


def reason_out(asset: ZoneAsset, *, told: Standing, direction: str, duration: timedelta) -> str:
    """Why the asset may not take part in an event of this length, or "" when it may."""
    reason = home_reason(home_id=asset.home_id, hub_state=asset.hub_state, ven_id=asset.ven_id, told=told)
    if reason:
        return reason
    if asset.asset_state != Asset.State.ACTIVE:
        return LeftOut.ASSET_FAULTY
    is_turn_down = direction == Direction.TURN_DOWN
    hours = asset.turn_down_hours if is_turn_down else asset.turn_up_hours
    if duration > timedelta(hours=float(hours)):
        return LeftOut.NOT_ENOUGH_DURATION
    if told.limits and not _is_within(told.limits_at(asset.home_id), asset, is_turn_down, duration):
        return LeftOut.OWN_LIMITS
    return ""


def _is_within(limits: Limits, asset: ZoneAsset, is_turn_down: bool, duration: timedelta) -> bool:
    """True when the asset can do as asked without touching what its household keeps for itself."""
    if limits.longest_minutes is not None and duration > timedelta(minutes=limits.longest_minutes):
        return False
    if not is_turn_down:
        return True
    if limits.needs & SERVES.get(asset.kind_code, ANY):
        return False
    kept_w = asset.rated_w * limits.least_pct // 100
    return not limits.least_pct or bool(asset.step_w and kept_w >= asset.minimum_w)
