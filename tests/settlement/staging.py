"""Sets the scene for settlement tests: a completed campaign, its households and what their meters showed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from campaigns.models import Campaign, Participation, Programme, UseCase
from metering import ingest
from opendsr.kernel.periods import period_starts
from settlement import ledger, queries, statements, terms
from settlement.delivery import Cap, Floor
from settlement.event_views import EventView, HalfHour
from settlement.models import (
    Account,
    HomeDelivery,
    Posting,
    SettlementRun,
    SettlementTerms,
    Statement,
)
from settlement.settling import Settled, settle_campaign
from tests.factories import Resident, make_asset, make_hub, make_resident
from tests.settlement.cubes import days_between, half_hours

# A Tuesday; 17:00 to 19:00 GMT.
EVENT = half_hours(datetime(2026, 11, 24, 17, tzinfo=UTC), 4)
AFTER = datetime(2026, 11, 25, 9, tzinfo=UTC)
HISTORY = days_between(date(2026, 10, 30), date(2026, 11, 23))
USUAL_WH = 1_000
State = Participation.State

_batches = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Stage:
    """A completed campaign and its residents, in the order they were asked for."""

    campaign: Campaign
    residents: list[Resident]
    parts: list[Participation]


def make_terms(
    *,
    baseline_rule: str = "dfs_2023_domestic",
    pence_per_kwh: str = "300",
    coop_share_pct: str = "35",
    floor: Floor = Floor.EVENT,
    cap: Cap = Cap.NONE,
    at: datetime = AFTER,
    **options: Any,
) -> SettlementTerms:
    """The next version of the tests' terms."""
    return terms.publish_terms(
        name="Winter evenings",
        baseline_rule=baseline_rule,
        utilisation_pence_per_kwh=Decimal(pence_per_kwh),
        coop_share_pct=Decimal(coop_share_pct),
        floor=floor,
        cap=cap,
        at=at,
        **options,
    )


def make_stage(
    *states: str,
    published: SettlementTerms | None = None,
    residents: Sequence[Resident] | None = None,
    direction: str = "turn_down",
    expected_w: int = 2_000,
    starts_at: datetime = EVENT[0],
    half_hour_count: int = len(EVENT),
) -> Stage:
    """A completed campaign in which a household each ended in these states."""
    ends_at = starts_at + timedelta(minutes=30) * half_hour_count
    published = published or make_terms()
    programme, _ = Programme.objects.update_or_create(
        code="winter",
        defaults={
            "name": "Winter evenings",
            "use_case": UseCase.MARKET,
            "market_context": "http://coop.example/winter",
            "settlement_terms_id": published.pk,
            "start_tolerance_seconds": 0,
        },
    )
    campaign = Campaign.objects.create(
        programme=programme,
        name="Evening peak",
        direction=direction,
        zone_kind="everywhere",
        size_w=5_000,
        starts_at=starts_at,
        ends_at=ends_at,
        state=Campaign.State.COMPLETED,
        created_at=starts_at - timedelta(hours=6),
        approved_at=starts_at - timedelta(hours=5),
        dispatched_at=starts_at - timedelta(hours=5),
        completed_at=ends_at,
    )
    people = list(residents) if residents is not None else [make_resident() for _ in states]
    parts = [
        make_part(campaign, resident, state, expected_w=expected_w)
        for resident, state in zip(people, states, strict=True)
    ]
    return Stage(campaign=campaign, residents=people, parts=parts)


def make_part(
    campaign: Campaign, resident: Resident, state: str, *, expected_w: int = 2_000, kind: str = "ev_charger"
) -> Participation:
    """One more asset of the household in the campaign."""
    hub = resident.home.hubs.first()
    if hub is None:
        kit = make_hub(resident.home, kinds=(kind,), through_vtn=False)
        asset = kit.assets[0]
    else:
        asset = hub.assets.first() if not campaign.participations.filter(asset__hub=hub) else None
        asset = asset or make_asset(hub, kind)
    return Participation.objects.create(
        campaign=campaign,
        asset=asset,
        occupancy=resident.occupancy,
        ven_id="VEN",
        vtn_event_id="E-1",
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        expected_w=expected_w,
        state=state,
        sent_at=None if state == State.PLANNED else campaign.starts_at - timedelta(hours=1),
    )


