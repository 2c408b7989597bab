"""`manage.py reapply_erasures`: after a backup was restored, erase again whoever had been erased since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from members import erasing
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError


class Command(BaseCommand):
    help = "After restoring a backup: erase again everybody on the list of erasures outside the database."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="the list; by default OPENDSR_ERASURES_FILE")

    def handle(self, *args: Any, file: Path | None, **options: Any) -> None:
        path = file or settings.ERASURES_FILE
        if not path.exists():
            raise CommandError(f"{path} is not there: name the list of erasures with --file")
        try:
            lines = list(erasing.read_list(path))
            again, already, unknown = erasing.reapply(
                lines=iter(lines), at=clock.now(), by="system:reapply_erasures"
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{len(lines)} erasures listed: {again} erased again, {already} were erased already, "
            f"{unknown} are not in this database."
        )
