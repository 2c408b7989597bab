"""Ramps: how fast other campaigns change a substation's load, and the portfolio's, while one begins or ends,
so that all together keep to what the rules allow, and not each for itself.

A campaign's load goes and comes back spread over its stagger after its start and its end. Where two such
stretches of time meet, what each changes in a minute adds up, whichever way it goes: whether hubs come to the
to the same second is not known beforehand. Only where one goes on as another of its direction ends nothing
adds up: one gives back what the other takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Q, Sum

from campaigns import displacing, rules
from campaigns.models import MOST_SPREAD_SECONDS, Campaign, CampaignRule, Participation

A_MINUTE: Final = 60
RUNNING: Final = (Campaign.State.APPROVED, Campaign.State.DISPATCHED)
RAMP_LOCK: Final = 0x0D5_8A39
"""An advisory lock: what changes load is judged one after the other."""


def hold() -> None:
    """Wait for whoever judges a ramp, and let nobody else until this transaction ends.

    The first lock that approving and dispatching take, and an operator's start before it holds tables still:
    who has it may wait for campaigns and participations, whose holders never wait for it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [RAMP_LOCK])


class Share(NamedTuple):
    """What another campaign changes at that time: `watts` over `spread_seconds` of homes at one substation,
    "" where none is known.
    """

    campaign_id: UUID
    name: str
    substation: str
    watts: int
    spread_seconds: int


@dataclass(frozen=True, slots=True)
class Used:
    """What other campaigns change while one changes load."""

    shares: Sequence[Share] = ()

    def by_substation(self) -> dict[str, int]:
        """W a minute at each substation that is known; each campaign's rounded up."""
        return {name: self.at(name) for name in {share.substation for share in self.shares} - {""}}

    def at(self, substation: str) -> int:
        """W a minute at the substation."""
        return _w_per_minute(share for share in self.shares if share.substation == substation)

    def together(self) -> int:
        """W a minute of the whole portfolio; each campaign's rounded up."""
        return _w_per_minute(self.shares)

    def names(self, substation: str | None = None) -> list[str]:
        """The campaigns that share a substation, or the portfolio, the most first."""
        watts: Counter[tuple[UUID, str]] = Counter()
        for share in self.shares:
            if substation is None or share.substation == substation:
                watts[share.campaign_id, share.name] += share.watts
        return [name for (_, name), _ in watts.most_common()]


@dataclass(frozen=True, slots=True)
class Room:
    """What the rules leave a campaign to change beside others. What all may change together (`is_capped`)
    holds back no direct load control: there the substations' cap holds alone.
    """

    rule: CampaignRule
    stagger_seconds: int
    used: Used
    is_capped: bool

    def at(self, substation: str) -> int:
        """W that the campaign may change at a substation."""
        return rules.feeder_cap_w(
            self.rule,
            stagger_seconds=self.stagger_seconds,
            used_w_per_minute=self.used.at(substation),
        )

    def together(self) -> int | None:
        """W that the campaign may change in all; None: as many as it likes."""
        if not self.is_capped:
            return None
        return rules.portfolio_cap_w(
            self.rule, stagger_seconds=self.stagger_seconds, used_w_per_minute=self.used.together()
        )

    def beyond(self, asked: Iterable[tuple[UUID, str, int]]) -> set[UUID]:
        """Of (id, substation, W), taken in order, those that find no room any more."""
        left: dict[str, int] = {}
        left_together = self.together()
        beyond = set()
        for each, substation, watts in asked:
            if substation and substation not in left:
                left[substation] = self.at(substation)
            here = left.get(substation, watts)
            if watts > here or (left_together is not None and watts > left_together):
                beyond.add(each)
                continue
            if substation:
                left[substation] -= watts
            if left_together is not None:
                left_together -= watts
        return beyond


def room_for(campaign: Campaign, *, beside: Collection[str] = RUNNING) -> Room:
    """What the rules in force leave the campaign beside others in a state of `beside`.

    Two queries where none of them begins or ends near, one more where some do.
    """
    return Room(
        rule=rules.in_force(),
        stagger_seconds=campaign.spread_seconds,
        used=used_beside(campaign, beside),
        is_capped=displacing.gives_way(campaign),
    )


def used_beside(campaign: Campaign, beside: Collection[str] = RUNNING) -> Used:
    """What campaigns in a state of `beside` change while this one changes load."""
    furthest = timedelta(seconds=MOST_SPREAD_SECONDS)
    near = Q()
    for moment in (campaign.starts_at, campaign.ends_at):
        around = (moment - furthest, moment + furthest)
        near |= Q(starts_at__range=around) | Q(ends_at__range=around)
    others = Campaign.objects.filter(near, state__in=beside).exclude(pk=campaign.pk)
    meeting = {other.pk: other for other in others.select_related("programme") if meet(campaign, other)}
    if not meeting:
        return Used()
    rows = (
        Participation.objects.filter(campaign__in=list(meeting))
        .exclude(state=Participation.State.CANCELLED)
        .values_list("campaign_id", "occupancy__home__primary_substation")
        .annotate(watts=Sum("expected_w"))
        .order_by()
    )
    return Used(
        [
            Share(
                campaign_id, meeting[campaign_id].name, substation, watts, meeting[campaign_id].spread_seconds
            )
            for campaign_id, substation, watts in rows
        ]
    )


def _w_per_minute(shares: Iterable[Share]) -> int:
    watts: Counter[tuple[UUID, int]] = Counter()
    for share in shares:
        watts[share.campaign_id, max(A_MINUTE, share.spread_seconds)] += share.watts
    return sum(-(-total * A_MINUTE // spread) for (_, spread), total in watts.items())


def meet(one: Campaign, other: Campaign) -> bool:
    """Whether the two change load at one time."""
    return any(
        mine < its + _spread(other) and its < mine + _spread(one)
        for mine in (one.starts_at, one.ends_at)
        for its in (other.starts_at, other.ends_at)
        if not _goes_on(one, other, mine, its)
    )


def _goes_on(one: Campaign, other: Campaign, mine: datetime, its: datetime) -> bool:
    """Whether at this moment the one begins as the other ends, or the other way round, in one direction."""
    is_handed_over = (mine == one.starts_at) != (its == other.starts_at)
    return one.direction == other.direction and mine == its and is_handed_over


def _spread(campaign: Campaign) -> timedelta:
    return timedelta(seconds=max(A_MINUTE, campaign.spread_seconds))
