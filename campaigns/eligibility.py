"""May this asset take part from A to B, and if not, why: one rule, for one home or for ten thousand at once.

`may_take_part` is the question. Planning asks it of a whole zone, the check before anything is sent asks it
again, and so may anybody who has to explain it. `standing` reads what the rooms below say about homes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

import members.queries
from assets.asking import CAR_KINDS
from assets.models import Asset, Hub
from assets.queries import ZoneAsset
from campaigns.models import Campaign, Direction, Participation, PlanLine
from members import caring
from members.care import Care, Limits, Need
from members.models import Purpose
from members.queries import StandingWishes
from opendsr.kernel.interval import Interval

LeftOut = PlanLine.LeftOut
INSTANT: Final = timedelta(microseconds=1)
NO_LIMITS: Final = Limits()
NO_TIME: Final = timedelta(0)
A_DAY: Final = timedelta(days=1)
COMMISSIONED: Final = Hub.State.COMMISSIONED.value
ACTIVE: Final = Asset.State.ACTIVE.value
HOLDING: Final = (Campaign.State.APPROVED, Campaign.State.DISPATCHED, Campaign.State.COMPLETED)
TAKING_PART: Final = (
    Participation.State.PLANNED,
    Participation.State.SENT,
    Participation.State.DELIVERED_TO_HUB,
    Participation.State.OPTED_IN,
)
FEW: Final = 1_000
"""Of more homes than this everybody is read: naming ten thousand costs more than reading the rest."""
SERVES: Final[Mapping[str, frozenset[Need]]] = {
    **dict.fromkeys(CAR_KINDS, frozenset({Need.CAR})),
    "immersion_heater": frozenset({Need.HOT_WATER}),
    "storage_heater": frozenset({Need.HEAT}),
    "heat_pump": frozenset({Need.HEAT, Need.HOT_WATER}),
    "battery": frozenset(),
}
"""Which needs an asset of a kind serves. A kind that is not here is taken to serve any."""
ANY: Final = frozenset({Need.CAR, Need.HOT_WATER, Need.HEAT})


@dataclass(frozen=True, slots=True)
class Standing:
    """Who lives in each home for all of the interval, and which occupancies do not consent, have opted out,
    or have limits of their own (those without any are absent). Of many homes that are asked of, all there
    are.
    """

    occupancy_by_home: Mapping[UUID, UUID]
    without_consent: AbstractSet[UUID]
    opted_out: AbstractSet[UUID]
    limits: Mapping[UUID, Limits]

    def limits_at(self, home_id: UUID) -> Limits:
        """The limits of whoever lives in the home; an empty one has none."""
        occupancy_id = self.occupancy_by_home.get(home_id)
        return NO_LIMITS if occupancy_id is None else self.limits.get(occupancy_id, NO_LIMITS)


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

    A handful of statements however many are asked. `told` spares them when it was read already. An asset that
    is asked the same way right before counts as asked all the while.
    """
    if told is None:
        told = standing([asset.home_id for asset in assets], interval, at=at)
    living = told.occupancy_by_home.get
    stays = [living(asset.home_id) for asset in assets]
    verdicts = verdicts_in_order(assets, stays, interval, direction=direction, told=told)
    return {asset.asset_id: verdict for asset, verdict in zip(assets, verdicts, strict=True)}


def verdicts_in_order(
    assets: Sequence[ZoneAsset],
    stays: Sequence[UUID | None],
    interval: Interval,
    *,
    direction: str,
    told: Standing,
) -> list[Verdict]:
    """`may_take_part` by place; `stays` are those behind the assets (None: nobody lives there)."""
    is_turn_down, duration = direction == Direction.TURN_DOWN, interval.duration
    ran = _ran_until(interval.starts_at, direction)
    verdicts: list[Verdict] = []
    limited = told.without_consent | told.opted_out | told.limits.keys()
    of_a_sort: dict[tuple[object, ...], Verdict] = {}  # of homes that ask for nothing
    for asset, occupancy_id in zip(assets, stays, strict=True):
        if ran or occupancy_id is None or occupancy_id in limited:
            lasting = duration + ran.get(asset.asset_id, NO_TIME)
            verdicts.append(_verdict(asset, occupancy_id, told, is_turn_down, lasting))
            continue
        hours = asset.turn_down_hours if is_turn_down else asset.turn_up_hours
        sort = (asset.hub_state, bool(asset.ven_id), asset.asset_state, hours)
        verdict = of_a_sort.get(sort)
        if verdict is None:
            verdict = of_a_sort[sort] = _verdict(asset, occupancy_id, told, is_turn_down, duration)
        verdicts.append(verdict)
    return verdicts


def _verdict(
    asset: ZoneAsset, occupancy_id: UUID | None, told: Standing, is_turn_down: bool, lasting: timedelta
) -> Verdict:
    limits, reason = _household_says(occupancy_id, told)
    reason = reason or _asset_reason(asset, limits, is_turn_down, lasting)
    return _kept(reason, 0 if reason else limits.least_pct)


