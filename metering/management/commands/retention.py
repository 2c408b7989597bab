"""`manage.py retention`: what has been kept long enough; removes it only with --apply."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from metering import retention
from opendsr.kernel import clock


class Command(BaseCommand):
    """Tell, or with --apply do, what the retention rules ask for."""

    help = "List the readings that the retention rules would remove; --apply removes them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --apply."""
        parser.add_argument("--apply", action="store_true", help="remove what is listed")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line a rule."""
        at = clock.now()
        lines = retention.apply(at=at) if options["apply"] else retention.due(at=at)
        for words in retention.words(lines):
            self.stdout.write(words)
        if not options["apply"]:
            self.stdout.write("Nothing was removed: add --apply to remove it.")
