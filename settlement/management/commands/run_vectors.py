"""`manage.py run_vectors FILE...`: worked examples of JSON files, worked out again and compared."""

from __future__ import annotations

from argparse import ArgumentParser
from fractions import Fraction
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from settlement.vectors import VectorsUnreadable, read_vectors, run_vector


class Command(BaseCommand):
    """Work every vector out by the site's own functions; needs no database."""

    help = "Work vectors (JSON, as market-samples/test-vectors.json) out; exits with 1 if one does not fit."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the files."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line an expectation; one that differs does not stop the others."""
        failed = 0
        for path in options["files"]:
            try:
                vectors = read_vectors(path)
            except VectorsUnreadable as error:
                raise CommandError(str(error)) from error
            for vector in vectors:
                outcome = run_vector(vector)
                failed += not outcome.fits
                if not outcome.is_example:
                    self.stdout.write(f"{outcome.id}: a rule without numbers, nothing to compare")
                if outcome.problem:
                    self.stdout.write(f"{outcome.id}: {outcome.problem}")
                for each in outcome.compared:
                    verdict = "fits" if each.agrees else f"DIFFERS: {_plain(each.found)}"
                    self.stdout.write(f"{outcome.id}: {each.what} {_plain(each.expected)}: {verdict}")
        if failed:
            raise CommandError(f"{failed} vectors do not fit.")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, Fraction):
        return f"{float(value):.9g}"
    return str(value)