@lru_cache(maxsize=256)
def _kept(reason: str, least_pct: int) -> Verdict:
    return Verdict(reason, least_pct)


def _ran_until(at: datetime, direction: str) -> dict[UUID, timedelta]:
    """For how long each asset was asked to go this way by campaigns that ended at this very moment."""
    lately = Campaign.objects.filter(starts_at__gte=at - A_DAY, starts_at__lt=at, ends_at=at)
    before = list(lately.filter(direction=direction, state__in=HOLDING).values_list("pk", "starts_at"))
    if not before:
        return {}
    earlier = {starts_at: _ran_until(starts_at, direction) for starts_at in {each[1] for each in before}}
    ran: dict[UUID, timedelta] = {}
    for campaign_id, starts_at in before:
        parts = Participation.objects.filter(campaign=campaign_id, state__in=TAKING_PART)
        for asset_id in parts.values_list("asset_id", flat=True):
            so_far = earlier[starts_at].get(asset_id, NO_TIME)
            ran[asset_id] = max(ran.get(asset_id, NO_TIME), so_far + (at - starts_at))
    return ran


def standing(home_ids: Iterable[UUID], interval: Interval, *, at: datetime) -> Standing:
    """Read the households, flexibility consents, standing opt-outs and limits that hold over the interval.

    A consent counts when it is live at both ends of what is still to come; a household when it stays to the
    end.
    """
    start = max(at, interval.starts_at)
    to_come = Interval(start, max(start + INSTANT, interval.ends_at))
    asked = list(home_ids)
    are_few = len(asked) <= FEW
    residing = members.queries.residing(Purpose.FLEXIBILITY, to_come, home_ids=asked if are_few else None)
    among = list(residing.occupancy_by_home.values()) if are_few else None
    wishes = members.queries.standing_wishes(to_come, among=among)
    return Standing(
        occupancy_by_home=residing.occupancy_by_home,
        without_consent=residing.without_consent,
        opted_out=wishes.left_out,
        limits=limits_with(wishes, caring.care_of(among)),
    )


def limits_of(occupancy_ids: Collection[UUID], interval: Interval, *, at: datetime) -> dict[UUID, Limits]:
    """What stays have asked for short of being left out, and what their households need; most have none."""
    if at >= interval.ends_at:
        return {}
    to_come = Interval(max(at, interval.starts_at), interval.ends_at)
    wishes = members.queries.standing_wishes(to_come, among=occupancy_ids)
    return limits_with(wishes, caring.care_of(occupancy_ids))


def limits_with(wishes: StandingWishes, care_of: Mapping[UUID, Care]) -> dict[UUID, Limits]:
    """The limits that standing wishes and households' needs make together, by stay."""
    limits: dict[UUID, Limits] = {}
    alike: dict[tuple[int, Care | None], Limits] = {}  # thousands of stays, a dozen answers
    for occupancy_id in wishes.least_pct.keys() | care_of.keys():
        asks = (wishes.least_pct.get(occupancy_id, 0), care_of.get(occupancy_id))
        if asks not in alike:
            least_pct, care = asks
            kept = Limits(least_pct=least_pct)
            alike[asks] = kept if care is None else kept.with_care(care)
        limits[occupancy_id] = alike[asks]
    return limits


def home_reason(*, home_id: UUID, hub_state: str, ven_id: str | None, told: Standing) -> str:
    """Why nothing in the home may take part, or "" when something may."""
    _, reason = _household_says(told.occupancy_by_home.get(home_id), told)
    return reason or ("" if _is_in_use(hub_state, ven_id) else LeftOut.HUB_NOT_COMMISSIONED)


def _is_in_use(hub_state: str, ven_id: str | None) -> bool:
    return hub_state == COMMISSIONED and bool(ven_id)


def _household_says(occupancy_id: UUID | None, told: Standing) -> tuple[Limits, str]:
    """The limits of whoever lives there, and why nothing of theirs may take part, or ""."""
    if occupancy_id is None:
        return NO_LIMITS, LeftOut.NO_HOUSEHOLD
    if occupancy_id in told.without_consent:
        return NO_LIMITS, LeftOut.NO_CONSENT
    if occupancy_id in told.opted_out:
        return NO_LIMITS, LeftOut.STANDING_OPT_OUT
    limits = told.limits.get(occupancy_id, NO_LIMITS)
    return limits, LeftOut.OWN_LIMITS if Need.EQUIPMENT in limits.needs else ""


def _asset_reason(asset: ZoneAsset, limits: Limits, is_turn_down: bool, duration: timedelta) -> str:
    if not _is_in_use(asset.hub_state, asset.ven_id):
        return LeftOut.HUB_NOT_COMMISSIONED
    if asset.asset_state != ACTIVE:
        return LeftOut.ASSET_FAULTY
    if duration > _hours(asset.turn_down_hours if is_turn_down else asset.turn_up_hours):
        return LeftOut.NOT_ENOUGH_DURATION
    if limits is not NO_LIMITS and not _is_within(limits, asset, is_turn_down, duration):
        return LeftOut.OWN_LIMITS
    return ""


@lru_cache(maxsize=64)
def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)


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
