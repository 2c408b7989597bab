"""`manage.py vtn`: serve the VENs over mutual TLS."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from vtn.serve import CannotListen, serve


class Command(BaseCommand):
    help = "Serve OpenADR 2.0b to VENs over mutual TLS, on a port of its own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default=settings.VTN_HOST, help="address and certificate name (VTN_HOST)"
        )
        parser.add_argument("--port", type=int, default=settings.VTN_PORT, help="port (VTN_PORT)")
        parser.add_argument("--workers", type=int, default=2, help="processes")
        parser.add_argument("--threads", type=int, default=8, help="threads a process")

    def handle(self, *args: Any, **options: Any) -> None:
        connections.close_all()
        try:
            serve(
                host=options["host"],
                port=options["port"],
                workers=options["workers"],
                threads=options["threads"],
            )
        except CannotListen as error:
            raise CommandError(str(error)) from error
