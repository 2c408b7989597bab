"""Reckoning: one campaign from what is known to who earns what. Pure: frozen values in, frozen values out.

`gathering.py` makes the input from the rooms below, `recording.py` writes the result down. The hash of an
input covers every value the result depends on and no other: an equal hash means an equal result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final
from uuid import UUID

import numpy as np

from opendsr.kernel.periods import civil_date
from settlement import baselines, sharing
from settlement.baselines import Baseline, Cube, Mask, Wh
from settlement.baselines.rules import BaselineRule
from settlement.comparing import HoldOut, compare_with_held_out
from settlement.delivery import A_HALF_HOUR, Delivery, DeliveryRule, instructed_wh, measure
from settlement.households import HELD_OUT, NOBODY, OVERRIDDEN, STANDINGS, Household, Households
from settlement.overriding import OverridePolicy, paid_after_override
from settlement.revenue import Contract, Revenue, earned_revenue
from settlement.sharing import Participants, SharePolicy, Shares

__all__ = [
    "METHOD",
    "Agreement",
    "Household",
    "Input",
    "Measured",
    "Reckoning",
    "Temperatures",
    "agreement_data",
    "forgiven",
    "households_json",
    "input_sha256",
    "measure_homes",
    "missing_half_hours",
    "reckon",
    "result_sha256",
]

METHOD: Final = "settlement-4"
"""Until 2 an override cost nothing of a floor and an equal part; until 3 an event was the half-hours that
began inside it, each whole. `verifying` reads those statements too.
"""
OUR_FAILURES: Final = ("not_reached", "device_error")


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
class Temperatures:
    """Outdoor temperatures of the cube's days in tenths of a degree and where they are known: [day, 50]."""

    tenths_c: Wh
    has: Mask


@dataclass(frozen=True, slots=True)
class Input:
    """Everything a settlement depends on; households in order of occupancy id, the cube's rows alike.

    Households given one by one become columns. `declared_w` is what was offered to the buyer,
    `delivered_from_pct` where partial ends; `holds_unearned` when somebody chose to hold for the fund what no
    home earned; `temperatures` are there for a rule that goes by them. `covered_seconds` are the event's of
    each half-hour, none when it covers all of them whole.
    """

    campaign_id: UUID
    direction: str
    event: tuple[datetime, ...]
    agreement: Agreement
    households: Households
    cube: Cube
    busy: Mask | None = None
    declared_w: int = 0
    delivered_from_pct: int = 75
    holds_unearned: bool = False
    temperatures: Temperatures | None = None
    covered_seconds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "households", Households.of(self.households))

    @property
    def instructed_wh(self) -> Wh:
        """Wh [household, half-hour of the event]."""
        return instructed_wh(self.households.instructed_wh, len(self.event), self.covered_seconds)

    @property
    def hours(self) -> Fraction:
        """How long the event is."""
        return Fraction(sum(self.covered_seconds) or A_HALF_HOUR * len(self.event), 3_600)


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
    home_paid_wh: Wh
    revenue: Revenue
    shares: Shares
    paid_wh: int
    missing: tuple[tuple[int, datetime], ...]
    hold_out: HoldOut | None
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
    homes = given.households
    result = baselines.baseline(
        agreement.baseline_rule,
        given.cube,
        given.event,
        homes.event_days,
        busy=given.busy,
        given=baselines.Given(
            units=homes.assets,
            temperature_tenths_c=None if given.temperatures is None else given.temperatures.tenths_c,
            has_temperature=None if given.temperatures is None else given.temperatures.has,
        ),
    )
    metered_wh, has_reading = baselines.readings_at(given.cube, given.event)
    delivery = measure(
        baseline_wh=result.wh,
        has_baseline=result.present,
        metered_wh=metered_wh,
        has_reading=has_reading,
        direction=given.direction,
        instructed_half_hour_wh=homes.instructed_wh,
        takes_part=homes.takes_part,
        rule=agreement.delivery_rule,
        covered_seconds=given.covered_seconds,
    )
    return Measured(result, metered_wh, has_reading, delivery)


def reckon(given: Input) -> Reckoning:
    """Baseline, delivery, revenue and shares of the campaign.

    `missing` are the event half-hours without a reading of households that take part, as (row, start).
    """
    agreement, homes = given.agreement, given.households
    measured = measure_homes(given)
    takes_part = homes.takes_part
    paid_wh = _after_overrides(measured.delivery.paid_wh, homes, agreement)
    asked_wh = given.instructed_wh
    owed = earned_revenue(
        agreement.contract,
        sold_wh=int(measured.delivery.paid_wh.sum()),
        portfolio_wh=measured.delivery.half_hour_wh[takes_part].sum(axis=0).tolist(),
        instructed_wh=asked_wh[takes_part].sum(axis=0).tolist(),
        declared_w=given.declared_w,
        hours=given.hours,
    )
    shares = sharing.share_by(
        agreement.share_policy,
        revenue_mp=owed.total_mp,
        participants=_participants(homes, paid_wh, asked_wh.sum(axis=1), agreement),
        day=civil_date(given.event[0]),
        holds_unearned=given.holds_unearned,
    )
    return Reckoning(
        measured=measured,
        home_paid_wh=paid_wh,
        revenue=owed,
        shares=shares,
        paid_wh=int(paid_wh.sum()),
        missing=missing_half_hours(given.event, measured.has_reading, takes_part),
        hold_out=compare_with_held_out(given, shares_in=takes_part | forgiven(homes, agreement)),
        input_sha256=input_sha256(given, measured),
        result_sha256=result_sha256(measured, owed, shares, paid_wh),
    )


