"""`manage.py verify_statement FILE...`: work statements out again from the data in their files alone."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from settlement.verifying import NotAStatement, verify_file


class Command(BaseCommand):
    """Verify the files and say what does not fit; needs no database."""

    help = "Work statements (JSON) out again from their files alone; exits with 1 if one does not fit."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the files."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify each; one that does not fit does not stop the others."""
        failed = 0
        for path in options["files"]:
            try:
                problems = verify_file(path)
            except NotAStatement as error:
                problems = [str(error)]
            failed += bool(problems)
            self.stdout.write(f"{path}: {'does NOT fit' if problems else 'everything fits'}")
            for problem in problems:
                self.stdout.write(f"  {problem}")
        if failed:
            raise CommandError(f"{failed} of {len(options['files'])} files do not fit.")
