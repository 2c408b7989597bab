"""Reckoning: one campaign from what is known to who earns what. Pure: frozen values in, frozen values out.

`gathering.py` makes the input from the rooms below, `recording.py` writes the result down. The hash of an
input covers every value the result depends on and no other: an equal hash means an equal result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np

from opendsr.kernel.periods import civil_date
from settlement import baselines, sharing
from settlement.baselines import Baseline, Cube, Mask, Wh
from settlement.baselines.rules import BaselineRule
from settlement.delivery import Delivery, DeliveryRule, measure
from settlement.overriding import OverridePolicy, paid_after_override
from settlement.revenue import Contract, Revenue, earned_revenue
from settlement.sharing import Participant, SharePolicy, Shares

METHOD: Final = "settlement-2"
OVERRIDDEN: Final = "overridden"
OUR_FAILURES: Final = frozenset({"not_reached", "device_error"})


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
    in_hardship: bool = False
    donates_pct: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was published beforehand: how to measure, pay and share."""

    terms: str
    baseline_rule: BaselineRule
    delivery_rule: DeliveryRule
    contract: Contract
    share_policy: SharePolicy
    policy_name: str = ""
    override_policy: OverridePolicy = field(default=OverridePolicy())
    forgives_our_failures: bool = True


@dataclass(frozen=True, slots=True)
class Input:
    """Everything a settlement depends on; households in order of occupancy id, the cube's rows alike.

    `declared_w` is what was offered to the buyer, `delivered_from_pct` where partial ends.
    """

    campaign_id: UUID
    direction: str
    event: tuple[datetime, ...]
    agreement: Agreement
    households: tuple[Household, ...]
    cube: Cube
    busy: Mask | None = None
    declared_w: int = 0
    delivered_from_pct: int = 75


