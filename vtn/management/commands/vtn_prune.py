"""Retention of messages, reports and series by hand: what goes, or with --dry-run what would go."""

from __future__ import annotations

from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand

from opendsr.kernel import clock
from vtn import messagelog, retaining


class Command(BaseCommand):
    """The same that runs by itself every hour."""

    help = (
        "Empty message bodies older than VTN_BODY_DAYS, delete messages older than VTN_LOG_DAYS,"
        " reports older than VTN_REPORT_DAYS and series of events that were over VTN_SERIES_DAYS ago."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: object, **options: object) -> None:
        is_dry_run = bool(options["dry_run"])
        pruned = messagelog.prune(wall=clock.wall_now(), is_dry_run=is_dry_run)
        reports = retaining.prune_reports(at=clock.now(), is_dry_run=is_dry_run)
        series = retaining.prune_series(at=clock.now(), is_dry_run=is_dry_run)
        verb = "would be" if is_dry_run else "were"
        self.stdout.write(
            f"{pruned.bodies} bodies older than {settings.VTN_BODY_DAYS} days {verb} emptied,"
            f" {pruned.rows} messages older than {settings.VTN_LOG_DAYS} days,"
            f" {reports} reports older than {retaining.report_days()} days and"
            f" {series} series over for {retaining.series_days()} days {verb} deleted."
        )
