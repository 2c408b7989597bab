"""What the demo prints at its end: the event report and the money table, checked to the millipenny."""

from __future__ import annotations

from collections import Counter

from campaigns import reporting
from campaigns.models import Campaign, Participation
from opendsr.demo.loading import DemoCoop, demo_folder
from opendsr.demo.papers import write_statements
from opendsr.demo.telling import Teller
from opendsr.kernel.errors import DomainError
from opendsr.kernel.money import pounds
from opendsr.kernel.periods import LONDON
from opendsr.web.measured import measured_report
from settlement import ledger, queries
from settlement.models import SettlementRun, Standing


class SumsDiffer(DomainError):
    """Money appeared or disappeared: a bug."""

    status = 500


def print_report(campaign: Campaign, coop: DemoCoop, teller: Teller) -> None:
    """Print who was asked, who answered, and what the meters show."""
    report = reporting.event_report(campaign.pk)
    run = _run(campaign)
    local = campaign.starts_at.astimezone(LONDON)
    teller.text(
        f"\nEVENT REPORT  {campaign.name}, {local:%d %B %Y}, {local:%H:%M} to "
        f"{campaign.ends_at.astimezone(LONDON):%H:%M}, {campaign.zone}"
    )
    teller.text(f"Homes: {coop.source}")
    teller.text(
        f"{report.homes} homes asked with {report.assets} assets; {report.responding} responding"
        f" ({report.responding_share:.0%}); estimated {report.estimated_w / 1000:.2f} kW,"
        f" {report.estimated_wh / 1000:.3f} kWh; measured {run.delivered_wh / 1000:.3f} kWh"
    )
    outcomes = ", ".join(
        f"{count} {Participation.Outcome(code).label.lower()}"
        for code, count in sorted(report.outcomes.items())
    )
    teller.text(f"Assets: {outcomes}")
    if report.left_out_reasons:
        teller.text(
            "Left out: " + ", ".join(f"{count} ({reason})" for reason, count in report.left_out_reasons)
        )
    teller.text()
    _print_periods(campaign, teller)


def print_money(campaign: Campaign, teller: Teller, *, site: str) -> None:
    """Print who earned what; raises SumsDiffer unless revenue, shares, ledger and statements agree."""
    run = _run(campaign)
    table = queries.money_table(run)
    statements = Counter(run.round.statements.values_list("occupancy", flat=True))
    teller.text(
        f"\nMONEY  {run.sold_wh / 1000:.3f} kWh at {run.terms.utilisation_pence_per_kwh.normalize():f} p/kWh;"
        f" {run.coop_share_pct.normalize():f} % to the co-op, the rest by delivered Wh"
    )
    teller.table(
        ("Home", "Stood", "Delivered kWh", "Paid kWh", "Earned", "Statements"),
        [
            (
                line.home,
                str(Standing(line.standing).label),
                f"{line.delivered_wh / 1000:.3f}",
                f"{line.paid_wh / 1000:.3f}",
                pounds(line.earned_mp),
                str(statements[line.occupancy_id]),
            )
            for line in table.lines
        ],
        [
            ("Members together", "", "", f"{run.paid_wh / 1000:.3f}", pounds(run.members_mp), ""),
            ("The co-op", "", "", "", pounds(run.coop_mp), ""),
            ("Revenue", "", "", "", pounds(run.revenue_mp), ""),
        ],
        words=2,
    )
    _require_sums(run, table)
    folder = demo_folder() / "statements"
    issued = write_statements(run, folder, site=site)
    teller.text(
        f"The parts sum to the revenue to the millipenny ({run.revenue_mp:,} mp) and the ledger balances."
        f"\n{issued} statements, one for each member of the {len(table.lines)} homes asked, as HTML, CSV and"
        f" JSON: {folder}"
    )


def _print_periods(campaign: Campaign, teller: Teller) -> None:
    view = measured_report(campaign)
    if view is not None:
        rows = [(row.label, row.baseline, row.metered, row.delivered) for row in (*view.rows, view.total)]
        teller.table(("Half-hour", "Baseline kWh", "Metered kWh", "Delivered kWh"), rows[:-1], rows[-1:])


def _require_sums(run: SettlementRun, table: queries.MoneyTable) -> None:
    trial = ledger.trial_balance()
    by_household = dict(run.round.statements.values_list("occupancy", "earned_mp"))
    told_mp = sum(by_household.values())
    if not table.sums or trial.total_mp != 0 or told_mp != run.members_mp:
        raise SumsDiffer(
            revenue_mp=run.revenue_mp, members_mp=run.members_mp, coop_mp=run.coop_mp, statements_mp=told_mp
        )


def _run(campaign: Campaign) -> SettlementRun:
    run = queries.newest_run(campaign.pk)
    if run is None:
        raise SumsDiffer(campaign=campaign.name)
    return run
