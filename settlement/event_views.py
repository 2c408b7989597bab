"""One event on a statement, as plain values: what was asked, measured, delivered, earned, and from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from campaigns.models import Direction
from settlement.baselines import days_needed
from settlement.baselines.explaining import Explanation, explain
from settlement.baselines.presets import PRESETS
from settlement.baselines.rules import CERTAINTY_WORDS, Certainty
from settlement.comparing import HoldOut, hold_out_from
from settlement.delivery import A_HALF_HOUR, outcome_of
from settlement.households import HELD_OUT, OVERRIDDEN, Household
from settlement.models import (
    Cap,
    Floor,
    HomeDelivery,
    Outcome,
    OverrideCost,
    SettlementRun,
    Standing,
)
from settlement.overriding import paid_after_override
from settlement.pay_curves import curve_from
from settlement.reckoning import Input, Measured, measure_homes
from settlement.sharing import counts_times, held_for_fund_mp, policy_from

STANDING_WORDS: Final = {
    Standing.TOOK_PART: _lazy("Your home took part. It is paid for what its meter shows, never below zero."),
    Standing.SILENT: _lazy(
        "Your hub fetched the event but did not answer. It had been asked, so the meter decides: your home "
        "is paid for what it shows, never below zero."
    ),
    Standing.OVERRIDDEN: _lazy(
        "Your home took part until it was overridden. It is paid for what its meter shows over the whole "
        "event, never below zero; nothing is taken from earlier earnings."
    ),
    Standing.OPTED_OUT: _lazy("Your home opted out, so it is measured but not paid."),
    Standing.NOT_REACHED: _lazy(
        "Your hub never fetched the event, so your home was not asked and what its meter shows is chance: it "
        "is measured, not claimed from the buyer and not paid. Should it turn out that the hub did act, the "
        "settlement is corrected."
    ),
    Standing.HELD_OUT: _lazy(
        "Your home was drawn by lot to be held out: nothing was asked of it, and comparing it with the homes "
        "that were asked shows what the event did. It is paid what a home that took part gets on average."
    ),
    Standing.DEVICE_ERROR: _lazy(
        "A device in your home failed during the event. That is not your fault: your home is paid for what "
        "its meter shows, and counts as having stood ready."
    ),
}
SHARE_WORDS: Final = {
    "floor": _lazy("the same for every home that took part"),
    "wh": _lazy("by what each home delivered"),
    "availability": _lazy("by the power each home stood ready with"),
    "equal": _lazy("in equal parts"),
}
COMPARED_WITH: Final = ("ena_mid_8_of_10", "dfs_2023_domestic", "octopus_saving_session")
MOST_COMPARED: Final = 2


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One settlement period: whole Wh, None where there is no reading or no baseline.

    `covered_seconds` of it are the event's; covered in part, what was delivered is bounded by what was
    instructed (`delivery.py`).
    """

    starts_at: datetime
    baseline_wh: int | None
    metered_wh: int | None
    delivered_wh: int | None
    outcome: str
    covered_seconds: int
    instructed_wh: int

    @property
    def is_part(self) -> bool:
        """Whether the event covers less than all of it."""
        return self.covered_seconds < A_HALF_HOUR

    @property
    def covered_words(self) -> str:
        """How much of it is the event's, as in "23 min", or nothing for all of it."""
        minutes, seconds = divmod(self.covered_seconds, 60)
        return f"{minutes} min{f' {seconds} s' if seconds else ''}" if self.is_part else ""


@dataclass(frozen=True, slots=True)
class ShareLine:
    """A part of the members' pool and the household's part of it: pool x weight / sum of weights."""

    by: str
    words: str
    pool_mp: int
    weight: int
    total_weight: int
    amount_mp: int

    @property
    def exact_mp(self) -> Fraction:
        """Before rounding."""
        return Fraction(self.pool_mp * self.weight, self.total_weight) if self.total_weight else Fraction(0)


