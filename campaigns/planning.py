"""Planning: every asset in the zone is in, with the power expected of it, or out, with the reason.

Reads places and assets, households and consents, and what meters show of like days; writes the plan's lines.
A campaign may be planned again until it is approved; the newest plan replaces the one before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Count, QuerySet

import assets.queries
import members.queries
from assets.models import Asset
from assets.queries import ZoneAsset
from campaigns import displacing, eligibility, expecting, habits, life, queries, ramping, selecting
from campaigns.choosing import Choice, Offer
from campaigns.holding_out import choose_beside, draw, turns_of
from campaigns.life import Verb
from campaigns.models import Campaign, Direction, MarketOfferAsset, MarketStretch, Participation, PlanLine
from members.models import Purpose
from metering import purposes
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import civil_date

LeftOut = PlanLine.LeftOut
FAIRNESS_WINDOW: Final = timedelta(days=28)
NEVER_ASKED: Final = habits.chance_out(asked=0, missed=0)
EXPLAINED: Final = ("", LeftOut.NOT_NEEDED)
"""Lines that the choice put in or left out; of all others the reason says it."""


@dataclass(frozen=True, slots=True)
class PlannedAsset:
    """One line of a plan: in with `expected_w`, or out with a `LeftOut` value."""

    asset_id: UUID
    asset_name: str
    kind_code: str
    home_id: UUID
    occupancy_id: UUID | None
    expected_w: int
    left_out: str

    @property
    def reason(self) -> str:
        """Why it is out, in words; empty when it is in."""
        return str(LeftOut(self.left_out).label) if self.left_out else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign would ask of whom; `shortfall_w` is what its size lacks even if everybody comes."""

    campaign_id: UUID
    size_w: int
    expected_w: int
    shortfall_w: int
    lines: tuple[PlannedAsset, ...]

    @property
    def chosen(self) -> tuple[PlannedAsset, ...]:
        """The lines that are in, best first."""
        return tuple(line for line in self.lines if not line.left_out)

    @property
    def homes(self) -> int:
        """How many homes are asked."""
        return len({line.home_id for line in self.chosen})

    @property
    def left_out_counts(self) -> dict[str, int]:
        """How many assets are out, by reason."""
        return dict(Counter(line.left_out for line in self.lines if line.left_out))


@transaction.atomic
def plan_campaign(*, campaign_id: UUID, at: datetime) -> Plan:
    """Plan the campaign from what is known at `at`, in place of any earlier plan of it."""
    campaign, _ = life.begin(campaign_id, Verb.PLAN)
    life.ensure_running(campaign, at=at)
    interval = Interval(campaign.starts_at, campaign.ends_at)
    candidates = assets.queries.assets_in_zone(campaign.zone_kind, campaign.zone)
    told = eligibility.standing({asset.home_id for asset in candidates}, interval, at=at)
    verdicts = eligibility.may_take_part(candidates, interval, direction=campaign.direction, at=at, told=told)
    reasons = {asset_id: verdict.reason for asset_id, verdict in verdicts.items()}
    others = engaged(interval, campaign)
    for asset in candidates:
        if not reasons[asset.asset_id] and asset.asset_id in others.busy:
            reasons[asset.asset_id] = LeftOut.BUSY
    able = [asset for asset in candidates if not reasons[asset.asset_id]]
    expected_w = _expected_w(able, told, others.committed_w, campaign=campaign, at=at, reasons=reasons)
    choice, held_out, chooser = _choose(expected_w, able, told, others, campaign=campaign, at=at)
    chosen = {offer.asset_id for offer in choice.chosen}
    for asset in able:
        if not reasons[asset.asset_id] and asset.asset_id not in chosen:
            is_held_out = told.occupancy_by_home[asset.home_id] in held_out
            reasons[asset.asset_id] = LeftOut.HELD_OUT if is_held_out else LeftOut.NOT_NEEDED
    plan = _plan(campaign, candidates, told, reasons, expected_w, choice)
    _write(campaign, plan, chooser, at=at)
    return plan


