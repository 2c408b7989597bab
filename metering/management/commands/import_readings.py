"""`manage.py import_readings FILE`: half-hourly readings into the store, with a report of every row."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from metering import ingest, rejects
from metering.adapters import ADAPTERS
from metering.adapters.formats import Role
from metering.report import ImportReport
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError

SHOWN = 20
LISTED = 10


class Command(BaseCommand):
    help = "Read a file of half-hourly meter readings (CSV or JSON, or the same gzipped) into the store."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, whose meters are whose, and how the file departs from its adapter's conventions."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--adapter", choices=sorted(ADAPTERS), help="default: by the file's header")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="METER=STREAM",
            help="the stream id that a meter in the file fills; repeat for each (default: stream ids)",
        )
        parser.add_argument(
            "--stamp", choices=("start", "end"), help="which end of the half-hour a stamp names"
        )
        parser.add_argument("--tz", help="zone of stamps without an offset, e.g. UTC or Europe/London")
        parser.add_argument("--unit", choices=("wh", "kwh"))
        parser.add_argument("--decimal", choices=(".", ","), help="decimal sign of the values")
        parser.add_argument("--max-kwh", type=float, help="largest believable value of a half-hour")
        parser.add_argument(
            "--ambiguous", choices=("reject", "in_order"), help="local times that happen twice"
        )
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="ROLE=NAME",
            help=f"for generic_csv: which column is the {', '.join(Role)}",
        )
        parser.add_argument("--source", help="what to file the readings under (default: the adapter)")
        parser.add_argument(
            "--rejects", type=Path, metavar="FILE", help="write the refused rows here, to correct and import"
        )
        parser.add_argument("--dry-run", action="store_true", help="check and report, store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and print; exit 1 when nothing in the file can be read."""
        path: Path = options["file"]
        streams = {meter: _stream(text) for meter, text in _pairs(options["map"], "--map")}
        columns = dict(_pairs(options["column"], "--column"))
        conventions = {
            "stamp": options["stamp"],
            "tz": options["tz"],
            "unit": options["unit"],
            "decimal": options["decimal"],
            "max_kwh": options["max_kwh"],
            "ambiguous": options["ambiguous"],
            "columns": columns or None,
        }
        try:
            report = ingest.import_file(
                path=path,
                at=clock.now(),
                streams=streams or None,
                adapter=options["adapter"],
                source=options["source"],
                dry_run=options["dry_run"],
                progress=self._progress if sys.stderr.isatty() else None,
                **conventions,
            )
            if options["rejects"] is not None:
                lines = rejects.reject_file(
                    path, report.rejects, name=path.name, adapter=options["adapter"], **conventions
                )
                with options["rejects"].open("w", encoding="utf-8", newline="") as out:
                    out.writelines(lines)
        except DomainError as error:
            raise CommandError(str(error)) from error
        if sys.stderr.isatty():
            self.stderr.write("\r\033[K", ending="")
        self._print(report, dry_run=options["dry_run"])

    def _progress(self, done: int, total: int | None) -> None:
        share = f"{100 * done // total:3d} %" if total else f"{done >> 20} MB"
        self.stderr.write(f"\rreading {share}", ending="")

    def _print(self, report: ImportReport, *, dry_run: bool) -> None:
        write = self.stdout.write
        write(f"{report.name} as {report.source}: {report.convention}")
        for label, count in (
            ("rows read", report.rows_read),
            ("would land" if dry_run else "landed", report.rows_landed),
            ("  of these corrections", report.rows_corrected),
            ("unchanged", report.rows_unchanged),
            ("refused", report.rows_rejected),
            ("half-hours missing", report.gap_half_hours),
        ):
            write(f"  {label:24}{count:>12,}")
        if report.rejects:
            write("refused, by reason:")
            reasons: Counter[str] = Counter()
            for reject in report.rejects:
                reasons[reject.code] += reject.rows
            for code, count in reasons.most_common():
                write(f"  {code:24}{count:>12,}")
            for reject in report.rejects[:SHOWN]:
                write(f"  line {reject.line}: {reject.field} {reject.value!r}: {reject.reason}")
            self._more(len(report.rejects) - SHOWN)
        if report.gaps:
            write("missing half-hours:")
            for gap in report.gaps[:LISTED]:
                missing = f"{gap.half_hours} from {gap.starts_at:%Y-%m-%d %H:%M}Z"
                write(f"  after line {gap.line}: {gap.meter}: {missing}")
            self._more(len(report.gaps) - LISTED)
        if report.rows_expiring and report.kept_from:
            write(
                f"{report.rows_expiring:,} good rows are of before {report.kept_from:%Y-%m-%d}, older than"
                " half-hours are kept: the hourly job removes them again. To keep them, first raise the days"
                " of the retention rule half_hourly (in the records)."
            )
        if dry_run:
            write("Dry run: nothing was stored.")
        elif report.rows_unchanged and report.changed_nothing:
            write("Unchanged: the store holds every good row already.")
        elif report.changed_nothing:
            write("Nothing was stored: there was no good row.")

    def _more(self, count: int) -> None:
        if count > 0:
            self.stdout.write(f"  and {count:,} more")


def _pairs(texts: list[str], option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, found, value = text.rpartition("=")
        if not (found and name and value):
            raise CommandError(f"{option} {text!r} needs the form NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _stream(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandError(f"--map: {text!r} is not a stream id") from None
