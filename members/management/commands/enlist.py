"""`manage.py enlist FILE`: a co-op's register of members and homes, with a report of every row."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from members import enlisting
from members.rows import RowsUnusable
from opendsr.kernel import clock

SHOWN = 20
WIDTH = 30


class Command(BaseCommand):
    """Safe to stop and to run again: what was taken stays taken and is not taken twice."""

    help = (
        "Take in a CSV of members and homes. Columns: "
        f"{', '.join(enlisting.REQUIRED)}; and where known {', '.join(enlisting.OPTIONAL)}."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, and what to do with it."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="check and report, store nothing")
        parser.add_argument(
            "--rejects", type=Path, metavar="FILE", help="write the refused rows here, to correct and offer"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take in and print; exit 1 when nothing in the file can be read."""
        try:
            text = options["file"].read_bytes().decode("utf-8-sig")
            report = enlisting.enlist(
                text, at=clock.now(), by="enlist", dry_run=options["dry_run"], progress=self._show
            )
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']}: {error}: is it a CSV in UTF-8?") from error
        except RowsUnusable as error:
            found, expected = error.data["found"], error.data["expected"]
            raise CommandError(f"{options['file']}: found {found!r}, expected {expected}") from error
        sys.stderr.write("\n")
        would = "would be " if options["dry_run"] else ""
        counts = f"{report.members:,} members, {report.homes:,} homes and {report.stays:,} stays"
        self.stdout.write(
            f"{report.rows:,} rows: {counts} {would}taken in, how {report.payment_methods:,} homes pay"
            f" {would}noted, {report.unchanged:,} known already, {len(report.rejects):,} refused"
        )
        for each in report.rejects[:SHOWN]:
            self.stdout.write(f"  line {each.line}: {each.field} {each.value!r}: {each.fix}")
        for code, count in Counter(each.code for each in report.rejects[SHOWN:]).items():
            self.stdout.write(f"  and {count:,} more rows: {enlisting.FIXES[code]}")
        if options["rejects"] is not None:
            options["rejects"].write_text("".join(enlisting.reject_file(report)), encoding="utf-8")

    def _show(self, done: int, of: int) -> None:
        full = WIDTH * done // of
        sys.stderr.write(f"\r    {'#' * full}{'.' * (WIDTH - full)} {done:,}/{of:,} rows")
        sys.stderr.flush()
