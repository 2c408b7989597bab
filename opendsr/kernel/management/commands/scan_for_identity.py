"""Does a file name anybody? Looks in dumps, logs and messages for what lies sealed in this database."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from opendsr.kernel import encryption, traces
from opendsr.kernel.sealed_field import ERASED, SealedTextField

POSTCODE: Final = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}")
"""What a home without a name is called by; it lies plain beside it."""


STANDARD_INPUT: Final = Path("standard input")


class Command(BaseCommand):
    """Says where and in which form, never what: ends with status 1 when anything was found."""

    help = "Look in files (a plain pg_dump, logs, a broker's dump) for texts that lie sealed here."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Files, or standard input, and how many rows of each table to look for."""
        parser.add_argument("files", nargs="*", type=Path, help="default: standard input")
        parser.add_argument("--rows", type=int, default=25, help="the newest rows of each table (25)")

    def handle(self, *args: object, files: list[Path], rows: int, **options: object) -> None:
        """Scan each file for the sealed texts of some rows."""
        whose = _sealed_texts(rows)
        if not whose:
            raise CommandError("Nothing lies sealed in this database yet: there is nothing to look for.")
        found = 0
        for path in files or [STANDARD_INPUT]:
            where = str(path)
            try:
                with sys.stdin.buffer if path is STANDARD_INPUT else path.open("rb") as stream:
                    for trace in traces.find_in(stream, whose):
                        found += 1
                        self.stdout.write(
                            f"{where}: {whose[trace.text]} at byte {trace.offset} ({trace.form})"
                        )
            except OSError as error:
                raise CommandError(f"{where} cannot be read: {error.strerror}") from error
        if found:
            raise CommandError(f"{found} traces of {len(whose)} texts looked for.")
        self.stdout.write(f"None of {len(whose)} texts looked for is there.")


def _sealed_texts(rows: int) -> dict[str, str]:
    """Texts of the newest rows of each table, with the table and column they are of."""
    texts: dict[str, str] = {}
    for model in apps.get_models():
        fields = [each for each in model._meta.concrete_fields if isinstance(each, SealedTextField)]
        newest: Any = model._base_manager.order_by("-pk")[:rows] if fields else []
        with encryption.remembering():
            for row in list(newest):
                for field in fields:
                    text = str(getattr(row, field.attname)).strip()
                    is_told = len(text) >= traces.LEAST_CHARACTERS and text != ERASED
                    if is_told and not POSTCODE.fullmatch(text):
                        texts.setdefault(text, f"{model._meta.label}.{field.name}")
    return texts
