"""Reckoning: one campaign from what is known to who earns what. Pure: frozen values in, frozen values out.

`gathering.py` makes the input from the rooms below, `settling.py` writes the result down. The hash of an
input covers every value the result depends on and no other: an equal hash means an equal result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np

from settlement import baselines, revenue, sharing
from settlement.baselines import Baseline, Cube, Mask, Wh
from settlement.baselines.rules import BaselineRule
from settlement.delivery import Delivery, DeliveryRule, measure
from settlement.sharing import Shares

METHOD: Final = "settlement-1"


@dataclass(frozen=True, slots=True)
class Household:
    """One household of the campaign: `instructed_wh` is a half-hour's, `assets` how many were instructed,
    `event_days` are civil days.
    """

    occupancy_id: UUID
    stream_id: UUID | None
    standing: str
    takes_part: bool
    instructed_wh: int
    assets: int = 1
    event_days: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was published beforehand: how to measure, pay and share."""

    terms: str
    baseline_rule: BaselineRule
    delivery_rule: DeliveryRule
    pence_per_kwh: Decimal
    coop_share_pct: Decimal


@dataclass(frozen=True, slots=True)
class Input:
    """Everything a settlement depends on; households in order of occupancy id, the cube's rows alike."""

    campaign_id: UUID
    direction: str
    event: tuple[datetime, ...]
    agreement: Agreement
    households: tuple[Household, ...]
    cube: Cube
    busy: Mask | None = None


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The result, arrays by household as in the input."""

    baseline: Baseline
    metered_wh: Wh
    has_reading: Mask
    delivery: Delivery
    shares: Shares
    paid_wh: int
    missing: tuple[tuple[int, datetime], ...]
    input_sha256: str


def reckon(given: Input) -> Reckoning:
    """Baseline, delivery, revenue and shares of the campaign.

    `missing` are the event half-hours without a reading of households that take part, as (row, start).
    """
    agreement = given.agreement
    takes_part = np.array([home.takes_part for home in given.households], np.bool_)
    event_days = [home.event_days for home in given.households]
    result = baselines.baseline(
        agreement.baseline_rule,
        given.cube,
        given.event,
        event_days,
        busy=given.busy,
        given=baselines.Given(units=np.array([home.assets for home in given.households], np.int64)),
    )
    metered_wh, has_reading = baselines.readings_at(given.cube, given.event)
    delivery = measure(
        baseline_wh=result.wh,
        has_baseline=result.present,
        metered_wh=metered_wh,
        has_reading=has_reading,
        direction=given.direction,
        instructed_half_hour_wh=np.array([home.instructed_wh for home in given.households], np.int64),
        takes_part=takes_part,
        rule=agreement.delivery_rule,
    )
    paid_wh = int(delivery.paid_wh.sum())
    shares = sharing.share(
        revenue_mp=revenue.utilisation_mp(paid_wh, agreement.pence_per_kwh),
        coop_share_pct=agreement.coop_share_pct,
        participants=[home.occupancy_id for home in given.households],
        paid_wh=delivery.paid_wh.tolist(),
    )
    return Reckoning(
        baseline=result,
        metered_wh=metered_wh,
        has_reading=has_reading,
        delivery=delivery,
        shares=shares,
        paid_wh=paid_wh,
        missing=missing_half_hours(given.event, has_reading, takes_part),
        input_sha256=input_sha256(given, result, metered_wh, has_reading),
    )


def missing_half_hours(
    event: Sequence[datetime], has_reading: Mask, takes_part: Mask
) -> tuple[tuple[int, datetime], ...]:
    """(row, start) of every event half-hour that a household taking part has no reading for."""
    rows, columns = np.nonzero(~has_reading & takes_part[:, None])
    return tuple((row, event[column]) for row, column in zip(rows.tolist(), columns.tolist(), strict=True))


def input_sha256(given: Input, result: Baseline, metered_wh: Wh, has_reading: Mask) -> str:
    """Hash of the agreement, the households and every reading the rule looked at, and of nothing else.

    A correction to a half-hour that no baseline or delivery uses leaves it alone.
    """
    agreement = given.agreement
    head = {
        "method": METHOD,
        "campaign": str(given.campaign_id),
        "direction": given.direction,
        "event": [start.isoformat() for start in given.event],
        "terms": agreement.terms,
        "baseline_rule": agreement.baseline_rule.as_data(),
        "delivery_rule": asdict(agreement.delivery_rule),
        "pence_per_kwh": str(agreement.pence_per_kwh.normalize()),
        "coop_share_pct": str(agreement.coop_share_pct.normalize()),
        "households": [
            [
                str(home.occupancy_id),
                str(home.stream_id),
                home.standing,
                home.takes_part,
                home.instructed_wh,
                home.assets,
            ]
            for home in given.households
        ],
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True, separators=(",", ":")).encode())
    readings = [(metered_wh, has_reading), (result.window_metered_wh, result.window_counted)]
    for part in result.parts:
        digest.update(part.day.isoformat().encode())
        digest.update(b"".join(day.isoformat().encode() for day in part.pool))
        digest.update(np.ascontiguousarray(part.candidate).tobytes())
        is_used = part.candidate[:, :, None] & part.has_history
        readings.append((part.history_wh, is_used))
    for wh, present in readings:
        digest.update(np.ascontiguousarray(np.where(present, wh, 0), "<i8").tobytes())
        digest.update(np.ascontiguousarray(present).tobytes())
    return digest.hexdigest()
