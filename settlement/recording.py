"""Recording: a reckoning written down as a run, its archive and a line for each household."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from opendsr.kernel.ids import new_uuid
from settlement import archiving
from settlement.baselines import Mask
from settlement.binary import write_rows
from settlement.copying import copy_rows
from settlement.delivery import outcome_of
from settlement.models import HomeDelivery, RunArchive, SettlementRound, SettlementRun, SettlementTerms
from settlement.reckoning import METHOD, Input, Reckoning, is_forgiven

WIDTHS = {"measured_half_hours": ">i2"}
ARCHIVE_COLUMNS = ("run_id", "first_row", "households", "data")


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
    """The run with its archive and its household lines."""
    takes_part = np.array([home.takes_part for home in given.households], np.bool_)
    shares = result.shares
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
        run_at=at,
    )
    copy_rows(
        RunArchive,
        ARCHIVE_COLUMNS,
        ((run.pk, first, homes, data) for first, homes, data in archiving.packed(given)),
    )
    _write_lines(run, given, result)
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
        [_instructed_wh(given, takes_part)] * len(given.event),
    )
    starts = [start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for start in given.event]
    return [[start, *sums] for start, *sums in zip(starts, *columns, strict=True)]


def _instructed_wh(given: Input, takes_part: Mask) -> int:
    asked = np.array([home.instructed_wh for home in given.households], np.int64)
    return int(asked[takes_part].sum())


def _write_lines(run: SettlementRun, given: Input, result: Reckoning) -> None:
    """A line for each household, in groups that share their words."""
    half_hours = len(given.event)
    delivered_wh = result.delivery.delivered_wh.tolist()
    measured = result.delivery.measured.sum(axis=1).tolist()
    groups: dict[tuple[str, str, bool, bool], list[tuple[object, ...]]] = defaultdict(list)
    for row, (home, part, wh, paid_wh, count) in enumerate(
        zip(
            given.households,
            result.shares.parts,
            delivered_wh,
            result.home_paid_wh,
            measured,
            strict=True,
        )
    ):
        instructed_wh = home.instructed_wh * half_hours
        outcome = outcome_of(
            standing=home.standing,
            delivered_wh=wh,
            instructed_wh=instructed_wh,
            has_meter=count > 0,
            from_pct=given.delivered_from_pct,
        )
        groups[home.standing, outcome, home.takes_part, is_forgiven(home, given.agreement)].append(
            (
                home.occupancy_id.bytes,
                row,
                instructed_wh,
                count,
                wh,
                paid_wh,
                part.floor_mp,
                part.wh_mp,
                part.availability_mp,
                part.equal_mp,
                part.earned_mp,
                part.gift_mp,
            )
        )
    write_rows(HomeDelivery._meta.db_table, _columns(run, groups))


def _columns(run: SettlementRun, groups: dict[Any, list[tuple[object, ...]]]) -> Iterator[dict[str, Any]]:
    for (standing, outcome, takes_part, forgiven), rows in groups.items():
        ids, *numbers = zip(*rows, strict=True)
        names = (
            "row", "instructed_wh", "measured_half_hours", "delivered_wh", "paid_wh", "floor_mp", "energy_mp",
            "availability_mp", "equal_mp", "earned_mp", "gift_mp",
        )  # fmt: skip
        columns: dict[str, Any] = {
            "run_id": np.frombuffer(run.pk.bytes * len(rows), "V16"),
            "occupancy_id": np.frombuffer(b"".join(ids), "V16"),
            "standing": standing.encode(),
            "outcome": outcome.encode(),
            "takes_part": takes_part,
            "is_forgiven": forgiven,
        }
        for name, values in zip(names, numbers, strict=True):
            columns[name] = np.array(values, WIDTHS.get(name, ">i8" if name.endswith("_mp") else ">i4"))
        yield columns
