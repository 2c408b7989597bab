"""`manage.py import_rates`: half-hourly prices, carbon intensity or outdoor temperatures from a file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from metering import rates
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError

SHOWN: Final = 10


class Command(BaseCommand):
    help = (
        "Store half-hourly prices (Octopus Agile), carbon intensity (GB) or outdoor temperatures "
        "(time,celsius or date,mean_celsius) of a CSV or JSON file."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, and whether to store it."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="check and report, store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and print; exit 1 when nothing in the file can be read."""
        path: Path = options["file"]
        try:
            report = rates.import_rates(file=path, name=path.name, at=clock.now(), dry_run=options["dry_run"])
        except (OSError, DomainError) as error:
            raise CommandError(str(error)) from error
        write = self.stdout.write
        write(f"{path.name} as {report.adapter}")
        write(f"  values read   {report.values_read:>10,}")
        write(f"  {'would be news' if options['dry_run'] else 'stored       '} {report.values_stored:>10,}")
        write(f"  refused       {len(report.rejects):>10,}")
        for reject in report.rejects[:SHOWN]:
            write(f"  line {reject.line}: {reject.field} {reject.value!r}: {reject.reason}")
        if len(report.rejects) > SHOWN:
            write(f"  and {len(report.rejects) - SHOWN:,} more")
