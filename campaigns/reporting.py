"""The event report: who was asked, who answered, what was expected of them and how it ended.

The measured half comes from settlement; the page that shows both is composed in `opendsr/web/`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from campaigns.life import CampaignNotFound
from campaigns.models import Campaign, Participation, PlanLine
from opendsr.kernel import encryption
from opendsr.kernel.interval import Interval

State = Participation.State
Outcome = Participation.Outcome
RESPONDING = frozenset({State.OPTED_IN})


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


@encryption.remembering()
def event_report(campaign_id: UUID) -> EventReport:
    """Report on a campaign in any state; raises CampaignNotFound."""
    campaign = Campaign.objects.select_related("programme").filter(pk=campaign_id).first()
    if campaign is None:
        raise CampaignNotFound(campaign_id=campaign_id)
    parts = list(
        campaign.participations.select_related("asset__kind", "occupancy__home").order_by(
            "occupancy__home__postcode", "occupancy_id", "asset__name", "id"
        )
    )
    left_out = Counter(campaign.plan_lines.exclude(left_out="").values_list("left_out", flat=True)) + Counter(
        part.left_out for part in parts if part.left_out
    )
    asked = [part for part in parts if part.state != State.CANCELLED or part.sent_at is not None]
    responding = [part for part in parts if _is_responding(part)]
    interval = Interval(campaign.starts_at, campaign.ends_at)
    estimated_w = sum(part.expected_w for part in responding)
    return EventReport(
        campaign_id=campaign.pk,
        name=campaign.name,
        programme=campaign.programme.name,
        direction=campaign.direction,
        state=campaign.state,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        size_w=campaign.size_w,
        participants=len({part.occupancy_id for part in asked}),
        homes=len({part.occupancy.home_id for part in asked}),
        assets=len(asked),
        sent=sum(part.sent_at is not None for part in parts),
        answered=sum(part.responded_at is not None for part in parts),
        responding=len(responding),
        responding_share=len(responding) / len(asked) if asked else 0.0,
        planned_w=sum(part.expected_w for part in parts),
        estimated_w=estimated_w,
        estimated_wh=_energy_wh(estimated_w, interval),
        shortfall_w=max(0, campaign.size_w - estimated_w),
        states=dict(Counter(part.state for part in parts)),
        outcomes=dict(Counter(part.outcome for part in parts if part.outcome)),
        opt_outs=sum(_ended_as(part, State.OPTED_OUT, Outcome.OPTED_OUT) for part in parts),
        overrides=sum(_ended_as(part, State.OVERRIDDEN, Outcome.OVERRIDDEN) for part in parts),
        left_out=dict(left_out),
        lines=_home_lines(parts, interval),
    )


def _home_lines(parts: Sequence[Participation], interval: Interval) -> tuple[HomeLine, ...]:
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
            )
            for part in group
        ),
    )


def _is_responding(part: Participation) -> bool:
    return part.state in RESPONDING


def _ended_as(part: Participation, state: str, outcome: str) -> bool:
    return part.state == state or part.outcome == outcome


def _energy_wh(power_w: int, interval: Interval) -> int:
    return power_w * int(interval.duration.total_seconds()) // 3600
