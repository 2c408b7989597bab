"""The measured half of the event report: delivery by half-hour, the money by home, where numbers are from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import members.queries
import settlement.queries
from campaigns.models import Campaign, Direction, Participation
from campaigns.reporting import EventReport
from opendsr.kernel.interval import HALF_HOUR
from opendsr.web import wording
from opendsr.web.charts import Figure, half_hour_figure
from settlement import settling
from settlement.comparing import hold_out_from
from settlement.event_views import SHARE_WORDS
from settlement.models import HomeDelivery, RoundKind, SettlementRun, Standing
from settlement.queries import MoneyLine, MoneyRow

NAMED_HOMES = 5


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """One settlement period of the whole portfolio."""

    label: str
    baseline: str
    metered: str
    delivered: str
    readings: str


@dataclass(frozen=True, slots=True)
class HomeRow:
    """One household's line of the money table."""

    occupancy_id: UUID
    home: str
    standing: str
    outcomes: tuple[tuple[str, str], ...]
    asked: str
    delivered: str
    paid: str
    earned: str


@dataclass(frozen=True, slots=True)
class MeasuredReport:
    """What the page and the demo print about a settled campaign, already in words."""

    run: SettlementRun
    figure: Figure
    rows: tuple[PeriodRow, ...]
    total: PeriodRow
    lines: QuerySet[HomeDelivery, MoneyRow]
    members: str
    coop: str
    coop_label: str
    fund: str
    revenue: str
    money_note: str
    missing_note: str
    held_out: str
    has_window: bool
    provenance: str


@dataclass(frozen=True, slots=True)
class HeadFigure:
    """One of the large numbers at the head of the report."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Sum:
    baseline_wh: int
    metered_wh: int
    delivered_wh: int
    readings: int


def measured_report(campaign: Campaign) -> MeasuredReport | None:
    """The newest run of a campaign in words; None before the first."""
    run = settlement.queries.newest_run(campaign.pk)
    if run is None:
        return None
    periods = by_period(run)
    homes = run.deliveries.filter(takes_part=True).count()
    sums = periods.values()
    together = _Sum(
        baseline_wh=sum(each.baseline_wh for each in sums),
        metered_wh=sum(each.metered_wh for each in sums),
        delivered_wh=sum(each.delivered_wh for each in sums),
        readings=sum(each.readings for each in sums),
    )
    return MeasuredReport(
        run=run,
        figure=half_hour_figure(
            element_id="measured-figure",
            label=_(
                "Baseline and metered energy of the homes that took part; the table below has the numbers"
            ),
            starts=list(periods),
            metered_kwh=[each.metered_wh / 1000 for each in sums],
            baseline_kwh=[each.baseline_wh / 1000 for each in sums],
        ),
        rows=tuple(
            _period_row(wording.half_hour(start, start + HALF_HOUR), each, homes)
            for start, each in periods.items()
        ),
        total=_period_row(_("Sum"), together, homes * len(periods)),
        lines=settlement.queries.money_rows(run),
        members=wording.millipence(run.members_mp),
        coop=wording.millipence(run.coop_mp),
        coop_label=_("The co-op, %(pct)s %%") % {"pct": f"{run.coop_share_pct.normalize():f}"},
        fund=wording.millipence(run.fund_mp) if run.fund_mp else "",
        revenue=wording.millipence(run.revenue_mp),
        money_note=_money_note(run),
        missing_note=_missing_note(run),
        held_out=held_out_words(run),
        has_window=bool(run.rule["window_half_hours"]),
        provenance=_provenance(run),
    )


def home_rows(campaign: Campaign, lines: Sequence[MoneyLine]) -> list[HomeRow]:
    """Lines of the money table in words, with the outcomes of each household's assets; one query."""
    codes: dict[UUID, set[str]] = defaultdict(set)
    parts = Participation.objects.filter(
        campaign=campaign, occupancy__in=[line.occupancy_id for line in lines]
    ).exclude(outcome="")
    for occupancy_id, outcome in parts.values_list("occupancy", "outcome"):
        codes[occupancy_id].add(outcome)
    return [
        HomeRow(
            occupancy_id=line.occupancy_id,
            home=line.home,
            standing=str(Standing(line.standing).label),
            outcomes=tuple(
                (wording.state(code), wording.tag(code)) for code in sorted(codes[line.occupancy_id])
            ),
            asked=wording.kwh(None if line.standing == Standing.HELD_OUT else line.instructed_wh),
            delivered=wording.kwh(None if line.standing == Standing.HELD_OUT else line.delivered_wh),
            paid=wording.kwh(None if line.standing == Standing.HELD_OUT else line.paid_wh),
            earned=wording.millipence(line.earned_mp),
        )
        for line in lines
    ]


def figures(report: EventReport, view: MeasuredReport | None) -> list[HeadFigure]:
    """The head of the report: who was asked, who answered, what was expected, and what was measured."""
    assets = ngettext("%(n)s asset", "%(n)s assets", report.assets) % {"n": report.assets}
    head = [
        HeadFigure(_("Homes asked"), f"{report.homes:,}", assets),
        HeadFigure(
            _("Assets responding"),
            f"{report.responding_share:.0%}",
            _("%(some)s of %(all)s") % {"some": f"{report.responding:,}", "all": f"{report.assets:,}"},
        ),
        HeadFigure(
            _("Estimated"),
            wording.power(report.estimated_w),
            _("%(kwh)s kWh, from those that said yes") % {"kwh": wording.kwh(report.estimated_wh)},
        ),
    ]
    if view:
        head += [
            HeadFigure(_("Measured"), f"{wording.kwh(view.run.delivered_wh)} kWh", _("against baseline")),
            HeadFigure(
                _("Revenue"),
                wording.money(view.run.revenue_mp),
                _("members %(part)s") % {"part": wording.money(view.run.members_mp)},
            ),
        ]
    return head


