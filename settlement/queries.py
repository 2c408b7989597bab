"""What pages and reports ask of settlement; read only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet, Sum

from campaigns.models import Campaign
from members.models import Member
from settlement.models import HomeDelivery, Posting, SettlementRun, Statement


@dataclass(frozen=True, slots=True)
class MoneyLine:
    """One household's part of a run."""

    occupancy_id: UUID
    home: str
    standing: str
    instructed_wh: int
    delivered_wh: int
    paid_wh: int
    earned_mp: int


@dataclass(frozen=True, slots=True)
class MoneyTable:
    """A run's money: revenue_mp = coop_mp + the lines' earned_mp, to the millipenny."""

    run: SettlementRun
    lines: tuple[MoneyLine, ...]

    @property
    def sums(self) -> bool:
        """True when the households' parts and the co-op's make up the revenue exactly."""
        earned_mp = sum(line.earned_mp for line in self.lines)
        return self.run.revenue_mp == self.run.coop_mp + earned_mp and earned_mp == self.run.members_mp


def newest_run(campaign_id: UUID) -> SettlementRun | None:
    """The run that stands for the campaign now."""
    runs = SettlementRun.objects.filter(campaign_id=campaign_id).select_related("terms", "campaign")
    return runs.order_by("-sequence").first()


def newest_runs(campaign_ids: Iterable[UUID]) -> dict[UUID, SettlementRun]:
    """The run that stands now for each campaign that has one."""
    runs = SettlementRun.objects.filter(campaign_id__in=list(campaign_ids))
    return {run.campaign_id: run for run in runs.order_by("campaign_id", "-sequence").distinct("campaign_id")}


def money_table(run: SettlementRun) -> MoneyTable:
    """Who delivered and earned what in the run, the largest earner first; for staff."""
    rows = (
        HomeDelivery.objects.filter(run=run)
        .order_by("-earned_mp", "-paid_wh", "occupancy__home__name", "occupancy_id")
        .values_list(
            "occupancy_id",
            "occupancy__home__name",
            "standing",
            "instructed_wh",
            "delivered_wh",
            "paid_wh",
            "earned_mp",
        )
    )
    return MoneyTable(run=run, lines=tuple(MoneyLine(*row) for row in rows))


def statements_of(member: Member) -> QuerySet[Statement]:
    """The member's statements, newest first, with run and campaign."""
    statements = Statement.objects.filter(member=member).select_related("run__campaign", "delivery")
    return statements.order_by("-issued_at", "-run__campaign__starts_at", "-run__sequence", "id")


def newest_statement(member: Member, campaign_id: UUID) -> Statement | None:
    """The statement that stands now for the member and the campaign."""
    return statements_of(member).filter(run__campaign_id=campaign_id).order_by("-run__sequence").first()


def earnings_mp(member: Member) -> int:
    """What the member's household is owed for all campaigns so far, over every home it has lived in."""
    postings = Posting.objects.filter(account__occupancy__household_id=member.household_id)
    return postings.aggregate(total=Sum("amount_mp"))["total"] or 0


def unsettled_campaigns() -> QuerySet[Campaign]:
    """Completed campaigns that no run has settled yet, the oldest first."""
    completed = Campaign.objects.filter(state=Campaign.State.COMPLETED, settlement_runs__isnull=True)
    return completed.order_by("ends_at", "id")
