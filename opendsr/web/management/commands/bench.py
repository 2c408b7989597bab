"""`manage.py bench`: run the benchmarks, one process each: none inherits another's memory or caches."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from opendsr.run.places import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"


class Command(BaseCommand):
    """Run every script of `benchmarks/`, or those named."""

    help = "Run the benchmarks; each prints its table and `BENCH <name> <value> <unit> [goal <goal>]` lines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the names to run."""
        parser.add_argument("names", nargs="*", help="scripts without .py; all when none is named")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run them in order; one that fails does not stop the others, and is told at the end."""
        known = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
        names = options["names"] or known
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise CommandError(f"No benchmark {', '.join(unknown)}: choose from {', '.join(known)}.")
        connections.close_all()
        failed = []
        for name in names:
            self.stdout.write(f"\n== {name}")
            self.stdout.flush()
            command = [sys.executable, str(FOLDER / f"{name}.py")]
            if subprocess.run(command, cwd=REPOSITORY, check=False).returncode:  # noqa: S603
                failed.append(name)
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}.")