def forgiven(homes: Households, agreement: Agreement) -> Mask:
    """Which homes did not take part through a failure of ours that the terms forgive."""
    if not agreement.forgives_our_failures:
        return np.zeros(len(homes), np.bool_)
    return homes.stands(*OUR_FAILURES) & ~homes.takes_part


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
        "households": [],
        **({"holds_unearned": True} if given.holds_unearned else {}),
        **({"covered_seconds": given.covered_seconds} if given.covered_seconds else {}),
    }
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), default=str)
    before, after = text.split('"households":[]')
    digest = hashlib.sha256(f'{before}"households":['.encode())
    digest.update(households_json(given.households).encode())
    digest.update(f"]{after}".encode())
    readings = [
        (measured.metered_wh, measured.has_reading),
        (np.where(result.window_counted, result.window_metered_wh, 0), result.window_counted),
    ]
    for part in result.parts:
        digest.update(part.day.isoformat().encode())
        digest.update(b"".join(day.isoformat().encode() for day in part.pool))
        digest.update(np.ascontiguousarray(part.candidate).tobytes())
        readings.append(part.counted())
        if part.warmth is not None:
            warmth = part.warmth
            readings += [(warmth.days, warmth.has_days), (warmth.own, warmth.has_own)]
    for wh, present in readings:
        digest.update(np.ascontiguousarray(wh, "<i8").data)
        digest.update(np.ascontiguousarray(present).data)
    return digest.hexdigest()


def result_sha256(measured: Measured, owed: Revenue, shares: Shares, paid_wh: Wh) -> str:
    """Hash of every figure of the result: a replay from the archive must give the same."""
    digest = hashlib.sha256()
    for values in (measured.baseline.wh, measured.metered_wh, measured.delivery.half_hour_wh, paid_wh):
        digest.update(np.ascontiguousarray(values, "<i8").tobytes())
    digest.update(np.ascontiguousarray(measured.delivery.measured).tobytes())
    figures = [owed.utilisation_mp, owed.availability_mp, owed.sold_wh, shares.coop_mp, shares.fund_mp]
    digest.update(np.array(figures, "<i8").tobytes())
    digest.update(np.ascontiguousarray(shares.amounts_mp, "<i8").tobytes())
    return digest.hexdigest()


def _after_overrides(sold_wh: Wh, homes: Households, agreement: Agreement) -> Wh:
    """The Wh that earn: what was sold, less what the policy takes from homes that were overridden."""
    wh = sold_wh.copy()
    for row in np.flatnonzero(homes.stands(OVERRIDDEN)).tolist():
        wh[row] = paid_after_override(int(wh[row]), agreement.override_policy)
    return wh


def _participants(homes: Households, paid_wh: Wh, asked_wh: Wh, agreement: Agreement) -> Participants:
    """The homes in the split; what an override costs, it costs of a floor and an equal part too."""
    stands = homes.takes_part | forgiven(homes, agreement)
    keeps = agreement.override_policy.keeps
    ready_wh = np.where(stands, asked_wh, 0)
    return Participants(
        ids=homes.occupancy_ids,
        paid_wh=paid_wh,
        available_wh=_after_overrides(ready_wh, homes, agreement),
        takes_part=stands,
        in_hardship=homes.in_hardship,
        keeps_over=np.where(homes.stands(OVERRIDDEN) & stands, keeps.numerator, keeps.denominator),
        is_held_out=homes.stands(HELD_OUT),
        keeps_under=keeps.denominator,
        donates=homes.donates,
    )


def households_json(homes: Households) -> str:
    """A list a household, as `json.dumps` writes it without spaces; written by hand, one pass a household."""
    ids, streams = homes.occupancy_ids.tobytes().hex(), homes.stream_ids.tobytes().hex()
    nobody, truth = NOBODY.hex(), ("false", "true")
    columns = (
        range(0, 32 * len(homes), 32),
        homes.standing.tolist(),
        homes.takes_part.tolist(),
        homes.instructed_wh.tolist(),
        homes.assets.tolist(),
        homes.in_hardship.tolist(),
    )
    rows = []
    for row, (at, standing, takes_part, wh, assets, is_hard) in enumerate(zip(*columns, strict=True)):
        stream = streams[at : at + 32]
        owner = "null" if stream == nobody else f'"{stream}"'
        rows.append(
            f'["{ids[at : at + 32]}",{owner},"{STANDINGS[standing]}",{truth[takes_part]},{wh},{assets},'
            f'{truth[is_hard]},"{homes.donates.get(row, 0)}"]'
        )
    return ",".join(rows)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
