"""Recording: a reckoning written down as a run, its archive and a line for each household."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from opendsr.kernel.ids import new_uuid
from settlement import archiving
from settlement.baselines import Mask
from settlement.binary import write_rows
from settlement.delivery import OUTCOMES, outcome_codes
from settlement.households import STANDINGS
from settlement.models import HomeDelivery, RunArchive, SettlementRound, SettlementRun, SettlementTerms
from settlement.reckoning import METHOD, Input, Reckoning, forgiven


def write_run(
    given: Input,
    result: Reckoning,
    *,
    round: SettlementRound,
    terms: SettlementTerms,
    sequence: int,
    replaces: SettlementRun | None,
    at: datetime,
) -> SettlementRun:
    """The run with its household lines, and its archive, packed while the database takes the lines."""
    takes_part = given.households.takes_part
    shares = result.shares
    with ThreadPoolExecutor(1, thread_name_prefix="settlement-pack") as beside:
        archive = beside.submit(lambda: list(archiving.packed(given)))
        run = SettlementRun.objects.create(
            id=new_uuid(),
            round=round,
            campaign_id=given.campaign_id,
            sequence=sequence,
            replaces=replaces,
            terms=terms,
            as_known_at=round.as_known_at,
            method=METHOD,
            rule=given.agreement.baseline_rule.as_data(),
            policy={"name": given.agreement.policy_name, **given.agreement.share_policy.as_data()},
            input_sha256=result.input_sha256,
            result_sha256=result.result_sha256,
            missing_half_hours=len(result.missing),
            half_hours=_half_hours(given, result, takes_part),
            pools={by: list(pool) for by, pool in shares.pools.items()},
            delivered_wh=int(result.delivery.delivered_wh[takes_part].sum()),
            sold_wh=result.revenue.sold_wh,
            paid_wh=result.paid_wh,
            pay_factor=round_factor(result),
            utilisation_mp=result.revenue.utilisation_mp,
            availability_mp=result.revenue.availability_mp,
            revenue_mp=shares.revenue_mp,
            coop_share_pct=shares.coop_pct,
            coop_mp=shares.coop_mp,
            fund_mp=shares.fund_mp,
            gifts_mp=shares.gifts_mp,
            members_mp=shares.members_mp,
            hold_out=result.hold_out.as_data() if result.hold_out else {},
            run_at=at,
        )
        _write_lines(run, given, result)
        write_rows(
            RunArchive._meta.db_table,
            (
                {
                    "run_id": run.pk.bytes,
                    "first_row": np.array([first], ">i4"),
                    "households": np.array([homes], ">i4"),
                    "data": data,
                }
                for first, homes, data in archive.result()
            ),
        )
    return run


def round_factor(result: Reckoning) -> Decimal:
    """The pay curve's factor for the event, to eight decimals."""
    factor = result.revenue.factor
    return (Decimal(factor.numerator) / Decimal(factor.denominator)).quantize(Decimal("1e-8"))


def _half_hours(given: Input, result: Reckoning, takes_part: Mask) -> list[list[Any]]:
    """Sums over the households that take part, of half-hours that are both measured and have a baseline."""
    measured = result.delivery.measured & takes_part[:, None]
    columns = (
        np.where(measured, result.baseline.wh, 0).sum(axis=0).tolist(),
        np.where(measured, result.measured.metered_wh, 0).sum(axis=0).tolist(),
        np.where(measured, result.delivery.half_hour_wh, 0).sum(axis=0).tolist(),
        measured.sum(axis=0).tolist(),
        given.instructed_wh[takes_part].sum(axis=0).tolist(),
    )
    starts = [start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for start in given.event]
    return [[start, *sums] for start, *sums in zip(starts, *columns, strict=True)]


def _write_lines(run: SettlementRun, given: Input, result: Reckoning) -> None:
    """A line for each household, in groups that share their words."""
    homes = given.households
    instructed_wh = given.instructed_wh.sum(axis=1)
    measured_count = result.delivery.measured.sum(axis=1)
    outcomes = outcome_codes(
        standing=homes.standing,
        delivered_wh=result.delivery.delivered_wh,
        instructed_wh=instructed_wh,
        has_meter=measured_count > 0,
        from_pct=given.delivered_from_pct,
    )
    columns = {
        "occupancy_id": homes.occupancy_ids,
        "row": np.arange(len(homes)).astype(">i4"),
        "instructed_wh": instructed_wh.astype(">i4"),
        "measured_half_hours": measured_count.astype(">i2"),
        "delivered_wh": result.delivery.delivered_wh.astype(">i4"),
        "paid_wh": result.home_paid_wh.astype(">i4"),
        "earned_mp": result.shares.earned_column_mp.astype(">i8"),
    }
    for place, name in enumerate(("floor_mp", "energy_mp", "availability_mp", "equal_mp", "gift_mp")):
        columns[name] = result.shares.amounts_mp[:, place].astype(">i8")
    words = np.stack((homes.standing, outcomes, homes.takes_part, forgiven(homes, given.agreement)))
    alike = words.astype(np.int64).T @ (1_000, 10, 2, 1)  # one number for each combination
    groups = []
    for group in np.unique(alike).tolist():
        rows = np.flatnonzero(alike == group)
        standing, outcome, takes_part, is_forgiven = words[:, rows[0]].tolist()
        groups.append(
            {
                "run_id": run.pk.bytes,
                "standing": STANDINGS[standing].encode(),
                "outcome": OUTCOMES[outcome].encode(),
                "takes_part": bool(takes_part),
                "is_forgiven": bool(is_forgiven),
                **{name: values[rows] for name, values in columns.items()},
            }
        )
    write_rows(HomeDelivery._meta.db_table, groups)