def waiting(campaign: Campaign) -> tuple[str, bool]:
    """What the measured half waits for, and whether only readings are wanting."""
    if campaign.state == Campaign.State.CANCELLED:
        return _("The campaign was called off: there is nothing to measure."), False
    if campaign.state != Campaign.State.COMPLETED:
        return _("The measured half appears here after the event, once the meter readings are in."), False
    readiness = settling.ready(campaign.pk)
    if readiness.complete:
        return _("All readings are in; the settlement has not run yet."), False
    names = sorted(members.queries.home_names(sorted(readiness.missing)[:NAMED_HOMES]).values())
    left = len(readiness.missing) - len(names)
    if left:
        names.append(ngettext("%(n)s more home", "%(n)s more homes", left) % {"n": left})
    missing = readiness.missing_half_hours
    words = ngettext(
        "Waiting for %(n)s half-hourly reading of the event, from: %(homes)s.",
        "Waiting for %(n)s half-hourly readings of the event, from: %(homes)s.",
        missing,
    )
    return words % {"n": f"{missing:,}", "homes": ", ".join(names)}, True


def by_period(run: SettlementRun) -> dict[datetime, _Sum]:
    """Sums over households that take part, by the start of half-hours both measured and with a baseline."""
    return {datetime.fromisoformat(start): _Sum(*sums[:4]) for start, *sums in run.half_hours if sums[3]}


def _period_row(label: str, each: _Sum, wanted: int) -> PeriodRow:
    return PeriodRow(
        label=label,
        baseline=wording.kwh(each.baseline_wh),
        metered=wording.kwh(each.metered_wh),
        delivered=wording.kwh(each.delivered_wh),
        readings=_("%(some)s of %(all)s") % {"some": f"{each.readings:,}", "all": f"{wanted:,}"},
    )


def _money_note(run: SettlementRun) -> str:
    """What the buyer pays for, and what the members' part goes by."""
    sold = _("%(paid)s kWh at %(rate)s p per kWh") % {
        "paid": wording.kwh(run.sold_wh),
        "rate": f"{run.terms.utilisation_pence_per_kwh.normalize():f}",
    }
    if run.availability_mp:
        sold = _("%(sold)s, and %(amount)s for standing ready") % {
            "sold": sold,
            "amount": wording.millipence(run.availability_mp),
        }
    shared = ", ".join(str(SHARE_WORDS[by]) for by in run.pools)
    return _("%(sold)s; the members' part is shared %(how)s.") % {"sold": sold, "how": shared}


def held_out_words(run: SettlementRun) -> str:
    """What comparing with the homes held out says of the event; empty when nobody was held out."""
    hold_out = hold_out_from(run.hold_out)
    if hold_out is None:
        return ""
    drawn = ngettext(
        "%(n)s home was held out by lot and paid the average of the %(all)s that took part.",
        "%(n)s homes were held out by lot and paid the average of the %(all)s that took part.",
        hold_out.held_out,
    ) % {"n": f"{hold_out.held_out:,}", "all": f"{hold_out.homes:,}"}
    effect = hold_out.effect
    if effect is None:
        return f"{drawn} {_('Nothing can be said by comparing: %(why)s.') % {'why': hold_out.reason}}"
    is_turn_up = run.campaign.direction == Direction.TURN_UP
    sign = 1 if is_turn_up else -1
    low_wh, high_wh = sorted((sign * effect.low_wh, sign * effect.high_wh))
    half_hours = len(run.half_hours)

    def together(a_home_wh: float) -> str:
        return wording.kwh(round(a_home_wh * effect.treated * half_hours))

    sentence = (
        _(
            "Compared with them and with like days before, the %(n)s homes asked used %(kwh)s kWh more "
            "together (95 %% between %(low)s and %(high)s); by baseline it is %(baseline)s kWh."
        )
        if is_turn_up
        else _(
            "Compared with them and with like days before, the %(n)s homes asked used %(kwh)s kWh less "
            "together (95 %% between %(low)s and %(high)s); by baseline it is %(baseline)s kWh."
        )
    )
    compared = sentence % {
        "n": f"{effect.treated:,}",
        "kwh": together(sign * effect.effect_wh),
        "low": together(low_wh),
        "high": together(high_wh),
        "baseline": wording.kwh(run.delivered_wh),
    }
    return f"{drawn} {compared}"


def _missing_note(run: SettlementRun) -> str:
    missing = run.missing_half_hours
    if not missing:
        return ""
    words = ngettext(
        "Settled without %(n)s half-hourly reading that had not come; it earned nothing.",
        "Settled without %(n)s half-hourly readings that had not come; they earned nothing.",
        missing,
    )
    return words % {"n": f"{missing:,}"}


def _provenance(run: SettlementRun) -> str:
    words = _("Run %(run)s of %(when)s. Terms: %(terms)s. Baseline: %(rule)s. Inputs: SHA-256 %(hash)s…") % {
        "run": run.sequence,
        "when": wording.moment(run.run_at),
        "terms": run.terms,
        "rule": run.rule["title"],
        "hash": run.input_sha256[:16],
    }
    kind = {
        RoundKind.PROVISIONAL: _("The figures are provisional and may still change."),
        RoundKind.FINAL: _("The figures are final."),
        RoundKind.CORRECTION: _("This corrects final figures."),
    }[RoundKind(run.round.kind)]
    words = f"{words} {kind}"
    if run.sequence == 1:
        return words
    return (
        words
        + " "
        + _("It corrects run %(before)s; only the difference was posted.") % {"before": run.sequence - 1}
    )
