"""`manage.py processing_record`: the record of processing, made from the models, as Markdown or CSV."""

from __future__ import annotations

import csv
import sys
from dataclasses import astuple, fields
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from opendsr.kernel.processing import Row
from opendsr.web import processing_record


class Command(BaseCommand):
    help = "Print the record of processing (UK GDPR Art. 30), made from the models."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--csv", action="store_true", help="as CSV")

    def handle(self, *args: Any, **options: Any) -> None:
        if missing := processing_record.undeclared():
            raise CommandError(
                f"nothing is declared of {', '.join(sorted(missing))}: see processing.py of a room"
            )
        names = [field.name for field in fields(Row)]
        lines = [astuple(row) for row in processing_record.record()]
        if options["csv"]:
            csv.writer(self.stdout if options.get("stdout") else sys.stdout).writerows([names, *lines])
            return
        for line in [names, ["---"] * len(names), *lines]:
            self.stdout.write("| " + " | ".join(line) + " |")