def store(resident: Resident, readings: Mapping[datetime, int], *, at: datetime = AFTER) -> None:
    """Net Wh at these half-hours, known to the store at `at`; below zero is export."""
    starts = sorted(readings)
    report = ingest.store_readings(
        source="cad",
        name=f"batch {next(_batches)}",
        at=at,
        stream_ids=[resident.stream_id] * len(starts),
        starts_at=starts,
        import_wh=[max(readings[start], 0) for start in starts],
        export_wh=[max(-readings[start], 0) for start in starts],
    )
    assert report.rows_rejected == 0, report


def store_history(
    resident: Resident, *, usual_wh: int = USUAL_WH, days: Sequence[date] = HISTORY, at: datetime = AFTER
) -> None:
    """The same use in every half-hour of the days before the event."""
    store(resident, {start: usual_wh for day in days for start in period_starts(day)}, at=at)


def store_event(
    resident: Resident, *wh: int, event: Sequence[datetime] = EVENT, at: datetime = AFTER
) -> None:
    """The meter's readings of the event's half-hours."""
    store(resident, dict(zip(event, wh, strict=True)), at=at)


def make_measured(*delivered_wh: int, published: SettlementTerms | None = None) -> Stage:
    """A stage whose households all took part and delivered so much, all of it in the first half-hour."""
    stage = make_stage(*[State.OPTED_IN] * len(delivered_wh), published=published)
    for resident, wh in zip(stage.residents, delivered_wh, strict=True):
        store_history(resident)
        store_event(resident, USUAL_WH - wh, USUAL_WH, USUAL_WH, USUAL_WH)
    return stage


def settle(stage: Stage, at: datetime = AFTER, **options: object) -> Settled:
    """Settle the stage's campaign."""
    return settle_campaign(campaign_id=stage.campaign.pk, at=at, **options)  # type: ignore[arg-type]


def delivery_of(run: SettlementRun, resident: Resident) -> HomeDelivery:
    """The resident's household in the run."""
    return HomeDelivery.objects.get(run=run, occupancy=resident.occupancy)


def balance_of(resident: Resident) -> int:
    """What the resident's household is owed."""
    return ledger.balance_mp(Account.objects.get(occupancy=resident.occupancy))


def half_hours_of(run: SettlementRun, resident: Resident) -> list[HalfHour]:
    """The resident's half-hours in the run, from its archive."""
    return event_of(run, resident).half_hours  # type: ignore[return-value]


def event_of(run: SettlementRun, resident: Resident) -> EventView:
    """The run's event on the resident's statement."""
    statement = Statement.objects.filter(round=run.round, occupancy=resident.occupancy).first()
    assert statement is not None
    (event,) = (each for each in statements.statement_view(statement).events if each.run_id == run.pk)
    return event


def assert_everything_sums() -> None:
    """Ledger, runs, deliveries and statements say the same, to the millipenny."""
    assert ledger.trial_balance().total_mp == 0
    due: Counter[str] = Counter()
    for run in queries.newest_runs(Campaign.objects.values_list("pk", flat=True)).values():
        assert queries.money_table(run).sums
        due[f"buyer:{run.campaign.programme_id}"] -= run.revenue_mp
        due["coop"] += run.coop_mp
        due["fund"] += run.fund_mp + run.gifts_mp
        for delivery in run.deliveries.all():
            due[f"household:{delivery.occupancy_id}"] += delivery.earned_mp - delivery.gift_mp
    posted = Posting.objects.filter(entry__round__isnull=False).values_list("account__code")
    rows = posted.annotate(total=Sum("amount_mp")).order_by()
    assert {code: mp for code, mp in rows if mp} == {code: mp for code, mp in due.items() if mp}
    for statement in Statement.objects.select_related("round"):
        lines = HomeDelivery.objects.filter(run__round=statement.round, occupancy=statement.occupancy_id)
        assert statement.earned_mp == sum(line.earned_mp - line.gift_mp for line in lines)
