"""What pages and reports ask of settlement; read only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Max, QuerySet, Sum

from campaigns.models import Campaign
from members.models import Member
from members.queries import home_names
from settlement.models import (
    HomeDelivery,
    Posting,
    RoundKind,
    SettlementRound,
    SettlementRun,
    Statement,
    Verdict,
)

FINAL_KINDS = (RoundKind.FINAL, RoundKind.CORRECTION)


MoneyRow = tuple[UUID, str, int, int, int, int]


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
    """A run's money: revenue_mp = coop_mp + fund_mp + the lines' earned_mp, to the millipenny."""

    run: SettlementRun
    lines: tuple[MoneyLine, ...]

    @property
    def sums(self) -> bool:
        """True when the households' parts, the fund's and the co-op's make up the revenue exactly."""
        earned_mp = sum(line.earned_mp for line in self.lines)
        run = self.run
        return run.revenue_mp == run.coop_mp + run.fund_mp + earned_mp and earned_mp == run.members_mp


def approved_runs() -> QuerySet[SettlementRun]:
    """Runs whose round is posted."""
    return SettlementRun.objects.filter(round__decision__verdict=Verdict.APPROVED)


def newest_run(campaign_id: UUID) -> SettlementRun | None:
    """The run that stands for the campaign now: the newest that was posted."""
    runs = approved_runs().filter(campaign_id=campaign_id)
    return runs.select_related("terms", "campaign", "round").order_by("-sequence").first()


def newest_runs(campaign_ids: Iterable[UUID]) -> dict[UUID, SettlementRun]:
    """The run that stands now for each campaign that has one."""
    runs = approved_runs().filter(campaign_id__in=list(campaign_ids))
    runs = runs.select_related("terms", "round", "campaign")
    return {run.campaign_id: run for run in runs.order_by("campaign_id", "-sequence").distinct("campaign_id")}


def delivered_wh(campaign_ids: Iterable[UUID]) -> dict[UUID, dict[datetime, int]]:
    """Wh delivered by the homes that take part, by half-hour, of each campaign that has a run that stands."""
    return {
        campaign_id: {datetime.fromisoformat(start): sums[2] for start, *sums in run.half_hours if sums[3]}
        for campaign_id, run in newest_runs(campaign_ids).items()
    }


def waiting_runs(campaign_ids: Iterable[UUID]) -> QuerySet[SettlementRun]:
    """Runs of rounds that nobody has decided yet."""
    runs = SettlementRun.objects.filter(campaign_id__in=list(campaign_ids), round__decision__isnull=True)
    return runs.select_related("round", "terms", "campaign").order_by("-sequence")


def waiting_round(campaign_ids: Iterable[UUID]) -> SettlementRound | None:
    """An undecided round that settles one of the campaigns."""
    wanted = {str(campaign_id) for campaign_id in campaign_ids}
    for found in SettlementRound.objects.filter(decision__isnull=True).order_by("proposed_at", "id"):
        if wanted & set(found.campaign_ids):
            return found
    return None


def latest_sequence(campaign_id: UUID) -> int:
    """The number of the campaign's latest run, posted or not; 0 before the first."""
    runs = SettlementRun.objects.filter(campaign_id=campaign_id)
    return runs.aggregate(latest=Max("sequence"))["latest"] or 0


def is_final(run: SettlementRun | None) -> bool:
    """True when what the run posted can be paid out."""
    return run is not None and run.round.kind in FINAL_KINDS


def money_rows(run: SettlementRun) -> QuerySet[HomeDelivery, MoneyRow]:
    """Who delivered and earned what in the run, the largest earner first, not read yet and without names."""
    found = HomeDelivery.objects.filter(run=run)
    return found.order_by("-earned_mp", "-paid_wh", "occupancy__home__postcode", "occupancy_id").values_list(
        "occupancy_id", "standing", "instructed_wh", "delivered_wh", "paid_wh", "earned_mp"
    )


def money_lines(rows: Sequence[MoneyRow]) -> tuple[MoneyLine, ...]:
    """The rows with what staff call each home."""
    names = home_names(row[0] for row in rows)
    return tuple(MoneyLine(row[0], names[row[0]], *row[1:]) for row in rows)


def money_table(run: SettlementRun) -> MoneyTable:
    """Who delivered and earned what in the run, the largest earner first; for staff."""
    return MoneyTable(run=run, lines=money_lines(list(money_rows(run))))


def statements_of(member: Member) -> QuerySet[Statement]:
    """The member's statements, newest first, with round and programme."""
    statements = Statement.objects.filter(member=member).select_related("round__programme", "occupancy__home")
    return statements.order_by("-issued_at", "-round__number", "id")


def newest_statement(member: Member, campaign_id: UUID) -> Statement | None:
    """The statement that stands now for the member and the campaign."""
    statements = statements_of(member).filter(round__runs__campaign_id=campaign_id)
    return statements.order_by("-round__runs__sequence").first()


def earnings_mp(member: Member) -> int:
    """What the member's household is owed for all campaigns so far, over every home it has lived in."""
    postings = Posting.objects.filter(account__occupancy__household_id=member.household_id)
    return postings.aggregate(total=Sum("amount_mp"))["total"] or 0


def provisional_mp(occupancy_ids: Iterable[UUID]) -> dict[UUID, int]:
    """What of each household's balance rests on provisional runs: it is shown and cannot be paid out yet."""
    newest = approved_runs().order_by("campaign_id", "-sequence").distinct("campaign_id")
    runs = SettlementRun.objects.filter(pk__in=newest.values("pk"), round__kind=RoundKind.PROVISIONAL)
    standing = list(runs.values_list("pk", flat=True))
    if not standing:
        return {}
    rows = (
        HomeDelivery.objects.filter(run__in=standing, occupancy_id__in=list(occupancy_ids))
        .values_list("occupancy_id")
        .annotate(earned=Sum("earned_mp"), gift=Sum("gift_mp"))
        .order_by()
    )
    return {occupancy_id: earned - gift for occupancy_id, earned, gift in rows}


def unsettled_campaigns() -> QuerySet[Campaign]:
    """Completed campaigns that no run has settled yet, the oldest first."""
    completed = Campaign.objects.filter(state=Campaign.State.COMPLETED, settlement_runs__isnull=True)
    return completed.select_related("programme").order_by("ends_at", "id")


def settled_since(at: datetime) -> QuerySet[Campaign]:
    """Campaigns that ended since `at` and have a posted run: their readings may have changed."""
    settled = Campaign.objects.filter(ends_at__gte=at, settlement_runs__round__decision__isnull=False)
    return settled.distinct().order_by("ends_at", "id")
