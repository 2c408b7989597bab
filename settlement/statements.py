"""Statements: one for each member and run, its numbers fixed at issue and worked out in the open.

`statement_view` gives pages every figure with the readings behind it; `statement_csv.py` writes the same as a
file. Numbers come from the run's stored rows only, never from settings of today.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from django.db.models import Q, QuerySet

from campaigns.models import Campaign, Direction
from members.models import Member
from opendsr.kernel.ids import new_uuid
from settlement import statement_csv
from settlement.baselines.explaining import Explanation, from_json
from settlement.baselines.rules import CERTAINTY_WORDS, Certainty
from settlement.copying import copy_rows
from settlement.models import Cap, Floor, SettlementRun, Standing, Statement
from settlement.sharing import exact_share_mp

COLUMNS = (
    "id", "run_id", "delivery_id", "member_id", "earned_mp", "previous_mp", "posted_mp", "balance_mp",
    "issued_at",
)  # fmt: skip

STANDING_WORDS = {
    Standing.TOOK_PART: "Your home took part. It is paid for what its meter shows, never below zero.",
    Standing.SILENT: "Your hub fetched the event but did not answer. It had been asked, so the meter "
    "decides: your home is paid for what it shows, never below zero.",
    Standing.OVERRIDDEN: "Your home took part until it was overridden. It is paid for what its meter shows "
    "over the whole event, never below zero; nothing is taken from earlier earnings.",
    Standing.OPTED_OUT: "Your home opted out, so it is measured but not paid.",
    Standing.NOT_REACHED: "Your hub never fetched the event, so your home was not asked and what its meter "
    "shows is chance: it is measured, not claimed from the buyer and not paid. Should it turn out that the "
    "hub did act, the settlement is corrected.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One household's money in a run: earned, posted earlier for the campaign, and the balance after."""

    occupancy_id: UUID
    delivery_id: UUID
    earned_mp: int
    previous_mp: int
    balance_mp: int


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One settlement period: whole Wh, None where there is no reading or no baseline."""

    starts_at: datetime
    baseline_wh: int | None
    metered_wh: int | None
    delivered_wh: int | None


@dataclass(frozen=True, slots=True)
class StatementView:
    """All a page or a file shows of a statement, as plain values."""

    statement_id: UUID
    issued_at: datetime
    member_number: str
    run_number: int
    is_correction: bool
    input_sha256: str
    method: str
    as_known_at: datetime
    campaign_id: UUID
    campaign: str
    starts_at: datetime
    ends_at: datetime
    direction: str
    direction_words: str
    standing: str
    standing_words: str
    takes_part: bool
    instructed_wh: int
    terms: str
    rule: str
    rule_title: str
    rule_source: str
    rule_certainty: str
    half_hours: tuple[HalfHour, ...]
    explanation: Explanation
    delivered_wh: int
    paid_wh: int
    floor_words: str
    cap_words: str
    pence_per_kwh: Decimal
    coop_share_pct: Decimal
    total_paid_wh: int
    revenue_mp: int
    coop_mp: int
    members_mp: int
    exact_share_mp: Fraction
    earned_mp: int
    previous_mp: int
    posted_mp: int
    balance_mp: int

    @property
    def missing_half_hours(self) -> int:
        """Half-hours of the event without a reading: they earn nothing."""
        return sum(half_hour.metered_wh is None for half_hour in self.half_hours)

    @property
    def without_baseline(self) -> int:
        """Half-hours of the event with too few like days for a baseline: they earn nothing."""
        return sum(half_hour.baseline_wh is None for half_hour in self.half_hours)


def issue(*, run: SettlementRun, campaign: Campaign, lines: Sequence[Line], at: datetime) -> int:
    """Write a statement of the run for every member of each household at the event; how many."""
    members_of = _members_of((line.occupancy_id for line in lines), campaign)
    rows = [
        (
            new_uuid(),
            run.pk,
            line.delivery_id,
            member_id,
            line.earned_mp,
            line.previous_mp,
            line.earned_mp - line.previous_mp,
            line.balance_mp,
            at,
        )
        for line in lines
        for member_id in members_of.get(line.occupancy_id, ())
    ]
    copy_rows(Statement, COLUMNS, rows)
    return len(rows)


def with_everything(statements: QuerySet[Statement]) -> QuerySet[Statement]:
    """The statements with all that `statement_view` reads, in two queries however many there are."""
    return statements.select_related("run__terms", "run__campaign", "delivery", "member").prefetch_related(
        "delivery__periods"
    )


def statement_view(statement: Statement) -> StatementView:
    """Every figure of the statement; two queries at most when it comes from `with_everything`."""
    run, delivery = statement.run, statement.delivery
    campaign, terms = run.campaign, run.terms
    half_hours = sorted(delivery.periods.all(), key=lambda period: period.starts_at)
    return StatementView(
        statement_id=statement.pk,
        issued_at=statement.issued_at,
        member_number=statement.member.number,
        run_number=run.sequence,
        is_correction=run.sequence > 1,
        input_sha256=run.input_sha256,
        method=run.method,
        as_known_at=run.as_known_at,
        campaign_id=campaign.pk,
        campaign=campaign.name,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        direction=campaign.direction,
        direction_words="metered less baseline"
        if campaign.direction == Direction.TURN_UP
        else "baseline less metered",
        standing=delivery.standing,
        standing_words=STANDING_WORDS[Standing(delivery.standing)],
        takes_part=delivery.takes_part,
        instructed_wh=delivery.instructed_wh,
        terms=str(terms),
        rule=run.rule["name"],
        rule_title=run.rule["title"],
        rule_source=run.rule["source"],
        rule_certainty=CERTAINTY_WORDS[Certainty(run.rule["certainty"])],
        half_hours=tuple(
            HalfHour(period.starts_at, period.baseline_wh, period.metered_wh, period.delivered_wh)
            for period in half_hours
        ),
        explanation=from_json(delivery.explanation),
        delivered_wh=delivery.delivered_wh,
        paid_wh=delivery.paid_wh,
        floor_words=Floor(terms.floor).label,
        cap_words=Cap(terms.cap).label,
        pence_per_kwh=terms.utilisation_pence_per_kwh,
        coop_share_pct=terms.coop_share_pct,
        total_paid_wh=run.paid_wh,
        revenue_mp=run.revenue_mp,
        coop_mp=run.coop_mp,
        members_mp=run.members_mp,
        exact_share_mp=exact_share_mp(run.members_mp, delivery.paid_wh, run.paid_wh),
        earned_mp=statement.earned_mp,
        previous_mp=statement.previous_mp,
        posted_mp=statement.posted_mp,
        balance_mp=statement.balance_mp,
    )


def _members_of(occupancy_ids: Iterable[UUID], campaign: Campaign) -> dict[UUID, list[UUID]]:
    """Members of each household whose membership overlaps the event."""
    rows = (
        Member.objects.filter(household__occupancies__in=list(occupancy_ids), joined_at__lt=campaign.ends_at)
        .filter(Q(left_at__isnull=True) | Q(left_at__gt=campaign.starts_at))
        .order_by("number")
        .values_list("household__occupancies__id", "id")
    )
    found: dict[UUID, list[UUID]] = {}
    for occupancy_id, member_id in rows:
        found.setdefault(occupancy_id, []).append(member_id)
    return found


def render_csv(statement: Statement) -> str:
    """The statement as a CSV file's text."""
    return statement_csv.render(statement_view(statement))
