"""Sets the scene for settlement tests: a completed campaign, its households and what their meters showed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from campaigns.models import Campaign, Participation, Programme, UseCase
from metering import ingest
from opendsr.kernel.periods import period_starts
from settlement import ledger, queries, terms
from settlement.delivery import Cap, Floor
from settlement.models import Account, HomeDelivery, SettlementRun, SettlementTerms
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


def assert_everything_sums() -> None:
    """Ledger, runs, deliveries and statements say the same, to the millipenny."""
    assert ledger.trial_balance().total_mp == 0
    for campaign in Campaign.objects.all():
        run = queries.newest_run(campaign.pk)
        if run is None:
            continue
        assert queries.money_table(run).sums
        posted = ledger.posted_for_campaign_mp(campaign.pk)
        codes = {account.pk: account for account in Account.objects.filter(pk__in=posted)}
        due = {delivery.occupancy_id: delivery.earned_mp for delivery in run.deliveries.all()}
        assert {
            account.occupancy_id: posted[account_id]
            for account_id, account in codes.items()
            if account.occupancy_id and posted[account_id]
        } == {occupancy_id: earned for occupancy_id, earned in due.items() if earned}
        assert (
            sum(mp for account_id, mp in posted.items() if codes[account_id].kind == "buyer")
            == -run.revenue_mp
        )
        for household in {statement.delivery_id: statement for statement in run.statements.all()}.values():
            assert household.earned_mp == due[household.delivery.occupancy_id]
