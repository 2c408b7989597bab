"""Recording: a reckoning written down as a run with its deliveries and half-hours; for `settling.py` only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from opendsr.kernel.ids import new_uuid
from settlement.baselines.explaining import as_json, explain
from settlement.copying import copy_rows
from settlement.models import HomeDelivery, PeriodDelivery, SettlementRun, SettlementTerms
from settlement.reckoning import METHOD, Input, Reckoning

DELIVERY_COLUMNS = (
    "id", "run_id", "occupancy_id", "stream_id", "standing", "takes_part", "instructed_wh",
    "delivered_wh", "paid_wh", "earned_mp", "explanation",
)  # fmt: skip
PERIOD_COLUMNS = ("delivery_id", "starts_at", "baseline_wh", "metered_wh", "delivered_wh")


def write_run(
    given: Input,
    result: Reckoning,
    *,
    terms: SettlementTerms,
    sequence: int,
    known_at: datetime,
    at: datetime,
) -> SettlementRun:
    """The run's own row."""
    takes_part = [home.takes_part for home in given.households]
    return SettlementRun.objects.create(
        campaign_id=given.campaign_id,
        sequence=sequence,
        terms=terms,
        as_known_at=known_at,
        method=METHOD,
        rule=given.agreement.baseline_rule.as_data(),
        input_sha256=result.input_sha256,
        missing_half_hours=len(result.missing),
        delivered_wh=int(result.delivery.delivered_wh[takes_part].sum()),
        paid_wh=result.paid_wh,
        revenue_mp=result.shares.revenue_mp,
        coop_mp=result.shares.coop_mp,
        members_mp=result.shares.members_mp,
        run_at=at,
    )


def write_deliveries(run: SettlementRun, given: Input, result: Reckoning) -> dict[UUID, UUID]:
    """A delivery for each household and a row for each of its half-hours; delivery id by occupancy id."""
    delivery_ids = {home.occupancy_id: new_uuid() for home in given.households}
    copy_rows(HomeDelivery, DELIVERY_COLUMNS, _deliveries(run, given, result, delivery_ids))
    copy_rows(PeriodDelivery, PERIOD_COLUMNS, _half_hours(given, result, delivery_ids))
    return delivery_ids


def _deliveries(
    run: SettlementRun, given: Input, result: Reckoning, delivery_ids: dict[UUID, UUID]
) -> Iterator[tuple[object, ...]]:
    delivered_wh = result.delivery.delivered_wh.tolist()
    paid_wh = result.delivery.paid_wh.tolist()
    for row, home in enumerate(given.households):
        yield (
            delivery_ids[home.occupancy_id],
            run.pk,
            home.occupancy_id,
            home.stream_id,
            home.standing,
            home.takes_part,
            home.instructed_wh * len(given.event),
            delivered_wh[row],
            paid_wh[row],
            result.shares.earned_mp[row],
            json.dumps(as_json(explain(result.baseline, row)), separators=(",", ":")),
        )


def _half_hours(
    given: Input, result: Reckoning, delivery_ids: dict[UUID, UUID]
) -> Iterator[tuple[object, ...]]:
    baseline_wh = result.baseline.wh.tolist()
    has_baseline = result.baseline.present.tolist()
    metered_wh = result.metered_wh.tolist()
    has_reading = result.has_reading.tolist()
    delivered_wh = result.delivery.half_hour_wh.tolist()
    measured = result.delivery.measured.tolist()
    for row, home in enumerate(given.households):
        delivery_id = delivery_ids[home.occupancy_id]
        for column, start in enumerate(given.event):
            yield (
                delivery_id,
                start,
                baseline_wh[row][column] if has_baseline[row][column] else None,
                metered_wh[row][column] if has_reading[row][column] else None,
                delivered_wh[row][column] if measured[row][column] else None,
            )
