"""`manage.py vtn`: serve the VENs over mutual TLS, or the proxy that does."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from vtn.serve import CannotListen, serve, serve_proxy


class Command(BaseCommand):
    help = "Serve OpenADR 2.0b to VENs over mutual TLS, on a port of its own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default=settings.VTN_HOST, help="address and certificate name (VTN_HOST)"
        )
        parser.add_argument("--port", type=int, help="port (VTN_PORT; with --legacy VTN_LEGACY_PORT)")
        parser.add_argument(
            "--legacy",
            action="store_true",
            help="the second listener, TLS 1.2 with the profile's CBC suites, for devices that know no other",
        )
        parser.add_argument(
            "--socket",
            type=Path,
            help="unix socket for a proxy that ends TLS, in place of host and port (VTN_SOCKET)",
        )
        parser.add_argument("--workers", type=int, default=2, help="processes")
        parser.add_argument("--threads", type=int, default=8, help="threads a process")

    def handle(self, *args: Any, **options: Any) -> None:
        connections.close_all()
        shared = {"workers": options["workers"], "threads": options["threads"]}
        path = options["socket"] or getattr(settings, "VTN_SOCKET", None)
        try:
            if options["legacy"]:
                port = options["port"] or getattr(settings, "VTN_LEGACY_PORT", 0)
                if not port:
                    raise CommandError("The legacy listener is off: set VTN_LEGACY_PORT (--port) to open it.")
                serve(host=options["host"], port=port, is_legacy=True, **shared)
            elif path:
                serve_proxy(path=Path(path), **shared)
            else:
                serve(host=options["host"], port=options["port"] or settings.VTN_PORT, **shared)
        except CannotListen as error:
            raise CommandError(str(error)) from error
