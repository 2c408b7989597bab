"""The event report: who was asked, who answered, what was expected of them and how it ended.

The measured half comes from settlement; the page that shows both is composed in `opendsr/web/`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum

from campaigns.life import CampaignNotFound
from campaigns.models import Campaign, Participation, PlanLine
from opendsr.kernel import encryption
from opendsr.kernel.interval import Interval

State = Participation.State
Outcome = Participation.Outcome
RESPONDING = frozenset({State.OPTED_IN})
TOLD_A_DRAW = Q(sent_at__isnull=False) & (
    Q(start_delay_seconds__isnull=False) | Q(end_delay_seconds__isnull=False)
)


@dataclass(frozen=True, slots=True)
class Draw:
    """How an asset's hub spread its start and end, in s; None: it told none.

    `ends_at` is None too once the asset was called off: the delay then counts from when the hub heard of it.
    `starts_at` is None too where that was before the start as drawn, so that it never began.
    """

    start_delay_seconds: int | None
    end_delay_seconds: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    is_called_off: bool


@dataclass(frozen=True, slots=True)
class AssetLine:
    """One asset's part: `outcome` is "" until known, `left_out` why it was not sent."""

    participation_id: UUID
    name: str
    kind_code: str
    expected_w: int
    state: str
    outcome: str
    left_out: str
    sent_at: datetime | None
    delivered_at: datetime | None
    responded_at: datetime | None
    draw: Draw


@dataclass(frozen=True, slots=True)
class HomeLine:
    """One household's part; `is_responding` when any of its assets took part to the end."""

    occupancy_id: UUID
    home_id: UUID
    home_name: str
    expected_w: int
    expected_wh: int
    is_responding: bool
    assets: tuple[AssetLine, ...]


@dataclass(frozen=True, slots=True)
class EventReport:
    """What a campaign asked for and what came of it, before meters are counted.

    An asset responds when its hub said yes and it was not taken out or overridden. `responding_share` is of
    the assets asked, in [0, 1]; `estimated_w` and `estimated_wh` are the expected figures of those that
    respond. `left_out` counts assets that planning or the last check kept out, by reason.
    """

    campaign_id: UUID
    name: str
    programme: str
    direction: str
    state: str
    starts_at: datetime
    ends_at: datetime
    size_w: int
    participants: int
    homes: int
    assets: int
    sent: int
    answered: int
    drawn: int
    responding: int
    responding_share: float
    planned_w: int
    estimated_w: int
    estimated_wh: int
    shortfall_w: int
    states: Mapping[str, int]
    outcomes: Mapping[str, int]
    opt_outs: int
    overrides: int
    left_out: Mapping[str, int]
    lines: tuple[HomeLine, ...]

    @property
    def left_out_reasons(self) -> list[tuple[str, int]]:
        """The left-out counts in words, most frequent first."""
        ordered = sorted(self.left_out.items(), key=lambda each: (-each[1], each[0]))
        return [(str(PlanLine.LeftOut(reason).label), count) for reason, count in ordered]


def draw_of(part: Participation) -> Draw:
    """What the asset's hub told that it drew, and the times that come of it."""
    start, end = part.start_delay_seconds, part.end_delay_seconds
    is_called_off = part.dropped_at is not None
    has_end = end is not None and not is_called_off
    starts_at = None if start is None else part.starts_at + timedelta(seconds=start)
    if starts_at and part.dropped_at and part.dropped_at <= starts_at and not end:
        starts_at = None
    return Draw(
        start_delay_seconds=start,
        end_delay_seconds=end,
        starts_at=starts_at,
        ends_at=part.ends_at + timedelta(seconds=end or 0) if has_end else None,
        is_called_off=is_called_off,
    )


def drawn_parts(campaign: Campaign) -> QuerySet[Participation]:
    """The parts whose hubs told a draw, the earliest start first: an order that says nothing of a home."""
    return campaign.participations.filter(TOLD_A_DRAW).order_by(
        F("start_delay_seconds").asc(nulls_last=True), "end_delay_seconds", "id"
    )


