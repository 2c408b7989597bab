"""`manage.py database_roles`: the roles that keep kinds of data apart; makes them only with --apply."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from metering.database_roles import statements


class Command(BaseCommand):
    """Print the SQL, or with --apply run it; run it again after every migration."""

    help = "Print the SQL of the roles for operations, energy and settlement; --apply runs it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --apply."""
        parser.add_argument("--apply", action="store_true", help="run it: needs the right to make roles")

    def handle(self, *args: Any, **options: Any) -> None:
        """All of it or none."""
        if not options["apply"]:
            self.stdout.write(";\n".join(statements()) + ";")
            return
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in statements():
                cursor.execute(statement)
        self.stdout.write(
            "Roles opendsr_operations, opendsr_energy and opendsr_settlement are as they should be."
        )
