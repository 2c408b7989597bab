"""`manage.py verify_runs`: compute every settlement run again from its archive and compare the hashes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from settlement import ledger
from settlement.models import SettlementRun
from settlement.replaying import replay


class Command(BaseCommand):
    """Replay the runs and prove the ledger; changes nothing."""

    help = "Compute every settlement run again from its archive, compare hashes, and sum the ledger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a programme."""
        parser.add_argument("--programme", help="only this programme's runs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the runs that differ; exits with 1 if there is one, or if the ledger does not balance."""
        runs = SettlementRun.objects.select_related("campaign").order_by("run_at", "id")
        if options["programme"]:
            runs = runs.filter(campaign__programme_id=options["programme"])
        different = 0
        for run in runs.iterator():
            again = replay(run)
            if (again.input_sha256, again.result_sha256) != (run.input_sha256, run.result_sha256):
                different += 1
                self.stdout.write(f"{run}: DIFFERS")
        total_mp = ledger.trial_balance().total_mp
        self.stdout.write(f"{runs.count()} runs, {different} differ; the ledger sums to {total_mp} mp")
        if different or total_mp:
            raise CommandError("The books do not fit.")