@encryption.remembering()
def event_report(campaign_id: UUID, *, has_lines: bool = True) -> EventReport:
    """Report on a campaign in any state; without lines it is counted by the database alone.

    Raises CampaignNotFound.
    """
    campaign = Campaign.objects.select_related("programme").filter(pk=campaign_id).first()
    if campaign is None:
        raise CampaignNotFound(campaign_id=campaign_id)
    parts = campaign.participations.order_by()
    groups: list[Any] = list(
        parts.values("state", "outcome", "left_out")
        .annotate(
            number=Count("pk"),
            sent=Count("sent_at"),
            answered=Count("responded_at"),
            drawn=Count("pk", filter=TOLD_A_DRAW),
            power_w=Sum("expected_w"),
        )
        .values_list(
            "state", "outcome", "left_out", "number", "sent", "answered", "drawn", "power_w", named=True
        )
    )
    asked = parts.exclude(state=State.CANCELLED, sent_at=None).aggregate(
        participants=Count("occupancy", distinct=True),
        homes=Count("occupancy__home", distinct=True),
        assets=Count("pk"),
    )
    of_plan = campaign.plan_lines.exclude(left_out="").order_by().values_list("left_out")
    left_out = Counter(dict(of_plan.annotate(number=Count("pk"))))
    states: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for group in groups:
        states[group.state] += group.number
        if group.outcome:
            outcomes[group.outcome] += group.number
        if group.left_out:
            left_out[group.left_out] += group.number
    responding = [group for group in groups if _is_responding(group)]
    count = sum(group.number for group in responding)
    interval = Interval(campaign.starts_at, campaign.ends_at)
    estimated_w = sum(group.power_w for group in responding)
    return EventReport(
        campaign_id=campaign.pk,
        name=campaign.name,
        programme=campaign.programme.name,
        direction=campaign.direction,
        state=campaign.state,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        size_w=campaign.size_w,
        participants=asked["participants"],
        homes=asked["homes"],
        assets=asked["assets"],
        sent=sum(group.sent for group in groups),
        answered=sum(group.answered for group in groups),
        drawn=sum(group.drawn for group in groups),
        responding=count,
        responding_share=count / asked["assets"] if asked["assets"] else 0.0,
        planned_w=sum(group.power_w for group in groups),
        estimated_w=estimated_w,
        estimated_wh=_energy_wh(estimated_w, interval),
        shortfall_w=max(0, campaign.size_w - estimated_w),
        states=dict(states),
        outcomes=dict(outcomes),
        opt_outs=_ended_as(groups, State.OPTED_OUT, Outcome.OPTED_OUT),
        overrides=_ended_as(groups, State.OVERRIDDEN, Outcome.OVERRIDDEN),
        left_out=dict(left_out),
        lines=_home_lines(campaign, interval) if has_lines else (),
    )


def _home_lines(campaign: Campaign, interval: Interval) -> tuple[HomeLine, ...]:
    parts = campaign.participations.select_related("asset__kind", "occupancy__home").order_by(
        "occupancy__home__postcode", "occupancy_id", "asset__name", "id"
    )
    by_household: dict[UUID, list[Participation]] = defaultdict(list)
    for part in parts:
        by_household[part.occupancy_id].append(part)
    return tuple(_home_line(group, interval) for group in by_household.values())


def _home_line(group: Sequence[Participation], interval: Interval) -> HomeLine:
    home = group[0].occupancy.home
    expected_w = sum(part.expected_w for part in group if part.state != State.CANCELLED)
    return HomeLine(
        occupancy_id=group[0].occupancy_id,
        home_id=home.pk,
        home_name=home.name,
        expected_w=expected_w,
        expected_wh=_energy_wh(expected_w, interval),
        is_responding=any(_is_responding(part) for part in group),
        assets=tuple(
            AssetLine(
                participation_id=part.pk,
                name=part.asset.name,
                kind_code=part.asset.kind_id,
                expected_w=part.expected_w,
                state=part.state,
                outcome=part.outcome,
                left_out=part.left_out,
                sent_at=part.sent_at,
                delivered_at=part.delivered_at,
                responded_at=part.responded_at,
                draw=draw_of(part),
            )
            for part in group
        ),
    )


def _is_responding(part: Any) -> bool:
    return part.state in RESPONDING


def _ended_as(groups: Sequence[Any], state: str, outcome: str) -> int:
    return sum(group.number for group in groups if group.state == state or group.outcome == outcome)


def _energy_wh(power_w: int, interval: Interval) -> int:
    return power_w * int(interval.duration.total_seconds()) // 3600
