"""Settlement end to end: stored readings of 1,000 homes to postings and statements, and where the time goes.

Run it as `python benchmarks/settle_1000_homes.py`. It makes a scratch database in the cluster of DATABASE_URL
(or in this clone's private one), loads 70 days of generated half-hours, which is not timed, and settles a
campaign of two hours each round. Beside it stands reading the cube alone. Baselines without a database are
`baselines_10000_homes.py`.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.import_rows import make_streams, scratch_database

if TYPE_CHECKING:
    from campaigns.models import Campaign

HOMES = int(os.environ.get("BENCH_HOMES", "1000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
DAYS = 70
FIRST_DAY = date(2025, 9, 15)
LATEST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
HALF_HOURS = 4
AT = datetime(2026, 1, 1, tzinfo=UTC)
GOALS = {"settlement_1000_homes_seconds": 1.0, "settlement_rerun_seconds": 1.0}

Figures = dict[str, list[float]]
Result = TypeVar("Result")


def note(figures: Figures, name: str, work: Callable[[], Result]) -> Result:
    """Run the work and keep how many seconds it took."""
    began = time.perf_counter()
    result = work()
    figures.setdefault(name, []).append(time.perf_counter() - began)
    return result


def require(is_so: bool, what: str) -> None:
    """A benchmark of something that went wrong measures nothing."""
    if not is_so:
        raise SystemExit(f"The benchmark measured something else: {what}")


def settle() -> Figures:
    """Load once, then settle a new campaign each round, on an earlier weekday each time."""
    from django.db import connection

    from metering import store
    from settlement import baselines, gathering, ledger, queries, terms
    from settlement.settling import settle_campaign

    streams = make_streams(HOMES)
    load_readings(streams)
    published = terms.publish_terms(
        name="Benchmark",
        baseline_rule="dfs_2023_domestic",
        utilisation_pence_per_kwh=Decimal(300),
        coop_share_pct=Decimal(35),
        at=AT,
    )
    assets = make_assets()
    figures: Figures = {}
    for turn in range(ROUNDS):
        campaign = make_campaign(assets, LATEST_DAY - timedelta(days=2 + 7 * turn), published.pk)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        households = gathering.households_of(campaign)
        days = baselines.days_needed(
            terms.baseline_rule(published),
            gathering.event_half_hours(campaign),
            [home.event_days for home in households],
        )
        note(figures, "settlement_read_cube_seconds", lambda days=days: store.day_cube(streams, days))
        settled = note(
            figures,
            "settlement_1000_homes_seconds",
            lambda campaign=campaign: settle_campaign(campaign_id=campaign.pk, at=AT),
        )
        again = note(
            figures,
            "settlement_rerun_seconds",
            lambda campaign=campaign: settle_campaign(campaign_id=campaign.pk, at=AT),
        )
        require(settled.posted, "the run posted nothing")
        require(settled.statements == HOMES, "a statement is missing")
        require(not again.posted, "the rerun posted something")
        require(queries.money_table(settled.run).sums, "the money table does not sum")
    require(ledger.trial_balance().total_mp == 0, "the ledger does not balance")
    return figures


def load_readings(streams: list[UUID]) -> None:
    """70 days of half-hours for every stream."""
    import numpy as np

    from metering import ingest

    start = np.datetime64(FIRST_DAY.isoformat(), "m")
    times = (start + np.arange(-2, DAYS * 48) * np.timedelta64(30, "m")).astype("datetime64[us]")
    values = np.random.default_rng(20260101).gamma(1.2, 220, size=(len(streams), len(times))).astype(np.int64)
    report = ingest.store_readings(
        source="simulated", name="benchmark", at=AT, stream_ids=streams, starts_at=times, import_wh=values
    )
    require(report.rows_landed == values.size, str(report))


def make_assets() -> list[tuple[UUID, UUID]]:
    """An EV charger behind a hub in every home; (asset id, occupancy id), by bulk insert."""
    from assets.models import Asset, Hub
    from members.models import Occupancy

    stays = list(Occupancy.objects.all())
    hubs = Hub.objects.bulk_create(
        Hub(
            home_id=stay.home_id,
            serial=f"HUB-{number}",
            state=Hub.State.COMMISSIONED,
            ven_id=f"VEN-{number}",
            commissioned_at=AT,
        )
        for number, stay in enumerate(stays)
    )
    assets = Asset.objects.bulk_create(
        Asset(
            hub=hub,
            kind_id="ev_charger",
            resource_id=f"asset-{number}",
            name="EV charger",
            rated_w=7_360,
            flexible_w=2_000,
            installed_at=AT,
        )
        for number, hub in enumerate(hubs)
    )
    return [(asset.pk, stay.pk) for asset, stay in zip(assets, stays, strict=True)]


def make_campaign(assets: list[tuple[UUID, UUID]], day: date, terms_id: UUID) -> Campaign:
    """A completed campaign on the day from 17:00 in which every home took part."""
    from campaigns.models import Campaign, Participation, Programme, UseCase
    from opendsr.kernel.periods import period_start

    starts_at = period_start(day, 35)
    ends_at = starts_at + timedelta(minutes=30) * HALF_HOURS
    programme, _ = Programme.objects.get_or_create(
        code="benchmark",
        defaults={
            "name": "Benchmark",
            "use_case": UseCase.MARKET,
            "market_context": "http://coop.example/benchmark",
            "settlement_terms_id": terms_id,
        },
    )
    campaign = Campaign.objects.create(
        programme=programme,
        name=f"Benchmark {day}",
        zone_kind="everywhere",
        size_w=2_000 * len(assets),
        starts_at=starts_at,
        ends_at=ends_at,
        state=Campaign.State.COMPLETED,
        created_at=starts_at,
        approved_at=starts_at,
        completed_at=ends_at,
    )
    Participation.objects.bulk_create(
        Participation(
            campaign=campaign,
            asset_id=asset_id,
            occupancy_id=occupancy_id,
            ven_id="VEN",
            vtn_event_id="E",
            starts_at=starts_at,
            ends_at=ends_at,
            expected_w=2_000,
            state=Participation.State.OPTED_IN,
            sent_at=starts_at,
        )
        for asset_id, occupancy_id in assets
    )
    return campaign


def main() -> None:
    """Measure and print a table, then a line a figure for scripts."""
    with scratch_database():
        figures = settle()
    write = sys.stdout.write
    write(f"{HOMES} homes x {DAYS} days stored, one event of {HALF_HOURS} half-hours, {ROUNDS} rounds\n")
    write(f"{'':48}{'least':>10}{'median':>10}{'most':>10}\n")
    for name, taken in figures.items():
        write(f"{name:48}{min(taken):10.3f}{statistics.median(taken):10.3f}{max(taken):10.3f}\n")
    for name, taken in figures.items():
        goal = f" goal {GOALS[name]:g}" if name in GOALS else ""
        write(f"BENCH {name} {statistics.median(taken):.3f} s{goal}\n")


if __name__ == "__main__":
    main()