def plan_of(campaign: Campaign) -> Plan:
    """The campaign's stored plan, as `plan_campaign` returned it, with what approval has changed since."""
    rows = campaign.plan_lines.select_related("asset__hub").order_by("left_out", "-expected_w", "asset_id")
    lines = tuple(
        PlannedAsset(
            asset_id=row.asset_id,
            asset_name=row.asset.name,
            kind_code=row.asset.kind_id,
            home_id=row.asset.hub.home_id,
            occupancy_id=row.occupancy_id,
            expected_w=row.expected_w,
            left_out=row.left_out,
        )
        for row in rows
    )
    expected_w = sum(line.expected_w for line in lines)
    return Plan(
        campaign_id=campaign.pk,
        size_w=campaign.size_w,
        expected_w=expected_w,
        shortfall_w=max(0, campaign.size_w - expected_w),
        lines=lines,
    )


def movable_w(asset: ZoneAsset, *, is_turn_down: bool, least_pct: int) -> int:
    """What the asset can move at most: of what it is good for, what its household does not keep."""
    if not is_turn_down:
        return asset.flexible_w
    return min(asset.flexible_w, asset.rated_w - asset.rated_w * least_pct // 100)


@dataclass(frozen=True, slots=True)
class Engaged:
    """Assets that another campaign holds, those of them that would give way, and the power each occupancy has
    promised where it does not. `own` are those held for the offer that the campaign serves: they come first.
    """

    busy: frozenset[UUID]
    giving_way: frozenset[UUID]
    committed_w: Mapping[UUID, int]
    own: frozenset[UUID] = frozenset()

    def is_second(self, asset_id: UUID) -> bool:
        """Whether others are to be asked before it: it would be taken from somebody, or was not offered."""
        return asset_id in self.giving_way or bool(self.own and asset_id not in self.own)


def engaged(interval: Interval, campaign: Campaign) -> Engaged:
    """What other campaigns hold in the interval; direct load control takes what the others hold."""
    comes_first = not displacing.gives_way(campaign)
    rows = displacing.held(interval, but=campaign).values_list(
        "asset_id", "occupancy_id", "expected_w", "campaign__programme__use_case"
    )
    busy: set[UUID] = set()
    giving_way: set[UUID] = set()
    committed_w: dict[UUID, int] = defaultdict(int)
    for asset_id, occupancy_id, expected_w, use_case in rows:
        if comes_first and use_case != displacing.FIRST:
            giving_way.add(asset_id)
        else:
            busy.add(asset_id)
            committed_w[occupancy_id] += expected_w
    busy.update(_compared_with(interval, campaign))
    own: set[UUID] = set()
    if not comes_first:
        promised, own = _promised(interval, campaign)
        busy.update(promised)
    return Engaged(frozenset(busy), frozenset(giving_way - busy), committed_w, frozenset(own))


def asked_lately(campaign: Campaign, *, at: datetime) -> dict[UUID, int]:
    """In how many campaigns of the last weeks, up to this one, each occupancy was asked."""
    return dict(
        Participation.objects.filter(starts_at__gt=at - FAIRNESS_WINDOW, starts_at__lt=campaign.ends_at)
        .exclude(state=Participation.State.CANCELLED)
        .values_list("occupancy_id")
        .annotate(Count("campaign", distinct=True))
    )


def _promised(interval: Interval, campaign: Campaign) -> tuple[set[UUID], set[UUID]]:
    """Assets held in the interval for offers to a market, and those for the offer the campaign serves."""
    held = MarketOfferAsset.objects.filter(
        is_held=True, starts_at__lt=interval.ends_at, ends_at__gt=interval.starts_at
    )
    rows = list(held.values_list("asset_id", "offer_id"))
    stretch = MarketStretch.objects.filter(campaign=campaign.pk).values_list("order__offer_id", flat=True)
    own_offer = stretch.first()
    own = {asset_id for asset_id, offer_id in rows if offer_id == own_offer}
    return {asset_id for asset_id, offer_id in rows if offer_id != own_offer}, own


def _compared_with(interval: Interval, campaign: Campaign) -> QuerySet[PlanLine, UUID]:
    """Assets of homes that another campaign holds out in the interval: asking them would spoil it."""
    lines = PlanLine.objects.filter(
        left_out=LeftOut.HELD_OUT,
        campaign__state__in=queries.IN_FORCE,
        campaign__starts_at__lt=interval.ends_at,
        campaign__ends_at__gt=interval.starts_at,
    )
    return lines.exclude(campaign=campaign).values_list("asset_id", flat=True)


def _expected_w(
    able: Sequence[ZoneAsset],
    told: eligibility.Standing,
    committed_w: Mapping[UUID, int],
    *,
    campaign: Campaign,
    at: datetime,
    reasons: dict[UUID, str],
) -> dict[UUID, int]:
    """Expected power by asset; assets of homes with too little data or use get their reason instead."""
    by_home: dict[UUID, list[ZoneAsset]] = defaultdict(list)
    for asset in able:
        by_home[asset.home_id].append(asset)
    usual_w = _usual_use_w({told.occupancy_by_home[home_id] for home_id in by_home}, campaign=campaign, at=at)
    expected_w: dict[UUID, int] = {}
    is_turn_down = campaign.direction == Direction.TURN_DOWN
    for home_id, group in by_home.items():
        occupancy_id = told.occupancy_by_home[home_id]
        if occupancy_id not in usual_w:
            reasons.update(dict.fromkeys((asset.asset_id for asset in group), LeftOut.NO_METER_DATA))
            continue
        limit_w = expecting.home_limit_w(
            usual_w=usual_w[occupancy_id],
            is_turn_down=is_turn_down,
            committed_w=committed_w.get(occupancy_id, 0),
        )
        group.sort(key=lambda asset: asset.asset_id)
        least_pct = told.limits_at(home_id).least_pct
        movable = [movable_w(asset, is_turn_down=is_turn_down, least_pct=least_pct) for asset in group]
        shares = expecting.share_limit_w(movable, limit_w)
        for asset, share_w in zip(group, shares, strict=True):
            if share_w:
                expected_w[asset.asset_id] = share_w
            else:
                reasons[asset.asset_id] = LeftOut.TOO_LITTLE_USE
    return expected_w


def _usual_use_w(occupancy_ids: Collection[UUID], *, campaign: Campaign, at: datetime) -> dict[UUID, int]:
    """Mean use on recent like days at that time of day; occupancies with too few readings are absent."""
    days = expecting.like_days(civil_date(campaign.starts_at), before=civil_date(at))
    stream_by_occupancy = members.queries.streams_of(occupancy_ids, at)
    occupancies = sorted(stream_by_occupancy)
    if not occupancies or not days:
        return {}
    cube = purposes.day_cube(
        Purpose.SETTLEMENT,
        [stream_by_occupancy[each] for each in occupancies],
        days,
        reader="campaigns.planning",
        known_at=at,
    )
    events = queries.event_days(occupancies)
    is_event_day = np.array(
        [[day in events.get(each, ()) for day in days] for each in occupancies], dtype=bool
    )
    slots = expecting.day_slots(Interval(campaign.starts_at, campaign.ends_at), days)
    usual_w, has_enough = expecting.usual_use_w(cube.net_wh, cube.present, slots, is_event_day)
    return {
        occupancy_id: int(use_w)
        for occupancy_id, use_w, is_enough in zip(occupancies, usual_w, has_enough, strict=True)
        if is_enough
    }


def _choose(
    expected_w: Mapping[UUID, int],
    able: Sequence[ZoneAsset],
    told: eligibility.Standing,
    others: Engaged,
    *,
    campaign: Campaign,
    at: datetime,
) -> tuple[Choice, frozenset[UUID], Chooser]:
    """The assets asked, the occupancies held out beside them, and the chooser, which says why of each."""
    recent = asked_lately(campaign, at=at)
    willing = [asset for asset in able if asset.asset_id in expected_w]
    home_of = {asset.asset_id: told.occupancy_by_home[asset.home_id] for asset in willing}
    chances = habits.chances_of(set(home_of.values()), at=at)
    substations = members.queries.substations_of({asset.home_id for asset in willing})
    chooser = Chooser(
        {
            asset.asset_id: selecting.Offer(
                asset_id=asset.asset_id,
                expected_w=expected_w[asset.asset_id],
                chance_out=chances.get(home_of[asset.asset_id], NEVER_ASKED),
                asked_lately=recent.get(home_of[asset.asset_id], 0),
                substation=substations.get(asset.home_id, ""),
                is_held=others.is_second(asset.asset_id),
            )
            for asset in willing
        },
        ramping.room_for(campaign),
    )
    choice, held_out = choose_beside(
        (
            Offer(
                asset_id=asset_id,
                expected_w=expected_w[asset_id],
                recent_participations=recent.get(occupancy_id, 0),
            )
            for asset_id, occupancy_id in home_of.items()
        ),
        campaign.size_w,
        home_of=home_of,
        draw=partial(
            draw,
            share_pct=campaign.hold_out_pct,
            seed=str(campaign.pk),
            turns_since=queries.turns_since_held_out(campaign, at_most=turns_of(campaign.hold_out_pct)),
        ),
        choose=chooser.choose,
    )
    return choice, held_out, chooser


class Chooser:
    """The portfolio choice by the rules in force, remembering why each asset was last in or out."""

    def __init__(self, offers: Mapping[UUID, selecting.Offer], room: ramping.Room) -> None:
        self.offers, self.room, self.rule = offers, room, room.rule
        self.why: dict[UUID, str] = {}
        self.sure_w = 0

    def choose(self, offers: Iterable[Offer], needed_w: int) -> Choice:
        """Those that reach `needed_w` with the chance wanted; the shortfall is of what is sure."""
        some = sorted((offer for offer in offers if offer.expected_w > 0), key=lambda offer: offer.asset_id)
        if not some or needed_w <= 0:
            return Choice(chosen=(), expected_w=0, shortfall_w=max(0, needed_w))
        made = selecting.select(
            [self.offers[offer.asset_id] for offer in some],
            size_w=needed_w,
            rule=self.rule,
            stagger_seconds=self.room.stagger_seconds,
            used_w_per_minute=self.room.used.by_substation(),
            portfolio_cap_w=self.room.together(),
        )
        self.why.update((offer.asset_id, made.why(number)) for number, offer in enumerate(some))
        self.sure_w = made.sure_w
        chosen = tuple(some[number] for number in made.chosen)
        return Choice(
            chosen=chosen,
            expected_w=sum(offer.expected_w for offer in chosen),
            shortfall_w=made.shortfall_w,
        )


def _plan(
    campaign: Campaign,
    candidates: Sequence[ZoneAsset],
    told: eligibility.Standing,
    reasons: Mapping[UUID, str],
    expected_w: Mapping[UUID, int],
    choice: Choice,
) -> Plan:
    place = {offer.asset_id: index for index, offer in enumerate(choice.chosen)}
    lines = [
        PlannedAsset(
            asset_id=asset.asset_id,
            asset_name=asset.name,
            kind_code=asset.kind_code,
            home_id=asset.home_id,
            occupancy_id=told.occupancy_by_home.get(asset.home_id),
            expected_w=0 if reasons[asset.asset_id] else expected_w[asset.asset_id],
            left_out=str(reasons[asset.asset_id]),
        )
        for asset in candidates
        if asset.asset_state != Asset.State.RETIRED
    ]
    lines.sort(key=lambda line: (line.left_out, place.get(line.asset_id, 0), line.asset_id))
    return Plan(
        campaign_id=campaign.pk,
        size_w=campaign.size_w,
        expected_w=choice.expected_w,
        shortfall_w=max(0, campaign.size_w - choice.expected_w),
        lines=tuple(lines),
    )


def _write(campaign: Campaign, plan: Plan, chooser: Chooser, *, at: datetime) -> None:
    if campaign.first_approved_at is not None:  # another plan is another decision
        campaign.first_approved_by = campaign.first_approved_at = None
        campaign.save(update_fields=["first_approved_by", "first_approved_at"])
    campaign.plan_lines.all().delete()
    PlanLine.objects.bulk_create(
        PlanLine(
            campaign=campaign,
            asset_id=line.asset_id,
            occupancy_id=line.occupancy_id,
            expected_w=line.expected_w,
            left_out=line.left_out,
            why=chooser.why.get(line.asset_id, "") if line.left_out in EXPLAINED else "",
        )
        for line in plan.lines
    )
    life.finish(
        campaign,
        Verb.PLAN,
        at=at,
        by=None,
        detail={
            "expected_w": plan.expected_w,
            "shortfall_w": plan.shortfall_w,
            "sure_w": chooser.sure_w,
            "chance_pct": chooser.rule.chance_pct,
            "chosen": len(plan.chosen),
            "left_out": plan.left_out_counts,
            "hold_out_pct": campaign.hold_out_pct,
            "seed": str(campaign.pk),
        },
    )