@dataclass(frozen=True, slots=True)
class OtherRule:
    """What another baseline rule would have given from the same readings, at the same pay for a kWh."""

    name: str
    title: str
    paid_wh: int
    earned_mp: int


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """What a device drew: (mean W, None where nothing is known; how sure, in percent) of each half-hour."""

    name: str
    is_measured: bool
    half_hours: tuple[tuple[int | None, int], ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """What another baseline rule gives households of an Input: paid Wh by row, where it can answer."""

    name: str
    title: str
    paid_wh: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class EventView:
    """All a statement shows of one event."""

    run_id: UUID
    run_number: int
    input_sha256: str
    result_sha256: str
    method: str
    as_known_at: datetime
    campaign_id: UUID
    campaign: str
    starts_at: datetime
    ends_at: datetime
    direction: str
    direction_words: str
    standing: str
    standing_words: str
    outcome: str
    outcome_words: str
    takes_part: bool
    instructed_wh: int
    instructed_half_hour_wh: int
    assets: int
    terms: str
    rule: str
    rule_data: dict[str, Any]
    rule_title: str
    rule_source: str
    rule_certainty: str
    half_hours: tuple[HalfHour, ...]
    explanation: Explanation
    delivered_wh: int
    sold_wh: int
    paid_wh: int
    floor: str
    cap: str
    floor_words: str
    cap_words: str
    override_cost: str
    override_reduced_by_pct: Decimal
    revenue_basis: str
    pence_per_kwh: Decimal
    availability_pence_per_kw_hour: Decimal
    declared_w: int
    pay_curve: dict[str, Any]
    pay_factor: Decimal
    portfolio: tuple[tuple[str, int, int], ...]
    coop_share_pct: Decimal
    policy: dict[str, Any]
    counts_times: int
    hold_out: HoldOut | None
    holds_unearned: bool
    total_sold_wh: int
    total_paid_wh: int
    utilisation_mp: int
    availability_mp: int
    revenue_mp: int
    coop_mp: int
    fund_mp: int
    members_mp: int
    shares: tuple[ShareLine, ...]
    donates_pct: Decimal
    gift_mp: int
    earned_mp: int
    previous_mp: int
    others: tuple[OtherRule, ...]
    devices: tuple[DeviceLine, ...] = ()

    @property
    def held_mp(self) -> int:
        """The part of `fund_mp` that is there because no home, or only who overrode, would have earned it."""
        return held_for_fund_mp((share.pool_mp, share.total_weight) for share in self.shares)

    @property
    def net_mp(self) -> int:
        """What the event brings the household once its gift is taken off."""
        return self.earned_mp - self.gift_mp

    @property
    def is_correction(self) -> bool:
        """True when an earlier run of the event was posted."""
        return self.run_number > 1

    @property
    def missing_half_hours(self) -> int:
        """Half-hours of the event without a reading: they earn nothing."""
        return sum(half_hour.metered_wh is None for half_hour in self.half_hours)

    @property
    def without_baseline(self) -> int:
        """Half-hours of the event with too few like days for a baseline: they earn nothing."""
        return sum(half_hour.baseline_wh is None for half_hour in self.half_hours)


def event_view(
    run: SettlementRun,
    line: HomeDelivery,
    earlier: HomeDelivery | None,
    given: Input,
    result: Measured,
    compared: Sequence[Compared],
    row: int,
) -> EventView:
    """The event of one household, `row` in `given` and `result`; `compared` is `compare(given)`."""
    campaign, terms = run.campaign, run.terms
    agreement, home = given.agreement, given.households[row]
    instructed = given.instructed_wh[row].tolist()
    shares = _shares(run, line, home, sum(instructed), agreement.override_policy)
    return EventView(
        run_id=run.pk,
        run_number=run.sequence,
        input_sha256=run.input_sha256,
        result_sha256=run.result_sha256,
        method=run.method,
        as_known_at=run.as_known_at,
        campaign_id=campaign.pk,
        campaign=campaign.name,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
        direction=given.direction,
        direction_words=_("metered less baseline")
        if given.direction == Direction.TURN_UP
        else _("baseline less metered"),
        standing=line.standing,
        standing_words=_standing_words(line, terms.override_cost, terms.override_reduced_by_pct),
        outcome=line.outcome,
        outcome_words=str(Outcome(line.outcome).label),
        takes_part=line.takes_part,
        instructed_wh=line.instructed_wh,
        instructed_half_hour_wh=home.instructed_wh,
        assets=home.assets,
        terms=str(terms),
        rule=run.rule["name"],
        rule_data=run.rule,
        rule_title=run.rule["title"],
        rule_source=run.rule["source"],
        rule_certainty=CERTAINTY_WORDS[Certainty(run.rule["certainty"])],
        half_hours=_half_hours(given, result, row, instructed),
        explanation=explain(result.baseline, row),
        delivered_wh=line.delivered_wh,
        sold_wh=int(result.delivery.paid_wh[row]),
        paid_wh=line.paid_wh,
        floor=terms.floor,
        cap=terms.cap,
        floor_words=str(Floor(terms.floor).label),
        cap_words=str(Cap(terms.cap).label),
        override_cost=terms.override_cost,
        override_reduced_by_pct=terms.override_reduced_by_pct,
        revenue_basis=terms.revenue_basis,
        pence_per_kwh=terms.utilisation_pence_per_kwh,
        availability_pence_per_kw_hour=terms.availability_pence_per_kw_hour,
        declared_w=given.declared_w,
        pay_curve=curve_from(terms.pay_curve).as_data(),
        pay_factor=run.pay_factor,
        portfolio=tuple((start, delivered, asked) for start, _, _, delivered, _, asked in run.half_hours),
        coop_share_pct=run.coop_share_pct,
        policy=run.policy,
        counts_times=counts_times(agreement.share_policy, in_hardship=home.in_hardship),
        hold_out=hold_out_from(run.hold_out),
        holds_unearned=given.holds_unearned,
        total_sold_wh=run.sold_wh,
        total_paid_wh=run.paid_wh,
        utilisation_mp=run.utilisation_mp,
        availability_mp=run.availability_mp,
        revenue_mp=run.revenue_mp,
        coop_mp=run.coop_mp,
        fund_mp=run.fund_mp,
        members_mp=run.members_mp,
        shares=shares,
        donates_pct=home.donates_pct,
        gift_mp=line.gift_mp,
        earned_mp=line.earned_mp,
        previous_mp=earlier.earned_mp - earlier.gift_mp if earlier else 0,
        others=() if home.standing == HELD_OUT else _others(run, compared, row),
    )


def _standing_words(line: HomeDelivery, override_cost: str, reduced_by_pct: Decimal) -> str:
    words = str(STANDING_WORDS[Standing(line.standing)])
    if line.standing == Standing.OVERRIDDEN and override_cost == OverrideCost.NO_PAYMENT:
        return _(
            "Your home took part until it was overridden. The terms do not pay an overridden event; nothing "
            "is taken from earlier earnings."
        )
    if line.standing == Standing.OVERRIDDEN and override_cost == OverrideCost.REDUCED:
        return _(
            "Your home took part until it was overridden. The terms pay such an event "
            "%(pct)s %% less; nothing is taken from earlier earnings."
        ) % {"pct": f"{reduced_by_pct.normalize():f}"}
    if line.is_forgiven:
        words += " " + _("That was our failure: your home counts as having stood ready.")
    return words


def _half_hours(
    given: Input, result: Measured, row: int, instructed_wh: Sequence[int]
) -> tuple[HalfHour, ...]:
    baseline, delivery, home = result.baseline, result.delivery, given.households[row]
    found = []
    covered = given.covered_seconds or [A_HALF_HOUR] * len(given.event)
    for column, start in enumerate(given.event):
        has_baseline = bool(baseline.present[row, column])
        has_reading = bool(result.has_reading[row, column])
        is_measured = bool(delivery.measured[row, column])
        delivered = int(delivery.half_hour_wh[row, column])
        found.append(
            HalfHour(
                starts_at=start.astimezone(UTC),
                baseline_wh=int(baseline.wh[row, column]) if has_baseline else None,
                metered_wh=int(result.metered_wh[row, column]) if has_reading else None,
                delivered_wh=delivered if is_measured else None,
                outcome=outcome_of(
                    standing=home.standing,
                    delivered_wh=delivered,
                    instructed_wh=instructed_wh[column],
                    has_meter=is_measured,
                    from_pct=given.delivered_from_pct,
                ),
                covered_seconds=covered[column],
                instructed_wh=instructed_wh[column],
            )
        )
    return tuple(found)


def _shares(
    run: SettlementRun, line: HomeDelivery, home: Household, available_wh: int, override: Any
) -> tuple[ShareLine, ...]:
    stands = line.takes_part or line.is_forgiven
    hold_out = hold_out_from(run.hold_out)
    weighs_times = hold_out.weighs_times if hold_out else 1
    alike = hold_out.homes + hold_out.held_out if hold_out else 1
    keeps = override.keeps.numerator if home.standing == OVERRIDDEN else override.keeps.denominator
    times = counts_times(
        policy_from({key: value for key, value in run.policy.items() if key != "name"}),
        in_hardship=home.in_hardship,
    )
    if home.standing == OVERRIDDEN:
        available_wh = paid_after_override(available_wh, override)
    weights = {
        "floor": keeps,
        "wh": line.paid_wh * times,
        "availability": available_wh * times,
        "equal": times * keeps,
    }
    amounts = {
        "floor": line.floor_mp,
        "wh": line.energy_mp,
        "availability": line.availability_mp,
        "equal": line.equal_mp,
    }
    return tuple(
        ShareLine(
            by=by,
            words=str(SHARE_WORDS[by]),
            pool_mp=pool_mp,
            weight=total // alike
            if home.standing == HELD_OUT
            else weights[by] * weighs_times
            if stands
            else 0,
            total_weight=total,
            amount_mp=amounts[by],
        )
        for by, (pool_mp, total) in run.pools.items()
    )


def compare(given: Input) -> tuple[Compared, ...]:
    """The rules that the readings kept can answer, MOST_COMPARED a household, for all households at once."""
    kept = set(given.cube.days)
    answered = [0] * len(given.households)
    found = []
    for name in COMPARED_WITH:
        rule = PRESETS[name]
        if name == given.agreement.baseline_rule.name:
            continue
        needed = {
            days: days_needed(rule, given.event, [days])
            for days in {home.event_days for home in given.households}
        }
        rows = [
            row
            for row, home in enumerate(given.households)
            if answered[row] < MOST_COMPARED and kept.issuperset(needed[home.event_days])
        ]
        if not rows:
            continue
        some = _rows_of(given, rows)
        agreement = replace(given.agreement, baseline_rule=rule)
        result = measure_homes(replace(some, agreement=agreement, busy=None))
        paid_wh: dict[int, int] = {}
        for row, home, wh in zip(rows, some.households, result.delivery.paid_wh.tolist(), strict=True):
            is_less = home.standing == OVERRIDDEN
            paid_wh[row] = paid_after_override(wh, agreement.override_policy) if is_less else wh
            answered[row] += 1
        found.append(Compared(name, rule.title, paid_wh))
    return tuple(found)


def _others(run: SettlementRun, compared: Sequence[Compared], row: int) -> tuple[OtherRule, ...]:
    pool_mp, total = run.pools.get("wh", (0, 0))
    hold_out = hold_out_from(run.hold_out)
    weighs_times = hold_out.weighs_times if hold_out else 1
    return tuple(
        OtherRule(
            name=each.name,
            title=each.title,
            paid_wh=each.paid_wh[row],
            earned_mp=pool_mp * each.paid_wh[row] * weighs_times // total if total else 0,
        )
        for each in compared
        if row in each.paid_wh
    )


def _rows_of(given: Input, rows: Sequence[int]) -> Input:
    if len(rows) == len(given.households):
        return given
    cube = given.cube
    some = _Cube(cube.days, cube.net_wh[list(rows)], cube.present[list(rows)])
    return replace(given, households=given.households.rows(np.array(rows, np.intp)), cube=some)


@dataclass(frozen=True, slots=True)
class _Cube:
    days: Sequence[Any]
    net_wh: Any
    present: Any