@dataclass(frozen=True, slots=True)
class Measured:
    """What meters show, arrays by household as in the input."""

    baseline: Baseline
    metered_wh: Wh
    has_reading: Mask
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The result, arrays by household as in the input; `paid_wh` is after overrides."""

    measured: Measured
    home_paid_wh: tuple[int, ...]
    revenue: Revenue
    shares: Shares
    paid_wh: int
    missing: tuple[tuple[int, datetime], ...]
    input_sha256: str
    result_sha256: str

    @property
    def baseline(self) -> Baseline:
        """Baselines by household."""
        return self.measured.baseline

    @property
    def delivery(self) -> Delivery:
        """Delivery by household."""
        return self.measured.delivery


def measure_homes(given: Input) -> Measured:
    """Baseline, meter and delivery of every household: no household's depends on another's."""
    agreement = given.agreement
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
        takes_part=np.array([home.takes_part for home in given.households], np.bool_),
        rule=agreement.delivery_rule,
    )
    return Measured(result, metered_wh, has_reading, delivery)


def reckon(given: Input) -> Reckoning:
    """Baseline, delivery, revenue and shares of the campaign.

    `missing` are the event half-hours without a reading of households that take part, as (row, start).
    """
    agreement = given.agreement
    measured = measure_homes(given)
    takes_part = np.array([home.takes_part for home in given.households], np.bool_)
    instructed = np.array([home.instructed_wh for home in given.households], np.int64)
    sold_wh: list[int] = measured.delivery.paid_wh.tolist()
    paid_wh = [
        paid_after_override(wh, agreement.override_policy) if home.standing == OVERRIDDEN else wh
        for wh, home in zip(sold_wh, given.households, strict=True)
    ]
    half_hours = len(given.event)
    owed = earned_revenue(
        agreement.contract,
        sold_wh=sum(sold_wh),
        portfolio_wh=measured.delivery.half_hour_wh[takes_part].sum(axis=0).tolist(),
        instructed_wh=[int(instructed[takes_part].sum())] * half_hours,
        declared_w=given.declared_w,
    )
    shares = sharing.share_by(
        agreement.share_policy,
        revenue_mp=owed.total_mp,
        participants=[
            _participant(home, wh, half_hours, agreement)
            for home, wh in zip(given.households, paid_wh, strict=True)
        ],
        day=civil_date(given.event[0]),
    )
    return Reckoning(
        measured=measured,
        home_paid_wh=tuple(paid_wh),
        revenue=owed,
        shares=shares,
        paid_wh=sum(paid_wh),
        missing=missing_half_hours(given.event, measured.has_reading, takes_part),
        input_sha256=input_sha256(given, measured),
        result_sha256=result_sha256(measured, owed, shares, paid_wh),
    )


def is_forgiven(home: Household, agreement: Agreement) -> bool:
    """True when the home did not take part and that was our failure, which the terms forgive."""
    return agreement.forgives_our_failures and not home.takes_part and home.standing in OUR_FAILURES


def missing_half_hours(
    event: Sequence[datetime], has_reading: Mask, takes_part: Mask
) -> tuple[tuple[int, datetime], ...]:
    """(row, start) of every event half-hour that a household taking part has no reading for."""
    rows, columns = np.nonzero(~has_reading & takes_part[:, None])
    return tuple((row, event[column]) for row, column in zip(rows.tolist(), columns.tolist(), strict=True))


def agreement_data(agreement: Agreement) -> dict[str, object]:
    """The agreement as plain JSON values, decimals as text."""
    contract = agreement.contract
    return {
        "terms": agreement.terms,
        "baseline_rule": agreement.baseline_rule.as_data(),
        "delivery_rule": asdict(agreement.delivery_rule),
        "utilisation_pence_per_kwh": _plain(contract.utilisation_pence_per_kwh),
        "availability_pence_per_kw_hour": _plain(contract.availability_pence_per_kw_hour),
        "revenue_basis": contract.basis.value,
        "pay_curve": contract.curve.as_data(),
        "share_policy": agreement.share_policy.as_data(),
        "share_policy_name": agreement.policy_name,
        "override_cost": agreement.override_policy.cost.value,
        "override_reduced_by_pct": _plain(agreement.override_policy.reduced_by_pct),
        "forgives_our_failures": agreement.forgives_our_failures,
    }


def input_sha256(given: Input, measured: Measured) -> str:
    """Hash of the agreement, the households and every reading the rule looked at, and of nothing else.

    A correction to a half-hour that no baseline or delivery uses leaves it alone.
    """
    result = measured.baseline
    head = {
        "method": METHOD,
        "campaign": str(given.campaign_id),
        "direction": given.direction,
        "event": [start.isoformat() for start in given.event],
        "declared_w": given.declared_w,
        "delivered_from_pct": given.delivered_from_pct,
        "agreement": agreement_data(given.agreement),
        "households": [
            [
                home.occupancy_id.hex,
                home.stream_id.hex if home.stream_id else None,
                home.standing,
                home.takes_part,
                home.instructed_wh,
                home.assets,
                home.in_hardship,
                str(home.donates_pct),
            ]
            for home in given.households
        ],
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True, separators=(",", ":"), default=str).encode())
    readings = [
        (measured.metered_wh, measured.has_reading),
        (result.window_metered_wh, result.window_counted),
    ]
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


def result_sha256(measured: Measured, owed: Revenue, shares: Shares, paid_wh: Sequence[int]) -> str:
    """Hash of every figure of the result: a replay from the archive must give the same."""
    digest = hashlib.sha256()
    for values in (measured.baseline.wh, measured.metered_wh, measured.delivery.half_hour_wh, paid_wh):
        digest.update(np.ascontiguousarray(values, "<i8").tobytes())
    digest.update(np.ascontiguousarray(measured.delivery.measured).tobytes())
    figures = [owed.utilisation_mp, owed.availability_mp, owed.sold_wh, shares.coop_mp, shares.fund_mp]
    parts = [
        (part.floor_mp, part.wh_mp, part.availability_mp, part.equal_mp, part.gift_mp)
        for part in shares.parts
    ]
    digest.update(np.array(figures, "<i8").tobytes())
    digest.update(np.array(parts, "<i8").tobytes())
    return digest.hexdigest()


def _participant(home: Household, paid_wh: int, half_hours: int, agreement: Agreement) -> Participant:
    forgiven = is_forgiven(home, agreement)
    available_wh = home.instructed_wh * half_hours if home.takes_part or forgiven else 0
    if home.standing == OVERRIDDEN:
        available_wh = paid_after_override(available_wh, agreement.override_policy)
    return Participant(
        id=home.occupancy_id,
        paid_wh=paid_wh,
        available_wh=available_wh,
        takes_part=home.takes_part or forgiven,
        in_hardship=home.in_hardship,
        donates_pct=home.donates_pct,
    )


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
